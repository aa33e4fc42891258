"""The transport over a byte stream of anyio: for who embeds the server or brings a stream of its own.

The transports of `backends` are thinner: on asyncio a stream costs 30 us a request and 20 us a paced chunk more.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute

from .pulled_transport import Kicked, PulledTransport
from .transport import CLOSED, RECEIVE_BYTES, TransportError, cut_on_close, describe, peer_of, readable

_FAILURES = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.BusyResourceError, OSError)


class StreamTransport(PulledTransport):
    """Over an anyio `SocketStream`, a `TLSStream` around one, or any other. A socket gets TCP_NODELAY.

    The system's word is not to be had without an await: `write` keeps everything, and `drain` sends.
    """

    ragged_end = False  # anyio does not tell

    def __init__(self, stream: ByteStream) -> None:
        super().__init__()
        self._stream = stream
        self._raw = stream.extra(SocketAttribute.raw_socket, None)
        self._tls = stream.extra(TLSAttribute.ssl_object, None)
        self._full_read = False
        self._unsent: list[bytes] = []
        self._torn: str | None = None
        """Why nothing can be written any more."""
        self._read_scope: anyio.CancelScope | None = None
        self._write_scope: anyio.CancelScope | None = None
        self.peer = ("", 0) if self._raw is None else peer_of(self._raw)
        if self._raw is not None and self._raw.family in (socket.AF_INET, socket.AF_INET6):
            self._raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def secure(self) -> bool:
        return self._tls is not None

    @property
    def protocol(self) -> str | None:
        return None if self._tls is None else self._tls.selected_alpn_protocol()

    def write(self, data: bytes) -> bool:
        if self._closed or self._torn:
            raise TransportError(self._torn or CLOSED)
        if data:
            self._unsent.append(data)
        return not self._unsent

    async def drain(self) -> None:
        self._draining = True
        try:
            while self._unsent or self._torn:
                self._check_drain()
                if self._torn:
                    raise TransportError(self._torn)
                await self._send_kept()
        finally:
            self._draining = self._drain_interrupted = False
            self._write_scope = None

    async def _send_kept(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        # Of a write that does not end well an unknown part is gone: what follows would have no meaning.
        torn = "a write was broken off"
        try:
            with anyio.CancelScope() as self._write_scope:
                await self._stream.send(data)
                torn = ""
        except (*_FAILURES, anyio.EndOfStream) as exc:
            torn = describe(exc)
            raise TransportError(torn) from exc
        finally:
            self._torn = torn or None

    async def send(self, data: bytes) -> None:
        self.write(data)
        await self.drain()

    async def send_eof(self) -> None:
        if self._tls is None and not self._closed:
            with contextlib.suppress(*_FAILURES):
                await self._stream.send_eof()

    def reset_on_close(self) -> None:
        if self._raw is not None and self._raw.fileno() >= 0:
            cut_on_close(self._raw)

    def is_quiet(self) -> bool:
        # A read that filled its buffer may have left bytes in the stream, where no look at the socket finds them.
        if self._pieces or self._ended or self._full_read or self._raw is None or self._raw.fileno() < 0:
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
        return not readable(self._raw)

    async def aclose(self) -> None:
        if self._close():
            with contextlib.suppress(*_FAILURES):
                await anyio.aclose_forcefully(self._stream)

    async def _read(self) -> bytes:
        try:
            with anyio.CancelScope() as self._read_scope:
                data = await self._stream.receive(RECEIVE_BYTES)
                self._full_read = len(data) == RECEIVE_BYTES
                return data
        except anyio.EndOfStream:
            return b""
        except _FAILURES as exc:
            raise TransportError(describe(exc)) from exc
        finally:
            self._read_scope = None
        raise Kicked

    def _kick_reader(self) -> None:
        if self._read_scope is not None:
            self._read_scope.cancel()

    def _kick_writer(self) -> None:
        if self._write_scope is not None:
            self._write_scope.cancel()
