"""What Redis is told behind a request's back: corrections, places that are free again, leases that go on, sessions.

Nobody waits for any of it. One task hands it over in batches, each with a mark, so that one whose answer was lost can
be told again and counts once. While Redis is away it waits here, up to a bound; what is beyond that is counted as lost:
a lease then ends by itself, and of a request its estimate stays.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable, Iterable

import anyio
import msgspec

from .link import Link, RedisAwayError, RedisError, Value
from .names import Names
from .scripts import Script, script

MAX_WAITING = 20_000
"""Things to tell: two for each request, so what 10,000 requests leave behind while Redis is away; some 10 MiB."""
BATCH = 64
"""Things told at once: some hundred microseconds of the server's time, in which it does nothing else."""
MARK_MS = 600_000
"""Milliseconds that the mark of a batch stays: far longer than one is told again and again while Redis is there."""
GATHER_SECS = 0.005
"""How long something waits for others to be told with it: under load that is most of the cost, and a place that is free
five milliseconds later is nothing to requests of seconds."""
RETRY_SECS = 0.2
MAX_REFUSALS = 25
"""How often a batch is told again that the server refuses: five seconds of a full memory, or of a replica that is about
to lead. Then it is taken to be the batch's own fault."""
DEADLINE_SECS = 2.0
"""For one batch: nobody waits for it, and a late answer is better than telling it twice."""


class Held(msgspec.Struct, frozen=True):
    """A request under way, as Redis knows it."""

    id: str
    leases: tuple[str, ...]
    """Keys of the leases it has."""
    recorded: bool
    """Whether there is a record of what it was charged."""


class Later:
    """``done`` is called when something was delivered. Run `run` in a task."""

    def __init__(self, link: Link, names: Names, lease_secs: float, record_secs: float) -> None:
        self._link = link
        self._names = names
        self._script: Script = script("buckets", "later")
        self._lease_ms = round(lease_secs * 1000)
        self._record_ms = round(record_secs * 1000)
        self._every = lease_secs / 3
        self._waiting: deque[list[Value]] = deque()
        self._batch: tuple[str, list[list[Value]]] | None = None
        """What is being told, with its mark."""
        self._refusals = 0
        self._wake = anyio.Event()
        self._held: dict[str, Held] = {}
        self.lost = 0
        """Things that were never told."""
        self.done: Callable[[], None] | None = None
        self.failed: Callable[[str], None] | None = None
        """Told of each batch that was not taken, for the metrics."""

    def __len__(self) -> int:
        return len(self._waiting) + (len(self._batch[1]) if self._batch else 0)

    @property
    def held(self) -> int:
        """Requests whose leases are renewed."""
        return len(self._held)

    # --- what there is to tell ---

    def hold(self, held: Held) -> None:
        """Keep the leases of a request until `free`."""
        self._held[held.id] = held

    def free(self, held: Held) -> None:
        """The request is over: its places are others'."""
        self._held.pop(held.id, None)
        for key in held.leases:
            self._put(["leave", key, held.id])

    def settle(
        self,
        record: str,
        took_place: bool,
        tokens: int | None,
        cost: int | None,
        accounts: Iterable[tuple[str, int, str, int]],
        unix: float,
    ) -> None:
        """Correct what a request was charged that has ended at ``unix``. ``record`` is its key, "" where there is none;
        ``accounts`` are key, beginning of the period, unit and the amount set aside."""
        op: list[Value] = ["settle", record, round(unix * 1000), 1 if took_place else 0]
        op += ("" if tokens is None else tokens, "" if cost is None else cost)
        found = list(accounts)
        op.append(len(found))
        for account in found:
            op += account
        self._put(op)

    def pin(self, key: str, place: bytes, ttl_secs: float) -> None:
        self._put(["pin", key, place, max(round(ttl_secs * 1000), 1)])

    def unpin(self, key: str, place: bytes) -> None:
        self._put(["unpin", key, place])

    def _put(self, op: list[Value]) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(op)
        self._wake.set()

    # --- telling it ---

    async def run(self) -> None:
        """Tell it until cancelled."""
        next_renewal = anyio.current_time() + self._every
        while True:
            with anyio.move_on_at(next_renewal):
                await self._wake.wait()
            if anyio.current_time() >= next_renewal:
                next_renewal = anyio.current_time() + self._every
                await self._renew()
            if self._waiting or self._batch:
                if len(self._waiting) < BATCH:
                    await anyio.sleep(GATHER_SECS)
                if not await self._tell():
                    with anyio.move_on_at(next_renewal):
                        await anyio.sleep(RETRY_SECS)
            else:
                self._wake = anyio.Event()

    async def flush(self, secs: float) -> None:
        """Tell what can be told in ``secs`` seconds."""
        with anyio.move_on_after(secs):
            while len(self):
                if not await self._tell():
                    await anyio.sleep(RETRY_SECS / 4)

    async def _tell(self) -> bool:
        """One batch; whether it was taken."""
        if self._batch is None:
            ops = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            self._batch = secrets.token_hex(8), ops
        mark, ops = self._batch
        try:
            await self._call(mark, ops)
        except RedisError as exc:
            if self.failed is not None:
                self.failed("settlement")
            if isinstance(exc, RedisAwayError):
                return False
            self._refusals += 1
            if self._refusals >= MAX_REFUSALS:
                self.lost += len(ops)
                self._batch, self._refusals = None, 0
            return False
        self._batch, self._refusals = None, 0
        if self.done is not None:
            self.done()
        return True

    async def _renew(self) -> None:
        """Say that the requests under way still are. Its batches are in line with the others', so that none brings
        back a lease that was given back."""
        held = list(self._held.values())
        for first in range(0, len(held), BATCH):
            ops: list[list[Value]] = []
            for one in held[first : first + BATCH]:
                record = self._names.record(one.id)
                for key in one.leases or ("",):
                    ops.append(["renew", key, one.id, self._lease_ms, record, self._record_ms])
            try:
                await self._call(secrets.token_hex(8), ops)
            except RedisError:
                return  # the next time, or they end: as they should where nobody can be reached

    async def _call(self, mark: str, ops: list[list[Value]]) -> None:
        arguments: list[Value] = ["", MARK_MS]
        for op in ops:
            arguments += op
        await self._link.call(self._script, [self._names.batch(mark)], arguments, DEADLINE_SECS)
