"""translation.md A1 to A16: instructions, roles and tools of Messages clients."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from support.messages_client import (
    OPENAI,
    TOOL,
    USER,
    ask,
    assistant,
    messages,
    result,
    system_text,
    text,
    use,
    user,
)
from support.sent import Sent


@pytest.mark.parametrize("backend", OPENAI)
def test_a1_system_texts_keep_their_order_and_an_empty_one_is_left_out(backend: str) -> None:
    assert system_text(ask(backend, system=[text("one"), text(""), text("two"), text("three")])) == "one|two|three"
    assert system_text(ask(backend, system="one")) == "one"
    assert system_text(ask(backend, system="")) == ""
    assert system_text(ask(backend, system=[])) == ""


@pytest.mark.parametrize("backend", OPENAI)
def test_a2_a_system_message_stays_in_its_place(backend: str) -> None:
    sent = ask(backend, USER, {"role": "system", "content": "faster"}, assistant(text("ok")), USER)
    items = sent.body["messages" if backend == "openai" else "input"]
    assert [item["role"] for item in items] == ["user", "developer", "assistant", "user"]
    assert "faster" in json.dumps(items[1])
    assert sent.losses == []


@pytest.mark.parametrize("backend", OPENAI)
def test_a3_a_system_message_with_settings_alone_is_reported(backend: str) -> None:
    sent = ask(backend, USER, {"role": "system", "output_config": {"effort": "low"}}, USER)
    assert sent.lost("messages[1].output_config")
    assert len(messages(sent)) == 2


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize("own_block", [True, False])
def test_a4_the_billing_line_leaves_for_anthropic_alone(backend: str, own_block: bool) -> None:
    line = "x-anthropic-billing-header: cc_version=2.1; cch=00;"
    system = [text(line), text("be brief")] if own_block else line + "\n\nbe brief"
    sent = ask(backend, system=system)
    assert system_text(sent) == "be brief"
    assert b"billing" not in sent.raw
    assert sent.lost("system")
    kept = ask("anthropic", system=system)
    assert line.encode() in kept.raw


@pytest.mark.parametrize("backend", OPENAI)
def test_a6_a_request_that_says_nothing_still_has_one_turn(backend: str) -> None:
    sent = ask(backend, {"role": "system", "content": "be brief"})
    assert [item["role"] for item in messages(sent)] == ["user"]
    assert sent.lost("degraded messages")


@pytest.mark.parametrize("backend", OPENAI)
def test_a7_empty_texts_are_left_out_and_a_message_without_any_too(backend: str) -> None:
    sent = ask(backend, user(text(""), text("a")), assistant(text("")), USER)
    assert '""' not in json.dumps(messages(sent))
    assert [item["role"] for item in messages(sent)] == ["user", "user"]


# --- tools ---


def function(sent: Sent, n: int = 0) -> dict[str, Any]:
    tool: dict[str, Any] = sent.body["tools"][n]
    inner: dict[str, Any] = tool.get("function", tool)
    return inner


@pytest.mark.parametrize("backend", OPENAI)
def test_a8_objects_in_schemas_get_properties_at_every_level(backend: str) -> None:
    schema = {
        "type": "object",
        "properties": {"o": {"type": "object"}, "l": {"type": "array", "items": {"type": "object"}}},
    }
    found = function(ask(backend, tools=[{"name": "f", "input_schema": schema}]))["parameters"]
    assert found["properties"]["o"] == {"type": "object", "properties": {}}
    assert found["properties"]["l"]["items"] == {"type": "object", "properties": {}}
    bare = function(ask(backend, tools=[{"name": "f", "input_schema": {"type": "object"}}]))
    assert bare["parameters"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize(
    "tool",
    [
        {"type": "web_fetch_20250910", "name": "web_fetch"},
        {"type": "code_execution_20250825", "name": "code_execution"},
        {"type": "computer_20250124", "name": "computer", "display_width_px": 1, "display_height_px": 1},
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
        {"type": "memory_20250818", "name": "memory"},
        {"type": "tool_search_tool_bm25_20251119", "name": "tool_search_tool_bm25"},
        {"type": "computer_toolset_20260801"},
    ],
)
def test_a9_server_tools_are_reported_and_never_become_functions(backend: str, tool: dict[str, Any]) -> None:
    sent = ask(backend, tools=[tool, TOOL])
    assert [t.get("name") or t["function"]["name"] for t in sent.body["tools"]] == ["f"]
    assert sent.lost("dropped tools[0]")
    if "name" in tool:
        forced = ask(backend, tools=[tool, TOOL], tool_choice={"type": "tool", "name": tool["name"]})
        assert forced.refused == "tool_choice"
    assert ask(backend, tools=[tool], tool_choice={"type": "any"}).refused == "tool_choice"


SEARCH = {
    "type": "web_search_20250305",
    "name": "web_search",
    "max_uses": 3,
    "allowed_domains": ["a.example"],
    "user_location": {"type": "approximate", "city": "Ulm"},
}


def test_a9_web_search_is_the_providers_own_where_it_has_one() -> None:
    sent = ask("openai_responses", tools=[SEARCH, TOOL])
    assert sent.body["tools"][0] == {
        "type": "web_search",
        "filters": {"allowed_domains": ["a.example"]},
        "user_location": {"type": "approximate", "city": "Ulm"},
    }
    assert sent.losses == ["dropped tools[0].max_uses"]
    forced = ask("openai_responses", tools=[SEARCH, TOOL], tool_choice={"type": "tool", "name": "web_search"})
    assert forced.refused == "tool_choice"


def test_a9_web_search_is_reported_where_there_is_none() -> None:
    sent = ask("openai", tools=[SEARCH, TOOL])
    assert [t["function"]["name"] for t in sent.body["tools"]] == ["f"]
    assert sent.lost("dropped tools[0]")
    assert ask("openai", tools=[SEARCH], tool_choice={"type": "any"}).refused == "tool_choice"


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize("tools", [[], [{"type": "bash_20250124", "name": "bash"}]])
def test_a10_without_tools_there_is_no_choice_and_no_empty_list(backend: str, tools: list[Any]) -> None:
    sent = ask(backend, tools=tools, tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert not sent.body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize(
    ("choice", "chat", "responses"),
    [
        ({"type": "auto"}, "auto", "auto"),
        ({"type": "any"}, "required", "required"),
        ({"type": "none"}, "none", "none"),
        (
            {"type": "tool", "name": "f"},
            {"type": "function", "function": {"name": "f"}},
            {"type": "function", "name": "f"},
        ),
    ],
)
def test_a11_choices_in_the_providers_words(choice: Any, chat: Any, responses: Any) -> None:
    assert ask("openai", tools=[TOOL], tool_choice=choice).body["tool_choice"] == chat
    assert ask("openai_responses", tools=[TOOL], tool_choice=choice).body["tool_choice"] == responses


@pytest.mark.parametrize("backend", OPENAI)
def test_a12_one_call_at_a_time(backend: str) -> None:
    sent = ask(backend, tools=[TOOL], tool_choice={"type": "auto", "disable_parallel_tool_use": True})
    assert sent.body["parallel_tool_calls"] is False


LONG = "mcp__a_server_with_a_long_name__" + "x" * 60


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize("name", [LONG, "mcp.server/tool"])
def test_a13_names_fit_everywhere_and_come_back(backend: str, name: str) -> None:
    tool = {**TOOL, "name": name}
    sent = ask(
        backend,
        USER,
        assistant(use(name=name)),
        user(result(content="x")),
        tools=[tool, {**tool, "name": name + "y"}],
        tool_choice={"type": "tool", "name": name},
    )
    wire = function(sent)["name"]
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", wire)
    assert function(sent, 1)["name"] != wire
    choice = sent.body["tool_choice"]
    assert choice.get("function", choice)["name"] == wire
    assert json.dumps(messages(sent)).count(f'"{wire}"') == 1
    call = {"id": "c", "type": "function", "function": {"name": wire, "arguments": "{}"}}
    replies = {
        "openai": {
            "id": "x",
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [call]}}],
        },
        "openai_responses": {
            "id": "x",
            "status": "completed",
            "output": [{"type": "function_call", "call_id": "c", "name": wire, "arguments": "{}"}],
        },
    }
    sent.translator.receive_response_head(200, ())
    out = sent.translator.receive_data(json.dumps(replies[backend]).encode()) + sent.translator.receive_eof()
    assert json.loads(out)["content"][0]["name"] == name


@pytest.mark.parametrize("backend", OPENAI)
def test_a14_ids_fit_alike_in_call_and_result_and_are_never_given_twice(backend: str) -> None:
    strange = "toolu_" + "x" * 90
    history = [USER, assistant(use(strange)), user(result(strange, content="1"))]
    again = [*history, assistant(use(strange)), user(result(strange, content="2"))]
    limit = 40 if backend == "openai" else 64

    def ids(*conversation: Any) -> list[tuple[str, str]]:
        found = messages(ask(backend, *conversation))
        if backend == "openai":
            calls = [c["id"] for m in found for c in m.get("tool_calls", ())]
            answers = [m["tool_call_id"] for m in found if m["role"] == "tool"]
        else:
            calls = [m["call_id"] for m in found if m["type"] == "function_call"]
            answers = [m["call_id"] for m in found if m["type"] == "function_call_output"]
        return list(zip(calls, answers, strict=True))

    found = ids(*again)
    assert all(call == answer and len(call) <= limit for call, answer in found)
    assert found[0] != found[1]
    assert ids(*history) == found[:1], "the same in every turn"


@pytest.mark.parametrize("backend", OPENAI)
def test_a15_what_tools_have_here_alone_is_reported_and_strict_is_said(backend: str) -> None:
    fields: dict[str, Any] = {
        "cache_control": {"type": "ephemeral"},
        "eager_input_streaming": True,
        "defer_loading": True,
        "input_examples": [{"a": 1}],
        "allowed_callers": ["direct"],
    }
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    sent = ask(backend, tools=[{"name": "f", "input_schema": schema, "strict": True, **fields}])
    for name in fields:
        assert sent.lost(f"tools[0].{name}")
    assert function(sent)["strict"] is True
    loose = ask(backend, tools=[{**TOOL, "strict": True}])
    assert function(loose)["strict"] is False, "OpenAI refuses to bind what is open"
    assert loose.lost("degraded tools[0].strict")


@pytest.mark.parametrize("backend", OPENAI)
def test_a16_the_first_of_two_tools_of_one_name_wins(backend: str) -> None:
    sent = ask(backend, tools=[{**TOOL, "description": "one"}, {**TOOL, "description": "two"}])
    assert len(sent.body["tools"]) == 1
    assert function(sent)["description"] == "one"
    assert sent.lost("dropped tools[1]")
