"""Transports whose bytes come by themselves: a loop or a poller tells of them, whoever waits or not.

Keeping what comes early, pumping and the interruption are written once here; who derives brings what comes (`_arrive`,
`_end`), the write and the close. Reading goes on until `READ_AHEAD_BYTES` wait: `attend` has nothing to do, and an end
is seen while nobody reads.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from .transport import READ_AHEAD_BYTES, Feed, Interrupted, TransportError

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


class PushedTransport:
    """The read side of a `Transport`, and how it is interrupted. ``waiter`` makes what a task of the running loop can
    wait for."""

    __slots__ = (
        "_closed",
        "_drainer",
        "_ended",
        "_failure",
        "_feed",
        "_interrupted",
        "_make_waiter",
        "_on_end",
        "_paused",
        "_pieces",
        "_reason",
        "_size",
        "_streak",
        "_waiter",
    )

    def __init__(self, waiter: Callable[[], Waiter]) -> None:
        self._make_waiter = waiter
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
        self._on_end: Callable[[], None] | None = None
        self._interrupted = False
        self._paused = False
        """Reading, because enough waits."""
        self._ended = False
        self._closed = False
        self._reason: str | None = None
        """Why the connection does not work any more."""
        self._streak = 0
        """Sends in a row that the system took at once."""

    # What a transport brings.

    def _pause(self) -> None:
        """Read no more until `_resume`."""
        raise NotImplementedError

    def _resume(self) -> None:
        raise NotImplementedError

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

    # Inside.

    def _arrive(self, data: bytes) -> None:
        """What one read brought."""
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

    def _keep(self, data: bytes) -> None:
        if self._closed:
            return
        if self._pieces:
            self._pieces.append(data)
        else:
            self._pieces = [data]
        self._size += len(data)
        if self._size >= READ_AHEAD_BYTES and not self._paused:
            self._paused = True
            self._pause()

    def _put_back(self, data: bytes) -> None:
        """What a wait has brought stands before what has come since."""
        if data and not self._closed:
            self._pieces = [data, *self._pieces]
            self._size += len(data)

    def _take(self) -> bytes:
        pieces, self._pieces = self._pieces, _NONE
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._size = 0
        if self._paused:
            self._paused = False
            self._resume()
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

    def _end(self) -> None:
        """Nothing comes any more."""
        self._ended = True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(b"")
        on_end, self._on_end = self._on_end, None
        if on_end is not None and not self._closed:
            on_end()

    def _wake_drainer(self) -> None:
        if self._drainer is not None and not self._drainer.done():
            self._drainer.set_result(b"")
