"""Chunks that differ in nothing but a text and the counted tokens: nearly all there are.  [hot]

Apart from the decoder and the scanner, which read a chunk whole, learn from it, and then need not read the next ones
that are the same bytes around another text and other numbers. Everything unusual is left to them.
"""

from __future__ import annotations

from ...octets import BACKSLASH, QUOTE

_MAX_MISSES = 8
"""How many chunks in a row may not repeat the one before them until nobody looks any more."""


class Repeats:
    """The bytes around the text and the usage of the last chunk; none before one was learnt."""

    __slots__ = ("_before", "_between", "_misses", "_size", "behind")

    def __init__(self) -> None:
        self._before = b""
        self._between = b""
        self.behind = b""
        """What follows the usage."""
        self._size = 0
        self._misses = 0

    @property
    def over(self) -> bool:
        """Whether nothing will be learnt any more."""
        return self._misses > _MAX_MISSES

    def take(self, data: bytes) -> tuple[str, bytes] | None:
        """The text and what stands where the usage was; None for a chunk that has to be read as any other.

        Whether the second is one JSON value is for the caller to see.
        """
        if not self._size or not data.startswith(self._before) or not data.endswith(self.behind):
            return None
        at = data.find(self._between, self._size)
        start, end = at + len(self._between), len(data) - len(self.behind)
        if at < 0 or start >= end:
            return None
        # Without a quote and a backslash the string goes on to its end; what can not be printed may be no JSON.
        text = data[self._size : at]
        if QUOTE in text or BACKSLASH in text:
            return None
        try:
            found = text.decode()
        except UnicodeDecodeError:
            return None
        if not found or not found.isprintable():
            return None
        self._misses = 0
        return found, data[start:end]

    def learn(self, data: bytes, text: str, counted: bytes) -> bool:
        """Remember a chunk of which ``text`` and its usage, ``counted``, are all there is to say; whether it was.

        Nothing is remembered where it is not certain which bytes those are.
        """
        if self._misses > _MAX_MISSES or BACKSLASH in data or not counted:
            return False
        # Without a backslash every quote begins or ends a string: what looks like a member is one, the only one.
        if data.count(b'"text"') != 1 or data.count(b'"usageMetadata"') != 1:
            return False
        words = b'"%b"' % text.encode("utf-8", "surrogatepass")
        for colon in (b":", b": "):
            at = data.find(b'"text"%b%b' % (colon, words))
            usage = data.find(b'"usageMetadata"%b%b' % (colon, counted))
            if 0 <= at < usage:
                start, middle = at + len(colon) + 7, usage + len(b'"usageMetadata"') + len(colon)
                self._before, self._size = data[:start], start
                self._between, self.behind = data[start + len(words) - 2 : middle], data[middle + len(counted) :]
                self._misses += 1
                return True
        return False
