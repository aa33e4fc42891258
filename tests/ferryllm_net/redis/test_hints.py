"""What one process finds broken the others leave alone, and try once when it is mended."""

from __future__ import annotations

import anyio
import pytest

from ferryllm_net.redis.hints import Hints
from ferryllm_net.redis.link import Link
from ferryllm_net.redis.names import Names
from ferryllm_proto.routing.breaker import BreakerRules, Change, Health, Permit, State, Verdict
from support.redis_server import RedisServer, linked

pytestmark = pytest.mark.anyio

RULES = BreakerRules(failures=2, cooldown=30.0)


class Replica:
    def __init__(self, link: Link, prefix: str) -> None:
        self.health = Health(RULES)
        self.changes: list[Change] = []
        self.hints = Hints(link, Names(prefix), lambda: self.health, self.changes.append)

    def attempt(self, verdict: Verdict, now: float, retry_after: float | None = None) -> None:
        permit = self.health.enter("p", "m", "k", now)
        assert isinstance(permit, Permit)
        self.health.settle(permit, verdict, now, retry_after)

    def left(self, now: float) -> float:
        found = self.health.blocked("p", "m", "k", now)
        return 0.0 if found is None else found.retry_after


async def test_an_open_circuit_is_one_for_all_until_it_closes(redis: RedisServer) -> None:
    settings = redis.settings()
    async with linked(settings) as link:
        one, other = Replica(link, settings.prefix), Replica(link, settings.prefix)
        now = anyio.current_time()
        for _ in range(2):
            one.attempt(Verdict.FAILURE, now)
        await one.hints.share(now)
        await other.hints.share(now)
        assert other.left(now) == pytest.approx(30.0, abs=1.0)
        assert [change.state for change in other.changes] == [State.OPEN]
        for _ in range(3):  # nobody says again what he has from the others
            await other.hints.share(now)
            await one.hints.share(now)
        assert len(other.changes) == 1
        later = now + 30.0
        one.attempt(Verdict.SUCCESS, later)
        assert one.left(later) == 0.0
        await one.hints.share(now + 29.0)
        await other.hints.share(now + 29.0)
        assert other.left(now + 29.0) == 0.0, "found mended before its own time was up"
        permit = other.health.enter("p", "m", "k", now + 29.0)
        assert isinstance(permit, Permit)
        assert other.left(now + 29.0) == 1.0, "one probe"
        other.health.settle(permit, Verdict.SUCCESS, now + 29.0)
        await other.hints.share(now + 29.0)
        assert await link.command(b"EXISTS", Names(settings.prefix).hints) == 0


async def test_a_wait_that_the_provider_asked_for_is_kept_by_all(redis: RedisServer) -> None:
    settings = redis.settings()
    async with linked(settings) as link:
        one, other = Replica(link, settings.prefix), Replica(link, settings.prefix)
        now = anyio.current_time()
        one.attempt(Verdict.LIMITED, now, 12.0)
        await one.hints.share(now)
        await other.hints.share(now)
        assert other.health.state("p", "m", now) is State.HELD
        assert other.left(now) == pytest.approx(12.0, abs=1.0)


async def test_keys_and_what_others_wrote_are_not_shared(redis: RedisServer) -> None:
    settings = redis.settings()
    names = Names(settings.prefix)
    async with linked(settings) as link:
        one, other = Replica(link, settings.prefix), Replica(link, settings.prefix)
        now = anyio.current_time()
        one.attempt(Verdict.KEY, now)
        await one.hints.share(now)
        assert await link.command(b"EXISTS", names.hints) == 0
        await link.command(b"HSET", names.hints, b"gibberish", 10**14, b'["new","p","m"]', 10**14)
        await other.hints.share(now)
        assert other.changes == []


async def test_without_a_server_everybody_has_his_own_breakers(redis: RedisServer) -> None:
    settings = redis.settings()
    replica = Replica(Link(settings), settings.prefix)
    replica.hints._link._tried.set()
    for _ in range(2):
        replica.attempt(Verdict.FAILURE, 0.0)
    await replica.hints.share(0.0)
    assert replica.left(0.0) == 30.0
