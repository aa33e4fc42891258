"""The next target: health, affinity, balance and fallbacks together."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from ferryllm_proto import ir
from ferryllm_proto.routing.balance import Balance, Target
from ferryllm_proto.routing.breaker import BreakerRules, Permit, State, Verdict
from ferryllm_proto.routing.choice import Choice, Closed, Errand, Nobody, ProviderBounds, Routing
from ferryllm_proto.routing.table import Route, plan_of

A, B, C = Target("a"), Target("b", "b-model"), Target("c")
ROUTE = Route("m", "a", targets=(A, B), fallbacks=(C,))
ERRAND = Errand(plan_of(ROUTE), "m")
RULES = BreakerRules(failures=2, cooldown=30.0)


def errand(**fields: Any) -> Errand:
    return msgspec.structs.replace(ERRAND, **fields)


def choose(routing: Routing, what: Errand = ERRAND, *tried: Target, now: float = 0.0, chance: float = 0.0) -> Choice:
    found = routing.choose(what, tried, now, chance)
    assert isinstance(found, Choice)
    return found


def break_down(routing: Routing, target: Target, verdict: Verdict = Verdict.FAILURE, now: float = 0.0) -> None:
    for _ in range(2):
        permit = routing.health.enter(target.provider, target.model or "m", "", now)
        assert isinstance(permit, Permit)
        routing.health.settle(permit, verdict, now)


def test_targets_share_by_weight_and_fallbacks_get_nothing_while_one_is_well() -> None:
    routing = Routing(RULES)
    found = [choose(routing, chance=number / 100) for number in range(100)]
    assert Counter(choice.target for choice in found) == {A: 50, B: 50}
    assert {(choice.target.provider, choice.model) for choice in found} == {("a", "m"), ("b", "b-model")}
    assert not any(choice.fallback for choice in found)


def test_what_was_tried_or_is_broken_or_not_allowed_is_passed_over() -> None:
    routing = Routing(RULES)
    assert choose(routing, ERRAND, A).target == B
    assert choose(routing, errand(allowed=("b", "c"))).target == B
    break_down(routing, A)
    assert choose(routing).target == B
    last = choose(routing, ERRAND, B)
    assert (last.target, last.fallback) == (C, True)
    assert routing.others(ERRAND, (B,), 0.0)
    assert not routing.others(ERRAND, (B, C), 0.0)
    assert routing.others(ERRAND, (B, C), 30.0)


@pytest.mark.parametrize(
    ("verdict", "kind", "code"),
    [
        (Verdict.FAILURE, ir.ErrorKind.OVERLOADED, "circuit_open"),
        (Verdict.KEY_FOR_MODEL, ir.ErrorKind.UPSTREAM, "provider_key_refused"),
    ],
)
def test_when_nobody_may_be_asked_the_error_says_why_and_until_when(
    verdict: Verdict, kind: ir.ErrorKind, code: str
) -> None:
    routing = Routing(RULES)
    for target in (A, B, C):
        break_down(routing, target, verdict)
    found = routing.choose(ERRAND, (), 10.0, 0.0)
    assert isinstance(found, Nobody)
    assert (found.error.kind, found.error.code, found.tried) == (kind, code, False)
    assert found.error.retry_after == (20.0 if verdict is Verdict.FAILURE else 50.0)
    spent = routing.choose(ERRAND, (A, B, C), 10.0, 0.0)
    assert isinstance(spent, Nobody)
    assert spent.tried


def test_the_wait_that_is_told_is_the_shortest_of_all_targets() -> None:
    routing = Routing(RULES)
    for number, target in enumerate((A, B, C)):
        break_down(routing, target, now=10.0 - number)
    found = routing.choose(ERRAND, (), 10.0, 0.0)
    assert isinstance(found, Nobody)
    assert found.error.retry_after == 28.0
    fewer = routing.choose(errand(allowed=("a", "b")), (), 10.0, 0.0)
    assert isinstance(fewer, Nobody)
    assert fewer.error.retry_after == 29.0


def test_a_session_stays_where_it_was_answered_and_moves_when_that_fails() -> None:
    routing = Routing(RULES)
    mine = errand(session=b"s")
    first = choose(routing, mine)
    assert not first.kept
    routing.answered(mine, first, 0.5, 0.0)
    for chance in (0.0, 0.5, 0.99):
        again = choose(routing, mine, chance=chance)
        assert (again.target, again.kept) == (first.target, True)
    routing.failed(mine, again, Verdict.FAILURE, 1.0)
    other = choose(routing, mine, first.target)
    routing.answered(mine, other, 0.5, 1.0)
    moved = choose(routing, mine)
    assert (moved.target, moved.kept) == (other.target, True)
    assert other.target != first.target


def test_a_client_that_leaves_moves_no_session() -> None:
    routing = Routing(RULES)
    mine = errand(session=b"s")
    first = choose(routing, mine)
    routing.answered(mine, first, 0.5, 0.0)
    routing.failed(mine, choose(routing, mine), Verdict.NOTHING, 1.0)
    assert choose(routing, mine).kept


def test_a_session_whose_target_is_broken_goes_on_elsewhere_at_once() -> None:
    routing = Routing(RULES)
    mine = errand(session=b"s")
    first = choose(routing, mine)
    routing.answered(mine, first, 0.5, 0.0)
    break_down(routing, first.target)
    assert choose(routing, mine).target != first.target


def test_sessions_of_two_replicas_begin_at_the_same_place() -> None:
    sessions = [bytes([number]) for number in range(50)]
    one, two = Routing(RULES), Routing(RULES)
    for session in sessions:
        here, there = (
            choose(one, errand(session=session), chance=0.1),
            choose(two, errand(session=session), chance=0.9),
        )
        assert here.target == there.target


def test_the_way_of_the_route_is_followed() -> None:
    route = msgspec.structs.replace(ROUTE, balance=Balance.LEAST_BUSY)
    routing, mine = Routing(RULES), Errand(plan_of(route), "m")
    first = choose(routing, mine)
    second = choose(routing, mine)
    assert {first.target, second.target} == {A, B}
    routing.ended(first, 0.0)
    assert choose(routing, mine, chance=0.99).target == first.target
    cheap = Errand(plan_of(msgspec.structs.replace(ROUTE, balance=Balance.COST)), "m", costs={B: 1, A: 2})
    assert choose(routing, cheap).target == B


def test_the_same_target_again_needs_a_permit_of_its_own() -> None:
    routing = Routing(RULES)
    first = choose(routing)
    routing.failed(ERRAND, first, Verdict.FAILURE, 0.0, silent=3.0)
    routing.ended(first, 0.0)
    again = routing.again(ERRAND, first, 0.0)
    assert isinstance(again, Choice)
    changes = routing.failed(ERRAND, again, Verdict.FAILURE, 0.0)
    assert [change.state for change in changes] == [State.OPEN]
    routing.ended(again, 0.0)
    assert isinstance(routing.again(ERRAND, first, 0.0), Closed)
    assert routing.loads.under_way("a", "m") == 0
    assert routing.loads.latency("a", "m", 0.0) == 3.0


def test_a_stream_that_breaks_off_counts_against_its_target() -> None:
    routing = Routing(RULES)
    choices = [choose(routing) for _ in range(2)]
    for choice in choices:
        routing.answered(ERRAND, choice, 0.1, 0.0)
    changes = [change for choice in choices for change in routing.broke(choice, 1.0)]
    assert [change.state for change in changes] == [State.OPEN]


def test_a_refused_key_of_a_provider_is_told_by_its_name() -> None:
    routing = Routing(RULES)
    mine = errand(keys={"a": "first", "b": "x"})
    routing.failed(mine, choose(routing, mine), Verdict.KEY, 0.0)
    assert choose(routing, mine).target == B
    assert choose(routing, errand(keys={"a": "second"})).target == A


def bounded(**bounds: int) -> Routing:
    return Routing(RULES, bounds={"a": ProviderBounds(**bounds)})


def test_a_provider_at_its_bound_is_passed_over_and_asked_again_when_there_is_room() -> None:
    routing = bounded(concurrency=1)
    first = choose(routing)
    assert first.target == A
    assert choose(routing).target == B
    assert isinstance(routing.again(ERRAND, first, 0.0), Closed)
    routing.ended(first, 1.0)
    assert choose(routing, now=1.0).target == A


@pytest.mark.parametrize(
    ("bounds", "tokens", "status", "wait"),
    [
        ({"requests_per_minute": 1}, 5, 429, 60.0),
        ({"tokens_per_minute": 60}, 40, 429, 20.0),
        ({"concurrency": 1}, 5, 429, 1.0),
        ({"tokens_per_minute": 30}, 40, 413, None),
    ],
)
def test_a_provider_alone_at_its_bound_is_an_error_that_says_until_when(
    bounds: dict[str, int], tokens: int, status: int, wait: float | None
) -> None:
    routing = bounded(**bounds)
    alone = Errand(plan_of(Route("m", "a")), "m", tokens=tokens)
    if status == 429:
        choose(routing, alone)
    found = routing.choose(alone, (), 0.0, 0.0)
    assert isinstance(found, Nobody)
    assert (found.error.http_status, found.error.retry_after) == (status, wait)


def test_tokens_of_a_provider_are_corrected_when_the_attempt_has_ended() -> None:
    routing = bounded(tokens_per_minute=100)
    alone = Errand(plan_of(Route("m", "a")), "m", tokens=80)
    first = choose(routing, alone)
    assert isinstance(routing.choose(alone, (), 0.0, 0.0), Nobody)
    routing.ended(first, 0.0, 20)
    second = choose(routing, alone)
    routing.ended(second, 0.0)
    assert isinstance(routing.choose(alone, (), 0.0, 0.0), Nobody)


def test_a_closed_target_takes_nothing_of_the_bounds_of_another() -> None:
    routing = Routing(RULES, bounds={"a": ProviderBounds(1), "b": ProviderBounds(1)})
    found = [routing.choose(ERRAND, (), 0.0, 0.0) for _ in range(6)]
    assert [type(one) for one in found[:3]] == [Choice, Choice, Choice]
    assert [one.target for one in found[:3] if isinstance(one, Choice)] == [A, B, C]
