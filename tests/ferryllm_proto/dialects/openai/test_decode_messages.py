"""Messages to turns."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import ir, opaque
from ferryllm_proto.dialects.openai import DIALECT


def decode(*messages: dict[str, Any]) -> ir.Request:
    return DIALECT.decode_request(json.dumps({"model": "m", "messages": messages}).encode())


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}


def test_c1_content_of_every_form_for_every_role() -> None:
    for content in ("x", [{"type": "text", "text": "x"}]):
        request = decode(
            {"role": "system", "content": content},
            {"role": "user", "content": content},
            {"role": "assistant", "content": content, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": content},
        )
        assert [text.text for text in request.system] == ["x"]
        user, assistant, tool = request.turns
        assert isinstance(user.parts[0], ir.Text)
        assert isinstance(assistant.parts[0], ir.Text)
        assert isinstance(tool.parts[0], ir.ToolResult)
        (text,) = tool.parts[0].parts
        assert isinstance(text, ir.Text)
        assert text.text == "x"
    empty = decode({"role": "user", "content": None}, {"role": "user"}, {"role": "assistant", "tool_calls": [CALL]})
    assert [len(turn.parts) for turn in empty.turns] == [0, 0, 1]


def test_c2_leading_instructions_and_later_ones_in_place() -> None:
    request = decode(
        {"role": "system", "content": "a"},
        {"role": "developer", "content": [{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]},
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "later"},
    )
    assert [text.text for text in request.system] == ["a", "b", "c"]
    assert [text.path for text in request.system] == [
        "messages[0].content",
        "messages[1].content[0]",
        "messages[1].content[1]",
    ]
    assert [turn.role for turn in request.turns] == [ir.Role.USER, ir.Role.SYSTEM]


def test_c3_consecutive_tool_messages_are_one_turn_and_may_hold_images() -> None:
    request = decode(
        {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        {
            "role": "tool",
            "tool_call_id": "call_2",
            "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}],
        },
        {"role": "user", "content": "go on"},
    )
    assert [turn.role for turn in request.turns] == [ir.Role.ASSISTANT, ir.Role.USER, ir.Role.USER]
    first, second = request.turns[1].parts
    assert isinstance(first, ir.ToolResult)
    assert isinstance(second, ir.ToolResult)
    assert (first.id, second.id, second.path) == ("call_1", "call_2", "messages[2]")
    assert isinstance(second.parts[0], ir.Image)


def test_c4_text_before_calls_and_arguments_of_every_kind() -> None:
    request = decode(
        {
            "role": "assistant",
            "content": "t",
            "tool_calls": [
                CALL,
                {"id": "2", "function": {"name": "f", "arguments": ""}},
                {"id": "3", "function": {"name": "f", "arguments": {"b": 1}}},
                {"id": "4", "function": {"name": "f", "arguments": "{broken"}},
                {"id": "5", "type": "custom", "custom": {"name": "c", "input": "raw"}},
            ],
        }
    )
    text, *calls = request.turns[0].parts
    assert isinstance(text, ir.Text)
    assert [c.arguments for c in calls if isinstance(c, ir.ToolCall)] == ['{"a": 1}', "", '{"b": 1}', "{broken", "raw"]
    assert isinstance(calls[-1], ir.ToolCall)
    assert calls[-1].kind is ir.ToolKind.CUSTOM


def test_c5_reasoning_of_every_vendor() -> None:
    for key in ("reasoning_content", "reasoning"):
        request = decode({"role": "assistant", key: "thought", "content": "x"})
        assert request.turns[0].parts[0] == ir.Reasoning("thought", path=f"messages[0].{key}")
    details = [{"type": "reasoning.text", "text": "t", "signature": "s"}]
    (part, _) = (
        decode({"role": "assistant", "reasoning": "t", "reasoning_details": details, "content": "x"}).turns[0].parts
    )
    assert isinstance(part, ir.Reasoning)
    assert part.text == "t"  # once, not doubled
    assert [o.kind for o in part.opaque] == [ir.OpaqueKind.DETAILS]
    assert json.loads(part.opaque[0].data) == details[0]
    listed = decode(
        {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]}
    )
    assert listed.turns[0].parts == (ir.Reasoning("m", path="messages[0].content[0]"),)


def test_c5_an_envelope_becomes_what_it_holds_and_a_damaged_one_nothing() -> None:
    signature = ir.Opaque("anthropic", "claude", ir.OpaqueKind.SIGNATURE, "sig")
    token = opaque.wrap(signature)
    entries = [{"type": "reasoning.text", "text": "why", "signature": token}]
    request = decode({"role": "assistant", "reasoning_content": "why", "reasoning_details": entries, "content": "x"})
    assert request.turns[0].parts[0] == ir.Reasoning(
        "why", opaque=(signature,), path="messages[0].reasoning_details[0]"
    )
    entries[0]["signature"] = token[:-2] + "zz"
    request = decode({"role": "assistant", "reasoning_content": "why", "reasoning_details": entries, "content": "x"})
    assert request.turns[0].parts[0] == ir.Reasoning("why", path="messages[0].reasoning_content")


def test_c5_thought_signature_of_a_call() -> None:
    google = {"google": {"thought_signature": "ts"}}
    request = decode({"role": "assistant", "tool_calls": [{**CALL, "extra_content": google}]})
    (call,) = request.turns[0].parts
    assert isinstance(call, ir.ToolCall)
    assert call.opaque == (ir.Opaque("gemini", "m", ir.OpaqueKind.THOUGHT_SIGNATURE, "ts"),)
    odd = decode({"role": "assistant", "tool_calls": [{**CALL, "extra_content": {"x": 1}}]}).turns[0].parts[0]
    assert isinstance(odd, ir.ToolCall)
    assert odd.ext == ir.Ext("openai", {"extra_content": b'{"x": 1}'})


def test_c11_function_call_and_its_result_get_one_id() -> None:
    request = decode(
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "r"},
    )
    (call,), (result,) = request.turns[0].parts, request.turns[1].parts
    assert isinstance(call, ir.ToolCall)
    assert isinstance(result, ir.ToolResult)
    assert call.id == result.id != ""


def test_c14_names_and_unknown_fields_of_messages() -> None:
    request = decode(
        {"role": "system", "content": "s", "name": "boss", "x": 1},
        {"role": "user", "content": "hi", "name": "bob", "x": 1},
        {"role": "assistant", "content": "yo", "prefix": True},
    )
    assert request.system[0].ext == ir.Ext("openai", {"message.x": b"1", "message.name": b'"boss"'})
    assert (request.turns[0].name, request.turns[0].ext) == ("bob", ir.Ext("openai", {"x": b"1"}))
    assert request.turns[1].ext == ir.Ext("openai", {"prefix": b"true"})


def test_refusal_annotations_and_a_mark_on_the_message() -> None:
    request = decode(
        {"role": "assistant", "content": "x", "refusal": "no", "annotations": [{"type": "url_citation"}]},
        {"role": "user", "content": "y", "cache_control": {"type": "ephemeral"}},
    )
    text, refusal = request.turns[0].parts
    assert isinstance(text, ir.Text)
    assert text.citations == (b'{"type": "url_citation"}',)
    assert refusal == ir.Refusal("no", "messages[0].refusal")
    user = request.turns[1].parts[0]
    assert isinstance(user, ir.Text)
    assert user.cache == ir.CacheMark()


def test_fields_of_another_role_are_kept_as_unknown() -> None:
    request = decode({"role": "user", "content": "x", "tool_call_id": "i", "reasoning": "r"})
    assert request.turns[0].ext == ir.Ext("openai", {"tool_call_id": b'"i"', "reasoning": b'"r"'})
