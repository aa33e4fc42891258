"""Cuts a JSON array that arrives in pieces into its elements, whatever the pieces (translation.md D2)."""

from __future__ import annotations

import re

from ...errors import RemoteProtocolError
from ...ir import ErrorKind
from ...sse import MAX_EVENT_SIZE

_OUTSIDE = re.compile(rb'["\[\]{}]')
_INSIDE = re.compile(rb'["\\]')


class ArrayCutter:
    """Bytes in, pieces out: each an element, or what stands between them. The pieces together are the bytes.

    Elements that are no object or array count as what stands between. Raises `RemoteProtocolError` when an element is
    larger than `MAX_EVENT_SIZE`; the pieces of the same call before it are in ``pieces_before_fault``.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = 0
        """How much of what is held was looked at."""
        self._depth = 0
        self._string = False
        self.closed = False
        """Whether the array's end was seen; what follows it stands between."""
        self.last = b""
        """The last byte between elements that is no blank: ``[``, ``,`` or ``]``; b"" right behind an element."""
        self.pieces_before_fault: list[tuple[bool, bytes]] = []

    @property
    def inside(self) -> bool:
        """Whether an element has begun and not ended."""
        return bool(self._held)

    def receive_data(self, data: bytes) -> list[tuple[bool, bytes]]:
        """The pieces completed by ``data``: whether each is an element, and its bytes."""
        out: list[tuple[bool, bytes]] = []
        held = self._held
        held += data
        begin, at = 0, self._at
        while True:
            if self._string:
                found = _INSIDE.search(held, at)
                if found is None:
                    at = len(held)
                    break
                if found[0] == b"\\":
                    if found.end() >= len(held):
                        at = found.start()
                        break
                    at = found.end() + 1
                    continue
                self._string, at = False, found.end()
                continue
            found = _OUTSIDE.search(held, at)
            if found is None:
                at = len(held)
                break
            at = found.end()
            char = found[0]
            if char == b'"':
                self._string = True
            elif char in b"[{":
                self._depth += 1
                if self._depth == 2 and not self.closed:
                    self._between(bytes(held[begin : found.start()]), out)
                    begin = found.start()
            else:
                self._depth -= 1
                if self._depth == 1 and not self.closed:
                    out.append((True, bytes(held[begin:at])))
                    self.last = b""
                    begin = at
                elif self._depth <= 0:
                    self.closed = True
        if self._depth < 2 or self.closed:
            self._between(bytes(held[begin:]), out)
            begin = at = len(held)
        del held[:begin]
        self._at = at - begin
        if len(held) > MAX_EVENT_SIZE:
            self.pieces_before_fault = out
            raise RemoteProtocolError(f"one element is larger than {MAX_EVENT_SIZE} bytes", kind=ErrorKind.UPSTREAM)
        return out

    def _between(self, data: bytes, out: list[tuple[bool, bytes]]) -> None:
        if data:
            out.append((False, data))
            self.last = data.strip()[-1:] or self.last

    def rest(self) -> bytes:
        """What is held of an element that did not end; afterwards nothing is."""
        held, self._at = bytes(self._held), 0
        self._held.clear()
        return held
