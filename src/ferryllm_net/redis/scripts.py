"""The Lua scripts of this folder, by name and digest."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

import msgspec


class Script(msgspec.Struct, frozen=True):
    name: str
    text: bytes
    digest: str
    """Its SHA-1, by which the server knows it (EVALSHA)."""


@functools.lru_cache(maxsize=16)  # there are fewer
def script(*parts: str) -> Script:
    """The script that ``parts``, names of files without their ending, make one behind the other."""
    folder = resources.files(__package__)
    text = b"\n".join((folder / f"{part}.lua").read_bytes() for part in parts)
    # No secret: the server's protocol names scripts so.
    return Script(parts[-1], text, hashlib.sha1(text, usedforsecurity=False).hexdigest())
