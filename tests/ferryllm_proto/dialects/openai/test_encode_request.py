"""The whole request: tools, native round trips, headers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.loss import Loss

TURNS = (ir.Turn(ir.Role.USER, (ir.Text("hi"),)),)
F = ir.Function("f", "d", b'{"type":"object","properties":{}}')
G = ir.Function("g")


def encode(model: str = "llama", dialect: str = "anthropic", **fields: Any) -> tuple[dict[str, Any], list[Loss]]:
    upstream, losses = DIALECT.encode_request(ir.Request(dialect, "m", TURNS, **fields), model=model)
    body: dict[str, Any] = json.loads(upstream.body)
    return body, losses


def test_a8_b3_schemas_stay_and_missing_ones_are_empty_objects() -> None:
    bare = ir.Function("h", schema=b'{"type":"object","additionalProperties":false}')
    body, _ = encode(tools=(F, G, bare))
    assert [tool["function"]["parameters"] for tool in body["tools"]] == [
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}},
        {"type": "object", "additionalProperties": False, "properties": {}},
    ]


def test_g10_schema_bytes_are_not_reordered() -> None:
    schema = b'{"type":"object","properties":{"z":{"maximum":9007199254740993},"a":{}},"$schema":"x"}'
    request = ir.Request("anthropic", "m", TURNS, tools=(ir.Function("f", schema=schema),))
    assert schema in DIALECT.encode_request(request)[0].body


def test_r5_freeform_tools_become_functions_with_the_grammar_in_words() -> None:
    custom = ir.Custom("apply_patch", "Edits.", "lark", "start: X", path="tools[0]")
    body, losses = encode(dialect="openai_responses", tools=(custom,))
    function = body["tools"][0]["function"]
    assert list(function["parameters"]["properties"]) == ["input"]
    assert "start: X" in function["description"]
    assert [str(loss).split(":")[0] for loss in losses] == ["degraded tools[0]"]


def test_a9_a10_without_tools_there_is_no_choice_and_no_parallel() -> None:
    hosted = ir.HostedTool("anthropic", "web_search_20250305", b"{}", path="tools[0]")
    body, losses = encode(tools=(hosted,), tool_choice=ir.ToolChoice(ir.ToolChoiceMode.AUTO), parallel=False)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(body)
    assert [loss.path for loss in losses] == ["tools[0]"]


def test_a11_a12_choice_and_parallel() -> None:
    choice = ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",))
    body, _ = encode(tools=(F,), tool_choice=choice, parallel=False)
    assert body["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    assert body["parallel_tool_calls"] is False
    body, _ = encode(tools=(F,), tool_choice=ir.ToolChoice(ir.ToolChoiceMode.REQUIRED), parallel=True)
    assert body["tool_choice"] == "required"
    assert "parallel_tool_calls" not in body  # the default, which some servers refuse to be told


def test_allowed_tools_are_said_to_openai_and_done_elsewhere() -> None:
    choice = ir.ToolChoice(ir.ToolChoiceMode.ALLOWED, ("g",), required=True)
    body, losses = encode("gpt-5", tools=(F, G), tool_choice=choice)
    assert body["tool_choice"]["allowed_tools"]["tools"] == [{"type": "function", "function": {"name": "g"}}]
    assert losses == []
    body, losses = encode("llama", tools=(F, G), tool_choice=choice)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == "required"
    assert [loss.path for loss in losses] == ["tool_choice"]


def test_g3_foreign_unknown_fields_are_reported() -> None:
    _, losses = encode(ext=ir.Ext("anthropic", {"context_management": b"{}"}))
    assert [str(loss).split(":")[0] for loss in losses] == ["dropped context_management"]


def test_losses_survive_a_refusal_as_the_named_field() -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        encode(top_k=1, n=3)
    assert caught.value.error.param == "n"


def test_headers_of_the_same_dialect_only() -> None:
    headers = (("OpenAI-Beta", "x"), ("authorization", "secret"), ("anthropic-beta", "y"))
    native, _ = DIALECT.encode_request(ir.Request("openai", "m", TURNS), headers=headers)
    foreign, _ = DIALECT.encode_request(ir.Request("anthropic", "m", TURNS), headers=headers)
    assert ("OpenAI-Beta", "x") in native.headers
    assert {name for name, _ in foreign.headers} == {"content-type", "accept"}
    assert "secret" not in str(native.headers)
    assert (native.method, native.path, native.query, native.stream) == ("POST", "/v1/chat/completions", "", False)


NATIVE: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s", "name": "boss", "cache_control": {"type": "ephemeral"}},
        {"role": "system", "content": [{"type": "text", "text": "a", "x": 1}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "q", "name": "bob", "z": [1]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low", "x": 1}},
                {"type": "image_url", "image_url": "https://x"},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "f"}},
                {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
                {"type": "video_url", "video_url": {"url": "v"}},
            ],
        },
        {
            "role": "assistant",
            "content": "t",
            "reasoning": "r",
            "reasoning_details": [{"type": "reasoning.text", "text": "r", "signature": "s", "index": 0}],
            "refusal": "no",
            "annotations": [{"type": "url_citation", "url_citation": {"url": "u"}}],
            "prefix": True,
            "tool_calls": [
                {"id": "functions.f:0", "type": "function", "function": {"name": "bad name!", "arguments": "{x"}},
                {"id": "2", "type": "custom", "custom": {"name": "c", "input": "i"}},
            ],
        },
        {"role": "tool", "tool_call_id": "functions.f:0", "content": "out", "name": "f"},
        {"role": "tool", "tool_call_id": "2", "content": [{"type": "text", "text": "x"}]},
        {"role": "developer", "content": "later"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "f", "parameters": {}, "strict": False, "x": 1}, "y": 1},
        {
            "type": "custom",
            "custom": {"name": "c", "format": {"type": "grammar", "grammar": {"definition": "d", "syntax": "regex"}}},
        },
        {"type": "hosted", "z": 1},
    ],
    "functions": [{"name": "old", "parameters": {}}],
    "tool_choice": {"type": "hosted"},
    "parallel_tool_calls": True,
    "stream": True,
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": {"type": "object"}, "w": 1},
        "v": 2,
    },
    "reasoning": {"effort": "low", "exclude": False},
    "max_tokens": 5,
    "n": 2,
    "stop": ["a"],
    "logit_bias": {"1": 2},
    "metadata": {"k": "v"},
    "min_p": 0.1,
    "a.dotted.name": 1,
    "modalities": ["text", "audio"],
}


def test_g6_a_native_request_survives_whole() -> None:
    request = DIALECT.decode_request(json.dumps(NATIVE).encode())
    upstream, losses = DIALECT.encode_request(request)
    assert losses == []
    assert DIALECT.decode_request(upstream.body) == request
    assert json.loads(upstream.body) == NATIVE


def test_native_request_takes_the_providers_name_of_the_model() -> None:
    request = DIALECT.decode_request(json.dumps(NATIVE).encode())
    upstream, _ = DIALECT.encode_request(request, model="other")
    assert json.loads(upstream.body)["model"] == "other"
    assert json.loads(upstream.body)["messages"][4]["reasoning_details"]
