"""translation.md B10 to B16, A2, A5, A6, A28, A37, A40: requests to Messages providers."""

from __future__ import annotations

from typing import Any

import pytest

from support.messages_client import (
    USER,
    text,
)
from support.sent import Sent


def chat(*conversation: Any, model: str | None = None, **fields: Any) -> Sent:
    return Sent("openai", "anthropic", {"model": "m", "messages": list(conversation) or [USER], **fields}, model)


def call(id_: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": "f", "arguments": arguments}}


def test_b10_roles_alternate_and_results_come_first_in_one_message() -> None:
    sent = chat(
        USER,
        USER,
        {"role": "assistant", "tool_calls": [call("a"), call("b")]},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        USER,
        tools=[{"type": "function", "function": {"name": "f"}}],
    )
    found = sent.body["messages"]
    assert [m["role"] for m in found] == ["user", "assistant", "user"]
    assert [b["type"] for b in found[2]["content"]] == ["tool_result", "tool_result", "text"]
    assert [b["tool_use_id"] for b in found[2]["content"][:2]] == ["a", "b"]


def test_a5_a_conversation_that_begins_with_the_assistant_gets_a_user_before_it() -> None:
    sent = chat({"role": "assistant", "content": "hello"}, USER)
    assert [m["role"] for m in sent.body["messages"]] == ["user", "assistant", "user"]
    assert sent.lost("messages")


def test_a6_instructions_alone_still_make_one_turn() -> None:
    sent = chat({"role": "system", "content": "be brief"})
    assert [m["role"] for m in sent.body["messages"]] == ["user"]


@pytest.mark.parametrize("arguments", ["", "{}", " "])
def test_b11_a_call_has_always_an_input(arguments: str) -> None:
    sent = chat(
        USER,
        {"role": "assistant", "tool_calls": [call("a", arguments)]},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    )
    assert sent.body["messages"][1]["content"][0]["input"] == {}


def test_b12_no_empty_texts_and_no_white_space_at_the_end() -> None:
    sent = chat(
        {"role": "user", "content": [text(""), text("  "), text("x")]},
        {"role": "assistant", "content": "Once \n"},
        model="claude-opus-4-5",
    )
    assert sent.body["messages"] == [
        {"role": "user", "content": [text("x")]},
        {"role": "assistant", "content": "Once"},
    ]
    assert sent.lost("messages[0].content[1]")
    assert sent.lost("messages[1]")


def test_b13_the_limit_is_always_sent_and_larger_than_the_budget() -> None:
    sent = chat(reasoning_effort="high", max_tokens=3000, temperature=0.5, top_k=4)
    assert sent.body["max_tokens"] == 3000
    assert sent.body["thinking"]["budget_tokens"] < 3000
    assert not sent.body.keys() & {"temperature", "top_k"}
    assert sent.lost("temperature")
    assert sent.lost("top_k")
    assert chat().body["max_tokens"] > 0


def test_b14_none_is_said() -> None:
    sent = chat(tools=[{"type": "function", "function": {"name": "f"}}], tool_choice="none")
    assert sent.body["tool_choice"] == {"type": "none"}
    assert len(sent.body["tools"]) == 1


def test_b15_tools_of_the_history_are_listed() -> None:
    sent = chat(
        USER, {"role": "assistant", "tool_calls": [call("a")]}, {"role": "tool", "tool_call_id": "a", "content": "x"}
    )
    assert [tool["name"] for tool in sent.body["tools"]] == ["f"]
    assert sent.body["tool_choice"] == {"type": "none"}
    assert sent.lost("tools")


def test_b16_formats_are_closed_without_touching_their_numbers() -> None:
    schema = (
        '{"type":"object","properties":{"a":{"type":"object"},"n":{"maximum":1.50,"minimum":12345678901234567890}}}'
    )
    format_ = f'{{"type":"json_schema","json_schema":{{"name":"x","schema":{schema}}}}}'
    body = f'{{"model":"m","messages":[{{"role":"user","content":"x"}}],"response_format":{format_}}}'
    sent = Sent("openai", "anthropic", body.encode())
    assert sent.raw.count(b'"additionalProperties":false') == 2
    assert b"1.50" in sent.raw
    assert b"12345678901234567890" in sent.raw
    assert sent.lost("degraded response_format")


@pytest.mark.parametrize("thought", [{"reasoning_content": "hm"}, {"reasoning": "hm"}])
def test_a28_thoughts_without_proof_are_dropped_and_thinking_is_off_in_their_loop(thought: dict[str, str]) -> None:
    sent = chat(
        USER,
        {"role": "assistant", "tool_calls": [call("a")], **thought},
        {"role": "tool", "tool_call_id": "a", "content": "x"},
        reasoning_effort="high",
        max_tokens=30000,
    )
    assert sent.body["thinking"] == {"type": "disabled"}
    assert sent.lost("messages[1]")
    assert sent.lost("reasoning_effort")
    assert [b["type"] for b in sent.body["messages"][1]["content"]] == ["tool_use"]


def test_a40_never_more_than_four_breakpoints() -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    parts = [{**text(str(n)), **mark} for n in range(6)]
    sent = chat({"role": "system", "content": [{**text("s"), **mark}]}, {"role": "user", "content": parts})
    assert sent.raw.count(b"cache_control") == 4
    assert sent.lost("cache_control")


@pytest.mark.parametrize("entry", ["openai", "openai_responses"])
def test_a2_instructions_inside_a_conversation_are_marked_and_never_the_assistants(entry: str) -> None:
    items = [USER, {"role": "assistant", "content": "ok"}, {"role": "developer", "content": "faster"}, USER]
    sent = Sent(entry, "anthropic", {"model": "m", "messages" if entry == "openai" else "input": items})
    assert [m["role"] for m in sent.body["messages"]] == ["user", "assistant", "user"]
    assert "<system-reminder>\nfaster" in sent.body["messages"][2]["content"][0]["text"]
    assert len(sent.losses) == 1
    assert ".." not in sent.losses[0]


def test_a37_a_user_longer_than_the_field_is_hashed() -> None:
    sent = chat(user="u" * 300)
    assert len(sent.body["metadata"]["user_id"]) <= 256
    assert sent.lost("degraded user")
    assert chat(safety_identifier="s" * 300).lost("degraded safety_identifier")
