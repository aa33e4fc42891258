"""Transports whose bytes have to be asked for: everything but those of whom a loop or a poller tells.

Reading ahead, pumping and the interruption are written once here; who derives brings the read and the write. Without
`attend` the reader reads itself, with it the reader sleeps and `attend` calls the pump's function.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Protocol

import anyio
import anyio.lowlevel

from .transport import CLOSED, READ_AHEAD_BYTES, Feed, Interrupted, TransportError


class Kicked(Exception):
    """A wait for bytes was broken off; whoever waited looks why."""


class Waking(Protocol):
    """`anyio.Event`, or a backend's own, which costs half."""

    def set(self) -> object: ...

    def is_set(self) -> bool: ...

    async def wait(self) -> None: ...


class PulledTransport(abc.ABC):
    """The read side of a `Transport`, and how it is interrupted and closed."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._feed: Feed | None = None
        self._fed = False
        """The pump's function has said that it is done."""
        self._failure: Exception | None = None
        """What the pump's function raised."""
        self._attended = False
        self._reading = False
        """The reader itself waits for bytes."""
        self._interrupted = False
        self._draining = False
        self._drain_interrupted = False
        self._ended = False
        self._closed = False
        self._reason: str | None = None
        """Why the connection does not work any more."""
        self._on_end: Callable[[], None] | None = None
        self._sleeper: Waking | None = None
        self._room: Waking | None = None

    # What a transport brings.

    @abc.abstractmethod
    async def _read(self) -> bytes:
        """Wait for bytes, b"" at the end. Raises `TransportError`, `Kicked`."""

    def _event(self) -> Waking:
        return anyio.Event()

    def _read_now(self) -> bytes | None:
        """The same without waiting; None when there is nothing, or nobody can tell."""
        return None

    @abc.abstractmethod
    def _kick_reader(self) -> None:
        """End the wait in `_read` that is under way with `Kicked`."""

    @abc.abstractmethod
    def _kick_writer(self) -> None:
        """End the wait in `drain` that is under way; it asks `_check_drain` then."""

    # What `Transport` says.

    async def receive(self) -> bytes:
        while not self._pieces:
            if self._reason is not None:
                raise TransportError(self._reason)
            if self._ended:
                return b""
            if self._attended:
                await self._sleep(None)
            elif data := await self._pull():
                return data
        return self._take()

    async def pump(self, feed: Feed) -> bool:
        while True:
            if self._pieces:
                data = self._take()
            elif self._reason is not None:
                raise TransportError(self._reason)
            elif self._ended:
                return False
            elif self._attended:
                if await self._sleep(feed):
                    return True
                continue
            else:
                data = await self._pull()
            if data and feed(data):
                return True

    def interrupt(self) -> None:
        if self._draining:
            self._drain_interrupted = True
            self._kick_writer()
        if not self._draining or self._reading or self._sleeper is not None:
            self._interrupted = True
            if self._reading:
                self._kick_reader()
            self._wake()

    def watch(self, on_end: Callable[[], None]) -> bool:
        if self._ended:
            on_end()
        else:
            self._on_end = on_end
        return True

    async def attend(self) -> None:
        self._attended = True
        try:
            while self._reading:
                # The reader has begun without us; it comes back to sleep until we have something.
                self._kick_reader()
                await anyio.lowlevel.checkpoint()
            while not self._ended:
                if self._size >= READ_AHEAD_BYTES:
                    self._room = self._event()
                    await self._room.wait()
                try:
                    data = await self._read()
                except Kicked:
                    continue
                except TransportError as exc:
                    self._break(str(exc))
                    return
                if not data:
                    self._end()
                    return
                self._arrive(data)
        finally:
            self._attended = False
            self._wake()

    # Inside.

    async def _pull(self) -> bytes:
        """What one read of the reader's own brings; b"" when it has to look again."""
        try:
            if self._interrupted:
                now = self._read_now()
                if now is None:
                    self._interrupted = False
                    raise Interrupted
                data = now
            else:
                self._reading = True
                data = await self._read()
        except Kicked:
            return b""
        except TransportError as exc:
            self._break(str(exc))
            raise
        finally:
            self._reading = False
        if not data:
            self._end()
        return data

    async def _sleep(self, feed: Feed | None) -> bool:
        """Until `attend` has something; True when ``feed`` is done."""
        if self._interrupted:
            self._interrupted = False
            raise Interrupted
        self._fed = False
        # That of a pump which was cancelled meanwhile is nobody's.
        self._failure = None
        self._feed = feed
        self._sleeper = self._event()
        try:
            await self._sleeper.wait()
        finally:
            self._feed = self._sleeper = None
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        return self._fed

    def _wake(self) -> None:
        if self._sleeper is not None:
            self._sleeper.set()
        if self._room is not None:
            self._room.set()

    def _arrive(self, data: bytes) -> None:
        sleeper = self._sleeper
        if self._feed is None or sleeper is None or sleeper.is_set():
            self._pieces.append(data)
            self._size += len(data)
            if sleeper is not None:
                sleeper.set()
            return
        try:
            self._fed = self._feed(data)
        except Exception as exc:
            self._failure = exc
        if self._fed or self._failure is not None:
            sleeper.set()

    def _take(self) -> bytes:
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        if self._room is not None:
            self._room.set()
            self._room = None
        return data

    def _check_drain(self) -> None:
        """In `drain`, before each wait and after a broken one."""
        if self._closed:
            raise TransportError(CLOSED)
        if self._drain_interrupted:
            self._drain_interrupted = False
            raise Interrupted

    def _end(self) -> None:
        self._ended = True
        self._wake()
        on_end, self._on_end = self._on_end, None
        if on_end is not None and not self._closed:
            on_end()

    def _break(self, reason: str) -> None:
        if self._reason is None:
            self._reason = reason
        self._end()

    def _close(self) -> bool:
        """The first part of `aclose`: True when it is the first call."""
        if self._closed:
            return False
        self._closed = self._ended = True
        self._reason = CLOSED
        self._pieces.clear()
        self._kick_reader()
        self._kick_writer()
        self._wake()
        return True
