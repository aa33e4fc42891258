"""A Chat client's body, field by field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.errors import RemoteProtocolError


def decode(**fields: Any) -> ir.Request:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return DIALECT.decode_request(json.dumps(body).encode())


def test_every_parameter_has_its_place() -> None:
    request = decode(
        temperature=0.7,
        top_p=0.9,
        top_k=5,
        seed=2**70,
        presence_penalty=1,
        frequency_penalty=-0.5,
        logit_bias={"1": -100},
        logprobs=True,
        top_logprobs=3,
        n=2,
        verbosity="low",
        service_tier="flex",
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        metadata={"a": "b"},
        user="u",
        safety_identifier="s",
        store=False,
        parallel_tool_calls=False,
        stop=["a", "b"],
    )
    assert (request.temperature, request.top_p, request.top_k, request.seed) == (0.7, 0.9, 5, 2**70)
    assert (request.presence_penalty, request.frequency_penalty) == (1, -0.5)
    assert isinstance(request.presence_penalty, int)  # G7: 1 does not become 1.0
    assert (request.logit_bias, request.logprobs, request.top_logprobs, request.n) == (b'{"1": -100}', True, 3, 2)
    assert (request.verbosity, request.service_tier, request.cache_key) == ("low", "flex", "k")
    assert (request.cache_retention, request.metadata, request.user) == ("24h", b'{"a": "b"}', "u")
    assert (request.safety_id, request.store, request.parallel, request.stop) == ("s", False, False, ("a", "b"))
    assert request.ext is None


def test_null_is_the_same_as_absent() -> None:
    nulls = dict.fromkeys(("temperature", "tools", "tool_choice", "stop", "response_format", "stream_options", "x"))
    assert decode(**nulls) == decode()


def test_c7_max_completion_tokens_wins_over_max_tokens() -> None:
    request = decode(max_tokens=1, max_completion_tokens=2)
    assert request.max_output == 2
    assert request.wire_name("max_output") == "max_completion_tokens"
    assert request.ext is not None
    assert request.ext.fields == {"max_tokens": b"1"}
    old = decode(max_tokens=7)
    assert (old.max_output, old.wire_name("max_output")) == (7, "max_tokens")


def test_c8_one_stop_string_is_a_list_of_one() -> None:
    assert decode(stop="x").stop == ("x",)


@pytest.mark.parametrize(
    ("wire", "choice"),
    [
        ("auto", ir.ToolChoice(ir.ToolChoiceMode.AUTO)),
        ("none", ir.ToolChoice(ir.ToolChoiceMode.NONE)),
        ("required", ir.ToolChoice(ir.ToolChoiceMode.REQUIRED)),
        ("any", ir.ToolChoice(ir.ToolChoiceMode.REQUIRED, raw=b'"any"')),
        ({"type": "function", "function": {"name": "f"}}, ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",))),
        ({"function": {"name": "f"}}, ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",))),
        (
            {"type": "custom", "custom": {"name": "c"}},
            ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("c",), kind=ir.ToolKind.CUSTOM),
        ),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            ir.ToolChoice(
                ir.ToolChoiceMode.ALLOWED,
                ("f",),
                required=True,
                raw=b'{"type": "allowed_tools", "allowed_tools": '
                b'{"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}}',
            ),
        ),
        ({"type": "new"}, ir.ToolChoice(ir.ToolChoiceMode.HOSTED, raw=b'{"type": "new"}')),
    ],
)
def test_c11_tool_choice_in_every_form(wire: object, choice: ir.ToolChoice) -> None:
    assert decode(tool_choice=wire).tool_choice == choice


def test_c11_functions_and_function_call_are_tools_and_their_choice() -> None:
    request = decode(functions=[{"name": "f", "parameters": {"type": "object"}}], function_call={"name": "f"})
    assert request.tools == (ir.Function("f", schema=b'{"type": "object"}', path="functions[0]"),)
    assert request.tool_choice == ir.ToolChoice(ir.ToolChoiceMode.TOOL, ("f",))
    assert (request.wire_name("tools"), request.wire_name("tool_choice")) == ("functions", "function_call")


def test_tools_keep_schema_bytes_strict_and_unknown_fields() -> None:
    request = decode(
        tools=[
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"b": 1, "a": 2}, "strict": True, "x": 1},
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
                "y": 2,
            }
        ]
    )
    (tool,) = request.tools
    assert isinstance(tool, ir.Function)
    assert (tool.schema, tool.strict, tool.cache) == (b'{"b": 1, "a": 2}', True, ir.CacheMark("1h"))
    assert tool.path == "tools[0]"
    assert tool.ext == ir.Ext("openai", {"y": b"2", "function.x": b"1"})


def test_custom_and_hosted_tools() -> None:
    grammar = {"type": "grammar", "grammar": {"definition": "start: x", "syntax": "lark"}}
    request = decode(
        tools=[
            {"type": "custom", "custom": {"name": "c", "description": "d", "format": grammar}},
            {"type": "custom", "custom": {"name": "t", "format": {"type": "text"}}},
            {"type": "openrouter:web_search", "parameters": {}},
        ]
    )
    custom, text, hosted = request.tools
    assert custom == ir.Custom("c", "d", "lark", "start: x", path="tools[0]")
    assert text == ir.Custom("t", path="tools[1]")
    assert isinstance(hosted, ir.HostedTool)
    assert (hosted.dialect, hosted.type) == ("openai", "openrouter:web_search")


@pytest.mark.parametrize(
    ("fields", "params", "name"),
    [
        ({"reasoning_effort": "high"}, ir.ReasoningParams(effort="high"), "reasoning_effort"),
        (
            {"reasoning": {"effort": "low", "max_tokens": 5, "exclude": True, "enabled": True}},
            ir.ReasoningParams(ir.ThinkingMode.ON, "low", 5, "omitted"),
            "reasoning",
        ),
        ({"thinking": {"type": "disabled"}}, ir.ReasoningParams(ir.ThinkingMode.OFF), "thinking"),
    ],
)
def test_a35_reasoning_in_the_words_of_each_vendor(
    fields: dict[str, Any], params: ir.ReasoningParams, name: str
) -> None:
    request = decode(**fields)
    assert request.reasoning == params
    assert request.wire_name("reasoning") == name


def test_a_second_form_of_reasoning_and_unknown_forms_are_kept() -> None:
    request = decode(reasoning_effort="low", thinking={"type": "enabled"}, reasoning={"new": 1})
    assert request.reasoning == ir.ReasoningParams(effort="low")
    assert request.ext is not None
    assert set(request.ext.fields) == {"thinking", "reasoning"}


def test_c10_response_format() -> None:
    schema = {"name": "n", "schema": {"type": "object"}, "strict": True, "description": "d"}
    request = decode(response_format={"type": "json_schema", "json_schema": schema})
    assert request.format == ir.Format(ir.FormatKind.JSON_SCHEMA, "n", b'{"type": "object"}', True, "d")
    assert decode(response_format={"type": "json_object"}).format == ir.Format(ir.FormatKind.JSON_OBJECT)
    other = decode(response_format={"type": "grammar", "value": "x"})
    assert other.format is None
    assert other.ext is not None
    assert "response_format" in other.ext.fields


def test_stream_options() -> None:
    request = decode(stream=True, stream_options={"include_usage": True, "include_obfuscation": False})
    assert request.stream
    assert request.include_usage is True
    assert request.ext == ir.Ext("openai", {"stream_options.include_obfuscation": b"false"})


def test_c16_unknown_fields_are_kept_as_written() -> None:
    assert decode(min_p=0.50, web_search_options={}).ext == ir.Ext(
        "openai", {"min_p": b"0.5", "web_search_options": b"{}"}
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b"[]", "expected object"),
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "expected object"),
        (b'{"model":"m","messages":' + b"[" * 100_000, "nested too deeply"),
        (b'{"model":"\xff","messages":[]}', "UTF-8"),
        (b'{"messages":[]}', "model: this field is required"),
        (b'{"model":"m"}', "messages: this field is required"),
        (b'{"model":1,"messages":[]}', "model: expected string"),
        (b'{"model":"m","messages":{}}', "messages"),
        (b'{"model":"m","messages":[1]}', "messages[0]"),
        (b'{"model":"m","messages":[{"role":"x"}]}', "messages[0].role"),
        (b'{"model":"m","messages":[{"role":"user","content":1}]}', "messages[0].content: expected a string"),
        (b'{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":1}]}]}', "content[0].text"),
        (b'{"model":"m","messages":[{"role":"user","content":[{"text":"x"}]}]}', "content[0].type"),
        (b'{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{}}]}]}', "content[0].file"),
        (b'{"model":"m","messages":[{"role":"tool","content":"x"}]}', "messages[0].tool_call_id"),
        (b'{"model":"m","messages":[{"role":"assistant","tool_calls":[{}]}]}', "messages[0].tool_calls[0]"),
        (
            b'{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":1}}]}]}',
            "messages[0].tool_calls[0].function.arguments",
        ),
        (b'{"model":"m","messages":[],"tools":[{"type":"function"}]}', "tools[0].function"),
        (b'{"model":"m","messages":[],"tools":[{"type":"custom"}]}', "tools[0].custom"),
        (b'{"model":"m","messages":[],"tools":{}}', "tools"),
        (b'{"model":"m","messages":[],"tool_choice":"x"}', "tool_choice"),
        (b'{"model":"m","messages":[],"tool_choice":1}', "tool_choice"),
        (b'{"model":"m","messages":[],"tool_choice":{"allowed_tools":{"mode":"auto","tools":[{}]}}}', "allowed_tools"),
        (b'{"model":"m","messages":[],"temperature":"0.7"}', "temperature"),
        (b'{"model":"m","messages":[],"max_tokens":-0.5}', "max_tokens"),
        (b'{"model":"m","messages":[],"stream_options":1}', "stream_options"),
    ],
)
def test_hostile_bodies_are_named_and_never_crash(body: bytes, message: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        DIALECT.decode_request(body)
    assert message in str(caught.value)
    assert caught.value.status_hint == 400


def test_s14_lone_surrogates_travel_through() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"a\\ud83d"}]}'
    upstream, _ = DIALECT.encode_request(DIALECT.decode_request(body))
    assert b'"a\\ud83d"' in upstream.body
