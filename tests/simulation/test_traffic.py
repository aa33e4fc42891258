"""Bursts, outages, slow providers, clocks that jump: what the decisions of `routing` amount to for those who use them.

What is played is in `support.simulation.traffic`. The seed is printed; this runs it again::

    FERRYLLM_SEED=7 pytest tests/simulation/test_traffic.py
"""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter

import pytest

from ferryllm_proto.routing.balance import Balance, Target
from ferryllm_proto.routing.breaker import BreakerRules, State
from ferryllm_proto.routing.choice import ProviderBounds
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import ClientKey, KeyLimits
from ferryllm_proto.routing.quota import Period, Quota, Unit
from ferryllm_proto.routing.retry import BudgetRules, RetryRules
from ferryllm_proto.routing.table import Route
from support.simulation.traffic import Behaviour, Reply, World

SEED = int(os.environ.get("FERRYLLM_SEED", "20261121"))

PAIR = Route("m", "a", targets=(Target("a"), Target("b")))
SPARE = Route("m", "a", fallbacks=(Target("b"),))


@pytest.fixture(autouse=True)
def _tell(capsys: pytest.CaptureFixture[str]) -> None:
    print(f"seed {SEED}")  # noqa: T201 - shown with a failure


def steady(after: float = 0.5, lasts: float = 1.0) -> Behaviour:
    return lambda now, chance: Reply(200, after * chance.uniform(0.8, 1.2), lasts)


def outage(begin: float, end: float, failing: Reply, well: Behaviour | None = None) -> Behaviour:
    good = well or steady()
    return lambda now, chance: failing if begin <= now < end else good(now, chance)


def every(world: World, secs: float, until: float, **fields: object) -> None:
    for number in range(int(until / secs)):
        world.send(number * secs, **fields)  # type: ignore[arg-type]  # as given


def check_still(world: World) -> None:
    """All is over: nothing is held, counted or set aside any more."""
    assert all(sent.over is not None for sent in world.requests)
    assert (world.gate.inside, world.gate.waiting) == (0, 0)
    assert not world.routing.loads._under_way
    assert not world.routing.loads._at
    for account in world.desk.accounts._accounts.values():
        assert all(aside == 0 for _, aside in account._periods.values())


@pytest.mark.parametrize(
    "failing", [Reply(500, 0.1), Reply(None, 0.1), Reply(529, 0.1), Reply(503, 0.1, retry_after=60.0), Reply(401, 0.1)]
)
def test_an_outage_costs_its_clients_nothing_and_its_provider_few_questions(failing: Reply) -> None:
    world = World(
        SEED,
        SPARE,
        {"a": outage(100.0, 400.0, failing), "b": steady()},
        breaker=BreakerRules(failures=5, cooldown=30.0, key_cooldown=30.0),
        retry=RetryRules(retries=1),
    )
    every(world, 0.1, 600.0)
    world.run()
    assert world.outcomes() == {"ok": 6000}
    # Half a second in which answers from before still come, five failures, and a probe for each cooldown.
    assert world.asks("a", 100.0, 400.0) <= 2 * 6 + 5 + 300 / 30 + 1
    assert world.asks("b", 100.0, 400.0) > 2900
    assert world.asks("a", 440.0, 600.0) == 1600
    assert world.routing.health.state("a", "m", world.now) is State.CLOSED
    check_still(world)


def test_clients_of_a_sick_provider_without_another_are_told_at_once() -> None:
    world = World(
        SEED,
        Route("m", "a"),
        {"a": outage(10.0, 300.0, Reply(None, 5.0))},
        breaker=BreakerRules(failures=3, cooldown=30.0),
    )
    every(world, 1.0, 400.0)
    world.run()
    late = [sent for sent in world.requests if 20.0 < sent.at < 300.0]
    at_once = [sent for sent in late if sent.over == sent.at]
    assert len(at_once) >= len(late) - 12
    assert all(sent.outcome == "ok" for sent in world.requests if sent.at > 335.0)
    check_still(world)


def test_half_open_asks_once_however_many_wait_for_it() -> None:
    world = World(
        SEED,
        SPARE,
        {"a": outage(0.0, 1000.0, Reply(500, 4.0)), "b": steady()},
        breaker=BreakerRules(failures=1, cooldown=10.0),
    )
    every(world, 0.02, 100.0)
    world.run()
    times = [at for at, name in world.asked if name == "a"]
    after = [at for at in times if at > 4.0]
    # A probe takes four seconds and opens for ten more.
    assert all(later - earlier >= 14.0 - 1e-6 for earlier, later in itertools.pairwise(after))
    assert len(after) == 7
    assert world.outcomes() == {"ok": 5000}


def test_a_burst_of_one_key_holds_up_another_by_a_turn() -> None:
    loud, quiet = ClientKey("loud", b"1"), ClientKey("quiet", b"2")
    world = World(
        SEED, Route("m", "a"), {"a": steady(0.5, 0.5)}, keys=(loud, quiet), gate=GateRules(4, 2000, wait=1000.0)
    )
    for _ in range(1000):
        world.send(0.0, loud)
    for number in range(100):
        world.send(1.0 + 2 * number, quiet)
    world.run()
    assert world.outcomes() == {"ok": 1100}
    assert max(sent.waited for sent in world.requests if sent.key == "quiet") < 2.5
    assert max(sent.waited for sent in world.requests if sent.key == "loud") > 200.0
    check_still(world)


def test_a_full_queue_sheds_the_loud_and_never_the_quiet() -> None:
    loud, quiet = ClientKey("loud", b"1"), ClientKey("quiet", b"2")
    world = World(SEED, Route("m", "a"), {"a": steady(0.5, 0.5)}, keys=(loud, quiet), gate=GateRules(2, 20, wait=30.0))
    for number in range(2000):
        world.send(number * 0.05, loud)
    for number in range(33):
        world.send(1.0 + 3 * number, quiet)
    world.run()
    assert world.outcomes("quiet") == {"ok": 33}
    shed = world.outcomes("loud")
    assert shed["full"] + shed["crowded"] + shed["late"] > 1500
    check_still(world)


def test_a_burst_is_admitted_as_far_as_burst_and_rate_go_and_who_waits_as_told_gets_in() -> None:
    mine = ClientKey("k", b"1", limits=KeyLimits(requests_per_minute=60, tokens_per_minute=1000))
    world = World(SEED, Route("m", "a"), {"a": steady()}, keys=(mine,))
    chance = random.Random(SEED)
    for _ in range(3000):
        world.send(chance.uniform(0.0, 600.0), mine, tokens=chance.randint(1, 60))
    world.run()
    for first in range(0, len(world.charged), 7):
        since = world.charged[first][0]
        total = requests = 0
        for at, _, tokens in world.charged[first:]:
            total, requests = total + tokens, requests + 1
            assert total <= 1000 + (at - since) * 1000 / 60 + 1e-3
            assert requests <= 60 + (at - since) + 1e-3
    assert sum(tokens for _, _, tokens in world.charged) > 0.95 * 1000 * 10
    check_still(world)


def test_what_was_estimated_too_high_is_room_for_others() -> None:
    taken = []
    for truth in (100, 50, 10):
        mine = ClientKey("k", b"1", limits=KeyLimits(tokens_per_minute=1000))
        world = World(SEED, Route("m", "a"), {"a": steady(0.2, 0.3)}, keys=(mine,))
        for number in range(6000):
            world.send(number * 0.1, mine, tokens=100, truth=truth)
        world.run()
        taken.append(world.taken["k"])
        assert world.taken["k"] <= 1000 + 1000 * 10.1
        check_still(world)
    # The same tokens whatever the estimate, as long as requests are shorter than it takes to drain.
    assert min(taken) > 0.85 * max(taken)


def test_a_slow_provider_loses_its_requests_to_a_fast_one_and_gets_them_back() -> None:
    slow = outage(60.0, 240.0, Reply(200, 8.0, 1.0), steady(0.4))
    route = Route("m", "a", targets=PAIR.targets, balance=Balance.LEAST_LATENCY)
    world = World(SEED, route, {"a": slow, "b": steady(0.5)})
    every(world, 0.2, 600.0)
    world.run()
    whole = (240.0 - 70.0) / 0.2
    assert world.asks("a", 70.0, 240.0) < 0.15 * whole
    assert world.asks("a", 400.0, 600.0) > 0.3 * (200.0 / 0.2)
    check_still(world)


def test_the_least_busy_shares_by_how_fast_each_gets_done() -> None:
    route = Route("m", "a", targets=PAIR.targets, balance=Balance.LEAST_BUSY)
    world = World(SEED, route, {"a": steady(3.0, 0.0), "b": steady(1.0, 0.0)})
    every(world, 0.05, 200.0)
    world.run()
    counts = Counter(name for _, name in world.asked)
    assert 2.5 < counts["b"] / counts["a"] < 3.5


def test_sessions_stay_move_once_when_their_place_breaks_and_stay_again() -> None:
    world = World(
        SEED,
        PAIR,
        {"a": outage(100.0, 200.0, Reply(500, 0.1)), "b": steady()},
        breaker=BreakerRules(failures=3, cooldown=20.0),
        retry=RetryRules(retries=0),
    )
    names: dict[float, bytes] = {}
    for number in range(40):
        for turn in range(30):
            when = number * 0.1 + turn * 10.0
            names[when] = bytes([number])
            world.send(when, session=bytes([number]))
    world.run()
    places: dict[bytes, list[str]] = {}
    for sent in world.requests:
        assert sent.provider is not None
        places.setdefault(names[sent.at], []).append(sent.provider)
    moves = {session: sum(1 for x, y in itertools.pairwise(found) if x != y) for session, found in places.items()}
    stayed = [session for session, found in places.items() if found[0] == "b"]
    assert 8 <= len(stayed) <= 32
    assert all(moves[session] == 0 for session in stayed)
    assert all(moves[session] == 1 for session in places if session not in stayed)


def test_when_everything_fails_retries_are_a_fraction_of_the_requests() -> None:
    world = World(
        SEED,
        Route("m", "a"),
        {"a": lambda now, chance: Reply(500, 0.05)},
        retry=RetryRules(retries=5),
        budget=BudgetRules(percent=20, floor=10, per_minute=60),
    )
    every(world, 0.01, 100.0)
    world.run()
    assert world.outcomes() == {"status 500": 10_000}
    retries = len(world.asked) - 10_000
    assert retries <= 10 + 0.2 * 10_000 + world.now
    assert retries > 0.15 * 10_000


def test_those_who_failed_together_do_not_come_back_together() -> None:
    world = World(
        SEED,
        Route("m", "a"),
        {"a": outage(0.0, 0.5, Reply(503, 0.1))},
        retry=RetryRules(retries=5, backoff=1.0, jitter=0.5),
        budget=BudgetRules(floor=10_000),
    )
    for _ in range(1000):
        world.send(0.0)
    world.run()
    assert world.outcomes() == {"ok": 1000}
    again = Counter(int(at * 100) for at, _ in world.asked if at > 0.5)
    assert max(again.values()) < 60


def test_bounds_of_a_provider_hold_and_what_is_beyond_them_goes_to_others() -> None:
    world = World(
        SEED,
        SPARE,
        {"a": steady(0.5, 2.0), "b": steady()},
        bounds={"a": ProviderBounds(requests_per_minute=120, concurrency=3)},
    )
    chance = random.Random(SEED)
    for _ in range(3000):
        world.send(chance.uniform(0.0, 300.0))
    world.run()
    assert world.outcomes() == {"ok": 3000}
    times = [at for at, name in world.asked if name == "a"]
    for first, since in enumerate(times):
        for number, at in enumerate(times[first:]):
            assert number + 1 <= 120 + 2 * (at - since) + 1e-3
            if at < since + 2.4:
                assert number < 4  # three under way, each for at least 2.4 s
    assert len(times) > 300
    check_still(world)


def test_a_provider_that_asks_for_time_gets_it() -> None:
    busy: list[float] = []

    def limited(now: float, chance: random.Random) -> Reply:
        if chance.random() < 0.05:
            busy.append(now + 0.1)
            return Reply(429, 0.1, retry_after=7.0)
        return Reply(200, 0.5, 0.5)

    world = World(SEED, SPARE, {"a": limited, "b": steady()}, breaker=BreakerRules(failures=5))
    every(world, 0.5, 300.0)
    world.run()
    assert world.outcomes() == {"ok": 600}
    for told in busy:
        assert world.asks("a", told, told + 7.0 - 1e-6) == 0
    assert len(busy) > 5


@pytest.mark.parametrize("jump", [86_400.0 * 3, -86_400.0 * 3, 1800.0, -7200.0, 86_400.0 * 365 * 50])
def test_a_wall_clock_that_jumps_breaks_no_budget_and_locks_nobody_out(jump: float) -> None:
    quota = Quota(Unit.TOKENS, Period.DAY, 1000)
    mine = ClientKey("k", b"1", quotas=(quota,))
    world = World(SEED, Route("m", "a"), {"a": steady()}, keys=(mine,))
    start = world.unix
    every(world, 1.0, 50.0, key=mine)
    world.run(100.0)
    assert world.desk.accounts.used("key/k", quota, start) == 500

    def turn(secs: float) -> None:
        world.unix += secs

    turn(jump)
    for number in range(30):
        world.send(101.0 + number, mine)
    world.run(200.0)
    turn(-jump)
    for number in range(200):
        world.send(201.0 + number, mine)
    world.run()
    used = world.desk.accounts.used("key/k", quota, start)
    assert used == 1000
    assert world.desk.accounts.used("key/k", quota, start + jump) <= 1000
    assert world.outcomes()["quota"] > 0
    check_still(world)


def test_a_monotonic_clock_that_stood_still_through_a_long_sleep_wakes_to_full_buckets_and_no_more() -> None:
    mine = ClientKey("k", b"1", limits=KeyLimits(requests_per_minute=10))
    world = World(SEED, Route("m", "a"), {"a": steady()}, keys=(mine,))
    for _ in range(50):
        world.send(0.0, mine)
        world.send(1e6, mine)
    world.run()
    assert world.outcomes() == {"ok": 20, "limit": 80}


@pytest.mark.parametrize("number", range(12))
def test_whatever_happens_everything_taken_is_given_back(number: int) -> None:
    chance = random.Random(SEED * 1000 + number)
    keys = tuple(
        ClientKey(
            name,
            name.encode(),
            limits=KeyLimits(
                requests_per_minute=chance.choice((None, 30, 300)),
                tokens_per_minute=chance.choice((None, 5000)),
                concurrency=chance.choice((None, 2, 5)),
            ),
            quotas=(Quota(Unit.TOKENS, Period.DAY, 20_000),) if chance.random() < 0.5 else (),
        )
        for name in ("x", "y", "z")
    )

    def moody(now: float, chance: random.Random) -> Reply:
        status = chance.choice((200, 200, 200, 200, 400, 401, 403, 404, 429, 500, 503, 529, None))
        wait = chance.choice((None, 0.5, 3.0, 500.0)) if status in (429, 503, 529) else None
        return Reply(status, chance.uniform(0.0, 3.0), chance.uniform(0.0, 5.0), wait)

    route = Route("m", "a", targets=PAIR.targets, fallbacks=(Target("c"),), balance=chance.choice(list(Balance)))
    world = World(
        SEED + number,
        route,
        {"a": moody, "b": moody, "c": moody},
        keys=keys,
        own=KeyLimits(requests_per_minute=600),
        gate=GateRules(chance.choice((None, 3, 10)), chance.choice((0, 5, 50)), wait=8.0),
        breaker=BreakerRules(failures=chance.choice((None, 2, 5)), cooldown=5.0),
        retry=RetryRules(retries=chance.randrange(4)),
        bounds=chance.choice((None, {"a": ProviderBounds(concurrency=2), "b": ProviderBounds(60, 3000)})),
    )
    for _ in range(800):
        world.send(
            chance.uniform(0.0, 200.0),
            chance.choice(keys),
            tokens=chance.randint(1, 200),
            truth=chance.randint(0, 200),
            session=chance.choice((None, bytes([chance.randrange(9)]))),
            leaves=chance.choice((None, None, chance.uniform(0.0, 6.0))),
        )
    world.run()
    check_still(world)
    assert len(world.requests) == 800
    assert world.outcomes()["ok"] > 0
    # Nothing stays blocked for ever.
    later = world.now + 1000.0
    assert all(world.routing.health.blocked(name, "m", "", later) is None for name in "abc")


def test_equal_seeds_live_equal_lives() -> None:
    traces = []
    for _ in range(2):
        world = World(
            SEED,
            PAIR,
            {"a": outage(10.0, 30.0, Reply(500, 0.1)), "b": steady()},
            breaker=BreakerRules(failures=2, cooldown=3.0),
            retry=RetryRules(retries=2),
        )
        every(world, 0.3, 60.0)
        world.run()
        traces.append(world.trace())
    assert traces[0] == traces[1]
