"""The connections of one origin: those that are idle, how many there may be, and who waits for one.

Apart from the pool, which knows how they are made. First come, first served: a connection that is given back goes to
the one that has waited longest, never to somebody who comes just then.
"""

from __future__ import annotations

from collections import deque

import anyio
import msgspec

from .faults import UpstreamError, UpstreamFault
from .limits import Limits
from .origin import Origin
from .upstream import UpstreamConnection


class Counts(msgspec.Struct):
    """What the pool has done so far, for metrics."""

    dialled: int = 0
    reused: int = 0
    retried: int = 0
    """Repeated on a fresh connection, because a kept one had died."""
    waited: int = 0
    """For a connection, because the limit of the origin was reached."""
    refused: int = 0
    """Because too many waited, or one for too long."""


class _Waiter:
    __slots__ = ("connection", "event", "served")

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.served = False
        self.connection: UpstreamConnection | None = None
        """Handed over; None when served with the place for a new one."""


class Group:
    """Places of one origin. Who gets one by `begin` or `wait` holds it until `end`, or until the connection that took
    it is idle."""

    def __init__(self, origin: Origin, limits: Limits, counts: Counts) -> None:
        self.idle: list[UpstreamConnection] = []
        """The most recently used last. Each holds a place."""
        self.waiters: deque[_Waiter] = deque()
        self._origin = origin
        self._limits = limits
        self._counts = counts
        self._places = 0

    def begin(self) -> bool:
        """Take a place for a new connection; False where there is none."""
        limit = self._origin.max_connections
        if limit and self._places >= limit:
            return False
        self._places += 1
        return True

    def end(self) -> None:
        """A connection is gone, or was never made: its place is free for the next."""
        if not self._serve(None):
            self._places -= 1

    def hand_over(self, connection: UpstreamConnection) -> bool:
        """Give a connection and its place to the next who waits; False when nobody does."""
        return self._serve(connection)

    def clear(self) -> list[UpstreamConnection]:
        """What was idle, to be closed."""
        idle, self.idle = self.idle, []
        for _ in idle:
            self.end()
        return idle

    async def wait(self, total_at: float) -> UpstreamConnection | None:
        """A connection with its place, or a place alone. Raises `UpstreamError`."""
        limits, origin = self._limits, self._origin
        full = f"the pool of upstream {origin.authority} is full: {origin.max_connections} connections are in use"
        self._counts.waited += 1
        if len(self.waiters) >= limits.pool_waiting:
            self._counts.refused += 1
            raise UpstreamError(UpstreamFault.FULL, f"{full} and {limits.pool_waiting} requests wait for one")
        waiter = _Waiter()
        self.waiters.append(waiter)
        until = anyio.current_time() + limits.pool_wait_secs
        try:
            with anyio.move_on_after(min(until, total_at) - anyio.current_time()):
                await waiter.event.wait()
        except BaseException:
            await self._renounce(waiter)
            raise
        if waiter.served:
            return waiter.connection
        self.waiters.remove(waiter)
        self._counts.refused += 1
        if total_at < until:
            text = f"upstream {origin.authority} did not finish within the total time"
            raise UpstreamError(UpstreamFault.TIMEOUT_TOTAL, text)
        raise UpstreamError(UpstreamFault.FULL, f"{full}, and none came free for {limits.pool_wait_secs:g} s")

    async def _renounce(self, waiter: _Waiter) -> None:
        """Cancelled: what was given meanwhile goes on to the next."""
        if not waiter.served:
            self.waiters.remove(waiter)
        elif waiter.connection is None or not self._serve(waiter.connection):
            self.end()
            if waiter.connection is not None:
                await waiter.connection.aclose()

    def _serve(self, connection: UpstreamConnection | None) -> bool:
        if not self.waiters:
            return False
        waiter = self.waiters.popleft()
        waiter.served, waiter.connection = True, connection
        waiter.event.set()
        return True
