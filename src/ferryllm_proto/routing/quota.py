"""Quotas and budgets: how much of something in a day or a month of the calendar.

What a request may take is reserved when it is admitted and replaced by what it took at its end, in the period it began
in. The ledger is the truth; here is what has to be known before a request may begin, and `Accounts.restore` takes it
from there after a start.
"""

from __future__ import annotations

import datetime
import enum
import math
from collections.abc import Mapping, Sequence

import msgspec

from .. import ir
from .limits import date

_UTC = datetime.timezone.utc


class Unit(enum.Enum):
    REQUESTS = "requests"
    TOKENS = "tokens"
    COST = "cost"
    """Nano-dollars."""


class Period(enum.Enum):
    DAY = "day"
    MONTH = "month"
    EVER = "ever"
    """No end: what a key may take in all."""


class Quota(msgspec.Struct, frozen=True, gc=False):
    unit: Unit
    period: Period
    limit: int
    """At most so much in each period."""
    offset: int = 0
    """Seconds that the boundaries lie before those of UTC: 3600 for days that begin at midnight in UTC+1."""


def bounds(quota: Quota, unix: float) -> tuple[int, int | None]:
    """Unix seconds of the first moment of the period ``unix`` lies in, and of the one after it; None: there is none."""
    if quota.period is Period.EVER:
        return 0, None
    local = math.floor(unix) + quota.offset
    if quota.period is Period.DAY:
        first = local - local % 86_400
        return first - quota.offset, first + 86_400 - quota.offset
    day = datetime.datetime.fromtimestamp(local, _UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = day.replace(year=day.year + 1, month=1) if day.month == 12 else day.replace(month=day.month + 1)
    return int(day.timestamp()) - quota.offset, int(after.timestamp()) - quota.offset


class Need(msgspec.Struct, frozen=True):
    """What a request may take; None is unknown."""

    requests: int = 1
    tokens: int | None = None
    cost: int | None = None

    def of(self, unit: Unit) -> int | None:
        if unit is Unit.REQUESTS:
            return self.requests
        return self.tokens if unit is Unit.TOKENS else self.cost


class Reserved(msgspec.Struct, frozen=True):
    """What was set aside. Give it to `Accounts.settle`, once."""

    parts: tuple[tuple[Account, Quota, int, int], ...]
    """Account, quota, beginning of the period, amount."""


class Spent(msgspec.Struct, frozen=True):
    """The quota that has no room for a request."""

    quota: Quota
    used: int
    """With what is set aside for requests under way."""
    wanted: int
    frees: int | None
    """Unix seconds; None is never."""
    retry_after: float | None
    """Seconds; None is never, or nobody knows."""
    unpriced: bool = False
    """What it would cost is unknown, and the key may only make requests whose cost is known."""

    def error(self, whose: str) -> ir.Error:
        """In words that help; ``whose`` is as in ``this key``."""
        quota = self.quota
        if self.unpriced:
            return ir.Error(
                ir.ErrorKind.BILLING,
                f"{whose} has a budget, and this model has no price here: its price has to be configured",
                code="insufficient_quota",
            )
        what = "budget" if quota.unit is Unit.COST else "quota"
        span = "" if quota.period is Period.EVER else f" a {quota.period.value}"
        used = f"{_amount(quota.unit, self.used)} of {_amount(quota.unit, quota.limit)}{span} are used or set aside"
        if self.wanted > quota.limit:
            frees = "the request alone may take more than that"
        else:
            frees = "it does not renew itself" if self.frees is None else f"it renews at {date(self.frees)}"
        return ir.Error(
            ir.ErrorKind.BILLING,
            f"{whose} has used up its {what}: {used}, the request may take {_amount(quota.unit, self.wanted)}; {frees}",
            code="insufficient_quota",
            retry_after=self.retry_after,
        )


def _amount(unit: Unit, number: int) -> str:
    if unit is not Unit.COST:
        return f"{number} {unit.value}"
    dollars, nanos = divmod(number, 1_000_000_000)
    return f"${dollars}.{nanos:09d}"[: -7 if nanos % 10_000_000 == 0 else None]


KEPT_PERIODS = 8
"""Periods of one quota that are remembered: this one, the last one whose requests still run, and those that a clock
which jumps there and back passes through."""


class Account:
    """What one owner has used of one quota, by period."""

    __slots__ = ("_periods",)

    def __init__(self) -> None:
        self._periods: dict[int, list[int]] = {}
        """Beginning to what is used and what is set aside."""

    def total(self, begin: int) -> int:
        """Used and set aside."""
        return sum(self._periods.get(begin, (0, 0)))

    def used(self, begin: int) -> int:
        return self._periods.get(begin, [0, 0])[0]

    def reserve(self, begin: int, amount: int) -> None:
        self._of(begin)[1] += amount

    def settle(self, begin: int, reserved: int, used: int) -> None:
        period = self._periods.get(begin)
        if period is not None:  # else it is so long ago that nobody counts it any more
            period[1] = max(period[1] - reserved, 0)
            period[0] += used

    def restore(self, begin: int, used: int) -> None:
        """What the ledger says; what is set aside stays."""
        self._of(begin)[0] = used

    def _of(self, begin: int) -> list[int]:
        period = self._periods.pop(begin, None) or [0, 0]
        self._periods[begin] = period
        if len(self._periods) > KEPT_PERIODS:
            # The one used longest ago, not the oldest: after a jump of the clock they differ. What is set aside is of
            # requests under way, so these end.
            idle = next((at for at, (_, aside) in self._periods.items() if not aside and at != begin), None)
            if idle is not None:
                del self._periods[idle]
        return period


class Accounts:
    """The accounts of all owners. ``unix`` is Unix seconds; the clock may jump."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, Unit, Period, int], Account] = {}
        """By owner and kind of quota: owners are keys and projects of the configuration, so there is an end to them."""

    def reserve(
        self, owned: Sequence[tuple[str, Quota]], need: Need, unix: float, *, unpriced: bool = False
    ) -> Reserved | Spent:
        """Set ``need`` aside in all quotas, or in none. ``owned`` are quotas and whose they are.

        ``unpriced``: a cost that is unknown is let through and counts nothing; otherwise it is refused where there is
        a budget.
        """
        parts: list[tuple[Account, Quota, int, int]] = []
        worst: Spent | None = None
        for owner, quota in owned:
            amount = need.of(quota.unit)
            begin, after = bounds(quota, unix)
            if amount is None:
                if quota.unit is Unit.COST and not unpriced:
                    return Spent(quota, 0, 0, None, None, unpriced=True)
                amount = 0
            account = self._account(owner, quota)
            total = account.total(begin)
            # What is unknown needs at least some room; what is known to take nothing needs none.
            room = 1 if need.of(quota.unit) is None else amount
            if room and total + room > quota.limit:
                never = after is None or amount > quota.limit
                secs = None if never or after is None else max(after - unix, 0.0)
                found = Spent(quota, total, amount, after, secs)
                if worst is None or _later(found, worst):
                    worst = found
            parts.append((account, quota, begin, amount))
        if worst is not None:
            return worst
        for account, _, begin, amount in parts:
            account.reserve(begin, amount)
        return Reserved(tuple(parts))

    def settle(self, reserved: Reserved, took: Need) -> None:
        """Replace what was set aside by what was taken; where that is unknown, what was set aside counts as taken."""
        for account, quota, begin, amount in reserved.parts:
            used = took.of(quota.unit)
            account.settle(begin, amount, amount if used is None else used)

    def cancel(self, reserved: Reserved) -> None:
        """The request did not take place."""
        for account, _, begin, amount in reserved.parts:
            account.settle(begin, amount, 0)

    def restore(self, owner: str, quota: Quota, used: int, unix: float) -> None:
        """Begin with what the ledger knows of the period that ``unix`` lies in."""
        self._account(owner, quota).restore(bounds(quota, unix)[0], used)

    def used(self, owner: str, quota: Quota, unix: float) -> int:
        """What is used, without what is set aside."""
        account = self._accounts.get((owner, quota.unit, quota.period, quota.offset))
        return 0 if account is None else account.used(bounds(quota, unix)[0])

    def keep(self, owners: Mapping[str, object]) -> None:
        """Forget everybody else: the keys were read anew."""
        for name in [name for name in self._accounts if name[0] not in owners]:
            del self._accounts[name]

    def _account(self, owner: str, quota: Quota) -> Account:
        # Without the limit: a quota that is raised goes on with what was used.
        return self._accounts.setdefault((owner, quota.unit, quota.period, quota.offset), Account())


def _later(one: Spent, other: Spent) -> bool:
    if one.retry_after is None or other.retry_after is None:
        return one.retry_after is None
    return one.retry_after > other.retry_after
