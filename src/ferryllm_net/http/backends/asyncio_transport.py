"""A connection on asyncio where the system has no epoll: a Protocol whose bytes go straight to the pump's function.

Nothing here switches tasks for a chunk that is relayed: `buffer_updated` runs in the loop's own callback. No primitives
of anyio either, which cost 30 us a request and 20 us a paced chunk more (measured); the scopes of anyio cancel plain
futures like everything else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from ..transport import (
    READ_AHEAD_BYTES,
    Feed,
    Interrupted,
    TransportError,
    cut_on_close,
    describe,
)
from .read_buffer import read_buffer

# Sends in a row that the system took at once before the loop gets a turn; trio's own rule is one at every call.
_TURNS = 16
# Larger writes go in pieces: what the system does not take at once is copied by asyncio (until Python 3.12).
_PIECE_BYTES = 256 * 1024


_UNNAMED = ("", 0)
_NONE: list[bytes] = []
_DONE = b"done"
"""What a pump waits for; no bytes come in its place."""


async def connect(sock: socket.socket) -> AsyncioTransport:
    """The transport over a connected socket, which becomes the transport's. Raises OSError."""
    loop = asyncio.get_running_loop()
    _, transport = await loop.create_connection(lambda: AsyncioTransport(sock), sock=sock)
    return transport


class AsyncioTransport(asyncio.BufferedProtocol):
    """`Transport` over a socket; made by `connect`.

    The loop reads always, until `READ_AHEAD_BYTES` wait: so `attend` has nothing to do, and an end is seen while nobody
    reads.
    """

    secure = False
    protocol = None
    ragged_end = False

    __slots__ = (
        "_blocked",
        "_buffer",
        "_closer",
        "_closing",
        "_direct",
        "_drainer",
        "_ended",
        "_eof_sent",
        "_failure",
        "_feed",
        "_interrupted",
        "_loop",
        "_lost",
        "_on_end",
        "_paused",
        "_pieces",
        "_reason",
        "_size",
        "_sock",
        "_streak",
        "_transport",
        "_waiter",
        "peer",
    )

    _transport: asyncio.Transport

    def __init__(self, sock: socket.socket) -> None:
        self.peer = _UNNAMED
        self._sock = sock
        self._loop = asyncio.get_running_loop()
        self._buffer = read_buffer()
        self._pieces: list[bytes] = _NONE
        """What has come and was not taken; another list for each time there is something."""
        self._size = 0
        self._feed: Feed | None = None
        self._failure: Exception | None = None
        """What the pump's function raised."""
        self._waiter: asyncio.Future[bytes] | None = None
        """Of the reader: gets the bytes, nothing where there is something else to look at, and from a pump that its
        function has said it is done."""
        self._drainer: asyncio.Future[None] | None = None
        self._closer: asyncio.Future[None] | None = None
        self._on_end: Callable[[], None] | None = None
        self._interrupted = False
        self._paused = False
        """Reading."""
        self._blocked = False
        """Writing: the system has not taken all of it."""
        self._ended = False
        self._eof_sent = False
        self._closing = False
        self._lost = False
        self._reason: str | None = None
        """Why the connection does not work any more."""
        self._streak = 0
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
        data = bytes(self._buffer[:nbytes])
        waiter = self._waiter
        if waiter is None or waiter.done():
            self._keep(data)
        elif self._feed is None:
            waiter.set_result(data)
        else:
            try:
                done = self._feed(data)
            except Exception as exc:
                # The function may have cancelled its own pump, which is over then.
                if not waiter.done():
                    self._failure = exc
                    waiter.set_result(b"")
            else:
                if done and not waiter.done():
                    waiter.set_result(_DONE)

    def eof_received(self) -> bool:
        self._end()
        return True  # our direction stays open

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._reason is None:
            self._reason = describe(exc) if exc is not None else "the connection is closed"
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(None)
        if self._closer is not None and not self._closer.done():
            self._closer.set_result(None)
        self._end()

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(None)

    # What `Transport` says.

    async def receive(self) -> bytes:
        if not self._pieces:
            if self._reason is not None:
                raise TransportError(self._reason)
            if self._ended:
                return b""
            waiter = self._begin_wait(None)
            try:
                data = await waiter
            except BaseException:
                # A cancelled call has taken nothing.
                if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                    self._put_back(waiter.result())
                raise
            finally:
                self._waiter = None
            if data and not (self._pieces or self._closing):
                return data
            self._put_back(data)
            if not self._pieces:
                if self._reason is not None:
                    raise TransportError(self._reason)
                return b""
        return self._take()

    async def pump(self, feed: Feed) -> bool:
        while True:
            if self._pieces and feed(self._take()):
                return True
            if self._reason is not None:
                raise TransportError(self._reason)
            if self._ended:
                return False
            waiter = self._begin_wait(feed)
            try:
                if await waiter is _DONE:
                    return True
            finally:
                self._waiter = self._feed = None
            if self._failure is not None:
                failure, self._failure = self._failure, None
                raise failure

    def interrupt(self) -> None:
        waiter, drainer = self._waiter, self._drainer
        reading = waiter is not None and not waiter.done()
        writing = drainer is not None and not drainer.done()
        if writing:
            assert drainer is not None
            drainer.set_exception(Interrupted())
        if reading:
            assert waiter is not None
            waiter.set_exception(Interrupted())
        elif not writing:
            self._interrupted = True

    def watch(self, on_end: Callable[[], None]) -> bool:
        if self._ended:
            on_end()
        else:
            self._on_end = on_end
        return False

    async def attend(self) -> None:
        return

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
            self._drainer = self._loop.create_future()
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
        return not (self._pieces or self._ended or self._closing or self._reason or self._transport.is_closing())

    async def aclose(self) -> None:
        if self._reason is None:
            self._reason = "the connection is closed"
        self._closing = True
        self._pieces = _NONE
        self._transport.abort()
        if not self._lost and self._closer is None:
            # The loop closes the socket in its next turn.
            self._closer = self._loop.create_future()
            await self._closer

    # Inside.

    def _keep(self, data: bytes) -> None:
        if self._closing:
            return
        if self._pieces:
            self._pieces.append(data)
        else:
            self._pieces = [data]
        self._size += len(data)
        if self._size >= READ_AHEAD_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _put_back(self, data: bytes) -> None:
        """What a wait has brought stands before what has come since."""
        if data and not self._closing:
            self._pieces = [data, *self._pieces]
            self._size += len(data)

    def _take(self) -> bytes:
        pieces, self._pieces = self._pieces, _NONE
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._size = 0
        if self._paused:
            self._paused = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return data

    def _begin_wait(self, feed: Feed | None) -> asyncio.Future[bytes]:
        """What to wait on for bytes, the end or, with ``feed``, its word. No coroutine of its own: it would be there
        for as long as the wait."""
        assert self._waiter is None, "one reader at a time"
        if self._interrupted:
            self._interrupted = False
            raise Interrupted
        waiter = self._waiter = self._loop.create_future()
        self._feed = feed
        self._streak = 0
        return waiter

    def _end(self) -> None:
        self._ended = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(b"")
        on_end, self._on_end = self._on_end, None
        if on_end is not None and not self._closing:
            on_end()
