"""Chat Completions, strictly: what is refused and what is not."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.mock.chat_rules import check
from ferryllm_net.mock.complaint import Complaint
from ferryllm_net.mock.proofs import sign
from support.recorded import cases

from .json_values import damaged

USER: dict[str, Any] = {"role": "user", "content": "hi"}
CALL: dict[str, Any] = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLER: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT: dict[str, Any] = {"role": "tool", "tool_call_id": "call_1", "content": "ok"}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o", "messages": list(messages or (USER,)), **fields}


def refusal(asked: dict[str, Any]) -> tuple[str | None, str]:
    with pytest.raises(Complaint) as raised:
        check(asked)
    return raised.value.error.param, str(raised.value)


@pytest.mark.parametrize(
    "asked",
    [
        body(),
        body(
            {"role": "system", "content": [{"type": "text", "text": "x"}]}, {"role": "developer", "content": ""}, USER
        ),
        body(USER, CALLER, RESULT, tools=[TOOL], tool_choice="auto", parallel_tool_calls=True),
        body(USER, CALLER, RESULT, USER),
        body(USER, {"role": "assistant", "refusal": "no"}),
        body(USER, {"role": "assistant", "content": "x", "tool_calls": None}),
        body(USER, {"role": "function", "name": "f", "content": "x"}),
        body({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}),
        body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}),
        body(tools=[TOOL], tool_choice={"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}),
        body(tools=[{"type": "custom", "custom": {"name": "patch"}}]),
        body(functions=[{"name": "f"}], stream=True, stream_options={"include_usage": True}),
        body(stop=["a", "b", "c", "d"], temperature=2, metadata={"a": "b"}, max_completion_tokens=5),
    ],
)
def test_good_requests_pass(asked: dict[str, Any]) -> None:
    check(asked)


@pytest.mark.parametrize(
    ("asked", "param", "words"),
    [
        ({"messages": [USER]}, "model", "Missing"),
        ({"model": "m"}, "messages", "Missing"),
        ({"model": "m", "messages": []}, "messages", "empty array"),
        (body(top_k=3), "top_k", "Unknown parameter"),
        (body(reasoning={"effort": "low"}), "reasoning", "Unknown parameter"),
        (body({"role": "tester", "content": ""}), "messages[0].role", "'tester'. Supported values are: 'system'"),
        (body({"role": "user"}), "messages[0].content", "expected a string, got null"),
        (body({"role": "assistant", "content": None}), "messages[0].content", "got null"),
        (body({"role": "user", "content": []}), "messages[0].content", "empty array"),
        (body({"role": "user", "content": [{"type": "text"}]}), "messages[0].content[0].text", "expected a string"),
        (body({"role": "user", "content": [{"type": "image_url"}]}), "messages[0].content[0].image_url", "Missing"),
        (body(USER, CALLER, {**RESULT, "content": [{"type": "image_url"}]}), "messages[2].content[0].type", "'text'"),
        (body(tools=[]), "tools", "empty array"),
        (body(tools=[{"type": "web"}]), "tools[0].type", "'function', 'custom'"),
        (body(tools=[{"type": "function", "name": "f"}]), "tools[0].function", "Missing"),
        (body(tools=[{"type": "function", "function": {}}]), "tools[0].function.name", "Missing"),
        (body(tools=[{"type": "function", "function": {"name": "a b"}}]), "tools[0].function.name", "pattern"),
        (body(tools=[{"type": "function", "function": {"name": "a" * 65}}]), "tools[0].function.name", "too long"),
        (
            body(tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}]),
            "tools[0].function.parameters",
            "Invalid schema for function 'f'",
        ),
        (body(tools=[TOOL] * 129), "tools", "maximum length 128"),
        (body(tool_choice="auto"), "tool_choice", "only allowed when 'tools' are specified"),
        (body(parallel_tool_calls=False), "parallel_tool_calls", "only allowed when 'tools' are specified"),
        (body(tools=[TOOL], tool_choice="any"), "tool_choice", "'none', 'auto', 'required'"),
        (body(tools=[TOOL], tool_choice={"type": "function"}), "tool_choice.function", "Missing"),
        (body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "g"}}), "tool_choice", "not among"),
        (body(stream_options={"include_usage": True}), "stream_options", "only allowed when 'stream'"),
        (body(stop=["a"] * 5), "stop", "maximum length 4"),
        (body(temperature=2.5), "temperature", "<= 2"),
        (body(max_tokens=1, max_completion_tokens=1), "max_tokens", "at the same time"),
        ({**body(max_tokens=1), "model": "gpt-5.4"}, "max_tokens", "Use 'max_completion_tokens'"),
        (body(metadata={"a": "b" * 513}), "metadata.a", "maximum length 512"),
        (body(USER, {**CALLER, "tool_calls": []}), "messages[1].tool_calls", "empty array"),
        (body(USER, {**CALLER, "tool_calls": [{**CALL, "id": None}]}), "messages[1].tool_calls[0].id", "Missing"),
        (body(USER, {**CALLER, "tool_calls": [{**CALL, "id": "x" * 41}]}), "messages[1].tool_calls[0].id", "length 40"),
        (
            body(USER, {**CALLER, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}),
            "messages[1].tool_calls[0].function.arguments",
            "expected a string, but got object",
        ),
    ],
)
def test_bad_requests_are_refused_by_the_name_of_the_field(asked: dict[str, Any], param: str, words: str) -> None:
    found, message = refusal(asked)
    assert found == param
    assert words in message


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([USER, CALLER], "did not have response messages: call_1"),
        ([USER, CALLER, USER], "did not have response messages: call_1"),
        ([USER, CALLER, USER, RESULT], "did not have response messages: call_1"),
        ([USER, RESULT], "must be a response to a preceding message"),
        ([USER, CALLER, RESULT, USER, RESULT], "must be a response to a preceding message"),
        ([USER, CALLER, {**RESULT, "tool_call_id": "other"}], "must be a response to a preceding message"),
        ([USER, CALLER, {"role": "tool", "content": "x"}], "Missing required parameter: 'messages[2].tool_call_id'"),
    ],
)
def test_tool_messages_follow_their_calls(messages: list[dict[str, Any]], words: str) -> None:
    assert words in refusal(body(*messages))[1]


def test_signed_reasoning_has_to_come_back_as_it_was() -> None:
    entry = {"type": "reasoning.text", "text": "hm", "signature": sign("hm")}
    check(body(USER, {"role": "assistant", "content": "x", "reasoning_details": [entry]}, USER))
    for altered in ({**entry, "text": "ha"}, {**entry, "signature": None}, {**entry, "signature": sign("ha")}):
        param, message = refusal(body(USER, {"role": "assistant", "content": "x", "reasoning_details": [altered]}))
        assert param == "messages[1].reasoning_details[0]"
        assert "signature" in message


@given(st.data())
def test_whatever_comes_is_passed_or_complained_about(data: st.DataObject) -> None:
    good = body(USER, CALLER, RESULT, tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}})
    with contextlib.suppress(Complaint):
        check(data.draw(damaged(good)))


@pytest.mark.recorded
def test_what_the_real_api_took_is_taken() -> None:
    taken = 0
    for case in cases("openai"):
        if case["vendor"] == "openai" and case["status"] == 200 and case["request"]:
            check(case["request"])
            taken += 1
    assert taken > 300
