"""The door of one process: who is let in, who waits, and that nothing stays taken."""

from __future__ import annotations

import anyio
import pytest

from ferryllm_net.admission import Door, MemoryDoor
from ferryllm_proto.actions import Admit, Settle
from ferryllm_proto.inputs import Admitted, Refused
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import NO_LIMITS, Admission, Ask, ClientKey, Desk, KeyBook, KeyLimits
from ferryllm_proto.routing.limits import Meter
from ferryllm_proto.routing.quota import Period, Quota, Unit

pytestmark = pytest.mark.anyio

UNIX = 1_760_000_000.0
DAY = Quota(Unit.TOKENS, Period.DAY, 1000)


def door(
    *, limit: int | None = None, queue: int = 0, own: KeyLimits = NO_LIMITS, keys: tuple[ClientKey, ...] = ()
) -> MemoryDoor:
    return MemoryDoor(Desk(KeyBook(keys), own), GateRules(limit, queue, 10.0))


def admit(flow: str = "a", *, key: ClientKey | None = None, tokens: int = 10, concurrency: int | None = None) -> Admit:
    return Admit(key, Ask("m", tokens, 0), flow, None, concurrency)


async def let_in(one: Door, asked: Admit) -> Admission:
    found = await one.enter(asked, anyio.current_time(), UNIX)
    assert type(found) is Admitted
    return found.admission


def done(one: Door, admission: Admission, tokens: int | None = 5, *, took_place: bool = True) -> None:
    one.settle(Settle(admission, tokens, None, took_place), anyio.current_time(), UNIX)
    one.leave(admission, anyio.current_time())


async def test_without_room_and_queue_it_turns_away_in_words_that_say_why() -> None:
    one = door(limit=1)
    inside = await let_in(one, admit())
    found = await one.enter(admit("b"), anyio.current_time(), UNIX)
    assert type(found) is Refused
    error = found.refusal.error
    assert (found.refusal.reason, error.code) == ("busy", "concurrency_limit_exceeded")
    assert error.message == "the gateway has as many requests under way as it may have"
    assert error.retry_after is not None
    done(one, inside)
    done(one, await let_in(one, admit("b")))
    assert (one.inside, one.waiting) == (0, 0)


async def test_a_keys_own_bound_is_named_as_its_own() -> None:
    one = door()
    inside = await let_in(one, admit(concurrency=1))
    found = await one.enter(admit(concurrency=1), anyio.current_time(), UNIX)
    assert type(found) is Refused
    assert found.refusal.error.message == "this key has reached its limit of 1 requests under way at one time"
    done(one, await let_in(one, admit("b", concurrency=1)))
    done(one, inside)


async def test_keys_take_turns_in_the_queue() -> None:
    one = door(limit=1, queue=10)
    inside, came = await let_in(one, admit()), []

    async def come(flow: str) -> None:
        admission = await let_in(one, admit(flow))
        came.append(flow)
        done(one, admission)

    async with anyio.create_task_group() as tasks:
        for flow in ("a", "a", "a", "b"):
            tasks.start_soon(come, flow)
            await anyio.wait_all_tasks_blocked()
        assert one.waiting == 4
        done(one, inside)
    assert came == ["a", "b", "a", "a"]
    assert (one.inside, one.waiting) == (0, 0)


async def test_who_waits_too_long_hears_of_it() -> None:
    one = door(limit=1, queue=1)
    inside, told = await let_in(one, admit()), []

    async def come() -> None:
        told.append(await one.enter(admit("b"), anyio.current_time(), UNIX))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(come)
        await anyio.wait_all_tasks_blocked()
        one.sweep(anyio.current_time() + 9)
        await anyio.wait_all_tasks_blocked()
        assert told == []
        one.sweep(anyio.current_time() + 11)
    (found,) = told
    assert type(found) is Refused
    assert "none of them ended" in found.refusal.error.message
    done(one, inside)


@pytest.mark.parametrize("granted", [False, True])
async def test_who_leaves_the_queue_takes_nothing_along(*, granted: bool) -> None:
    """Also when its turn came at the very moment it left."""
    one = door(limit=1, queue=1, own=KeyLimits(requests_per_minute=100))
    inside = await let_in(one, admit())

    async def come() -> None:
        # It hears of the one or of the other, and gives back what it heard of.
        done(one, await let_in(one, admit("b")), took_place=False)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(come)
        await anyio.wait_all_tasks_blocked()
        if granted:
            one.leave(inside, anyio.current_time())
        tasks.cancel_scope.cancel()
    one.leave(inside, anyio.current_time())
    assert (one.inside, one.waiting) == (0, 0)
    again = await let_in(one, admit())
    assert again.standings[Meter.REQUESTS].remaining == 98


async def test_what_a_request_took_replaces_what_it_might_have() -> None:
    key = ClientKey("k", b"digest", quotas=(DAY,))
    one = door(keys=(key,))
    accounts = one.desk.accounts
    done(one, await let_in(one, admit(key=key, tokens=400)), 30)
    assert accounts.used("key/k", DAY, UNIX) == 30
    done(one, await let_in(one, admit(key=key, tokens=400)), None)
    assert accounts.used("key/k", DAY, UNIX) == 430, "nobody knows: the estimate counts"
    done(one, await let_in(one, admit(key=key, tokens=400)), took_place=False)
    assert accounts.used("key/k", DAY, UNIX) == 430
    one.restore("key/k", DAY, 990, UNIX)
    found = await one.enter(admit(key=key, tokens=20), anyio.current_time(), UNIX)
    assert type(found) is Refused
    assert found.refusal.reason == "quota"


async def test_more_room_lets_in_who_waits() -> None:
    one = door(limit=1, queue=1)
    inside = await let_in(one, admit())
    async with anyio.create_task_group() as tasks:

        async def come() -> None:
            done(one, await let_in(one, admit("b")))

        tasks.start_soon(come)
        await anyio.wait_all_tasks_blocked()
        one.change(KeyBook(), NO_LIMITS, NO_LIMITS, GateRules(2), anyio.current_time())
    done(one, inside)
    await one.aclose()
    assert one.inside == 0


async def test_who_waited_in_vain_makes_no_room_for_others() -> None:
    """A bucket that was told an older time took it for a clock that went back, and drained the same seconds twice."""
    one = door(limit=1, queue=3, own=KeyLimits(requests_per_minute=60))
    began = 1000.0
    assert type(await one.enter(admit(), began, UNIX)) is Admitted

    async def in_vain() -> None:
        assert type(await one.enter(admit("b"), began, UNIX)) is Refused

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(in_vain)
        await anyio.wait_all_tasks_blocked()
        for _ in range(56):
            one.desk.admit(None, admit().ask, began + 9.0, UNIX)
        one.sweep(began + 10.0)
    left = one.desk.limits.standings(one.desk.demands(None, admit().ask), began + 10.0)
    assert left[Meter.REQUESTS].remaining == 60 - 56 + 1, "theirs have drained, and a second has gone by"
