"""What a provider made by itself, from block to block; rules/test_answers_made.py has it in whole answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.made import Made


def block(dialect: str, type_: str, **fields: Any) -> ir.Hosted:
    return ir.Hosted(dialect, type_, json.dumps(fields).encode())


def use(id_: str, code: str = "1") -> ir.Hosted:
    return block("anthropic", "server_tool_use", id=id_, name="code_execution", input={"code": code})


def result(id_: str, **content: Any) -> ir.Hosted:
    given = {"type": "code_execution_result", "stdout": "o", "stderr": "e", "return_code": 0, "content": [], **content}
    return block("anthropic", "code_execution_tool_result", tool_use_id=id_, content=given)


def test_two_halves_find_each_other_by_their_id() -> None:
    made = Made("openai_responses", 1)
    assert made.receive(use("a", "A")) == ()
    assert made.receive(use("b", "B")) == ()
    (second,) = made.receive(result("b")) or ()
    (first,) = made.receive(result("a")) or ()
    assert [json.loads(one.raw)["code"] for one in (first, second)] == ["A", "B"]
    assert json.loads(first.raw)["outputs"] == [{"type": "logs", "logs": "oe"}]
    assert json.loads(first.raw)["id"] != json.loads(second.raw)["id"]
    assert made.end() == ()


def test_g9_ids_depend_on_the_seed_alone() -> None:
    def ids(seed: int) -> list[str]:
        made = Made("openai_responses", seed)
        made.receive(use("a"))
        return [json.loads(one.raw)["id"] for one in made.receive(result("a")) or ()]

    assert ids(1) == ids(1) != ids(2)


@pytest.mark.parametrize("client", ["openai", "ollama", "anthropic"])
def test_clients_without_a_word_for_it_are_not_given_any(client: str) -> None:
    assert Made(client, 1).receive(use("a")) is None


@pytest.mark.parametrize(
    "found",
    [
        block("anthropic", "server_tool_use", id="x", name="bash_code_execution", input={"command": "ls"}),
        block("anthropic", "server_tool_use", id="x", name="code_execution", input={}),
        result("never begun"),
        result("x", content=[{"type": "code_execution_output", "file_id": "f"}]),
        block("openai", "images", image_url={"url": "https://a.example/x.png"}),
        block("openai", "images", image_url={"url": "data:text/plain;base64,AA=="}),
        block("gemini", "inlineData", inlineData={"mimeType": "audio/wav", "data": "AA=="}),
        block("gemini", "executableCode", executableCode={}),
        block("openai_responses", "image_generation_call", result=None),
        block("anthropic", "never_heard_of"),
        ir.Hosted("gemini", "inlineData", b"{"),
        ir.Hosted("openai", "images", b'["x", 1, null]'),
    ],
)
def test_what_is_not_understood_is_left_to_be_reported(found: ir.Hosted) -> None:
    client = "openai_responses" if found.dialect != "openai_responses" else "gemini"
    assert not Made(client, 1).receive(found)


def test_searches_are_still_found() -> None:
    made = Made("anthropic", 1)
    call = block("openai_responses", "web_search_call", id="w", action={"type": "search", "query": "q"})
    found = made.receive(call)
    assert found is not None
    assert [one.type for one in found] == ["server_tool_use", "web_search_tool_result"]
    assert (made.made, made.usage.server_tools) == (1, {"web_search_requests": 1})
