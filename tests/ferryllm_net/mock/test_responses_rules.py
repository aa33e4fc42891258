"""The Responses API, strictly: what is refused and what is not."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.mock.complaint import Complaint
from ferryllm_net.mock.proofs import encrypt
from ferryllm_net.mock.responses_rules import check
from support.recorded import cases, client_requests

from .json_values import damaged

USER: dict[str, Any] = {"role": "user", "content": "hi"}
SAID: dict[str, Any] = {"role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
CALL: dict[str, Any] = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT: dict[str, Any] = {"type": "function_call_output", "call_id": "call_1", "output": "ok"}
CUSTOM: dict[str, Any] = {"type": "custom_tool_call", "call_id": "call_2", "name": "p", "input": "x"}
CUSTOM_OUTPUT: dict[str, Any] = {"type": "custom_tool_call_output", "call_id": "call_2", "output": []}
THOUGHT: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": encrypt("hm")}
TOOL: dict[str, Any] = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def body(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "input": list(items or (USER,)), **fields}


def refusal(asked: dict[str, Any]) -> tuple[str | None, str]:
    with pytest.raises(Complaint) as raised:
        check(asked)
    return raised.value.error.param, str(raised.value)


@pytest.mark.parametrize(
    "asked",
    [
        {"model": "m", "input": "hi"},
        {"model": "m", "input": ""},
        {"model": "m", "prompt": {"id": "x"}},
        body(USER, SAID, {"role": "assistant", "content": "x"}, {"role": "developer", "content": "x"}),
        body(
            USER, CALL, OUTPUT, CUSTOM, CUSTOM_OUTPUT, tools=[TOOL], tool_choice="required", parallel_tool_calls=False
        ),
        body(USER, CALL, USER, OUTPUT),
        body(USER, THOUGHT, CALL, OUTPUT),
        body(USER, THOUGHT, SAID, USER),
        body(USER, THOUGHT, THOUGHT, SAID),
        body(tools=[], tool_choice="auto", store=False, include=["reasoning.encrypted_content"], max_output_tokens=16),
        body(
            tools=[{"type": "namespace", "name": "n", "tools": [TOOL]}], tool_choice={"type": "function", "name": "f"}
        ),
        body({"type": "additional_tools", "role": "developer", "tools": [TOOL]}, USER, tool_choice="required"),
        body(tools=[{"type": "web_search"}, {"type": "custom", "name": "p"}], client_metadata={"a": "b"}),
        body(text={"format": {"type": "json_schema", "name": "n", "schema": {}}}),
        body({"type": "web_search_call", "id": "ws_1"}, USER),
        body({"type": "tool_search_call", "call_id": "call_1", "arguments": {}}, OUTPUT),
    ],
)
def test_good_requests_pass(asked: dict[str, Any]) -> None:
    check(asked)


@pytest.mark.parametrize(
    ("asked", "param", "words"),
    [
        ({"input": "x"}, "model", "Missing"),
        ({"model": "m"}, "input", "Missing"),
        ({"model": "m", "input": []}, "input", "empty array"),
        ({"model": "m", "input": 3}, "input", "expected an array"),
        (body(seed=3), "seed", "Unknown parameter: 'seed'."),
        (body(response_format={}), "response_format", "has moved to 'text.format'"),
        (body(max_tokens=3), "max_tokens", "has moved to 'max_output_tokens'"),
        (body(previous_response_id="resp_1"), "previous_response_id", "'resp_1' not found"),
        (body(max_output_tokens=5), "max_output_tokens", ">= 16, but got 5"),
        (body(temperature=3), "temperature", "<= 2"),
        (body(reasoning="high"), "reasoning", "expected an object"),
        (body(text={"format": {"type": "json"}}), "text.format.type", "'json_schema'"),
        (body(text={"format": {"type": "json_schema", "json_schema": {}}}), "text.format.name", "Missing"),
        (body(tools=[{"name": "f"}]), "tools[0].type", "Missing"),
        (body(tools=[{"type": "function", "function": {"name": "f"}}]), "tools[0].name", "Missing"),
        (body(tools=[{"type": "function", "name": "a b"}]), "tools[0].name", "pattern"),
        (body(tools=[{**TOOL, "parameters": {"type": "array"}}]), "tools[0].parameters", "Invalid schema"),
        (body(tools=[{"type": "namespace", "name": "n", "tools": [{}]}]), "tools[0].tools[0].type", "Missing"),
        (body(tool_choice="required"), "tool_choice", "must be specified with 'tools'"),
        (body(tool_choice="any"), "tool_choice", "'none', 'auto', 'required'"),
        (body(tools=[TOOL], tool_choice={"type": "function", "name": "g"}), "tool_choice", "not found in 'tools'"),
        (body(tools=[TOOL], tool_choice={"name": "f"}), "tool_choice.type", "Missing"),
        (body({"content": "x"}), "input[0].type", "Missing"),
        (body({"type": "banana"}), "input[0].type", "Invalid value: 'banana'"),
        (body({"role": "tool", "content": "x"}), "input[0].role", "'assistant', 'system'"),
        (body({"role": "user"}), "input[0].content", "Missing"),
        (body({"role": "user", "content": [{"type": "text"}]}), "input[0].content[0].type", "'input_text'"),
        (body({"role": "assistant", "content": [{"type": "input_text"}]}), "input[0].content[0].type", "'output_text'"),
        (body({"role": "user", "content": [{"type": "input_text"}]}), "input[0].content[0].text", "expected a string"),
        (body({**USER, "type": "message", "id": "item_1"}), "input[0].id", "begins with 'msg'"),
        (body(USER, {**CALL, "id": "x"}, OUTPUT), "input[1].id", "begins with 'fc'"),
        (body(USER, {**CALL, "id": "fc" * 40}, OUTPUT), "input[1].id", "maximum length 64"),
        (body(USER, {**CALL, "arguments": None}), "input[1].arguments", "Missing"),
        (body(USER, {**CALL, "arguments": {}}), "input[1].arguments", "expected a string"),
        (body(USER, {**CALL, "call_id": "c" * 65}), "input[1].call_id", "maximum length 64"),
        (body(USER, CALL, {**OUTPUT, "output": None}), "input[2].output", "Missing"),
        (body(USER, CALL, {**OUTPUT, "output": {}}), "input[2].output", "expected a string or an array"),
        (body(USER, OUTPUT), "input[1]", "No tool call found for function call output with call_id call_1"),
        (body(USER, OUTPUT, CALL), "input[1]", "No tool call found"),
        (body(USER, CALL), "input", "No tool output found for function call call_1"),
        (body(USER, CUSTOM), "input", "No tool output found for custom tool call call_2"),
        (body(USER, CUSTOM, {**OUTPUT, "call_id": "call_2"}), "input[2]", "No tool call found for function call"),
        (body({"type": "item_reference", "id": "rs_1"}), "input", "Item with id 'rs_1' not found"),
        (body(USER, THOUGHT), "input", "'rs_1' of type 'reasoning' was provided without its required following item"),
        (body(USER, THOUGHT, USER), "input", "without its required following item"),
        (body(USER, CALL, THOUGHT, OUTPUT), "input", "without its required following item"),
    ],
)
def test_bad_requests_are_refused_by_the_name_of_the_field(asked: dict[str, Any], param: str, words: str) -> None:
    found, message = refusal(asked)
    assert found == param
    assert words in message


def test_reasoning_needs_its_own_unaltered_content() -> None:
    assert "not persisted" in refusal(body(USER, {**THOUGHT, "encrypted_content": None}, SAID))[1]
    altered = {**THOUGHT, "encrypted_content": encrypt("hm")[:-2] + "xx"}
    param, message = refusal(body(USER, altered, SAID))
    assert param == "input[1].encrypted_content"
    assert "rs_1 could not be verified" in message


@given(st.data())
def test_whatever_comes_is_passed_or_complained_about(data: st.DataObject) -> None:
    good = body(
        USER,
        THOUGHT,
        SAID,
        CALL,
        OUTPUT,
        CUSTOM,
        CUSTOM_OUTPUT,
        tools=[TOOL, {"type": "namespace", "name": "n", "tools": [TOOL]}],
        tool_choice={"type": "function", "name": "f"},
        text={"format": {"type": "json_schema", "name": "n", "schema": {}}},
    )
    with contextlib.suppress(Complaint):
        check(data.draw(damaged(good)))


KEPT = ("could not be verified", "not persisted", "Previous response with id", "Item with id")
"""What refers to something the real API keeps or minted."""


@pytest.mark.recorded
def test_what_the_real_api_took_is_taken() -> None:
    taken = 0
    for case in cases("openai_responses"):
        if case["vendor"] != "openai" or case["status"] != 200 or not case["request"]:
            continue
        refused = ""
        try:
            check(case["request"])
        except Complaint as exc:
            refused = str(exc)
        assert not refused or any(words in refused for words in KEPT), (case["id"], refused)
        taken += not refused
    assert taken > 300


@pytest.mark.recorded
def test_what_codex_sends_is_taken() -> None:
    for number in (0, 1, 2, 3, 4):
        check(client_requests("codex")[number]["body"])
