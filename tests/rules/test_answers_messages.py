"""X1 to X10, X14 to X21: answers of other providers to a client of Messages, and what of it holds for every client."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    DIALECTS,
    DONE,
    NATIVE,
    ROLE,
    call_item,
    chat,
    chat_usage,
    chunk,
    fragment,
    messages,
    responses,
    responses_whole,
    through,
    tool_block,
)
from support.native import gemini, gemini_call, ollama, ollama_call
from support.told import FG, OTHERS, called, names, streamed, well


def test_x1_the_order_of_a_message() -> None:
    told = through("anthropic", "openai", chat({"content": "a"}, usage=chat_usage()))
    assert names(told) == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    start = json.loads(grammar.frames(told.body)[0][1])["message"]
    assert start["id"].startswith("msg_")
    assert start["model"] == "asked"
    assert start["content"] == []
    assert start["stop_reason"] is None
    assert start["stop_sequence"] is None


# Letters are fragments: 0a is the first of call 0; {"x":{"y":1}} and {"z":2} are what they add up to.
A, B = ['{"x":', '{"y":1}}'], ['{"z"', ":2}"]
INTERLEAVED: dict[str, list[list[dict[str, Any]]]] = {
    "0a 1a 0b 1b": [
        [fragment(0, "c0", "f", A[0])],
        [fragment(1, "c1", "g", B[0])],
        [fragment(0, args=A[1])],
        [fragment(1, args=B[1])],
    ],
    "all starts first": [
        [fragment(0, "c0", "f", "")],
        [fragment(1, "c1", "g", "")],
        [fragment(1, args=B[0])],
        [fragment(0, args=A[0])],
        [fragment(1, args=B[1])],
        [fragment(0, args=A[1])],
    ],
    "two in a chunk": [
        [fragment(0, "c0", "f", A[0]), fragment(1, "c1", "g", B[0])],
        [fragment(1, args=B[1]), fragment(0, args=A[1])],
    ],
    "all in one chunk": [[fragment(0, "c0", "f", "".join(A)), fragment(1, "c1", "g", "".join(B))]],
    "no index, ids in every fragment": [
        [fragment(None, "c0", "f", A[0])],
        [fragment(None, "c1", "g", B[0])],
        [fragment(None, "c0", None, A[1])],
        [fragment(None, "c1", None, B[1])],
    ],
    "no index, whole calls": [[fragment(None, "c0", "f", "".join(A))], [fragment(None, "c1", "g", "".join(B))]],
    "index gaps": [
        [fragment(3, "c0", "f", A[0])],
        [fragment(7, "c1", "g", B[0])],
        [fragment(3, args=A[1])],
        [fragment(7, args=B[1])],
    ],
    "all numbered 0": [[fragment(0, "c0", "f", "".join(A))], [fragment(0, "c1", "g", "".join(B))]],
    "snapshots": [
        [fragment(0, "c0", "f", '{"x"')],
        [fragment(0, "c0", "f", "".join(A))],
        [fragment(1, "c1", "g", B[0])],
        [fragment(1, "c1", "g", "".join(B))],
    ],
    "names in pieces, ids and names repeated": [
        [fragment(0, "c0", "f", "")],
        [fragment(0, "c0", "f", A[0])],
        [fragment(1, "c1", "", "")],
        [fragment(1, "c1", "g", B[0])],
        [fragment(0, "", "", A[1])],
        [fragment(1, "", "", B[1])],
    ],
    "no ids": [
        [fragment(0, None, "f", A[0])],
        [fragment(1, None, "g", B[0])],
        [fragment(0, args=A[1])],
        [fragment(1, args=B[1])],
    ],
    "one id for both": [[fragment(0, "c", "f", "".join(A))], [fragment(1, "c", "g", "".join(B))]],
    "arguments as objects": [
        [
            fragment(0, "c0", "f") | {"function": {"name": "f", "arguments": {"x": {"y": 1}}}},
            fragment(1, "c1", "g", "".join(B)),
        ]
    ],
}


@pytest.mark.parametrize("entry", OTHERS["openai"])
@pytest.mark.parametrize("lists", INTERLEAVED.values(), ids=INTERLEAVED)
@pytest.mark.parametrize("noise", [True, False])
def test_x2_to_x6_parallel_calls_keep_their_arguments(
    entry: str, lists: list[list[dict[str, Any]]], noise: bool
) -> None:
    deltas: list[dict[str, Any]] = []
    for calls in lists:
        deltas.append({"tool_calls": calls})
        if noise:  # X8, X10
            deltas += [
                {"tool_calls": []},
                {"tool_calls": None, "content": None},
                {"content": "", "reasoning_content": ""},
            ]
    seen = streamed(entry, "openai", chat(*deltas, finish="tool_calls"))
    assert called(seen) == [("f", {"x": {"y": 1}}), ("g", {"z": 2})]
    told = through(entry, "openai", chat(*deltas, finish="tool_calls"), stream=False, tools=FG["tools"][entry])
    assert told.state is State.DONE
    oracles.whole(entry, told.body)


@pytest.mark.parametrize("entry", OTHERS["openai"])
def test_x3_three_ways_and_text_behind_the_calls(entry: str) -> None:
    args = ['{"n":0}', '{"n":1}', '{"n":2}']
    deltas: list[dict[str, Any]] = [{"content": "before"}]
    deltas += [{"tool_calls": [fragment(n, f"c{n}", "fgh"[n], "")]} for n in range(3)]
    deltas += [{"tool_calls": [fragment(n, args=args[n][at])]} for at in range(7) for n in (2, 0, 1)]
    deltas += [{"content": "behind"}]
    seen = streamed(entry, "openai", chat(*deltas, finish="tool_calls"))
    assert called(seen) == [("f", {"n": 0}), ("g", {"n": 1}), ("h", {"n": 2})]
    assert seen.text == "beforebehind"


def test_x2_indices_are_dense_and_one_block_is_open() -> None:
    data = chat(
        {"reasoning_content": "hm"},
        {"content": "a"},
        {"tool_calls": [fragment(0, "c0", "f", "{}"), fragment(1, "c1", "g", "{}")]},
        {"content": "b"},
        finish="tool_calls",
    )
    told = through("anthropic", "openai", data)
    well("anthropic", told)
    starts = [
        json.loads(data)["content_block"]["type"]
        for name, data in grammar.frames(told.body)
        if name == "content_block_start"
    ]
    assert starts == ["thinking", "text", "tool_use", "tool_use", "text"]


@pytest.mark.parametrize("entry", OTHERS["openai"])
def test_x6_minted_ids_are_stable_and_different(entry: str) -> None:
    data = chat({"tool_calls": [fragment(0, None, "f", "{}"), fragment(1, None, "g", "{}")]}, finish="tool_calls")
    one, two = (through(entry, "openai", data).body for _ in range(2))
    assert one == two
    whole = through(entry, "openai", data, stream=False).json()
    if entry == "gemini":
        items = [part["functionCall"] for part in whole["candidates"][0]["content"]["parts"]]
    elif entry == "ollama":
        items = whole["message"]["tool_calls"]
    else:
        items = whole["content" if entry == "anthropic" else "output"]
    found = [item.get("call_id") or item["id"] for item in items]
    assert len(set(found)) == 2
    assert all(id_.encode() in one for id_ in found)


@pytest.mark.parametrize(("entry", "backend"), [(e, b) for e in DIALECTS for b in DIALECTS if e != b])
@pytest.mark.parametrize("stream", [True, False])
def test_x7_y5_a_call_without_arguments(entry: str, backend: str, stream: bool) -> None:
    datas = {
        "openai": [
            chat({"tool_calls": [fragment(0, "c", "f", args)]}, finish="tool_calls") for args in ("", "{}", None)
        ],
        "anthropic": [
            messages(tool_block(0, "toolu_1", "f", *pieces), stop="tool_use") for pieces in ((), ("",), ("", "{}"))
        ],
        "openai_responses": [responses(call_item("fc_1", "call_1", "f", args)) for args in ("", "{}")],
        "gemini": [gemini(gemini_call("f")), gemini(gemini_call("f", {}))],
        "ollama": [ollama({"tool_calls": [call]}) for call in (ollama_call("f"), {"function": {"name": "f"}})],
    }[backend]
    for data in datas:
        told = through(entry, backend, data, stream=stream, tools=FG["tools"][entry])
        if stream:
            seen = well(entry, told)
            assert called(seen) == [("f", {})]
            assert entry == "anthropic" or seen.tools[0][1] == "{}"
            oracles.stream(entry, told.body)
        else:
            assert b"{}" in told.body
            oracles.whole(entry, told.body)


@pytest.mark.parametrize("entry", ["openai_responses", "anthropic"])
def test_x10_placeholders_open_no_block(entry: str) -> None:
    empty = {"content": "", "reasoning_content": "", "reasoning": None, "tool_calls": None, "refusal": None}
    told = through(entry, "openai", chat(*[empty] * 20, {"content": "a"}, *[empty] * 20))
    assert well(entry, told).text == "a"
    assert told.body.count(b"event: content_block_start") + told.body.count(b"event: response.output_item.added") == 1


CHAT_REASONS = {
    "stop": ("end_turn", "completed", "STOP", "stop"),
    "length": ("max_tokens", "incomplete", "MAX_TOKENS", "length"),
    "content_filter": ("refusal", "incomplete", "SAFETY", "stop"),
    "eos": ("end_turn", "completed", "STOP", "stop"),
    "model_length": ("model_context_window_exceeded", "incomplete", "MAX_TOKENS", "length"),
    "never heard of": ("end_turn", "completed", "STOP", "stop"),
    "STOP": ("end_turn", "completed", "STOP", "stop"),
}


@pytest.mark.parametrize("entry", OTHERS["openai"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("word", CHAT_REASONS)
def test_x14_z7_reasons_of_chat(entry: str, stream: bool, word: str) -> None:
    order = ("anthropic", "openai_responses", "gemini", "ollama")
    wanted = dict(zip(order, CHAT_REASONS[word], strict=True))[entry]
    told = through(entry, "openai", chat({"content": "a"}, finish=word), stream=stream)
    field = dict(zip(order, ("stop_reason", "status", "finishReason", "done_reason"), strict=True))[entry]
    value = {} if stream else told.json()
    got = well(entry, told).finish if stream else (value["candidates"][0] if entry == "gemini" else value)[field]
    assert got == wanted


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("word", ["stop", "tool_calls", "function_call", "tool_call", "tool_use"])
def test_x14_y3_a_call_is_an_end_for_tools_whatever_the_word(stream: bool, word: str) -> None:
    data = chat({"tool_calls": [fragment(0, "c", "f", "{}")]}, finish=word)
    told = through("anthropic", "openai", data, stream=stream)
    assert (well("anthropic", told).finish if stream else told.json()["stop_reason"]) == "tool_use"
    for backend, other in (
        ("anthropic", messages(tool_block(0, "toolu_1", "f", "{}"), stop="end_turn")),
        ("openai_responses", responses(call_item("fc_1", "c", "f", "{}"))),
    ):
        told = through("openai", backend, other, stream=stream)
        assert (well("openai", told).finish if stream else told.json()["choices"][0]["finish_reason"]) == "tool_calls"


@pytest.mark.parametrize("stream", [True, False])
def test_x14_a_stop_sequence_is_told_where_it_is_known(stream: bool) -> None:
    data = (
        ROLE
        + chunk({"content": "a"})
        + chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}])
        + DONE
    )
    told = through("anthropic", "openai", data, stream=stream)
    if stream:
        well("anthropic", told)
        last = json.loads(grammar.frames(told.body)[-2][1])["delta"]
    else:
        last = told.json()
    assert (last["stop_reason"], last["stop_sequence"]) == ("stop_sequence", "END")


@pytest.mark.parametrize("stream", [True, False])
def test_x15_a_refusal_is_text_and_its_reason(stream: bool) -> None:
    refusal = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "refusal", "refusal": "I won't"}],
    }
    for backend, data in (
        ("openai", chat({"refusal": "I "}, {"refusal": "won't"})),
        ("openai_responses", responses_whole(refusal)),
    ):
        told = through("anthropic", backend, data, stream=stream)
        if stream:
            seen = well("anthropic", told)
            assert (seen.text, seen.finish) == ("I won't", "refusal")
        else:
            assert told.json()["stop_reason"] == "refusal"
            assert told.json()["content"] == [{"type": "text", "text": "I won't"}]


@pytest.mark.parametrize("entry", OTHERS["openai"])
@pytest.mark.parametrize("stream", [True, False])
def test_x18_z7_a_call_cut_by_the_limit_stays_cut(entry: str, stream: bool) -> None:
    data = chat({"tool_calls": [fragment(0, "c", "f", '{"a":"b')]}, finish="length")
    told = through(entry, "openai", data, stream=stream, tools=FG["tools"][entry])
    if stream:
        seen = well(entry, told)
        if entry in NATIVE:  # arguments are an object there: what is none is a text in one
            assert called(seen) == [("f", {"_raw": '{"a":"b'})]
            assert any("arguments" in path or "args" in path for path in told.lost)
        else:
            assert seen.tools == [("f", '{"a":"b')]
        words = {"anthropic": "max_tokens", "openai_responses": "incomplete", "gemini": "MAX_TOKENS"}
        assert seen.finish == words.get(entry, "length")
    elif entry == "anthropic":
        assert told.json()["stop_reason"] == "max_tokens"
    if entry == "openai_responses":
        final = json.loads(grammar.frames(told.body)[-1][1])["response"] if stream else told.json()
        assert final["status"] == "incomplete"
        assert final["incomplete_details"] == {"reason": "max_output_tokens"}
        assert final["output"][0]["status"] == "incomplete"
        assert final["output"][0]["arguments"] == '{"a":"b'


def test_x21_text_of_the_same_chunk_comes_before_its_calls() -> None:
    data = chat({"content": "a", "tool_calls": [fragment(0, "c", "f", "{}")]}, {"content": "b"}, finish="tool_calls")
    told = through("anthropic", "openai", data, stream=False)
    assert [part["type"] for part in told.json()["content"]] == ["text", "tool_use", "text"]
    streamed_ = through("anthropic", "openai", data)
    starts = [
        json.loads(p)["content_block"]["type"] for n, p in grammar.frames(streamed_.body) if n == "content_block_start"
    ]
    assert starts == ["text", "tool_use", "text"]
