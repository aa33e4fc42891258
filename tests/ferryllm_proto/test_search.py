"""Web search between dialects: the tool and the searches that were made."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.loss import Report
from ferryllm_proto.search import Searches, tool

PLACE = {"type": "approximate", "city": "Ulm", "country": "DE"}
TOOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": (
        "web_search_20250305",
        {"type": "web_search_20250305", "name": "web_search", "allowed_domains": ["a.example"], "user_location": PLACE},
    ),
    "openai_responses": (
        "web_search",
        {"type": "web_search", "filters": {"allowed_domains": ["a.example"]}, "user_location": PLACE},
    ),
    "gemini": ("googleSearch", {"googleSearch": {}}),
}


def offered(dialect: str, type_: str, value: dict[str, Any]) -> ir.HostedTool:
    return ir.HostedTool(dialect, type_, json.dumps(value).encode(), path="tools[0]")


@pytest.mark.parametrize("target", list(TOOLS))
@pytest.mark.parametrize("source", list(TOOLS))
def test_a9_the_tool_is_said_in_the_targets_words_and_the_rest_is_reported(source: str, target: str) -> None:
    report = Report()
    found = tool(offered(source, *TOOLS[source]), target, report)
    assert found is not None
    assert (found.dialect, found.type, found.path) == (target, TOOLS[target][0], "tools[0]")
    if "gemini" not in (source, target):
        assert json.loads(found.raw) == TOOLS[target][1]
        assert report.losses == []
    elif target == "gemini":
        assert json.loads(found.raw) == TOOLS["gemini"][1]
        places = {"anthropic": "allowed_domains", "openai_responses": "filters.allowed_domains"}
        expected = [] if source == "gemini" else [f"tools[0].{places[source]}", "tools[0].user_location"]
        assert [loss.path for loss in report.losses] == expected


@pytest.mark.parametrize(
    ("dialect", "type_", "value", "lost"),
    [
        ("anthropic", "web_search_20260318", {"type": "web_search_20260318", "x": 1}, ["tools[0].x"]),
        ("anthropic", "web_search_20250305", {"user_location": {"moon": "far"}}, ["tools[0].user_location.moon"]),
        ("anthropic", "web_search_20250305", {"cache_control": {"type": "ephemeral"}}, ["tools[0].cache_control.type"]),
        ("openai_responses", "web_search", {"filters": {"odd": True}}, ["tools[0].filters.odd"]),
        ("gemini", "googleSearch", {"googleSearch": {"odd": "day"}}, ["tools[0].googleSearch.odd"]),
        ("openai", "web_search_options", {"user_location": {"approximate": {}, "x": 0}}, ["tools[0].user_location.x"]),
    ],
)  # fmt: skip
def test_g3_options_nobody_knows_are_reported(dialect: str, type_: str, value: dict[str, Any], lost: list[str]) -> None:
    target = "openai_responses" if dialect != "openai_responses" else "anthropic"
    report = Report()
    assert tool(offered(dialect, type_, value), target, report) is not None
    assert [loss.path for loss in report.losses] == lost


@pytest.mark.parametrize(
    ("dialect", "type_", "raw", "target"),
    [
        ("anthropic", "bash_20250124", b"{}", "openai_responses"),
        ("openai_responses", "file_search", b"{}", "anthropic"),
        ("openai_responses", "web_search", b"{}", "openai"),
        ("openai_responses", "web_search", b"{}", "ollama"),
        ("anthropic", "web_search_20250305", b"not json", "openai_responses"),
        ("gemini", "codeExecution", b'{"codeExecution":{}}', "anthropic"),
    ],
)
def test_other_tools_are_none_of_its_business(dialect: str, type_: str, raw: bytes, target: str) -> None:
    report = Report()
    assert tool(ir.HostedTool(dialect, type_, raw), target, report) is None
    assert report.losses == []


CALL = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "q", "sources": [{"type": "url", "url": "https://a.example"}]},
}
GROUNDING = {
    "webSearchQueries": ["q"],
    "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}, {"web": {"uri": "https://a.example"}}],
}
USE = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "s1",
    "content": [{"type": "web_search_result", "url": "https://a.example", "title": "A", "encrypted_content": "e"}],
}
MADE: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "openai_responses": [("web_search_call", CALL)],
    "gemini": [("groundingMetadata", {"groundingMetadata": GROUNDING})],
    "anthropic": [("server_tool_use", USE), ("web_search_tool_result", FOUND)],
}


@pytest.mark.parametrize(("source", "client"), [(s, c) for s in MADE for c in MADE if s != c])
def test_x16_a_search_keeps_its_question_and_its_sources(source: str, client: str) -> None:
    searches = Searches(client, seed=3)
    blocks: list[ir.Hosted] = []
    for type_, value in MADE[source]:
        found = searches.receive(ir.Hosted(source, type_, json.dumps(value).encode()))
        assert found is not None
        blocks += found
    assert searches.end() == ()
    assert [block.type for block in blocks] == [type_ for type_, _ in MADE[client]]
    assert all(block.dialect == client for block in blocks)
    text = b"".join(block.raw for block in blocks)
    assert b'"q"' in text
    assert b"https://a.example" in text
    assert searches.usage.server_tools == {"web_search_requests": 1}


def test_x16_a_question_without_its_result_is_not_lost() -> None:
    searches = Searches("openai_responses", seed=3)
    assert searches.receive(ir.Hosted("anthropic", "server_tool_use", json.dumps(USE).encode())) == ()
    (call,) = searches.end()
    assert json.loads(call.raw)["action"]["query"] == "q"
    assert searches.end() == ()


@pytest.mark.parametrize(
    ("client", "block"),
    [
        ("openai", ir.Hosted("openai_responses", "web_search_call", json.dumps(CALL).encode())),
        ("ollama", ir.Hosted("gemini", "groundingMetadata", json.dumps({"groundingMetadata": GROUNDING}).encode())),
        ("anthropic", ir.Hosted("anthropic", "server_tool_use", json.dumps(USE).encode())),
        ("anthropic", ir.Hosted("openai_responses", "file_search_call", b"{}")),
        ("anthropic", ir.Hosted("openai_responses", "web_search_call", b"[")),
        ("openai_responses", ir.Hosted("anthropic", "server_tool_use", b'{"name":"code_execution","id":"x"}')),
    ],
)
def test_other_blocks_are_none_of_its_business(client: str, block: ir.Hosted) -> None:
    searches = Searches(client, seed=3)
    assert searches.receive(block) is None
    assert searches.made == 0


@pytest.mark.parametrize("raw", [b"{}", b'{"action":7}', b'{"action":{"type":"search","query":4,"sources":{}}}'])
def test_odd_blocks_are_searches_about_nothing(raw: bytes) -> None:
    found = Searches("anthropic", seed=3).receive(ir.Hosted("openai_responses", "web_search_call", raw))
    assert found is not None
    assert json.loads(found[1].raw)["content"] == []
