"""GCRA: never more than the burst and what has drained, in any interval, to the last one."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.routing.rates import Bucket, Rate, Standing, Taken


def take(bucket: Bucket, cost: int, now: float) -> bool:
    if bucket.wait(cost, now) != 0.0:
        return False
    bucket.take(cost, now)
    return True


RATES = st.builds(Rate, st.integers(1, 100), st.sampled_from([1, 7, 60, 3600]), st.none() | st.integers(1, 50))
EVENTS = st.lists(st.tuples(st.integers(0, 20_000_000_000), st.integers(1, 20)), max_size=80)


@given(RATES, EVENTS)
def test_no_interval_holds_more_than_burst_and_rate_allow(rate: Rate, events: list[tuple[int, int]]) -> None:
    bucket = Bucket(rate)
    nanos = 0
    admitted: list[tuple[int, int]] = []
    for pause, cost in events:
        nanos += pause
        now = nanos / 1e9
        if take(bucket, cost, now):
            admitted.append((int(now * 1e9), cost))
    for first in range(len(admitted)):
        total = 0
        for at, cost in admitted[first:]:
            total += cost
            allowed = rate.most + Fraction((at - admitted[first][0]) * rate.limit, rate.period * 10**9)
            assert total <= allowed


@given(RATES, EVENTS)
def test_it_admits_all_that_a_leaky_bucket_in_exact_arithmetic_admits(
    rate: Rate, events: list[tuple[int, int]]
) -> None:
    bucket = Bucket(rate)
    level, last, nanos = Fraction(0), 0, 0
    for pause, cost in events:
        nanos += pause
        at = int(nanos / 1e9 * 1e9)
        level = max(level - Fraction((at - last) * rate.limit, rate.period * 10**9), Fraction(0))
        last = at
        fits = level + cost <= rate.most
        assert take(bucket, cost, nanos / 1e9) is fits
        if fits:
            level += cost


@given(RATES, EVENTS)
def test_who_waits_as_long_as_told_is_admitted_and_a_moment_before_is_not(
    rate: Rate, events: list[tuple[int, int]]
) -> None:
    bucket = Bucket(rate)
    now = 0.0
    for pause, cost in events:
        now += pause / 1e9
        secs = bucket.wait(cost, now)
        if secs is None:
            assert cost > rate.most
        elif secs == 0:
            bucket.take(cost, now)
        else:
            if secs > 1e-5:
                assert bucket.wait(cost, now + secs - 1e-5) != 0.0
            now += secs + 1e-6
            assert bucket.wait(cost, now) == 0.0


@given(RATES, st.integers(0, 2**32))
def test_corrections_at_the_end_never_let_through_more_than_was_truly_taken_allows(rate: Rate, seed: int) -> None:
    chance = random.Random(seed)
    bucket = Bucket(rate)
    under_way: list[tuple[Taken, int]] = []
    # What was truly taken, charged when it began, in exact arithmetic.
    level, last, now = Fraction(0), 0, 0.0
    for _ in range(120):
        now += chance.choice((0.0, 0.01, 0.5, 3.0, 20.0))
        if under_way and chance.random() < 0.5:
            taken, truth = under_way.pop(chance.randrange(len(under_way)))
            bucket.settle(taken, truth, now)
            continue
        cost = chance.randint(1, rate.most)
        if bucket.wait(cost, now) == 0.0:
            truth = chance.randint(0, cost)
            under_way.append((bucket.take(cost, now), truth))
            at = int(now * 1e9)
            level = max(level - Fraction((at - last) * rate.limit, rate.period * 10**9), Fraction(0)) + truth
            last = at
            assert level <= rate.most


def test_what_was_not_taken_is_given_back_at_once_and_more_is_owed() -> None:
    bucket = Bucket(Rate(100))
    taken = bucket.take(100, 0.0)
    assert bucket.wait(50, 0.0) == 30.0
    bucket.settle(taken, 10, 0.0)
    assert bucket.standing(0.0) == Standing(100, 90, 6.0)
    taken = bucket.take(90, 0.0)
    bucket.settle(taken, 190, 0.0)
    assert bucket.wait(1, 0.0) == pytest.approx(60.6)
    assert bucket.standing(0.0).remaining == 0


def test_what_has_drained_is_not_given_back_a_second_time() -> None:
    bucket = Bucket(Rate(100))
    first = bucket.take(100, 0.0)
    second = bucket.take(10, 59.4)
    bucket.settle(first, 0, 60.0)
    assert bucket.standing(60.0).remaining == 90
    bucket.settle(second, 0, 60.0)
    assert bucket.standing(60.0).remaining == 100
    assert bucket.idle(60.0)


def test_what_was_given_back_before_moves_the_rest_forward() -> None:
    bucket = Bucket(Rate(60, burst=200))
    first, second = bucket.take(100, 0.0), bucket.take(100, 0.0)
    bucket.settle(first, 0, 50.0)  # fifty have drained, fifty come back
    bucket.take(100, 130.0)
    bucket.settle(second, 0, 140.0)  # it would have drained at 150, no longer at 200
    # In truth there are ninety of the third in it, and to say less would let too much through.
    assert bucket.standing(140.0).remaining == 100
    assert 200 - bucket.standing(140.0).remaining >= 90


def test_more_than_the_burst_is_never_possible() -> None:
    assert Bucket(Rate(60, burst=5)).wait(6, 0.0) is None
    assert Bucket(Rate(60, burst=5)).wait(5, 0.0) == 0.0


def test_a_clock_that_jumps_back_keeps_what_is_in_the_bucket_and_goes_on() -> None:
    bucket = Bucket(Rate(60))
    taken = bucket.take(60, 1000.0)
    assert bucket.wait(1, 10.0) == 1.0
    assert bucket.wait(1, 11.0) == 0.0
    bucket.settle(taken, 30, 11.0)
    assert bucket.standing(11.0).remaining == 31


def test_a_clock_that_jumps_ahead_fills_it_once_and_no_more() -> None:
    bucket = Bucket(Rate(60))
    bucket.take(60, 0.0)
    assert bucket.wait(60, 1e9) == 0.0
    assert bucket.wait(61, 1e9) is None
