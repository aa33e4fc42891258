"""Sources of a text: bytes on the wire, characters everywhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini import DIALECT
from ferryllm_proto.dialects.gemini.grounding import Grounds, Quoted
from support import recorded

CHUNKS = [{"web": {"uri": "https://a.example", "title": "A"}}, {"retrievedContext": {"uri": "gs://b"}}, {"maps": {}}]


def quoted(*pieces: str) -> Quoted:
    out = Quoted()
    out.open()
    out.chunk()
    out.part()
    for piece in pieces:
        out.add(piece)
    return out


def supports(*segments: dict[str, Any], chunks: list[int] | None = None) -> bytes:
    given = [{"segment": one, "groundingChunkIndices": [0] if chunks is None else chunks} for one in segments]
    return json.dumps({"groundingChunks": CHUNKS, "groundingSupports": given}).encode()


def spans(found: list[bytes]) -> list[tuple[int, int]]:
    values = [json.loads(one) for one in found]
    return [(value["start_index"], value["end_index"]) for value in values]


@pytest.mark.parametrize(
    ("segment", "span"),
    [
        ({"endIndex": 2, "text": "é"}, (0, 1)),
        ({"startIndex": 3, "endIndex": 7, "text": "😀"}, (2, 3)),
        ({"startIndex": 3, "endIndex": 7}, (2, 3)),
        ({"startIndex": 2, "endIndex": 3, "text": "😀"}, (2, 3)),  # counted in characters
        ({"startIndex": 0, "endIndex": 3, "text": "end"}, (4, 7)),  # counted in nothing known
        ({"text": "é 😀 end"}, (0, 7)),
    ],
)
def test_x17_offsets_become_characters(segment: dict[str, Any], span: tuple[int, int]) -> None:
    text = quoted("é ", "😀", " end")
    text.expect(supports(segment), None)
    assert spans(text.take()) == [span]
    assert not text.drop()


def test_x17_each_page_of_a_support_is_a_citation_and_said_once() -> None:
    text = quoted("ab")
    for _ in range(2):  # some chunks repeat what the chunks before them said
        text.expect(supports({"endIndex": 2, "text": "ab"}, chunks=[0, 1, 2, 9, -1]), None)
    found = [json.loads(one) for one in text.take()]
    assert [(one["url"], one["title"]) for one in found] == [("https://a.example", "A"), ("gs://b", "gs://b")]


def test_x17_sources_wait_for_their_text_and_belong_to_its_block() -> None:
    text = quoted("first ")
    text.expect(supports({"startIndex": 6, "endIndex": 12, "text": "second"}, {"endIndex": 5, "text": "first"}), None)
    assert spans(text.take()) == [(0, 5)]
    text.open()
    text.part()
    text.add("second")
    assert spans(text.take()) == [(0, 6)]
    text.expect(supports({"endIndex": 4, "text": "firs"}), None)
    assert text.take() == []
    assert text.drop()
    assert not text.waiting


def test_x17_parts_have_offsets_of_their_own() -> None:
    text = quoted("one ")
    text.part()
    text.add("é two")
    text.expect(supports({"partIndex": 1, "startIndex": 3, "endIndex": 6, "text": "two"}), None)
    assert spans(text.take()) == [(6, 9)]


def test_recitations_are_sources_too() -> None:
    text = quoted("é words")
    text.expect(None, b'{"citationSources":[{"startIndex":3,"endIndex":8,"uri":"https://c"},{"license":"mit"}]}')
    assert spans(text.take()) == [(2, 7)]


@pytest.mark.parametrize("data", [b"[]", b"{", b'{"groundingChunks":1}', b'{"groundingSupports":[{"segment":1}]}'])
def test_what_is_not_readable_is_no_reason_to_lose_an_answer(data: bytes) -> None:
    text = quoted("a")
    text.expect(data, data)
    assert not text.waiting


def test_a_clients_segments_count_bytes() -> None:
    grounds = Grounds()
    grounds.open()
    grounds.add("Näh ")
    grounds.open()
    grounds.add("é😀 so")
    assert grounds.cite(b'{"url":"https://a","title":"A","start_index":1,"end_index":2}')
    assert grounds.cite(b'{"url_citation":{"url":"https://b","start_index":1,"end_index":2}}')
    assert grounds.cite(b'{"url":"https://a"}')
    assert not grounds.cite(b'{"type":"char_location"}')
    assert not grounds.cite(b"[]")
    found = grounds.metadata()
    assert found is not None
    assert json.loads(found) == {
        "groundingChunks": [
            {"web": {"uri": "https://a", "title": "A"}},
            {"web": {"uri": "https://b", "title": "https://b"}},
        ],
        "groundingSupports": [
            {"segment": {"startIndex": 7, "endIndex": 11, "text": "😀"}, "groundingChunkIndices": [0, 1]},
            {"segment": {"startIndex": 5, "endIndex": 14, "text": "é😀 so"}, "groundingChunkIndices": [0]},
        ],
    }


def test_nothing_cited_is_nothing_said() -> None:
    grounds = Grounds()
    grounds.open()
    grounds.add("a")
    assert grounds.metadata() is None
    assert not grounds.search(b'{"searchEntryPoint":{}}')  # a provider's own
    assert not grounds.search(b"{")


@pytest.mark.recorded
def test_recorded_segments_are_found_in_their_text() -> None:
    checked = 0
    for case in recorded.cases("gemini"):
        if case["stream"] or case["status"] != 200 or "groundingSupports" not in json.dumps(case.get("response")):
            continue
        response = DIALECT.decode_response(json.dumps(case["response"]).encode())
        metadata = case["response"]["candidates"][0]["groundingMetadata"]
        paged = {n for n, one in enumerate(metadata["groundingChunks"]) if "uri" in next(iter(one.values()))}
        said = metadata["groundingSupports"]
        wanted = {one["segment"]["text"] for one in said if paged & set(one.get("groundingChunkIndices", ()))}
        quotes = set()
        for part in response.parts:
            if isinstance(part, ir.Text):
                for raw in part.citations:
                    value = json.loads(raw)
                    quotes.add(part.text[value["start_index"] : value["end_index"]])
        assert quotes == wanted, case["id"]
        checked += len(wanted)
    assert checked > 20
