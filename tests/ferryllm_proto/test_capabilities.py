"""What models can do, by their names; what the configuration says against it; efforts and budgets."""

from __future__ import annotations

import pytest

from ferryllm_proto import capabilities
from ferryllm_proto.capabilities import BUDGETS, EFFORTS, UNKNOWN, Thinking, budget_of, clamp, effort_of, of, row_of
from ferryllm_proto.rules import ModelRule, ProviderRules

LMH = ("low", "medium", "high")


@pytest.mark.parametrize(
    ("name", "thinking", "sampling", "prefill"),
    [
        ("claude-3-5-sonnet-20241022", Thinking.NONE, True, True),
        ("claude-3-opus-20240229", Thinking.NONE, True, True),
        ("claude-3-7-sonnet-latest", Thinking.BUDGET, True, True),
        ("claude-opus-4-20250514", Thinking.BUDGET, True, True),
        ("us.anthropic.claude-opus-4-20250514-v1:0", Thinking.BUDGET, True, True),
        ("claude-opus-4-0", Thinking.BUDGET, True, True),
        ("anthropic/claude-sonnet-4.5", Thinking.BUDGET, True, True),
        ("anthropic.claude-haiku-4-5-20251001-v1:0", Thinking.BUDGET, True, True),
        ("claude-opus-4-6", Thinking.BOTH, True, False),
        ("claude-opus-4-7", Thinking.ADAPTIVE, False, False),
        ("claude-mythos-preview", Thinking.ADAPTIVE, False, False),
        ("claude-opus-4-8", Thinking.ADAPTIVE, False, False),
        ("claude-opus-4-10", Thinking.ADAPTIVE, False, False),
        ("claude-fable-5-2", Thinking.ADAPTIVE, False, False),
        ("claude-opus-5[1m]", Thinking.ADAPTIVE, False, False),
        ("claude-next", Thinking.ADAPTIVE, False, False),
        ("qwen3:8b", None, True, True),
    ],
)
def test_a34_families_of_anthropic(name: str, thinking: Thinking | None, sampling: bool, prefill: bool) -> None:
    found = of(name)
    assert (found.thinking, found.prefill) == (thinking, prefill)
    assert (found.temperature, found.top_p, found.top_k) == (sampling, sampling, sampling)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("claude-opus-4", "claude-opus-4"),
        ("claude-opus-4-1-20250805", "claude-opus-4-1"),
        ("claude-4-sonnet", "claude-sonnet-4"),
        ("claude-4-5-haiku", "claude-4-5"),
        ("claude-haiku-4-6", "claude, newer"),
        ("claude-mythos-preview", "claude-opus-4-7"),
        ("ft:gpt-4o-2024-08-06:org::id", "gpt-4o"),
        ("GPT-5-2025-08-07", "gpt-5"),
        ("gpt-5-nano", "gpt-5"),
        ("gpt-5-codex", "gpt-5-codex"),
        ("gpt-5.1-codex-max", "gpt-5.1-codex-max"),
        ("gpt-5.10", "gpt-5.6 and newer"),
        ("gpt-12", "gpt-5.6 and newer"),
        ("gpt-5.2-chat-latest", "gpt-5-chat"),
        ("gpt-oss:20b", "gpt-oss"),
        ("o4-mini", "o1 to o9"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4-turbo", "gpt-4-turbo, gpt-3.5"),
        ("models/gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        ("gemini-3-pro-preview", "gemini-3-pro"),
        ("gemini-3.1-pro", "gemini-3 pro, newer"),
        ("gemini-3.5-flash", "gemini-3 and newer"),
        ("grok-4-fast", "grok-4, grok-code"),
        ("grok-4.3", None),
        ("moonshotai/kimi-k2-thinking", "deepseek, kimi, mimo"),
        ("kimi-k2.6", "kimi-k2.5, kimi-k2.6"),
        ("mistralai/Devstral-Small-2", "mistral and its kin"),
        ("open-mistral-nemo", "mistral and its kin"),
        ("glm-5.2", None),
        ("glm-5.3-flash", "glm-5.3 and newer"),
        ("olmo-2", None),
        ("", None),
    ],
)
def test_names_fall_into_rows_whatever_stands_around_them(name: str, row: str | None) -> None:
    found = row_of(name)
    assert (None if found is None else found.name) == row
    assert of(name) == (UNKNOWN if found is None else found.capabilities)


@pytest.mark.parametrize(("name", "ours"), [("anthropic/Claude-next", True), ("claudia", False), ("gpt-5", False)])
def test_claude_is_told_by_its_name(name: str, ours: bool) -> None:
    assert capabilities.is_claude(name) is ours


def test_every_row_can_be_reached_and_its_words_are_known() -> None:
    names = [row.name for row in capabilities.rows()]
    assert len(names) == len(set(names))
    for row in capabilities.rows():
        efforts = row.capabilities.efforts or ()
        assert list(efforts) == sorted(efforts, key=EFFORTS.index), row.name
        assert not (row.capabilities.restless and "none" in efforts), row.name
        most = row.capabilities.max_output_tokens
        assert most is None or row.capabilities.default_max_tokens <= most, row.name


def test_c7_the_default_limit_is_the_models_and_not_one_for_all() -> None:
    assert [of(name).default_max_tokens for name in ("claude-3-haiku", "claude-3-5-haiku", "claude-opus-5", "x")] == [
        4096,
        8192,
        32000,
        8192,
    ]


def test_openais_thinking_models_refuse_what_they_refuse() -> None:
    old, new = of("o3"), of("gpt-5.4")
    assert (old.temperature, old.top_p, old.penalties, old.stop, old.logprobs) == (False,) * 5
    assert (new.temperature, new.top_p, new.penalties, new.stop, new.logprobs) == (False, False, False, True, True)
    assert old.restless
    assert not new.restless
    assert old.reasons
    assert not of("gpt-4o").reasons
    assert not UNKNOWN.reasons


# --- the configuration's words ---------------------------------------------------------------------------


def ruled(model: str, *rules: ModelRule) -> capabilities.Capabilities:
    return of(model, ProviderRules(models=rules))


def test_a_rule_wins_over_the_table_and_leaves_the_rest() -> None:
    found = ruled("claude-opus-5", ModelRule("claude-", temperature=True, default_max_tokens=1000))
    assert found.temperature
    assert not found.top_p
    assert found.default_max_tokens == 1000
    assert found.thinking is Thinking.ADAPTIVE


def test_the_longest_rule_has_the_last_word() -> None:
    rules = (
        ModelRule("my-model-7", stop=True),
        ModelRule("", stop=False, prefill=False),
        ModelRule("other", top_k=False),
    )
    found = ruled("my-model-7b", *rules)
    assert (found.stop, found.prefill, found.top_k) == (True, False, True)


def test_a_rule_matches_with_and_without_the_vendor_and_in_any_case() -> None:
    rule = ModelRule("Qwen3", structured_output=False)
    assert not ruled("qwen/qwen3-max", rule).structured_output
    assert not ruled("QWEN3", rule).structured_output
    assert ruled("my-qwen3", rule).structured_output


def test_a_rule_sets_thinking_efforts_and_limits() -> None:
    found = ruled("x", ModelRule("x", thinking="effort", efforts=("high", "none", "low"), max_output_tokens=100))
    assert found.thinking is Thinking.EFFORT
    assert found.efforts == ("none", "low", "high")
    assert (found.max_output_tokens, found.default_max_tokens) == (100, 100)
    assert ruled("o3", ModelRule("o3", efforts=("none", "low"))).restless is False
    assert ruled("o3", ModelRule("o3", efforts=("low",))).restless
    assert ruled("gpt-4o", ModelRule("gpt-4o", thinking="effort")).efforts is None


# --- effort and budget -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effort", "allowed", "said"),
    [
        ("high", ("low", "high"), "high"),
        ("medium", ("low", "high"), "low"),
        ("xhigh", ("low", "medium", "high", "max"), "high"),
        ("minimal", ("low", "medium"), "low"),
        ("minimal", ("none", "low"), "low"),
        ("ultra", ("low", "medium", "high", "xhigh"), "high"),
        ("low", (), None),
        ("low", ("none",), None),
        ("none", LMH, None),
        ("none", ("none", "low"), "none"),
    ],
)
def test_a35_efforts_are_clamped_downwards_and_none_is_no_effort(
    effort: str, allowed: tuple[str, ...], said: str | None
) -> None:
    assert clamp(effort, allowed) == said


def test_a35_budgets_and_efforts_are_monotone_and_agree() -> None:
    budgets = list(BUDGETS.values())
    assert budgets == sorted(budgets)
    for effort in ("minimal", "low", "medium", "high", "xhigh"):
        assert effort_of(budget_of(effort)) == effort
    ranks = [EFFORTS.index(effort_of(budget)) for budget in range(0, 70_000, 500)]
    assert ranks == sorted(ranks)
    assert effort_of(10**6) == "xhigh"
    assert (effort_of(0), budget_of("none"), budget_of("ultra")) == ("none", 0, BUDGETS["high"])
