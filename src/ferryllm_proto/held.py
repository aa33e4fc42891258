"""A whole answer that passes through and is read at its end: kept up to a bound, held back where it has to be changed.

Apart from the dialects, because what one of them reads in it is its own, and how it is kept is not.
"""

from __future__ import annotations

MAX_BODY = 64 << 20
"""Bytes of a whole answer that are kept to be read: the limit of one upstream JSON."""


class HeldBody:
    """Pieces in, pieces out; at the end the whole of them. A body over `MAX_BODY` bytes passes on unread."""

    __slots__ = ("_pieces", "_size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def receive_data(self, data: bytes, *, hold: bool) -> bytes:
        """What to pass on: ``data``, or nothing while it is held back (``hold``, the same in every call)."""
        if self._size > MAX_BODY:
            return data
        self._pieces.append(data)
        self._size += len(data)
        if self._size <= MAX_BODY:
            return b"" if hold else data
        held, self._pieces = b"".join(self._pieces), []
        return held if hold else data

    def take(self) -> bytes:
        """The whole body, once; nothing where it was too long."""
        body, self._pieces = b"".join(self._pieces), []
        return body
