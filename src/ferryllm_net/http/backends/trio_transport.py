"""A connection on trio: a plain socket and the loop's two waits.

trio's own socket objects checkpoint twice a call; here a read waits first, where the last one has emptied the socket.
A pump's socket is read where `Readers` sees it, so that a chunk wakes no task of its own.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque

import trio

from ..pulled_transport import Kicked, PulledTransport
from ..transport import Feed, TransportError, cut_on_close, describe, peer_of
from .read_buffer import READ_BYTES, read_buffer
from .trio_readers import running

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
        self._emptied = True
        """The last read left nothing behind, as far as one can know."""
        self._reads = 0
        self._sends = 0
        self._task: trio.lowlevel.Task | None = None
        """The reader, while `Readers` watches the socket for it."""
        self._readers = running()

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
            raise TransportError(describe(exc)) from exc
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
        with contextlib.suppress(OSError):  # the peer has gone
            self._sock.shutdown(socket.SHUT_WR)

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
            raise TransportError(describe(exc)) from exc

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

    async def _flow(self, feed: Feed) -> bool:
        readers = self._readers
        if readers is None or self._interrupted or not self._emptied:
            return await super()._flow(feed)
        self._fed, self._failure, self._feed = False, None, feed
        readers.add(self._sock, self._pass_on)
        self._task = trio.lowlevel.current_task()
        self._reading = True
        try:
            await trio.lowlevel.wait_task_rescheduled(self._abort)
        finally:
            self._reading = False
            self._feed = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return self._fed

    def _pass_on(self) -> None:
        """Called by `Readers`: there is something to read. What goes wrong with it is told to the reader."""
        feed = self._feed
        assert feed is not None
        try:
            try:
                data = self._read_now()
            except TransportError as exc:
                self._break(str(exc))
            else:
                if data:
                    self._fed = feed(data)
                elif data is not None:
                    self._end()
        except Exception as exc:
            self._failure = exc
        if self._fed or self._ended or self._failure is not None:
            self._resume()

    def _resume(self) -> None:
        """Let the reader look itself; nothing is read for it any more."""
        task = self._task
        if task is not None:
            self._forget()
            trio.lowlevel.reschedule(task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._forget()
        return trio.lowlevel.Abort.SUCCEEDED

    def _forget(self) -> None:
        assert self._readers is not None
        self._readers.remove(self._sock)
        self._task = None

    def _event(self) -> trio.Event:
        return trio.Event()

    def _kick_reader(self) -> None:
        if self._task is not None:
            self._resume()
            return
        # Ends the waits for the socket, also those of `attend` and of the writer, who look around and wait again.
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)

    _kick_writer = _kick_reader
