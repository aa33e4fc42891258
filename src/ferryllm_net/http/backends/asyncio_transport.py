"""A connection on asyncio where the system has no epoll: a Protocol whose bytes go straight to the pump's function.

Nothing here switches tasks for a chunk that is relayed: `buffer_updated` runs in the loop's own callback. No primitives
of anyio either, which cost 30 us a request and 20 us a paced chunk more (measured); the scopes of anyio cancel plain
futures like everything else.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from ..pushed_transport import PushedTransport
from ..transport import TransportError, cut_on_close, describe
from .read_buffer import read_buffer

# Sends in a row that the system took at once before the loop gets a turn; trio's own rule is one at every call.
_TURNS = 16
# Larger writes go in pieces: what the system does not take at once is copied by asyncio (until Python 3.12).
_PIECE_BYTES = 256 * 1024


_UNNAMED = ("", 0)


async def connect(sock: socket.socket) -> AsyncioTransport:
    """The transport over a connected socket, which becomes the transport's. Raises OSError."""
    loop = asyncio.get_running_loop()
    _, transport = await loop.create_connection(lambda: AsyncioTransport(sock), sock=sock)
    return transport


class AsyncioTransport(PushedTransport, asyncio.BufferedProtocol):
    """`Transport` over a socket; made by `connect`."""

    secure = False
    protocol = None
    ragged_end = False

    __slots__ = (
        "_blocked",
        "_buffer",
        "_closer",
        "_direct",
        "_eof_sent",
        "_loop",
        "_lost",
        "_sock",
        "_transport",
        "peer",
    )

    _transport: asyncio.Transport

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(asyncio.Future)
        self.peer = _UNNAMED
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = read_buffer()
        self._closer: asyncio.Future[None] | None = None
        self._blocked = False
        """Writing: the system has not taken all of it."""
        self._eof_sent = False
        self._lost = False
        self._direct = False
        """What is written goes to the socket itself."""

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's do not derive from it.
        self._transport = cast(asyncio.Transport, transport)
        # The loop has asked the socket, and keeps the answer: no second one.
        name = transport.get_extra_info("peername")
        if type(name) is tuple and len(name) >= 2:
            self.peer = name if len(name) == 2 else name[:2]
        # Any byte left behind is told by `pause_writing`.
        self._transport.set_write_buffer_limits(high=0)
        # uvloop keeps what it writes until the end of a turn, and Windows' loop until it is done: not to be overtaken.
        if type(transport).__module__ == "asyncio.selector_events":
            self._direct = True

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._arrive(bytes(self._buffer[:nbytes]))

    def eof_received(self) -> bool:
        self._end()
        return True  # our direction stays open

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._reason is None:
            self._reason = describe(exc) if exc is not None else "the connection is closed"
        self._wake_drainer()
        if self._closer is not None and not self._closer.done():
            self._closer.set_result(None)
        self._end()

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._wake_drainer()

    # What `Transport` says.

    def write(self, data: bytes | memoryview) -> bool:
        if self._reason is not None or self._eof_sent:
            raise TransportError(self._reason or "our direction has ended")
        if self._direct and not self._blocked:
            # What asyncio's own write begins with, without the rest of it: nothing is kept that could be overtaken.
            try:
                sent = self._sock.send(data)
            except OSError:  # not now, or never again: asyncio knows what follows
                sent = 0
            if sent == len(data):
                return True
            data = memoryview(data)[sent:]
        self._transport.write(data)
        # A write that failed is told by `connection_lost`, which `drain` waits for.
        return not self._blocked and not self._transport.is_closing()

    async def drain(self) -> None:
        while (self._blocked or self._transport.is_closing()) and not self._lost:
            assert self._drainer is None, "one writer at a time"
            self._drainer = self._make_waiter()
            self._streak = 0
            try:
                await self._drainer
            finally:
                self._drainer = None
        if self._reason is not None:
            raise TransportError(self._reason)

    async def send(self, data: bytes) -> None:
        if len(data) > _PIECE_BYTES:
            view = memoryview(data)
            for start in range(0, len(data), _PIECE_BYTES):
                if not self.write(view[start : start + _PIECE_BYTES]):
                    await self.drain()
        elif not self.write(data):
            await self.drain()
        self._streak += 1
        if self._streak > _TURNS:
            self._streak = 0
            await asyncio.sleep(0)

    async def send_eof(self) -> None:
        if self._reason is None and not self._eof_sent:
            self._eof_sent = True
            try:
                self._transport.write_eof()
            except OSError:  # the peer has gone
                return

    def reset_on_close(self) -> None:
        if not self._lost:
            cut_on_close(self._sock)

    def is_quiet(self) -> bool:
        # No look at the socket: what had come before this turn of the loop was read in it.
        return not (self._pieces or self._ended or self._closed or self._reason or self._transport.is_closing())

    async def aclose(self) -> None:
        if self._reason is None:
            self._reason = "the connection is closed"
        self._closed = True
        self._pieces = []
        self._transport.abort()
        if not self._lost and self._closer is None:
            # The loop closes the socket in its next turn.
            self._closer = self._loop.create_future()
            await self._closer

    # Inside.

    def _pause(self) -> None:
        self._transport.pause_reading()

    def _resume(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()
