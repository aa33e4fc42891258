"""Conversations of other dialects as messages, and those of this one written back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.ollama import DIALECT

from .build import assistant, encoded, foreign, messages, paths, request, user

PNG = ir.Image(ir.Source(ir.SourceKind.BASE64, "QUJD", "image/png"), path="messages[0].content[1]")
SIGNED = ir.Opaque("anthropic", "c", ir.OpaqueKind.SIGNATURE, "s")


def result(id_: str, *parts: ir.Part, **fields: Any) -> ir.ToolResult:
    return ir.ToolResult(id_, parts, path="messages[2]", **fields)


def test_system_texts_are_one_message() -> None:
    found = foreign(system=(ir.Text("a"), ir.Text(""), ir.Text("b")))
    body, losses = encoded(found)
    assert body["messages"][0] == {"role": "system", "content": "a\n\nb"}
    assert losses == []


def test_a2_later_instructions_are_a_marked_text_of_the_user() -> None:
    note = ir.Turn(ir.Role.SYSTEM, (ir.Text("mind", path="messages[1].content"),), path="messages[1]")
    found, losses = messages(user("hi"), note, ir.Turn(ir.Role.SYSTEM, (), path="messages[2]"))
    assert found[1] == {"role": "user", "content": "<system-reminder>\nmind\n</system-reminder>"}
    assert len(found) == 2
    assert losses == [("degraded", "messages[1]")]


def test_g8_texts_are_joined_without_anything_between_them() -> None:
    found, losses = messages(user("a", "b"))
    assert found == [{"role": "user", "content": "ab"}]
    assert losses == [("degraded", "messages[0].content[1]")]


def test_b24_images_are_bare_base64_before_the_text() -> None:
    found, losses = messages(user("a", PNG, PNG))
    assert found == [{"role": "user", "content": "a", "images": ["QUJD", "QUJD"]}]
    assert losses == [("degraded", "messages[0].content[1]")]
    assert messages(user(PNG))[0] == [{"role": "user", "content": "", "images": ["QUJD"]}]


def test_b24_calls_and_results_pair_by_order_id_and_name() -> None:
    found, losses = messages(
        user("hi"),
        assistant("x", ir.ToolCall("a b", "f", '{"k": 1.0}'), ir.ToolCall("2", "f", "")),
        user(result("2", ir.Text("two")), result("a b", ir.Text("one"), is_error=True), "and now?", path="messages[2]"),
    )
    call, one, two, rest = found[1:]
    assert call["content"] == "x"
    assert call["tool_calls"][0]["function"] == {"name": "f", "arguments": {"k": 1.0}}
    assert call["tool_calls"][1] == {"id": "2", "function": {"name": "f", "arguments": {}}}
    fitted = call["tool_calls"][0]["id"]
    assert one == {"role": "tool", "content": "[error] one", "tool_name": "f", "tool_call_id": fitted}
    assert two == {"role": "tool", "content": "two", "tool_name": "f", "tool_call_id": "2"}
    assert rest == {"role": "user", "content": "and now?"}
    assert ("degraded", "messages[2].is_error") in losses


def test_a17_a_missing_result_is_a_placeholder_and_an_orphan_is_text() -> None:
    found, losses = messages(
        assistant(ir.ToolCall("1", "f", "{}")), user(result("9", ir.Text("late")), path="messages[2]")
    )
    assert found[1]["content"] == "[error] [no result]"
    assert found[2]["content"] == "[result of tool call 9]late"
    assert losses


def test_7_3_arguments_that_are_no_object_go_along_as_text() -> None:
    found, losses = messages(assistant(ir.ToolCall("1", "f", '{"a', path="messages[1].tool_calls[0]")))
    assert found[0]["tool_calls"][0]["function"]["arguments"] == {"_raw": '{"a'}
    assert ("degraded", "messages[1].tool_calls[0]") in losses


def test_images_of_results_stay_with_them() -> None:
    found, _ = messages(
        assistant(ir.ToolCall("1", "f", "{}")), user(result("1", ir.Text("see"), PNG), path="messages[2]")
    )
    assert found[1] == {"role": "tool", "content": "see", "images": ["QUJD"], "tool_name": "f", "tool_call_id": "1"}


def test_thoughts_go_back_unless_they_are_another_providers() -> None:
    own, proven = ir.Reasoning("mine", path="a"), ir.Reasoning("theirs", opaque=(SIGNED,), path="b")
    found, losses = messages(assistant(own, proven, "x"))
    assert found[0] == {"role": "assistant", "content": "x", "thinking": "mine"}
    assert losses == [("dropped", "b")]
    assert messages(assistant(ir.Reasoning(summary=("a", "b"))))[0][0]["thinking"] == "a\n\nb"


def test_text_behind_a_call_is_reported() -> None:
    found, losses = messages(assistant(ir.ToolCall("1", "f", "{}"), ir.Text("after", path="p")))
    assert found[0]["content"] == "after"
    assert ("degraded", "p") in losses


def test_a6_without_a_word_of_anybody_the_user_says_one() -> None:
    body, losses = encoded(ir.Request("openai", "m", system=(ir.Text("s"),), names={"turns": "messages"}))
    assert body["messages"] == [{"role": "system", "content": "s"}, {"role": "user", "content": "Continue."}]
    assert paths(losses) == [("degraded", "messages")]
    assert messages(user(""), assistant("x"))[0] == [{"role": "assistant", "content": "x"}]


def test_an_assistant_that_said_nothing_has_no_message() -> None:
    assert messages(user("hi"), assistant("", path="messages[1]"))[0] == [{"role": "user", "content": "hi"}]


def test_fields_of_turns_are_reported() -> None:
    turn = ir.Turn(ir.Role.ASSISTANT, (ir.Text("x"),), phase="commentary", name="bob", path="messages[1]")
    call = ir.ToolCall("1", "f", "{}", opaque=(SIGNED,), cache=ir.CacheMark(), path="messages[2].tool_calls[0]")
    _, losses = messages(user("hi"), turn, assistant(call, path="messages[2]"))
    assert [loss for loss in losses if loss[0] == "dropped"] == [
        ("dropped", "messages[1].name"),
        ("dropped", "messages[1].phase"),
        ("dropped", "messages[2].tool_calls[0].cache_control"),
        ("dropped", "messages[2].tool_calls[0]"),
    ]


HISTORIES: dict[str, list[dict[str, Any]]] = {
    "plain": [{"role": "system", "content": "s"}, {"role": "system", "content": "t"}, {"role": "user", "content": "u"}],
    "unknown": [{"role": "system", "content": "s", "x": 1}, {"role": "user", "content": "u", "y": {"z": None}}],
    "images": [{"role": "user", "content": "u", "images": ["QUJD"]}],
    "empty": [{"role": "user", "content": ""}, {"role": "assistant", "content": "", "thinking": ""}],
    "missing": [{"role": "system"}, {"role": "user"}, {"role": "assistant"}],
    "later system": [{"role": "user", "content": "u"}, {"role": "system", "content": "s"}],
    "thinking": [{"role": "assistant", "content": "a", "thinking": "t"}],
    "calls": [
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"function": {"name": "f.g h", "arguments": {"a": 1.5}, "index": 0, "new": True}, "type": "function"},
                {"id": "", "function": {"name": "g", "arguments": {}}},
                {"id": "call:1", "function": {"name": "h", "arguments": {}}, "more": "x"},
            ],
        },
        {"role": "tool", "content": "1"},
        {"role": "tool", "content": "2", "tool_name": "g"},
        {"role": "tool", "content": "3", "tool_call_id": "call:1", "x": 1},
        {"role": "tool", "content": "4", "tool_call_id": ""},
        {"role": "tool", "content": "", "tool_name": "zz", "tool_call_id": "9", "images": ["QUJD"]},
        {"role": "user", "content": "go on"},
    ],
}


@pytest.mark.parametrize("name", HISTORIES)
def test_g6_what_a_client_wrote_is_written_back(name: str) -> None:
    found = request(messages=HISTORIES[name])
    body, losses = encoded(found)
    assert body["messages"] == HISTORIES[name]
    assert losses == []
    assert DIALECT.decode_request(json.dumps(body).encode()) == found
