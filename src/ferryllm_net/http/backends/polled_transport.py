"""A connection over a plain socket of which a `Poller` tells: the same on asyncio and on trio.

Nothing here switches tasks for a chunk that is relayed: the pump's function is called where the bytes arrive.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
from collections import deque
from collections.abc import Callable

import anyio.lowlevel

from ..pushed_transport import PushedTransport, Waiter
from ..transport import CLOSED, TransportError, cut_on_close, describe, peer_of
from .poller import READ, WRITE, Poller
from .read_buffer import read_buffer

# Sends in a row that the system took at once before other tasks get a turn; trio's own rule is one at every call.
_TURNS = 16


class PolledTransport(PushedTransport):
    """`Transport` over a connected, non-blocking socket, which becomes the transport's.

    ``waiter`` makes what a task of the running loop can wait for.
    """

    secure = False
    protocol = None
    ragged_end = False

    __slots__ = (
        "_buffer",
        "_cut",
        "_eof_sent",
        "_fd",
        "_look",
        "_poller",
        "_sock",
        "_unsendable",
        "_unsent",
        "_wanted",
        "peer",
    )

    def __init__(self, sock: socket.socket, poller: Poller, waiter: Callable[[], Waiter]) -> None:
        super().__init__(waiter)
        self.peer = peer_of(sock)
        self._sock = sock
        self._fd = sock.fileno()
        self._poller = poller
        self._buffer = read_buffer()
        self._unsent: deque[memoryview] | None = None
        """What the system has not taken yet."""
        self._unsendable: str | None = None
        """Why nothing can be sent any more; what the peer has said may still be read."""
        self._cut = False
        """Sending has found that the peer has reset the connection."""
        self._look: select.poll | None = None
        """What `is_quiet` asks."""
        self._eof_sent = False
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
            self._arrive(bytes(self._buffer[:size]))
        except OSError as exc:
            self._break(describe(exc))
        except Exception as exc:
            # Nobody else is to hear of it: the caller has other sockets.
            self._break(f"what was told of it failed ({type(exc).__name__})")

    # What `Transport` says.

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
        self._pieces = []
        self._unsent = None
        self._want(0)
        self._sock.close()
        self._on_end = None
        self._end()
        self._wake_drainer()

    # Inside.

    def _pause(self) -> None:
        self._want(self._wanted & ~READ)

    def _resume(self) -> None:
        if not self._ended:
            self._want(self._wanted | READ)

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

    def _shut_down(self) -> None:
        with contextlib.suppress(OSError):  # the peer has gone
            self._sock.shutdown(socket.SHUT_WR)

    def _break(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
        self._end()

    def _end(self) -> None:
        self._want(self._wanted & ~READ)
        super()._end()
