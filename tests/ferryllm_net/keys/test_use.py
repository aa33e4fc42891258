"""What was used of quotas, out of the ledger."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from ferryllm_net.keys.bounds import NO_BOUNDS, Bounds
from ferryllm_net.keys.use import read_uses, used_of, used_text, used_view
from ferryllm_net.ledger import Used

NOON = 1_800_014_400.0
TODAY, MONTH = 1_799_971_200.0, 1_798_761_600.0


class FakeLedger(NamedTuple):
    asked: list[float]

    async def used_by_all(self, since: float) -> dict[str, Used]:
        self.asked.append(since)
        return {"key/a": Used(1, 20, 300_000_000)} if since else {}


@pytest.mark.anyio
async def test_each_period_is_asked_once_and_only_where_a_quota_has_it() -> None:
    ledger = FakeLedger([])
    uses = await read_uses(ledger, [Bounds(daily_cost=5, daily_tokens=9), Bounds(monthly_requests=2), NO_BOUNDS], NOON)
    assert ledger.asked == [TODAY, MONTH]
    assert used_of(uses, "key/a", Bounds(60, daily_cost=5, monthly_requests=2)) == Bounds(
        daily_cost=300_000_000, monthly_requests=1
    )
    assert used_of(uses, "key/b", Bounds(daily_tokens=9, total_tokens=5)) == Bounds(daily_tokens=0)
    assert await read_uses(ledger, [NO_BOUNDS], NOON) == {}


def test_what_was_used_is_shown_beside_what_may_be() -> None:
    bounds = Bounds(60, daily_cost=5_000_000_000, monthly_tokens=2000)
    used = Bounds(daily_cost=1_234_567_891, monthly_tokens=1500)
    assert used_text(used, bounds) == "$1.2345 of $5.00 a day, 1,500 of 2,000 tokens a month"
    assert used_text(NO_BOUNDS, bounds) == ""
    assert used_view(used) == {"daily_cost": 1.234567891, "monthly_tokens": 1500}
