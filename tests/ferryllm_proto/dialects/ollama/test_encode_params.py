"""Parameters of other dialects: said, moved, reported or refused, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.errors import RemoteProtocolError

from .build import encoded, foreign, paths, request, user


def said(**fields: Any) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    body, losses = encoded(foreign(**fields))
    return {name: value for name, value in body.items() if name not in ("model", "messages")}, paths(losses)


def refused(**fields: Any) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        encoded(foreign(**fields))
    assert caught.value.error.code == "unsupported_parameter"
    return str(caught.value)


def test_b24_a32_a33_options() -> None:
    fields = {"temperature": 0.7, "top_p": 1, "top_k": 3, "seed": 1, "presence_penalty": 1, "frequency_penalty": 0.5}
    body, losses = said(**fields, max_output=9, stop=("a", "b"))
    assert body == {"options": {**fields, "num_predict": 9, "stop": ["a", "b"]}, "stream": False}
    assert losses == []


def test_the_stream_is_always_said() -> None:
    assert said(stream=True)[0] == {"stream": True}
    assert said()[0] == {"stream": False}


THINK: list[tuple[str, dict[str, Any], object, list[tuple[str, str]]]] = [
    ("qwen3", {"mode": ir.ThinkingMode.ON}, True, []),
    ("qwen3", {"mode": ir.ThinkingMode.OFF}, False, []),
    ("qwen3", {"effort": "none"}, False, []),
    ("qwen3", {"budget": 0}, False, []),
    ("qwen3", {"effort": "high"}, True, [("degraded", "reasoning_effort")]),
    ("qwen3", {"mode": ir.ThinkingMode.ON, "budget": 9}, True, [("dropped", "reasoning.max_tokens")]),
    ("qwen3", {"mode": ir.ThinkingMode.BETWEEN_TOOLS}, True, [("degraded", "reasoning_effort")]),
    ("qwen3", {"show": "summary"}, None, [("dropped", "reasoning.exclude")]),
    ("gpt-oss:20b", {"effort": "high"}, "high", []),
    ("gpt-oss:20b", {"effort": "xhigh"}, "high", [("degraded", "reasoning_effort")]),
    ("gpt-oss:20b", {"effort": "strange"}, "medium", [("degraded", "reasoning_effort")]),
    ("gpt-oss:20b", {"mode": ir.ThinkingMode.ADAPTIVE}, True, []),
    ("gpt-oss:20b", {"budget": 1024}, "low", [("degraded", "reasoning.max_tokens")]),
    ("gpt-oss:20b", {"budget": 9000}, "medium", [("degraded", "reasoning.max_tokens")]),
    ("gpt-oss:20b", {"budget": 20000}, "high", [("degraded", "reasoning.max_tokens")]),
    ("llama3.2:3b", {"effort": "high"}, None, [("dropped", "reasoning_effort")]),
    ("llama3.2:3b", {"mode": ir.ThinkingMode.OFF}, None, []),
]


@pytest.mark.parametrize(("model", "params", "think", "losses"), THINK)
def test_7_4_thinking(model: str, params: dict[str, Any], think: object, losses: list[tuple[str, str]]) -> None:
    body, found = said(model=model, reasoning=ir.ReasoningParams(**params))
    assert body.get("think") == think
    assert found == losses


def test_a36_formats() -> None:
    schema = ir.Format(ir.FormatKind.JSON_SCHEMA, name="n", schema=b'{"type": "object"}', strict=True)
    assert said(format=schema) == ({"format": {"type": "object"}, "stream": False}, [("dropped", "format.name")])
    described = ir.Format(ir.FormatKind.JSON_SCHEMA, schema=b"{}", description="d")
    assert said(format=described)[1] == [("dropped", "format.description")]
    assert said(format=ir.Format(ir.FormatKind.JSON_SCHEMA))[0]["format"] == "json"
    assert said(format=ir.Format(ir.FormatKind.JSON_OBJECT))[0]["format"] == "json"
    assert "format" not in said(format=ir.Format(ir.FormatKind.TEXT))[0]


def test_token_probabilities() -> None:
    assert said(logprobs=True, top_logprobs=2)[0] == {"logprobs": True, "top_logprobs": 2, "stream": False}
    assert said(top_logprobs=2)[0] == {"logprobs": True, "top_logprobs": 2, "stream": False}
    assert said(logprobs=False, top_logprobs=0)[0] == {"logprobs": False, "stream": False}
    body, losses = said(include=("message.output_text.logprobs", "file_search_call.results"))
    assert body["logprobs"] is True
    assert losses == [("dropped", "include[1]")]


@pytest.mark.parametrize(
    ("field", "value"),
    [("n", 2), ("previous_id", "resp_1"), ("conversation", b'"c"'), ("background", True), ("max_output", 0)],
)
def test_g5_contracts_are_refused(field: str, value: object) -> None:
    assert refused(**{field: value}).startswith(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logit_bias", b'{"1":2}'),
        ("verbosity", "low"),
        ("service_tier", "flex"),
        ("cache_key", "k"),
        ("cache_retention", "24h"),
        ("metadata", b'{"a":"b"}'),
        ("user", "u"),
        ("safety_id", "s"),
        ("store", True),
    ],
)
def test_g5_knobs_are_dropped_and_reported(field: str, value: object) -> None:
    assert said(**{field: value}) == ({"stream": False}, [("dropped", field)])


def test_truncation_is_the_same_switch() -> None:
    assert said(truncation="auto")[0]["truncate"] is True
    assert said(truncation="disabled")[0]["truncate"] is False
    assert said(n=1, store=False, background=False)[0] == {"stream": False}


def test_b24_an_input_beyond_the_default_context_is_reported() -> None:
    _, losses = encoded(foreign(user("word " * 6000)))
    assert paths(losses) == [("degraded", "messages")]
    assert "4096" in losses[0].reason
    assert "num_ctx" in losses[0].reason
    assert encoded(foreign(user("word " * 1000)))[1] == []


def test_b24_a_client_of_ollama_knows_its_server() -> None:
    assert encoded(request(messages=[{"role": "user", "content": "word " * 6000}]))[1] == []


NATIVE: list[dict[str, Any]] = [
    {"options": {"temperature": 0.5, "num_ctx": 8192, "num_predict": -1, "stop": ["x"], "mirostat": 0}},
    {"think": True},
    {"think": False},
    {"think": "max"},
    {"format": ""},
    {"format": "json"},
    {"format": {"type": "object", "properties": {"b": {}, "a": {}}}},
    {"logprobs": True, "top_logprobs": 0, "keep_alive": 0, "truncate": False, "shift": True, "new": {"x": [1]}},
    {"a.b": 1, "stream": True},
]


@pytest.mark.parametrize("fields", NATIVE)
def test_g6_what_a_client_wrote_is_written_back(fields: dict[str, Any]) -> None:
    found = request(**{"stream": False, **fields})
    upstream, losses = DIALECT.encode_request(found)
    assert losses == []
    assert json.loads(upstream.body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": False,
        **fields,
    }
    assert DIALECT.decode_request(upstream.body) == request(**json.loads(upstream.body))
