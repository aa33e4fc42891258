"""The reasoning policy on the bytes of each dialect."""

from __future__ import annotations

import json as stdlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.policy.reasoning import RANKS, ReasoningMode, ReasoningPolicy, rank
from ferryllm_proto.policy.reasoning_fields import FIELDS, splice
from ferryllm_proto.rules import ProviderRules

FILL, CAP, FORCE = ReasoningMode.FILL_MISSING, ReasoningMode.CAP, ReasoningMode.FORCE
_REST = '"messages": [ {"role":"user","content":"h\\u0069"} ], "x":1.0'


def _body(fields: str) -> bytes:
    return ("{" + _REST + (", " + fields if fields else "") + "}").encode()


@pytest.mark.parametrize(
    ("dialect", "model", "before", "after"),
    [
        ("openai", "gpt-5.2", '"reasoning_effort" : "xhigh"', '"reasoning_effort" : "low"'),
        (
            "openai",
            "x",
            '"reasoning":{"max_tokens":30000,"exclude":true}',
            '"reasoning":{"max_tokens":4096,"exclude":true}',
        ),
        (
            "openai",
            "qwen3",
            '"enable_thinking":true,"thinking_budget":9999',
            '"enable_thinking":true,"thinking_budget":4096',
        ),
        ("openai_responses", "gpt-5.2", '"reasoning":{"effort":"high"}', '"reasoning":{"effort":"low"}'),
        (
            "anthropic",
            "claude-sonnet-4-5",
            '"max_tokens":64000,"thinking":{"type":"enabled","budget_tokens":31999}',
            '"max_tokens":64000,"thinking":{"type":"enabled","budget_tokens":4096}',
        ),
        (
            "anthropic",
            "claude-opus-4-7",
            '"thinking":{"type":"adaptive"},"output_config":{"effort":"max","format":null}',
            '"thinking":{"type":"adaptive"},"output_config":{"effort":"low","format":null}',
        ),
        (
            "gemini",
            "gemini-3-flash",
            '"generationConfig":{"thinkingConfig":{"thinkingLevel":"HIGH"}}',
            '"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"}}',
        ),
        (
            "gemini",
            "gemini-2.5-flash",
            '"generation_config":{"thinking_config":{"thinking_budget":-1}}',
            '"generation_config":{"thinking_config":{"thinking_budget":4096}}',
        ),
        ("ollama", "gpt-oss:20b", '"think":"high"', '"think":"low"'),
    ],
)
def test_a_cap_changes_the_clients_own_field_and_nothing_else(
    dialect: str, model: str, before: str, after: str
) -> None:
    out, told = splice(ReasoningPolicy(CAP, None, "low"), dialect, _body(before), model=model)
    assert out == _body(after)
    assert (told.applied, told.changed) == ("low", True)


@pytest.mark.parametrize(
    ("dialect", "model", "added"),
    [
        ("openai", "gpt-5.2", ',"reasoning_effort":"medium"'),
        ("openai_responses", "gpt-5.2", ',"reasoning":{"effort":"medium"}'),
        ("anthropic", "claude-opus-4-7", ',"thinking":{"type":"adaptive"},"output_config":{"effort":"medium"}'),
        ("gemini", "gemini-3-flash", ',"generationConfig":{"thinkingConfig":{"thinkingLevel":"MEDIUM"}}'),
        ("gemini", "gemini-2.5-flash", ',"generationConfig":{"thinkingConfig":{"thinkingBudget":8192}}'),
        ("ollama", "gpt-oss:20b", ',"think":"medium"'),
    ],
)
def test_silence_is_filled_in_the_words_of_the_provider(dialect: str, model: str, added: str) -> None:
    out, told = splice(ReasoningPolicy(FILL, "medium"), dialect, _body(""), model=model)
    assert stdlib.loads(out) == stdlib.loads(_body("")[:-1] + added.encode() + b"}")
    assert out.startswith(_body("")[:-1])
    assert (told.requested, told.applied) == (None, "medium")


def test_a_vendors_form_is_the_one_its_row_says() -> None:
    out, _ = splice(
        ReasoningPolicy(FILL, "high"), "openai", _body(""), model="deepseek-v4", rules=ProviderRules("openrouter")
    )
    assert stdlib.loads(out)["reasoning"] == {"effort": "high"}


@pytest.mark.parametrize(
    ("dialect", "model", "before", "after"),
    [
        ("openai", "gpt-5.2", '"reasoning_effort":"high"', '"reasoning_effort":"none"'),
        ("openai", "gpt-5", '"reasoning_effort":"high"', '"reasoning_effort":"minimal"'),
        (
            "anthropic",
            "claude-sonnet-4-5",
            '"thinking":{"type":"enabled","budget_tokens":2048,"display":"summarized"}',
            '"thinking":{"type":"disabled"}',
        ),
        (
            "anthropic",
            "claude-opus-4-7",
            '"output_config":{"effort":"high"}',
            '"output_config":{},"thinking":{"type":"disabled"}',
        ),
        (
            "gemini",
            "gemini-2.5-flash",
            '"generationConfig":{"thinkingConfig":{"thinkingBudget":99}}',
            '"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}',
        ),
        ("ollama", "qwen3", '"think":true', '"think":false'),
    ],
)
def test_thinking_is_forced_off_in_the_clients_form(dialect: str, model: str, before: str, after: str) -> None:
    out, told = splice(ReasoningPolicy(FORCE, "none"), dialect, _body(before), model=model)
    assert out == _body(after)
    assert told.applied == "none"


def test_force_without_an_effort_takes_every_wish_out() -> None:
    body = _body('"reasoning_effort":"high","reasoning":{"effort":"low"},"y":2')
    out, told = splice(ReasoningPolicy(FORCE), "openai", body, model="gpt-5.2")
    assert out == _body('"y":2').replace(b', "y"', b',"y"')
    assert (told.requested, told.applied) == ("high", None)


@pytest.mark.parametrize(
    "fields",
    [
        '"max_tokens":9000,"temperature":0.5',
        '"max_tokens":9000,"tool_choice":{"type":"any"}',
        '"max_tokens":1000',
    ],
)
def test_thinking_is_not_switched_on_where_anthropic_would_refuse_the_request(fields: str) -> None:
    out, told = splice(ReasoningPolicy(FILL, "high"), "anthropic", _body(fields), model="claude-sonnet-4-5")
    assert out == _body(fields)
    assert (told.applied, told.changed) == (None, False)


def test_nor_within_a_tool_loop_without_thoughts() -> None:
    body = (
        b'{"max_tokens":9000,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f",'
        b'"input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]}]}'
    )
    assert splice(ReasoningPolicy(FILL, "high"), "anthropic", body, model="claude-sonnet-4-5")[0] == body


def test_an_idle_policy_does_not_even_read_the_body() -> None:
    assert splice(ReasoningPolicy(FILL), "openai", b"not json", model="m")[0] == b"not json"


def test_the_larger_of_two_members_of_a_name_can_not_get_round_a_cap() -> None:
    out, _ = splice(
        ReasoningPolicy(CAP, None, "low"), "openai", b'{"reasoning_effort":"max","reasoning_effort":"high"}', model="m"
    )
    assert out == b'{"reasoning_effort":"low","reasoning_effort":"low"}'


_CASES = st.sampled_from(
    [
        ("openai", "gpt-5.2", '"reasoning_effort":"%s"'),
        ("openai", "x", '"reasoning":{"effort":"%s"}'),
        ("openai_responses", "gpt-5.2", '"reasoning":{"effort":"%s"}'),
        ("anthropic", "claude-opus-4-7", '"output_config":{"effort":"%s"}'),
        ("ollama", "gpt-oss", '"think":"%s"'),
    ]
)


@given(_CASES, st.sampled_from(RANKS), st.sampled_from(RANKS[1:]))
def test_a_cap_never_raises_and_touches_one_value(case: tuple[str, str, str], asked: str, maximum: str) -> None:
    dialect, model, form = case
    body = _body(form % asked)
    out, told = splice(ReasoningPolicy(CAP, None, maximum), dialect, body, model=model)
    assert told.applied is not None
    assert rank(told.applied) <= rank(asked)
    assert out == _body(form % told.applied)


@given(st.sampled_from(sorted(FIELDS)), st.sampled_from(ReasoningMode), st.sampled_from([None, *RANKS]))
def test_no_value_of_any_type_breaks_a_policy(dialect: str, mode: ReasoningMode, effort: str | None) -> None:
    junk: list[Any] = [None, 1, -5, 1.5, "x", True, [], {}, [1], {"type": 3, "effort": [], "budget_tokens": "y"}]
    tops = sorted({place[0] for place, _ in FIELDS[dialect]})
    for value in junk:
        body = stdlib.dumps({**dict.fromkeys(tops, value), "messages": value}).encode()
        out, _ = splice(ReasoningPolicy(mode, effort, effort), dialect, body, model="claude-sonnet-4-5")
        stdlib.loads(out)
