"""Balance: shares in the long run, turns, and who is asked least."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.routing.balance import (
    LATENCY_HALF_LIFE,
    MAX_MEASURED,
    Balance,
    Balancer,
    Candidate,
    Loads,
    Target,
    weighted,
)

A, B, C = Target("a", weight=5), Target("b", weight=3), Target("c", weight=2)
GROUP = (A, B, C)


def candidates(*targets: Target, costs: tuple[int | None, ...] = (None, None, None)) -> list[Candidate]:
    return [Candidate(target, "m", cost) for target, cost in zip(targets, costs, strict=False)]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 2**32))
def test_weights_are_the_shares_in_the_long_run(weights: list[int], seed: int) -> None:
    chance = random.Random(seed)
    rounds = 4000
    counts = Counter(weighted(weights, chance.random()) for _ in range(rounds))
    for at, weight in enumerate(weights):
        share = weight / sum(weights)
        # Five standard deviations: one run in millions fails by chance.
        assert abs(counts[at] - rounds * share) <= 5 * (rounds * share * (1 - share)) ** 0.5 + 1


def test_the_chance_is_laid_over_the_weights_in_order() -> None:
    assert [weighted([5, 3, 2], chance) for chance in (0.0, 0.49, 0.5, 0.79, 0.8, 0.999999)] == [0, 0, 1, 1, 2, 2]
    assert weighted([1, 1], 1.0) == 1  # not a number that random gives, and no fault either


def test_turns_follow_the_weights_exactly_and_are_spread_evenly() -> None:
    balancer = Balancer()
    turns = [GROUP[balancer.choose(Balance.ROUND_ROBIN, GROUP, candidates(*GROUP), 0, 0)].provider for _ in range(10)]
    assert Counter(turns) == {"a": 5, "b": 3, "c": 2}
    assert "aaa" not in "".join(turns)
    again = [GROUP[balancer.choose(Balance.ROUND_ROBIN, GROUP, candidates(*GROUP), 0, 0)].provider for _ in range(10)]
    assert again == turns


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5), st.integers(1, 4))
def test_every_round_of_turns_gives_each_target_its_weight(weights: list[int], rounds: int) -> None:
    group = tuple(Target(str(at), weight=weight) for at, weight in enumerate(weights))
    balancer = Balancer()
    counts = Counter(
        balancer.choose(Balance.ROUND_ROBIN, group, candidates_of(group), 0, 0) for _ in range(rounds * sum(weights))
    )
    assert [counts[at] for at in range(len(group))] == [rounds * weight for weight in weights]


def candidates_of(group: tuple[Target, ...]) -> list[Candidate]:
    return [Candidate(target, "m") for target in group]


def test_turns_go_on_while_one_of_the_group_is_ill() -> None:
    balancer = Balancer()
    healthy = (A, C)
    turns = [healthy[balancer.choose(Balance.ROUND_ROBIN, GROUP, candidates(A, C), 0, 0)].provider for _ in range(14)]
    assert Counter(turns) == {"a": 10, "c": 4}


def test_the_least_busy_for_its_weight_is_chosen_and_equals_by_chance() -> None:
    loads = Loads()
    balancer = Balancer(loads)
    for _ in range(5):
        loads.begin("a", "m")
    loads.begin("b", "m")
    assert balancer.choose(Balance.LEAST_BUSY, (A, B), candidates(A, B), 0, 0.9) == 1
    for _ in range(3):
        loads.begin("b", "m")
    assert balancer.choose(Balance.LEAST_BUSY, (A, B), candidates(A, B), 0, 0.9) == 0
    loads.end("a", "m")
    assert loads.under_way("a", "m") == 4
    empty = Balancer()
    picks = {empty.choose(Balance.LEAST_BUSY, (A, B), candidates(A, B), 0, chance) for chance in (0.0, 0.99)}
    assert picks == {0, 1}


def test_more_ends_than_beginnings_are_no_credit() -> None:
    loads = Loads()
    loads.end("a", "m")
    loads.begin("a", "m")
    assert loads.under_way("a", "m") == 1


def test_latency_is_a_mean_that_fades_while_nothing_is_measured() -> None:
    loads = Loads()
    assert loads.latency("a", "m", 0) == 0
    loads.measure("a", "m", 2.0, 0)
    assert loads.latency("a", "m", 0) == 2.0
    loads.measure("a", "m", 4.0, 0)
    assert loads.latency("a", "m", 0) == pytest.approx(2.6)
    assert loads.latency("a", "m", LATENCY_HALF_LIFE) == pytest.approx(1.3)
    assert loads.latency("a", "m", -5) == pytest.approx(2.6)  # a clock that went back


def test_the_soonest_answer_wins_and_requests_under_way_count() -> None:
    loads = Loads()
    loads.measure("a", "m", 1.0, 0)
    loads.measure("b", "m", 1.5, 0)
    pair = (Target("a"), Target("b"))
    balancer = Balancer(loads)
    assert balancer.choose(Balance.LEAST_LATENCY, pair, candidates(*pair), 0, 0.9) == 0
    loads.begin("a", "m")
    assert balancer.choose(Balance.LEAST_LATENCY, pair, candidates(*pair), 0, 0.9) == 1
    fresh = (*pair, Target("new"))
    assert balancer.choose(Balance.LEAST_LATENCY, fresh, candidates(*fresh), 0, 0.9) == 2


def test_a_model_nobody_has_asked_lately_is_forgotten_before_memory_fills() -> None:
    loads = Loads()
    for number in range(MAX_MEASURED + 10):
        loads.measure("a", f"m{number}", 1.0, 0)
    assert loads.latency("a", "m0", 0) == 0
    assert loads.latency("a", "m20", 0) == 1.0


def test_the_cheapest_wins_and_the_unpriced_come_last() -> None:
    balancer = Balancer()
    trio = (Target("a"), Target("b"), Target("c"))
    found = candidates(*trio, costs=(7, None, 5))
    assert balancer.choose(Balance.COST, trio, found, 0, 0.0) == 2
    assert balancer.choose(Balance.COST, trio, found[:2], 0, 0.99) == 0
    nobody = candidates(*trio)
    assert {balancer.choose(Balance.COST, trio, nobody, 0, chance) for chance in (0.0, 0.5, 0.9)} == {0, 1, 2}


@pytest.mark.parametrize("way", list(Balance))
def test_one_candidate_is_the_choice_whatever_the_way(way: Balance) -> None:
    assert Balancer().choose(way, GROUP, candidates(C), 0, 0.7) == 0
