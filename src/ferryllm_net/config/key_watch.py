"""Keys in the files of other programs: where in such a file a value stands, and what stands there.

No message quotes anything of the files: what is not a key today may be one tomorrow.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ferryllm_proto import RemoteProtocolError, json

from .file_stamp import Stamped
from .formats import toml

MAX_WATCHED_FILE = 1 << 20
"""Most that is read, in bytes: settings of agents stay below 100 KiB, and a larger file is some other file."""
MAX_PARTS = 32
"""Names of a path. Files that programs write for people are nested less than ten deep."""
SUFFIXES = (".json", ".toml")

_PART = re.compile(r"""[^."'\s][^."']*|"([^"]+)"|'([^']+)'""")


class WatchFault(Exception):
    """A file holds no such value. The words are for whoever runs the gateway; ``mend`` may be empty."""

    def __init__(self, message: str, mend: str = "") -> None:
        super().__init__(message)
        self.mend = mend


class WatchedValues(NamedTuple):
    """What stands in a file."""

    key: str | None
    """None: nothing at its place."""
    url: str | None
    mode: int
    """Of the file."""


def path_parts(text: str) -> tuple[str, ...]:
    """The names in a dotted path. Raises ValueError where it is none."""
    parts: list[str] = []
    at = 0
    while True:
        found = _PART.match(text, at)
        if found is None or len(parts) == MAX_PARTS:
            raise ValueError("not a dotted path")
        parts.append(found[1] or found[2] or found[0].rstrip())
        at = found.end()
        if at == len(text):
            return tuple(parts)
        if text[at] != ".":
            raise ValueError("not a dotted path")
        at += 1


def values(file: Path, read: Stamped, key: tuple[str, ...], url: tuple[str, ...] | None) -> WatchedValues:
    """The texts at ``key`` and ``url`` in what was ``read`` of ``file``. Raises `WatchFault`."""
    if len(read.content) > MAX_WATCHED_FILE:
        raise WatchFault(f"{file} is larger than {MAX_WATCHED_FILE} bytes", "name the file with the key")
    document = _document(file, read.content)
    return WatchedValues(_text(document, key, file), None if url is None else _text(document, url, file), read.mode)


def _document(file: Path, content: bytes) -> object:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WatchFault(f"{file} is not UTF-8") from None
    if file.suffix.lower() == ".toml":
        try:
            return toml(text)
        except (ValueError, RecursionError):  # TOMLDecodeError is a ValueError; its words may quote the file
            raise WatchFault(f"{file} is not TOML") from None
    try:
        return json.loads(text.encode())
    except RemoteProtocolError:
        raise WatchFault(f"{file} is not JSON") from None


def _text(document: object, parts: tuple[str, ...], file: Path) -> str | None:
    value = document
    for part in parts:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdecimal() and int(part[:9]) < len(value):
            value = value[int(part[:9])]
        else:
            return None
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, str):
        raise WatchFault(f"what stands at {'.'.join(parts)} in {file} is no text", "name the key itself")
    return value.strip()
