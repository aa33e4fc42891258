"""What a key or a project may take, under the names that the configuration, the command line and the admin API share.

One flat Struct for whoever writes bounds down; `limits` and `quotas` make of it what the machines count with. Dollars
are nano-dollars here, in whole numbers: what people write is read by `nanos`, and `dollars` writes it for them.
"""

from __future__ import annotations

import decimal
import functools
from collections.abc import Mapping

import msgspec

from ferryllm_proto.routing.keys import KeyLimits
from ferryllm_proto.routing.quota import Period, Quota, Unit

MAX_NUMBER = (1 << 63) - 1
"""What a column of the stores holds; 9.2 thousand million dollars."""


MAX_SHARED = 4096
"""Different bounds whose limits and quotas all keys with them share in memory."""


class Bounds(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """None is no bound. Costs are nano-dollars; days and months are those of UTC."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_concurrency: int | None = None
    daily_requests: int | None = None
    daily_tokens: int | None = None
    daily_cost: int | None = None
    monthly_requests: int | None = None
    monthly_tokens: int | None = None
    monthly_cost: int | None = None
    total_requests: int | None = None
    total_tokens: int | None = None
    total_cost: int | None = None


NO_BOUNDS = Bounds()

RATES = ("requests_per_minute", "tokens_per_minute", "max_concurrency")
QUOTAS: dict[str, tuple[Unit, Period]] = {
    f"{word}_{unit.value}": (unit, period)
    for word, period in (("daily", Period.DAY), ("monthly", Period.MONTH), ("total", Period.EVER))
    for unit in Unit
}
"""The names of quotas and budgets, and what each bounds."""
NAMES = (*RATES, *QUOTAS)


class BoundFault(ValueError):
    """A bound that is none. ``name`` is which, the message what was found and what was expected."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def is_cost(name: str) -> bool:
    return name.endswith("_cost")


@functools.lru_cache(MAX_SHARED)
def limits(bounds: Bounds) -> KeyLimits:
    """The limits in a time and at one time."""
    return KeyLimits(bounds.requests_per_minute, bounds.tokens_per_minute, bounds.max_concurrency)


@functools.lru_cache(MAX_SHARED)
def quotas(bounds: Bounds) -> tuple[Quota, ...]:
    """The quotas and budgets."""
    found = ((kind, getattr(bounds, name)) for name, kind in QUOTAS.items())
    return tuple(Quota(unit, period, most) for (unit, period), most in found if most is not None)


def changed(bounds: Bounds, given: Mapping[str, object]) -> Bounds:
    """``bounds`` with those of ``given`` in their place: whole numbers, costs in dollars, None for no bound any more.

    Raises `BoundFault`.
    """
    return msgspec.structs.replace(bounds, **{name: read(name, value) for name, value in given.items()})


def read(name: str, value: object) -> int | None:
    """One bound as a person or a program wrote it. Raises `BoundFault`."""
    if name not in NAMES:
        raise BoundFault(name, "no such limit or quota")
    if value is None:
        return None
    if is_cost(name):
        return nanos(name, value)
    least = 1 if name in RATES else 0
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= MAX_NUMBER:
        raise BoundFault(name, f"expected a whole number from {least} on, or none")
    return value


def nanos(name: str, value: object) -> int:
    """Dollars as nano-dollars, exactly; a text may begin with ``$``. Raises `BoundFault`."""
    wrong = BoundFault(name, "expected dollars, as in 12.50, with at most nine decimals")
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise wrong
    try:
        # The shortest text of a float is what its writer wrote.
        amount = decimal.Decimal(str(value).strip().removeprefix("$")).scaleb(9)
    except decimal.InvalidOperation:
        raise wrong from None
    if not amount.is_finite() or not 0 <= amount <= MAX_NUMBER or amount != amount.to_integral_value():
        raise wrong
    return int(amount)


def dollars(amount: int) -> str:
    """Nano-dollars for people: ``12.50``, and as many decimals as it has beyond these."""
    whole, part = divmod(amount, 1_000_000_000)
    decimals = f"{part:09d}".rstrip("0").ljust(2, "0")
    return f"{whole}.{decimals}"


def as_given(bounds: Bounds) -> dict[str, int | float]:
    """The bounds that there are, as `changed` takes them: for JSON."""
    found = {name: getattr(bounds, name) for name in NAMES}
    return {name: float(dollars(most)) if is_cost(name) else most for name, most in found.items() if most is not None}
