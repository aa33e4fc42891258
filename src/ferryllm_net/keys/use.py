"""What keys and projects have used of their quotas and budgets, out of the ledger: for whoever lists them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from ferryllm_proto.routing.quota import Period, Quota, Unit
from ferryllm_proto.routing.quota import bounds as span_of

from .bounds import QUOTAS, Bounds, as_given, is_cost
from .views import amount_text, bound_text


class Used(Protocol):
    """As `ferryllm_net.ledger.Used`."""

    @property
    def requests(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    @property
    def cost(self) -> int: ...


class Source(Protocol):
    """What is needed of a ledger."""

    async def used_by_all(self, since: float) -> Mapping[str, Used]:
        """What every owner has used since then."""


Uses = Mapping[Period, Mapping[str, Used]]
"""By period, then by owner: ``key/ID``, ``project/NAME``."""


async def read_uses(ledger: Source, wanted: Iterable[Bounds], unix: float) -> Uses:
    """What was used in the periods that ``wanted`` has quotas for; one question to ``ledger`` for each. Raises
    `LedgerError`."""
    periods = {kind[1] for bounds in wanted for name, kind in QUOTAS.items() if getattr(bounds, name) is not None}
    return {
        period: await ledger.used_by_all(span_of(Quota(Unit.REQUESTS, period, 0), unix)[0])
        for period in sorted(periods, key=lambda period: period.value)
    }


def used_of(uses: Uses, owner: str, bounds: Bounds) -> Bounds:
    """What ``owner`` has used, for each quota that ``bounds`` has."""
    found: dict[str, int] = {}
    for name, (unit, period) in QUOTAS.items():
        if getattr(bounds, name) is not None and period in uses:
            used = uses[period].get(owner)
            found[name] = 0 if used is None else int(getattr(used, unit.value))
    return Bounds(**found)


def used_view(used: Bounds) -> dict[str, int | float]:
    """``used`` as JSON, in the names of the limits."""
    return as_given(used)


def used_text(used: Bounds, bounds: Bounds) -> str:
    """In one line: ``$1.20 of $5.00 a day``; "" for none."""
    lines = []
    for name in QUOTAS:
        most, amount = getattr(bounds, name), getattr(used, name)
        if most is not None and amount is not None:
            lines.append(f"{amount_text(amount, cost=is_cost(name))} of {bound_text(name, most)}")
    return ", ".join(lines)
