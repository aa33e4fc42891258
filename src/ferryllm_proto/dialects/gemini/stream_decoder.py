"""Bytes of a provider's stream to events.  [hot]

Server-Sent Events with any line ends, one JSON array cut anywhere, or one object: which it is the first byte says.
Nothing a provider sends raises: a fault is a `StreamFailed`, and the last event.
"""

from __future__ import annotations

import enum

import msgspec

from ... import ir, json
from ...errors import RemoteProtocolError
from ...events import End, Event, Start, StreamFailed, UsageUpdate
from ...held import MAX_BODY
from ...sse import MAX_EVENT_SIZE, FrameDecoder
from .chunks import ChunkReader
from .cutter import ArrayCutter

_BLANK = b"\xef\xbb\xbf \t\r\n"


class State(enum.Enum):
    HEAD = "head"
    """No byte that says what it is."""
    EVENTS = "events"
    ARRAY = "array"
    BODY = "body"
    """The provider ignored what was asked for and answers with one object (S10)."""
    CLOSED = "closed"


_HEAD, _EVENTS, _ARRAY, _BODY, _CLOSED = State.HEAD, State.EVENTS, State.ARRAY, State.BODY, State.CLOSED

_FIRST: dict[bytes, State] = {b"{": _BODY, b"[": _ARRAY}
"""The first byte that is no blank, to the form. Not in it: everything else, which is a stream of events."""


_EMPTY = (Start, UsageUpdate)
_CR, _LF = 13, 10


class StreamDecoder:
    """Reads one stream. Call `receive_data` for every read and `receive_eof` when the provider has closed."""

    __slots__ = ("_cutter", "_frames", "_held", "_reader", "state")

    def __init__(self) -> None:
        self.state = _HEAD
        self._frames = FrameDecoder()
        self._cutter = ArrayCutter()
        self._held = bytearray()
        self._reader = ChunkReader()

    def receive_data(self, data: bytes) -> list[Event]:
        """Events completed by ``data``."""
        out: list[Event] = []
        try:
            self._receive(data, out)
        except RemoteProtocolError as exc:
            self._fail(exc.error, out)
        return out

    def receive_eof(self) -> list[Event]:
        """The provider closed the connection. Idempotent."""
        out: list[Event] = []
        try:
            self._receive_eof(out)
        except RemoteProtocolError as exc:
            self._fail(exc.error, out)
        return out

    def _receive(self, data: bytes, out: list[Event]) -> None:
        if self.state is _HEAD:
            self._held += data
            start = bytes(self._held).lstrip(_BLANK)
            if not start:
                return
            self.state = _FIRST.get(start[:1], _EVENTS)
            data = bytes(self._held).removeprefix(b"\xef\xbb\xbf") if self.state is _ARRAY else bytes(self._held)
            self._held.clear()
        if self.state is _EVENTS:
            self._events(data, out)
        elif self.state is _ARRAY:
            self._elements(data, out)
        elif self.state is _BODY:
            self._held += data
            if len(self._held) > MAX_BODY:
                raise RemoteProtocolError(f"the answer is longer than {MAX_BODY} bytes", kind=ir.ErrorKind.UPSTREAM)

    def _events(self, data: bytes, out: list[Event]) -> None:
        end = b"\r\n\r\n" if data.endswith(b"\r\n\r\n") else b"\n\n"
        if len(data) > MAX_EVENT_SIZE or not data.endswith(end) or not self._frames.idle:
            self._framed(data, out)
            return
        repeat = self._reader.repeat
        pieces = data.split(end)
        pieces.pop()
        for n, piece in enumerate(pieces):
            # The usual event is one line, and the one before it again but for its text: no need to frame it.
            if piece.startswith(b"data: {") and _LF not in piece and _CR not in piece and repeat(piece[6:], out):
                continue
            self._framed(piece + end, out)
            if not self._frames.idle:
                self._framed(b"".join([one + end for one in pieces[n + 1 :]]), out)
                return

    def _framed(self, data: bytes, out: list[Event]) -> None:
        fault: RemoteProtocolError | None = None
        try:
            frames = self._frames.receive_data(data)
        except RemoteProtocolError as exc:
            frames, fault = self._frames.frames_before_fault, exc
        for frame in frames:
            self._frame(frame.data, frame.event, out)
        if fault is not None:
            raise fault

    def _frame(self, data: bytes, event: str, out: list[Event]) -> None:
        if data[:1] != b"{":
            data = data.strip()
            if data[:1] == b"[" and data[-1:] == b"]" and b'"error"' in data:
                data = data[1:-1].strip()  # an error of the array form in a stream of events
            if data[:1] != b"{":
                return  # prose, terminators and empty events of proxies mean nothing (S8)
        if event == "error" and b'"error"' not in data:
            data = b'{"error":%b}' % data
        self._reader.chunk(data, out)

    def _elements(self, data: bytes, out: list[Event]) -> None:
        fault: RemoteProtocolError | None = None
        try:
            pieces = self._cutter.receive_data(data)
        except RemoteProtocolError as exc:
            pieces, fault = self._cutter.pieces_before_fault, exc
        for is_element, piece in pieces:
            if is_element and piece[:1] == b"{":
                self._reader.chunk(json.mend_utf8(piece), out)
        if fault is not None:
            raise fault

    def _receive_eof(self, out: list[Event]) -> None:
        if self.state is _CLOSED:
            return
        reader = self._reader
        if self.state is _EVENTS:
            complete = reader.complete
            try:
                for frame in self._frames.receive_eof():
                    self._frame(frame.data, frame.event, out)
            except RemoteProtocolError as exc:
                # A torn last event behind the reason to stop takes nothing away; an error it reports does (T2).
                if not complete or exc.error.dialect is not None:
                    raise
        elif self.state is _BODY:
            reader.chunk(json.mend_utf8(bytes(self._held).lstrip(_BLANK)), out)
            self._held.clear()
            self._end_body(out)
            return
        if not reader.complete:
            what = "before its end" if reader.started else "without one event"
            raise RemoteProtocolError(f"the provider's stream stopped {what}", kind=ir.ErrorKind.TRUNCATED)
        self._end(out)

    def _end_body(self, out: list[Event]) -> None:
        """A whole answer is complete without a reason to stop, but not without content."""
        if not self._reader.complete and not any(type(event) not in _EMPTY for event in out):
            message = "the provider's answer has neither candidates nor promptFeedback"
            raise RemoteProtocolError(message, kind=ir.ErrorKind.UPSTREAM)
        self._end(out)

    def _end(self, out: list[Event]) -> None:
        self._reader.end(out)
        out.append(End())
        self.state = _CLOSED

    def _fail(self, error: ir.Error, out: list[Event]) -> None:
        if self.state is _CLOSED:
            return
        self.state = _CLOSED
        if error.kind is ir.ErrorKind.BAD_REQUEST and error.dialect is None:
            error = msgspec.structs.replace(error, kind=ir.ErrorKind.UPSTREAM, param=None)
        out.append(StreamFailed(error))
