"""The HTTP/2 engine of a server: bytes in, events of many streams out; heads and data in, bytes out.

hyper-h2 keeps the states and HPACK; strictness, the counting of resets and GOAWAY in two steps are here. Nothing of h2
leaves this module and `h2_frames`, and no exception is raised for what a peer sent.
"""

from __future__ import annotations

import logging
import re
import struct
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
from h2.stream import StreamState
from hpack.exceptions import HPACKError
from hyperframe.frame import GoAwayFrame

from .engine import Fault, Headers, Misuse, RequestHead
from .h2_frames import GOAWAY, RST_STREAM, SETTINGS, Budget, FrameFault, FrameGuard
from .limits import Limits
from .preface import PREFACE

# hpack logs every field with its value at DEBUG: keys of clients, in whatever log the program has set up.
logging.getLogger("hpack").setLevel(logging.INFO)

_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_PATH = re.compile(rb"/[\x21\x22\x24-\x7e]*")
_AUTHORITY = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+;=\-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_NAME_OUT = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
# RFC 9113 section 8.2.2: fields of one HTTP/1.1 connection, which would make the message malformed.
_OF_CONNECTION = frozenset({"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"})

_ALL_STREAMS = 2**31 - 1
_DRAIN_PING = b"ferrydrn"
_SENDING = (StreamState.OPEN, StreamState.HALF_CLOSED_REMOTE)
_DATA_HEAD = struct.Struct(">HBBBI")
"""Length in two parts, type, flags, stream (RFC 9113 section 4.1)."""
_CLOSED_KEPT = 2048
"""Closed streams that are remembered, so that late frames are told from wrong ones; h2 alone keeps 65,536."""


class StreamOpened(msgspec.Struct, frozen=True):
    """A request's head. ``fault`` is set where it is to be answered with an error at once."""

    stream: int
    head: RequestHead
    ended: bool
    fault: Fault | None = None


class StreamData(msgspec.Struct, frozen=True):
    """Bytes of a body. ``size`` is what they took of the window, padding included: `give_back` it when they are
    read."""

    stream: int
    data: bytes
    size: int


class StreamEnded(msgspec.Struct, frozen=True):
    """The request is complete; its trailers are checked and dropped."""

    stream: int


class StreamLost(msgspec.Struct, frozen=True):
    """The stream was reset, by the client or because of it: nobody is there to answer to."""

    stream: int


class WindowOpened(msgspec.Struct, frozen=True):
    """More may be sent on a stream, or on all of them (0)."""

    stream: int


class PeerLeaves(msgspec.Struct, frozen=True):
    """GOAWAY: the client opens no more streams, those that run go on."""


class DrainSeen(msgspec.Struct, frozen=True):
    """The client has seen our first GOAWAY: what it opened before that has arrived."""


class ConnectionLost(msgspec.Struct, frozen=True):
    """The client broke the connection's rules; GOAWAY with the reason is written. The last event."""

    reason: str


StreamEvent: TypeAlias = (
    StreamOpened | StreamData | StreamEnded | StreamLost | WindowOpened | PeerLeaves | DrainSeen | ConnectionLost
)


class _Malformed(Exception):
    """A request that is none (RFC 9113 section 8.1.1)."""


class _Machine(H2Connection):
    MAX_CLOSED_STREAMS = _CLOSED_KEPT


class H2ServerEngine:
    """One HTTP/2 connection, seen from the server. After every call `take` the bytes to write.

    Streams are numbers. All methods but `receive_data` raise `Misuse` for what is not possible, never for a stream the
    client has reset meanwhile: those are silently nothing.
    """

    def __init__(self, limits: Limits) -> None:
        self.failed = False
        self._limits = limits
        self._guard = FrameGuard(limits)
        self._out = bytearray()
        self._live: set[int] = set()
        """Streams that the client may still be waiting for."""
        self._running: set[int] = set()
        """Streams that are worked for. One that was reset counts until its work has ended (CVE-2023-44487)."""
        self._unreturned = 0
        self._resets = Budget(limits.h2_resets, limits.h2_flood_secs)
        self._late = Budget(limits.h2_late_frames, limits.h2_flood_secs)
        self._opened = Budget(_ALL_STREAMS, limits.h2_flood_secs)
        self._last = 0
        self._closed_to = _ALL_STREAMS
        """Streams above it are not served: the last one of our second GOAWAY."""
        config = H2Configuration(
            client_side=False,
            header_encoding=None,
            normalize_inbound_headers=False,  # joining cookies would hide their number
            # Ours are checked and written in one pass by `_fields_out`.
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._h2 = machine = _Machine(config)
        machine.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: limits.h2_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.head_bytes,
                SettingCodes.INITIAL_WINDOW_SIZE: limits.h2_stream_window_bytes,
                SettingCodes.MAX_FRAME_SIZE: limits.h2_frame_bytes,
            },
        )
        # HPACK bombs (CVE-2016-6581): decoding stops at this many bytes, 32 for each field included.
        machine.decoder.max_header_list_size = limits.head_bytes
        machine.max_inbound_frame_size = limits.h2_frame_bytes
        machine.initiate_connection()
        # A client that has not seen our SETTINGS may open more (RFC 9113 section 5.1.2): the connection refuses those
        # one by one. h2, which ends the connection, gets a limit for those who know and go on.
        machine.local_settings.max_concurrent_streams = 2 * limits.h2_streams + 1
        machine.local_settings.acknowledge()
        machine.increment_flow_control_window(limits.h2_connection_window_bytes - 65535)

    # --- incoming ---

    @property
    def within_head(self) -> bool:
        """The client keeps us waiting within a frame or a header block."""
        return self._guard.within_head

    @property
    def frames(self) -> int:
        """How many have come, a header block counted when it is complete."""
        return self._guard.passed

    @property
    def begun(self) -> bool:
        """The preface and the first SETTINGS have come."""
        return self._guard.begun

    def receive_data(self, data: bytes, now: float) -> list[StreamEvent]:
        """Take bytes of the client. Never raises for them."""
        events: list[StreamEvent] = []
        if self.failed:
            return events
        self._guard.receive_data(data)
        try:
            while (frame := self._guard.next_frame(now)) is not None:
                self._frame(frame, now, events)
        except FrameFault as fault:
            self._fail(fault.code, fault.message, events)
        except H2ProtocolError as exc:
            # The exception's text may quote a field, and h2 takes a broken header block for a PROTOCOL_ERROR.
            self._h2.clear_outbound_data_buffer()
            broken = isinstance(exc.__cause__, HPACKError) and not isinstance(exc, DenialOfServiceError)
            code = ErrorCodes.COMPRESSION_ERROR if broken else ErrorCodes(exc.error_code)
            self._fail(code, type(exc).__name__, events)
        return events

    def _frame(self, frame: bytes, now: float, events: list[StreamEvent]) -> None:
        kind = frame[3] if frame[:3] != PREFACE[:3] else SETTINGS
        if kind == GOAWAY and not self._guard.within_block and len(frame) >= 17 and not any(frame[5:9]):
            # h2 would send nothing any more; RFC 9113 section 6.8 has the streams that run go on.
            events.append(PeerLeaves())
            return
        self._collect()
        found = self._h2.receive_data(frame)
        answered = self._h2.data_to_send()
        if answered:
            self._look_for_resets(answered, now, events)
            self._out += answered
        for event in found:
            self._translate(event, now, events)

    def _collect(self) -> None:
        self._out += self._h2.data_to_send()

    def _look_for_resets(self, answered: bytes, now: float, events: list[StreamEvent]) -> None:
        """h2 resets streams on its own for what the client did to them: MadeYouReset (CVE-2025-8671). Each counts like
        one of the client's, and whatever works for that stream has to stop. Data on its way to a stream that is closed
        already is answered so too, and is nobody's fault."""
        start = 0
        while start + 9 <= len(answered):
            if answered[start + 3] == RST_STREAM:
                stream = int.from_bytes(answered[start + 5 : start + 9], "big")
                if stream in self._live:
                    self._lost(stream, now, events)
                elif not self._late.spend(now):
                    raise FrameFault(ErrorCodes.ENHANCE_YOUR_CALM, "too many frames on closed streams")
            start += 9 + int.from_bytes(answered[start : start + 3], "big")

    def _lost(self, stream: int, now: float, events: list[StreamEvent]) -> None:
        if stream in self._live:
            self._live.discard(stream)
            events.append(StreamLost(stream))
        self._count_reset(now)

    def _count_reset(self, now: float) -> None:
        """Rapid reset (CVE-2023-44487): work begun and thrown away costs the client nothing."""
        within = self._resets.spend(now)
        if not within and self._resets.spent * self._limits.h2_streams_per_reset > self._opened.spent:
            raise FrameFault(ErrorCodes.ENHANCE_YOUR_CALM, "too many streams are reset")

    def _translate(self, event: h2.events.Event, now: float, events: list[StreamEvent]) -> None:
        if isinstance(event, h2.events.RequestReceived):
            assert event.stream_id is not None
            self._request(event.stream_id, event, now, events)
        elif isinstance(event, h2.events.DataReceived):
            assert event.stream_id is not None
            size = event.flow_controlled_length or 0
            # At once: what is kept is bounded by the windows of the streams, and one that nobody reads must not stop
            # the others.
            self._unreturned += size
            if self._unreturned * 2 >= self._limits.h2_connection_window_bytes:
                self._h2.increment_flow_control_window(self._unreturned)
                self._unreturned = 0
            events.append(StreamData(event.stream_id, event.data or b"", size))
        elif isinstance(event, h2.events.StreamEnded):
            assert event.stream_id is not None
            events.append(StreamEnded(event.stream_id))
        elif isinstance(event, h2.events.StreamReset):
            if event.remote_reset:
                self._lost(event.stream_id or 0, now, events)
        elif isinstance(event, h2.events.WindowUpdated):
            events.append(WindowOpened(event.stream_id or 0))
        elif isinstance(event, h2.events.RemoteSettingsChanged):
            self._bound_table()
            events.append(WindowOpened(0))
        elif isinstance(event, h2.events.PingAckReceived) and event.ping_data == _DRAIN_PING:
            events.append(DrainSeen())

    def _bound_table(self) -> None:
        """The client may allow us any table; we keep to ours, or it decides what its connection costs us."""
        if self._h2.encoder.header_table_size > self._limits.h2_table_bytes:
            self._h2.encoder.header_table_size = self._limits.h2_table_bytes

    def _request(self, stream: int, event: h2.events.RequestReceived, now: float, events: list[StreamEvent]) -> None:
        self._opened.spend(now)
        if stream > self._closed_to:
            self.reset(stream, ErrorCodes.REFUSED_STREAM)  # as our GOAWAY said: the client may try elsewhere
            return
        if len(self._running) >= self._limits.h2_streams:
            self._refuse(stream, ErrorCodes.REFUSED_STREAM, now)
            return
        self._last = max(self._last, stream)
        ended = event.stream_ended is not None
        fields: list[tuple[bytes, bytes]] = [(bytes(name), bytes(value)) for name, value in event.headers or []]
        try:
            head, fault = read_head(fields, self._limits)
            declared = next((value for name, value in head.headers if name == "content-length"), "0")
            if ended and int(declared):
                raise _Malformed("a content-length and no body")
        except _Malformed:
            # RFC 9113 section 8.1.1: a stream error.
            self._refuse(stream, ErrorCodes.PROTOCOL_ERROR, now)
            return
        self._live.add(stream)
        self._running.add(stream)
        events.append(StreamOpened(stream, head, ended, fault))

    def _refuse(self, stream: int, code: ErrorCodes, now: float) -> None:
        self.reset(stream, code)
        self._count_reset(now)

    # --- outgoing ---

    def take(self) -> bytes:
        """What is to be written now."""
        self._collect()
        out = bytes(self._out)
        self._out.clear()
        return out

    def window(self, stream: int) -> int:
        """How many bytes of a body may go out on it in one frame now; 0 when the client has to read first."""
        machine, found = self._h2, self._h2.streams.get(stream)
        if found is None or found.closed or self.failed:
            return 0
        # Negative after SETTINGS that shrink it (RFC 9113 section 6.9.2).
        room = min(found.outbound_flow_control_window, machine.outbound_flow_control_window)
        return max(0, min(room, machine.max_outbound_frame_size))

    def writable(self, stream: int) -> bool:
        """Whether it is open in our direction: neither ended by us nor reset by anybody."""
        found = self._h2.streams.get(stream)
        return not self.failed and found is not None and not found.closed

    def send_head(self, stream: int, status: int, headers: Headers, *, end: bool = False) -> None:
        """A response's head; with a 1xx status one before it."""
        fields: list[tuple[bytes, bytes]] = [(b":status", str(status).encode("ascii")), *_fields_out(headers)]
        self._attempt(lambda: self._h2.send_headers(stream, fields, end_stream=end))

    def send_data(self, stream: int, data: bytes | memoryview, *, end: bool = False) -> None:
        """At most `window` bytes of a body."""
        machine, found, size = self._h2, self._h2.streams.get(stream), len(data)
        if end or found is None or found.state_machine.state not in _SENDING or not 0 < size <= self.window(stream):
            self._attempt(lambda: machine.send_data(stream, data, end_stream=end))
            return
        # Within a body h2 would do no more than this, in four times the time.
        found.outbound_flow_control_window -= size
        machine.outbound_flow_control_window -= size
        self._collect()
        self._out += _DATA_HEAD.pack(size >> 8, size & 0xFF, 0, 0, stream)
        self._out += data

    def send_trailers(self, stream: int, headers: Headers) -> None:
        """Fields behind the body; they end it (RFC 9113 section 8.1)."""
        fields = _fields_out(headers)
        self._attempt(lambda: self._h2.send_headers(stream, fields, end_stream=True))

    def _attempt(self, call: Callable[[], None]) -> None:
        try:
            call()
        except H2Error as exc:
            raise Misuse(f"HTTP/2: {type(exc).__name__}") from exc

    def give_back(self, stream: int, size: int) -> None:
        """The client may send ``size`` more bytes on this stream."""
        found = self._h2.streams.get(stream)
        if size and not self.failed and found is not None and found.open:
            self._attempt(lambda: self._h2.increment_flow_control_window(size, stream))

    def reset(self, stream: int, code: ErrorCodes) -> None:
        """End a stream at once; nothing for one that is closed. After a complete answer it asks the client to send no
        more of its request (NO_ERROR, RFC 9113 section 8.1)."""
        self._live.discard(stream)
        if self.writable(stream):
            self._attempt(lambda: self._h2.reset_stream(stream, code))

    def forget(self, stream: int) -> None:
        """Nobody works for this stream any more."""
        self._live.discard(stream)
        self._running.discard(stream)

    # --- the end ---

    def announce_drain(self) -> None:
        """The first GOAWAY: open no more streams, what is under way is served. A PING behind it tells when the client
        has seen it (RFC 9113 section 6.8)."""
        if not self.failed:
            self._go_away(_ALL_STREAMS)
            self._h2.ping(_DRAIN_PING)

    def finish_drain(self) -> None:
        """The second GOAWAY, with the last stream that is served."""
        if not self.failed:
            self._closed_to = self._last
            self._go_away(self._last)

    def _go_away(self, last: int, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        # Not by h2, which closes the connection with it.
        frame = GoAwayFrame(0)
        frame.last_stream_id = last
        frame.error_code = code
        self._collect()
        self._out += frame.serialize()

    def fail(self, code: ErrorCodes) -> None:
        """End the connection with GOAWAY; nothing else is sent after it."""
        if not self.failed:
            self.failed = True
            self._go_away(self._last, code)

    def _fail(self, code: ErrorCodes, reason: str, events: list[StreamEvent]) -> None:
        self.fail(code)
        events.append(ConnectionLost(reason))


def read_head(fields: list[tuple[bytes, bytes]], limits: Limits) -> tuple[RequestHead, Fault | None]:
    """A request's head in the form of HTTP/1.1's, held to the same strictness, and what to answer where it is refused.

    Raises `_Malformed`.
    """
    pseudo: dict[bytes, bytes] = {}
    headers: Headers = []
    hosts: list[bytes] = []
    lengths: list[bytes] = []
    cookies: list[str] = []
    for name, value in fields:
        if name[:1] == b":":
            pseudo[name] = value  # h2 has refused unknown, repeated and late ones
            continue
        if _NAME.fullmatch(name) is None or _CONTROL.search(value) is not None:
            raise _Malformed("a field")
        if name == b"cookie":
            cookies.append(value.decode("latin-1"))
            continue
        if name == b"host":
            hosts.append(value)
            continue
        if name == b"content-length":
            lengths.append(value)
        headers.append((name.decode("ascii"), value.decode("latin-1")))
    if cookies:
        # RFC 9113 section 8.2.3: crumbs are one field for everything behind.
        headers.append(("cookie", "; ".join(cookies)))
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if _METHOD.fullmatch(method) is None or b":protocol" in pseudo:
        # Extended CONNECT (RFC 8441) is for those it was announced to: nobody.
        raise _Malformed("the method")
    if len(lengths) > 1 or (lengths and _LENGTH.fullmatch(lengths[0]) is None):
        raise _Malformed("the content-length")
    authority = pseudo.get(b":authority") or (hosts[0] if hosts else b"")
    if len(hosts) > 1 or (hosts and hosts[0].lower() != authority.lower()):
        raise _Malformed("two hosts")
    fault = None
    if method in (b"CONNECT", b"TRACE"):
        fault = Fault(501, "this is not a proxy: CONNECT and TRACE are not served")
    elif len(path) > limits.request_line_bytes:
        fault = Fault(414, f"the path is longer than {limits.request_line_bytes} bytes")
    elif _PATH.fullmatch(path) is None and not (path == b"*" and method == b"OPTIONS"):
        raise _Malformed("the path")
    elif not authority or _AUTHORITY.fullmatch(authority) is None:
        fault = Fault(400, "the authority is not host[:port]")
    elif pseudo.get(b":scheme") not in (b"http", b"https"):
        fault = Fault(400, "the scheme is neither http nor https")
    # Before cookies are joined: CVE-2026-49975 is thousands of crumbs by references of one byte.
    if len(fields) - len(pseudo) > limits.head_fields:
        fault = Fault(431, f"the head has more than {limits.head_fields} fields")
        headers = []
    headers.insert(0, ("host", authority.decode("latin-1")))
    return RequestHead(method.decode("ascii"), path.decode("latin-1"), headers, "2"), fault


def _fields_out(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Bytes of the fields without those of a connection, or `Misuse`."""
    fields = []
    for name, value in headers:
        if _NAME_OUT.fullmatch(name) is None:
            raise Misuse(f"{name!r} is not a header name")
        if _NOT_IN_VALUE.search(value) is not None:
            raise Misuse(f"the value of header {name!r} holds a control or non-latin-1 character")
        lower = name.lower()
        if lower not in _OF_CONNECTION:
            fields.append((lower.encode("ascii"), value.strip(" \t").encode("latin-1")))
    return fields
