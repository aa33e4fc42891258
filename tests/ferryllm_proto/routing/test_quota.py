"""Quotas: calendar periods, what is set aside, clocks that jump."""

from __future__ import annotations

import datetime
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.routing.quota import KEPT_PERIODS, Accounts, Need, Period, Quota, Reserved, Spent, Unit, bounds


def at(text: str) -> float:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.timezone.utc).timestamp()


DAILY = Quota(Unit.TOKENS, Period.DAY, 1000)
MONTHLY = Quota(Unit.COST, Period.MONTH, 5_000_000_000)


@pytest.mark.parametrize(
    ("quota", "moment", "first", "after"),
    [
        (DAILY, "2026-11-21T11:00:00", "2026-11-21T00:00:00", "2026-11-22T00:00:00"),
        (DAILY, "2026-11-21T00:00:00", "2026-11-21T00:00:00", "2026-11-22T00:00:00"),
        (Quota(Unit.TOKENS, Period.DAY, 1, 3600), "2026-11-21T23:30:00", "2026-11-21T23:00:00", "2026-11-22T23:00:00"),
        (Quota(Unit.TOKENS, Period.DAY, 1, -3600), "2026-11-21T00:30:00", "2026-11-20T01:00:00", "2026-11-21T01:00:00"),
        (MONTHLY, "2026-11-21T11:00:00", "2026-11-01T00:00:00", "2026-12-01T00:00:00"),
        (MONTHLY, "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        (MONTHLY, "2028-02-29T12:00:00", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
        (Quota(Unit.COST, Period.MONTH, 1, 7200), "2026-11-30T23:00:00", "2026-11-30T22:00:00", "2026-12-31T22:00:00"),
    ],
)
def test_periods_are_those_of_the_calendar(quota: Quota, moment: str, first: str, after: str) -> None:
    assert bounds(quota, at(moment)) == (at(first), at(after))
    assert bounds(quota, at(moment) + 0.5)[0] == at(first)


@given(st.floats(0, 4e9), st.sampled_from([Period.DAY, Period.MONTH]), st.integers(-50_400, 50_400))
def test_every_moment_lies_in_one_period_and_they_follow_each_other(unix: float, period: Period, offset: int) -> None:
    quota = Quota(Unit.TOKENS, period, 1, offset)
    first, after = bounds(quota, unix)
    assert after is not None
    assert first <= unix < after
    assert bounds(quota, after - 1) == (first, after)
    assert bounds(quota, after)[0] == after


def reserve(accounts: Accounts, unix: float, tokens: int, *quotas: Quota) -> Reserved | Spent:
    return accounts.reserve([("me", quota) for quota in quotas], Need(1, tokens, tokens), unix)


def test_what_is_set_aside_counts_until_the_truth_is_known() -> None:
    accounts, now = Accounts(), at("2026-11-21T11:00:00")
    first = reserve(accounts, now, 600, DAILY)
    assert isinstance(first, Reserved)
    assert isinstance(reserve(accounts, now, 500, DAILY), Spent)
    accounts.settle(first, Need(1, 100, 0))
    assert accounts.used("me", DAILY, now) == 100
    second = reserve(accounts, now, 900, DAILY)
    assert isinstance(second, Reserved)
    accounts.cancel(second)
    assert accounts.used("me", DAILY, now) == 100
    third = reserve(accounts, now, 900, DAILY)
    assert isinstance(third, Reserved)
    accounts.settle(third, Need(1, None, None))
    assert accounts.used("me", DAILY, now) == 1000


def test_the_error_tells_what_is_exceeded_and_when_it_frees() -> None:
    accounts, now = Accounts(), at("2026-11-21T11:00:00")
    accounts.restore("me", DAILY, 990, now)
    spent = reserve(accounts, now, 20, DAILY)
    assert isinstance(spent, Spent)
    error = spent.error("this key")
    assert error.kind is ir.ErrorKind.BILLING
    assert error.retry_after == 13 * 3600
    assert error.message == (
        "this key has used up its quota: 990 tokens of 1000 tokens a day are used or set aside, the request may take "
        "20 tokens; it renews at 2026-11-22T00:00:00Z"
    )


def test_budgets_are_told_in_dollars_and_what_never_fits_says_so() -> None:
    accounts, now = Accounts(), at("2026-11-21T11:00:00")
    spent = reserve(accounts, now, 6_000_000_001, MONTHLY)
    assert isinstance(spent, Spent)
    error = spent.error("this key's project")
    assert error.retry_after is None
    assert error.message == (
        "this key's project has used up its budget: $0.00 of $5.00 a month are used or set aside, the request may take "
        "$6.000000001; the request alone may take more than that"
    )
    ever = Quota(Unit.REQUESTS, Period.EVER, 1)
    assert isinstance(reserve(accounts, now, 1, ever), Reserved)
    spent = reserve(accounts, now + 1e9, 1, ever)
    assert isinstance(spent, Spent)
    assert "does not renew itself" in spent.error("this key").message


def test_several_quotas_are_taken_together_or_not_at_all_and_the_last_to_free_is_named() -> None:
    accounts, now = Accounts(), at("2026-11-21T11:00:00")
    month = Quota(Unit.TOKENS, Period.MONTH, 500)
    requests = Quota(Unit.REQUESTS, Period.DAY, 1)
    assert isinstance(reserve(accounts, now, 400, DAILY, month, requests), Reserved)
    spent = reserve(accounts, now, 400, DAILY, requests, month)
    assert isinstance(spent, Spent)
    assert spent.quota is month
    # Nothing of the refused one is set aside in the daily quota.
    assert isinstance(reserve(accounts, now, 600, DAILY), Reserved)


def test_an_unknown_cost_is_no_cost_of_zero() -> None:
    accounts, now = Accounts(), at("2026-11-21T11:00:00")
    need = Need(1, 10, None)
    spent = accounts.reserve([("me", MONTHLY)], need, now)
    assert isinstance(spent, Spent)
    assert "has no price" in spent.error("this key").message
    allowed = accounts.reserve([("me", MONTHLY)], need, now, unpriced=True)
    assert isinstance(allowed, Reserved)
    accounts.restore("me", MONTHLY, MONTHLY.limit, now)
    assert isinstance(accounts.reserve([("me", MONTHLY)], need, now, unpriced=True), Spent)
    # What is known to cost nothing needs no budget.
    assert isinstance(accounts.reserve([("me", MONTHLY)], Need(1, 10, 0), now), Reserved)


def test_a_request_counts_in_the_period_it_began_in() -> None:
    accounts, before = Accounts(), at("2026-11-21T23:59:59")
    begun = reserve(accounts, before, 900, DAILY)
    assert isinstance(begun, Reserved)
    after = before + 2
    assert isinstance(reserve(accounts, after, 1000, DAILY), Reserved)
    accounts.settle(begun, Need(1, 50, 0))
    assert accounts.used("me", DAILY, before) == 50
    assert accounts.used("me", DAILY, after) == 0


def test_a_clock_that_jumps_there_and_back_neither_forgets_nor_locks_out() -> None:
    accounts, now = Accounts(), at("2026-11-21T11:00:00")
    accounts.restore("me", DAILY, 700, now)
    far = at("2099-01-01T00:00:00")
    jumped = reserve(accounts, far, 1000, DAILY)
    assert isinstance(jumped, Reserved)
    assert isinstance(reserve(accounts, now, 301, DAILY), Spent)
    assert isinstance(reserve(accounts, now, 300, DAILY), Reserved)
    accounts.settle(jumped, Need(1, 1000, 0))
    assert accounts.used("me", DAILY, now) == 700


def test_periods_long_past_are_forgotten_but_for_what_is_set_aside() -> None:
    accounts, now = Accounts(), at("2026-11-21T11:00:00")
    accounts.restore("me", DAILY, 1, now)
    begun = reserve(accounts, now + 86_400, 900, DAILY)
    assert isinstance(begun, Reserved)
    for day in range(2, 40):
        found = reserve(accounts, now + day * 86_400, 10, DAILY)
        assert isinstance(found, Reserved)
        accounts.settle(found, Need(1, 10, 0))
    assert accounts.used("me", DAILY, now) == 0
    assert isinstance(reserve(accounts, now + 86_400, 200, DAILY), Spent)
    (account,) = {id(part[0]): part[0] for part in begun.parts}.values()
    assert len(account._periods) == KEPT_PERIODS
    accounts.settle(begun, Need(1, 5, 0))
    assert accounts.used("me", DAILY, now + 86_400) == 5


def test_a_quota_that_is_raised_goes_on_with_what_was_used() -> None:
    accounts, now = Accounts(), at("2026-11-21T11:00:00")
    accounts.restore("me", DAILY, 1000, now)
    raised = Quota(Unit.TOKENS, Period.DAY, 1500)
    assert isinstance(reserve(accounts, now, 501, raised), Spent)
    assert isinstance(reserve(accounts, now, 500, raised), Reserved)
    accounts.keep({"you": None})
    assert accounts.used("me", DAILY, now) == 0


@given(st.integers(0, 2**32))
def test_what_is_used_never_passes_the_limit_and_what_is_left_is_never_negative(seed: int) -> None:
    chance = random.Random(seed)
    accounts = Accounts()
    quota = Quota(Unit.TOKENS, chance.choice([Period.DAY, Period.MONTH]), chance.randint(1, 2000), 3600)
    unix = at("2026-11-30T20:00:00")
    under_way: list[tuple[Reserved, int, float]] = []
    truth: dict[int, int] = {}
    for _ in range(200):
        unix += chance.choice((0.0, 60.0, 7200.0, -3600.0, 80_000.0, -80_000.0))
        if under_way and chance.random() < 0.5:
            reserved, amount, began = under_way.pop(chance.randrange(len(under_way)))
            took = chance.randint(0, amount)
            accounts.settle(reserved, Need(1, took, None))
            first = bounds(quota, began)[0]
            truth[first] = truth.get(first, 0) + took
            continue
        amount = chance.randint(0, 700)
        found = accounts.reserve([("me", quota)], Need(1, amount, None), unix)
        if isinstance(found, Reserved):
            under_way.append((found, amount, unix))
        used = accounts.used("me", quota, unix)
        assert 0 <= used <= quota.limit
        waiting = sum(a for _, a, began in under_way if bounds(quota, began)[0] == bounds(quota, unix)[0])
        assert waiting <= quota.limit
