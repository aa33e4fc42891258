"""Parameters: mapped, degraded, dropped or refused, never lost."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Loss

TURNS = (ir.Turn(ir.Role.USER, (ir.Text("hi"),)),)


def encode(model: str = "llama", dialect: str = "anthropic", **fields: Any) -> tuple[dict[str, Any], list[Loss]]:
    upstream, losses = DIALECT.encode_request(ir.Request(dialect, "m", TURNS, **fields), model=model)
    body = json.loads(upstream.body)
    del body["messages"]
    assert body.pop("model") == model
    return body, losses


def dropped(losses: list[Loss]) -> list[str]:
    return [f"{loss.disposition.value} {loss.path}" for loss in losses]


def test_a32_the_name_of_max_tokens() -> None:
    assert encode(max_output=5)[0] == {"max_tokens": 5}
    assert encode("gpt-5", max_output=5)[0] == {"max_completion_tokens": 5}


def test_a33_stop_is_an_array_and_too_many_are_refused_where_the_limit_is_known() -> None:
    assert encode(stop=("a",))[0] == {"stop": ["a"]}
    five = tuple("abcde")
    assert encode(stop=five)[0] == {"stop": list(five)}
    with pytest.raises(RemoteProtocolError, match="stop_sequences"):
        encode("gpt-4o", stop=five, names={"stop": "stop_sequences"})


def test_a34_sampling_by_model() -> None:
    body, losses = encode("gpt-5", temperature=0.5, top_p=0.9, top_k=3)
    assert body == {}
    assert dropped(losses) == ["dropped temperature", "dropped top_p", "dropped top_k"]
    assert encode("gpt-5", temperature=1)[0] == {"temperature": 1}
    assert encode(temperature=0.7, top_p=0.9)[0] == {"temperature": 0.7, "top_p": 0.9}


@pytest.mark.parametrize(
    ("model", "params", "effort", "losses"),
    [
        ("gpt-5.4", ir.ReasoningParams(effort="xhigh"), "xhigh", []),
        ("llama", ir.ReasoningParams(effort="xhigh"), "high", ["degraded thinking"]),
        ("llama", ir.ReasoningParams(effort="minimal"), "low", ["degraded thinking"]),
        ("llama", ir.ReasoningParams(ir.ThinkingMode.ON, budget=1024), "low", ["degraded thinking"]),
        ("gpt-5", ir.ReasoningParams(ir.ThinkingMode.ON, budget=1024), "minimal", ["degraded thinking"]),
        ("gpt-5", ir.ReasoningParams(budget=4096), "low", ["degraded thinking"]),
        ("gpt-5", ir.ReasoningParams(budget=8192), "medium", ["degraded thinking"]),
        ("gpt-5", ir.ReasoningParams(budget=16384), "high", ["degraded thinking"]),
        ("gpt-5.4", ir.ReasoningParams(budget=100_000), "xhigh", ["degraded thinking"]),
        ("gpt-5", ir.ReasoningParams(budget=100_000), "high", ["degraded thinking"]),
        ("gpt-5", ir.ReasoningParams(ir.ThinkingMode.OFF), "minimal", ["degraded thinking"]),
        ("gpt-5.4", ir.ReasoningParams(ir.ThinkingMode.OFF, "high"), "none", ["dropped thinking"]),
        ("llama", ir.ReasoningParams(ir.ThinkingMode.OFF), None, ["dropped thinking"]),
        ("gpt-4o", ir.ReasoningParams(effort="high"), None, ["dropped thinking"]),
        ("gpt-4o", ir.ReasoningParams(ir.ThinkingMode.OFF), None, []),
        ("llama", ir.ReasoningParams(ir.ThinkingMode.ADAPTIVE), None, []),
        ("llama", ir.ReasoningParams(show="summary"), None, ["dropped thinking"]),
        ("llama", ir.ReasoningParams(ir.ThinkingMode.BETWEEN_TOOLS), None, ["degraded thinking"]),
    ],
)
def test_a35_effort(model: str, params: ir.ReasoningParams, effort: str | None, losses: list[str]) -> None:
    body, found = encode(model, reasoning=params, names={"reasoning": "thinking"})
    assert body.get("reasoning_effort") == effort
    assert dropped(found) == losses


CLOSED = b'{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}'
OPEN = b'{"type":"object","properties":{"a":{"type":"string"}}}'


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        (OPEN, False),
        (b'{"type":"array","items":%b}' % OPEN, False),
        (b'{"type":"array","items":%b}' % CLOSED, True),
        (b'{"type":"object"}', False),
        (CLOSED.replace(b'"required":["a"]', b'"required":[]'), False),
    ],
)
def test_a36_strict_only_for_closed_schemas(schema: bytes, strict: bool) -> None:
    body, _ = encode(format=ir.Format(ir.FormatKind.JSON_SCHEMA, schema=schema))
    sent = body["response_format"]
    assert sent == {
        "type": "json_schema",
        "json_schema": {"name": "response", "schema": json.loads(schema), "strict": strict},
    }


def test_a36_the_clients_own_strict_stays_and_text_is_not_said() -> None:
    format_ = ir.Format(ir.FormatKind.JSON_SCHEMA, "n", OPEN, True, "d")
    assert encode(format=format_)[0]["response_format"]["json_schema"]["strict"] is True
    assert encode(format=ir.Format(ir.FormatKind.TEXT))[0] == {}
    assert encode(format=ir.Format(ir.FormatKind.JSON_OBJECT))[0] == {"response_format": {"type": "json_object"}}


@pytest.mark.parametrize(
    "fields", [{"n": 2}, {"previous_id": "r"}, {"conversation": b'"c"'}, {"background": True}], ids=str
)
def test_g5_contract_fields_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        encode(dialect="openai_responses", **fields)
    assert caught.value.status_hint == 400
    assert caught.value.error.param == next(iter(fields))


def test_c13_fields_of_openai_go_to_openai_only() -> None:
    fields: dict[str, Any] = {
        "verbosity": "low",
        "service_tier": "flex",
        "cache_key": "k",
        "cache_retention": "24h",
        "safety_id": "s",
        "metadata": b'{"a":"b"}',
    }
    body, losses = encode("gpt-5", "openai_responses", **fields)
    assert body == {
        "verbosity": "low",
        "service_tier": "flex",
        "prompt_cache_key": "k",
        "prompt_cache_retention": "24h",
        "safety_identifier": "s",
        "metadata": {"a": "b"},
    }
    assert losses == []
    body, losses = encode("llama", "openai_responses", **fields)
    assert body == {}
    assert len(losses) == len(fields)
    assert encode("gpt-5", service_tier="standard_only")[0] == {"service_tier": "default"}


def test_a37_a_long_user_is_hashed_alike_each_time() -> None:
    body, losses = encode(user="u" * 500, names={"user": "metadata.user_id"})
    assert body == encode(user="u" * 500)[0]
    assert len(body["user"]) <= 128
    assert dropped(losses) == ["degraded metadata.user_id"]
    assert encode(user="bob")[0] == {"user": "bob"}


def test_r10_r12_r16_state_and_include() -> None:
    body, losses = encode(
        dialect="openai_responses",
        store=True,
        truncation="auto",
        include=("reasoning.encrypted_content", "message.output_text.logprobs"),
        top_logprobs=2,
    )
    assert body == {"logprobs": True, "top_logprobs": 2}
    assert dropped(losses) == [
        "dropped include[0]",
        "dropped store",
        "dropped truncation",
    ]
    assert encode(store=False, truncation="disabled")[1] == []


def test_u6_usage_is_always_asked_for_in_a_stream() -> None:
    assert encode(stream=True)[0] == {"stream": True, "stream_options": {"include_usage": True}}


def test_c13_knobs_chat_has() -> None:
    fields: dict[str, Any] = {"seed": 1, "presence_penalty": 0.5, "frequency_penalty": 0.25, "logprobs": True}
    body, losses = encode(logit_bias=b'{"5": 1}', **fields)
    assert body == {**fields, "logit_bias": {"5": 1}}
    assert losses == []
