"""Several doors at one server are one door: nothing is let in twice, nothing that was taken stays taken."""

from __future__ import annotations

import time

import anyio
import msgspec
import pytest

from ferryllm_net.admission.memory import MemoryDoor
from ferryllm_net.redis.door import RedisAdmission, RedisDoor
from ferryllm_net.redis.names import Names
from ferryllm_proto.actions import Settle
from ferryllm_proto.inputs import Admitted, Refused
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import NO_LIMITS, ClientKey, Desk, KeyBook, KeyLimits, Project
from ferryllm_proto.routing.limits import Meter
from ferryllm_proto.routing.quota import Period, Quota, Unit, bounds
from support.admissions import admit, end, enter, entered, key_of, refused
from support.redis_server import RedisServer, doored, linked, told, until

pytestmark = pytest.mark.anyio


async def test_twenty_tasks_at_two_doors_get_what_the_limit_lets_through(redis: RedisServer) -> None:
    settings, own = redis.settings(), KeyLimits(requests_per_minute=30)
    counted = {True: 0, False: 0}
    async with doored(settings, own=own) as one, doored(settings, own=own) as other:

        async def ask(door: RedisDoor) -> None:
            for _ in range(5):
                counted[isinstance(await enter(door, admit()), Admitted)] += 1

        begun = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for at in range(20):
                tasks.start_soon(ask, (one, other)[at % 2])
        took = time.monotonic() - begun
    assert 30 <= counted[True] <= 30 + took * 0.5
    assert sum(counted.values()) == 100


async def test_places_are_counted_across_doors_and_those_who_wait_get_them(redis: RedisServer) -> None:
    settings, rules = redis.settings(), GateRules(limit=3, queue=50, wait=60.0)
    inside = most = 0
    async with doored(settings, rules=rules) as one, doored(settings, rules=rules) as other:

        async def ask(door: RedisDoor) -> None:
            nonlocal inside, most
            found = await entered(door, admit())
            inside += 1
            most = max(most, inside)
            await anyio.lowlevel.checkpoint()
            inside -= 1
            end(door, found)

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for at in range(20):
                    tasks.start_soon(ask, (one, other)[at % 2])
            await told(one)
            await told(other)
        assert most == 3
        assert (one.inside, one.waiting, other.inside, other.waiting) == (0, 0, 0, 0)
        async with linked(settings) as link:
            assert await link.command(b"ZCARD", Names(settings.prefix).leases("gateway")) == 0


async def test_a_budget_is_one_for_all_and_is_corrected_at_the_end(redis: RedisServer) -> None:
    key = key_of(quotas=(Quota(Unit.COST, Period.MONTH, 10_000_000_000),))
    settings, book = redis.settings(), KeyBook([key])
    async with doored(settings, book) as one, doored(settings, book) as other:
        first = await entered(one, admit(key, cost=6_000_000_000))
        found = await refused(other, admit(key, cost=6_000_000_000))
        assert found.refusal.reason == "quota"
        assert "$6.00 of $10.00 a month are used or set aside" in found.refusal.error.message
        assert found.refusal.error.retry_after is not None
        end(one, first, cost=1_000_000_000)
        await told(one)
        second = await entered(other, admit(key, cost=6_000_000_000))
        end(other, second, took_place=False)
        await told(other)
        assert isinstance(await enter(one, admit(key, cost=9_000_000_000)), Admitted)


async def test_tokens_are_corrected_and_shown(redis: RedisServer) -> None:
    settings, own = redis.settings(), KeyLimits(requests_per_minute=100, tokens_per_minute=1000)
    async with doored(settings, own=own) as door:
        first = await entered(door, admit(tokens=900))
        assert first.admission.standings[Meter.TOKENS].remaining in (100, 101)
        assert first.admission.standings[Meter.REQUESTS].remaining == 99
        assert (await refused(door, admit(tokens=500))).refusal.error.code == "rate_limit_exceeded"
        end(door, first, tokens=100)
        await told(door)
        assert isinstance(await enter(door, admit(tokens=500)), Admitted)


def error_of(found: Admitted | Refused) -> object:
    return None if isinstance(found, Admitted) else (found.refusal.reason, found.refusal.error)


BOOK = KeyBook(
    [
        key_of("e", expires=1.0),
        key_of("m", models=("gpt-*",)),
        key_of("p", project="p"),
        key_of("q", quotas=(Quota(Unit.TOKENS, Period.EVER, 10), Quota(Unit.REQUESTS, Period.DAY, 1))),
        key_of("u", quotas=(Quota(Unit.COST, Period.DAY, 10),)),
        key_of("t", limits=KeyLimits(tokens_per_minute=10)),
        key_of("c", limits=KeyLimits(concurrency=1)),
    ],
    [Project("p", quotas=(Quota(Unit.TOKENS, Period.EVER, 10),))],
)


@pytest.mark.parametrize("key", list(BOOK), ids=lambda key: str(key.id))
async def test_a_refusal_is_in_the_words_of_the_door_in_memory(redis: RedisServer, key: ClientKey) -> None:
    memory = MemoryDoor(Desk(BOOK), GateRules())
    async with doored(redis.settings(), BOOK) as door:
        for asked in (admit(key, 5, None), admit(key, 50, 3), admit(key, 0, 0), admit(key, 0, 0)):
            expected = error_of(await memory.enter(asked, 0.0, 100.0))
            found = error_of(await door.enter(asked, 0.0, 100.0))
            if key.id in ("c", "q") and expected and found:
                # How long until there is room each estimates by its own clock.
                continue
            assert found == expected


async def test_places_of_a_dead_process_are_free_when_its_leases_end(redis: RedisServer) -> None:
    settings, rules = redis.settings(), GateRules(limit=1)
    leases = Names(settings.prefix).leases("gateway")
    async with linked(settings) as link, doored(settings, rules=rules) as door:
        async with doored(settings, rules=rules) as dying:
            await entered(dying, admit())
            assert (await refused(door, admit())).refusal.reason == "busy"
        (member, ends) = (await link.command(b"ZRANGE", leases, 0, -1, b"WITHSCORES"))[0]  # type: ignore[index] # rows
        assert 50_000 < ends - time.time() * 1000 <= 60_000
        assert (await refused(door, admit())).refusal.reason == "busy"
        await link.command(b"ZADD", leases, 1, member)  # a minute later
        assert isinstance(await enter(door, admit()), Admitted)


async def test_leases_go_on_while_a_request_runs_and_come_back_when_the_server_lost_them(redis: RedisServer) -> None:
    settings, rules = redis.settings(), GateRules(limit=1)
    leases = Names(settings.prefix).leases("gateway")
    quick = msgspec.structs.replace(settings, lease_secs=0.15)
    async with linked(settings) as link, doored(quick, rules=rules) as door:
        found = await entered(door, admit())
        await link.command(b"DEL", leases)
        with anyio.fail_after(10):
            while not await link.command(b"ZCARD", leases):
                await anyio.lowlevel.checkpoint()
        end(door, found)
        await told(door)
        assert await link.command(b"ZCARD", leases) == 0


async def test_a_quota_that_the_server_does_not_know_is_asked_of_the_ledger_once(redis: RedisServer) -> None:
    key = key_of(quotas=(Quota(Unit.TOKENS, Period.DAY, 1000),))
    settings, book = redis.settings(), KeyBook([key])
    asked: list[tuple[str, Unit, int]] = []

    async def used(owner: str, unit: Unit, since: int) -> int:
        asked.append((owner, unit, since))
        return 700

    async with linked(settings) as link, doored(settings, book, used=used) as door:
        first = await entered(door, admit(key, 200))
        assert "900 tokens of 1000 tokens a day" in (await refused(door, admit(key, 200))).refusal.error.message
        assert asked == [("key/a", Unit.TOKENS, bounds(key.quotas[0], time.time())[0])]
        end(door, first, tokens=100)
        await told(door)
        await link.command(b"DEL", Names(settings.prefix).account("key/a", key.quotas[0]))
        assert isinstance(await enter(door, admit(key, 200)), Admitted)
        assert len(asked) == 2
        door.restore("key/a", key.quotas[0], 5, time.time())


async def test_what_a_ledger_said_at_the_start_counts_where_it_cannot_be_asked(redis: RedisServer) -> None:
    key = key_of(quotas=(Quota(Unit.TOKENS, Period.DAY, 1000),))
    async with doored(redis.settings(), KeyBook([key])) as door:
        door.restore("key/a", key.quotas[0], 950, time.time())
        assert (await refused(door, admit(key, 200))).refusal.reason == "quota"
        assert isinstance(await enter(door, admit(key, 50)), Admitted)


async def test_a_session_is_where_another_gateway_had_it(redis: RedisServer) -> None:
    settings, session, target = redis.settings(), b"s" * 32, Target("p", "m", 3)
    asked = admit(session=session)
    async with doored(settings) as one, doored(settings) as other:
        first = await entered(one, asked)
        assert first.pinned is None
        now = anyio.current_time()
        one.settle(Settle(first.admission, 0, 0, True, session, target), now, time.time())
        one.leave(first.admission, now)
        await told(one)
        second = await entered(other, asked)
        assert second.pinned == target
        other.settle(Settle(second.admission, 0, 0, True, session, None), now, time.time())
        await told(other)
        assert (await entered(one, asked)).pinned is None


async def test_a_key_at_its_own_bound_holds_nobody_else_up(redis: RedisServer) -> None:
    greedy, other = key_of("g", limits=KeyLimits(concurrency=1)), key_of("o")
    rules = GateRules(limit=5, queue=5, wait=60.0)
    async with doored(redis.settings(), KeyBook([greedy, other]), rules=rules) as door:
        first = await entered(door, admit(greedy))
        results: list[Admitted | Refused] = []

        async def wait() -> None:
            results.append(await enter(door, admit(greedy)))

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await until(lambda: door.waiting)
                await entered(door, admit(other))
                assert not results
                end(door, first)
        assert isinstance(results[0], Admitted)
        assert results[0].waited > 0


async def test_who_waits_too_long_or_finds_the_queue_full_is_told_so(redis: RedisServer) -> None:
    rules = GateRules(limit=1, queue=1, wait=5.0)
    async with doored(redis.settings(), rules=rules) as door:
        await entered(door, admit())
        results: list[Refused] = []

        async def wait() -> None:
            results.append(await refused(door, admit()))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await until(lambda: door.waiting)
            full = await refused(door, admit())
            assert "as many requests under way" in full.refusal.error.message
            door.sweep(anyio.current_time() + 4)
            assert not results
            door.sweep(anyio.current_time() + 5)
        assert "none of them ended while this one waited" in results[0].refusal.error.message
        assert door.waiting == 0


async def test_whoever_leaves_while_waiting_takes_nothing_along(redis: RedisServer) -> None:
    rules = GateRules(limit=1, queue=5, wait=60.0)
    async with doored(redis.settings(), rules=rules) as door:
        first = await entered(door, admit())
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(enter, door, admit())
            await until(lambda: door.waiting == 3)
            tasks.cancel_scope.cancel()
        assert door.waiting == 0
        end(door, first)
        await told(door)
        assert door.inside == 0
        second = await entered(door, admit())
        assert isinstance(second.admission, RedisAdmission)
        end(door, second)


async def test_limits_change_while_it_runs(redis: RedisServer) -> None:
    async with doored(redis.settings(), own=KeyLimits(requests_per_minute=2)) as door:
        for _ in range(2):
            await entered(door, admit())
        assert isinstance(await enter(door, admit()), Refused)
        door.change(KeyBook(), KeyLimits(requests_per_minute=5), NO_LIMITS, GateRules(), anyio.current_time())
        for _ in range(3):
            await entered(door, admit())
        assert isinstance(await enter(door, admit()), Refused)
