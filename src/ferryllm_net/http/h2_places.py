"""The HTTP/2 connections of one origin: who gets room on which, and when another one is made.

The counterpart of `places` for connections that many share. First come, first served; one connection is dialled at a
time, because all who wait for it may fit on it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from .faults import UpstreamError, UpstreamFault
from .h2_upstream import H2Upstream
from .limits import Limits, Timeouts
from .origin import Origin
from .places import Counts
from .transport import Transport


class _Waiter:
    __slots__ = ("connection", "error", "event", "served")

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.served = False
        self.connection: H2Upstream | None = None
        """With a room that is reserved; None when served with the leave to dial, or with an error."""
        self.error: UpstreamError | None = None


class Keeper:
    """What a group needs of its pool."""

    def __init__(
        self,
        reach: Callable[[Origin, Timeouts, float], Awaitable[Transport]],
        start: Callable[[H2Upstream], None],
        rest: Callable[[H2Upstream], None],
        counts: Counts,
    ) -> None:
        self.reach = reach
        """Dials."""
        self.start = start
        """Runs a connection in a task."""
        self.rest = rest
        """Nothing runs on it, for now or for ever."""
        self.counts = counts


class H2Group:
    """Rooms on connections to one origin."""

    def __init__(self, origin: Origin, limits: Limits, keeper: Keeper) -> None:
        self.connections: list[H2Upstream] = []
        self.waiters: deque[_Waiter] = deque()
        self.plain: Origin | None = None
        """The origin without HTTP/2, once it has chosen HTTP/1.1."""
        self.spare: Transport | None = None
        """The transport over which it did, fit for use."""
        self._origin = origin
        self._limits = limits
        self._keeper = keeper
        self._dialling = False

    @property
    def idle(self) -> int:
        """Connections on which nothing runs."""
        return sum(not connection.busy for connection in self.connections)

    async def acquire(self, timeouts: Timeouts, total_at: float) -> H2Upstream | None:
        """A connection with room, which is the caller's until its next await; None once the origin is known to speak
        HTTP/1.1. Raises `UpstreamError`."""
        while self.plain is None:
            connection = None if self.waiters else self._with_room()
            if connection is not None:
                return connection
            if not self.waiters and self._may_dial():
                self._dialling = True
                return await self._dial(timeouts, total_at)
            waiter = await self._wait(total_at)
            if waiter.error is not None:
                raise waiter.error
            connection = waiter.connection
            if connection is not None:
                connection.reserved -= 1
                if connection.room > 0:
                    return connection
            elif self.plain is None:
                return await self._dial(timeouts, total_at)
        return None

    def serve(self) -> None:
        """Something has changed: give what there is to those who wait."""
        self.connections = [connection for connection in self.connections if not connection.closed]
        while self.waiters:
            connection = self._with_room()
            if connection is None and not self._may_dial():
                return
            waiter = self.waiters.popleft()
            waiter.served, waiter.connection = True, connection
            if connection is not None:
                connection.reserved += 1
            else:
                self._dialling = True
            waiter.event.set()

    def expire(self, oldest: float) -> None:
        """Close what has been idle since then or longer."""
        for connection in list(self.connections):
            if not connection.busy and connection.idle_since <= oldest:
                connection.close()

    def close(self) -> None:
        """Close what is idle; what is in use closes after its last exchange."""
        for connection in list(self.connections):
            if connection.busy:
                connection.engine.leaving = True
            else:
                connection.close()

    def _with_room(self) -> H2Upstream | None:
        # The first of them: load stays together, so that the others can expire.
        return next((connection for connection in self.connections if connection.room > 0), None)

    def _may_dial(self) -> bool:
        most = self._origin.max_connections
        # One whose SETTINGS have not come may have room for all who wait.
        known = not self._dialling and all(connection.engine.began for connection in self.connections)
        return known and (not most or len(self.connections) < most)

    async def _dial(self, timeouts: Timeouts, total_at: float) -> H2Upstream | None:
        try:
            transport = await self._keeper.reach(self._origin, timeouts, total_at)
        except UpstreamError as exc:
            self._dialling = False
            # All who wait wanted this connection, and would try it one after the other.
            for waiter in self.waiters:
                waiter.served, waiter.error = True, exc
                waiter.event.set()
            self.waiters.clear()
            raise
        except BaseException:
            self._dialling = False
            self.serve()
            raise
        self._dialling = False
        if self._origin.http2 == "on" and transport.protocol != "h2":
            self.plain = msgspec.structs.replace(self._origin, http2="off")
            self.spare = transport
            while self.waiters:
                waiter = self.waiters.popleft()
                waiter.served = True
                waiter.event.set()
            return None
        connection = H2Upstream(transport, self._origin, self._limits, self.serve, self._keeper.rest)
        self.connections.append(connection)
        self._keeper.start(connection)
        connection.reserved += 1
        self.serve()
        connection.reserved -= 1
        return connection

    async def _wait(self, total_at: float) -> _Waiter:
        limits, origin = self._limits, self._origin
        full = f"the pool of upstream {origin.authority} is full: all streams of its connections are in use"
        counts = self._keeper.counts
        counts.waited += 1
        if len(self.waiters) >= limits.pool_waiting:
            counts.refused += 1
            raise UpstreamError(UpstreamFault.FULL, f"{full} and {limits.pool_waiting} requests wait for one")
        waiter = _Waiter()
        self.waiters.append(waiter)
        until = anyio.current_time() + limits.pool_wait_secs
        try:
            with anyio.move_on_after(min(until, total_at) - anyio.current_time()):
                await waiter.event.wait()
        except BaseException:
            self._renounce(waiter)
            raise
        if waiter.served:
            return waiter
        self.waiters.remove(waiter)
        counts.refused += 1
        if total_at < until:
            text = f"upstream {origin.authority} did not finish within the total time"
            raise UpstreamError(UpstreamFault.TIMEOUT_TOTAL, text)
        raise UpstreamError(UpstreamFault.FULL, f"{full}, and none came free for {limits.pool_wait_secs:g} s")

    def _renounce(self, waiter: _Waiter) -> None:
        """Cancelled: what was given meanwhile goes on to the next."""
        if not waiter.served:
            self.waiters.remove(waiter)
        elif waiter.connection is not None:
            waiter.connection.reserved -= 1
        elif waiter.error is None and self.plain is None:
            self._dialling = False
        self.serve()
