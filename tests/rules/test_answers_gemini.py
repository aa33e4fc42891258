"""W1, D1, D2, U3, X17 and the rows of wire.md 7.7 to 7.9 that are Gemini's: as entry and as backend."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.grammar import Seen
from ferryllm_proto.loss import Disposition
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    DIALECTS,
    Told,
    ask,
    block,
    call_item,
    chat,
    chunk,
    fragment,
    message_item,
    messages,
    messages_whole,
    responses,
    responses_whole,
    tell,
    text_block,
    thinking_block,
    through,
    tool_block,
)
from support.native import (
    gemini,
    gemini_array,
    gemini_call,
    gemini_chunk,
    gemini_object,
    gemini_usage,
    gemini_whole,
    ollama,
    ollama_call,
)

ENTRIES = [name for name in DIALECTS if name != "gemini"]
ARRAY = "/v1beta/models/asked:streamGenerateContent"
TOOLS = [{"functionDeclarations": [{"name": name, "parametersJsonSchema": {"type": "object"}} for name in "fg"]}]


def well(entry: str, told: Told) -> Seen:
    assert told.state is State.DONE, told.error
    seen = grammar.validate(entry, told.body)
    assert seen.ended
    return seen


def chunks(told: Told) -> list[dict[str, Any]]:
    assert told.state is State.DONE, told.error
    blocks = told.body.split(b"\r\n\r\n")
    assert blocks.pop() == b""
    assert all(block.startswith(b"data: ") for block in blocks)
    return [json.loads(block[6:]) for block in blocks]


# --- clients of Gemini -----------------------------------------------------------------------------------

CALLS: dict[str, bytes] = {
    "openai": chat(
        {"content": "a"},
        {"tool_calls": [fragment(0, "c0", "f", ""), fragment(1, "c1", "g", "")]},
        {"tool_calls": [fragment(1, args='{"b"')]},
        {"tool_calls": [fragment(0, args='{"a":1}')]},
        {"tool_calls": [fragment(1, args=":2}")]},
        finish="tool_calls",
        usage={"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17},
    ),
    "anthropic": messages(
        text_block(0, "a"),
        tool_block(1, "c0", "f", '{"a"', ":1}"),
        tool_block(2, "c1", "g", '{"b":', "2}"),
        stop="tool_use",
    ),
    "openai_responses": responses(
        message_item("a"), call_item("fc_0", "c0", "f", '{"a":1}'), call_item("fc_1", "c1", "g", '{"b":2}')
    ),
    "ollama": ollama(
        {"content": "a"},
        {"tool_calls": [ollama_call("f", {"a": 1}, "c0"), ollama_call("g", {"b": 2}, "c1")]},
    ),
}


@pytest.mark.parametrize("backend", CALLS)
@pytest.mark.parametrize("path", [None, ARRAY])
def test_w1_calls_are_whole_and_the_last_chunk_has_reason_and_usage(backend: str, path: str | None) -> None:
    told = tell(ask("gemini", backend, path=path, tools=TOOLS), CALLS[backend])
    found = chunks(told) if path is None else json.loads(told.body)
    assert [name for chunk in found for name in chunk if name == "usageMetadata"] == ["usageMetadata"]
    *before, last = found
    assert last["usageMetadata"]["totalTokenCount"] == 17
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert all("finishReason" not in chunk["candidates"][0] for chunk in before)
    assert {chunk["candidates"][0]["content"]["role"] for chunk in found} == {"model"}
    assert len({chunk["responseId"] for chunk in found}) == 1
    parts = [part for chunk in found for part in chunk["candidates"][0]["content"]["parts"]]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [(call["id"], call["name"], call["args"]) for call in calls] == [
        ("c0", "f", {"a": 1}),
        ("c1", "g", {"b": 2}),
    ]
    if path is None:
        answer = oracles.stream("gemini", told.body)
        assert [part.function_call.name for part in answer.parts if part.function_call] == ["f", "g"]


@pytest.mark.parametrize("backend", CALLS)
def test_w1_a_whole_answer_is_the_fold_of_the_stream(backend: str) -> None:
    stream = chunks(tell(ask("gemini", backend, tools=TOOLS), CALLS[backend]))
    whole = tell(ask("gemini", backend, stream=False, tools=TOOLS), CALLS[backend]).json()
    parts = [part for one in stream for part in one["candidates"][0]["content"]["parts"] if part != {"text": ""}]
    assert whole["candidates"][0]["content"]["parts"] == parts
    assert whole["usageMetadata"] == stream[-1]["usageMetadata"]
    assert whole["candidates"][0]["finishReason"] == stream[-1]["candidates"][0]["finishReason"]


@pytest.mark.parametrize("stream", [True, False])
def test_7_4_thoughts_are_parts_of_their_own_before_the_text(stream: bool) -> None:
    for backend, data in (
        ("openai", chat({"reasoning_content": "hm"}, {"content": "a"})),
        ("anthropic", messages(thinking_block(0, "hm"), text_block(1, "a"))),
        ("ollama", ollama({"thinking": "hm"}, {"content": "a"})),
    ):
        told = through("gemini", backend, data, stream=stream)
        answer = (oracles.stream if stream else oracles.whole)("gemini", told.body)
        said = [(bool(part.thought), part.text) for part in answer.parts if part.text]
        assert said == [(True, "hm"), (False, "a")]


REASONS: list[tuple[str, bytes, str]] = [
    ("openai", chat({"content": "a"}), "STOP"),
    ("openai", chat({"content": "a"}, finish="length"), "MAX_TOKENS"),
    ("openai", chat({"content": "a"}, finish="content_filter"), "SAFETY"),
    ("openai", chat({"refusal": "no"}), "SAFETY"),
    ("openai", chat({"tool_calls": [fragment(0, "c", "f", "{}")]}, finish="tool_calls"), "STOP"),
    ("anthropic", messages(text_block(0, "a")), "STOP"),
    ("anthropic", messages(text_block(0, "a"), stop="max_tokens"), "MAX_TOKENS"),
    ("anthropic", messages(text_block(0, "a"), stop="model_context_window_exceeded"), "MAX_TOKENS"),
    ("anthropic", messages(text_block(0, "a"), stop="stop_sequence", stop_sequence="END"), "STOP"),
    ("anthropic", messages(text_block(0, "a"), stop="refusal"), "SAFETY"),
    ("anthropic", messages(text_block(0, "a"), stop="pause_turn"), "STOP"),
    ("openai_responses", responses(message_item("a")), "STOP"),
    (
        "openai_responses",
        responses(message_item("a"), status="incomplete", incomplete_details={"reason": "max_output_tokens"}),
        "MAX_TOKENS",
    ),
    (
        "openai_responses",
        responses(message_item("a"), status="incomplete", incomplete_details={"reason": "content_filter"}),
        "SAFETY",
    ),
    ("ollama", ollama({"content": "a"}), "STOP"),
    ("ollama", ollama({"content": "a"}, reason="length"), "MAX_TOKENS"),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("backend", "data", "wanted"), REASONS)
def test_7_8_every_reason_has_its_word(backend: str, data: bytes, wanted: str, stream: bool) -> None:
    told = through("gemini", backend, data, stream=stream)
    assert (well("gemini", told).finish if stream else told.json()["candidates"][0]["finishReason"]) == wanted
    if b"END" in data:
        assert "stop_sequence" in told.lost
    if b"pause_turn" in data:
        assert "finishReason" in told.lost


@pytest.mark.parametrize("stream", [True, False])
def test_x17_spans_count_bytes_of_the_text_they_are_in(stream: bool) -> None:
    page = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "c"}
    cited = {"type": "citations_delta", "citation": {**page, "encrypted_index": "e"}}
    data = messages(
        text_block(0, "Näh: "),
        block(1, {"type": "text", "text": "", "citations": []}, cited, {"type": "text_delta", "text": "é😀 is"}),
        text_block(2, " so."),
    )
    told = through("gemini", "anthropic", data, stream=stream)
    value = chunks(told)[-1] if stream else told.json()
    (support,) = value["candidates"][0]["groundingMetadata"]["groundingSupports"]
    segment = support["segment"]
    assert segment["text"] == "é😀 is"
    if stream:
        text = "Näh: é😀 is so.".encode()
        assert text[segment["startIndex"] : segment["endIndex"]].decode() == "é😀 is"
    else:
        assert (segment["partIndex"], segment.get("startIndex", 0), segment["endIndex"]) == (1, 0, 9)
    (oracles.stream if stream else oracles.whole)("gemini", told.body)


@pytest.mark.parametrize("stream", [True, False])
def test_x16_searches_become_one_grounding(stream: bool) -> None:
    calls = [
        {
            "id": f"ws_{n}",
            "type": "web_search_call",
            "status": "completed",
            "action": {"type": "search", "query": q, "sources": [{"type": "url", "url": f"https://{q}.example"}]},
        }
        for n, q in enumerate("ab")
    ]
    note = {"type": "url_citation", "url": "https://b.example", "title": "B", "start_index": 0, "end_index": 2}
    text = {"type": "output_text", "text": "so it is", "annotations": [note], "logprobs": []}
    data = responses_whole(*calls, {**message_item(), "content": [text]})
    told = through("gemini", "openai_responses", data, stream=stream)
    value = chunks(told)[-1] if stream else told.json()
    assert value["candidates"][0]["groundingMetadata"] == {
        "webSearchQueries": ["a", "b"],
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "https://a.example"}},
            {"web": {"uri": "https://b.example", "title": "B"}},
        ],
        "groundingSupports": [{"segment": {"endIndex": 2, "text": "so"}, "groundingChunkIndices": [1]}],
    }
    assert told.losses == []


@pytest.mark.parametrize("path", [None, ARRAY])
def test_s16_a_silent_provider_is_silent_for_a_client_without_comments(path: str | None) -> None:
    translator = ask("gemini", "openai", path=path)
    translator.receive_response_head(200, [])
    out = translator.receive_data(chunk({"content": "a"}))
    assert out
    assert translator.ping() == b""
    out += translator.receive_data(chunk({}, "stop")) + translator.receive_eof()
    assert not grammar.judge("gemini", out, path=path or "x:streamGenerateContent?alt=sse")[0]


@pytest.mark.parametrize("path", [None, ARRAY])
def test_g4_late_losses_are_in_the_head_or_nowhere_in_the_bytes(path: str | None) -> None:
    # An event stream of this dialect has no comments, and an array has no room for any.
    data = messages(text_block(0, "a"), stop="pause_turn")
    told = tell(ask("gemini", "anthropic", path=path), data)
    assert "finishReason" in told.lost
    assert b"x-ferryllm-loss" not in told.body


# --- providers of Gemini ---------------------------------------------------------------------------------

MIXED = gemini(
    {"text": "hm ", "thought": True},
    {"text": "hm", "thought": True},
    {"text": "a"},
    {"text": "b"},
    gemini_call("f", {"a": 1}),
    gemini_call("g"),
    {"text": "c"},
    usage=gemini_usage(thoughtsTokenCount=3),
)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("one", [True, False])
def test_d1_parts_of_every_kind_in_one_chunk_or_in_many(entry: str, stream: bool, one: bool) -> None:
    parts: list[dict[str, Any]] = [
        {"text": "hm hm", "thought": True},
        {"text": "ab"},
        gemini_call("f", {"a": 1}),
        gemini_call("g"),
        {"text": "c"},
    ]
    data = gemini_chunk(*parts, finish="STOP", usage=gemini_usage(thoughtsTokenCount=3)) if one else MIXED
    told = through(entry, "gemini", data, stream=stream)
    if not stream:
        oracles.whole(entry, told.body)
        return
    seen = well(entry, told)
    assert (seen.reasoning, seen.text) == ("hm hm", "abc")
    assert [(name, json.loads(args or "{}")) for name, args in seen.tools] == [("f", {"a": 1}), ("g", {})]
    wanted = {"openai": "tool_calls", "anthropic": "tool_use", "openai_responses": "completed", "ollama": "stop"}
    assert seen.finish == wanted[entry]


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
def test_d1_snake_case_numbers_and_envelopes_are_read(entry: str, stream: bool) -> None:
    value = {
        "response": {
            "candidates": [
                {
                    "content": {"parts": [{"text": "hm", "thought": True}, {"text": "a"}], "role": "model"},
                    "finish_reason": 2,
                }
            ],
            "usage_metadata": {"prompt_token_count": 10, "candidates_token_count": 4, "thoughts_token_count": 3},
            "model_version": "real",
            "response_id": "r",
        }
    }
    told = through(entry, "gemini", json.dumps(value).encode(), stream=stream)
    assert told.state is State.DONE, told.error
    assert told.finish is ir.FinishReason.LENGTH
    assert told.usage == ir.Usage(input=10, output=7, reasoning=3)


BLOCKED = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "real", "responseId": "r"}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
def test_d1_a_blocked_prompt_is_a_refusal(entry: str, stream: bool) -> None:
    for data in (json.dumps(BLOCKED).encode(), b"data: %b\r\n\r\n" % json.dumps(BLOCKED).encode()):
        told = through(entry, "gemini", data, stream=stream)
        assert told.state is State.DONE, told.error
        assert told.finish is ir.FinishReason.REFUSAL
        if stream:
            words = {"openai": "content_filter", "anthropic": "refusal", "openai_responses": "incomplete"}
            assert well(entry, told).finish == words.get(entry, "stop")
        if entry == "ollama":
            assert "stop_reason" in told.lost


WORDS: list[tuple[str, tuple[str, str, str, str]]] = [
    ("STOP", ("stop", "end_turn", "completed", "stop")),
    ("MAX_TOKENS", ("length", "max_tokens", "incomplete", "length")),
    *(
        (word, ("content_filter", "refusal", "incomplete", "stop"))
        for word in (
            "SAFETY",
            "RECITATION",
            "BLOCKLIST",
            "PROHIBITED_CONTENT",
            "SPII",
            "IMAGE_SAFETY",
            "MODEL_ARMOR",
        )
    ),
    ("A_WORD_OF_TOMORROW", ("stop", "end_turn", "completed", "stop")),
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(("word", "wanted"), WORDS)
def test_7_8_x14_words_of_gemini(word: str, wanted: tuple[str, ...], entry: str, stream: bool) -> None:
    told = through(entry, "gemini", gemini({"text": "a"}, finish=word), stream=stream)
    shown = dict(zip(("openai", "anthropic", "openai_responses", "ollama"), wanted, strict=True))[entry]
    if stream:
        assert well(entry, told).finish == shown
        return
    value = told.json()
    got = {
        "openai": lambda: value["choices"][0]["finish_reason"],
        "anthropic": lambda: value["stop_reason"],
        "openai_responses": lambda: value["status"],
        "ollama": lambda: value["done_reason"],
    }[entry]()
    assert got == shown


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", ENTRIES)
def test_x14_a_call_that_could_not_be_written_is_no_ordinary_end(entry: str, stream: bool) -> None:
    data = gemini({"text": "a"}, finish="MALFORMED_FUNCTION_CALL")
    told = through(entry, "gemini", data, stream=stream)
    assert told.state is State.FAILED
    assert told.error is not None
    assert "tool call" in told.error.message
    if stream:
        assert grammar.validate(entry, told.body).failed
    else:
        assert told.status == 502


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("form", ["events", "array", "whole"])
def test_u3_7_7_thoughts_and_caches_are_counted_once(entry: str, stream: bool, form: str) -> None:
    usage = gemini_usage(100, 19, thoughtsTokenCount=11, cachedContentTokenCount=40, toolUsePromptTokenCount=5)
    data = {
        "events": gemini({"text": "a"}, usage=usage),
        "array": gemini_array(
            gemini_object({"text": "a"}, usage=gemini_usage(100, 1)), gemini_object(finish="STOP", usage=usage)
        ),
        "whole": gemini_whole({"text": "a"}, usage=usage),
    }[form]
    told = through(entry, "gemini", data, stream=stream)
    assert told.usage == ir.Usage(input=65, cache_read=40, output=30, reasoning=11)
    value: Any = grammar.validate(entry, told.body).usage if stream else told.json()
    got = value if stream or entry == "ollama" else value["usage"]
    names = {
        "openai": ("prompt_tokens", "completion_tokens"),
        "openai_responses": ("input_tokens", "output_tokens"),
        "anthropic": ("input_tokens", "output_tokens"),
        "ollama": ("prompt_eval_count", "eval_count"),
    }[entry]
    assert (got[names[0]], got[names[1]]) == (65 if entry == "anthropic" else 105, 30)


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
def test_d1_a_signature_closes_no_text_before_its_sources(entry: str, stream: bool) -> None:
    grounding = {
        "webSearchQueries": ["q"],
        "groundingChunks": [
            {"web": {"uri": "https://a.example", "title": "A"}},
            {"web": {"uri": "https://b.example", "title": "B"}},
        ],
        "groundingSupports": [
            {"segment": {"startIndex": 0, "endIndex": 9, "text": "Wetter é."}, "groundingChunkIndices": [0]},
            {"segment": {"startIndex": 11, "endIndex": 19, "text": "😀 gut"}, "groundingChunkIndices": [1, 0]},
        ],
    }
    data = gemini({"text": "Wetter "}, {"text": "é. "}, {"text": "😀 gut"}, finish=None) + gemini_chunk(
        {"text": "", "thoughtSignature": "c2ln"},
        finish="STOP",
        usage=gemini_usage(),
        candidate={"groundingMetadata": grounding},
    )
    told = through(entry, "gemini", data, stream=stream)
    assert told.state is State.DONE, told.error
    folded = (oracles.stream if stream else oracles.whole)(entry, told.body).model_dump()
    text = "Wetter é. 😀 gut"
    if entry == "ollama":
        assert "content.citations" in told.lost
        return
    if entry == "anthropic":
        (block_,) = [one for one in folded["content"] if one["type"] == "text"]
        assert [one["url"] for one in block_["citations"]] == [
            "https://a.example",
            "https://b.example",
            "https://a.example",
        ]
        assert [one["type"] for one in folded["content"]][-2:] == ["server_tool_use", "web_search_tool_result"] or any(
            one["type"] == "web_search_tool_result" for one in folded["content"]
        )
        return
    if entry == "openai":
        found = [one["url_citation"] for one in folded["choices"][0]["message"]["annotations"]]
    else:
        (item,) = [one for one in folded["output"] if one["type"] == "message"]
        found = item["content"][0]["annotations"]
        assert any(one["type"] == "web_search_call" for one in folded["output"])
    spans = [(one["url"], text[one["start_index"] : one["end_index"]]) for one in found]
    assert spans == [
        ("https://a.example", "Wetter é."),
        ("https://b.example", "😀 gut"),
        ("https://a.example", "😀 gut"),
    ]


@pytest.mark.parametrize("entry", ENTRIES)
def test_d1_sources_of_a_text_that_is_gone_are_reported(entry: str) -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a.example"}}],
        "groundingSupports": [{"segment": {"endIndex": 1, "text": "a"}, "groundingChunkIndices": [0]}],
    }
    data = gemini({"text": "a"}, gemini_call("f"), finish=None) + gemini_chunk(
        finish="STOP", candidate={"groundingMetadata": grounding}
    )
    told = through(entry, "gemini", data)
    assert told.state is State.DONE
    assert any("groundingSupports" in path for path in told.lost)


@pytest.mark.parametrize("stream", [True, False])
def test_stop_sequences_that_are_known_are_told_and_others_reported(stream: bool) -> None:
    data = messages_whole({"type": "text", "text": "a"}, stop="stop_sequence", stop_sequence="END")
    told = through("gemini", "anthropic", data, stream=stream)
    lost = [loss for loss in told.losses if loss.path == "stop_sequence"]
    assert [loss.disposition for loss in lost] == [Disposition.DROPPED]
