"""The transport seam: a connection as four verbs, first over anyio's byte streams.

Apart because a thinner one for each backend is to stand here later; connection code knows only the Protocol.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
from typing import Protocol

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute

from .limits import KIB

RECEIVE_BYTES = 64 * KIB
"""Of one read: what TLS (4 records) and loopback bring at once; larger buffers cost trio an mmap a read."""


class TransportError(Exception):
    """The connection is broken or closed; says in one sentence how, without content."""


class Transport(Protocol):
    """One connection. One reader and one writer at a time, which may be two tasks."""

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of the other side; ("", 0) when unknown."""
        ...

    async def receive(self, max_bytes: int = RECEIVE_BYTES) -> bytes:
        """At least one byte, or b"" at the end. Raises `TransportError` for a connection that broke."""
        ...

    async def send(self, data: bytes) -> None:
        """Returns when the system has taken all of it: this is the backpressure. Raises `TransportError`. After a
        cancellation an unknown part of the data is gone and only `aclose` makes sense."""
        ...

    async def send_eof(self) -> None:
        """End our direction where the transport can; never raises."""
        ...

    def reset_on_close(self) -> None:
        """Make the close visible as a cut (RST), for messages whose end is the close itself."""
        ...

    def is_quiet(self) -> bool:
        """Open, with nothing to read: fit for another request. Looks without waiting."""
        ...

    async def aclose(self) -> None:
        """Close now, without farewells; idempotent, never raises."""
        ...


def _describe(exc: BaseException) -> str:
    cause = exc.__cause__ if isinstance(exc.__cause__, OSError) else exc
    if isinstance(cause, ssl.SSLError):
        return f"TLS failed ({cause.reason or type(cause).__name__})"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror.lower()
    return "the connection is closed"


_FAILURES = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.BusyResourceError, OSError)


class StreamTransport:
    """Over an anyio `SocketStream`, or a `TLSStream` around one. Sets TCP_NODELAY: an event must not wait for an ACK
    (43 ms a stall, measured)."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self.peer = _peer(stream)
        self._full_read = False
        self._raw = stream.extra(SocketAttribute.raw_socket, None)
        self._tls = stream.extra(TLSAttribute.ssl_object, None)
        if self._raw is not None and self._raw.family in (socket.AF_INET, socket.AF_INET6):
            self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def secure(self) -> bool:
        """Over TLS."""
        return self._tls is not None

    @property
    def protocol(self) -> str | None:
        """What the handshake agreed on (ALPN)."""
        return None if self._tls is None else self._tls.selected_alpn_protocol()

    async def receive(self, max_bytes: int = RECEIVE_BYTES) -> bytes:
        try:
            data = await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except _FAILURES as exc:
            raise TransportError(_describe(exc)) from exc
        self._full_read = len(data) == max_bytes
        return data

    async def send(self, data: bytes) -> None:
        try:
            await self._stream.send(data)
        except (*_FAILURES, anyio.EndOfStream) as exc:
            raise TransportError(_describe(exc)) from exc

    async def send_eof(self) -> None:
        if self._tls is not None:
            return
        with contextlib.suppress(*_FAILURES):
            await self._stream.send_eof()

    def reset_on_close(self) -> None:
        if self._raw is not None and self._raw.fileno() >= 0:
            # l_onoff=1, l_linger=0: close() sends RST.
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def is_quiet(self) -> bool:
        # A read that filled its buffer may have left bytes in the stream, where no look at the socket finds them.
        if self._full_read or self._raw is None or self._raw.fileno() < 0:
            return False
        if self._tls is not None:
            try:
                self._tls.read(1)
            except ssl.SSLWantReadError:
                pass
            except (OSError, ValueError):
                return False
            else:
                return False
        return not _readable(self._raw)

    async def aclose(self) -> None:
        with contextlib.suppress(*_FAILURES):
            await anyio.aclose_forcefully(self._stream)


def _peer(stream: ByteStream) -> tuple[str, int]:
    try:
        address = stream.extra(SocketAttribute.remote_address, None)
    except OSError:  # reset before we looked
        return "", 0
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else ("", 0)


def _readable(raw: socket.socket) -> bool:
    """Bytes, an end or an error wait on the socket."""
    if hasattr(select, "poll"):
        # select() refuses descriptors above 1023, which a busy gateway reaches.
        poll = select.poll()
        poll.register(raw.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([raw], [], [], 0)[0])
