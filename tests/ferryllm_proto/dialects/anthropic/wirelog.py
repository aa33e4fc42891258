"""Streams as a provider of Messages sends them, and what a decoder makes of them."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import ir
from ferryllm_proto.accumulate import Accumulator
from ferryllm_proto.dialects.anthropic import DIALECT
from ferryllm_proto.events import Event


def frame(type_: str, **fields: Any) -> bytes:
    return f"event: {type_}\ndata: {json.dumps({'type': type_, **fields}, ensure_ascii=False)}\n\n".encode()


def start(**usage: int) -> bytes:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": [],
        "usage": usage,
    }
    return frame("message_start", message=message)


def block(index: int, block_: dict[str, Any], *deltas: dict[str, Any], stop: bool = True) -> bytes:
    out = frame("content_block_start", index=index, content_block=block_)
    out += b"".join(frame("content_block_delta", index=index, delta=delta) for delta in deltas)
    return out + (frame("content_block_stop", index=index) if stop else b"")


def end(reason: str | None = "end_turn", **usage: int) -> bytes:
    delta = {"stop_reason": reason, "stop_sequence": None}
    return frame("message_delta", delta=delta, usage=usage) + frame("message_stop")


TEXT = block(
    0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Grüße "}, {"type": "text_delta", "text": "🌍"}
)
TOOL = block(
    1,
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}},
    {"type": "input_json_delta", "partial_json": ""},
    {"type": "input_json_delta", "partial_json": '{"a":'},
    {"type": "input_json_delta", "partial_json": "1}"},
)
THINKING = block(
    0,
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "hm"},
    {"type": "signature_delta", "signature": "sig"},
)
WHOLE = start(input_tokens=3, output_tokens=1) + frame("ping") + TEXT + TOOL + end("tool_use", output_tokens=9)


def events(data: bytes, size: int = 0) -> list[Event]:
    """All events of a stream, read in pieces of ``size`` bytes (0: at once)."""
    decoder = DIALECT.stream_decoder()
    out: list[Event] = []
    for at in range(0, len(data), size or max(1, len(data))):
        out += decoder.receive_data(data[at : at + (size or len(data))])
    return out + decoder.receive_eof() + decoder.receive_eof()


def fold(found: list[Event]) -> ir.Response:
    folded = Accumulator()
    for event in found:
        folded.send(event)
    assert folded.failed is None
    return folded.response()
