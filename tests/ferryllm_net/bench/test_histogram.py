"""Histogram against sorted lists: what it says is never more than one bucket away from the truth."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.bench.histogram import PARTS_BITS, Histogram

VALUES = st.lists(st.integers(0, 10**12) | st.integers(0, 300), min_size=1, max_size=200)
QUANTILES = (0.0, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)


def recorded(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@given(VALUES, st.sampled_from(QUANTILES))
def test_a_quantile_is_the_true_one_or_up_to_a_bucket_above_it(values: list[int], q: float) -> None:
    true = sorted(values)[max(1, math.ceil(q * len(values) - 1e-9)) - 1]
    found = recorded(values).quantile(q)
    assert true <= found <= min(max(values), true + (true >> PARTS_BITS))


@given(VALUES)
def test_quantiles_do_not_fall_and_end_at_the_largest_value(values: list[int]) -> None:
    histogram = recorded(values)
    found = [histogram.quantile(q) for q in QUANTILES]
    assert found == sorted(found)
    assert found[-1] == max(values)


@given(VALUES, VALUES)
def test_merging_is_recording_both(first: list[int], second: list[int]) -> None:
    merged = recorded(first)
    merged.merge(recorded(second))
    assert merged.summary() == recorded(first + second).summary()


@given(VALUES)
def test_count_mean_min_and_max_are_exact(values: list[int]) -> None:
    summary = recorded(values).summary()
    assert summary is not None
    assert (summary.count, summary.min, summary.max) == (len(values), min(values), max(values))
    assert summary.mean == pytest.approx(sum(values) / len(values))


def test_a_summary_is_in_the_unit_that_is_asked_for() -> None:
    summary = recorded([2_000_000] * 3).summary(1e6)
    assert summary is not None
    assert (summary.p50, summary.p999, summary.max) == (2.0, 2.0, 2.0)


def test_clocks_that_disagree_give_no_negative_time() -> None:
    assert recorded([-5, -1]).quantile(1.0) == 0


def test_nothing_recorded_is_nothing_said() -> None:
    empty = Histogram()
    assert empty.summary() is None
    assert empty.quantile(0.5) == 0
    other = recorded([7])
    other.merge(empty)
    empty.merge(other)
    assert (empty.min, empty.max, empty.count) == (7, 7, 1)


def test_ten_million_different_times_stay_a_few_kilobytes() -> None:
    histogram = recorded([1 << power for power in range(40)] + list(range(0, 10_000_000, 997)))
    assert len(histogram._counts) < 40 * (1 << PARTS_BITS)
