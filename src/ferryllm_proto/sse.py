"""Server-sent events: bytes to frames and back (WHATWG HTML, section 9.2).

Two departures from WHATWG, both because of real providers: a last event without its blank line is dispatched at the
end of the stream (S6), and an event needs data to be one (clients in the field dispatch blocks without data).
"""

from __future__ import annotations

import msgspec

from .errors import RemoteProtocolError
from .ir import ErrorKind

MAX_EVENT_SIZE = 16 << 20
"""Bytes of one event: a whole image in base64 fits. Go clients of this field broke at 64 KiB and went to 50 MB."""


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event: its ``event:`` field ("" when absent) and its joined ``data:`` lines."""

    event: str
    data: bytes


class FrameDecoder:
    """Cuts a byte stream into frames, whatever the chunking.

    Lines end at LF, CRLF or CR and nowhere else: U+2028 is text. `receive_data` raises `RemoteProtocolError` when one
    event grows over ``max_event_size`` bytes; the frames before it are in ``frames_before_fault``.
    """

    def __init__(self, *, max_event_size: int = MAX_EVENT_SIZE) -> None:
        self._buffer = bytearray()
        self._max = max_event_size
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._first = True
        self.frames_before_fault: list[Frame] = []

    def receive_data(self, data: bytes) -> list[Frame]:
        """Frames completed by ``data``."""
        frames: list[Frame] = []
        if self._after_cr and data[:1] == b"\n":
            data = data[1:]
            self._after_cr = False
        if not data:
            return frames
        self._after_cr = data[-1:] == b"\r"
        # One normalisation a chunk keeps the line loop on a single delimiter.
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        buffer = self._buffer
        if self._first:
            buffer += data
            if len(buffer) < 3 and b"\xef\xbb\xbf".startswith(buffer):
                return frames
            self._first = False
            if buffer.startswith(b"\xef\xbb\xbf"):
                del buffer[:3]
            lines = buffer.split(b"\n")
        else:
            # The rest of the last read joins the first line only: no copy of what is whole.
            pieces = data.split(b"\n")
            if buffer:
                if len(pieces) == 1:
                    buffer += data
                    self._check(len(buffer), frames)
                    return frames
                buffer += pieces[0]
                pieces[0] = bytes(buffer)
            lines = pieces  # type: ignore[assignment]  # bytes and bytearray lines are read alike below
        for line in lines[:-1]:
            if line:
                self._field(bytes(line), frames)
            elif self._data:
                frames.append(Frame(self._event, self._data[0] if len(self._data) == 1 else b"\n".join(self._data)))
                self._event, self._data, self._size = "", [], 0
            else:
                self._event = ""
        self._buffer = bytearray(lines[-1])
        self._check(len(self._buffer), frames)
        return frames

    def receive_eof(self) -> list[Frame]:
        """The last event when its blank line never came. Idempotent."""
        frames: list[Frame] = []
        if self._buffer:
            self._field(bytes(self._buffer), frames)
            self._buffer = bytearray()
        if self._data:
            frames.append(Frame(self._event, b"\n".join(self._data)))
            self._event, self._data = "", []
        return frames

    def _field(self, line: bytes, frames: list[Frame]) -> None:
        name, _, value = line.partition(b":")
        if value[:1] == b" ":
            value = value[1:]
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
            self._check(self._size, frames)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        # Not here: comments (empty name), id and retry, which no dialect uses, and unknown fields.

    def _check(self, size: int, frames: list[Frame]) -> None:
        if size > self._max:
            self.frames_before_fault = frames
            raise RemoteProtocolError(f"one event is larger than {self._max} bytes", kind=ErrorKind.UPSTREAM)


def encode(event: str, data: bytes) -> bytes:
    """One event. ``data`` must not hold a line end; JSON never does."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data


def comment(text: str = "") -> bytes:
    """A comment line: keeps a connection alive and is no event."""
    return b": %b\n\n" % text.encode()
