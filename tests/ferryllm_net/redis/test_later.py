"""What is told later is told once, in order, and never fills the memory."""

from __future__ import annotations

import anyio
import pytest

from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.redis import later as module
from ferryllm_net.redis.later import Held, Later
from ferryllm_net.redis.link import Link, RedisAwayError, RedisError
from ferryllm_net.redis.names import Names
from ferryllm_net.redis.scripts import Script
from support.redis_server import RedisServer, linked

pytestmark = pytest.mark.anyio


class Forgetful(Link):
    """Does what it is told and loses the first answers."""

    def __init__(self, link: Link, lost: int) -> None:
        super().__init__(RedisSettings("nowhere"))
        self._inner = link
        self._left = lost

    async def call(self, script: Script, keys: object, arguments: object, deadline: float | None = None) -> object:
        found = await self._inner.call(script, keys, arguments, deadline)  # type: ignore[arg-type] # handed on
        if self._left:
            self._left -= 1
            raise RedisAwayError("lost", sent=True)
        return found


async def test_a_batch_whose_answer_was_lost_counts_once(redis: RedisServer) -> None:
    settings = redis.settings()
    names = Names(settings.prefix)
    async with linked(settings) as link:
        account = f"{{{settings.prefix}}}:account"
        await link.command(b"HSET", account, 0, 100)
        later = Later(Forgetful(link, 3), names, 60, 600)
        later.settle("", True, 7, None, [(account, 0, "tokens", 500)], 5.0)
        await later.flush(10)
        assert len(later) == 0
        assert await link.command(b"HGET", account, 0) == b"107"


async def test_what_ended_before_the_ledger_was_asked_is_in_its_number(redis: RedisServer) -> None:
    settings = redis.settings()
    async with linked(settings) as link:
        account = f"{{{settings.prefix}}}:account"
        await link.command(b"HSET", account, 0, 100)
        await link.command(b"SET", f"{account}:since", 5000)
        later = Later(link, Names(settings.prefix), 60, 600)
        for ended in (4.0, 5.0, 6.0):
            later.settle("", True, 7, None, [(account, 0, "tokens", 500)], ended)
        later.settle("", False, 7, None, [(account, 0, "tokens", 500)], 6.0)
        await later.flush(10)
        assert await link.command(b"HGET", account, 0) == b"107"


async def test_many_are_told_in_few_calls_and_in_their_order(redis: RedisServer) -> None:
    settings = redis.settings()
    names = Names(settings.prefix)
    calls = 0

    class Counting(Link):
        async def call(self, script: Script, keys: object, arguments: object, deadline: float | None = None) -> object:
            nonlocal calls
            calls += 1
            return await link.call(script, keys, arguments, deadline)  # type: ignore[arg-type] # handed on

    async with linked(settings) as link:
        later = Later(Counting(settings), names, 60, 600)
        key = names.place(b"s")
        for number in range(200):
            later.pin(key, b"%d" % number, 60)
        later.unpin(key, b"5")
        await later.flush(10)
        assert await link.command(b"GET", key) == b"199"
        assert 0 < await link.command(b"PTTL", key) <= 60_000  # type: ignore[operator] # a number
        assert calls == 4


async def test_what_is_too_much_is_counted_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    later = Later(Link(RedisSettings("nowhere")), Names("p"), 60, 600)
    for number in range(25):
        later.free(Held(str(number), ("k",), False))
    assert (len(later), later.lost) == (10, 15)


async def test_a_batch_that_the_server_always_refuses_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECS", 0.0)

    class Refusing(Link):
        async def call(self, script: Script, keys: object, arguments: object, deadline: float | None = None) -> object:
            raise RedisError("no")

    later = Later(Refusing(RedisSettings("nowhere")), Names("p"), 60, 600)
    later.free(Held("1", ("k",), False))
    await later.flush(10)
    assert (len(later), later.lost) == (0, 1)


async def test_leases_are_renewed_in_batches_until_they_are_given_back(redis: RedisServer) -> None:
    settings = redis.settings()
    names = Names(settings.prefix)
    async with linked(settings) as link:
        later = Later(link, names, 0.15, 600)
        held = [Held(str(number), (names.leases("gateway"),), True) for number in range(150)]
        for one in held:
            later.hold(one)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(later.run)
            with anyio.fail_after(10):
                while await link.command(b"ZCARD", names.leases("gateway")) != 150:
                    await anyio.lowlevel.checkpoint()
            for one in held:
                later.free(one)
            with anyio.fail_after(10):
                while await link.command(b"ZCARD", names.leases("gateway")):
                    await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert later.held == 0
