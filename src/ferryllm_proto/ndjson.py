"""JSON lines: cuts a byte stream at its line ends, whatever the chunking.

Apart from the dialects as `sse` is: framing knows nothing of what stands in a line.
"""

from __future__ import annotations

from . import ir, json
from .errors import RemoteProtocolError

MAX_LINE = 16 << 20
"""Bytes of one line, as much as one event of a stream may have: a tool call comes whole in one."""

_BOM = b"\xef\xbb\xbf"


class LineDecoder:
    """Bytes in, whole lines out: without their ends, without blanks around them, never empty.

    A line ends at LF; the CR of a CRLF counts as a blank. `receive_data` raises `RemoteProtocolError` when a line
    grows over ``max_line`` bytes; the lines of the same call before it are in ``lines_before_fault``, and nothing
    comes after it. What is no UTF-8 is replaced by U+FFFD (wire.md 8.9).
    """

    __slots__ = ("_failed", "_first", "_max", "_tail", "lines_before_fault")

    def __init__(self, *, max_line: int = MAX_LINE) -> None:
        self._max = max_line
        self._tail = bytearray()
        self._first = True
        self._failed = False
        self.lines_before_fault: list[bytes] = []

    def receive_data(self, data: bytes) -> list[bytes]:
        """Lines completed by ``data``."""
        if self._failed:
            return []
        if self._tail:
            if b"\n" not in data:
                # Only more of a line: no join, so that a long line in small reads does not cost its square.
                self._tail += data
                self._check([])
                return []
            data = b"".join((self._tail, data))
            self._tail.clear()
        pieces = data.split(b"\n")
        self._tail += pieces.pop()
        lines: list[bytes] = []
        for piece in pieces:
            if len(piece) > self._max:
                self._fail(lines)
            if line := self._mended(piece):
                lines.append(line)
        self._check(lines)
        return lines

    def receive_eof(self) -> list[bytes]:
        """The last line when its end never came. Idempotent."""
        line = self._mended(bytes(self._tail))
        self._tail.clear()
        return [line] if line else []

    def _mended(self, piece: bytes) -> bytes:
        line = piece.strip()
        if self._first and line:
            self._first = False
            line = line.removeprefix(_BOM).strip()
        return json.mend_utf8(line)

    def _check(self, lines: list[bytes]) -> None:
        if len(self._tail) > self._max:
            self._fail(lines)

    def _fail(self, lines: list[bytes]) -> None:
        self._failed = True
        self._tail.clear()
        self.lines_before_fault = lines
        raise RemoteProtocolError(f"a line of the stream is longer than {self._max} bytes", kind=ir.ErrorKind.UPSTREAM)
