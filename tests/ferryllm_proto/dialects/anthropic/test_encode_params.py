"""Parameters by the model's rules: thinking, effort, sampling, structured output, labels."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.errors import RemoteProtocolError

from .build import assistant, encoded, foreign, paths, user

TOOL = ir.Function("f", schema=b'{"type":"object"}')
OLD, MIDDLE, NEW = "claude-sonnet-4-5-20250929", "claude-opus-4-6", "claude-opus-5"


def reasoning(model: str, *turns: ir.Turn, **fields: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    extra = {
        name: fields.pop(name)
        for name in ("tools", "tool_choice", "max_output", "temperature", "top_p", "top_k")
        if name in fields
    }
    request = foreign(*turns, model=model, reasoning=ir.ReasoningParams(**fields), **extra)
    body, losses = encoded(request)
    return {key: body[key] for key in ("thinking", "output_config", "temperature", "top_p", "top_k") if key in body}, (
        paths(losses)
    )


@pytest.mark.parametrize(
    ("model", "effort", "wanted", "losses"),
    [
        (NEW, "high", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, []),
        (NEW, "minimal", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}, ["degraded"]),
        (NEW, "none", {"thinking": {"type": "disabled"}}, []),
        (MIDDLE, "xhigh", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}, ["degraded"]),
        (MIDDLE, "max", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, []),
        (OLD, "low", {"thinking": {"type": "enabled", "budget_tokens": 4096}}, []),
        (OLD, "none", {"thinking": {"type": "disabled"}}, []),
        ("claude-3-5-haiku-latest", "high", {}, ["dropped"]),
        ("claude-3-5-haiku-latest", "none", {}, []),
    ],
)
def test_a35_effort(model: str, effort: str, wanted: dict[str, Any], losses: list[str]) -> None:
    body, found = reasoning(model, effort=effort)
    assert body == wanted
    assert found == [(loss, "reasoning_effort") for loss in losses]


def test_b13_the_budget_fits_under_the_limit() -> None:
    assert reasoning(OLD, effort="high", max_output=3000)[0] == {"thinking": {"type": "enabled", "budget_tokens": 2999}}
    assert reasoning(OLD, effort="high", max_output=1024) == ({}, [("dropped", "reasoning_effort")])


def test_a_budget_where_only_effort_can_be_said() -> None:
    body, losses = reasoning(NEW, mode=ir.ThinkingMode.ON, budget=10000)
    assert body == {"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}
    assert losses == [("degraded", "reasoning_effort")]


def test_a_budget_where_both_can_be_said() -> None:
    body, losses = reasoning(MIDDLE, mode=ir.ThinkingMode.ON, budget=5000)
    assert (body, losses) == ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, [])


def test_a_budget_too_small_is_raised() -> None:
    body, losses = reasoning(OLD, mode=ir.ThinkingMode.ON, budget=100)
    assert body["thinking"]["budget_tokens"] == 1024
    assert losses == [("degraded", "reasoning_effort")]


def test_summaries_are_shown_where_they_can_be() -> None:
    assert reasoning(NEW, effort="low", show="detailed")[0]["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert reasoning(NEW, mode=ir.ThinkingMode.BETWEEN_TOOLS)[0]["thinking"] == {"type": "between_tools"}
    assert reasoning(OLD, show="auto") == ({}, [("dropped", "reasoning_effort")])


@pytest.mark.parametrize("model", [OLD, NEW])
def test_forced_tools_turn_thinking_off(model: str) -> None:
    choice = ir.ToolChoice(ir.ToolChoiceMode.REQUIRED)
    body, losses = reasoning(model, effort="low", tools=(TOOL,), tool_choice=choice)
    assert body["thinking"] == {"type": "disabled"}
    assert losses == [("degraded", "reasoning_effort")]


def test_a28_a_loop_without_signed_thoughts_turns_thinking_off() -> None:
    loop = (
        user("a"),
        assistant(ir.ToolCall("t", "f", "{}")),
        user(ir.ToolResult("t", (ir.Text("x", path="m"),))),
    )
    body, losses = reasoning(OLD, *loop, effort="low", tools=(TOOL,))
    assert body["thinking"] == {"type": "disabled"}
    assert losses == [("degraded", "reasoning_effort")]
    assert reasoning(NEW, *loop, effort="low", tools=(TOOL,))[0]["thinking"] == {"type": "adaptive"}


def test_a28_a_signed_loop_goes_on_thinking() -> None:
    proof = ir.Opaque("anthropic", OLD, ir.OpaqueKind.SIGNATURE, "sig")
    loop = (
        user("a"),
        assistant(ir.Reasoning("hm", opaque=(proof,)), ir.ToolCall("t", "f", "{}")),
        user(ir.ToolResult("t", (ir.Text("x", path="m"),))),
    )
    assert reasoning(OLD, *loop, effort="low", tools=(TOOL,))[0]["thinking"]["type"] == "enabled"


def sampling(model: str, **fields: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    body, losses = encoded(foreign(model=model, **fields))
    return {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body}, paths(losses)


def test_a34_newer_models_get_no_sampling() -> None:
    assert sampling(NEW, temperature=0.2, top_k=3) == ({}, [("dropped", "temperature"), ("dropped", "top_k")])
    assert sampling(NEW, temperature=1.0, top_p=1) == ({}, [])


def test_a34_older_models_and_strangers_get_it() -> None:
    assert sampling(OLD, temperature=0.2, top_k=3) == ({"temperature": 0.2, "top_k": 3}, [])
    assert sampling("qwen3", temperature=0.2, top_p=0.5) == ({"temperature": 0.2, "top_p": 0.5}, [])


def test_c9_temperature_and_top_p_together() -> None:
    assert sampling(OLD, temperature=0.2, top_p=0.5) == ({"temperature": 0.2}, [("dropped", "top_p")])


def test_temperatures_above_one_are_clamped() -> None:
    assert sampling(OLD, temperature=1.5) == ({"temperature": 1}, [("degraded", "temperature")])


def test_b13_thinking_leaves_no_room_for_sampling() -> None:
    body, losses = reasoning(OLD, effort="low", temperature=0.3, top_p=0.97, top_k=2)
    assert "temperature" not in body
    assert body["top_p"] == 0.97
    assert losses == [("dropped", "temperature"), ("dropped", "top_k")]


def test_a36_schemas() -> None:
    format_ = ir.Format(ir.FormatKind.JSON_SCHEMA, name="n", schema=b'{"type":"object","b":1,"a":2}', strict=True)
    body, losses = encoded(foreign(format=format_))
    schema = {"type": "object", "b": 1, "a": 2, "additionalProperties": False}
    assert body["output_config"]["format"] == {"type": "json_schema", "schema": schema}
    assert paths(losses) == [("degraded", "response_format.schema"), ("dropped", "response_format.name")]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"format": ir.Format(ir.FormatKind.JSON_OBJECT)}, "response_format"),
        (
            {"format": ir.Format(ir.FormatKind.JSON_SCHEMA, schema=b"{}"), "model": "claude-3-5-haiku-latest"},
            "response_format",
        ),
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"previous_id": "resp_1"}, "previous_id"),
        ({"conversation": b'"c"'}, "conversation"),
        ({"background": True}, "background"),
        ({"stop": ("\n",)}, "stop"),
        ({"include": ("message.output_text.logprobs",)}, "include[0]"),
        ({"ext": ir.Ext("openai", {"modalities": b'["text","audio"]'})}, "modalities"),
        ({"ext": ir.Ext("openai_responses", {"prompt": b'{"id":"x"}'})}, "prompt"),
    ],
)
def test_g5_c10_contracts_are_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        encoded(foreign(**fields))
    assert caught.value.error.param == param
    assert caught.value.error.code == "unsupported_parameter"
    assert caught.value.status_hint == 400


def test_g5_knobs_are_dropped_and_reported() -> None:
    _, losses = encoded(
        foreign(
            seed=1,
            logit_bias=b"{}",
            verbosity="low",
            cache_key="k",
            cache_retention="24h",
            metadata=b"{}",
            presence_penalty=0.5,
            frequency_penalty=0,
            store=True,
            truncation="auto",
            include=("reasoning.encrypted_content", "web_search_call.results"),
            service_tier="flex",
            safety_id="s",
            user="u",
            ext=ir.Ext("openai", {"prediction": b"{}"}),
        )
    )
    assert sorted(path for _, path in paths(losses)) == [
        "cache_key",
        "cache_retention",
        "include[1]",
        "logit_bias",
        "metadata",
        "prediction",
        "presence_penalty",
        "safety_id",
        "seed",
        "service_tier",
        "store",
        "truncation",
        "verbosity",
    ]


def test_a37_the_user_is_named() -> None:
    assert encoded(foreign(user="u"))[0]["metadata"] == {"user_id": "u"}
    assert encoded(foreign(safety_id="s"))[0]["metadata"] == {"user_id": "s"}


@pytest.mark.parametrize(("tier", "wanted"), [("auto", "auto"), ("default", "standard_only")])
def test_service_tiers(tier: str, wanted: str) -> None:
    assert encoded(foreign(service_tier=tier))[0]["service_tier"] == wanted
