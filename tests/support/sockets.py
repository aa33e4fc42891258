"""A WebSocket client for tests: wsproto over one end of a wire, and frames by hand for what wsproto would not send."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import struct
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from ferryllm_net.http import Transport, TransportError

KEY = base64.b64encode(b"sixteen bytes ..").decode()
ACCEPT = base64.b64encode(hashlib.sha1(f"{KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
UPGRADE: dict[str, str] = {
    "Host": "127.0.0.1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
_NONE: Mapping[str, str | None] = {}
TEXT, BINARY, CONTINUATION, CLOSE, PING = 1, 2, 0, 8, 9


def handshake(
    path: str = "/", changed: Mapping[str, str | None] = _NONE, more: Sequence[tuple[str, str]] = ()
) -> bytes:
    """An upgrade; ``changed`` replaces fields, None leaves one out, ``more`` may repeat some."""
    fields: dict[str, str | None] = {**UPGRADE, **changed}
    lines = [f"{name}: {value}" for name, value in [*fields.items(), *more] if value is not None]
    return "\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode("latin-1")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True) -> bytes:
    """One frame of a client."""
    size = len(payload)
    length = (
        bytes([mask << 7 | size])
        if size < 126
        else bytes([mask << 7 | 126]) + struct.pack("!H", size)
        if size < 1 << 16
        else bytes([mask << 7 | 127]) + struct.pack("!Q", size)
    )
    # A mask of zeros leaves the payload readable.
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + (bytes(4) if mask else b"") + payload


class SocketClient:
    """The client's end of a WebSocket."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.head = ""
        """What the upgrade was answered with."""
        self._connection = Connection(ConnectionType.CLIENT)
        self._events: deque[Event] = deque()
        self._text = ""

    async def open(self, path: str = "/", changed: Mapping[str, str | None] = _NONE) -> SocketClient:
        """Upgrade. Fails when the answer is not 101."""
        await self.transport.send(handshake(path, changed))
        await self.accepted()
        return self

    async def accepted(self) -> None:
        """Read the answer to an upgrade that was sent. Fails when it is not 101."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = await self.transport.receive()
            assert piece, data
            data += piece
        head, _, rest = data.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        assert self.head.startswith("HTTP/1.1 101 "), self.head
        deflate: list[Any] = []
        for line in self.head.split("\r\n"):
            name, _, value = line.partition(": ")
            if name.lower() == "sec-websocket-extensions":
                deflate.append(PerMessageDeflate())
                deflate[0].finalize(value)
        self._connection = Connection(ConnectionType.CLIENT, deflate, rest)

    async def send(self, value: Any) -> None:
        """One message: a string as it is, else JSON."""
        text = value if isinstance(value, str) else json.dumps(value)
        await self.transport.send(self._connection.send(TextMessage(text)))

    async def say(self, event: Event) -> None:
        await self.transport.send(self._connection.send(event))

    async def event(self) -> Event:
        """The next event; texts are whole. Fails at the end of the wire."""
        while True:
            while self._events:
                event = self._events.popleft()
                if not isinstance(event, TextMessage):
                    return event
                self._text += event.data
                if event.message_finished:
                    text, self._text = self._text, ""
                    return TextMessage(text)
            self._events.extend(self._connection.events())
            if not self._events:
                data = await self.transport.receive()
                assert data, "the connection ended without a close"
                self._connection.receive_data(data)

    async def text(self) -> str:
        """The next message; pings and pongs are passed over."""
        while isinstance(event := await self.event(), (Ping, Pong)):
            pass
        assert isinstance(event, TextMessage), event
        return event.data

    async def json(self) -> Any:
        return json.loads(await self.text())

    async def until(self, *types: str) -> list[Any]:
        """Messages up to and with the first of one of ``types``."""
        out = [await self.json()]
        while out[-1]["type"] not in types:
            out.append(await self.json())
        return out

    async def closed(self, *, answer: bool = True) -> tuple[int, str]:
        """Code and reason of the server's close, which is answered; then the connection ends."""
        while not isinstance(event := await self.event(), CloseConnection):
            assert not isinstance(event, TextMessage), event
        if answer:
            with contextlib.suppress(TransportError):  # a server need not wait for the answer for long
                await self.say(event.response())
            assert await self.transport.receive() == b""
        return int(event.code), event.reason or ""
