"""A connection over a plain socket of which a `Poller` tells: the same on asyncio and on trio.

Nothing here switches tasks for a chunk that is relayed: the pump's function is called where the bytes arrive. The loop
reads always, until `READ_AHEAD_BYTES` wait: so `attend` has nothing to do, and an end is seen while nobody reads.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

import anyio.lowlevel

from ..transport import CLOSED, READ_AHEAD_BYTES, Feed, Interrupted, TransportError, cut_on_close, describe, peer_of
from .poller import READ, WRITE, Poller
from .read_buffer import read_buffer

# Sends in a row that the system took at once before other tasks get a turn; trio's own rule is one at every call.
_TURNS = 16

_NONE: list[bytes] = []
_DONE = b"done"
"""What a pump waits for; no bytes come in its place."""


class Waiter(Awaitable[bytes], Protocol):
    """What one task waits for; `asyncio.Future` is one."""

    def done(self) -> bool:
        """Set, or cancelled."""
        ...

    def cancelled(self) -> bool: ...

    def exception(self) -> BaseException | None: ...

    def result(self) -> bytes: ...

    def set_result(self, result: bytes, /) -> None: ...

    def set_exception(self, exception: Exception, /) -> None: ...


class PolledTransport:
    """`Transport` over a connected, non-blocking socket, which becomes the transport's.

    ``waiter`` makes what a task of the running loop can wait for.
    """

    secure = False
    protocol = None
    ragged_end = False

    __slots__ = (
        "_buffer",
        "_closed",
        "_cut",
        "_drainer",
        "_ended",
        "_eof_sent",
        "_failure",
        "_fd",
        "_feed",
        "_interrupted",
        "_look",
        "_make_waiter",
        "_on_end",
        "_pieces",
        "_poller",
        "_reason",
        "_size",
        "_sock",
        "_streak",
        "_unsendable",
        "_unsent",
        "_waiter",
        "_wanted",
        "peer",
    )

    def __init__(self, sock: socket.socket, poller: Poller, waiter: Callable[[], Waiter]) -> None:
        self.peer = peer_of(sock)
        self._sock = sock
        self._fd = sock.fileno()
        self._poller = poller
        self._make_waiter = waiter
        self._buffer = read_buffer()
        self._pieces: list[bytes] = _NONE
        """What has come and was not taken; another list for each time there is something."""
        self._size = 0
        self._feed: Feed | None = None
        self._failure: Exception | None = None
        """What the pump's function raised."""
        self._waiter: Waiter | None = None
        """Of the reader: gets the bytes, nothing where there is something else to look at, and from a pump that its
        function has said it is done."""
        self._drainer: Waiter | None = None
        self._unsent: deque[memoryview] | None = None
        """What the system has not taken yet."""
        self._unsendable: str | None = None
        """Why nothing can be sent any more; what the peer has said may still be read."""
        self._cut = False
        """Sending has found that the peer has reset the connection."""
        self._look: select.poll | None = None
        """What `is_quiet` asks."""
        self._on_end: Callable[[], None] | None = None
        self._interrupted = False
        self._ended = False
        self._eof_sent = False
        self._closed = False
        self._reason: str | None = None
        """Why the connection does not work any more."""
        self._streak = 0
        self._wanted = READ
        poller.add(self._fd, READ, self._ready)

    # What the poller calls.

    def _ready(self, ready: int) -> None:
        try:
            if ready != READ and self._wanted & WRITE:
                self._send_kept()
            if ready == WRITE or not self._wanted & READ:
                return
            try:
                size = self._sock.recv_into(self._buffer)
            except BlockingIOError:
                return
            if not size:
                # A reset is told once, and a send may have heard it.
                if self._cut:
                    self._break(self._unsendable or CLOSED)
                else:
                    self._end()
                return
            data = bytes(self._buffer[:size])
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
        except OSError as exc:
            self._break(describe(exc))
        except Exception as exc:
            # Nobody else is to hear of it: the caller has other sockets.
            self._break(f"what was told of it failed ({type(exc).__name__})")

    # What `Transport` says.

    async def receive(self) -> bytes:
        if not self._pieces:
            if self._reason is not None:
                raise TransportError(self._reason)
            if self._ended:
                return b""
            # As `_begin_wait`, without the call.
            assert self._waiter is None, "one reader at a time"
            if self._interrupted:
                self._interrupted = False
                raise Interrupted
            waiter = self._waiter = self._make_waiter()
            self._streak = 0
            try:
                data = await waiter
            except BaseException:
                # A cancelled call has taken nothing.
                if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                    self._put_back(waiter.result())
                raise
            finally:
                self._waiter = None
            if data and not (self._pieces or self._closed):
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
        if self._reason is not None or self._eof_sent or self._unsendable is not None:
            raise TransportError(self._reason or self._unsendable or "our direction has ended")
        if self._unsent:
            self._unsent.append(memoryview(data))
            return False
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            self._forsake(exc)
            raise TransportError(describe(exc)) from exc
        if sent == len(data):
            return True
        self._unsent = deque((memoryview(data)[sent:],))
        self._want(self._wanted | WRITE)
        return False

    async def drain(self) -> None:
        while self._unsent:
            assert self._drainer is None, "one writer at a time"
            self._drainer = self._make_waiter()
            self._streak = 0
            try:
                await self._drainer
            finally:
                self._drainer = None
        if self._reason is not None or self._unsendable is not None:
            raise TransportError(self._unsendable or self._reason or CLOSED)

    async def send(self, data: bytes) -> None:
        if not self.write(data):
            await self.drain()
        self._streak += 1
        if self._streak > _TURNS:
            self._streak = 0
            await anyio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        if not (self._closed or self._eof_sent):
            self._eof_sent = True
            if not self._unsent:  # that comes first
                self._shut_down()

    def reset_on_close(self) -> None:
        if not self._closed:
            cut_on_close(self._sock)

    def is_quiet(self) -> bool:
        if self._pieces or self._ended or self._reason:
            return False
        # What has come since the poller's last turn, a third of the price of a look that ends with an exception.
        if self._look is None:
            self._look = select.poll()
            self._look.register(self._fd, select.POLLIN)
        return not self._look.poll(0)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._reason is None:
            self._reason = CLOSED
        self._pieces = _NONE
        self._unsent = None
        self._want(0)
        self._sock.close()
        self._on_end = None
        self._end()
        self._wake_drainer()

    # Inside.

    def _want(self, wanted: int) -> None:
        """Be called for this from now on."""
        before, self._wanted = self._wanted, wanted
        if before == wanted:
            return
        try:
            if not wanted:
                self._poller.remove(self._fd)
            elif before:
                self._poller.change(self._fd, wanted)
            else:
                self._poller.add(self._fd, wanted, self._ready)
        except OSError as exc:  # the system watches no more
            self._poller.remove(self._fd)
            self._wanted = 0
            self._forsake(exc)
            self._wake_drainer()
            self._break(describe(exc))

    def _keep(self, data: bytes) -> None:
        if self._pieces:
            self._pieces.append(data)
        else:
            self._pieces = [data]
        self._size += len(data)
        if self._size >= READ_AHEAD_BYTES:
            self._want(self._wanted & ~READ)

    def _put_back(self, data: bytes) -> None:
        """What a wait has brought stands before what has come since."""
        if data and not self._closed:
            self._pieces = [data, *self._pieces]
            self._size += len(data)

    def _take(self) -> bytes:
        pieces, self._pieces = self._pieces, _NONE
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._size = 0
        if not self._wanted & READ and not self._ended:
            self._want(self._wanted | READ)
        return data

    def _begin_wait(self, feed: Feed) -> Waiter:
        """What to wait on for the end or the word of ``feed``. No coroutine: it would be there for as long as that."""
        assert self._waiter is None, "one reader at a time"
        if self._interrupted:
            self._interrupted = False
            raise Interrupted
        waiter = self._waiter = self._make_waiter()
        # That of a pump which was cancelled meanwhile is nobody's.
        self._failure = None
        self._feed = feed
        self._streak = 0
        return waiter

    def _send_kept(self) -> None:
        unsent = self._unsent
        try:
            while unsent:
                sent = self._sock.send(unsent[0])
                if sent < len(unsent[0]):
                    unsent[0] = unsent[0][sent:]
                    return
                unsent.popleft()
        except BlockingIOError:
            return
        except OSError as exc:
            self._forsake(exc)
        if self._eof_sent:
            self._shut_down()
        self._want(self._wanted & ~WRITE)
        self._wake_drainer()

    def _forsake(self, exc: OSError) -> None:
        """Nothing can be sent any more. What the peer has said can be read, but its end is none where it is a reset;
        EPIPE says nothing of that."""
        self._unsendable = describe(exc)
        self._cut = exc.errno != errno.EPIPE
        self._unsent = None

    def _wake_drainer(self) -> None:
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(b"")

    def _shut_down(self) -> None:
        with contextlib.suppress(OSError):  # the peer has gone
            self._sock.shutdown(socket.SHUT_WR)

    def _break(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
        self._end()

    def _end(self) -> None:
        """Nothing comes any more."""
        self._ended = True
        self._want(self._wanted & ~READ)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(b"")
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()
