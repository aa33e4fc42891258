"""The judge of Messages streams: what it passes, and what it refuses for which reason."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto.dialects import anthropic
from ferryllm_proto.grammar import Problem
from ferryllm_proto.judge import PROMISE
from support.answers import (
    STOP,
    event,
    message_delta,
    message_start,
    messages,
    text_block,
    thinking_block,
    tool_block,
)


def problems(data: bytes, step: int = 0) -> list[Problem]:
    grammar = anthropic.DIALECT.grammar()
    for start in range(0, len(data), step or max(1, len(data))):
        grammar.receive_data(data[start : start + (step or len(data))])
    grammar.receive_eof()
    return grammar.problems


def rules(data: bytes) -> set[str]:
    return {problem.rule for problem in problems(data)}


USAGE = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
END = message_delta("end_turn", USAGE)
ERROR = event("error", error={"type": "api_error", "message": "no"})
PING = event("ping")


def opened(**block: Any) -> bytes:
    return message_start() + event("content_block_start", index=0, content_block=block)


def delta(index: int, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta=fields)


TEXT = opened(type="text", text="")
THOUGHT = opened(type="thinking", thinking="", signature="")
CALL = opened(type="tool_use", id="t1", name="f", input={})
CLOSE = event("content_block_stop", index=0)

GOOD = {
    "text": messages(text_block(0, "x"), usage=USAGE),
    "nothing said": messages(usage=USAGE),
    "a signed thought, text, a call": messages(
        thinking_block(0, "hm", "sig"), text_block(1, "x"), tool_block(2, "t", "f", "{}"), stop="tool_use", usage=USAGE
    ),
    "a call cut by a limit": messages(tool_block(0, "t", "f", '{"a'), stop="max_tokens", usage=USAGE),
    "a call without input": messages(tool_block(0, "t", "f"), stop="tool_use", usage=USAGE),
    "pings": PING + message_start() + PING + text_block(0, "x") + PING + END + STOP,
    "an error in a block": TEXT + ERROR,
    "an error at once": ERROR,
    "a hidden thought": opened(type="redacted_thinking", data="x") + CLOSE + END + STOP,
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD.keys())
def test_good_streams_pass_in_any_cut(data: bytes) -> None:
    for step in (0, 1, 7):
        assert problems(data, step) == []


def test_a_stream_amounts_to_what_it_said() -> None:
    grammar = anthropic.DIALECT.grammar()
    grammar.receive_data(GOOD["a signed thought, text, a call"])
    grammar.receive_eof()
    seen = grammar.seen
    assert (seen.text, seen.reasoning, seen.tools, seen.finish) == ("x", "hm", [("f", "{}")], "tool_use")
    assert seen.ended
    assert seen.usage == USAGE


BAD = {
    "no event line": (messages(usage=USAGE).replace(b"event: message_stop\n", b""), "framing"),
    "another event line": (messages(usage=USAGE).replace(b"event: message_stop", b"event: x"), "framing"),
    "no JSON": (b"event: ping\ndata: {\n\n" + ERROR, "json"),
    "no start": (text_block(0, "x") + ERROR, "order"),
    "two starts": (message_start() + message_start() + ERROR, "order"),
    "a wrong index": (message_start() + text_block(1, "x") + ERROR, "index"),
    "a delta of another block": (TEXT + delta(1, type="text_delta", text="x") + ERROR, "index"),
    "a delta of another kind": (TEXT + delta(0, type="input_json_delta", partial_json="x") + ERROR, "order"),
    "a block in a block": (TEXT + text_block(1, "x") + ERROR, "order"),
    "an end in a block": (TEXT + END + STOP, "order"),
    "a delta outside": (message_start() + delta(0, type="text_delta", text="x") + ERROR, "order"),
    "a stop outside": (message_start() + CLOSE + ERROR, "order"),
    "text at the start of a block": (opened(type="text", text="x") + ERROR, "field"),
    "no text at the start of a block": (opened(type="text") + ERROR, "field"),
    "a signature at the start": (opened(type="thinking", thinking="", signature="x") + ERROR, "field"),
    "a hidden thought of nothing": (opened(type="redacted_thinking", data="") + ERROR, "field"),
    "a delta without its text": (TEXT + delta(0, type="text_delta") + ERROR, "field"),
    "a number for a text": (TEXT + delta(0, type="text_delta", text=5) + ERROR, "field"),
    "a citation that is none": (TEXT + delta(0, type="citations_delta") + ERROR, "field"),
    "an id no client can send back": (message_start() + tool_block(0, "a.b", "f", "{}") + ERROR, "field"),
    "input at the start": (opened(type="tool_use", id="t", name="f", input={"a": 1}) + ERROR, "field"),
    "a call without name": (opened(type="tool_use", id="t", name="", input={}) + ERROR, "field"),
    "two calls with one id": (
        message_start() + tool_block(0, "t", "f", "{}") + tool_block(1, "t", "f", "{}") + ERROR,
        "identity",
    ),
    "a call that is no JSON": (messages(tool_block(0, "t", "f", "{x"), stop="tool_use", usage=USAGE), "arguments"),
    "thoughts behind their signature": (
        THOUGHT
        + delta(0, type="signature_delta", signature="s")
        + delta(0, type="thinking_delta", thinking="x")
        + ERROR,
        "order",
    ),
    "a stop without its delta": (message_start() + STOP, "order"),
    "calls announced and none there": (messages(text_block(0, "x"), stop="tool_use", usage=USAGE), "finish"),
    "usage without output": (
        message_start() + message_delta("end_turn", {**USAGE, "output_tokens": -1}) + STOP,
        "usage",
    ),
    "no usage": (message_start() + event("message_delta", delta={"stop_reason": "end_turn"}) + ERROR, "field"),
    "an event behind the stop": (message_start() + END + STOP + text_block(0, "x"), "terminal"),
    "a ping behind the stop": (message_start() + END + STOP + PING, "terminal"),
    "an event behind the error": (message_start() + ERROR + END, "terminal"),
    "two stops": (message_start() + END + STOP + STOP, "terminal"),
    "an error without message": (message_start() + event("error", error={"type": "x"}) + ERROR, "field"),
    "a cut": (TEXT, "cut"),
    "nothing": (b"", "cut"),
    "a cut before the stop": (message_start() + END, "cut"),
    "an unknown event": (message_start() + event("surprise") + ERROR, PROMISE),
    "an unknown delta": (TEXT + delta(0, type="surprise") + ERROR, PROMISE),
    "usage without a counter": (message_start() + message_delta("end_turn", {"output_tokens": 1}) + STOP, PROMISE),
    "an empty text": (TEXT + delta(0, type="text_delta", text="") + ERROR, PROMISE),
    "a call nobody is told to answer": (messages(tool_block(0, "t", "f", "{}"), usage=USAGE), PROMISE),
}


@pytest.mark.parametrize(("data", "rule"), BAD.values(), ids=BAD.keys())
def test_each_fault_has_its_rule(data: bytes, rule: str) -> None:
    assert rules(data) == {rule}
