"""A connection on trio where the system has no epoll: a plain socket and the loop's two waits.

trio's own socket objects checkpoint twice a call; here a read waits first, where the last one has emptied the socket.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections import deque

import trio

from ..pulled_transport import Kicked, PulledTransport
from ..transport import TransportError, cut_on_close, describe, peer_of
from .read_buffer import READ_BYTES, read_buffer

# Reads or sends in a row without a wait before other tasks get a turn: 1 MiB of what arrives faster than it is read.
_TURNS = 16


class TrioTransport(PulledTransport):
    """`Transport` over a connected, non-blocking socket, which becomes the transport's."""

    secure = False
    protocol = None
    ragged_end = False

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.peer = peer_of(sock)
        self._sock = sock
        self._buffer = read_buffer()
        self._unsent: deque[memoryview] = deque()
        self._eof_sent = False
        self._cut: str | None = None
        """How sending has found that the peer has reset the connection: its end is none then."""
        self._emptied = True
        """The last read left nothing behind, as far as one can know."""
        self._reads = 0
        self._sends = 0

    def write(self, data: bytes) -> bool:
        if self._closed or self._eof_sent:
            raise TransportError("the connection is closed" if self._closed else "our direction has ended")
        if self._unsent:
            self._unsent.append(memoryview(data))
            return False
        try:
            sent = self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as exc:
            raise self._unsendable(exc) from exc
        if sent == len(data):
            return True
        self._unsent.append(memoryview(data)[sent:])
        return False

    async def drain(self) -> None:
        unsent = self._unsent
        self._draining = True
        try:
            while unsent or self._closed:
                self._check_drain()
                # A closed socket has no descriptor to wait for; `_check_drain` says so in the next turn.
                with contextlib.suppress(trio.ClosedResourceError):
                    await trio.lowlevel.wait_writable(self._sock)
                    self._send_kept()
            self._sends = 0
        finally:
            self._draining = self._drain_interrupted = False

    async def send(self, data: bytes) -> None:
        if not self.write(data):
            await self.drain()
            return
        self._sends += 1
        if self._sends > _TURNS:
            self._sends = 0
            await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        if self._closed or self._eof_sent:
            return
        self._eof_sent = True
        if not self._unsent:  # that comes first
            self._shut_down()

    def reset_on_close(self) -> None:
        if not self._closed:
            cut_on_close(self._sock)

    def is_quiet(self) -> bool:
        if self._pieces or self._ended:
            return False
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    async def aclose(self) -> None:
        if self._close():
            self._unsent.clear()
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()

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
            raise self._unsendable(exc) from exc
        if self._eof_sent:
            self._shut_down()

    def _unsendable(self, exc: OSError) -> TransportError:
        if exc.errno != errno.EPIPE:  # a reset is told once
            self._cut = describe(exc)
        return TransportError(describe(exc))

    def _shut_down(self) -> None:
        with contextlib.suppress(OSError):  # the peer has gone
            self._sock.shutdown(socket.SHUT_WR)

    async def _read(self) -> bytes:
        # A wait first saves a read in vain, and lets more come together for the next one.
        while self._emptied or self._reads >= _TURNS:
            await self._readable()
            if (data := self._read_now()) is not None:
                return data
        if (data := self._read_now()) is not None:
            return data
        return await self._read()

    def _read_now(self) -> bytes | None:
        try:
            size = self._sock.recv_into(self._buffer)
        except BlockingIOError:
            self._emptied = True
            return None
        except OSError as exc:
            raise TransportError(describe(exc)) from exc
        if not size and self._cut is not None:
            raise TransportError(self._cut)
        self._emptied = size < READ_BYTES
        self._reads += 1
        return bytes(self._buffer[:size])

    async def _readable(self) -> None:
        self._reads = 0
        if self._closed:
            raise Kicked
        try:
            await trio.lowlevel.wait_readable(self._sock)
        except trio.ClosedResourceError:
            raise Kicked from None

    def _event(self) -> trio.Event:
        return trio.Event()

    def _kick_reader(self) -> None:
        # Ends the waits for the socket, also those of `attend` and of the writer, who look around and wait again.
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)

    _kick_writer = _kick_reader
