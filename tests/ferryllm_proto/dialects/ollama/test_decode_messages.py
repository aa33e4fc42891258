"""Messages of a client: roles, images, thinking, calls and results without ids."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.ollama import DIALECT, decode_messages
from ferryllm_proto.errors import RemoteProtocolError

from .build import request

PNG = "iVBORw0KGgoAAAANSUhEUg=="


def turns(*messages: dict[str, Any]) -> tuple[ir.Turn, ...]:
    return request(messages=list(messages)).turns


def refused(*messages: Any) -> str:
    with pytest.raises(RemoteProtocolError) as caught:
        request(messages=list(messages))
    assert caught.value.status_hint == 400
    return str(caught.value)


def test_leading_system_messages_are_the_instructions_later_ones_stay_in_place() -> None:
    found = request(
        messages=[
            {"role": "system", "content": "a"},
            {"role": "System", "content": "b"},
            {"role": "user", "content": "c"},
            {"role": "system", "content": "d"},
        ]
    )
    assert [(text.text, text.path) for text in found.system] == [
        ("a", "messages[0].content"),
        ("b", "messages[1].content"),
    ]
    assert [(turn.role, turn.path) for turn in found.turns] == [
        (ir.Role.USER, "messages[2]"),
        (ir.Role.SYSTEM, "messages[3]"),
    ]


def test_images_stand_before_the_text_and_say_what_they_are() -> None:
    (turn,) = turns(
        {"role": "user", "content": "what?", "images": [PNG, "/9j/AA==", "data:image/webp;base64,QUJD", "QUJD"]}
    )
    assert turn.parts == (
        ir.Image(ir.Source(ir.SourceKind.BASE64, PNG, "image/png"), path="messages[0].images[0]"),
        ir.Image(ir.Source(ir.SourceKind.BASE64, "/9j/AA==", "image/jpeg"), path="messages[0].images[1]"),
        ir.Image(ir.Source(ir.SourceKind.BASE64, "QUJD", "image/webp"), path="messages[0].images[2]"),
        ir.Image(ir.Source(ir.SourceKind.BASE64, "QUJD", None), path="messages[0].images[3]"),
        ir.Text("what?", path="messages[0].content"),
    )


def test_a_leading_system_message_with_images_is_a_turn() -> None:
    (turn,) = turns({"role": "system", "content": "", "images": [PNG]})
    assert turn.role is ir.Role.SYSTEM


def test_n6_calls_without_ids_pair_in_order() -> None:
    first, *results = turns(
        {
            "role": "assistant",
            "content": "",
            "thinking": "t",
            "tool_calls": [
                {"function": {"name": "f", "arguments": {"b": 1, "a": 2.0}}},
                {"id": "", "function": {"name": "f", "arguments": None}},
            ],
        },
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2", "images": [PNG]},
        {"role": "tool", "content": "3"},
    )
    thought, one, two = first.parts
    assert isinstance(one, ir.ToolCall)
    assert isinstance(two, ir.ToolCall)
    assert isinstance(thought, ir.Reasoning)
    assert (one.arguments, two.arguments) == ('{"b": 1, "a": 2.0}', "")
    assert one.id != two.id
    answers = [turn.parts[0] for turn in results]
    assert all(isinstance(answer, ir.ToolResult) for answer in answers)
    ids = [answer.id for answer in answers if isinstance(answer, ir.ToolResult)]
    assert ids[:2] == [one.id, two.id]
    assert ids[2] not in ids[:2]


def test_n6_results_find_their_call_by_id_then_by_name() -> None:
    call, *results = turns(
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "a", "function": {"name": "f"}},
                {"function": {"name": "g"}},
                {"function": {"name": "h"}},
            ],
        },
        {"role": "tool", "content": "", "tool_name": "h"},
        {"role": "tool", "content": "", "tool_call_id": "a", "tool_name": "x"},
        {"role": "tool", "content": "", "tool_name": "g"},
        {"role": "tool", "content": "", "tool_name": "unknown"},
        {"role": "tool", "content": "", "tool_call_id": "unknown"},
    )
    one, two, three = (part.id for part in call.parts if isinstance(part, ir.ToolCall))
    found = [part.id for turn in results for part in turn.parts if isinstance(part, ir.ToolResult)]
    assert found[:3] == [three, one, two]
    assert found[3].startswith("call_")
    assert found[3] not in (one, two, three)
    assert found[4] == "unknown"


def test_a14_ids_are_the_same_in_every_turn() -> None:
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
        {"role": "tool", "content": "1", "tool_name": "f"},
    ]
    later = turns(*history, {"role": "user", "content": "more"})
    assert later[:3] == turns(*history)


def test_empty_and_missing_content() -> None:
    one, two, three = turns({"role": "user", "content": ""}, {"role": "user"}, {"role": "user", "content": None})
    assert (one.parts, one.ext) == ((), None)
    assert two.ext == three.ext == ir.Ext("ollama", {".content": b"null"})


def test_unknown_and_misplaced_fields_are_kept() -> None:
    found = request(
        messages=[
            {"role": "system", "content": "s", "new": 1},
            {"role": "user", "content": "u", "new": [1], "thinking": "t", "tool_name": "n"},
            {
                "role": "assistant",
                "tool_calls": [{"type": "function", "x": 1, "function": {"name": "f", "index": 3, "y": 2}}],
            },
        ]
    )
    assert found.system[0].ext == ir.Ext("ollama", {"message.new": b"1"})
    assert found.turns[0].ext == ir.Ext("ollama", {"new": b"[1]", "thinking": b'"t"', "tool_name": b'"n"'})
    (call,) = found.turns[1].parts
    assert isinstance(call, ir.ToolCall)
    assert call.ext == ir.Ext(
        "ollama", {".type": b'"function"', "x": b"1", ".index": b"3", "function.y": b"2", ".id": b"null"}
    )


def test_no_messages_are_no_turns() -> None:
    assert request(messages=[]).turns == request(messages=None).turns == ()


def test_what_is_no_message_is_refused_with_its_place() -> None:
    assert refused({"content": "x"}) == "messages[0].role: this field is required"
    assert refused({"role": "robot"}).startswith("messages[0].role: expected system, user, assistant or tool, found")
    assert refused({"role": "user", "content": [{"type": "text"}]}).startswith("messages[0].content: expected string")
    assert refused({"role": "user", "images": "x"}).startswith("messages[0].images: expected array")
    assert refused({"role": "assistant", "tool_calls": [{}]}) == (
        "messages[0].tool_calls[0].function: this field is required"
    )
    assert refused({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}) == (
        "messages[0].tool_calls[0].function.arguments: expected an object, found string"
    )
    assert refused("x").startswith("messages[0]: expected object")


def test_g11_the_number_of_messages_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_messages, "MAX_MESSAGES", 1)
    assert refused({"role": "user"}, {"role": "user"}) == "messages: expected at most 1 messages, found 2"


def test_numbers_of_arguments_stay_as_they_were_written() -> None:
    arguments = b'{"a":1.0,"b":12345678901234567890,"a":2}'
    body = (
        b'{"model":"m","messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":%b}}]}]}'
        % arguments
    )
    (call,) = DIALECT.decode_request(body).turns[0].parts
    assert isinstance(call, ir.ToolCall)
    assert call.arguments.encode() == arguments
    upstream, _ = DIALECT.encode_request(DIALECT.decode_request(body))
    assert arguments in upstream.body
    assert json.loads(upstream.body)["messages"]
