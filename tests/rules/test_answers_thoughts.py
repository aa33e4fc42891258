"""X11 to X13: thoughts and their proofs, there and back again."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from ferryllm_proto import ir, opaque
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import (
    NATIVE,
    block,
    call_item,
    chat,
    chat_whole,
    message_item,
    messages,
    messages_whole,
    responses,
    responses_whole,
    text_block,
    thinking_block,
    through,
    tool_block,
)
from support.told import FG, OTHERS, well


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
