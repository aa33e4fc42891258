"""Proxies on sockets of the loopback, written by hand: CONNECT and absolute-form of HTTP, and SOCKS5."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSListener

_GONE = (anyio.BrokenResourceError, anyio.EndOfStream, anyio.ClosedResourceError)


class FakeProxy:
    """Leads everybody to ``target`` and keeps what it was asked."""

    def __init__(self, target: int, auth: tuple[str, str] | None = None) -> None:
        self.target = target
        self.auth = auth
        self.asked: list[str] = []
        """Host and port, as asked for; of HTTP the first line."""
        self.reply: bytes | None = None
        """Sent instead of the honest answer."""

    async def http(self, stream: ByteStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        head, _, rest = data.partition(b"\r\n\r\n")
        self.asked.append(head.split(b"\r\n")[0].decode())
        if self.auth is not None:
            wanted = b"basic " + base64.b64encode(":".join(self.auth).encode()).lower()
            if b"proxy-authorization: " + wanted not in head.lower():
                await stream.send(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
                return
        if self.reply is not None:
            await stream.send(self.reply)
            return
        if head.startswith(b"CONNECT "):
            await stream.send(b"HTTP/1.1 200 Connection established\r\nvia: test\r\n\r\n")
            await self._join(stream, rest)
        else:
            await self._join(stream, data)

    async def socks(self, stream: ByteStream) -> None:
        version, count = await _exactly(stream, 2)
        methods = await _exactly(stream, count)
        assert version == 5
        if self.auth is None:
            await stream.send(b"\x05\x00")
        elif 2 not in methods:
            await stream.send(b"\x05\xff")
            return
        else:
            await stream.send(b"\x05\x02")
            user = await _exactly(stream, (await _exactly(stream, 2))[1])
            password = await _exactly(stream, (await _exactly(stream, 1))[0])
            good = (user.decode(), password.decode()) == self.auth
            await stream.send(b"\x01" + bytes([not good]))
            if not good:
                return
        _, _, _, kind = await _exactly(stream, 4)
        if kind == 3:
            host = (await _exactly(stream, (await _exactly(stream, 1))[0])).decode()
        else:
            host = ".".join(map(str, await _exactly(stream, {1: 4, 4: 16}[kind])))
        port = int.from_bytes(await _exactly(stream, 2), "big")
        self.asked.append(f"{host}:{port}")
        if self.reply is not None:
            await stream.send(self.reply)
            return
        await stream.send(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
        await self._join(stream, b"")

    async def _join(self, near: ByteStream, first: bytes) -> None:
        async with await anyio.connect_tcp("127.0.0.1", self.target) as far, anyio.create_task_group() as group:
            if first:
                await far.send(first)

            async def pass_on(source: ByteStream, sink: ByteStream) -> None:
                try:
                    while True:
                        await sink.send(await source.receive())
                except _GONE:
                    group.cancel_scope.cancel()

            group.start_soon(pass_on, near, far)
            group.start_soon(pass_on, far, near)


async def _exactly(stream: ByteStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += await stream.receive(size - len(data))
    return data


@asynccontextmanager
async def listening(
    serve: Callable[[ByteStream], Awaitable[None]], context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[int]:
    """The port of a server that runs ``serve`` for each connection, over TLS with ``context``."""
    listener = await anyio.create_tcp_listener(local_host=host)
    port: int = listener.extra(SocketAttribute.local_port)

    async def handle(stream: ByteStream) -> None:
        async with stream:
            try:
                await serve(stream)
            except _GONE:
                return

    async with listener, anyio.create_task_group() as group:
        if context is not None:
            group.start_soon(TLSListener(listener, context, standard_compatible=False).serve, handle)
        else:
            group.start_soon(listener.serve, handle)
        yield port
        group.cancel_scope.cancel()
