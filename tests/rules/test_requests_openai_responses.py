"""translation.md: requests of Responses clients (R1 to R17)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from support import turns
from support.rich_requests import PDF, PNG
from support.sent import Sent

OTHERS = ("openai", "anthropic")
USER = {"role": "user", "content": "hi"}
SCHEMA = {"type": "object", "properties": {}}
TOOL = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": False}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "edits files",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: LINE"},
}


def ask(backend: str, *items: Any, model: str | None = None, **fields: Any) -> Sent:
    return Sent("openai_responses", backend, {"model": "mine", "input": list(items) or [USER], **fields}, model)


def said(sent: Sent) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sent.body["messages"]
    return found


def names(sent: Sent) -> list[str]:
    return [tool["name"] if "name" in tool else tool["function"]["name"] for tool in sent.body["tools"]]


def call(id_: str = "call_1", name: str = "f", **fields: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": id_, "name": name, "arguments": "{}", **fields}


def output(value: Any = "x", id_: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": id_, "output": value}


# --- items ---


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "told"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "told"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "told"}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "told", "annotations": []}],
        },
        {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": "told"},
    ],
)
def test_r1_messages_in_every_form(backend: str, message: dict[str, Any]) -> None:
    sent = ask(backend, USER, message, USER)
    assert [m["role"] for m in said(sent)] == ["user", "assistant", "user"]
    assert "told" in json.dumps(said(sent)[1])
    assert sent.losses == []
    assert said(Sent("openai_responses", backend, {"model": "m", "input": "hi"}))[0]["content"] == "hi"


def test_r2_instructions_come_first_and_later_ones_stay() -> None:
    items = [{"role": "developer", "content": "two"}, USER, {"role": "system", "content": "three"}, USER]
    chat = ask("openai", *items, instructions="one")
    assert [m["role"] for m in said(chat)] == ["developer", "user", "developer", "user"]
    assert [part["text"] for part in said(chat)[0]["content"]] == ["one", "two"]
    messages = ask("anthropic", *items, instructions="one")
    assert [text["text"] for text in messages.body["system"]] == ["one", "two"]
    assert "three" in json.dumps(said(messages))
    assert messages.lost("degraded input[2]")


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("before", [True, False])
def test_r3_calls_in_a_row_are_one_turn_and_their_outputs_follow(backend: str, before: bool) -> None:
    text = {"type": "message", "role": "assistant", "content": "I call."}
    found = [text, call("a"), call("b")] if before else [call("a"), call("b"), text]
    sent = ask(backend, USER, *found, output("1", "a"), output("2", "b"), USER)
    if backend == "openai":
        assert [m["role"] for m in said(sent)] == ["user", "assistant", "tool", "tool", "user"]
        assert said(sent)[1]["content"] == "I call."
        assert [c["id"] for c in said(sent)[1]["tool_calls"]] == ["a", "b"]
    else:
        assert [m["role"] for m in said(sent)] == ["user", "assistant", "user"]
        assert sorted(b["type"] for b in said(sent)[1]["content"]) == ["text", "tool_use", "tool_use"]
        assert [b["type"] for b in said(sent)[2]["content"]] == ["tool_result", "tool_result", "text"]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("plain", ["plain"]),
        ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], ["a", "b"]),
        ([{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}], [PNG]),
        (
            [{"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}],
            [PDF, "a.pdf"],
        ),
        ({"deep": [1.0, 12345678901234567890]}, ["1.0", "12345678901234567890"]),
        ([{"no": "part"}], ["part"]),
        (None, []),
    ],
)
def test_r4_a22_outputs_in_every_form(backend: str, value: Any, words: list[str]) -> None:
    sent = ask(backend, USER, call(), output(value))
    assert all(word in sent.raw.decode() for word in words)
    assert sent.refused == ""


@pytest.mark.parametrize("backend", OTHERS)
def test_r5_freeform_tools_become_functions_that_know_their_grammar(backend: str) -> None:
    sent = ask(backend, tools=[PATCH], tool_choice={"type": "custom", "name": "apply_patch"})
    tool = sent.body["tools"][0]
    found = tool.get("function", tool)
    schema = found.get("parameters", found.get("input_schema"))
    assert list(schema["properties"]) == ["input"]
    assert "start: LINE" in found["description"]
    choice = sent.body["tool_choice"]
    assert choice.get("function", choice)["name"] == "apply_patch"
    assert sent.losses == ["degraded tools[0]"]


PATCH_TEXT = '*** Begin Patch\n*** Add File: a "b" \\ é\n+x\n*** End Patch'


@pytest.mark.parametrize("backend", OTHERS)
def test_r5_r6_a_freeform_call_in_a_namespace_comes_back_and_goes_out_again(backend: str) -> None:
    space = {"type": "namespace", "name": "fs", "description": "files", "tools": [PATCH, TOOL]}
    body = {"model": "mine", "store": False, "input": [USER], "tools": [space, TOOL]}
    sent = Sent("openai_responses", backend, body)
    assert names(sent) == ["fs__apply_patch", "fs__f", "f"]
    input_ = {"input": PATCH_TEXT}
    reply: dict[str, Any] = json.loads(json.dumps(turns.ANSWERS[backend]))
    if backend == "anthropic":
        reply["content"] = [
            {"type": "tool_use", "id": "toolu_1", "name": "fs__apply_patch", "input": input_},
            {"type": "tool_use", "id": "toolu_2", "name": "fs__f", "input": {}},
            {"type": "tool_use", "id": "toolu_3", "name": "f", "input": {}},
        ]
    else:
        reply["choices"][0]["message"]["tool_calls"] = [
            {"id": f"call_{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(
                [("fs__apply_patch", json.dumps(input_)), ("fs__f", "{}"), ("f", "{}")]
            )
        ]
    answered = turns.answer("openai_responses", backend, body, reply)
    calls = [item for item in answered["output"] if item["type"].endswith("_call")]
    assert [(c["type"], c["name"], c.get("namespace")) for c in calls] == [
        ("custom_tool_call", "apply_patch", "fs"),
        ("function_call", "f", "fs"),
        ("function_call", "f", None),
    ]
    assert calls[0]["input"] == PATCH_TEXT
    again = turns.send("openai_responses", backend, turns.echo("openai_responses", body, answered, ("1", "2", "3")))
    if backend == "anthropic":
        used = [block for block in said(again)[1]["content"] if block["type"] == "tool_use"]
        assert [(block["name"], block["input"]) for block in used] == [
            ("fs__apply_patch", input_),
            ("fs__f", {}),
            ("f", {}),
        ]
    else:
        used = [c["function"] for c in said(again)[1]["tool_calls"]]
        assert [(c["name"], json.loads(c["arguments"])) for c in used] == [
            ("fs__apply_patch", input_),
            ("fs__f", {}),
            ("f", {}),
        ]


@pytest.mark.parametrize("backend", OTHERS)
def test_r5_freeform_calls_of_the_history_without_their_tool(backend: str) -> None:
    history = [
        USER,
        {"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": 'a "b"'},
        {"type": "custom_tool_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "done"}]},
    ]
    sent = ask(backend, *history)
    assert 'a \\\\\\"b\\\\\\"' in sent.raw.decode() or '"input":"a \\"b\\""' in sent.raw.decode()
    assert b"done" in sent.raw


@pytest.mark.parametrize("backend", OTHERS)
def test_r6_tools_that_come_as_an_item_are_tools(backend: str) -> None:
    """Codex with its newest models sends no other ones."""
    item = {
        "type": "additional_tools",
        "role": "developer",
        "tools": [{"type": "namespace", "name": "shell", "tools": [{"type": "custom", "name": "exec"}]}],
    }
    sent = ask(backend, item, USER)
    assert names(sent) == ["shell__exec"]


@pytest.mark.parametrize("backend", OTHERS)
def test_r6_a_namespace_with_more_in_it_keeps_its_functions(backend: str) -> None:
    space = {"type": "namespace", "name": "n", "zz": 1, "tools": [TOOL, {"type": "mcp", "server_label": "s"}]}
    sent = ask(backend, tools=[space], tool_choice="required")
    assert names(sent) == ["n__f"]
    assert sent.lost("dropped tools[0]")


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    "tool",
    [
        {"type": "tool_search"},
        {"type": "local_shell"},
        {"type": "shell"},
        {"type": "apply_patch"},
        {"type": "image_generation"},
        {"type": "computer_use_preview", "display_width": 1, "display_height": 1, "environment": "linux"},
        {"type": "mcp", "server_label": "s", "server_url": "https://x.example"},
        {"type": "file_search", "vector_store_ids": ["v"]},
        {"type": "code_interpreter", "container": {"type": "auto"}},
    ],
)
def test_r6_hosted_tools_are_reported_and_refused_where_they_are_forced(backend: str, tool: dict[str, Any]) -> None:
    sent = ask(backend, tools=[tool, TOOL])
    assert names(sent) == ["f"]
    assert sent.losses == ["dropped tools[0]"]
    assert ask(backend, tools=[tool, TOOL], tool_choice={"type": tool["type"]}).refused == "tool_choice"
    alone = ask(backend, tools=[tool])
    assert not alone.body.keys() & {"tools", "tool_choice"}
    only = {"type": "allowed_tools", "mode": "required", "tools": [{"type": tool["type"]}]}
    assert ask(backend, tools=[tool, TOOL], tool_choice=only).refused == "tool_choice"


@pytest.mark.parametrize("type_", ["web_search", "web_search_preview", "web_search_2025_08_26"])
def test_a9_web_search_is_the_providers_own_where_it_has_one(type_: str) -> None:
    tool = {"type": type_, "search_context_size": "low", "filters": {"allowed_domains": ["a.example"]}}
    sent = ask("anthropic", tools=[tool, TOOL])
    assert sent.body["tools"][0] == {
        "type": "web_search_20250305",
        "name": "web_search",
        "allowed_domains": ["a.example"],
    }
    assert sent.losses == ["dropped tools[0].search_context_size"]
    assert ask("anthropic", tools=[tool, TOOL], tool_choice={"type": type_}).refused == "tool_choice"
    assert ask("openai", tools=[tool, TOOL]).losses == ["dropped tools[0]"]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("parameters", [None, {}, {"type": "object"}, "missing"])
def test_r7_definitions_change_their_form(backend: str, parameters: Any) -> None:
    tool = {"type": "function", "name": "f", "description": "d", "strict": None, "parameters": parameters}
    if parameters == "missing":
        del tool["parameters"]
    sent = ask(backend, tools=[tool])
    found = sent.body["tools"][0]
    if backend == "openai":
        assert found["type"] == "function"
        found = found["function"]
    schema = found.get("parameters", found.get("input_schema"))
    assert schema["type"] == "object"
    assert (found["name"], found["description"]) == ("f", "d")


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    "item",
    [
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
    ],
)
def test_r8_reasoning_of_others_is_dropped_and_reported(backend: str, item: dict[str, Any]) -> None:
    sent = ask(backend, USER, item, {"role": "assistant", "content": "a"}, USER)
    assert b"gAAAA" not in sent.raw
    assert b'"hm"' not in sent.raw
    empty = "encrypted_content" not in item and not item["summary"] and "content" not in item
    assert sent.lost("dropped input[1]") or (empty and backend == "openai")


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ],
)
def test_r10_g5_what_lies_with_the_provider_is_refused_by_name(
    backend: str, fields: dict[str, Any], named: str
) -> None:
    sent = ask(backend, **fields)
    assert sent.refused == named
    error = sent.refusal["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", named)


@pytest.mark.parametrize("backend", OTHERS)
def test_r10_a_reference_to_a_stored_item_is_refused(backend: str) -> None:
    assert ask(backend, {"type": "item_reference", "id": "msg_1"}, USER).refused == "input[0]"


@pytest.mark.parametrize("backend", OTHERS)
def test_r10_what_asks_for_nothing_passes_without_a_word(backend: str) -> None:
    nothing: dict[str, Any] = {
        "previous_response_id": None,
        "conversation": None,
        "background": False,
        "prompt": None,
        "truncation": "disabled",
        "store": False,
        "include": [],
        "tools": [],
        "reasoning": None,
        "text": {"format": {"type": "text"}},
        "top_logprobs": 0,
        "max_tool_calls": None,
    }
    assert ask(backend, **nothing).losses == []
    sent = ask(backend, store=True, truncation="auto")
    assert sorted(sent.losses) == ["dropped store", "dropped truncation"]


CARRIED, DROPPED, REFUSED = "carried", "dropped", "refused"


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize(
    ("fields", "path", "fate"),
    [
        ({"text": {"verbosity": "low"}}, "text.verbosity", {"openai": CARRIED, "anthropic": DROPPED}),
        ({"max_output_tokens": 2000}, "max_output_tokens", {"openai": CARRIED, "anthropic": CARRIED}),
        ({"max_tool_calls": 3}, "max_tool_calls", {"openai": DROPPED, "anthropic": DROPPED}),
        ({"service_tier": "flex"}, "service_tier", {"openai": CARRIED, "anthropic": DROPPED}),
        ({"prompt_cache_key": "k"}, "prompt_cache_key", {"openai": CARRIED, "anthropic": DROPPED}),
        ({"prompt_cache_retention": "24h"}, "prompt_cache_retention", {"openai": CARRIED, "anthropic": DROPPED}),
        ({"safety_identifier": "s"}, "safety_identifier", {"openai": CARRIED, "anthropic": CARRIED}),
        ({"user": "u"}, "user", {"openai": CARRIED, "anthropic": CARRIED}),
        ({"top_logprobs": 2}, "logprobs", {"openai": CARRIED, "anthropic": REFUSED}),
        ({"metadata": {"a": "b"}}, "metadata", {"openai": CARRIED, "anthropic": DROPPED}),
        ({"client_metadata": {"a": "b"}}, "client_metadata", {"openai": DROPPED, "anthropic": DROPPED}),
        (
            {"context_management": [{"type": "compaction"}]},
            "context_management",
            {"openai": DROPPED, "anthropic": DROPPED},
        ),
        (
            {"stream_options": {"include_obfuscation": False}},
            "stream_options.include_obfuscation",
            {"openai": CARRIED, "anthropic": DROPPED},
        ),
        ({"reasoning": {"effort": "low"}}, "reasoning", {"openai": CARRIED, "anthropic": CARRIED}),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode", {"openai": DROPPED, "anthropic": DROPPED}),
        ({"zz_martian": 1}, "zz_martian", {"openai": DROPPED, "anthropic": DROPPED}),
    ],
)
def test_r12_every_field_is_carried_or_reported(
    backend: str, fields: dict[str, Any], path: str, fate: dict[str, str]
) -> None:
    sent = ask(backend, **fields)
    if fate[backend] is REFUSED:
        assert sent.refused.endswith(path)
    elif fate[backend] is DROPPED:
        assert f"dropped {path}" in sent.losses
    else:
        assert sent.losses == []
        assert sent.body != ask(backend).body


def test_r12_a36_formats_change_their_place() -> None:
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    form = {"type": "json_schema", "name": "x", "schema": schema, "strict": True}
    chat = ask("openai", text={"format": form})
    assert chat.body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "x", "schema": schema, "strict": True},
    }
    messages = ask("anthropic", text={"format": form})
    assert messages.body["output_config"]["format"] == {"type": "json_schema", "schema": schema}
    assert ask("anthropic", text={"format": {"type": "json_object"}}).refused == "text.format"


def test_r16_encrypted_reasoning_is_asked_for_where_it_exists() -> None:
    wish: dict[str, Any] = {"include": ["reasoning.encrypted_content"]}
    assert ask("openai", **wish).losses == ["dropped include[0]"]
    assert ask("anthropic", **wish).losses == [], "signatures always come"
    for backend in OTHERS:
        assert ask(backend, include=["file_search_call.results"]).lost("include[0]")


HOSTED = [
    {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "rome"}},
    {"type": "local_shell_call", "id": "l", "call_id": "c", "action": {"type": "exec", "command": ["rome"]}},
    {"type": "agent_message", "author": "a", "content": "rome"},
    {"type": "martian", "moon": "rome"},
]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("item", HOSTED, ids=lambda item: str(item["type"]))
def test_r17_a29_items_nobody_else_knows_are_told_in_their_place(backend: str, item: dict[str, Any]) -> None:
    sent = ask(
        backend, USER, {"role": "assistant", "content": "before"}, item, {"role": "assistant", "content": "after"}, USER
    )
    told = json.dumps(said(sent)[1])
    places = [told.index(word) for word in ("before", "rome", "after")]
    assert places == sorted(places)
    assert sent.lost("degraded input[2]")


@pytest.mark.parametrize("backend", OTHERS)
def test_r17_an_unreadable_item_is_reported(backend: str) -> None:
    sent = ask(backend, {"type": "tool_search_output", "tools": [], "encrypted_content": "Zz"}, USER)
    assert b"Zz" not in sent.raw
    assert sent.losses == ["dropped input[0]"]


@pytest.mark.parametrize("backend", OTHERS)
def test_r17_a_sealed_summary_of_the_conversation_is_refused(backend: str) -> None:
    sent = ask(backend, {"type": "compaction", "id": "cmp_1", "encrypted_content": "Zz"}, USER)
    assert sent.refused == "input[0]"
    assert "send the conversation it stands for" in sent.refusal["error"]["message"]


@pytest.mark.parametrize("backend", OTHERS)
@pytest.mark.parametrize("items", [[], [{"type": "martian"}], [{"role": "developer", "content": "be brief"}]])
def test_a6_a_request_that_says_nothing_still_has_one_turn(backend: str, items: list[Any]) -> None:
    sent = Sent("openai_responses", backend, {"model": "m", "input": items})
    assert [m["role"] for m in said(sent) if m["role"] != "developer"] == ["user"]
    assert sent.lost("degraded")


@pytest.mark.parametrize("backend", OTHERS)
def test_a19_missing_and_orphaned_outputs(backend: str) -> None:
    missing = ask(backend, USER, call("a"), call("b"), output("1", "a"), USER)
    assert "[no result]" in missing.raw.decode()
    assert missing.lost("degraded input[2]")
    orphan = ask(backend, USER, output("found it", "zz"), USER)
    assert "found it" in orphan.raw.decode()
    assert not re.search(r'"(tool_use_id|tool_call_id)"', orphan.raw.decode())
    assert orphan.lost("degraded input[1]")


@pytest.mark.parametrize("backend", OTHERS)
def test_g3_the_phase_of_a_message_is_reported(backend: str) -> None:
    sent = ask(backend, USER, {"role": "assistant", "phase": "commentary", "content": "a"}, USER)
    assert sent.lost("phase")


@pytest.mark.parametrize("value", [0, -1, "many"])
@pytest.mark.parametrize("backend", OTHERS)
def test_c7_a_limit_that_is_none_is_refused(backend: str, value: Any) -> None:
    assert ask(backend, max_output_tokens=value).refused == "max_output_tokens"
