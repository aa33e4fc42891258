"""Two ends of one connection by every transport there is, for the suites that hold for all of them."""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import anyio
import anyio.lowlevel
import trustme
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup
from anyio.streams.tls import TLSStream

from ferryllm_net.http.backends import adopt, by_loop
from ferryllm_net.http.stream_transport import StreamTransport
from ferryllm_net.http.tls_transport import secure_client, secure_server
from ferryllm_net.http.transport import Interrupted, Transport, TransportError
from support.streams import wire

KINDS = ["native", "unix", "stream", "memory", "native-tls", "stream-tls", "memory-tls", "stream-tlsstream", "loop"]
"""Of `pair`. ``native`` is what `adopt` makes of a socket, ``loop`` what it makes where the system has no epoll, by the
backend that runs; ``stream`` is over anyio's."""
TLS = [kind for kind in KINDS if "tls" in kind]
SOCKETS = [kind for kind in KINDS if not kind.startswith("memory")]


@asynccontextmanager
async def pair(kind: str) -> AsyncIterator[tuple[Transport, Transport]]:
    """Client's and server's end, closed with the block."""
    base, _, layer = kind.partition("-")
    ends: list[Transport] = []
    try:
        if layer == "tlsstream":
            ends += await _tls_streams()
        else:
            ends += await _MAKERS[base]()
        if layer == "tls":
            ends[:] = await secured(ends[0], ends[1])
        if layer:
            # The session tickets of TLS 1.3 come with the first read.
            await ends[1].send(b".")
            assert await ends[0].receive() == b"."
        yield ends[0], ends[1]
    finally:
        for end in ends:
            with anyio.CancelScope(shield=True):
                await end.aclose()


async def settle() -> None:
    """Let the loop see what has happened to its sockets, and every task do what follows from it."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


async def secured(
    near: Transport, far: Transport, client: ssl.SSLContext | None = None, server: ssl.SSLContext | None = None
) -> list[Transport]:
    """TLS over both ends."""
    contexts = tls_contexts()
    ends: list[Transport] = []

    async def welcome() -> None:
        ends.append(await secure_server(far, server or contexts[1]))

    async with anyio.create_task_group() as group:
        group.start_soon(welcome)
        secure = await secure_client(near, client or contexts[0], "localhost")
    return [secure, *ends]


@functools.cache
def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A client's and a server's that trust each other; they are not to be changed."""
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return client, server


def socket_pair(family: int = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
    """Two connected sockets, of TCP over loopback or of the unix kind."""
    if family != socket.AF_INET:
        near, far = socket.socketpair()
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            near = socket.create_connection(listener.getsockname())
            far, _ = listener.accept()
    _make_small(near, far)
    return near, far


def _make_small(*sockets: Any) -> None:
    """So that megabytes fill them; a system's own sizes grow with the use."""
    for sock in sockets:
        for size in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, size, 64 * 1024)


async def _native() -> list[Transport]:
    near, far = socket_pair()
    return [await adopt(near), await adopt(far)]


async def _loop() -> list[Transport]:
    ends = socket_pair()
    for sock in ends:
        sock.setblocking(False)
    return [await by_loop(sock) for sock in ends]


async def _unix() -> list[Transport]:
    near, far = socket_pair(socket.AF_UNIX)
    return [await adopt(near), await adopt(far)]


async def _streams() -> list[SocketStream]:
    multi = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = multi.listeners[0]
    assert isinstance(listener, SocketListener)
    async with listener:
        near = await anyio.connect_tcp("127.0.0.1", listener.extra(SocketAttribute.local_port))
        far = await listener.accept()
    _make_small(*(stream.extra(SocketAttribute.raw_socket) for stream in (near, far)))
    return [near, far]


async def _stream() -> list[Transport]:
    return [StreamTransport(stream) for stream in await _streams()]


async def _tls_streams() -> list[Transport]:
    client, server = tls_contexts()
    near, far = await _streams()
    ends: list[Transport] = []

    async def welcome() -> None:
        ends.append(
            StreamTransport(await TLSStream.wrap(far, server_side=True, ssl_context=server, standard_compatible=False))
        )

    async with anyio.create_task_group() as group:
        group.start_soon(welcome)
        secure = await TLSStream.wrap(near, hostname="localhost", ssl_context=client, standard_compatible=False)
    return [StreamTransport(secure), *ends]


async def _memory() -> list[Transport]:
    return list(wire(1 << 16))


_MAKERS = {"native": _native, "loop": _loop, "unix": _unix, "stream": _stream, "memory": _memory}


AsyncPair: TypeAlias = AbstractAsyncContextManager[tuple[Transport, Transport, TaskGroup]]


@asynccontextmanager
async def attended(kind: str) -> AsyncIterator[tuple[Transport, Transport, TaskGroup]]:
    """A pair whose first end is read ahead by a task, as a server's connections are; 10 s for everything."""
    with anyio.fail_after(10):
        async with pair(kind) as (near, far), anyio.create_task_group() as group:
            group.start_soon(near.attend)
            await settle()
            yield near, far, group
            group.cancel_scope.cancel()


@asynccontextmanager
async def alone(kind: str) -> AsyncIterator[tuple[Transport, Transport, TaskGroup]]:
    """A pair whose ends read for themselves, as upstream connections do."""
    with anyio.fail_after(10):
        async with pair(kind) as ends, anyio.create_task_group() as group:
            yield (*ends, group)
            group.cancel_scope.cancel()


class Collector:
    """A pump's function: done at ``size`` bytes."""

    def __init__(self, size: int) -> None:
        self.data = b""
        self.reads = 0
        self._size = size

    def __call__(self, data: bytes) -> bool:
        assert data
        self.reads += 1
        self.data += data
        return len(self.data) >= self._size


class Failed(Exception):
    """Of a pump's function."""


class Task:
    """Something that is awaited in the background, and how it ended."""

    def __init__(self, group: TaskGroup, call: Callable[[], Awaitable[object]]) -> None:
        self.done = False
        self.result: object = None
        self.error: BaseException | None = None
        self.scope = anyio.CancelScope()
        self._call = call
        group.start_soon(self._run)

    async def _run(self) -> None:
        try:
            with self.scope:
                self.result = await self._call()
        except (Interrupted, TransportError, Failed) as exc:
            self.error = exc
        self.done = True

    async def wait(self) -> object:
        while not self.done:
            await anyio.lowlevel.checkpoint()
        return self.result


async def read(transport: Transport, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await transport.receive()
        assert piece, f"the end after {len(data)} of {size} bytes"
        data += piece
    assert len(data) == size
    return data
