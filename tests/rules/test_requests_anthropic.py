"""translation.md: requests of Messages clients (A1 to A43), and requests to Messages providers (B10 to B16)."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ferryllm_proto import DIALECTS
from ferryllm_proto.count import CountTokens
from support.rich_requests import PDF, PNG
from support.sent import Sent

OPENAI = ("openai", "openai_responses")
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
USER = {"role": "user", "content": "hi"}


def ask(backend: str, *messages: Any, model: str | None = None, **fields: Any) -> Sent:
    body = {"model": "mine", "max_tokens": 4000, "messages": list(messages) or [USER], **fields}
    return Sent("anthropic", backend, body, model)


def use(id_: str = "toolu_1", name: str = "f", input_: Any = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": {} if input_ is None else input_}


def result(id_: str = "toolu_1", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, **fields}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def messages(sent: Sent) -> list[dict[str, Any]]:
    """Chat messages or Responses items without instructions."""
    body = sent.body
    found: list[dict[str, Any]] = body["messages"] if "messages" in body else body["input"]
    return [m for m in found if m.get("role") not in ("system", "developer")]


def system_text(sent: Sent) -> str:
    body = sent.body
    found = [body["instructions"]] if "instructions" in body else []
    for item in body.get("messages", body.get("input", [])):
        if item.get("role") in ("system", "developer"):
            content = item["content"]
            found += [content] if isinstance(content, str) else [part["text"] for part in content]
    return "|".join(found)


# --- system and roles ---


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
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
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


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize("tools", [[], [{"type": "web_search_20250305", "name": "web_search"}]])
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


# --- history ---


def test_a17_results_follow_their_calls_before_any_text() -> None:
    sent = ask(
        "openai",
        USER,
        assistant(text("a"), use("toolu_1"), text("b"), use("toolu_2")),
        user(text("thanks"), result("toolu_2", content="2"), result("toolu_1", content="1")),
    )
    assert [m["role"] for m in sent.body["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    called, first, second = sent.body["messages"][1:4]
    assert called["content"] == "ab"
    assert [call["id"] for call in called["tool_calls"]] == ["toolu_1", "toolu_2"]
    assert (first["content"], second["content"]) == ("1", "2")
    assert sent.lost("degraded messages[1].content[2]"), "the text behind the call moved before it (G8)"


def test_a17_a_turn_of_calls_alone_has_no_content() -> None:
    sent = ask("openai", USER, assistant(use()), user(result(content="x")))
    assert sent.body["messages"][1]["content"] is None


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


def test_a18_media_of_results_come_behind_the_whole_run() -> None:
    sent = ask(
        "openai",
        USER,
        assistant(use("toolu_1"), use("toolu_2")),
        user(result("toolu_1", content=[IMAGE]), result("toolu_2", content="2"), text("and?")),
    )
    assert [m["role"] for m in sent.body["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    parts = sent.body["messages"][-1]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url", "text"]
    assert "toolu_1" in parts[0]["text"]


@pytest.mark.parametrize("backend", OPENAI)
def test_a19_a_missing_result_is_filled_and_an_orphan_becomes_text(backend: str) -> None:
    missing = ask(
        backend, USER, assistant(use("toolu_1"), use("toolu_2")), user(result("toolu_1", content="1"), text("x"))
    )
    flat = json.dumps(messages(missing))
    assert flat.count("toolu_2") == 2
    assert "[no result]" in flat
    assert missing.lost("messages[1].content[1]")
    orphan = ask(backend, user(result("toolu_9", content="found it"), text("x")))
    flat = json.dumps(messages(orphan))
    assert "found it" in flat
    assert "tool_call_id" not in flat
    assert "call_id" not in flat
    assert orphan.lost("messages[0].content[0]")


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize("content", ["boom", [{"type": "text", "text": "boom"}], [], None])
def test_a20_a_failed_result_says_so_in_words_and_is_reported(backend: str, content: Any) -> None:
    sent = ask(backend, USER, assistant(use()), user(result(is_error=True, content=content)))
    assert re.search(r"error", json.dumps(messages(sent)[-1]), re.I)
    assert sent.lost("messages[2].content[0].is_error")
    fine = ask(backend, USER, assistant(use()), user(result(is_error=False, content=content)))
    assert "rror" not in json.dumps(messages(fine))
    assert fine.losses == []


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize(
    ("content", "wanted"),
    [("", ""), (None, ""), ([], ""), ("x", "x"), ({"a": 1.0}, '{"a": 1.0}'), (3, "3"), ([text("x")], "x")],
)
def test_a21_every_form_of_a_results_content(backend: str, content: Any, wanted: str) -> None:
    body = result() if content is None else result(content=content)
    last = messages(ask(backend, USER, assistant(use()), user(body)))[-1]
    assert last["content" if backend == "openai" else "output"] == wanted


def test_a22_images_in_results_reach_the_model() -> None:
    history = [USER, assistant(use()), user(result(content=[text("see"), IMAGE]))]
    chat = ask("openai", *history)
    tool, follow = chat.body["messages"][-2:]
    assert "see" in json.dumps(tool)
    assert follow["content"][1]["image_url"]["url"] == f"data:image/png;base64,{PNG}"
    assert chat.lost("messages[2].content[0].content[1]")
    output = messages(ask("openai_responses", *history))[-1]["output"]
    assert [part["type"] for part in output] == ["input_text", "input_image"]
    assert output[1]["image_url"] == f"data:image/png;base64,{PNG}"


@pytest.mark.parametrize("backend", OPENAI)
def test_a23_sources_of_images(backend: str) -> None:
    url = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    sent = ask(backend, user(IMAGE, url))
    found = [part["image_url"] for part in messages(sent)[0]["content"]]
    urls = [one["url"] if isinstance(one, dict) else one for one in found]
    assert urls == [f"data:image/png;base64,{PNG}", "https://example.com/a.png"]
    assert sent.losses == []
    file = {"type": "image", "source": {"type": "file", "file_id": "file_1"}}
    assert ask(backend, user(file)).refused == "messages[0].content[0]"
    odd = {"type": "image", "source": {"type": "gcs", "uri": "gs://x"}}
    assert ask(backend, user(odd, text("x"))).lost("messages[0].content[0]")


def document(source: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **fields}


BYTES = {"type": "base64", "media_type": "application/pdf", "data": PDF}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("backend", OPENAI)
def test_a24_documents_are_files_with_a_whole_data_url(backend: str, inside: bool) -> None:
    block = document(BYTES, title="a.pdf", context="c", citations={"enabled": True})
    history = [USER, assistant(use()), user(result(content=[block]))] if inside else [user(block)]
    sent = ask(backend, *history)
    flat = json.dumps(sent.body)
    assert f"data:application/pdf;base64,{PDF}" in flat
    assert '"a.pdf"' in flat
    where = "messages[2].content[0].content[0]" if inside else "messages[0].content[0]"
    assert sent.lost(f"{where}.context")
    assert sent.lost(f"{where}.citations")


@pytest.mark.parametrize("backend", OPENAI)
def test_a24_text_documents_are_text_and_the_rest_is_said_or_refused(backend: str) -> None:
    words = document({"type": "text", "media_type": "text/plain", "data": "the words"}, title="T")
    for sent in (ask(backend, user(words)), ask(backend, USER, assistant(use()), user(result(content=[words])))):
        assert "T\\nthe words" in json.dumps(sent.body)
        assert sent.lost("degraded")
    blocks = document({"type": "content", "content": [text("a"), text("b")]})
    assert "a\\nb" in json.dumps(ask(backend, user(blocks)).body)
    url = document({"type": "url", "url": "https://example.com/a.pdf"})
    if backend == "openai":
        assert ask(backend, user(url)).refused == "messages[0].content[0]"
    else:
        assert messages(ask(backend, user(url)))[0]["content"][0]["file_url"] == "https://example.com/a.pdf"
    assert ask(backend, user(document({"type": "file", "file_id": "f"}))).refused == "messages[0].content[0]"


THOUGHT = {"type": "thinking", "thinking": "hm\u00a0\u2028 \ud83d", "signature": "EqQB/+=="}
REDACTED = {"type": "redacted_thinking", "data": "EmwK+/=="}


def test_a25_thoughts_stay_as_they_are_towards_their_own_provider() -> None:
    body = {"model": "mine", "max_tokens": 9, "messages": [USER, assistant(THOUGHT, REDACTED, text("a")), USER]}
    data = json.dumps(body).encode()
    assert Sent("anthropic", "anthropic", data, "claude-opus-4-5").raw == data.replace(b'"mine"', b'"claude-opus-4-5"')
    foreign = {
        "type": "thinking",
        "thinking": "x",
        "signature": "ferry1.bad",
    }  # takes the way through the representation
    body["messages"] = [USER, assistant(foreign, text("a")), USER, assistant(THOUGHT, REDACTED, text("b")), USER]
    sent = Sent("anthropic", "anthropic", json.dumps(body).encode(), "claude-opus-4-5")
    assert sent.body["messages"][3]["content"][:2] == [THOUGHT, REDACTED]
    assert b"ferry1" not in sent.raw
    assert sent.lost("messages[1].content[0]")


@pytest.mark.parametrize("backend", OPENAI)
def test_a26_signatures_never_leave_for_another_vendor(backend: str) -> None:
    sent = ask(backend, USER, assistant(THOUGHT, REDACTED, text("a")), USER)
    assert b"EqQB" not in sent.raw
    assert b"EmwK" not in sent.raw
    assert sent.lost("messages[1].content[0]")
    assert sent.lost("messages[1].content[1]")


@pytest.mark.parametrize(("model", "replayed"), [("deepseek-chat", True), ("kimi-k2", True), ("llama-4", False)])
def test_a27_thoughts_of_tool_loops_go_back_where_they_are_needed_and_nowhere_else(model: str, replayed: bool) -> None:
    thought = {"type": "thinking", "thinking": "I need f", "signature": ""}
    loop = ask("openai", USER, assistant(thought, use()), user(result(content="x")), model=model)
    assert (loop.body["messages"][1].get("reasoning_content") == "I need f") is replayed
    assert loop.lost("messages[1].content[0]") is not replayed
    plain = ask("openai", USER, assistant(thought, text("a")), USER, model=model)
    assert "reasoning_content" not in plain.body["messages"][1]
    assert plain.lost("messages[1].content[0]")


SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "rome"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [{"type": "web_search_result", "title": "Rome", "url": "https://r.example", "encrypted_content": "Zz"}],
}


@pytest.mark.parametrize("backend", OPENAI)
def test_a29_searches_of_the_history_are_told_in_order(backend: str) -> None:
    sent = ask(backend, USER, assistant(text("I look."), SEARCH, FOUND, text("It is old.")), USER)
    said = json.dumps(messages(sent)[1])
    places = [said.index(word) for word in ("I look.", "web_search", "https://r.example", "It is old.")]
    assert places == sorted(places)
    assert "Zz" not in said
    assert sent.lost("degraded messages[1].content[1]")
    assert sent.lost("degraded messages[1].content[2]")


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize(
    "block",
    [
        {"type": "search_result", "source": "s", "title": "t", "content": [text("body")]},
        {"type": "container_upload", "file_id": "f"},
        {"type": "tool_reference", "tool_name": "f"},
        {"type": "compaction", "content": "what was"},
        {"type": "martian", "x": {"y": [1]}},
    ],
)
@pytest.mark.parametrize("place", ["user", "assistant", "result"])
def test_a30_blocks_nobody_else_knows_are_carried_or_reported(backend: str, block: dict[str, Any], place: str) -> None:
    history = {
        "user": [user(block, text("x"))],
        "assistant": [USER, assistant(block, text("x")), USER],
        "result": [USER, assistant(use()), user(result(content=[block, text("x")]))],
    }
    sent = ask(backend, *history[place])
    assert sent.refused == ""
    assert sent.lost("content[0]")


@pytest.mark.parametrize("backend", OPENAI)
def test_a30_citations_are_reported(backend: str) -> None:
    cited = {**text("a"), "citations": [{"type": "char_location", "cited_text": "x"}]}
    assert ask(backend, USER, assistant(cited), USER).lost("messages[1].content[0].citations")


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize("input_", ["a string", [1, 2.0], 3, {"n": 12345678901234567890, "f": 1.0}])
def test_a31_g7_inputs_stay_the_json_they_are(backend: str, input_: Any) -> None:
    sent = ask(backend, USER, assistant(use(input_=input_)), user(result(content="x")))
    call = messages(sent)[1]
    arguments = call["tool_calls"][0]["function"]["arguments"] if backend == "openai" else call["arguments"]
    assert arguments == json.dumps(input_)


# --- parameters ---


def test_a32_the_limit_has_the_providers_name() -> None:
    assert ask("openai", model="gpt-5.4").body["max_completion_tokens"] == 4000
    assert ask("openai", model="llama-4").body["max_tokens"] == 4000
    assert ask("openai_responses").body["max_output_tokens"] == 4000
    least = Sent("anthropic", "openai_responses", {"model": "m", "max_tokens": 1, "messages": [USER]})
    assert least.body["max_output_tokens"] == 16
    assert least.lost("degraded max_tokens")


@pytest.mark.parametrize("backend", OPENAI)
def test_g5_warming_a_cache_without_an_answer_is_refused(backend: str) -> None:
    assert Sent("anthropic", backend, {"model": "m", "max_tokens": 0, "messages": [USER]}).refused == "max_tokens"


def test_a33_stops_are_a_list_or_refused() -> None:
    assert ask("openai", stop_sequences=["END"]).body["stop"] == ["END"]
    assert ask("openai_responses", stop_sequences=["END"]).refused == "stop_sequences"
    assert ask("openai", stop_sequences=list("abcde")).refused == "stop_sequences"
    assert ask("openai_responses", stop_sequences=[]).refused == ""


@pytest.mark.parametrize("backend", OPENAI)
def test_a34_models_that_refuse_sampling_do_not_get_it(backend: str) -> None:
    sent = ask(backend, temperature=0.70, top_p=0.5, top_k=3, model="gpt-5.4")
    assert not sent.body.keys() & {"temperature", "top_p", "top_k"}
    assert all(sent.lost(f"dropped {name}") for name in ("temperature", "top_p", "top_k"))
    other = ask(backend, temperature=0.70, top_p=0.5, top_k=3, model="llama-4")
    assert (other.body["temperature"], other.body["top_p"]) == (0.7, 0.5)
    assert other.losses == ["dropped top_k"]
    assert ask(backend, temperature=1, model="gpt-5.4").losses == []


@pytest.mark.parametrize(
    ("fields", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "minimal"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4000}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 20000}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31999}}, "xhigh"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, "max"),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, "none"),
        ({"output_config": {"effort": "low"}}, "low"),
        ({"thinking": {"type": "adaptive"}}, None),
        ({}, None),
    ],
)
def test_a35_thinking_is_effort(fields: dict[str, Any], effort: str | None) -> None:
    body = {"max_tokens": 64000, **fields}
    assert ask("openai", **body).body.get("reasoning_effort") == effort
    sent = ask("openai_responses", **body)
    assert sent.body.get("reasoning", {}).get("effort") == effort
    if "budget_tokens" in json.dumps(fields):
        assert sent.lost("thinking")


@pytest.mark.parametrize("backend", OPENAI)
def test_a35_more_budget_is_never_less_effort_and_a_budget_beside_an_effort_is_reported(backend: str) -> None:
    order = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]

    def effort(budget: int) -> int:
        sent = ask(backend, max_tokens=99999, thinking={"type": "enabled", "budget_tokens": budget})
        return order.index(sent.body.get("reasoning_effort") or sent.body["reasoning"]["effort"])

    found = [effort(budget) for budget in range(0, 70000, 997)]
    assert found == sorted(found)
    both = ask(backend, thinking={"type": "enabled", "budget_tokens": 2000}, output_config={"effort": "high"})
    assert both.lost("thinking.budget_tokens")


def test_a35_b22_thoughts_are_shown_where_the_client_wants_them() -> None:
    sent = ask("openai_responses", thinking={"type": "adaptive"})
    assert sent.body["reasoning"]["summary"] == "auto"
    assert sent.body["include"] == ["reasoning.encrypted_content"]
    hidden = ask("openai_responses", thinking={"type": "adaptive", "display": "omitted"})
    assert "summary" not in hidden.body["reasoning"]
    off = ask("openai_responses", thinking={"type": "disabled"})
    assert "include" not in off.body
    assert "summary" not in off.body["reasoning"]


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-chat-latest"])
@pytest.mark.parametrize("backend", OPENAI)
def test_a35_models_that_do_not_think_are_not_asked_to(backend: str, model: str) -> None:
    sent = ask(backend, thinking={"type": "adaptive"}, output_config={"effort": "high"}, model=model)
    assert not sent.body.keys() & {"reasoning", "reasoning_effort", "include"}
    assert sent.lost("dropped thinking")


OPEN = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"maximum": 1.0}}}
CLOSED = {**OPEN, "required": ["a", "b"], "additionalProperties": False}


@pytest.mark.parametrize("key", ["output_config", "output_format"])
@pytest.mark.parametrize("backend", OPENAI)
def test_a36_formats_bind_where_their_schema_can(backend: str, key: str) -> None:
    def ask_for(schema: Any) -> tuple[dict[str, Any], Sent]:
        format_ = {"type": "json_schema", "schema": schema}
        fields: dict[str, Any] = {key: {"format": format_} if key == "output_config" else format_}
        sent = ask(backend, **fields)
        found = sent.body["response_format"]["json_schema"] if backend == "openai" else sent.body["text"]["format"]
        return found, sent

    bound, sent = ask_for(CLOSED)
    assert (bound["strict"], bound["schema"]) == (True, CLOSED)
    assert sent.losses == []
    loose, sent = ask_for(OPEN)
    assert (loose["strict"], loose["schema"]) == (False, OPEN)
    assert sent.lost("degraded output_")


@pytest.mark.parametrize("backend", OPENAI)
def test_a37_a_long_user_id_becomes_the_same_short_one_every_time(backend: str) -> None:
    long_id = json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "s" * 36})
    one, two = (ask(backend, metadata={"user_id": long_id}) for _ in range(2))
    assert one.body["user"] == two.body["user"]
    assert len(one.body["user"]) <= 64
    assert one.lost("metadata.user_id")
    assert ask(backend, metadata={"user_id": long_id + "x"}).body["user"] != one.body["user"]
    assert ask(backend, metadata={"user_id": "u1"}).body["user"] == "u1"


@pytest.mark.parametrize("backend", OPENAI)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("inference_geo", "eu"),
        ("container", "c"),
        ("mcp_servers", [{"type": "url", "name": "m", "url": "u"}]),
        ("context_management", {"edits": []}),
        ("speed", "fast"),
        ("fallbacks", ["x"]),
        ("diagnostics", {"previous_message_id": None}),
        ("cache_control", {"type": "ephemeral"}),
        ("zz_martian", 1),
    ],
)
def test_a38_a39_fields_without_a_counterpart_are_reported(backend: str, name: str, value: Any) -> None:
    sent = ask(backend, **{name: value})
    assert sent.losses == [f"dropped {name}"]
    assert name.encode() not in sent.raw
    assert ask(backend, **{name: None}).losses == []


@pytest.mark.parametrize("backend", OPENAI)
def test_a38_the_tier_in_the_providers_word(backend: str) -> None:
    assert ask(backend, service_tier="standard_only").body["service_tier"] == "default"
    assert ask(backend, service_tier="auto").body["service_tier"] == "auto"


@pytest.mark.parametrize("backend", OPENAI)
def test_a41_breakpoints_are_dropped_and_reported(backend: str) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}
    sent = ask(
        backend,
        user({**text("a"), **mark}),
        assistant({**use(), **mark}),
        user({**result(content=[{**text("r"), **mark}]), **mark}),
        system=[{**text("s"), **mark}],
        tools=[{**TOOL, **mark}],
    )
    assert b"cache_control" not in sent.raw
    assert sorted(loss for loss in sent.losses) == [
        "dropped messages[0].content[0].cache_control",
        "dropped messages[1].content[0].cache_control",
        "dropped messages[2].content[0].cache_control",
        "dropped messages[2].content[0].content[0].cache_control",
        "dropped system[0].cache_control",
        "dropped tools[0].cache_control",
    ]


def test_a43_counting_needs_no_limit_and_is_never_zero() -> None:
    count = CountTokens(native=False)
    body = {"model": "m", "messages": [user(text("hi"), IMAGE, document(BYTES))], "tools": [TOOL], "system": "s"}
    assert count.receive_request(json.dumps(body).encode()) is None
    assert count.head is not None
    assert ("x-ferryllm-estimate", "input_tokens") in count.head.headers
    assert json.loads(count.receive_eof())["input_tokens"] > 1000
    request = DIALECTS["anthropic"].decode_count(b'{"model":"m","messages":[{"role":"user","content":""}]}')
    assert request.max_output is None


# --- to Messages providers ---


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
