"""Upstream connections kept for reuse, and the one door to an upstream: `Pool.open`.

Most recently used first, so that a quiet time lets the rest expire. Redirects are answers like any other: following
one would carry the provider's key to a place that the configuration does not name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import anyio
import anyio.abc

from .backends.clock import clock
from .dial import dial
from .engine import Misuse, RequestHead
from .faults import NEVER, UpstreamError, UpstreamFault
from .limits import Limits, Timeouts
from .origin import Origin
from .places import Counts, Group
from .prepared import PreparedHead, prepare
from .response import UpstreamResponse, response_of
from .transport import Interrupted, Transport
from .upstream import UpstreamConnection

if TYPE_CHECKING:
    from .h2_places import H2Group
    from .h2_upstream import H2Upstream

Dial: TypeAlias = Callable[[Origin], Awaitable[Transport]]

_T = TypeVar("_T")
_TIMEOUTS = Timeouts()
_TURNS = 2
"""Of a request over connections that are shared: repeated once."""


class Swept(Protocol):
    """A connection whose deadlines are looked at."""

    @property
    def active(self) -> int: ...

    def sweep(self, now: float) -> None: ...


class Interruptible(Protocol):
    """Something whose wait can be ended."""

    def interrupt(self) -> None: ...


class Waiter(Protocol):
    """Whoever opens an exchange and may want to end the wait for its head: by ``waits.interrupt()`` then."""

    waits: Interruptible | None


class Pool:
    """Connections to all upstreams of one process. ``dial`` can be replaced to run without sockets.

    Deadlines of exchanges hold while `sweep` runs: ``async with`` runs it, or a task of whoever owns the pool does.
    """

    def __init__(self, *, limits: Limits | None = None, dial: Dial = dial) -> None:
        self.counts = Counts()
        self.clock: Callable[[], float] = anyio.current_time
        """Seconds; that of the running loop itself as soon as the sweeper runs, which is cheaper."""
        self._limits = limits or Limits()
        self._most_idle = self._limits.pool_idle_per_origin
        self._most_idle_in_all = self._limits.pool_idle_total
        self._few_idle = min(self._most_idle, self._most_idle_in_all)
        """So many in all are not too many, wherever they are."""
        self._idle_secs = self._limits.pool_idle_secs
        self._dial = dial
        self._groups: dict[Origin, Group] = {}
        self._shared: dict[Origin, H2Group] = {}
        self._gone: set[Origin] = set()
        """Origins that nobody asks any more."""
        self._idle = 0
        self._running: set[Swept] = set()
        self._closed = False
        self._tasks: anyio.abc.TaskGroup | None = None
        self._own: anyio.abc.TaskGroup | None = None
        self._quiet: anyio.Event | None = None
        """The sweeper waits for it while nothing runs."""

    @property
    def idle(self) -> int:
        """Connections that wait for reuse."""
        return self._idle + sum(group.idle for group in self._shared.values())

    @property
    def used(self) -> int:
        """Connections on which an exchange runs."""
        return len(self._running)

    @property
    def active(self) -> int:
        """Exchanges that run, their bodies included."""
        return sum(one.active for one in self._running)

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""
        alone = sum(len(group.waiters) for group in self._groups.values())
        return alone + sum(len(group.waiters) for group in self._shared.values())

    async def __aenter__(self) -> Pool:
        self._own = anyio.create_task_group()
        await self._own.__aenter__()
        await self._own.start(self._sweep)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._own is not None
        try:
            await self.aclose()
        finally:
            self._own.cancel_scope.cancel()
            # Without the exception of the block, which the group would wrap.
            await self._own.__aexit__(None, None, None)

    async def aclose(self) -> None:
        """Close what is idle; what is in use closes instead of coming back."""
        self._closed = True
        dead = [connection for group in self._groups.values() for connection in group.clear()]
        self._idle = 0
        for connection in dead:
            await connection.aclose()
        for shared in self._shared.values():
            shared.close()

    def keep(self, origins: Collection[Origin]) -> None:
        """Only ``origins`` are of use from now on: the sweeper closes what it finds idle elsewhere."""
        self._gone = {origin for origin in (*self._groups, *self._shared) if origin not in origins}

    async def open(
        self,
        origin: Origin,
        head: RequestHead | PreparedHead,
        body: bytes = b"",
        *,
        timeouts: Timeouts | None = None,
        waiter: Waiter | None = None,
    ) -> UpstreamResponse:
        """Send a request and return with the head of its answer. A head that is sent often can be made once, by
        `prepare`, which says what is added to it.

        A request on a reused connection that dies at once, before any byte of its answer, is repeated once on a fresh
        one: the server closed it while we began to write. Later it may have worked on it. Where the limit of the
        origin is reached, it waits for its turn.
        Raises `UpstreamError`, and `Misuse` for a malformed head; `Interrupted` where ``waiter`` has ended the wait.
        """
        if timeouts is None:
            timeouts = _TIMEOUTS
        now = self.clock()
        total_at = NEVER if timeouts.total_secs is None else now + timeouts.total_secs
        request = head if isinstance(head, PreparedHead) else prepare(origin, head)
        group = self._groups.get(origin)
        connection: UpstreamConnection | None
        if (
            group is not None
            and (idle := group.idle)
            and idle[-1].idle_since > now - self._idle_secs
            and idle[-1].transport.is_quiet()
        ):
            # What nearly all have: the connection that was used last.
            connection = idle.pop()
            self._idle -= 1
            reused = True
        else:
            fresh: UpstreamConnection | None = None
            if origin.http2 != "off":
                found = await self._open_shared(origin, request, body, timeouts, now, total_at, waiter)
                if isinstance(found, UpstreamResponse):
                    return found
                origin, fresh = found
                now = self.clock()
            group = self._groups.get(origin) or self._group(origin)
            if fresh is None:
                connection = await self._find(group, now, total_at, waiter)
                now = self.clock()
                reused = connection is not None
            else:
                group.begin()
                fresh.group = group
                connection, reused = fresh, False
        while True:
            if connection is None:
                connection = await self._connect(group, origin, timeouts, total_at, waiter)
                now = self.clock()
            elif reused:
                self.counts.reused += 1
            self._running.add(connection)
            if self._quiet is not None:
                self._wake()
            try:
                if waiter is not None:
                    waiter.waits = connection
                answered = await connection.exchange(request, body, timeouts, now, total_at)
                return response_of(connection, answered, self._limits, request.method)
            except BaseException as exc:
                self._running.discard(connection)
                await connection.aclose()
                if not (reused and self._was_stale(exc, connection, now)):
                    group.end()
                    raise
            self.counts.retried += 1
            connection, reused = None, False

    def _was_stale(self, exc: BaseException, connection: UpstreamConnection, begun: float) -> bool:
        """Whether a kept connection had been closed when the exchange began."""
        late = self.clock() - begun > self._limits.pool_stale_secs
        closed = isinstance(exc, UpstreamError) and exc.kind is UpstreamFault.CLOSED
        return closed and not connection.answered and not late

    # --- what connections tell (`Keeper`) ---

    def give_back(self, connection: UpstreamConnection) -> bool:
        group = connection.group
        assert group is not None
        if self._closed:
            return False
        if group.waiters:
            if not (connection.is_reusable() and connection.renew()):
                return False
            self._running.discard(connection)
            return group.hand_over(connection)
        if self._idle >= self._few_idle and (
            len(group.idle) >= self._most_idle or self._idle >= self._most_idle_in_all
        ):
            return False
        if not connection.renew():
            return False
        self._running.discard(connection)
        connection.idle_since = self.clock()
        group.idle.append(connection)
        self._idle += 1
        if self._quiet is not None:
            self._wake()
        return True

    def drop(self, connection: UpstreamConnection) -> None:
        self._running.discard(connection)
        self._groups[connection.origin].end()

    # --- connections ---

    def _group(self, origin: Origin) -> Group:
        group = self._groups[origin] = Group(origin, self._limits, self.counts)
        return group

    def _take(self, group: Group, now: float) -> UpstreamConnection | None:
        """The connection that was used last, where it is fit for use."""
        connection = group.idle[-1]
        if connection.idle_since > now - self._idle_secs and connection.is_reusable():
            self._idle -= 1
            return group.idle.pop()
        return None

    async def _find(
        self, group: Group, now: float, total_at: float, waiter: Waiter | None
    ) -> UpstreamConnection | None:
        """A connection that is fit for use, or None where one may be made: its place is taken then."""
        idle = group.idle
        while idle:
            connection = self._take(group, now)
            if connection is not None:
                return connection
            spoilt = idle.pop()
            self._idle -= 1
            group.end()
            await spoilt.aclose()
        return None if group.begin() else await slowly(waiter, partial(self._wait, group, total_at))

    async def _wait(self, group: Group, total_at: float) -> UpstreamConnection | None:
        """A connection that another one gives back, or None where one may be made."""
        connection = await group.wait(total_at)
        if connection is not None and not connection.is_reusable():
            await connection.aclose()
            return None  # its place is ours
        return connection

    async def _connect(
        self, group: Group, origin: Origin, timeouts: Timeouts, total_at: float, waiter: Waiter | None
    ) -> UpstreamConnection:
        try:
            transport = await slowly(waiter, partial(self._reach, origin, timeouts, total_at))
        except BaseException:
            group.end()
            raise
        return UpstreamConnection(transport, origin, self._limits, self, group)

    async def _reach(self, origin: Origin, timeouts: Timeouts, total_at: float) -> Transport:
        self.counts.dialled += 1
        secs = min(timeouts.connect_secs, total_at - anyio.current_time())
        try:
            with anyio.fail_after(secs):
                return await self._dial(origin)
        except TimeoutError:
            text = f"upstream {origin.authority} did not accept a connection within {secs:g} s"
            raise UpstreamError(UpstreamFault.TIMEOUT_CONNECT, text) from None

    # --- connections that many share ---

    async def _open_shared(
        self,
        origin: Origin,
        request: PreparedHead,
        body: bytes,
        timeouts: Timeouts,
        now: float,
        total_at: float,
        waiter: Waiter | None,
    ) -> UpstreamResponse | tuple[Origin, UpstreamConnection | None]:
        """The answer; or by which origin to open a connection that is not shared, and one that is open already."""
        if self._tasks is None:
            raise Misuse("HTTP/2 to an upstream needs the sweeper of the pool to run")
        shared = self._shared.get(origin) or self._share(origin)
        for turn in range(_TURNS):
            connection = await slowly(waiter, lambda: shared.acquire(timeouts, total_at))
            if connection is None:
                break
            self._running.add(connection)
            if self._quiet is not None:
                self._wake()
            exchange = connection.begin(timeouts, total_at)
            begun = self.clock()
            try:
                if waiter is not None:
                    waiter.waits = exchange
                head = await exchange.exchange(request, body, self.clock())
                self.counts.reused += exchange.reused
                return response_of(exchange, head, self._limits, request.method)
            except UpstreamError:
                await exchange.abandon()
                early = self.clock() - begun <= self._limits.pool_stale_secs
                stale = exchange.lost and exchange.reused and not exchange.answered and early
                if turn + 1 == _TURNS or not (exchange.untouched or stale):
                    raise
                self.counts.retried += 1
            except BaseException:
                await exchange.abandon()
                raise
        assert shared.plain is not None
        fresh = None
        if shared.spare is not None:
            # The one that found out what the origin speaks is good for the first who asked.
            transport, shared.spare = shared.spare, None
            fresh = UpstreamConnection(transport, shared.plain, self._limits, self)
        return shared.plain, fresh

    def _share(self, origin: Origin) -> H2Group:
        from .h2_places import H2Group, Keeper

        keeper = Keeper(self._reach, self._start, self._rest, self.counts)
        group = self._shared[origin] = H2Group(origin, self._limits, keeper)
        return group

    def _start(self, connection: H2Upstream) -> None:
        assert self._tasks is not None
        self._tasks.start_soon(connection.run, self.clock)

    def _rest(self, connection: H2Upstream) -> None:
        self._running.discard(connection)
        connection.idle_since = self.clock()
        if self._closed:
            connection.close()

    # --- the sweeper ---

    async def sweep(self) -> None:
        """Look at the deadlines of what runs, and close what was idle for too long; runs until cancelled, once."""
        await self._sweep()

    async def _sweep(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        if self._tasks is not None:
            raise Misuse("the sweeper of this pool runs already")
        self.clock = clock()
        limits = self._limits
        look_at = 0.0
        async with anyio.create_task_group() as self._tasks:
            task_status.started()
            try:
                while True:
                    if self._running:
                        await anyio.sleep(limits.pool_sweep_secs)
                    else:
                        await self._sleep(limits.pool_look_secs if self.idle else NEVER)
                    now = self.clock()
                    for one in list(self._running):
                        one.sweep(now)
                    if now >= look_at:
                        look_at = now + limits.pool_look_secs
                        await self._expire(now)
            finally:
                self._tasks = None

    def _wake(self) -> None:
        assert self._quiet is not None
        self._quiet.set()
        self._quiet = None

    async def _sleep(self, secs: float) -> None:
        self._quiet = anyio.Event()
        with anyio.move_on_after(secs):
            await self._quiet.wait()
        self._quiet = None

    async def _expire(self, now: float) -> None:
        """Close what has expired at any origin or was closed there."""
        oldest = now - self._limits.pool_idle_secs
        expired: list[UpstreamConnection] = []
        for origin, group in self._groups.items():
            until = now if origin in self._gone else oldest
            gone = [one for one in group.idle if one.idle_since <= until or not one.is_reusable()]
            for connection in gone:
                group.idle.remove(connection)
                group.end()
            self._idle -= len(gone)
            expired += gone
        for connection in expired:
            await connection.aclose()
        for origin, shared in self._shared.items():
            shared.expire(now if origin in self._gone else oldest)


async def slowly(waiter: Waiter | None, call: Callable[[], Awaitable[_T]]) -> _T:
    """``call``, which ``waiter`` may end by a cancellation: for waits that no connection knows of. Raises
    `Interrupted`."""
    if waiter is None:
        return await call()
    with anyio.CancelScope() as scope:
        waiter.waits = _Cancelled(scope)
        try:
            return await call()
        finally:
            waiter.waits = None
    raise Interrupted


class _Cancelled:
    """A scope as `Interruptible`."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self.interrupt = scope.cancel
