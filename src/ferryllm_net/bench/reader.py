"""ResponseReader: an HTTP/1.1 answer, read by as little code as will do; pure.

Not the engine of `ferryllm_net.http`: what measures must not change with what is measured. It trusts the other side to
be a gateway under test and checks only what would make a figure wrong.
"""

from __future__ import annotations

import enum

MAX_HEAD = 65_536
"""Bytes of a head; ferryllm's own client stops at the same."""
MAX_LINE = 4_096
"""Bytes of a chunk's size line or of a trailer."""


class BrokenAnswerError(Exception):
    """The answer is not HTTP/1.1 or does not end as it promised; the message is short enough to be counted by."""


class _State(enum.Enum):
    HEAD = "head"
    LENGTH = "length"
    """Body of a known length."""
    SIZE = "size"
    """The line before a chunk."""
    CHUNK = "chunk"
    CHUNK_END = "chunk end"
    TRAILERS = "trailers"
    CLOSE = "close"
    """Body until the connection ends."""
    DONE = "done"


class ResponseReader:
    """One answer. Feed `receive_data`; it is whole when `done`. Make a new one for the next answer."""

    def __init__(self) -> None:
        self.status = 0
        """0 until the head has come."""
        self.keep_alive = True
        self._state = _State.HEAD
        self._held = b""
        self._left = 0

    @property
    def done(self) -> bool:
        return self._state is _State.DONE

    def receive_data(self, data: bytes) -> bytes:
        """The bytes of the body that came with ``data``. Raises `BrokenAnswerError`."""
        if self._held:
            data = self._held + data
            self._held = b""
        body: list[bytes] = []
        pos = 0
        while True:
            before, state = pos, self._state
            pos = _STEPS[state](self, data, pos, body)
            if (pos == before and self._state is state) or (pos == len(data) and self._state is not _State.DONE):
                break
        self._held = data[pos:]
        if self._state is _State.DONE and self._held:
            raise BrokenAnswerError("more than one answer")
        if len(self._held) > (MAX_HEAD if self._state is _State.HEAD else MAX_LINE):
            raise BrokenAnswerError(f"{self._state.value} too long")
        return body[0] if len(body) == 1 else b"".join(body)

    def receive_eof(self) -> None:
        """The connection has ended. Raises `BrokenAnswerError` where the answer was not over."""
        if self._state is _State.CLOSE:
            self._state = _State.DONE
        elif self._state is not _State.DONE:
            raise BrokenAnswerError("connection closed" if self.status == 0 else "answer cut")

    def _head(self, data: bytes, pos: int, body: list[bytes]) -> int:
        end = data.find(b"\r\n\r\n", pos)
        if end < 0:
            return pos
        first, *lines = data[pos:end].split(b"\r\n")
        if not first.startswith(b"HTTP/1.") or not first[9:12].isdigit():
            raise BrokenAnswerError("not HTTP/1.1")
        status = int(first[9:12])
        if 100 <= status < 200:
            return end + 4
        self.status = status
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        connection = fields.get(b"connection", b"").lower()
        self.keep_alive = b"close" not in connection and not first.startswith(b"HTTP/1.0")
        if b"chunked" in fields.get(b"transfer-encoding", b"").lower():
            self._state = _State.SIZE
        elif b"content-length" in fields:
            length = fields[b"content-length"]
            if not length.isdigit():
                raise BrokenAnswerError("bad content-length")
            self._left = int(length)
            self._state = _State.LENGTH if self._left else _State.DONE
        elif status in (204, 304):
            self._state = _State.DONE
        else:
            self._state, self.keep_alive = _State.CLOSE, False
        return end + 4

    def _length(self, data: bytes, pos: int, body: list[bytes]) -> int:
        end = self._take(data, pos, body)
        if not self._left:
            self._state = _State.DONE
        return end

    def _take(self, data: bytes, pos: int, body: list[bytes]) -> int:
        piece = data[pos : pos + self._left]
        if piece:
            body.append(piece)
        self._left -= len(piece)
        return pos + len(piece)

    def _size(self, data: bytes, pos: int, body: list[bytes]) -> int:
        end = data.find(b"\r\n", pos)
        if end < 0:
            return pos
        try:
            self._left = int(data[pos:end].partition(b";")[0], 16)
        except ValueError:
            raise BrokenAnswerError("bad chunk size") from None
        self._state = _State.CHUNK if self._left else _State.TRAILERS
        return end + 2

    def _chunk(self, data: bytes, pos: int, body: list[bytes]) -> int:
        end = self._take(data, pos, body)
        if not self._left:
            self._state = _State.CHUNK_END
        return end

    def _chunk_end(self, data: bytes, pos: int, body: list[bytes]) -> int:
        if len(data) - pos < 2:
            return pos
        if data[pos : pos + 2] != b"\r\n":
            raise BrokenAnswerError("bad chunk end")
        self._state = _State.SIZE
        return pos + 2

    def _trailers(self, data: bytes, pos: int, body: list[bytes]) -> int:
        end = data.find(b"\r\n", pos)
        if end < 0:
            return pos
        if end == pos:
            self._state = _State.DONE
        return end + 2

    def _close(self, data: bytes, pos: int, body: list[bytes]) -> int:
        body.append(data[pos:])
        return len(data)

    def _done(self, data: bytes, pos: int, body: list[bytes]) -> int:
        return pos


_STEPS = {
    _State.HEAD: ResponseReader._head,
    _State.LENGTH: ResponseReader._length,
    _State.SIZE: ResponseReader._size,
    _State.CHUNK: ResponseReader._chunk,
    _State.CHUNK_END: ResponseReader._chunk_end,
    _State.TRAILERS: ResponseReader._trailers,
    _State.CLOSE: ResponseReader._close,
    _State.DONE: ResponseReader._done,
}
