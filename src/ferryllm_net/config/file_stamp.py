"""By what a file is known again, and the files that a configuration was read from.

Stamps are taken of the open file that is read, before its content: whatever is written later gives another stamp, so
no change between reading and the first look is missed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec


class FileStamp(NamedTuple):
    """Differs when a file was written, or when its name leads to another one: renamed over, or behind a link that was
    turned, as Kubernetes does it with secrets."""

    device: int
    inode: int
    size: int
    modified: int
    """Nanoseconds since the epoch."""


class SourceFile(msgspec.Struct, frozen=True):
    """A file of the configuration."""

    path: str
    """Absolute."""
    stamp: FileStamp | None
    """As it was read; None where it was not there."""
    keys: bool = False
    """It holds keys of providers, which can be read again without the rest."""


def stamp_of(found: os.stat_result) -> FileStamp:
    return FileStamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def look(path: str) -> FileStamp | None:
    """The stamp that the file at ``path`` has now, links followed; None where there is none."""
    try:
        return stamp_of(os.stat(path))
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return None


class Stamped(NamedTuple):
    """The bytes of a file, with what it was when they were read."""

    content: bytes
    stamp: FileStamp
    mode: int


def read_stamped(file: Path, most: int) -> Stamped:
    """At most ``most`` bytes of ``file`` and one more, by which the caller knows a larger one.

    Raises OSError, or ValueError for a NUL in the path.
    """
    with file.open("rb") as stream:
        found = os.fstat(stream.fileno())
        return Stamped(stream.read(most + 1), stamp_of(found), found.st_mode)
