"""An HTTP/2 server that a test plays by hand: h2 over one end of a wire, and frames that h2 would not send."""

from __future__ import annotations

import struct

import h2.events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes

from support.streams import MemoryTransport

OK = [(":status", "200"), ("content-type", "text/plain")]


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


class H2Peer:
    """One connection. ``events`` keeps what came; `until` reads on."""

    def __init__(self, far: MemoryTransport, **settings: int) -> None:
        self.far = far
        self.events: list[h2.events.Event] = []
        self.raw = b""
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        for name, value in settings.items():
            self.h2.local_settings[SettingCodes[name]] = value
        if settings:
            self.h2.local_settings.acknowledge()

    async def start(self) -> H2Peer:
        self.h2.initiate_connection()
        await self.flush()
        return self

    async def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            await self.far.send(data)

    async def send(self, *frames: bytes) -> None:
        await self.far.send(b"".join(frames))

    async def read(self) -> bool:
        data = await self.far.receive()
        self.raw += data
        if not data:
            return False
        self.events.extend(self.h2.receive_data(data))
        await self.flush()
        return True

    async def until(self, kind: type[h2.events.Event], count: int = 1) -> list[h2.events.Event]:
        """All events of ``kind``, when ``count`` of them have come."""
        while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
            assert await self.read(), f"the client ended before {kind.__name__}: {self.events}"
        return found

    async def request(self, count: int = 1) -> int:
        """The stream of the last of ``count`` whole requests."""
        found = await self.until(h2.events.StreamEnded, count)
        stream = found[count - 1].stream_id  # type: ignore[attr-defined]  # of StreamEnded
        assert isinstance(stream, int)
        return stream

    async def answer(self, stream: int, body: bytes = b"ok", *, end: bool = True) -> None:
        self.h2.send_headers(stream, OK)
        self.h2.send_data(stream, body, end_stream=end)
        await self.flush()

    async def closed(self) -> bytes:
        """What the client sent until it closed."""
        while data := await self.far.receive():
            self.raw += data
        return self.raw
