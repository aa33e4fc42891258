"""Efforts kept, filled in, capped and forced, in the representation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.capabilities import BUDGETS, EFFORTS, UNKNOWN, budget_of, effort_of, of
from ferryllm_proto.policy.reasoning import RANKS, ReasoningMode, ReasoningPolicy, apply, decide, rank, said, word_of

_ON, _OFF, _ADAPTIVE = ir.ThinkingMode.ON, ir.ThinkingMode.OFF, ir.ThinkingMode.ADAPTIVE
_P = ir.ReasoningParams
FILL, CAP, FORCE = ReasoningMode.FILL_MISSING, ReasoningMode.CAP, ReasoningMode.FORCE


def test_the_eight_efforts_in_rising_order() -> None:
    assert RANKS == ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultracode")
    tokens = [budget_of(said(effort)) for effort in RANKS]
    assert tokens == sorted(tokens) == [0, 1024, 4096, 8192, 16384, 32768, 65536, 65536]


@pytest.mark.parametrize("effort", [word for word in EFFORTS if word != "max"])
def test_what_is_said_as_tokens_reads_as_the_same_effort(effort: str) -> None:
    assert effort_of(budget_of(effort)) == effort


def test_preserve_changes_nothing() -> None:
    policy = ReasoningPolicy(ReasoningMode.PRESERVE, "low", "low")
    assert policy.idle
    for params in (None, _P(effort="max"), _P(_ADAPTIVE)):
        assert decide(policy, params) is params


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (None, _P(effort="medium")),
        (_P(show="summary"), _P(effort="medium", show="summary")),
        (_P(_ADAPTIVE), _P(_ADAPTIVE, effort="medium")),
        (_P(effort="max"), _P(effort="max")),
        (_P(_ON, budget=2000), _P(_ON, budget=2000)),
        (_P(_OFF), _P(_OFF)),
    ],
)
def test_fill_missing_speaks_for_those_who_say_nothing(params: _P | None, expected: _P) -> None:
    assert decide(ReasoningPolicy(FILL, "medium", "low"), params) == expected


def test_a_client_that_wants_thoughts_is_not_filled_with_none() -> None:
    policy = ReasoningPolicy(FILL, "none")
    assert decide(policy, _P(_ADAPTIVE)) == _P(_ADAPTIVE)
    assert decide(policy, None) == _P(_OFF, effort="none")


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (None, _P(effort="low")),
        (_P(effort="xhigh"), _P(effort="medium")),
        (_P(effort="ultracode"), _P(effort="medium")),
        (_P(effort="minimal"), _P(effort="minimal")),
        (_P(_ON, budget=60_000), _P(_ON, budget=8192)),
        (_P(_ON, budget=5000), _P(_ON, budget=5000)),
        (_P(_ON, effort="high", budget=2000), _P(_ON, effort="medium", budget=2000)),
        (_P(_OFF), _P(_OFF)),
    ],
)
def test_cap_lowers_what_is_above_it(params: _P | None, expected: _P) -> None:
    assert decide(ReasoningPolicy(CAP, "low", "medium"), params) == expected


def test_cap_bounds_an_open_wish_and_leaves_silence_to_the_model() -> None:
    policy = ReasoningPolicy(CAP, None, "low")
    assert decide(policy, _P(_ADAPTIVE)) == _P(_ADAPTIVE, effort="low")
    assert decide(policy, None) is None
    assert decide(ReasoningPolicy(CAP, None, "none"), _P(effort="low")) == _P(_OFF, effort="none")


def test_a_default_above_the_cap_is_capped() -> None:
    assert decide(ReasoningPolicy(CAP, "max", "low"), None) == _P(effort="low")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (ReasoningPolicy(FORCE, "low", "high"), _P(_ON, budget=4096)),
        (ReasoningPolicy(FORCE, None, "high"), _P(_ON, budget=16384)),
        (ReasoningPolicy(FORCE, "ultracode"), _P(_ON, effort="max", budget=65536)),
        (ReasoningPolicy(FORCE, "none"), _P(_OFF, effort="none")),
        (ReasoningPolicy(FORCE), None),
    ],
)
def test_force_takes_the_default_then_the_maximum_then_nothing(policy: ReasoningPolicy, expected: _P | None) -> None:
    assert decide(policy, _P(_ON, budget=9000)) == expected


def test_models_get_a_word_they_have_and_nothing_where_they_do_not_think() -> None:
    assert decide(ReasoningPolicy(FORCE, "max"), None, of("gpt-5.1")) == _P(effort="high")
    assert decide(ReasoningPolicy(FORCE, "high"), None, of("gpt-4o")) is None


def test_the_log_is_told_what_was_asked_and_what_is_sent() -> None:
    request = ir.Request("openai", "m", reasoning=_P(effort="max"))
    changed, told = apply(ReasoningPolicy(CAP, None, "low"), request)
    assert (told.requested, told.applied, told.changed) == ("max", "low", True)
    assert changed.reasoning == _P(effort="low")
    same, told = apply(ReasoningPolicy(CAP, None, "max"), request)
    assert same is request
    assert not told.changed


_EFFORT = st.sampled_from(RANKS)
_PARAMS = st.none() | st.builds(
    _P,
    mode=st.none() | st.sampled_from(ir.ThinkingMode),
    effort=st.none() | _EFFORT,
    budget=st.none() | st.integers(1, 200_000),
)
_MODELS = st.sampled_from(["gpt-5.1", "gpt-5-pro", "claude-opus-4-7", "claude-3-opus", "gemini-2.5-pro", "who-knows"])


@given(_PARAMS, _EFFORT, st.none() | _EFFORT, _MODELS)
def test_cap_never_raises_what_a_client_asked_for(
    params: ir.ReasoningParams | None, maximum: str, default: str | None, model: str
) -> None:
    new = decide(ReasoningPolicy(CAP, default, maximum), params, of(model))
    before, after = word_of(params), word_of(new)
    if before is not None:
        assert after is not None
        assert rank(after) <= rank(before)
        if params is not None and params.budget is not None and new is not None and new.budget is not None:
            assert new.budget <= params.budget


@given(_PARAMS, _EFFORT, st.none() | _EFFORT)
def test_nothing_goes_above_the_cap(params: ir.ReasoningParams | None, maximum: str, default: str | None) -> None:
    new = decide(ReasoningPolicy(CAP, default, maximum), params, UNKNOWN)
    if new is not None and word_of(new) is not None and word_of(new) != "none":
        assert new.effort is None or rank(new.effort) <= rank(maximum)
        assert new.budget is None or new.budget <= max(BUDGETS.values())
        assert new.budget is None or new.budget <= budget_of(said(maximum))
