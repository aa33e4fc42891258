"""One admission as the script wants it, and the script's answer in words that the machines use.

The arithmetic of limits and quotas is in `admit.lua`; that it is the machines' (`routing.rates`, `routing.quota`) is a
test's to say. Here are only what follows from its numbers: waits, standings, errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union

import msgspec

from ferryllm_proto.routing.keys import Ask
from ferryllm_proto.routing.limits import Demand, Exceeded, Meter
from ferryllm_proto.routing.quota import Need, Quota, Spent, Unit
from ferryllm_proto.routing.rates import Standing

from .link import Value
from .names import Names

MICRO = 1_000_000


class Lease(msgspec.Struct, frozen=True):
    """A place among ``most``."""

    scope: str
    most: int


class Question(msgspec.Struct, frozen=True):
    """What a request wants."""

    demands: Sequence[Demand]
    owned: Sequence[tuple[str, str, Quota]]
    """Every quota it meets: owner, the owner's name in errors, quota."""
    leases: Sequence[Lease]
    ask: Ask
    session: bytes | None = None

    @property
    def need(self) -> Need:
        return Need(1, self.ask.tokens, self.ask.cost)

    @property
    def limited(self) -> bool:
        return bool(self.demands or self.owned or self.leases)


class Yes(msgspec.Struct, frozen=True):
    standings: dict[Meter, Standing]
    totals: tuple[int, ...]
    """Of the quotas, with what was set aside now."""
    unix: float
    place: object


class Limited(msgspec.Struct, frozen=True):
    exceeded: Exceeded
    standings: dict[Meter, Standing]


class OverQuota(msgspec.Struct, frozen=True):
    spent: Spent
    whose: str


class Full(msgspec.Struct, frozen=True):
    lease: Lease


class Unknown(msgspec.Struct, frozen=True):
    """What was used of some quotas is not there: they are new, or the server has lost its data."""

    begins: Mapping[int, int]
    """Index of the quota to Unix seconds of its period's beginning."""


Answer = Union[Yes, Limited, OverQuota, Full, Unknown]  # noqa: UP007 - a plain alias


def unpriced(question: Question) -> OverQuota | None:
    """The budget that refuses the request because its cost is unknown, where the key may not do that."""
    if question.ask.cost is not None:
        return None
    for _, whose, quota in question.owned:
        if quota.unit is Unit.COST:
            return OverQuota(Spent(quota, 0, 0, None, None, unpriced=True), whose)
    return None


def written(
    question: Question,
    names: Names,
    id: str,  # noqa: A002
    lease_ms: int,
    record_ms: int,
    restored: Mapping[int, tuple[int, int]] | None,
    now: int | None = None,
) -> tuple[list[Value], list[Value]]:
    """Keys and arguments of the script. ``restored`` is what the ledger knows: index of the quota to amount and
    beginning of the period; None: there is no ledger to ask. ``now``, in microseconds, is for tests."""
    record = names.record(id)
    keys: list[Value] = [record, record if question.session is None else names.place(question.session)]
    arguments: list[Value] = [
        "" if now is None else now,
        id,
        lease_ms,
        record_ms,
        len(question.leases),
        len(question.demands),
        len(question.owned),
    ]
    for lease in question.leases:
        keys.append(names.leases(lease.scope))
        arguments.append(lease.most)
    for demand in question.demands:
        rate = demand.rate
        keys.append(names.bucket(demand.scope, demand.meter))
        arguments += (rate.limit, rate.period, rate.most, demand.cost, 1 if demand.meter is Meter.TOKENS else 0)
    need = question.need
    for index, (owner, _, quota) in enumerate(question.owned):
        amount = need.of(quota.unit)
        keys.append(names.account(owner, quota))
        arguments += (quota.unit._value_, quota.period._value_, quota.offset, quota.limit)
        arguments.append("" if amount is None else amount)
        if restored is None:
            arguments += (0, "")
        elif index in restored:
            arguments += restored[index]
        else:
            arguments += ("", "")
    return keys, arguments


def read(question: Question, found: object) -> Answer:
    """What the script answered."""
    assert isinstance(found, list)
    word, time, place, numbers = found
    return _READERS[word](question, time, place, numbers)


def _yes(question: Question, time: int, place: object, numbers: list[int]) -> Answer:
    count = len(question.demands)
    return Yes(_standings(question.demands, numbers[:count]), tuple(numbers[count:]), time / MICRO, place)


def _limited(question: Question, time: int, place: object, numbers: list[int]) -> Answer:
    return Limited(_exceeded(question.demands, numbers), _standings(question.demands, numbers))


def _over_quota(question: Question, time: int, place: object, numbers: list[int]) -> Answer:
    need, unix = question.need, time / MICRO
    worst: tuple[Spent, str] | None = None
    for index, (_, whose, quota) in enumerate(question.owned):
        total, _, after = numbers[index * 3 : index * 3 + 3]
        amount = need.of(quota.unit)
        room = 1 if amount is None else amount
        if not room or total + room <= quota.limit:
            continue
        frees = after or None
        never = frees is None or (amount or 0) > quota.limit
        secs = None if never or frees is None else max(frees - unix, 0.0)
        if worst is None or _later(secs, worst[0].retry_after):
            worst = Spent(quota, total, amount or 0, frees, secs), whose
    assert worst is not None
    return OverQuota(*worst)


def _full(question: Question, time: int, place: object, numbers: list[int]) -> Answer:
    return Full(question.leases[numbers[0] - 1])


def _unknown(question: Question, time: int, place: object, numbers: list[int]) -> Answer:
    return Unknown({index - 1: begin for index, begin in zip(numbers[::2], numbers[1::2], strict=True)})


_READERS = {b"admitted": _yes, b"limit": _limited, b"quota": _over_quota, b"full": _full, b"ask": _unknown}


def _later(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is None
    return one > other


def _standings(demands: Sequence[Demand], levels: Sequence[int]) -> dict[Meter, Standing]:
    """For each meter the limit with the least left, as `limits.standings` has it."""
    out: dict[Meter, Standing] = {}
    for demand, level in zip(demands, levels, strict=True):
        rate = demand.rate
        each = rate.period * MICRO
        remaining = max((rate.most * each - level) // each, 0)
        known = out.get(demand.meter)
        if known is None or remaining < known.remaining:
            out[demand.meter] = Standing(rate.limit, remaining, -(-level // rate.limit) / MICRO)
    return out


def _exceeded(demands: Sequence[Demand], levels: Sequence[int]) -> Exceeded:
    """The limit that is in the way the longest, as `Limits.exceeded` finds it."""
    worst: Exceeded | None = None
    for demand, level in zip(demands, levels, strict=True):
        rate = demand.rate
        if demand.cost > rate.most:
            return Exceeded(demand, None)
        missing = level - (rate.most - demand.cost) * rate.period * MICRO
        if missing > 0:
            secs = -(-missing // rate.limit) / MICRO
            if worst is None or worst.retry_after is None or secs > worst.retry_after:
                worst = Exceeded(demand, secs)
    assert worst is not None
    return worst
