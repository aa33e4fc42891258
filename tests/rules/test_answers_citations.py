"""X16, X17: searches a provider made and the sources of a text, to every client that has a word for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.grammar import Seen
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    DIALECTS,
    Told,
    block,
    chat,
    message_item,
    messages,
    messages_whole,
    responses,
    responses_whole,
    through,
)
from support.native import gemini_whole

OTHERS = {name: [other for other in DIALECTS if other != name] for name in DIALECTS}


def well(entry: str, told: Told) -> Seen:
    assert told.state is State.DONE, told.error
    seen = grammar.validate(entry, told.body)
    assert seen.ended
    return seen


SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}}


@pytest.mark.parametrize("stream", [True, False])
def test_x16_a_search_of_the_provider_is_a_use_and_its_result(stream: bool) -> None:
    page = {"type": "url", "url": "https://a.example"}
    call = {**SEARCH, "action": {**SEARCH["action"], "sources": [page]}}  # type: ignore[dict-item]  # it is one
    told = through("anthropic", "openai_responses", responses(call, message_item("found")), stream=stream)
    folded = (oracles.stream if stream else oracles.whole)("anthropic", told.body).model_dump()
    use, result, text = folded["content"]
    assert (use["type"], use["name"], use["input"]) == ("server_tool_use", "web_search", {"query": "q"})
    assert (result["type"], result["tool_use_id"]) == ("web_search_tool_result", use["id"])
    assert [found["url"] for found in result["content"]] == ["https://a.example"]
    assert text["text"] == "found"
    assert folded["stop_reason"] == "end_turn"
    assert folded["usage"]["server_tool_use"]["web_search_requests"] == 1
    assert told.losses == []


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", ["openai"])
def test_x16_searches_of_the_provider_are_reported(entry: str, stream: bool) -> None:
    told = through(entry, "openai_responses", responses(SEARCH, message_item("found")), stream=stream)
    assert told.state is State.DONE
    assert any("web_search_call" in path or "content[0]" in path for path in told.lost)
    assert stream or "x-ferryllm-loss" in told.headers


def cited(entry: str, told: Told, stream: bool) -> list[dict[str, Any]]:
    folded = (oracles.stream if stream else oracles.whole)(entry, told.body).model_dump()
    if entry == "openai":
        found = folded["choices"][0]["message"]["annotations"] or []
        return [one["url_citation"] for one in found]
    if entry == "anthropic":
        return list(folded["content"][0]["citations"] or [])
    if entry == "gemini":
        return grounded(told, stream)
    return list(folded["output"][0]["content"][0]["annotations"])


def grounded(told: Told, stream: bool) -> list[dict[str, Any]]:
    """The grounding of a Gemini answer as web citations, their spans in characters of the whole text."""
    blocks = told.body.split(b"\r\n\r\n")[:-1] if stream else [b"data: " + told.body]
    values = [json.loads(block.removeprefix(b"data: ")) for block in blocks]
    parts = [part for value in values for part in value["candidates"][0]["content"]["parts"]]
    text = "".join(part.get("text", "") for part in parts if not part.get("thought")).encode()
    (metadata,) = [found for value in values if (found := value["candidates"][0].get("groundingMetadata"))]
    out = []
    for support in metadata["groundingSupports"]:
        start, end = support["segment"].get("startIndex", 0), support["segment"]["endIndex"]
        assert text[start:end].decode() == support["segment"]["text"]
        for index in support["groundingChunkIndices"]:
            page = metadata["groundingChunks"][index]["web"]
            spans = {"start_index": len(text[:start].decode()), "end_index": len(text[:end].decode())}
            out.append({"url": page["uri"], "title": page["title"], **spans})
    return out


PAGE = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 4}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), [(e, b) for e in DIALECTS for b in DIALECTS if e != b and b != "ollama"])
def test_x17_web_citations_reach_every_client(entry: str, backend: str, stream: bool) -> None:
    second = {"url": "https://b.example"}
    data = {
        "openai": chat(
            {"content": "text"},
            {"annotations": [{"type": "url_citation", "url_citation": PAGE}]},
            {"annotations": [{"type": "url_citation", "url_citation": second}]},
        ),
        "anthropic": messages(
            block(
                0,
                {"type": "text", "text": ""},
                {"type": "text_delta", "text": "text"},
                *(
                    {
                        "type": "citations_delta",
                        "citation": {
                            "type": "web_search_result_location",
                            "cited_text": "c",
                            "encrypted_index": "e",
                            **page,
                        },
                    }
                    for page in ({"url": PAGE["url"], "title": "A"}, {**second, "title": None})
                ),
            )
        ),
        "openai_responses": responses_whole(
            {
                **message_item(),
                "content": [
                    {
                        "type": "output_text",
                        "text": "text",
                        "logprobs": [],
                        "annotations": [{"type": "url_citation", **PAGE}, {"type": "url_citation", **second}],
                    }
                ],
            }
        ),
        "gemini": gemini_whole(
            {"text": "text"},
            candidate={
                "groundingMetadata": {
                    "groundingChunks": [{"web": {"uri": PAGE["url"], "title": "A"}}, {"web": {"uri": second["url"]}}],
                    "groundingSupports": [
                        {"segment": {"endIndex": 4, "text": "text"}, "groundingChunkIndices": [0, 1]},
                    ],
                }
            },
        ),
    }[backend]
    told = through(entry, backend, data, stream=stream)
    assert told.state is State.DONE, told.error
    if stream:
        well(entry, told)
    if entry == "ollama":
        assert "content.citations" in told.lost
        return
    found = cited(entry, told, stream)
    assert [one["url"] for one in found] == ["https://a.example", "https://b.example"]
    assert found[0]["title"] == "A"
    if entry != "anthropic":
        assert (found[1]["start_index"], found[1]["end_index"]) == (0, 4)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", OTHERS["anthropic"])
def test_x17_citations_that_can_not_be_said_are_reported_once(entry: str, stream: bool) -> None:
    location = {
        "type": "char_location",
        "cited_text": "c",
        "document_index": 0,
        "document_title": None,
        "start_char_index": 0,
        "end_char_index": 1,
    }
    deltas = [{"type": "citations_delta", "citation": location}] * 300
    told = through(
        entry,
        "anthropic",
        messages(block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "t"}, *deltas)),
        stream=stream,
    )
    assert told.state is State.DONE
    assert len([path for path in told.lost if "citation" in path]) == 1


CITED = {"type": "web_search_result_location", "cited_text": "c", "encrypted_index": "e"}
FIRST = {**CITED, "url": "https://a.example", "title": "A"}
SECOND = {**CITED, "url": "https://b.example", "title": "B"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("came", [True, False])
@pytest.mark.parametrize("entry", ["openai", "openai_responses", "gemini"])
def test_x17_each_source_is_about_its_own_text(entry: str, stream: bool, came: bool) -> None:
    # The API sends a block's citations before its text, and each claim in a block of its own.
    texts = ["It is ", "warm é", " and ", "😀 dry", "."]
    sources = {1: FIRST, 3: SECOND}
    if came:
        blocks = [
            block(
                n,
                {"type": "text", "text": "", **({"citations": []} if n in sources else {})},
                *([{"type": "citations_delta", "citation": sources[n]}] if n in sources else []),
                *({"type": "text_delta", "text": letter} for letter in text),
            )
            for n, text in enumerate(texts)
        ]
        data = messages(*blocks)
    else:
        data = messages_whole(
            *(
                {"type": "text", "text": text, **({"citations": [sources[n]]} if n in sources else {})}
                for n, text in enumerate(texts)
            )
        )
    told = through(entry, "anthropic", data, stream=stream)
    assert told.lost == ["citations.cited_text"]  # a page has a place there, its words have none
    folded = (oracles.stream if stream else oracles.whole)(entry, told.body).model_dump()
    if entry == "openai":
        message = folded["choices"][0]["message"]
        found = [(message["content"], one["url_citation"]) for one in message["annotations"]]
    elif entry == "openai_responses":
        parts = [part for item in folded["output"] for part in item["content"]]
        found = [(part["text"], one) for part in parts for one in part["annotations"]]
    elif stream:
        found = [("".join(texts), one) for one in grounded(told, stream)]
    else:
        (candidate,) = told.json()["candidates"]
        metadata = candidate["groundingMetadata"]
        urls = [chunk["web"]["uri"] for chunk in metadata["groundingChunks"]]
        quotes = []
        for support in metadata["groundingSupports"]:
            segment = support["segment"]
            text = candidate["content"]["parts"][segment["partIndex"]]["text"].encode()
            said = text[segment.get("startIndex", 0) : segment["endIndex"]].decode()
            quotes.append((urls[support["groundingChunkIndices"][0]], said))
        assert quotes == [(FIRST["url"], "warm é"), (SECOND["url"], "😀 dry")]
        return
    quotes = [(one["url"], text[one["start_index"] : one["end_index"]]) for text, one in found]
    assert quotes == [(FIRST["url"], "warm é"), (SECOND["url"], "😀 dry")]


def test_x17_citations_of_a_text_that_was_cut_are_not_lost() -> None:
    data = messages(block(0, {"type": "text", "text": ""}, {"type": "citations_delta", "citation": FIRST}))
    cut = data[: data.index(b"event: content_block_stop")] + data[data.index(b"event: message_delta") :]
    told = through("openai", "anthropic", cut)
    assert told.state is State.DONE
    assert b"https://a.example" in told.body
