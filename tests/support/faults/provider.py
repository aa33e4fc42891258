"""The provider that plays the faults: one listener a door, on real sockets of 127.0.0.1."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
import trustme
from anyio.abc import Listener, SocketAttribute, SocketStream
from anyio.streams.tls import TLSStream

from .catalogue import CANARY, FAULTS, Case, Play, bystander
from .steps import Close, Drip, Hold, Race, Reset, Send, Stall

_NAME = re.compile(rb"zz-([a-z0-9_.-]+)-zz")
_DIALECT = re.compile(rb"yy-([a-z_]+)-yy")
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError, ssl.SSLError)

Stream = SocketStream | TLSStream


class Request:
    """One request that came: which fault it names, and what became of the connection it came over."""

    def __init__(self, name: str, head: bytes, body: bytes) -> None:
        self.name = name
        self.head = head
        self.body = body
        self.gone_at: float | None = None
        """When its connection ended while a fault was stalling or holding, on the clock of the event loop."""
        self.gone = anyio.Event()


class Provider:
    """Running listeners and what they saw."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.requests: list[Request] = []
        self.arrived = anyio.Event()
        """A request came; replaced after each."""
        self.canary_calls = 0
        self.let_go = anyio.Event()
        """Ends what `Hold` repeats."""
        self.taken: list[int] = []
        """Sizes of the writes of `Hold` that the gateway has taken."""
        self.extra: dict[str, Play] = {"bystander": bystander}
        """More faults by name, for one test."""
        self.authority = trustme.CA()
        stranger = trustme.CA()
        # Made before the clock counts.
        self._certificates = {
            name: authority.issue_cert(host)
            for name, authority, host in (
                ("tls", self.authority, "127.0.0.1"),
                ("tls_wrong_name", self.authority, "wrong.test"),
                ("tls_stranger", stranger, "127.0.0.1"),
            )
        }

    def asked(self, name: str) -> list[Request]:
        return [request for request in self.requests if request.name == name]

    async def request(self, name: str, number: int = 1) -> Request:
        """The ``number``-th request that names ``name``, once it came."""
        with anyio.fail_after(10):
            while len(found := self.asked(name)) < number:
                await self.arrived.wait()
        return found[number - 1]

    def case(self, request: Request, dialect: str, stream: bool) -> Case:
        """What `request` asks for; another provider may have more to say to it."""
        return Case(dialect, stream)

    # --- doors ---

    async def plain(self, stream: Stream) -> None:
        """Requests, one after the other, each with the fault it names."""
        buffer = bytearray()
        with contextlib.suppress(*_GONE):
            while (request := await self._read(stream, buffer)) is not None:
                race = await self._play(stream, request)
                if race:
                    await _read_some(stream)
                    await reset(stream, hard=False)
                    return

    async def slam(self, stream: Stream) -> None:
        await stream.aclose()

    async def slam_reset(self, stream: Stream) -> None:
        await reset(stream)

    async def tls(self, stream: Stream) -> None:
        await self._secured(stream, self._certificates["tls"])

    async def tls_wrong_name(self, stream: Stream) -> None:
        await self._secured(stream, self._certificates["tls_wrong_name"])

    async def tls_stranger(self, stream: Stream) -> None:
        await self._secured(stream, self._certificates["tls_stranger"])

    async def tls_plain_text(self, stream: Stream) -> None:
        await _read_some(stream)
        with contextlib.suppress(*_GONE):
            await stream.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    async def tls_closed(self, stream: Stream) -> None:
        await _read_some(stream)
        await stream.aclose()

    async def tls_silent(self, stream: Stream) -> None:
        while await _read_some(stream):
            pass

    async def canary(self, stream: Stream) -> None:
        self.canary_calls += 1
        await stream.aclose()

    async def _secured(self, stream: Stream, certificate: trustme.LeafCert) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        with contextlib.suppress(*_GONE):
            secured = await TLSStream.wrap(stream, server_side=True, ssl_context=context, standard_compatible=False)
            await self.plain(secured)

    # --- requests ---

    async def _read(self, stream: Stream, buffer: bytearray) -> Request | None:
        while b"\r\n\r\n" not in buffer:
            buffer += await stream.receive()
        head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
        found = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
        length = int(found[1]) if found else 0
        body = bytearray(rest)
        while len(body) < length:
            body += await stream.receive()
        buffer[:] = body[length:]
        name = _NAME.search(head + bytes(body[:length]))
        request = Request(name[1].decode() if name else "", head, bytes(body[:length]))
        self.requests.append(request)
        self.arrived.set()
        self.arrived = anyio.Event()
        return request

    async def _play(self, stream: Stream, request: Request) -> bool:
        text = request.head + request.body
        dialect = _DIALECT.search(text)
        assert dialect is not None, text[:200]
        stream_wanted = b'"stream": true' in text or b'"stream":true' in text or b":stream" in text
        case = self.case(request, dialect[1].decode(), stream_wanted)
        play = self.extra.get(request.name) or FAULTS[request.name].play
        for step in play(case):
            kind = type(step)
            if kind is Race:
                return True
            if isinstance(step, Send):
                await stream.send(step.data.replace(CANARY.encode(), b"127.0.0.1:%d" % self.ports["canary"]))
            elif isinstance(step, Drip):
                for start in range(0, len(step.data), step.size):
                    await stream.send(step.data[start : start + step.size])
                    await anyio.sleep(step.secs)
            elif isinstance(step, Hold):
                await self._hold(stream, request, step)
            elif isinstance(step, Stall):
                await self._stall(stream, request)
                raise anyio.EndOfStream
            else:
                await reset(stream, hard=isinstance(step, Reset))
                assert isinstance(step, (Reset, Close))
                raise anyio.EndOfStream
        return False

    async def _hold(self, stream: Stream, request: Request, step: Hold) -> None:
        async def watch(scope: anyio.CancelScope) -> None:
            await self._stall(stream, request)
            scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(watch, group.cancel_scope)
            while not self.let_go.is_set():
                with contextlib.suppress(*_GONE):
                    await stream.send(step.data)
                    self.taken.append(len(step.data))
                with anyio.move_on_after(step.secs):
                    await self.let_go.wait()
            group.cancel_scope.cancel()
        if request.gone.is_set():
            raise anyio.EndOfStream

    async def _stall(self, stream: Stream, request: Request) -> None:
        with contextlib.suppress(*_GONE):
            while True:
                await stream.receive()
        request.gone_at = anyio.current_time()
        request.gone.set()


async def _read_some(stream: Stream) -> bytes:
    try:
        return await stream.receive()
    except _GONE:
        return b""


async def reset(stream: Stream, *, hard: bool = True) -> None:
    """End a connection by RST, or by FIN."""
    raw = stream.extra(SocketAttribute.raw_socket)
    if hard:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await anyio.aclose_forcefully(stream)


@asynccontextmanager
async def running(provider: Provider | None = None) -> AsyncIterator[Provider]:
    """``async with running() as provider``; all doors are open."""
    provider = provider or Provider()
    doors: dict[str, Callable[[Stream], Awaitable[None]]] = {
        name: getattr(provider, name)
        for name in (
            *("plain", "slam", "slam_reset", "canary"),
            *("tls", "tls_wrong_name", "tls_stranger", "tls_plain_text", "tls_closed", "tls_silent"),
        )
    }
    async with contextlib.AsyncExitStack() as stack:
        group = await stack.enter_async_context(anyio.create_task_group())
        for name, handler in doors.items():
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            provider.ports[name] = listener.extra(SocketAttribute.local_port)
            group.start_soon(_serve, listener, handler)
        with _closed_port() as refused, _full_queue() as full:
            ports = provider.ports
            ports.update(refuse=refused, full=full, hasty=ports["plain"], tls_hasty=ports["tls"])
            yield provider
        group.cancel_scope.cancel()


async def _serve(listener: Listener[SocketStream], handler: Callable[[Stream], Awaitable[None]]) -> None:
    async def one(stream: SocketStream) -> None:
        async with stream:
            await handler(stream)

    async with listener:
        await listener.serve(one)


@contextlib.contextmanager
def _closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody else can have meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@contextlib.contextmanager
def _full_queue() -> Iterator[int]:
    """A listener that never accepts, whose queue has no room left."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
