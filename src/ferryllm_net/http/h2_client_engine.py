"""The HTTP/2 engine of a client: bytes in, events of many streams out; heads and data in, bytes out.

The counterpart of `h2_engine`, over the same filter of frames. hyper-h2 keeps the states and HPACK; which streams a
GOAWAY leaves alive, what may be opened now and how much a server may send for nothing are here. Nothing of h2 leaves
this module, and no exception is raised for what a peer sent.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import TypeAlias

import h2.events
import msgspec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import DenialOfServiceError, H2Error
from h2.exceptions import ProtocolError as H2ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import NeverIndexedHeaderTuple
from hpack.exceptions import HPACKError
from hyperframe.frame import GoAwayFrame

from .engine import Headers, Misuse, ResponseHead
from .h2_frames import GOAWAY, SETTINGS, FrameFault, FrameGuard
from .limits import Limits
from .prepared import PreparedHead

# hpack logs every field with its value at DEBUG: our keys, in whatever log the program has set up.
logging.getLogger("hpack").setLevel(logging.INFO)

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS = re.compile(rb"[1-5][0-9][0-9]")
# RFC 9113 section 8.2.2: fields of one HTTP/1.1 connection; an answer with one is malformed.
_OF_CONNECTION = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})
_SECRET = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key", "cookie"})
"""Never in a compression table (RFC 7541 section 7.1.3), where guesses of others could be measured against them."""
_LAST_STREAM = 2**31 - 1
_CLOSED_KEPT = 2048
"""Closed streams that are remembered, so that late frames are told from wrong ones; h2 alone keeps 65,536."""


class AnswerBegun(msgspec.Struct, frozen=True):
    """The head of a final answer."""

    stream: int
    head: ResponseHead


class AnswerInterim(msgspec.Struct, frozen=True):
    """A 1xx head."""

    stream: int


class AnswerData(msgspec.Struct, frozen=True):
    """Bytes of a body. ``size`` is what they took of the window, padding included: `give_back` it when they are
    read."""

    stream: int
    data: bytes
    size: int


class AnswerEnded(msgspec.Struct, frozen=True):
    """The answer is complete."""

    stream: int
    trailers: Headers


class StreamGone(msgspec.Struct, frozen=True):
    """The stream has ended without its answer."""

    stream: int
    reason: str
    code: int
    untouched: bool
    """The server says that it has done nothing for it (RFC 9113 section 8.7)."""


class RoomMade(msgspec.Struct, frozen=True):
    """More may be sent on a stream, or on all of them (0)."""

    stream: int


class ServerLeaves(msgspec.Struct, frozen=True):
    """GOAWAY: no more streams; those that run go on, but for the ones told by `StreamGone`."""


class Alive(msgspec.Struct, frozen=True):
    """Our PING was answered."""


class LinkLost(msgspec.Struct, frozen=True):
    """The server broke the connection's rules; GOAWAY is written. The last event."""

    reason: str


AnswerEvent: TypeAlias = (
    AnswerBegun | AnswerInterim | AnswerData | AnswerEnded | StreamGone | RoomMade | ServerLeaves | Alive | LinkLost
)


class _Malformed(Exception):
    """An answer that is none (RFC 9113 section 8.1.1)."""


class _Machine(H2Connection):
    MAX_CLOSED_STREAMS = _CLOSED_KEPT


class H2ClientEngine:
    """One HTTP/2 connection, seen from the client. After every call `take` the bytes to write.

    Streams are numbers. Methods raise `Misuse` for what is not possible, never for a stream that the server has ended
    meanwhile: those are silently nothing.
    """

    def __init__(self, limits: Limits) -> None:
        self.failed = False
        self.leaving = False
        """The server takes no more streams, or this side has no more numbers for them."""
        self.began = False
        """The server's SETTINGS have come."""
        self._limits = limits
        self._guard = FrameGuard(limits, preface=b"")
        self._out = bytearray()
        self._live: set[int] = set()
        self._trailers: dict[int, Headers] = {}
        self._unreturned = 0
        config = H2Configuration(
            client_side=True,
            header_encoding=None,
            normalize_inbound_headers=False,
            # Ours are checked by `prepare`.
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._h2 = machine = _Machine(config)
        machine.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.head_bytes,
                SettingCodes.INITIAL_WINDOW_SIZE: limits.h2_answer_window_bytes,
                SettingCodes.MAX_FRAME_SIZE: limits.h2_frame_bytes,
            },
        )
        # HPACK bombs (CVE-2016-6581): decoding stops at this many bytes, 32 for each field included.
        machine.decoder.max_header_list_size = limits.head_bytes
        machine.max_inbound_frame_size = limits.h2_frame_bytes
        machine.initiate_connection()
        machine.local_settings.acknowledge()
        machine.increment_flow_control_window(limits.h2_answers_window_bytes - 65535)

    # --- incoming ---

    def receive_data(self, data: bytes, now: float) -> list[AnswerEvent]:
        """Take bytes of the server. Never raises for them."""
        events: list[AnswerEvent] = []
        if self.failed:
            return events
        self._guard.receive_data(data)
        try:
            while (frame := self._guard.next_frame(now)) is not None:
                self._frame(frame, events)
        except FrameFault as fault:
            self._fail(fault.code, fault.message, events)
        except H2ProtocolError as exc:
            # The exception's text may quote a field, and h2 takes a broken header block for a PROTOCOL_ERROR.
            self._h2.clear_outbound_data_buffer()
            broken = isinstance(exc.__cause__, HPACKError) and not isinstance(exc, DenialOfServiceError)
            code = ErrorCodes.COMPRESSION_ERROR if broken else ErrorCodes(exc.error_code)
            self._fail(code, type(exc).__name__, events)
        return events

    def _frame(self, frame: bytes, events: list[AnswerEvent]) -> None:
        if not self.began:
            if frame[3] != SETTINGS or frame[4] & 1:
                # RFC 9113 section 3.4. A server of HTTP/1.1 answers so too: "HTTP/1.1 400" is a frame of 4.7 MB.
                raise FrameFault(ErrorCodes.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self.began = True
        if frame[3] == GOAWAY and not self._guard.within_block and len(frame) >= 17 and not any(frame[5:9]):
            # h2 would send nothing any more; RFC 9113 section 6.8 has the streams that run go on.
            self._leave(frame, events)
            return
        self._collect()
        for event in self._h2.receive_data(frame):
            self._translate(event, events)

    def _leave(self, frame: bytes, events: list[AnswerEvent]) -> None:
        last = int.from_bytes(frame[9:13], "big") & _LAST_STREAM
        code = int.from_bytes(frame[13:17], "big")
        self.leaving = True
        for stream in sorted(self._live):
            if stream > last:
                self._live.discard(stream)
                reason = f"closed the connection before it looked at the request ({_name(code)})"
                events.append(StreamGone(stream, reason, code, untouched=True))
        events.append(ServerLeaves())

    def _collect(self) -> None:
        self._out += self._h2.data_to_send()

    def _translate(self, event: h2.events.Event, events: list[AnswerEvent]) -> None:
        if isinstance(event, h2.events.DataReceived):
            assert event.stream_id is not None
            size = event.flow_controlled_length or 0
            # At once: what is kept is bounded by the windows of the streams, and one that nobody reads must not stop
            # the others.
            self._unreturned += size
            if self._unreturned * 2 >= self._limits.h2_answers_window_bytes:
                self._h2.increment_flow_control_window(self._unreturned)
                self._unreturned = 0
            if event.stream_id in self._live:
                events.append(AnswerData(event.stream_id, event.data or b"", size))
        elif isinstance(event, h2.events.StreamEnded):
            assert event.stream_id is not None
            if event.stream_id in self._live:
                self._live.discard(event.stream_id)
                events.append(AnswerEnded(event.stream_id, self._trailers.pop(event.stream_id, [])))
        elif isinstance(event, (h2.events.ResponseReceived, h2.events.InformationalResponseReceived)):
            assert event.stream_id is not None
            self._head(event.stream_id, [(bytes(name), bytes(value)) for name, value in event.headers or []], events)
        elif isinstance(event, h2.events.TrailersReceived):
            assert event.stream_id is not None
            self._take_trailers(event.stream_id, [(bytes(n), bytes(v)) for n, v in event.headers or []], events)
        elif isinstance(event, h2.events.StreamReset):
            self._reset_by_peer(event, events)
        elif isinstance(event, h2.events.WindowUpdated):
            events.append(RoomMade(event.stream_id or 0))
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self._bound_table()
            events.append(RoomMade(0))
        elif isinstance(event, h2.events.PingAckReceived):
            events.append(Alive())

    def _bound_table(self) -> None:
        """The server may allow us any table; we keep to ours, or it decides what its connection costs us."""
        if self._h2.encoder.header_table_size > self._limits.h2_table_bytes:
            self._h2.encoder.header_table_size = self._limits.h2_table_bytes

    def _reset_by_peer(self, event: h2.events.StreamReset, events: list[AnswerEvent]) -> None:
        stream = event.stream_id or 0
        if stream not in self._live:
            return
        self._live.discard(stream)
        self._trailers.pop(stream, None)
        code = int(event.error_code or 0)
        reason = f"reset the stream ({_name(code)})"
        events.append(StreamGone(stream, reason, code, untouched=code == ErrorCodes.REFUSED_STREAM))

    def _head(self, stream: int, fields: list[tuple[bytes, bytes]], events: list[AnswerEvent]) -> None:
        if stream not in self._live:
            return
        try:
            head = read_answer(fields, self._limits)
        except _Malformed as exc:
            self._spoil(stream, str(exc), events)
            return
        events.append(AnswerInterim(stream) if head.status < 200 else AnswerBegun(stream, head))

    def _take_trailers(self, stream: int, fields: list[tuple[bytes, bytes]], events: list[AnswerEvent]) -> None:
        if stream in self._live:
            try:
                self._trailers[stream] = _read_fields(fields, self._limits)
            except _Malformed as exc:
                self._spoil(stream, str(exc), events)

    def _spoil(self, stream: int, reason: str, events: list[AnswerEvent]) -> None:
        """RFC 9113 section 8.1.1: a malformed answer is an error of its stream alone."""
        self.reset(stream, ErrorCodes.PROTOCOL_ERROR)
        code = int(ErrorCodes.PROTOCOL_ERROR)
        events.append(StreamGone(stream, f"broke the protocol: {reason}", code, untouched=False))

    # --- outgoing ---

    def take(self) -> bytes:
        """What is to be written now."""
        self._collect()
        out = bytes(self._out)
        self._out.clear()
        return out

    @property
    def backlog(self) -> int:
        """Bytes that `take` would give."""
        self._collect()
        return len(self._out)

    @property
    def room(self) -> int:
        """How many streams may be opened now."""
        if self.failed or self.leaving:
            return 0
        # Before the server has said how many it takes, more than one may be too many, and be refused.
        most = min(self._limits.h2_streams, self._h2.remote_settings.max_concurrent_streams) if self.began else 1
        return max(0, most - self._h2.open_outbound_streams)

    def open(self, request: PreparedHead, authority: str, scheme: str, length: int | None) -> int:
        """Begin a request: its head. ``length`` of its body; None for none, which ends it. Answers with the stream.

        Raises `Misuse` where there is no `room`.
        """
        if not self.room:
            raise Misuse("HTTP/2: no room for another stream")
        fields: list[tuple[bytes, bytes]] = [
            (b":method", request.method.encode("ascii")),
            (b":scheme", scheme.encode("ascii")),
            (b":authority", authority.encode("ascii")),
            (b":path", request.target.encode("ascii")),
        ]
        for name, value in request.fields:
            pair = (name.encode("ascii"), value.encode("latin-1"))
            fields.append(NeverIndexedHeaderTuple(*pair) if name in _SECRET else pair)
        if length is not None:
            fields.append((b"content-length", b"%d" % length))
        stream = self._h2.get_next_available_stream_id()
        self._live.add(stream)
        self._attempt(lambda: self._h2.send_headers(stream, fields, end_stream=not length))
        if stream >= _LAST_STREAM - 2:
            self.leaving = True
        return stream

    def window(self, stream: int) -> int:
        """How many bytes of a body may go out on it in one frame now; 0 when the server has to read first."""
        if not self.writable(stream):
            return 0
        # Negative after SETTINGS that shrink it (RFC 9113 section 6.9.2).
        return max(0, min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size))

    def writable(self, stream: int) -> bool:
        """Whether it is open in our direction: neither ended by us nor reset by anybody."""
        found = self._h2.streams.get(stream)
        return not self.failed and found is not None and not found.closed

    def send_data(self, stream: int, data: bytes, *, end: bool) -> None:
        """At most `window` bytes of a body."""
        self._attempt(lambda: self._h2.send_data(stream, data, end_stream=end))

    def give_back(self, stream: int, size: int) -> None:
        """The server may send ``size`` more bytes on this stream."""
        if size and stream in self._live and self.writable(stream):
            self._attempt(lambda: self._h2.increment_flow_control_window(size, stream))

    def reset(self, stream: int, code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        """End a stream at once; nothing for one that is closed."""
        self._live.discard(stream)
        self._trailers.pop(stream, None)
        if self.writable(stream):
            self._attempt(lambda: self._h2.reset_stream(stream, code))

    def ping(self) -> None:
        """Ask whether anybody is there; `Alive` is the answer."""
        if not self.failed:
            self._attempt(lambda: self._h2.ping(b"ferryllm"))

    def fail(self, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """End the connection with GOAWAY; nothing else is sent after it."""
        if not self.failed:
            self.failed = True
            # Not by h2, which refuses where its own state has ended.
            frame = GoAwayFrame(0)
            frame.error_code = code
            self._collect()
            self._out += frame.serialize()

    def _attempt(self, call: Callable[[], None]) -> None:
        try:
            call()
        except H2Error as exc:
            raise Misuse(f"HTTP/2: {type(exc).__name__}") from exc

    def _fail(self, code: ErrorCodes, reason: str, events: list[AnswerEvent]) -> None:
        self.fail(code)
        events.append(LinkLost(reason))


def _name(code: int) -> str:
    try:
        return ErrorCodes(code).name
    except ValueError:
        return f"error {code}"


def read_answer(fields: list[tuple[bytes, bytes]], limits: Limits) -> ResponseHead:
    """An answer's head in the form of HTTP/1.1's, held to the same strictness. Raises `_Malformed`."""
    status = next((value for name, value in fields if name == b":status"), b"")
    if _STATUS.fullmatch(status) is None:
        raise _Malformed("the status is not a number from 100 to 599")
    if status == b"101":
        raise _Malformed("101 Switching Protocols, which HTTP/2 does not have")
    headers = _read_fields([pair for pair in fields if pair[0][:1] != b":"], limits)
    return ResponseHead(int(status), headers, "2")


def _read_fields(fields: list[tuple[bytes, bytes]], limits: Limits) -> Headers:
    if len(fields) > limits.head_fields:
        raise _Malformed(f"more than {limits.head_fields} fields")
    headers: Headers = []
    for name, value in fields:
        if _NAME.fullmatch(name) is None or _CONTROL.search(value) is not None:
            raise _Malformed("a field whose name or value holds a character that is not allowed")
        key = name.decode("ascii")
        if key in _OF_CONNECTION:
            raise _Malformed("a field of one HTTP/1.1 connection")
        headers.append((key, value.decode("latin-1")))
    return headers
