"""Routes: what wins over what, who may answer, and what a client may wish."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import LossPolicy
from ferryllm_proto.policy.reasoning import ReasoningMode, ReasoningPolicy
from ferryllm_proto.policy.route import RoutePolicies
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.patterns import PatternError
from ferryllm_proto.routing.table import MAX_KEPT, MatchType, Route, RouteTable

TABLE = RouteTable(
    (
        Route("*", "anything"),
        Route("claude-", "short"),
        Route("claude-opus-", "long", rewrite_model="gpt-5.4"),
        Route("claude-opus-4-6", "exact", MatchType.EXACT),
        Route("claude-opus-4-6[1m]", "variant", MatchType.EXACT),
        Route("claude-", "second"),
        Route("*", "never"),
    )
)


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("claude-opus-4-6", "exact"),
        ("claude-opus-4-7", "long"),
        ("claude-haiku-4-5", "short"),
        ("gpt-5.4", "anything"),
        ("", "anything"),
        ("claude-opus-4-6[1m]", "variant"),
        ("claude-opus-4-7[1m]", "long"),
    ],
)
def test_exact_beats_longest_prefix_beats_star_and_file_order_breaks_ties(model: str, provider: str) -> None:
    route = TABLE.resolve(model)
    assert route is not None
    assert route.provider == provider


def test_m3_context_suffix_of_claude_code_is_ignored_for_the_lookup() -> None:
    table = RouteTable((Route("opus", "p", MatchType.EXACT),))
    assert table.resolve("opus[1m]") == table.routes[0]
    assert table.resolve("opus[1M]") == table.routes[0]
    assert table.resolve("opus[x]") is None
    star = RouteTable((Route("*", "any"), Route("opus", "p", MatchType.EXACT)))
    found = star.resolve("opus[1m]")
    assert found is not None
    assert found.provider == "p"


def test_without_a_match_there_is_no_route() -> None:
    assert RouteTable(()).resolve("gpt") is None
    assert RouteTable((Route("claude-", "a"),)).resolve("gpt") is None


def test_names_are_listed_once_in_file_order() -> None:
    assert TABLE.names() == ("*", "claude-", "claude-opus-", "claude-opus-4-6", "claude-opus-4-6[1m]")


def test_prefixes_and_globs_rank_by_their_own_characters_then_regexes_then_star() -> None:
    table = RouteTable(
        (
            Route("*", "any"),
            Route("gpt-.*", "regex", MatchType.REGEX),
            Route(".*-mini", "regex2", MatchType.REGEX),
            Route("gpt-5", "prefix"),
            Route("gpt-5*-mini", "glob", MatchType.GLOB),
            Route("gpt-5.4-mini", "exact", MatchType.EXACT),
            Route("gpt-*", "short glob", MatchType.GLOB),
        )
    )
    found = {
        model: route.provider
        for model in ("gpt-5.4-mini", "gpt-5.5-mini", "gpt-5", "gpt-4o", "o4-mini", "o4")
        if (route := table.resolve(model)) is not None
    }
    assert found == {
        "gpt-5.4-mini": "exact",
        "gpt-5.5-mini": "glob",
        "gpt-5": "prefix",
        "gpt-4o": "short glob",
        "o4-mini": "regex2",
        "o4": "any",
    }


def test_a_pattern_that_cannot_be_used_is_refused_when_the_table_is_made() -> None:
    with pytest.raises(PatternError, match="refers back"):
        RouteTable((Route("(a)\\1", "p", MatchType.REGEX),))


@pytest.mark.parametrize(
    "model", ["gpt-5.4-20260305", "gpt-5.4-2026-03-05", "gpt-5.4--ferryllm-work-1x2y3z", "gpt-5.4[1m]"]
)
def test_m3_dates_and_aliases_are_ignored_where_no_route_names_them(model: str) -> None:
    star, route = Route("*", "any"), Route("gpt-5.4", "p", MatchType.EXACT)
    assert RouteTable((star, route)).resolve(model) is route
    named = Route(model, "named", MatchType.EXACT)
    assert RouteTable((star, route, named)).resolve(model) is named


def test_a_plan_names_the_models_of_targets_and_fallbacks() -> None:
    targets = (Target("a", "a-model", 3), Target("b"))
    route = Route("m", "a", rewrite_model="real", targets=targets, fallbacks=(Target("c"), Target("d", "d-model")))
    plan = RouteTable((route,)).plan("m")
    assert plan is not None
    assert plan.targets == (Target("a", "a-model", 3), Target("b", "real"))
    assert plan.fallbacks == (Target("c", "real"), Target("d", "d-model"))
    assert [route.at(target).rewrite_model for target in plan.targets] == ["a-model", "real"]
    assert route.at(plan.fallbacks[1]).provider == "d"
    simple = Route("n", "p", rewrite_model="x")
    plan = RouteTable((simple,)).plan("n")
    assert plan is not None
    assert plan.targets == (Target("p", "x"),)
    assert simple.at(plan.targets[0]) is simple
    assert RouteTable(()).plan("n") is None


def hinting(*routes: Route) -> RouteTable:
    return RouteTable(routes, frozenset({"one", "two"}))


def test_a_hint_chooses_the_provider_and_nobody_stands_in_for_it() -> None:
    table = hinting(Route("m", "one", fallbacks=(Target("two"),), loss_policy=LossPolicy.STRICT))
    plan = table.plan("m", "two")
    assert plan is not None
    assert (plan.targets, plan.fallbacks, plan.hinted) == ((Target("two"),), (), True)
    assert plan.route.loss_policy is LossPolicy.STRICT
    assert plan.route.provider == "two"


def test_policies_hold_for_a_hint_too_with_a_route_and_without_one() -> None:
    capped = RoutePolicies(ReasoningPolicy(ReasoningMode.CAP, maximum="low"))
    common = RoutePolicies(ReasoningPolicy(ReasoningMode.CAP, maximum="high"))
    table = RouteTable((Route("m", "one", policies=capped),), frozenset({"one", "two"}), common)
    for model, expected in (("m", capped), ("provider:two/m", capped), ("unknown", common)):
        plan = table.plan(model, "two")
        assert plan is not None
        assert plan.route.policies == expected
        assert [target.provider for target in plan.targets] == ["two"]


def test_a_route_that_renames_the_model_decides_against_a_hint() -> None:
    for route in (
        Route("m", "one", rewrite_model="x"),
        Route("m", "one", targets=(Target("one", "x"), Target("two"))),
    ):
        plan = hinting(route).plan("m", "two")
        assert plan is not None
        assert not plan.hinted


def test_a_model_that_names_its_provider_goes_there_under_its_plain_name() -> None:
    table = hinting(Route("*", "one"), Route("provider:two/taken", "one", MatchType.EXACT))
    plan = table.plan("provider:two/gpt")
    assert plan is not None
    assert plan.targets == (Target("two", "gpt"),)
    taken = table.plan("provider:two/taken")
    assert taken is not None
    assert not taken.hinted


def test_a_hint_at_no_provider_is_a_404_and_without_hints_nothing() -> None:
    for ask in (("m", "nobody"), ("provider:nobody/m", None)):
        with pytest.raises(RemoteProtocolError) as caught:
            hinting(Route("*", "one")).plan(*ask)
        assert caught.value.error.http_status == 404
        assert "'nobody'" in caught.value.error.message
        plan = RouteTable((Route("*", "one"),)).plan(*ask)
        assert plan is not None
        assert plan.targets == (Target("one"),)


_MODELS = st.sampled_from(
    [
        "claude-opus-4-6",
        "claude-opus-4-6[1m]",
        "claude-x",
        "gpt-5.4",
        "provider:one/claude-x",
        "provider:three/m",
        "a" * 300,
    ]
)


@given(st.lists(st.tuples(_MODELS, st.sampled_from([None, "one", "three"])), max_size=12))
def test_a_plan_is_the_same_whatever_was_asked_for_before(asked: list[tuple[str, str | None]]) -> None:
    routes, providers = TABLE.routes, frozenset({"one", "two"})
    table = RouteTable(routes, providers)
    for model, hint in asked:
        found: list[object] = []
        for one in (table, RouteTable(routes, providers)):
            try:
                found.append(one.plan(model, hint))
            except RemoteProtocolError as exc:
                found.append(exc.error)
        assert found[0] == found[1]


def test_names_that_are_remembered_are_bounded() -> None:
    table = RouteTable((Route("*", "p"),))
    for number in range(MAX_KEPT + 2):
        assert table.plan(f"m{number}") is not None
    assert len(table._found) <= MAX_KEPT
    assert table.plan("m" * 10_000) is not None
    assert max(map(len, table._found)) < 10_000
