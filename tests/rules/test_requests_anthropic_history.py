"""translation.md A17 to A31: what Messages clients send back of a conversation."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from support.messages_client import (
    BYTES,
    IMAGE,
    OPENAI,
    USER,
    ask,
    assistant,
    document,
    messages,
    result,
    text,
    use,
    user,
)
from support.rich_requests import PDF, PNG
from support.sent import Sent


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
