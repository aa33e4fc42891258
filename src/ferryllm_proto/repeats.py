"""Events of a stream that differ in nothing but one string: nearly all there are.  [hot]

Apart from the dialects, whose decoders read an event whole, and then need not read the next ones that are the same
bytes around another text. Everything unusual is left to them, so what comes out is the same with and without this.
"""

from __future__ import annotations

from collections.abc import Callable

from .events import ArgsDelta, Event, ReasoningDelta, TextDelta
from .octets import BACKSLASH, LF, QUOTE
from .sse import MAX_EVENT_SIZE, Frame

_MAX_MISSES = 8
"""How many events in a row may show that a stream does not repeat itself (it numbers its events, or pads them) before
nobody looks any more."""
FIRST = 2048
"""Bytes of a long read that are read as they come, to learn from them how the rest goes on."""

Delta = TextDelta | ReasoningDelta | ArgsDelta
Read = Callable[[bytes, list[Event]], None]
Steady = Callable[[], bool]


class Repeats:
    """Stands before the reading of one stream.

    ``read`` reads any bytes and appends their events, and calls `learn` for an event that was one delta. ``steady``
    says whether the next byte begins an event, and whether a delta of the block of the learnt one would be taken for
    what it was then.
    """

    __slots__ = ("_before", "_behind", "_kind", "_misses", "_size", "ix")

    def __init__(self) -> None:
        self.ix = -1
        """The block of the learnt event; -1 before there is one."""
        self._kind: type[Delta] = TextDelta
        self._before = b""
        self._behind = b""
        self._size = 0
        self._misses = 0

    def receive(self, data: bytes, out: list[Event], read: Read, steady: Steady) -> None:
        """Append the events of ``data``."""
        before, behind = self._before, self._behind
        # One event and no more is what a paced stream brings: the same as below, without a list of pieces.
        if before and data.endswith(behind) and data.startswith(before) and self._misses <= _MAX_MISSES:
            inner = data[self._size : -len(behind)]
            # The end begins with a quote: without one in the text there is no second event in it.
            if QUOTE not in inner and BACKSLASH not in inner and len(data) <= MAX_EVENT_SIZE and steady():
                try:
                    text = inner.decode()
                except UnicodeDecodeError:
                    text = ""
                if text.isprintable() and text:
                    self._misses = 0
                    out.append(self._kind(self.ix, text))
                    return
        while data:
            size = len(data)
            if self._size and size <= MAX_EVENT_SIZE and self._misses <= _MAX_MISSES:
                if not steady():
                    cut = data.find(b"\n\n") + 2  # the end of an event that a read has cut
                    if cut < 2 or cut == size:
                        break
                    read(data[:cut], out)
                    data = data[cut:]
                    if not steady():
                        break
                pieces = data.split(self._behind)
                if len(pieces) == 1:
                    break
                data = self._take(pieces, out, read, steady)
                continue
            cut = data.find(b"\n\n", FIRST) + 2
            if self._misses > _MAX_MISSES or size <= FIRST or cut < 2 or cut == size:
                break
            known = self._before
            read(data[:cut], out)
            data = data[cut:]
            if self._before is known:
                break
        if data:
            read(data, out)

    def _take(self, pieces: list[bytes], out: list[Event], read: Read, steady: Steady) -> bytes:
        """Events, each cut before `_behind`; returned are bytes that are still to be read."""
        before, behind, size, ix, kind = self._before, self._behind, self._size, self.ix, self._kind
        rest = pieces.pop()
        for n, piece in enumerate(pieces):
            if piece.startswith(before):
                data = piece[size:]
                # Without a quote and a backslash the string goes on up to its end as it was learnt.
                if QUOTE not in data and BACKSLASH not in data:
                    try:
                        text = data.decode()
                    except UnicodeDecodeError:
                        text = ""
                    if text.isprintable() and text:  # what can not be printed may be a line end, or no JSON
                        out.append(kind(ix, text))
                        continue
            read(piece + behind, out)
            if self._behind is not behind or self._before is not before or self.ix != ix or not steady():
                pieces.append(rest)
                return behind.join(pieces[n + 1 :])
        self._misses = 0
        return rest

    def learn(self, frame: Frame, key: bytes, delta: Delta) -> bool:
        """Remember an event, of which ``delta`` is all there is to say and the member ``key`` has its text.

        Returned is whether it was learnt: nothing is where it is not certain which bytes the text is.
        """
        data = frame.data
        if self._misses > _MAX_MISSES or BACKSLASH in data or LF in data:
            return False
        # Without a backslash every quote begins or ends a string: what looks like the member is one, the only one.
        if data.count(b'"%b"' % key) != 1:
            return False
        needle = b'"%b":"%b"' % (key, delta.text.encode("utf-8", "surrogatepass"))
        at, start = data.find(needle), len(key) + 4
        if at < 0:
            needle = needle.replace(b":", b": ", 1)
            at, start = data.find(needle), start + 1
            if at < 0:
                return False
        line = b"event: %b\ndata: " % frame.event.encode() if frame.event else b"data: "
        before, behind = line + data[: at + start], data[at + len(needle) - 1 :] + b"\n\n"
        if before == self._before and behind == self._behind and type(delta) is self._kind and delta.ix == self.ix:
            return True  # so it does repeat itself
        self._misses += 1
        self._before, self._behind = before, behind
        self._size, self._kind, self.ix = len(self._before), type(delta), delta.ix
        return True
