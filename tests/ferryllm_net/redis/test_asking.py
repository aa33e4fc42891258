"""The script decides what the machines decide, over random sequences on a real server."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from ferryllm_net.redis.asking import Answer, Limited, OverQuota, Question, Yes, read, written
from ferryllm_net.redis.link import Link, Value
from ferryllm_net.redis.names import Names
from ferryllm_net.redis.scripts import script
from ferryllm_proto.routing.keys import Ask
from ferryllm_proto.routing.limits import Charge, Demand, Exceeded, Limits, Meter, standings
from ferryllm_proto.routing.quota import Accounts, Need, Period, Quota, Reserved, Spent, Unit, bounds
from ferryllm_proto.routing.rates import Rate
from support.redis_server import RedisServer, linked

pytestmark = pytest.mark.anyio

ADMIT = script("buckets", "admit")
LATER = script("buckets", "later")
START = 1_800_000_000.0
"""Unix seconds; all times here are whole 64ths, which are whole microseconds and exact as floats. The machines count
limits from here: in nanoseconds, Unix seconds are not exact as floats."""


class Store:
    """What the door does, at times that the test says."""

    def __init__(self, link: Link, prefix: str) -> None:
        self.link = link
        self.names = Names(prefix)
        self._marks = 0

    async def ask(
        self,
        question: Question,
        id: str,  # noqa: A002
        now: float,
        restored: dict[int, tuple[int, int]] | None = None,
    ) -> Answer:
        keys, arguments = written(question, self.names, id, 60_000, 600_000, restored, round(now * 1_000_000))
        return read(question, await self.link.call(ADMIT, keys, arguments))

    async def later(self, now: float, *ops: Sequence[Value]) -> object:
        self._marks += 1
        arguments: list[Value] = [round(now * 1_000_000), 600_000]
        for op in ops:
            arguments += op
        return await self.link.call(LATER, [self.names.batch(str(self._marks))], arguments)

    async def settle(self, id: str, now: float, place: bool, tokens: int | None, cost: int | None) -> None:  # noqa: A002
        op = [
            "settle",
            self.names.record(id),
            0,
            int(place),
            *("" if one is None else one for one in (tokens, cost)),
            0,
        ]
        assert await self.later(now, op) == 1


class Machines:
    """The same by ferryllm_proto, in the order of `Desk.admit`."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.accounts = Accounts()

    def ask(self, question: Question, now: float) -> tuple[Charge, Reserved] | Exceeded | Spent:
        owned = [(owner, quota) for owner, _, quota in question.owned]
        reserved = self.accounts.reserve(owned, question.need, now, unpriced=True)
        if isinstance(reserved, Spent):
            return reserved
        charge = self.limits.admit(question.demands, now - START)
        if isinstance(charge, Exceeded):
            self.accounts.cancel(reserved)
            return charge
        return charge, reserved

    def settle(
        self, taken: tuple[Charge, Reserved], now: float, place: bool, tokens: int | None, cost: int | None
    ) -> None:
        if place:
            self.limits.settle(taken[0], tokens, now - START)
            self.accounts.settle(taken[1], Need(1, tokens, cost))
        else:
            self.limits.cancel(taken[0], now - START)
            self.accounts.cancel(taken[1])


def question_of(rng: random.Random, scale: int) -> Question:
    tokens = rng.choice((0, 1, 7, scale // 40, scale // 9, scale // 3, scale * 2))
    cost = rng.choice((None, 0, 5_000_000, 700_000_000))
    ask = Ask("m", tokens, 0, cost)
    demands = [
        Demand("the gateway", "gateway", Meter.REQUESTS, Rate(40), 1),
        Demand("the gateway", "gateway", Meter.TOKENS, Rate(scale, 60, scale // 2), tokens),
        Demand("this key", "key/a", Meter.REQUESTS, Rate(rng.choice((7, 7, 7, 11)), 10), 1),
        Demand("this key", "key/a", Meter.TOKENS, Rate(scale // 3), tokens),
    ]
    owned = [
        ("key/a", "this key", Quota(Unit.REQUESTS, Period.DAY, 60, 3600)),
        ("key/a", "this key", Quota(Unit.TOKENS, Period.DAY, scale * 3)),
        ("project/p", "this key's project", Quota(Unit.COST, Period.MONTH, 9_000_000_000)),
        ("key/a", "this key", Quota(Unit.COST, Period.EVER, 90_000_000_000)),
    ]
    return Question(demands if rng.random() < 0.9 else [], owned if rng.random() < 0.9 else [], [], ask)


async def compare(link: Link, prefix: str, seed: int, steps: int) -> dict[str, int]:
    rng = random.Random(seed)
    scale = rng.choice((300, 10_000, 3_000_000))
    store, machines = Store(link, prefix), Machines()
    now = START + rng.randrange(0, 40 * 86_400 * 64) / 64
    under_way: dict[str, tuple[Charge, Reserved]] = {}
    seen: dict[str, int] = {"yes": 0, "limit": 0, "quota": 0, "settled": 0}
    for step in range(steps):
        now += (
            rng.choice((0, 1, 1, 20, 64, 640, 64 * 60)) / 64
            if rng.random() < 0.97
            else rng.choice((3600, 43_200, 86_400 * 20))
        )
        if under_way and rng.random() < 0.45:
            id_ = rng.choice(list(under_way))
            place, tokens, cost = (
                rng.random() < 0.8,
                rng.choice((None, 0, 3, scale // 20)),
                rng.choice((None, 0, 900_000)),
            )
            machines.settle(under_way.pop(id_), now, place, tokens, cost)
            await store.settle(id_, now, place, tokens, cost)
            seen["settled"] += 1
            continue
        question = question_of(rng, scale)
        expected, found = machines.ask(question, now), await store.ask(question, str(step), now)
        where = f"seed {seed}, step {step}"
        if isinstance(expected, tuple):
            assert isinstance(found, Yes), (where, found)
            shown = standings(expected[0], now - START)
            assert shown.keys() == found.standings.keys(), where
            for meter, standing in shown.items():
                assert found.standings[meter].remaining == standing.remaining, where
                assert found.standings[meter].reset == pytest.approx(standing.reset, abs=2e-6), where
            if question.demands or question.owned:
                under_way[str(step)] = expected
            seen["yes"] += 1
        elif isinstance(expected, Exceeded):
            assert isinstance(found, Limited), (where, found)
            # To the microsecond two limits can be in the way equally long.
            assert (found.exceeded.retry_after is None) == (expected.retry_after is None), where
            if expected.retry_after is not None:
                assert found.exceeded.retry_after == pytest.approx(expected.retry_after, abs=2e-6), where
            assert found.exceeded.demand == expected.demand or expected.retry_after is not None, where
            seen["limit"] += 1
        else:
            assert isinstance(found, OverQuota), (where, found)
            assert found.spent.error("it") == expected.error("it"), where
            seen["quota"] += 1
    for owner, _, quota in question_of(random.Random(1), scale).owned:
        field = str(bounds(quota, now)[0]).encode()
        used = await link.command(b"HGET", store.names.account(owner, quota), field)
        aside = sum(
            amount
            for _, reserved in under_way.values()
            for account, of, begin, amount in reserved.parts
            if of == quota and str(begin).encode() == field
        )
        assert int(used or 0) == machines.accounts.used(owner, quota, now) + aside  # type: ignore[call-overload] # bytes
    return seen


@pytest.mark.parametrize("seed", range(4))
async def test_limits_and_quotas_are_the_machines(redis: RedisServer, seed: int) -> None:
    settings = redis.settings()
    async with linked(settings) as link:
        seen = await compare(link, settings.prefix, seed, 150)
    assert seen["yes"] > 10
    assert seen["settled"] > 5


@pytest.mark.deep
async def test_limits_and_quotas_are_the_machines_for_long(redis: RedisServer) -> None:
    total: dict[str, int] = {}
    for seed in range(100, 160):
        settings = redis.settings()
        async with linked(settings) as link:
            for word, count in (await compare(link, settings.prefix, seed, 400)).items():
                total[word] = total.get(word, 0) + count
    assert min(total.values()) > 500, total
