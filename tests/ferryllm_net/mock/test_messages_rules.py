"""Anthropic Messages, strictly: what is refused and what is not."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.mock.complaint import Complaint
from ferryllm_net.mock.messages_rules import check
from ferryllm_net.mock.proofs import encrypt, sign
from support.recorded import cases

from .json_values import damaged

USER: dict[str, Any] = {"role": "user", "content": "hi"}
USE: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
RESULT: dict[str, Any] = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "ok"}
TEXT: dict[str, Any] = {"type": "text", "text": "x"}
THOUGHT: dict[str, Any] = {"type": "thinking", "thinking": "hm", "signature": sign("hm")}
TOOL: dict[str, Any] = {"name": "f", "input_schema": {"type": "object"}}
BUDGET: dict[str, Any] = {"type": "enabled", "budget_tokens": 1024}


def said(*blocks: dict[str, Any], role: str = "assistant") -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def body(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 2000, "messages": list(messages or (USER,)), **fields}


def refusal(asked: dict[str, Any]) -> str:
    with pytest.raises(Complaint) as raised:
        check(asked)
    return str(raised.value)


@pytest.mark.parametrize(
    "asked",
    [
        body(),
        body(USER, USER, said(TEXT), said(TEXT), USER),
        body(USER, said(USE), said(RESULT, TEXT, role="user"), tools=[TOOL], tool_choice={"type": "auto"}),
        body(USER, said(USE), said(RESULT, role="user"), USER),
        body(USER, said({**TEXT, "text": " "}, USE), said({**RESULT, "content": None}, role="user")),
        body(USER, said(THOUGHT, USE), said(RESULT, role="user"), thinking=BUDGET),
        body(USER, said({"type": "redacted_thinking", "data": encrypt("x")}, TEXT), USER),
        body(USER, said({**THOUGHT, "thinking": ""}, TEXT), USER),
        body(USER, {"role": "assistant", "content": ""}),
        body(tools=[], system="", stop_sequences=["##"], temperature=1, thinking={"type": "adaptive"}),
        body(tools=[{"type": "web_search_20250305", "name": "web_search"}], tool_choice={"type": "any"}),
        body(system=[{**TEXT, "cache_control": {"type": "ephemeral"}}]),
        body(said({"type": "document", "source": {}}, TEXT, role="user")),
    ],
)
def test_good_requests_pass(asked: dict[str, Any]) -> None:
    check(asked)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"max_tokens": 1, "messages": [USER]}, "model: Field required"),
        ({"model": "m", "messages": [USER]}, "max_tokens: Field required"),
        (body(max_tokens=-1), "max_tokens: Input should be"),
        (body(max_tokens=True), "max_tokens: Input should be"),
        ({**body(), "messages": []}, "messages: at least one message is required"),
        ({**body(), "messages": "hi"}, "messages: Input should be a valid list"),
        (body(n=2), "n: Extra inputs are not permitted"),
        (body(temperature=1.5), "temperature: range: 0..1"),
        (body(stop_sequences=[" "]), "each stop sequence must contain non-whitespace"),
        (body(thinking={"type": "on"}), "thinking.type: Input should be"),
        (body(thinking={"type": "enabled", "budget_tokens": 100}), "greater than or equal to 1024"),
        (body(thinking={"type": "enabled", "budget_tokens": 2000}), "`max_tokens` must be greater than"),
        (body(system=[{"type": "image"}]), "system.0.type: Input should be 'text'"),
        (body(system=[{**TEXT, "text": ""}]), "system: text content blocks must be non-empty"),
        (body({"role": "system", "content": "x"}), 'Unexpected role "system"'),
        (body({"role": "tool", "content": "x"}), "messages.0.role: Input should be 'user' or 'assistant'"),
        (body({"role": "user"}), "messages.0.content: Field required"),
        (body({"role": "user", "content": ""}), "messages.0: all messages must have non-empty content"),
        (body({"role": "user", "content": []}), "messages.0: all messages must have non-empty content"),
        (body({"role": "user", "content": "  "}), "must contain non-whitespace text"),
        (body(said({**TEXT, "text": ""}, role="user")), "text content blocks must be non-empty"),
        (body(said({**TEXT, "text": "\n"}, role="user")), "must contain non-whitespace text"),
        (body(USER, {"role": "assistant", "content": "so "}), "cannot end with trailing whitespace"),
        (body(said({"type": "input_text"}, role="user")), "Input tag 'input_text'"),
        (body(said(USE, role="user")), "`tool_use` blocks can only be in `assistant` messages"),
        (body(USER, said(RESULT)), "`tool_result` blocks can only be in `user` messages"),
        (body(USER, said({**USE, "id": "a b"})), "messages.1.content.0.tool_use.id: String should match"),
        (body(USER, said({**USE, "name": "a.b"})), "messages.1.content.0.tool_use.name: String should match"),
        (body(USER, said({**USE, "input": "{}"})), "tool_use.input: Input should be a valid dictionary"),
        (body(tools=[{"input_schema": {}}]), "tools.0.custom.name: Field required"),
        (body(tools=[{**TOOL, "name": "a b"}]), "tools.0.custom.name: String should match"),
        (body(tools=[TOOL, TOOL]), "Tool names must be unique"),
        (body(tools=[{"name": "f"}]), "tools.0.custom.input_schema: Field required"),
        (body(tools=[{"name": "f", "input_schema": {}}]), "tools.0.custom.input_schema.type: Field required"),
        (body(tools=[{"name": "f", "input_schema": {"type": "array"}}]), "Input should be 'object'"),
        (body(tool_choice={"type": "auto"}), "may only be specified while providing tools"),
        (body(tools=[TOOL], tool_choice={"type": "required"}), "Input tag should be one of"),
        (body(tools=[TOOL], tool_choice={"type": "tool", "name": "g"}), "Tool 'g' not found"),
        (
            body(tools=[TOOL], tool_choice={"type": "any"}, thinking=BUDGET),
            "may not be enabled when tool_choice forces",
        ),
        (body(system=[{**TEXT, "cache_control": {"type": "ephemeral"}}] * 5), "Found 5"),
    ],
)
def test_bad_requests_are_refused_in_the_apis_words(asked: dict[str, Any], words: str) -> None:
    assert words in refusal(asked)


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        ([USER, said(USE)], "messages.1: `tool_use` ids were found without `tool_result` blocks"),
        ([USER, said(USE), USER], "messages.2: `tool_use` ids were found without"),
        ([USER, said(USE), said(TEXT, RESULT, role="user")], "messages.2: `tool_use` ids were found without"),
        ([said(RESULT, role="user")], "unexpected `tool_use_id` found in `tool_result` blocks: toolu_1"),
        ([USER, said(USE), said(RESULT, RESULT, role="user")], "Found multiple: toolu_1"),
        ([USER, said(USE), said(RESULT, role="user"), said(USE), said(RESULT, role="user")], "ids must be unique"),
        ([USER, said(USE), said({**RESULT, "content": 3}, role="user")], "valid string or list"),
        ([USER, said(USE), said({**RESULT, "content": [{"type": "thinking"}]}, role="user")], "does not match"),
        ([USER, said(USE), said({**RESULT, "content": [{**TEXT, "text": ""}]}, role="user")], "must be non-empty"),
        (
            [USER, said(USE), said({**RESULT, "is_error": True, "content": [{"type": "image"}]}, role="user")],
            "all content must be type `text`",
        ),
    ],
)
def test_results_stand_first_behind_their_calls(messages: list[dict[str, Any]], words: str) -> None:
    assert words in refusal(body(*messages))


def test_the_system_role_needs_its_beta() -> None:
    asked = body(USER, {"role": "system", "content": "x"}, said(TEXT), USER)
    check(asked, betas="other-2025-01-01,mid-conversation-system-2026-04-07")
    assert 'Unexpected role "system"' in refusal(asked)
    check({**asked, "model": "claude-opus-4-8"})


def test_counting_needs_no_limit() -> None:
    asked = {"model": "m", "messages": [USER], "thinking": BUDGET}
    check(asked, counting=True)
    assert refusal(asked) == "max_tokens: Field required"


def test_altered_thoughts_are_refused() -> None:
    for altered in ({**THOUGHT, "thinking": "ha"}, {**THOUGHT, "signature": sign("ha")}, {**THOUGHT, "signature": "x"}):
        assert (
            refusal(body(USER, said(altered, TEXT), USER))
            == "messages.1.content.0: Invalid `signature` in `thinking` block"
        )
    assert "signature: Field required" in refusal(body(USER, said({"type": "thinking", "thinking": "x"}, TEXT), USER))
    redacted = {"type": "redacted_thinking", "data": encrypt("x") + "y"}
    assert "Invalid `data`" in refusal(body(USER, said(redacted, TEXT), USER))


def test_with_a_budget_an_open_tool_loop_begins_with_its_thoughts() -> None:
    loop = (USER, said(TEXT, USE), said(RESULT, role="user"))
    assert "Expected `thinking` or `redacted_thinking`, but found `text`" in refusal(body(*loop, thinking=BUDGET))
    check(body(*loop, thinking={"type": "adaptive"}))
    check(body(*loop, said(TEXT), USER, thinking=BUDGET))


@given(st.data())
def test_whatever_comes_is_passed_or_complained_about(data: st.DataObject) -> None:
    good = body(
        USER,
        said(THOUGHT, TEXT, USE),
        said({**RESULT, "content": [TEXT]}, TEXT, role="user"),
        tools=[TOOL],
        tool_choice={"type": "tool", "name": "f"},
        thinking={"type": "adaptive"},
        system=[TEXT],
    )
    with contextlib.suppress(Complaint):
        check(data.draw(damaged(good)))


MADE_UP = {"d32b95d1aa296de8"}
"""A test's own answer, with a result of a call that was never made."""


@pytest.mark.recorded
def test_what_the_real_api_took_is_taken() -> None:
    taken = 0
    for case in cases("anthropic"):
        plain = case["path"].partition("?")[0] == "/v1/messages"
        if not plain or case["status"] != 200 or not case["request"] or case["id"] in MADE_UP:
            continue
        refused = ""
        try:
            check(case["request"], betas=case["request_headers"].get("anthropic-beta", ""))
        except Complaint as exc:
            refused = str(exc)
        # The one thing we cannot know is the real API's own proofs.
        assert not refused or "Invalid `signature`" in refused or "Invalid `data`" in refused, (case["id"], refused)
        taken += not refused
    assert taken > 300
