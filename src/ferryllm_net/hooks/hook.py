"""One hook: batches from its source to its sink, again until they are taken, and what is said of it in the log."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol

import anyio

from ferryllm_net.ledger import LedgerError, Row
from ferryllm_net.telemetry import Log

from .fault import HookError

FIRST_PAUSE_SECS = 0.5
MOST_PAUSE_SECS = 60.0
"""Between two attempts: it doubles each time, up to what a receiver that comes back may wait."""


class Source(Protocol):
    """Where rows come from. What `take` returned comes again until `done`."""

    lasting: bool
    """Whether what nobody takes today can be delivered tomorrow, by another process too."""

    @property
    def dropped(self) -> int: ...
    async def take(self, most: int) -> Sequence[Row]: ...
    async def take_last(self, most: int) -> Sequence[Row]: ...
    async def done(self, rows: Sequence[Row]) -> None: ...
    async def aclose(self) -> None: ...


class Sink(Protocol):
    """Where they go. `deliver` raises `HookError`."""

    async def deliver(self, rows: Sequence[Row]) -> None: ...
    async def aclose(self) -> None: ...


class Hook:
    """``batch`` rows at once; ``retries`` further attempts at a batch, where the source does not keep it. Run `run`
    beside the server, and when that has been cancelled `flush`, then `aclose`."""

    def __init__(
        self,
        name: str,
        source: Source,
        sink: Sink,
        log: Log,
        *,
        batch: int,
        retries: int,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name = name
        self.delivered = 0
        """Rows."""
        self.count: Callable[[str, str, int], object] = _uncounted
        """Told of what ends: ``hook_deliveries`` and ``hook_rows``, each with its outcome and how many."""
        self._source = source
        self._sink = sink
        self._log = log
        self._batch = batch
        self._retries = retries
        self._chance = chance
        self._given_up = 0
        self._told = 0
        """Of the dropped rows: those that the log knows of."""
        self._failing = False

    @property
    def dropped(self) -> int:
        """Rows that nobody will get."""
        return self._source.dropped + self._given_up

    async def run(self) -> None:
        """Deliver; runs until cancelled."""
        failures = 0
        while True:
            try:
                rows = await self._source.take(self._batch)
                await self._deliver(rows)
                failures = 0
            except (LedgerError, OSError) as exc:
                self._fail(f"its rows cannot be read: {getattr(exc, 'strerror', None) or exc}")
                failures += 1
                await anyio.sleep(self._pause(failures))
            self._tell_dropped()

    async def flush(self) -> None:
        """Deliver what waits, without pauses; gives up at the first failure."""
        try:
            while rows := await self._source.take_last(self._batch):
                await self._sink.deliver(rows)
                await self._done(rows)
        except HookError as exc:
            self.count("hook_deliveries", "failed", 1)
            self._fail(str(exc))
        except (LedgerError, OSError) as exc:
            self._fail(str(exc))

    async def aclose(self) -> None:
        """Say what is left behind, and let go of source and sink."""
        left = 0
        if not self._source.lasting:
            while rows := await self._source.take_last(self._batch):
                left += len(rows)
                await self._source.done(rows)
        self._given_up += left
        self._tell_dropped()
        await self._source.aclose()
        await self._sink.aclose()

    async def _deliver(self, rows: Sequence[Row]) -> None:
        attempts = 0
        while True:
            try:
                await self._sink.deliver(rows)
            except HookError as exc:
                attempts += 1
                self.count("hook_deliveries", "refused" if exc.refused else "failed", 1)
                self._fail(str(exc))
                if exc.refused or (attempts > self._retries and not self._source.lasting):
                    self._given_up += len(rows)
                    await self._source.done(rows)
                    return
                await anyio.sleep(self._pause(attempts))
            else:
                await self._done(rows)
                return

    async def _done(self, rows: Sequence[Row]) -> None:
        self.delivered += len(rows)
        self.count("hook_deliveries", "ok", 1)
        self.count("hook_rows", "delivered", len(rows))
        if self._failing:
            self._failing = False
            self._log.info("usage hook delivers again", hook=self.name)
        await self._source.done(rows)

    def _pause(self, attempts: int) -> float:
        most = min(MOST_PAUSE_SECS, FIRST_PAUSE_SECS * 2.0 ** min(attempts - 1, 16))
        return most * (0.5 + self._chance() / 2)

    def _fail(self, reason: str) -> None:
        if not self._failing:  # one line for an outage, and not one for each attempt
            self._failing = True
            self._log.warn("usage hook failed", hook=self.name, reason=reason)

    def _tell_dropped(self) -> None:
        new = self.dropped - self._told
        if new:
            self._told += new
            self.count("hook_rows", "dropped", new)
            self._log.warn("usage not delivered", hook=self.name, rows=new, dropped=self._told)


def _uncounted(event: str, outcome: str, number: int) -> None:
    """Where nobody counts."""
