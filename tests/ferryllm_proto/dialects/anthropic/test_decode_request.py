"""A Messages client's body becomes the representation, or an error that names the field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import decode_request as decoding
from ferryllm_proto.errors import RemoteProtocolError


def body(**fields: Any) -> bytes:
    base: dict[str, Any] = {"model": "claude-x", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
    return json.dumps({**base, **fields}).encode()


def decode(**fields: Any) -> ir.Request:
    return decoding.decode(body(**fields))


def refused(data: bytes) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        decoding.decode(data)
    return caught.value


def test_every_mapped_parameter_arrives() -> None:
    request = decode(
        stop_sequences=["a", "b"],
        stream=True,
        temperature=0.5,
        top_p=1,
        top_k=3,
        service_tier="auto",
        metadata={"user_id": "u"},
    )
    assert request.dialect == "anthropic"
    assert (request.stop, request.stream, request.top_k) == (("a", "b"), True, 3)
    assert (request.temperature, request.top_p, request.service_tier, request.user) == (0.5, 1, "auto", "u")
    assert request.max_output == 10
    assert request.ext is None


def test_g7_numbers_keep_their_kind() -> None:
    request = decode(temperature=1, top_p=1.0)
    assert type(request.temperature) is int
    assert type(request.top_p) is float


def test_null_parameters_are_absent() -> None:
    fields = ("stop_sequences", "stream", "temperature", "thinking", "tool_choice", "tools", "metadata", "system")
    assert decode(**dict.fromkeys(fields)) == decode()


def test_unknown_fields_are_kept_at_every_level() -> None:
    request = decode(
        container="c",
        thinking={"type": "enabled", "budget_tokens": 2000, "new": 1},
        output_config={"effort": "high", "task_budget": {"total": 5}},
        metadata={"user_id": "u", "more": True},
        tool_choice={"type": "auto", "extra": []},
        messages=[{"role": "user", "content": [{"type": "text", "text": "x", "odd": 1}], "clear_at": 2}],
    )
    assert request.ext is not None
    assert request.ext.fields == {
        "container": b'"c"',
        "thinking.new": b"1",
        "output_config.task_budget": b'{"total": 5}',
        "metadata.more": b"true",
        "tool_choice.extra": b"[]",
    }
    turn = request.turns[0]
    assert turn.ext == ir.Ext("anthropic", {"clear_at": b"2"})
    assert turn.parts[0] == ir.Text("x", path="messages[0].content[0]", ext=ir.Ext("anthropic", {"odd": b"1"}))


def test_a1_system_is_a_string_or_blocks() -> None:
    assert decode(system="be brief").system == (ir.Text("be brief", path="system"),)
    blocks = [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]
    assert decode(system=blocks).system == (
        ir.Text("a", path="system[0]"),
        ir.Text("b", path="system[1]", cache=ir.CacheMark()),
    )
    assert refused(body(system=[{"type": "image", "source": {"type": "url", "url": "u"}}])).error.param == "system[0]"


def test_a2_system_messages_stay_in_place() -> None:
    request = decode(messages=[{"role": "user", "content": "a"}, {"role": "system", "content": "b"}])
    assert [turn.role for turn in request.turns] == [ir.Role.USER, ir.Role.SYSTEM]


def test_a3_system_message_may_carry_settings_alone() -> None:
    turn = decode(messages=[{"role": "system", "output_config": {"effort": "low"}}]).turns[0]
    assert turn.parts == ()
    assert turn.ext == ir.Ext("anthropic", {"output_config": b'{"effort": "low"}'})


def test_a9_server_tools_are_kept_whole() -> None:
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    (found,) = decode(tools=[tool]).tools
    assert isinstance(found, ir.HostedTool)
    assert (found.type, found.name, found.path) == ("web_search_20250305", "web_search", "tools[0]")
    assert json.loads(found.raw) == tool


def test_a15_tool_settings_are_kept() -> None:
    (tool,) = decode(
        tools=[
            {
                "name": "f",
                "type": "custom",
                "description": "d",
                "input_schema": {"type": "object", "b": 1, "a": 2},
                "strict": True,
                "defer_loading": True,
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
            }
        ]
    ).tools
    assert tool == ir.Function(
        "f",
        description="d",
        schema=b'{"type": "object", "b": 1, "a": 2}',
        strict=True,
        cache=ir.CacheMark("1h"),
        path="tools[0]",
        ext=ir.Ext("anthropic", {"defer_loading": b"true"}),
    )


def test_empty_tools_of_claude_code_are_no_tools() -> None:
    assert decode(tools=[]).tools == ()


@pytest.mark.parametrize(
    ("choice", "mode", "parallel"),
    [
        ({"type": "auto"}, ir.ToolChoiceMode.AUTO, None),
        ({"type": "any", "disable_parallel_tool_use": True}, ir.ToolChoiceMode.REQUIRED, False),
        ({"type": "none"}, ir.ToolChoiceMode.NONE, None),
        ({"type": "tool", "name": "f", "disable_parallel_tool_use": False}, ir.ToolChoiceMode.TOOL, True),
    ],
)
def test_a11_a12_tool_choice(choice: dict[str, Any], mode: ir.ToolChoiceMode, parallel: bool | None) -> None:
    request = decode(tool_choice=choice)
    assert request.tool_choice is not None
    assert (request.tool_choice.mode, request.parallel) == (mode, parallel)
    assert request.tool_choice.names == (("f",) if "name" in choice else ())


def test_unknown_tool_choice_is_kept_for_its_own_dialect() -> None:
    choice = decode(tool_choice={"type": "next", "x": 1}).tool_choice
    assert choice == ir.ToolChoice(ir.ToolChoiceMode.HOSTED, raw=b'{"type": "next", "x": 1}')


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        (
            {"thinking": {"type": "enabled", "budget_tokens": 2048, "display": "summarized"}},
            ir.ReasoningParams(ir.ThinkingMode.ON, budget=2048, show="summary"),
        ),
        (
            {"thinking": {"type": "adaptive", "display": "omitted"}},
            ir.ReasoningParams(ir.ThinkingMode.ADAPTIVE, show="omitted"),
        ),
        ({"thinking": {"type": "between_tools"}}, ir.ReasoningParams(ir.ThinkingMode.BETWEEN_TOOLS)),
        (
            {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
            ir.ReasoningParams(ir.ThinkingMode.OFF, effort="high"),
        ),
        ({"output_config": {"effort": "max"}}, ir.ReasoningParams(effort="max")),
    ],
)
def test_a35_thinking_and_effort(fields: dict[str, Any], wanted: ir.ReasoningParams) -> None:
    assert decode(**fields).reasoning == wanted


def test_unknown_thinking_is_kept() -> None:
    request = decode(thinking={"type": "auto"})
    assert request.reasoning is None
    assert request.ext == ir.Ext("anthropic", {"thinking": b'{"type": "auto"}'})


def test_a36_structured_output_by_both_keys() -> None:
    format_ = {"type": "json_schema", "schema": {"type": "object"}}
    new, old = decode(output_config={"format": format_}), decode(output_format=format_)
    wanted = ir.Format(ir.FormatKind.JSON_SCHEMA, schema=b'{"type": "object"}')
    assert new.format == old.format == wanted
    assert (new.wire_name("format"), old.wire_name("format")) == ("output_config.format", "output_format")
    assert refused(body(output_config={"format": format_}, output_format=format_)).error.param == "output_format"


def test_a43_count_needs_no_limit() -> None:
    data = b'{"model": "m", "messages": [{"role": "user", "content": "x"}]}'
    assert decoding.decode(data, counting=True).max_output is None
    assert refused(data).error.param == "max_tokens"
    assert decoding.decode_count(decoding.encode_count(7)) == 7


def test_max_tokens_zero_warms_the_cache() -> None:
    assert decode(max_tokens=0).max_output == 0


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (body(model=""), "model"),
        (body(model=3), "model"),
        (body(max_tokens=-1), "max_tokens"),
        (body(max_tokens="10"), "max_tokens"),
        (body(max_tokens=True), "max_tokens"),
        (body(messages=[]), "messages"),
        (body(messages={}), "messages"),
        (body(messages=None), "messages"),
        (body(messages=[3]), "messages[0]"),
        (body(messages=[{"role": "tool", "content": "x"}]), "messages[0].role"),
        (body(messages=[{"content": "x"}]), "messages[0].role"),
        (body(messages=[{"role": "user"}]), "messages[0].content"),
        (body(messages=[{"role": "user", "content": None}]), "messages[0].content"),
        (body(messages=[{"role": "user", "content": 3}]), "messages[0].content"),
        (body(messages=[{"role": "user", "content": [{"type": "text", "text": 3}]}]), "messages[0].content[0].text"),
        (body(tools=[{"type": "custom"}]), "tools[0].name"),
        (body(tools=[{"name": "f", "input_schema": []}]), "tools[0].input_schema"),
        (body(tools={}), "tools"),
        (body(tool_choice={"type": "tool"}), "tool_choice.name"),
        (body(tool_choice="auto"), "tool_choice"),
        (body(thinking={"type": "enabled", "budget_tokens": "x"}), "thinking.budget_tokens"),
        (body(thinking={"type": "enabled", "budget_tokens": -1}), "thinking.budget_tokens"),
        (body(output_config={"format": {"type": "json_object"}}), "output_config.format.type"),
        (body(output_config={"format": {"type": "json_schema"}}), "output_config.format.schema"),
        (body(metadata=[]), "metadata"),
        (body(stop_sequences="x"), "stop_sequences"),
        (body(stream="yes"), "stream"),
        (body(temperature="hot"), "temperature"),
    ],
)
def test_hostile_fields_are_named(data: bytes, param: str) -> None:
    error = refused(data)
    assert error.error.param == param
    assert error.status_hint == 400
    assert str(error).startswith(param)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"model": "x"',
        b"\xff\xfe",
        b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"model": "m", "max_tokens": 1, "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "x", "in": "\xff"}]}]}',
    ],
)
def test_hostile_bodies_are_one_kind_of_error(data: bytes) -> None:
    assert refused(data).status_hint == 400


def test_s14_lone_surrogates_travel() -> None:
    data = b'{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "a\\ud83d"}]}'
    (part,) = decoding.decode(data).turns[0].parts
    assert isinstance(part, ir.Text)
    assert part.text.startswith("a")
