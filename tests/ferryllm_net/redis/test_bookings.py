"""Several doors at one server keep the bounds of a provider: nothing is taken twice, nothing taken stays taken."""

from __future__ import annotations

import time
from collections.abc import Iterator

import anyio
import msgspec
import pytest

from ferryllm_net.config.redis_schema import OnFailure
from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.redis.bookings import RedisBooking
from ferryllm_net.redis.door import RedisDoor
from ferryllm_net.redis.names import Names
from ferryllm_proto.actions import Book, GiveBack
from ferryllm_proto.inputs import Booked, BookedUp
from ferryllm_proto.routing.choice import Closed, ProviderBounds, Why, demands
from support.redis_server import RedisServer, doored, linked, told, until

pytestmark = pytest.mark.anyio


def asked(
    requests: int | None = None, tokens: int | None = None, concurrency: int | None = None, *, wanted: int = 10
) -> Book:
    bounds = ProviderBounds(requests, tokens, concurrency)
    return Book("p", tuple(demands("p", bounds, wanted)), concurrency)


async def booked(door: RedisDoor, book: Book) -> Booked:
    found = await door.book(book, anyio.current_time())
    assert isinstance(found, Booked), found
    return found


async def refused(door: RedisDoor, book: Book) -> Closed:
    found = await door.book(book, anyio.current_time())
    assert isinstance(found, BookedUp), found
    return found.closed


def end(door: RedisDoor, found: Booked, tokens: int | None = 0, *, took_place: bool = True) -> None:
    door.give_back(GiveBack(found.booking, tokens, took_place), anyio.current_time())


async def test_two_doors_let_through_what_one_would(redis: RedisServer) -> None:
    settings, counted = redis.settings(), {True: 0, False: 0}
    async with doored(settings) as one, doored(settings) as other:

        async def ask(door: RedisDoor) -> None:
            for _ in range(5):
                found = await door.book(asked(30), anyio.current_time())
                counted[isinstance(found, Booked)] += 1
                if isinstance(found, Booked):
                    end(door, found)
                else:
                    assert found.closed.why is Why.LIMIT
                    assert 0 < found.closed.retry_after <= 2.0

        begun = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for at in range(20):
                tasks.start_soon(ask, (one, other)[at % 2])
        took = time.monotonic() - begun
    assert 30 <= counted[True] <= 30 + took * 0.5
    assert sum(counted.values()) == 100


async def test_places_are_counted_across_doors_and_come_back(redis: RedisServer) -> None:
    settings, book = redis.settings(), asked(concurrency=2)
    async with doored(settings) as one, doored(settings) as other, linked(settings) as link:
        first = await booked(one, book)
        await booked(other, book)
        assert await refused(one, book) == Closed(Why.FULL, 1.0)
        end(one, first)
        await told(one)
        again = await booked(other, book)
        assert await refused(one, book) == Closed(Why.FULL, 1.0)
        end(other, again)
        await told(other)
        assert (one.inside, one.later.held, other.later.held) == (0, 0, 1)
        assert await link.command(b"ZCARD", Names(settings.prefix).leases("provider/p")) == 1


async def test_tokens_are_corrected_at_the_end_and_what_was_not_sent_is_no_request(redis: RedisServer) -> None:
    settings = redis.settings()
    async with doored(settings) as one, doored(settings) as other:
        first = await booked(one, asked(tokens=1000, wanted=900))
        assert (await refused(other, asked(tokens=1000, wanted=500))).why is Why.LIMIT
        assert await refused(other, asked(tokens=1000, wanted=1001)) == Closed(Why.SIZE, float("inf"))
        end(one, first, tokens=100)
        await told(one)
        second = await booked(other, asked(tokens=1000, wanted=850))
        end(other, second, tokens=None)
        await told(other)
        assert (await refused(one, asked(tokens=1000, wanted=500))).why is Why.LIMIT, "what is unknown stays"
        third = await booked(one, asked(requests=1))
        end(one, third, took_place=False)
        await told(one)
        await booked(other, asked(requests=1))


async def test_who_is_refused_by_one_bound_takes_nothing_of_the_others(redis: RedisServer) -> None:
    async with doored(redis.settings()) as door:
        first = await booked(door, asked(2, concurrency=1))
        assert (await refused(door, asked(2, concurrency=1))).why is Why.FULL
        end(door, first)
        await told(door)
        await booked(door, asked(2, concurrency=1))


async def test_nothing_is_left_of_what_is_over(redis: RedisServer) -> None:
    settings = redis.settings()
    async with doored(settings) as door, linked(settings) as link:
        end(door, await booked(door, asked(600, 1000, 5)), tokens=3)
        await told(door)
        keys = await link.command(b"KEYS", f"{{{settings.prefix}}}:*")
        assert isinstance(keys, list)
        left = {key.decode().partition("}:")[2].partition(":")[0] for key in keys}
        assert left == {"bucket", "batch"}, "and those end by themselves"
        for key in keys:
            assert await link.command(b"PTTL", key) > 0  # type: ignore[operator] # a number


async def test_places_of_a_dead_process_are_free_when_its_leases_end(redis: RedisServer) -> None:
    settings, book = redis.settings(), asked(concurrency=1)
    leases = Names(settings.prefix).leases("provider/p")
    async with linked(settings) as link, doored(settings) as door:
        async with doored(settings) as dying:
            await booked(dying, book)
        assert (await refused(door, book)).why is Why.FULL
        (member, ends) = (await link.command(b"ZRANGE", leases, 0, -1, b"WITHSCORES"))[0]  # type: ignore[index] # rows
        assert 50_000 < ends - time.time() * 1000 <= 60_000
        await link.command(b"ZADD", leases, 1, member)  # a minute later
        await booked(door, book)


async def test_leases_go_on_while_an_attempt_runs(redis: RedisServer) -> None:
    settings = redis.settings()
    leases = Names(settings.prefix).leases("provider/p")
    quick = msgspec.structs.replace(settings, lease_secs=0.15)
    async with linked(settings) as link, doored(quick) as door:
        found = await booked(door, asked(concurrency=1))
        await link.command(b"DEL", leases)
        with anyio.fail_after(10):
            while not await link.command(b"ZCARD", leases):
                await anyio.lowlevel.checkpoint()
        end(door, found)
        await told(door)
        assert await link.command(b"ZCARD", leases) == 0


async def test_whoever_leaves_before_the_answer_takes_nothing_along(redis: RedisServer) -> None:
    settings, book = redis.settings(), asked(1, concurrency=1)
    async with doored(settings) as door:
        for _ in range(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(door.book, book, anyio.current_time())
                await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        await told(door)
        await booked(door, book)
        assert door.later.held == 1


# --- while Redis is away -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frail(redis: RedisServer) -> Iterator[RedisServer]:
    """A server that tests may stop."""
    server = RedisServer()
    yield server
    server.close()


def settings_of(server: RedisServer, mode: OnFailure, deadline: float = 5.0) -> RedisSettings:
    settings = server.settings(deadline=deadline)
    return msgspec.structs.replace(settings, on_failure=mode, expected_replicas=2)


@pytest.mark.parametrize(
    ("mode", "through", "why"), [("open", 8, None), ("closed", 0, Why.STORE), ("local", 2, Why.LIMIT)]
)
@pytest.mark.parametrize("bounds", [(4, None), (None, 4)], ids=["requests", "places"])
async def test_the_configuration_says_what_becomes_of_attempts(
    frail: RedisServer, mode: OnFailure, through: int, why: Why | None, bounds: tuple[int | None, int | None]
) -> None:
    book = asked(bounds[0], concurrency=bounds[1])
    failures: list[str] = []
    async with doored(settings_of(frail, mode)) as door:
        door.failed = failures.append
        first = await booked(door, book)
        frail.stop()
        try:
            await until(lambda: not door.link.up)
            found = [await door.book(book, anyio.current_time()) for _ in range(8)]
            assert sum(isinstance(one, Booked) for one in found) == through
            closed = {one.closed.why for one in found if isinstance(one, BookedUp)}
            assert closed == ({why} if why is not Why.LIMIT or bounds[0] else {Why.FULL}) - {None}
            assert (door.uncounted, failures) == (8, ["booking"] * 8)
            for one in (first, *found):
                if isinstance(one, Booked):
                    end(door, one)
            if mode == "local" and bounds[1]:
                await booked(door, book)
        finally:
            frail.start()
        await until(lambda: door.link.up)
        counted = await booked(door, book)
        assert isinstance(counted.booking, RedisBooking)
        assert counted.booking.local is None, "it is asked again, and knows of nothing"
        assert counted.booking.held.leases or counted.booking.held.recorded
        await told(door)


async def test_a_server_that_hangs_costs_some_attempts_their_deadline_and_gets_back_what_it_took(
    frail: RedisServer,
) -> None:
    settings, book = settings_of(frail, "open", deadline=0.03), asked(20, concurrency=10)
    async with doored(settings) as door:
        await booked(door, book)
        frail.pause()
        try:
            for _ in range(12):
                end(door, await booked(door, book))
            assert door.link.failures == 12
        finally:
            frail.resume()
        await until(lambda: door.link.up)
        await told(door)
    async with doored(msgspec.structs.replace(settings, deadline_secs=5.0)) as door:
        found = [await door.book(asked(20), anyio.current_time()) for _ in range(21)]
        assert sum(isinstance(one, Booked) for one in found) in (19, 20)
        async with linked(msgspec.structs.replace(settings, deadline_secs=5.0)) as link:
            assert await link.command(b"ZCARD", Names(settings.prefix).leases("provider/p")) == 1
