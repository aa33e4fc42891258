"""While Redis is away the configuration decides, nobody waits long, and afterwards everything is counted again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import anyio
import msgspec
import pytest

from ferryllm_net.config.redis_schema import OnFailure
from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.redis.door import RedisDoor
from ferryllm_net.redis.link import Link
from ferryllm_net.redis.names import Names
from ferryllm_proto.inputs import Admitted, Refused
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import Desk, KeyBook, KeyLimits, Project
from ferryllm_proto.routing.quota import Period, Quota, Unit, bounds
from support.admissions import admit, end, enter, entered, key_of, refused
from support.redis_server import RedisServer, doored, linked, told, until

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def frail(redis: RedisServer) -> Iterator[RedisServer]:
    """A server that tests may stop."""
    server = RedisServer()
    yield server
    server.close()


def settings_of(server: RedisServer, mode: OnFailure, replicas: int = 1, deadline: float = 5.0) -> RedisSettings:
    settings = server.settings(deadline=deadline)
    return msgspec.structs.replace(settings, on_failure=mode, expected_replicas=replicas)


OWN = KeyLimits(requests_per_minute=4)


@pytest.mark.parametrize(("mode", "admitted"), [("open", 8), ("closed", 0), ("local", 2)])
async def test_the_configuration_says_who_is_let_in(frail: RedisServer, mode: OnFailure, admitted: int) -> None:
    async with doored(settings_of(frail, mode, replicas=2), own=OWN) as door:
        first = await entered(door, admit())
        frail.stop()
        try:
            await until(lambda: not door.link.up)
            found = [await enter(door, admit()) for _ in range(8)]
            assert sum(isinstance(one, Admitted) for one in found) == admitted
            assert door.uncounted == 8
            if mode == "closed":
                assert isinstance(found[0], Refused)
                assert found[0].refusal.error.code == "limits_unavailable"
            for one in (first, *found):
                if isinstance(one, Admitted):
                    end(door, one)
            assert door.inside == 0
        finally:
            frail.start()
        await until(lambda: door.link.up)
        assert isinstance(await enter(door, admit()), Admitted), "it is asked again, and knows of nothing"
        await told(door)


async def test_a_server_that_hangs_costs_a_few_requests_their_deadline_and_gets_back_what_it_took(
    frail: RedisServer,
) -> None:
    settings = settings_of(frail, "open", deadline=0.03)
    rules = GateRules(limit=10)
    async with doored(settings, own=KeyLimits(requests_per_minute=20), rules=rules) as door:
        await entered(door, admit())
        frail.pause()
        try:
            for _ in range(12):
                end(door, await entered(door, admit()))
            assert door.link.failures == 12
        finally:
            frail.resume()
        await until(lambda: door.link.up)
        await told(door)
        async with linked(msgspec.structs.replace(settings, deadline_secs=5.0)) as link:
            assert await link.command(b"ZCARD", Names(settings.prefix).leases("gateway")) == 1
    async with doored(
        msgspec.structs.replace(settings, deadline_secs=5.0), own=KeyLimits(requests_per_minute=20)
    ) as door:
        found = [await enter(door, admit()) for _ in range(21)]
        assert sum(isinstance(one, Admitted) for one in found) in (19, 20)


async def test_each_process_has_its_share_of_what_was_left_of_a_quota(frail: RedisServer) -> None:
    key = key_of(project="p", quotas=(Quota(Unit.TOKENS, Period.EVER, 1000),))
    book = KeyBook([key], [Project("p", KeyLimits(tokens_per_minute=1000))])
    async with doored(settings_of(frail, "local", replicas=4), book) as door:
        end(door, await entered(door, admit(key, 200)), tokens=200)
        await told(door)
        await entered(door, admit(key, 0))
        frail.stop()
        try:
            await until(lambda: not door.link.up)
            taken = await entered(door, admit(key, 150))
            found = await refused(door, admit(key, 100))
            assert found.refusal.reason == "quota", "150 of a fourth of 800"
            end(door, taken, tokens=120)
            second = await entered(door, admit(key, 60))
            end(door, second, tokens=60)
            assert (await refused(door, admit(key, 300))).refusal.reason == "quota"
        finally:
            frail.start()


async def test_what_was_used_meanwhile_counts_afterwards(redis: RedisServer) -> None:
    quota = Quota(Unit.TOKENS, Period.DAY, 1000)
    key = key_of(quotas=(quota,))
    settings = settings_of(redis, "local")
    async with doored(settings, KeyBook([key])) as door, linked(settings) as link:
        end(door, await entered(door, admit(key, 10)), tokens=10)
        door.link.break_off()
        taken = await entered(door, admit(key, 500))
        assert door.uncounted == 1
        await until(lambda: door.link.up)
        end(door, taken, tokens=300)
        await told(door)
        field = bounds(quota, time.time())[0]
        assert await link.command(b"HGET", Names(settings.prefix).account("key/a", quota), field) == b"310"


@pytest.mark.parametrize("ledger", [False, True])
async def test_what_was_used_while_a_server_lost_everything_counts_once(frail: RedisServer, ledger: bool) -> None:
    quota = Quota(Unit.TOKENS, Period.DAY, 1000)
    key = key_of(quotas=(quota,))
    settings = settings_of(frail, "local")

    async def used(owner: str, unit: Unit, since: int) -> int:
        return 300  # the row of the request below

    async with doored(settings, KeyBook([key]), used=used if ledger else None) as door:
        frail.stop()
        try:
            await until(lambda: not door.link.up)
            end(door, await entered(door, admit(key, 500)), tokens=300)
        finally:
            frail.start()
        await until(lambda: door.link.up)
        await entered(door, admit(key, 0))
        await told(door)
        async with linked(settings) as link:
            field = bounds(quota, time.time())[0]
            found = await link.command(b"HGET", Names(settings.prefix).account("key/a", quota), field)
        assert found == b"300" or (found == b"0" and not ledger), "without a ledger what came first is lost"


async def test_what_is_not_limited_is_let_in_whatever_the_mode(frail: RedisServer) -> None:
    async with doored(settings_of(frail, "closed")) as door:
        frail.stop()
        try:
            await until(lambda: not door.link.up)
            found = await entered(door, admit(session=b"s" * 32))
            assert found.pinned is None
            end(door, found)
        finally:
            frail.start()


async def test_who_waits_when_it_goes_away_is_seen_to(frail: RedisServer) -> None:
    rules = GateRules(limit=1, queue=5, wait=60.0)
    async with doored(settings_of(frail, "open"), rules=rules) as door:
        await entered(door, admit())
        try:
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(entered, door, admit())
                await until(lambda: door.waiting == 3)
                frail.stop()
        finally:
            frail.start()
        assert (door.waiting, door.inside) == (0, 4)


async def test_at_the_end_it_says_what_it_has_not_said(redis: RedisServer) -> None:
    settings = redis.settings()
    async with doored(settings, rules=GateRules(limit=5)) as door:
        found = await entered(door, admit())
    end(door, found)  # its tasks have gone
    assert len(door.later) == 1
    await door.aclose()
    assert len(door.later) == 0
    async with linked(settings) as link:
        assert await link.command(b"ZCARD", Names(settings.prefix).leases("gateway")) == 0


async def test_the_end_does_not_wait_for_a_server_that_is_away() -> None:
    settings = RedisSettings("127.0.0.1", 1)
    door = RedisDoor(Desk(KeyBook(), OWN), OWN, KeyLimits(), GateRules(limit=1), settings, Link(settings))
    end(door, await entered(door, admit()))
    with anyio.fail_after(5):
        await door.aclose()
