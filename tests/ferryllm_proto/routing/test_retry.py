"""Retries: the next step after every failure, how long it waits, and what all of them may cost together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.routing.retry import (
    BudgetRules,
    Failure,
    Fault,
    Left,
    Next,
    Retry,
    RetryBudget,
    RetryRules,
    retry_after,
)

RULES = RetryRules(retries=2, jitter=0.0)


def step(failure: Failure, left: Left, *, begun: int = 1, rules: RetryRules = RULES) -> tuple[Next, float, str]:
    retry = Retry(rules)
    for _ in range(begun):
        retry.begin()
    found = retry.after(failure, left, 100.0, 0.0)
    return found.next, found.wait, found.reason


ALONE, OTHERS = Left(), Left(others=True)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
@pytest.mark.parametrize("left", [ALONE, OTHERS])
def test_statuses_that_may_mend_are_tried_again_in_place(status: int, left: Left) -> None:
    assert step(Failure(Fault.STATUS, status), left)[:2] == (Next.SAME, 0.1)


@pytest.mark.parametrize("status", [400, 402, 404, 405, 409, 413, 415, 422, 301, 501])
@pytest.mark.parametrize("left", [ALONE, OTHERS])
def test_other_statuses_end_it(status: int, left: Left) -> None:
    assert step(Failure(Fault.STATUS, status), left)[0] is Next.GIVE_UP


@pytest.mark.parametrize(
    ("failure", "left", "begun", "expected"),
    [
        (Failure(Fault.TRANSPORT), ALONE, 1, Next.SAME),
        (Failure(Fault.TIMEOUT), ALONE, 1, Next.SAME),
        (Failure(Fault.TRANSPORT), OTHERS, 3, Next.OTHER),
        (Failure(Fault.TRANSPORT), ALONE, 3, Next.GIVE_UP),
        (Failure(Fault.KEY, 401), ALONE, 1, Next.GIVE_UP),
        (Failure(Fault.KEY, 403), OTHERS, 1, Next.OTHER),
        (Failure(Fault.BLOCKED), ALONE, 1, Next.GIVE_UP),
        (Failure(Fault.BLOCKED), OTHERS, 1, Next.OTHER),
        (Failure(Fault.CONTEXT, 400), OTHERS, 1, Next.GIVE_UP),
        (Failure(Fault.CONTEXT, 400), Left(others=True, larger=True), 1, Next.OTHER),
        (Failure(Fault.STATUS, 500), Left(others=True, begun=True), 1, Next.GIVE_UP),
        (Failure(Fault.KEY, 401), Left(others=True, begun=True), 1, Next.GIVE_UP),
        (Failure(Fault.STATUS, 500), OTHERS, 8, Next.GIVE_UP),
        (Failure(Fault.STATUS, 500), Left(until=100.05), 1, Next.GIVE_UP),
        (Failure(Fault.STATUS, 500), Left(others=True, until=100.05), 1, Next.OTHER),
        (Failure(Fault.STATUS, 500), Left(until=101.0), 1, Next.SAME),
    ],
)
def test_the_step_follows_the_fault_and_what_is_left(failure: Failure, left: Left, begun: int, expected: Next) -> None:
    found, wait, reason = step(failure, left, begun=begun)
    assert found is expected
    assert reason
    assert wait == 0 or found is Next.SAME


def test_a_wait_that_was_asked_for_is_kept_unless_another_has_room_now() -> None:
    busy = Failure(Fault.STATUS, 429, retry_after=3.0)
    assert step(busy, ALONE)[:2] == (Next.SAME, 3.0)
    assert step(busy, OTHERS)[:2] == (Next.OTHER, 0.0)
    long = Failure(Fault.STATUS, 503, retry_after=300.0)
    assert step(long, ALONE)[0] is Next.GIVE_UP
    assert "300 s" in step(long, ALONE)[2]
    assert step(long, OTHERS)[0] is Next.OTHER
    at_once = Failure(Fault.STATUS, 529, retry_after=0.0)
    assert step(at_once, OTHERS)[:2] == (Next.SAME, 0.1)


@given(st.floats(0, 20), st.floats(0, 1, exclude_max=True))
def test_nobody_comes_back_before_the_time_asked_for(asked: float, chance: float) -> None:
    retry = Retry(RetryRules(retries=1))
    retry.begin()
    found = retry.after(Failure(Fault.STATUS, 429, retry_after=asked), ALONE, 0.0, chance)
    assert found.next is Next.SAME
    assert asked <= found.wait <= max(asked + 1.0, 0.1)


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_backoff_doubles_within_its_bound_and_chance_only_shortens_it(n: int, chance: float, jitter: float) -> None:
    retry = Retry(RetryRules(jitter=jitter))
    whole = min(0.1 * 2.0 ** (n - 1), 10.0)
    assert whole * (1 - jitter) - 1e-9 <= retry.backoff(n, chance) <= whole + 1e-9


def test_another_target_has_its_own_attempts() -> None:
    retry = Retry(RULES)
    steps = []
    for _ in range(6):
        retry.begin()
        steps.append(retry.after(Failure(Fault.TRANSPORT), OTHERS, 0.0, 0.0).next)
    assert steps == [Next.SAME, Next.SAME, Next.OTHER] * 2
    assert retry.attempts == 6


def test_an_empty_budget_sends_to_others_and_never_holds_them_back() -> None:
    budget = RetryBudget(BudgetRules(percent=0, floor=1, per_minute=0))
    for expected, left in ((Next.SAME, OTHERS), (Next.OTHER, OTHERS), (Next.GIVE_UP, ALONE)):
        retry = Retry(RULES, budget)
        retry.begin()
        found = retry.after(Failure(Fault.STATUS, 500), left, 0.0, 0.0)
        assert found.next is expected
    assert "budget" in found.reason


@given(
    st.integers(0, 100),
    st.integers(1, 20),
    st.integers(0, 120),
    st.lists(st.tuples(st.floats(0, 30), st.booleans()), max_size=60),
)
def test_further_attempts_never_exceed_what_was_saved_earned_and_given(
    percent: int, floor: int, per_minute: int, happenings: list[tuple[float, bool]]
) -> None:
    budget = RetryBudget(BudgetRules(percent, floor, per_minute))
    now, requests, retries = 0.0, 0, 0
    budget.request()
    for pause, is_request in happenings:
        now += pause
        if is_request:
            requests += 1
            budget.request()
        else:
            retries += budget.take(now)
    assert retries <= floor + requests * percent / 100 + now * per_minute / 60 + 1e-6


def test_however_many_requests_go_well_no_more_than_the_floor_is_saved() -> None:
    budget = RetryBudget(BudgetRules(percent=20, floor=3, per_minute=60))
    for _ in range(1000):
        budget.request()
    assert [budget.take(0.0) for _ in range(5)] == [True, True, True, False, False]


def test_a_clock_that_goes_back_gives_the_budget_nothing() -> None:
    budget = RetryBudget(BudgetRules(percent=0, floor=1, per_minute=60))
    budget.request()
    assert budget.take(100.0)
    assert not budget.take(50.0)
    assert not budget.take(50.5)
    assert budget.take(51.0)


NOV_21 = 1_795_258_800.0


@pytest.mark.parametrize(
    ("headers", "secs"),
    [
        ([("Retry-After", "7")], 7.0),
        ([("retry-after-ms", "250"), ("retry-after", "7")], 0.25),
        ([("Retry-After", "Sat, 21 Nov 2026 11:00:30 GMT")], 30.0),
        ([("Retry-After", "Sat, 21 Nov 2026 10:00:00 GMT")], 0.0),
        ([("Retry-After", "Sat, 21 Nov 2026 11:00:60 GMT")], 59.0),
        ([("Retry-After", "Sat, 31 Feb 2026 11:00:00 GMT")], None),
        ([("Retry-After", "Sat, 21 Foo 2026 11:00:00 GMT")], None),
        ([("Retry-After", "soon")], None),
        ([("Retry-After", "-5")], None),
        ([], None),
    ],
)
def test_rfc9110_waits_are_seconds_or_a_date(headers: list[tuple[str, str]], secs: float | None) -> None:
    assert retry_after(headers, NOV_21) == secs
