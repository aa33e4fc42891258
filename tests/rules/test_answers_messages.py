"""X1 to X21, D3, D5: answers of other providers to a client of Messages, and what of it holds for every client."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ferryllm_proto import ir, opaque
from ferryllm_proto.grammar import Seen
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    CREATED,
    DIALECTS,
    DONE,
    NATIVE,
    ROLE,
    Told,
    block,
    call_item,
    chat,
    chat_usage,
    chat_whole,
    chunk,
    event,
    fragment,
    item_events,
    message_item,
    message_start,
    messages,
    messages_whole,
    numbered,
    response_object,
    responses,
    responses_whole,
    text_block,
    thinking_block,
    through,
    tool_block,
)
from support.native import gemini, gemini_call, ollama, ollama_call

OTHERS = {name: [other for other in DIALECTS if other != name] for name in DIALECTS}
FG = {
    "tools": {
        "openai": [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
            for name in ("f", "g", "h")
        ],
        "anthropic": [{"name": name, "input_schema": {"type": "object"}} for name in ("f", "g", "h")],
        "openai_responses": [
            {"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("f", "g", "h")
        ],
        "gemini": [
            {
                "functionDeclarations": [
                    {"name": name, "parametersJsonSchema": {"type": "object"}} for name in ("f", "g", "h")
                ]
            }
        ],
        "ollama": [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
            for name in ("f", "g", "h")
        ],
    }
}


def well(entry: str, told: Told) -> Seen:
    assert told.state is State.DONE, told.error
    seen = grammar.validate(entry, told.body)
    assert seen.ended
    return seen


def streamed(entry: str, backend: str, data: bytes, **fields: Any) -> Seen:
    """What the grammar saw; the SDK has put it together too."""
    told = through(entry, backend, data, tools=FG["tools"][entry], **fields)
    seen = well(entry, told)
    try:
        oracles.stream(entry, told.body)
    except Exception as exc:
        if "FinishReason" not in type(exc).__name__:  # a helper's way to say that an answer was cut
            raise
    return seen


def called(seen: Seen) -> list[tuple[str, Any]]:
    return [(name, json.loads(args or "{}")) for name, args in seen.tools]


def names(told: Told) -> list[str]:
    return [name for name, _ in grammar.frames(told.body)]


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


@pytest.mark.parametrize("entry", OTHERS["openai"])
def test_x11_thoughts_come_first_and_late_ones_get_a_block_of_their_own(entry: str) -> None:
    data = chat(
        {"reasoning_content": "one "},
        {"reasoning_content": "two"},
        {"content": "a"},
        {"content": "b"},
        {"reasoning_content": "late"},
        {"content": "c"},
    )
    told = through(entry, "openai", data)
    seen = well(entry, told)
    assert seen.reasoning == "one twolate"
    assert seen.text == "abc"
    if entry in NATIVE:
        return  # has no blocks
    opened = told.body.count(b"event: content_block_start") or told.body.count(b"event: response.output_item.added")
    assert opened == 4


ENCRYPTED = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "hm"}],
    "encrypted_content": "SECRET1",
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("came", [True, False])
@pytest.mark.parametrize("summary", [True, False])
def test_x12_x13_thoughts_of_responses_come_back_from_a_messages_client(
    stream: bool, came: bool, summary: bool
) -> None:
    first = ENCRYPTED if summary else {**ENCRYPTED, "summary": []}
    second = {
        **ENCRYPTED,
        "id": "rs_2",
        "encrypted_content": "SECRET2",
        "summary": [{"type": "summary_text", "text": "so"}],
    }
    items = [first, second, message_item("text"), call_item("fc_1", "call_1", "f", "{}")]
    data = responses(*items) if came else responses_whole(*items)
    told = through("anthropic", "openai_responses", data, stream=stream, tools=FG["tools"]["anthropic"])
    if stream:
        well("anthropic", told)
        for n, (name, payload) in enumerate(grammar.frames(told.body)):
            if name == "content_block_delta" and b"signature_delta" in payload.encode():
                assert grammar.frames(told.body)[n + 1][0] == "content_block_stop"
    folded = (oracles.stream if stream else oracles.whole)("anthropic", told.body).model_dump()
    assert [part["type"] for part in folded["content"]] == ["thinking", "thinking", "text", "tool_use"]
    for part, id_, secret in zip(folded["content"], ("rs_1", "rs_2"), ("SECRET1", "SECRET2"), strict=False):
        found = opaque.unwrap(part["signature"])
        assert found == ir.Opaque("openai", "real", ir.OpaqueKind.ENCRYPTED, secret, id_)
    assert folded["content"][0]["thinking"] == ("hm" if summary else "")


@pytest.mark.parametrize("entry", ["openai", "openai_responses"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("came", [True, False])
def test_x12_y6_y7_z5_thoughts_of_messages_come_back_from_every_client(entry: str, stream: bool, came: bool) -> None:
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "hm", "signature": "SIG1"},
        {"type": "redacted_thinking", "data": "RED"},
        {"type": "thinking", "thinking": "so", "signature": "SIG2"},
        {"type": "text", "text": "text"},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    ]
    if came:
        data = messages(
            thinking_block(0, "hm", "SIG1"),
            block(1, {"type": "redacted_thinking", "data": "RED"}),
            thinking_block(2, "so", "SIG2"),
            text_block(3, "text"),
            tool_block(4, "toolu_1", "f", "{}"),
            stop="tool_use",
        )
    else:
        data = messages_whole(*blocks, stop="tool_use")
    told = through(entry, "anthropic", data, stream=stream, tools=FG["tools"][entry])
    if stream:
        seen = well(entry, told)
        assert seen.reasoning == "hmso"
    folded = (oracles.stream if stream else oracles.whole)(entry, told.body).model_dump()
    wanted = [
        ir.Opaque("anthropic", "real", ir.OpaqueKind.SIGNATURE, "SIG1"),
        ir.Opaque("anthropic", "real", ir.OpaqueKind.REDACTED, "RED"),
        ir.Opaque("anthropic", "real", ir.OpaqueKind.SIGNATURE, "SIG2"),
    ]
    if entry == "openai":
        message = folded["choices"][0]["message"]
        assert message["reasoning_content"] == "hmso"
        if not stream:
            details = message["reasoning_details"]
        else:
            details = [
                d
                for _, p in grammar.frames(told.body)
                if '"reasoning_details"' in p
                for d in json.loads(p)["choices"][0]["delta"]["reasoning_details"]
            ]
        assert [opaque.unwrap(entry.get("signature") or entry["data"]) for entry in details] == wanted
        assert [entry.get("text") for entry in details] == ["hm", None, "so"]
        if stream:  # carriers come before what they explain
            assert told.body.index(b"reasoning_details") < told.body.index(b'"content":"text"')
    else:
        thoughts = [item for item in folded["output"] if item["type"] == "reasoning"]
        assert [opaque.unwrap(item["encrypted_content"]) for item in thoughts] == wanted
        assert [item["type"] for item in folded["output"]] == ["reasoning"] * 3 + ["message", "function_call"]


DETAILS = [
    {"type": "reasoning.text", "text": "hm", "signature": "SIG", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.encrypted", "data": "ENC", "id": "x", "format": "openai-responses-v1", "index": 1},
]


@pytest.mark.parametrize("entry", OTHERS["openai"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("came", [True, False])
def test_x12_x13_reasoning_details_come_back_from_every_client(entry: str, stream: bool, came: bool) -> None:
    if came:
        pieces: list[dict[str, Any]] = [
            {
                "reasoning": "h",
                "reasoning_details": [
                    {"type": "reasoning.text", "text": "h", "format": "anthropic-claude-v1", "index": 0}
                ],
            },
            {"reasoning": "m", "reasoning_details": [{"type": "reasoning.text", "text": "m", "index": 0}]},
            {"reasoning_details": [{"type": "reasoning.text", "signature": "SIG", "index": 0}]},
            {"reasoning_details": [DETAILS[1]]},
            {"content": "text"},
        ]
        data = chat(*pieces)
    else:
        data = chat_whole({"content": "text", "reasoning": "hm", "reasoning_details": DETAILS})
    told = through(entry, "openai", data, stream=stream)
    if stream:
        assert well(entry, told).reasoning == "hm"
    folded = (oracles.stream if stream else oracles.whole)(entry, told.body).model_dump()
    if entry == "ollama":  # clients keep proofs beside a call only (carrier.py)
        assert "thinking.signature" in told.lost
        return
    parts = folded["parts" if entry == "gemini" else "content" if entry == "anthropic" else "output"]
    if entry == "gemini":
        encoded = [part["thoughtSignature"] for part in parts if "thoughtSignature" in part]
        tokens = [base64.urlsafe_b64decode(token).decode() for token in encoded]
    else:
        tokens = [part.get("signature") or part.get("encrypted_content") for part in parts[:-1]]
    found = [opaque.unwrap(token) for token in tokens if token]
    assert [json.loads(one.data) for one in found if one is not None] == DETAILS
    assert all(one is not None and one.provider == "openrouter" for one in found)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("entry", ["anthropic", "openai_responses"])
def test_x12_thoughts_without_a_proof_have_none(entry: str, stream: bool) -> None:
    told = through(entry, "openai", chat({"reasoning_content": "hm"}, {"content": "a"}), stream=stream)
    assert told.state is State.DONE
    assert b"signature_delta" not in told.body
    assert b'"encrypted_content":"' not in told.body


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


# --- D5: dialects of Chat --------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", OTHERS["openai"])
@pytest.mark.parametrize(
    ("deltas", "reasoning", "text"),
    [
        ([{"reasoning_content": "hm"}, {"content": "a"}], "hm", "a"),
        ([{"reasoning": "hm"}, {"content": "a"}], "hm", "a"),
        ([{"reasoning": "hm", "reasoning_content": "hm"}, {"content": "a"}], "hm", "a"),
        ([{"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}, {"content": "a"}], "hm", "a"),
        ([{"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}, {"content": "a"}], "hm", "a"),
        (
            [
                {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
                {"content": [{"type": "text", "text": "a"}]},
            ],
            "hm",
            "a",
        ),
        ([{"content": "<think>hm</think>a"}], "", "<think>hm</think>a"),
        ([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}], "", "ab"),
        ([{"content": "a", "function_call": {"name": "", "arguments": ""}}], "", "a"),
    ],
)
def test_d5_dialects_of_chat(entry: str, deltas: list[dict[str, Any]], reasoning: str, text: str) -> None:
    seen = streamed(entry, "openai", chat(*deltas))
    assert (seen.reasoning, seen.text) == (reasoning, text)


@pytest.mark.parametrize("entry", OTHERS["openai"])
def test_d5_chunks_with_holes(entry: str) -> None:
    holes = (
        chunk(choices=None)
        + chunk(choices=[])
        + chunk(choices=[{"index": 0}])
        + chunk(choices=[{"index": 0, "delta": None}])
    )
    azure = chunk(choices=[], prompt_filter_results=[{"prompt_index": 0}])
    for data in (azure + holes + chunk({"content": "a"}), chunk({"content": "a"}) + holes):
        assert streamed(entry, "openai", data + chunk({}, "stop") + holes + DONE).text == "a"


@pytest.mark.parametrize("entry", OTHERS["openai"])
def test_d5_legacy_function_calls(entry: str) -> None:
    data = chat(
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": '{"a":1}'}},
        finish="function_call",
    )
    assert called(streamed(entry, "openai", data)) == [("f", {"a": 1})]


# --- D3: dialects of Responses ---------------------------------------------------------------------------


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_d3_z11_deltas_without_items_and_items_without_deltas(entry: str) -> None:
    final = event("response.completed", response=response_object(output=[message_item("text")]))
    bare = event("response.output_text.delta", output_index=0, item_id="x", content_index=0, delta="text")
    nothing = event("response.output_text.delta", delta="te") + event("response.output_text.delta", delta="xt")
    done = event("response.output_item.done", output_index=0, item=message_item("text"))
    empty = event("response.completed", response=response_object())
    unknown = event("response.something.new", output_index=0, data=1)
    for body in (
        bare + final,
        nothing + final,
        done + final,
        final,
        done + empty,
        bare + empty,
        unknown + bare + done + final,
    ):
        seen = streamed(entry, "openai_responses", CREATED + body)
        assert seen.text == "text"


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_d3_calls_in_pieces_and_ids_that_rotate(entry: str) -> None:
    item = call_item("fc_1", "call_1", "f", '{"a":1}')
    added = event("response.output_item.added", output_index=0, item={**item, "arguments": ""})
    delta = event("response.function_call_arguments.delta", output_index=0, item_id="other", delta='{"a":1}')
    args = event("response.function_call_arguments.done", output_index=0, item_id="third", arguments='{"a":1}')
    done = event("response.output_item.done", output_index=0, item={**item, "id": "fourth"})
    end = event("response.completed", response=response_object(output=[{**item, "id": "fifth"}]))
    for body in (
        added + delta + args + done,
        added + args + done,
        added + done,
        done,
        added + delta,
        delta + args + done,
    ):
        assert called(streamed(entry, "openai_responses", CREATED + body + end)) == [("f", {"a": 1})]


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_d3_overlapping_items(entry: str) -> None:
    one, two = call_item("fc_1", "call_1", "f", '{"x":1}'), call_item("fc_2", "call_2", "g", '{"z":2}')
    at = "response.output_item.added"
    body = event(at, output_index=0, item={**one, "arguments": ""}) + event(
        at, output_index=1, item={**two, "arguments": ""}
    )
    for n, piece in ((1, '{"z"'), (0, '{"x"'), (1, ":2}"), (0, ":1}")):
        body += event("response.function_call_arguments.delta", output_index=n, item_id=f"fc_{n + 1}", delta=piece)
    end = event("response.completed", response=response_object(output=[one, two]))
    assert called(streamed(entry, "openai_responses", CREATED + body + end)) == [("f", {"x": 1}), ("g", {"z": 2})]
    assert numbered(item_events(0, one))


# --- llama.cpp -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", OTHERS["anthropic"])
def test_llama_cpp_messages_blocks_overlap_and_end_late(entry: str) -> None:
    start = event(
        "message_start",
        message={
            "id": "chatcmpl-1",
            "type": "message",
            "role": "assistant",
            "content": [],
            "model": "real",
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 5, "output_tokens": 0},
        },
    )
    delta = "content_block_delta"
    data = (
        start
        + event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""})
        + event(delta, index=0, delta={"type": "thinking_delta", "thinking": "hm"})
        + event("content_block_start", index=1, content_block={"type": "text", "text": ""})
        + event(delta, index=1, delta={"type": "text_delta", "text": "text"})
        + event("content_block_start", index=2, content_block={"type": "tool_use", "id": "x" * 32, "name": "f"})
        + event(delta, index=2, delta={"type": "input_json_delta", "partial_json": '{"x"'})
        + event("content_block_start", index=3, content_block={"type": "tool_use", "id": "y" * 32, "name": "g"})
        + event(delta, index=3, delta={"type": "input_json_delta", "partial_json": '{"z":2}'})
        + event(delta, index=2, delta={"type": "input_json_delta", "partial_json": ":1}"})
        + event(delta, index=0, delta={"type": "signature_delta", "signature": ""})
        + b"".join(event("content_block_stop", index=n) for n in range(4))
        + event("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 9})
        + event("message_stop")
    )
    seen = streamed(entry, "anthropic", data)
    assert (seen.reasoning, seen.text) == ("hm", "text")
    assert called(seen) == [("f", {"x": 1}), ("g", {"z": 2})]
    assert message_start() in messages()


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_llama_cpp_responses_without_indexes(entry: str) -> None:
    small = {"id": "resp_1", "object": "response", "status": "in_progress"}
    thought = {"id": "rs_1", "type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    message, call = message_item("text"), call_item("fc_1", "fc_1", "f", '{"x":1}')
    data = (
        event("response.created", response=small)
        + event("response.in_progress", response=small)
        + event("response.output_item.added", item={**thought, "content": [], "status": "in_progress"})
        + event("response.reasoning_text.delta", delta="hm", item_id="rs_1")
        + event("response.output_item.done", item=thought)
        + event("response.output_item.added", item={**message, "content": [], "status": "in_progress"})
        + event("response.content_part.added", item_id="msg_1", part={"type": "output_text", "text": ""})
        + event("response.output_text.delta", item_id="msg_1", delta="te")
        + event("response.output_text.delta", item_id="msg_1", delta="xt")
        + event("response.output_text.done", item_id="msg_1", text="text")
        + event(
            "response.content_part.done",
            item_id="msg_1",
            part={"type": "output_text", "text": "text", "annotations": []},
        )
        + event("response.output_item.done", item=message)
        + event("response.output_item.added", item={**call, "arguments": "", "status": "in_progress"})
        + event("response.function_call_arguments.delta", item_id="fc_1", delta='{"x":1}')
        + event("response.function_call_arguments.done", item_id="fc_1", arguments='{"x":1}')
        + event("response.output_item.done", item=call)
        + event("response.completed", response={**response_object(output=[thought, message, call]), "timings": {}})
    )
    seen = streamed(entry, "openai_responses", data)
    assert (seen.reasoning, seen.text) == ("hm", "text")
    assert called(seen) == [("f", {"x": 1})]


@pytest.mark.parametrize("entry", OTHERS["openai_responses"])
def test_llama_cpp_a_second_call_cut_in_the_middle(entry: str) -> None:
    """The provider says completed; what the second call is worth the client decides, but it is told."""
    whole = responses_whole(call_item("fc_1", "c1", "f", '{"x":1}'), call_item("fc_2", "c2", "g", '{"z":'))
    told = through(entry, "openai_responses", whole, stream=False, tools=FG["tools"][entry])
    assert told.state is State.DONE
    assert b'{\\"z\\":' in told.body
    assert entry != "anthropic" or told.lost
