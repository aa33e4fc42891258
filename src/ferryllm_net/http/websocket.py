"""WebSocket for handlers: the handshake (RFC 6455 section 4.2), messages in and out, and a clean close.

wsproto reads and writes frames; deadlines, limits and the order of writes are here. wsproto's types and exceptions do
not leave this module and `deflate`.
"""

from __future__ import annotations

import base64
import binascii
import enum
import functools
import hashlib
import math
from collections.abc import Callable, Iterable

import anyio
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from .deflate import Deflate, negotiate
from .engine import Headers
from .limits import Limits
from .request import ClientLeft, Line, Request, RequestError, Responder

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

NORMAL = int(CloseReason.NORMAL_CLOSURE)
GOING_AWAY = int(CloseReason.GOING_AWAY)
UNSUPPORTED = int(CloseReason.UNSUPPORTED_DATA)
POLICY = int(CloseReason.POLICY_VIOLATION)
TOO_BIG = int(CloseReason.MESSAGE_TOO_BIG)
INTERNAL_ERROR = int(CloseReason.INTERNAL_ERROR)


# --- the handshake ---------------------------------------------------------------------------------------


def _tokens(request: Request, name: str) -> set[str]:
    return {token.strip().lower() for value in request.values(name) for token in value.split(",")}


def wants_websocket(request: Request) -> bool:
    """Whether the client asks for a WebSocket. An upgrade that ``Connection`` does not name, or one in HTTP/1.0, is to
    be ignored (RFC 9110 section 7.8)."""
    return (
        request.method == "GET"
        and request.http_version == "1.1"
        and "websocket" in _tokens(request, "upgrade")
        and "upgrade" in _tokens(request, "connection")
    )


def _accept(request: Request) -> str:
    """What proves that the request was understood. Raises `RequestError`."""
    if set(request.values("content-length")) - {"0"} or request.header("transfer-encoding") is not None:
        raise RequestError(400, "a request for a WebSocket has no body")
    versions = request.values("sec-websocket-version")
    if [version.strip() for version in versions] != ["13"]:
        fields = [("sec-websocket-version", "13"), ("upgrade", "websocket"), ("connection", "upgrade")]
        raise RequestError(426, "Sec-WebSocket-Version: expected one field with the value 13", fields)
    keys = [key.strip() for key in request.values("sec-websocket-key")]
    try:
        sized = len(keys) == 1 and len(base64.b64decode(keys[0], validate=True)) == 16
    except (binascii.Error, ValueError):
        sized = False
    if not sized:
        raise RequestError(400, "Sec-WebSocket-Key: expected one field with 16 bytes in base64")
    return base64.b64encode(hashlib.sha1(keys[0].encode("ascii") + _GUID, usedforsecurity=False).digest()).decode()


async def upgrade(request: Request, respond: Responder, limits: Limits, headers: Headers) -> WebSocket:
    """Answer a request that `wants_websocket` with 101 and ``headers``.

    Raises `RequestError` for a handshake that is not RFC 6455's: 400, or 426 for another version than 13.
    """
    fields = [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", _accept(request))]
    agreed = negotiate(request.values("sec-websocket-extensions"), limits.body_bytes)
    if agreed is not None:
        fields.append(("sec-websocket-extensions", agreed.answer))
    line = await respond.switch([*fields, *headers])
    return WebSocket(line, limits, agreed)


# --- messages --------------------------------------------------------------------------------------------


class State(enum.Enum):
    """How far the conversation is."""

    OPEN = "open"
    CLOSING = "closing"
    """Our close frame is out; the client's is awaited."""
    CLOSED = "closed"


class WebSocket:
    """The server's side of one WebSocket. One task calls `receive` until it answers None; any may send and close.

    Text messages only, at most `Limits.body_bytes` each, also after decompression.
    """

    def __init__(self, line: Line, limits: Limits, deflate: Deflate | None = None) -> None:
        self.state = State.OPEN
        self.busy = False
        """An answer is under way: the client's silence is no idleness."""
        self.code: int | None = None
        """Why it ended, as the first close frame said; None while it has not."""
        self._line = line
        self._limits = limits
        self._frames = Connection(ConnectionType.SERVER, extensions=[deflate] if deflate is not None else [])
        self._lock = anyio.Lock()
        self._pieces: list[str] = []
        self._size = 0
        self._begun = math.inf
        """Since when a message is on its way."""
        self._since = anyio.current_time()
        """Of the last message."""
        self._closing_until = math.inf
        self._wait: anyio.CancelScope | None = None
        self._deaf = False
        """The client's frames can not be read any more."""

    @property
    def closed(self) -> bool:
        """Both sides have said so, or the connection is gone."""
        return self.state is State.CLOSED

    @property
    def ending(self) -> bool:
        """Nothing can be sent any more."""
        return self.state is not State.OPEN

    def watch_drain(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the server begins to drain, at once when it has begun: close after what runs."""
        self._line.watch_drain(callback)

    async def receive(self) -> bytes | None:
        """The next message; None when the WebSocket is closed. Answers pings and the close meanwhile.

        Raises `ClientLeft` when the client broke the connection while it was written to.
        """
        while not self.closed:
            message = await self._next()
            if message is not None:
                self._since = anyio.current_time()
                return message
            if self.closed:
                break
            data = await self._more()
            if not data:
                self.state = State.CLOSED
            elif not self._deaf:
                self._frames.receive_data(data)
        return None

    async def _next(self) -> bytes | None:
        """The first whole message of what has been read."""
        if self._deaf:
            return None
        for event in self._frames.events():
            if type(event) is TextMessage:
                message = self._take(event)
                if self._size > self._limits.body_bytes:
                    await self._refuse(TOO_BIG)
                    return None
                if message is not None and self.state is State.OPEN:
                    return message
            elif type(event) is Ping:
                if self.state is State.OPEN:
                    await self._write(functools.partial(self._frames.send, event.response()))
            elif type(event) is CloseConnection:
                await self._end(event)
                return None
            elif type(event) is BytesMessage:
                await self._refuse(UNSUPPORTED)
                return None
        return None

    def _take(self, event: TextMessage) -> bytes | None:
        """A piece of a message; the message with its last one."""
        if not self._pieces:
            self._begun = anyio.current_time()
        self._pieces.append(event.data)
        self._size += len(event.data) if event.data.isascii() else len(event.data.encode())
        if not event.message_finished or self._size > self._limits.body_bytes:
            return None
        message = "".join(self._pieces).encode()
        self._pieces.clear()
        self._size, self._begun = 0, math.inf
        return message

    async def _end(self, event: CloseConnection) -> None:
        """The client closes, answers our close, or has sent what is no frame: wsproto says all three alike."""
        if self._frames.state not in (ConnectionState.REMOTE_CLOSING, ConnectionState.CLOSED):
            await self._refuse(int(event.code))
            return
        if self.code is None:
            self.code = int(event.code)
        if self._frames.state is ConnectionState.REMOTE_CLOSING:
            await self._write(functools.partial(self._frames.send, event.response()))
        self.state = State.CLOSED

    async def _more(self) -> bytes:
        """Bytes of the client; b"" at the end and when a deadline has passed."""
        limits = self._limits
        while True:
            now = anyio.current_time()
            idle_at = self._since + limits.socket_idle_secs
            if self.state is State.CLOSING:
                until = self._closing_until
            elif self._begun < math.inf:
                floor = limits.body_floor_after_secs + self._size / limits.body_floor_bytes_per_sec
                until = min(now + limits.body_idle_secs, self._begun + max(limits.body_idle_secs, floor))
            else:
                until = min(now + limits.socket_ping_secs, math.inf if self.busy else idle_at)
            with anyio.CancelScope(deadline=until) as self._wait:
                return await self._line.receive()
            if self.state is State.CLOSING:
                if anyio.current_time() >= self._closing_until:
                    return b""
            elif self._begun < math.inf:
                await self._refuse(POLICY)
            elif not self.busy and anyio.current_time() >= self._since + limits.socket_idle_secs:
                await self.close(GOING_AWAY, f"no message for {limits.socket_idle_secs:g} s")
            elif anyio.current_time() >= until:
                await self.ping()

    def rest(self) -> None:
        """An answer is out: from now on the client's silence counts."""
        self.busy = False
        self._since = anyio.current_time()

    async def send(self, messages: Iterable[bytes]) -> None:
        """Write ``messages``, UTF-8, each as one frame, all in one write; returns when the system has taken them.

        Raises `ClientLeft` when the WebSocket is closed or broken.
        """
        texts = [message.decode("utf-8", "replace") for message in messages]
        if texts:
            await self._write(lambda: b"".join([self._frames.send(TextMessage(text)) for text in texts]))

    async def ping(self) -> None:
        """A sign of life. An answer is not asked for: clients that wait for their tools read nothing meanwhile."""
        await self._write(lambda: self._frames.send(Ping()))

    async def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say that it ends; `receive` goes on until the client has said so too, for `Limits.linger_secs` at most."""
        if self.state is not State.OPEN:
            return
        self._closing_until = anyio.current_time() + self._limits.linger_secs
        await self._write(lambda: self._frames.send(CloseConnection(code, reason)))
        if self.code is None:
            self.code = code
        self.state = State.CLOSING
        if self._wait is not None:
            self._wait.deadline = min(self._wait.deadline, self._closing_until)

    async def _refuse(self, code: int) -> None:
        """Close because of what the client sent: nothing more of it is looked at."""
        self._deaf = True
        self._pieces.clear()
        self._size, self._begun = 0, math.inf
        await self.close(code, _REASONS.get(code, "a frame breaks RFC 6455"))

    async def _write(self, encode: Callable[[], bytes]) -> None:
        # Bytes are made under the lock: compression or not, frames have to leave in the order they were made.
        async with self._lock:
            if self.state is not State.OPEN:
                raise ClientLeft("the WebSocket is closed")
            try:
                data = encode()
            except LocalProtocolError as exc:  # the client's close came in between
                raise ClientLeft("the WebSocket is closed") from exc
            await self._line.write(data)


_REASONS = {
    UNSUPPORTED: "messages are text: JSON in UTF-8",
    int(CloseReason.INVALID_FRAME_PAYLOAD_DATA): "a message is not UTF-8, or its compression is broken",
    POLICY: "a message did not arrive in time",
    TOO_BIG: "a message is larger than the limit of a request's body",
}
