"""An HTTP/2 client on h2 over any transport, for tests: requests, answers, and frames by hand."""

from __future__ import annotations

import struct
from typing import Protocol

import h2.events
import msgspec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.settings import SettingCodes

Fields = list[tuple[str, str]]


class Wire(Protocol):
    async def receive(self) -> bytes: ...

    async def send(self, data: bytes) -> None: ...

    async def aclose(self) -> None: ...


class Answer(msgspec.Struct):
    """What came for one stream."""

    status: int = 0
    fields: dict[str, str] = {}
    body: bytes = b""
    trailers: dict[str, str] = {}
    interim: list[int] = []
    ended: bool = False
    reset: int | None = None
    """The code of RST_STREAM."""


class H2Client:
    """One connection. What comes is read in `pump`, and credit is given back for what was read while `reading`."""

    def __init__(self, wire: Wire, *, window: int | None = None) -> None:
        self.wire = wire
        self.authority = "test"
        self.reading = True
        self.answers: dict[int, Answer] = {}
        self.goaways: list[tuple[int, int]] = []
        """Code and last stream of each."""
        self.ended = False
        self._rest = b""
        self.settled = False
        """The server's SETTINGS have come and are acknowledged."""
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        if window is not None:
            self.h2.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = window
            self.h2.local_settings.acknowledge()

    async def start(self) -> H2Client:
        self.h2.initiate_connection()
        await self.flush()
        return self

    async def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            await self.wire.send(data)

    def open(self, path: str = "/", *fields: tuple[str, str], method: str = "GET", ended: bool = True) -> int:
        """Begin a request without sending it: `flush` does."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":scheme", "http"), (":authority", self.authority), *fields]
        self.h2.send_headers(stream, head, end_stream=ended)
        self.answers[stream] = Answer()
        return stream

    async def get(self, path: str = "/", *fields: tuple[str, str]) -> Answer:
        stream = self.open(path, *fields)
        await self.flush()
        return await self.answer(stream)

    async def post(self, body: bytes, path: str = "/", *fields: tuple[str, str]) -> Answer:
        stream = self.open(path, *fields, method="POST", ended=False)
        await self.upload(stream, body)
        return await self.answer(stream)

    async def upload(self, stream: int, body: bytes, *, end: bool = True) -> None:
        """As the windows allow."""
        while True:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            piece, body = body[:room], body[room:]
            self.h2.send_data(stream, piece, end_stream=end and not body)
            await self.flush()
            if not body:
                return
            while not self.h2.local_flow_control_window(stream):
                await self.pump()

    async def answer(self, stream: int) -> Answer:
        """The answer, when it has ended one way or the other."""
        found = self.answers[stream]
        while not found.ended and found.reset is None:
            assert await self.pump(), f"the connection ended before the answer: {found}, {self.goaways}"
        return found

    async def pump(self) -> bool:
        """Read once; False at the end."""
        data = b"" if self.ended else await self.wire.receive()
        if not data:
            self.ended = True
            return False
        for event in self._without_goaway(data):
            self._take(event)
        await self.flush()
        return True

    async def until_closed(self) -> None:
        while await self.pump():
            pass

    async def settle(self) -> H2Client:
        while not self.settled:
            await self.pump()
        return self

    def _without_goaway(self, data: bytes) -> list[h2.events.Event]:
        """h2 sends and takes nothing after GOAWAY, so it is kept from it."""
        self._rest += data
        events: list[h2.events.Event] = []
        while len(self._rest) >= 9:
            length = int.from_bytes(self._rest[:3], "big") + 9
            if len(self._rest) < length:
                break
            frame, self._rest = self._rest[:length], self._rest[length:]
            if frame[3] == 7:
                last, code = struct.unpack(">II", frame[9:17])
                self.goaways.append((code, last))
            else:
                events.extend(self.h2.receive_data(frame))
        return events

    def _take(self, event: h2.events.Event) -> None:
        self.settled = self.settled or isinstance(event, h2.events.RemoteSettingsChanged)
        stream = getattr(event, "stream_id", None)
        found = self.answers.get(stream or 0)
        if found is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            found.fields = {str(name): str(value) for name, value in event.headers or []}
            found.status = int(found.fields[":status"])
        elif isinstance(event, h2.events.InformationalResponseReceived):
            found.interim += [int(value) for name, value in event.headers or [] if str(name) == ":status"]
        elif isinstance(event, h2.events.DataReceived):
            found.body += event.data or b""
            if self.reading and event.flow_controlled_length and not found.ended and stream is not None:
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.TrailersReceived):
            found.trailers = {str(name): str(value) for name, value in event.headers or []}
        elif isinstance(event, h2.events.StreamEnded):
            found.ended = True
        elif isinstance(event, h2.events.StreamReset):
            found.reset = int(event.error_code or 0)


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """One frame by hand."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


CALM = int(ErrorCodes.ENHANCE_YOUR_CALM)
