"""Wire: one client connection of the load generator, over a socket that is waited for and nothing else.

`anyio.wait_readable` on a plain socket is the cheapest way to wait that both backends have in common; TLS needs anyio's
own streams.
"""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Protocol

import anyio
import anyio.abc

READ_BYTES = 65_536
"""At once; also what anyio's streams read by default."""


_Address = tuple[socket.AddressFamily, tuple[str, int]]


class Wire(Protocol):
    async def send(self, data: bytes) -> None: ...

    async def receive(self) -> bytes:
        """What has come; empty at the end. Raises OSError."""

    async def close(self) -> None: ...


class SocketWire:
    """A connection in clear text."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._sock.send(rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._sock)

    async def receive(self) -> bytes:
        while True:
            await anyio.wait_readable(self._sock)
            try:
                return self._sock.recv(READ_BYTES)
            except BlockingIOError:
                continue

    async def close(self) -> None:
        self._sock.close()


class StreamWire:
    """A connection over TLS."""

    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self._stream = stream

    async def send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise ConnectionResetError(errno.ECONNRESET, "reset") from None

    async def receive(self) -> bytes:
        try:
            return await self._stream.receive(READ_BYTES)
        except anyio.EndOfStream:
            return b""
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            raise ConnectionResetError(errno.ECONNRESET, "reset") from None

    async def close(self) -> None:
        await anyio.aclose_forcefully(self._stream)


class Dialler:
    """Connects to one address again and again; the name is looked up once, and what answered first is tried first."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None) -> None:
        self._host = host
        self._port = port
        self._context = context
        self._found: list[_Address] = []

    async def connect(self) -> Wire:
        """A new connection. Raises OSError, `ssl.SSLError` and `socket.gaierror` among them."""
        if self._context is not None:
            stream = await anyio.connect_tcp(
                self._host, self._port, ssl_context=self._context, tls_standard_compatible=False
            )
            return StreamWire(stream)
        if not self._found:
            found = await anyio.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            self._found = [(family, address) for family, _, _, _, address in found]
        failed: OSError | None = None
        for place, (family, address) in enumerate(self._found):
            try:
                sock = await _connected(family, address)
            except OSError as exc:
                failed = failed or exc
                continue
            if place:
                self._found.insert(0, self._found.pop(place))
            return SocketWire(sock)
        raise failed or ConnectionRefusedError(errno.ECONNREFUSED, "no address")


async def _connected(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        found = sock.connect_ex(address)
        if found in (errno.EINPROGRESS, errno.EWOULDBLOCK):
            await anyio.wait_writable(sock)
            found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if found:
            raise OSError(found, "connect")
    except BaseException:
        sock.close()
        raise
    return sock
