"""Schedule: when requests are sent. Closed loops send when an answer is there, open loops when the clock says so.

A closed loop waits while the gateway is slow and sends nothing then, so its percentiles leave out the requests that
would have had to wait: coordinated omission. An open loop counts from the time at which a request was due, whether or
not a connection was free, and leaves out nothing. Time is an argument.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, Protocol

import anyio
import msgspec

NANO = 1_000_000_000


class Clock(Protocol):
    def now(self) -> int:
        """Nanoseconds; only differences mean something."""

    async def sleep_until(self, when: int) -> None: ...


class RealClock:
    def now(self) -> int:
        return time.perf_counter_ns()

    async def sleep_until(self, when: int) -> None:
        await anyio.sleep(max(0, when - time.perf_counter_ns()) / NANO)


class Pace(msgspec.Struct, frozen=True):
    """How many requests, and when. ``requests`` or ``seconds`` must be given; the run ends with the first reached."""

    concurrency: int
    """Connections: no more requests run at once."""
    requests: int | None = None
    seconds: float | None = None
    rate: float | None = None
    """Requests a second of an open loop; None: a closed loop."""
    arrivals: Literal["even", "poisson"] = "even"
    ramp: float = 0.0
    """Seconds over which the connections of a closed loop begin."""
    seed: int = 1


Send = Callable[[int, int], Awaitable[None]]
"""Sends a request and reads its answer: the number of the connection, and the time from which latency counts."""


_Work = Callable[[int], Coroutine[Any, Any, None]]  # Any: what coroutines are typed with


async def run_load(pace: Pace, send: Send, clock: Clock) -> int:
    """Run ``pace``; returns the nanoseconds it took."""
    start = clock.now()
    work = _closed(pace, start, send, clock) if pace.rate is None else _open(pace, pace.rate, start, send, clock)
    async with anyio.create_task_group() as tasks:
        for number in range(pace.concurrency):
            tasks.start_soon(work, number)
    return clock.now() - start


def _closed(pace: Pace, start: int, send: Send, clock: Clock) -> _Work:
    numbers = itertools.count()
    end = None if pace.seconds is None else start + int(pace.seconds * NANO)

    async def work(connection: int) -> None:
        if pace.ramp:
            await clock.sleep_until(start + int(pace.ramp * NANO * connection / pace.concurrency))
        while end is None or clock.now() < end:
            if pace.requests is not None and next(numbers) >= pace.requests:
                return
            await send(connection, clock.now())

    return work


def _open(pace: Pace, rate: float, start: int, send: Send, clock: Clock) -> _Work:
    due = DueTimes(pace, rate)

    async def work(connection: int) -> None:
        for offset in due:  # shared: each takes the next one
            when = start + offset
            if when > clock.now():
                await clock.sleep_until(when)
            await send(connection, when)

    return work


class DueTimes:
    """Nanoseconds after the start at which requests are due; an iterator that many tasks share."""

    def __init__(self, pace: Pace, rate: float) -> None:
        self._pace = pace
        self._step = NANO / rate
        self._chance = random.Random(pace.seed)
        self._number = 0
        self._at = 0.0

    def __iter__(self) -> DueTimes:
        return self

    def __next__(self) -> int:
        pace = self._pace
        if pace.requests is not None and self._number >= pace.requests:
            raise StopIteration
        at = self._at
        if pace.seconds is not None and at >= pace.seconds * NANO:
            raise StopIteration
        self._number += 1
        poisson = pace.arrivals == "poisson"
        self._at = at + self._chance.expovariate(1 / self._step) if poisson else self._number * self._step
        return int(at)
