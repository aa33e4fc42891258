"""Schedules on a clock that only the test moves: how many requests, when, and what coordinated omission would hide."""

from __future__ import annotations

import itertools
from statistics import fmean

import anyio.lowlevel
import pytest

from ferryllm_net.bench.histogram import Histogram
from ferryllm_net.bench.schedule import NANO, DueTimes, Pace, run_load

pytestmark = pytest.mark.anyio
MILLI = NANO // 1000


class FakeClock:
    """Time that passes only in `sleep_until` and where a test says so."""

    def __init__(self) -> None:
        self.time = 0

    def now(self) -> int:
        return self.time

    async def sleep_until(self, when: int) -> None:
        await anyio.lowlevel.checkpoint()
        self.time = max(self.time, when)


class Gateway:
    """Answers each request in a millisecond, but for one that takes a second."""

    def __init__(self, clock: FakeClock, slow: int | None = None) -> None:
        self.latencies = Histogram()
        self.sent: list[tuple[int, int]] = []
        self._clock = clock
        self._slow = slow

    async def send(self, connection: int, since: int) -> None:
        self.sent.append((connection, since))
        self._clock.time += NANO if len(self.sent) == self._slow else MILLI
        self.latencies.record(self._clock.now() - since)
        await anyio.lowlevel.checkpoint()


async def test_an_open_loop_counts_the_requests_that_a_stall_keeps_waiting() -> None:
    """At 100 requests a second one stall of a second delays about a hundred; a closed loop sees one slow request."""
    open_clock, closed_clock = FakeClock(), FakeClock()
    opened, closed = Gateway(open_clock, slow=100), Gateway(closed_clock, slow=100)
    await run_load(Pace(1, requests=1000, rate=100), opened.send, open_clock)
    await run_load(Pace(1, requests=1000), closed.send, closed_clock)
    assert len(opened.sent) == len(closed.sent) == 1000
    assert closed.latencies.quantile(0.99) == pytest.approx(MILLI, rel=0.01)
    assert opened.latencies.quantile(0.99) > 900 * MILLI
    slow = sum(1 for q in range(1000) if opened.latencies.quantile(q / 1000) > 2 * MILLI)
    assert slow == pytest.approx(110, abs=15)


async def test_an_open_loop_sends_when_it_is_due_and_not_before() -> None:
    clock = FakeClock()
    gateway = Gateway(clock)
    took = await run_load(Pace(1, requests=5, rate=10), gateway.send, clock)
    assert [since for _, since in gateway.sent] == [number * 100 * MILLI for number in range(5)]
    assert took == 401 * MILLI


@pytest.mark.parametrize("rate", [None, 1000.0])
async def test_the_number_of_requests_is_kept_by_many_connections(rate: float | None) -> None:
    clock = FakeClock()
    gateway = Gateway(clock)
    await run_load(Pace(7, requests=50, rate=rate), gateway.send, clock)
    assert len(gateway.sent) == 50
    assert len({connection for connection, _ in gateway.sent}) == 7


@pytest.mark.parametrize("rate", [None, 100.0])
async def test_a_duration_ends_the_run(rate: float | None) -> None:
    clock = FakeClock()
    gateway = Gateway(clock)
    await run_load(Pace(1, seconds=0.5, rate=rate), gateway.send, clock)
    assert len(gateway.sent) == (500 if rate is None else 50)


async def test_whichever_limit_comes_first_ends_the_run() -> None:
    clock = FakeClock()
    gateway = Gateway(clock)
    await run_load(Pace(1, requests=10, seconds=0.5), gateway.send, clock)
    assert len(gateway.sent) == 10


async def test_the_ramp_spreads_the_start_of_the_connections() -> None:
    clock = FakeClock()
    gateway = Gateway(clock)
    await run_load(Pace(4, requests=4, ramp=2.0), gateway.send, clock)
    assert clock.now() >= 1500 * MILLI


def test_poisson_arrivals_have_the_rate_and_the_seed() -> None:
    def gaps(seed: int) -> list[int]:
        times = list(DueTimes(Pace(1, requests=5000, arrivals="poisson", seed=seed), 100))
        return [after - before for before, after in itertools.pairwise(times)]

    assert gaps(1) == gaps(1)
    assert gaps(1) != gaps(2)
    assert fmean(gaps(1)) == pytest.approx(10 * MILLI, rel=0.05)
    assert max(gaps(1)) > 40 * MILLI
