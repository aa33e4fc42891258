"""Bounds: what people write, exactly as it is counted."""

from __future__ import annotations

import pytest

from ferryllm_net.keys.bounds import (
    MAX_NUMBER,
    NAMES,
    NO_BOUNDS,
    QUOTAS,
    RATES,
    BoundFault,
    Bounds,
    as_given,
    changed,
    dollars,
    limits,
    nanos,
    quotas,
    read,
)
from ferryllm_proto.routing.keys import KeyLimits
from ferryllm_proto.routing.quota import Period, Quota, Unit


def test_every_name_is_a_field_and_every_quota_is_one_of_unit_and_period() -> None:
    assert set(NAMES) == set(Bounds.__struct_fields__)
    assert len(QUOTAS) == len(Unit) * len(Period)
    assert NAMES[:3] == RATES


def test_bounds_become_what_the_machines_count_with() -> None:
    bounds = changed(NO_BOUNDS, {"requests_per_minute": 60, "max_concurrency": 4, "daily_cost": 2.5, "total_tokens": 0})
    assert limits(bounds) == KeyLimits(60, None, 4)
    assert quotas(bounds) == (Quota(Unit.COST, Period.DAY, 2_500_000_000), Quota(Unit.TOKENS, Period.EVER, 0))
    assert quotas(NO_BOUNDS) == ()


def test_a_change_leaves_what_it_does_not_name_and_none_takes_away() -> None:
    before = Bounds(requests_per_minute=1, daily_tokens=2)
    assert changed(before, {"daily_tokens": None, "daily_cost": "$1"}) == Bounds(
        requests_per_minute=1, daily_cost=1_000_000_000
    )


@pytest.mark.parametrize(
    ("written", "amount"),
    [(0, 0), (0.1, 100_000_000), ("$2.50", 2_500_000_000), ("0.000000001", 1), (1e-9, 1), (" 7 ", 7_000_000_000)],
)
def test_dollars_are_read_exactly(written: object, amount: int) -> None:
    assert nanos("daily_cost", written) == amount


@pytest.mark.parametrize("written", [-1, "x", "", True, None, "1e-10", 1e-10, float("nan"), "inf", 1e30, [1]])
def test_what_are_no_dollars_is_refused(written: object) -> None:
    with pytest.raises(BoundFault, match="expected dollars") as caught:
        nanos("daily_cost", written)
    assert caught.value.name == "daily_cost"


@pytest.mark.parametrize("written", [0, -1, 1.5, "60", True, MAX_NUMBER + 1])
def test_what_is_no_rate_is_refused(written: object) -> None:
    with pytest.raises(BoundFault, match="whole number from 1 on"):
        read("requests_per_minute", written)


def test_a_quota_of_nothing_is_one_and_an_unknown_name_is_none() -> None:
    assert read("daily_tokens", 0) == 0
    with pytest.raises(BoundFault, match="no such"):
        read("hourly_tokens", 1)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00"), (1, "0.000000001"), (2_500_000_000, "2.50"), (10_000_000_000, "10.00"), (1_230_400_000, "1.2304")],
)
def test_dollars_are_written_for_people_and_read_back(amount: int, text: str) -> None:
    assert dollars(amount) == text
    assert nanos("daily_cost", text) == amount


def test_what_is_given_comes_back_as_it_was_given() -> None:
    given = {"requests_per_minute": 60, "daily_cost": 2.5, "monthly_requests": 0}
    assert as_given(changed(NO_BOUNDS, given)) == given
    assert as_given(NO_BOUNDS) == {}
