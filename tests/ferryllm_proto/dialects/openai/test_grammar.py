"""The judge of Chat streams: what it passes, and what it refuses for which reason."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto.dialects import openai
from ferryllm_proto.grammar import Problem
from ferryllm_proto.judge import PROMISE
from support.answers import (
    DONE,
    ROLE,
    chat,
    chat_usage,
    chunk,
    fragment,
)


def problems(data: bytes, step: int = 0) -> list[Problem]:
    grammar = openai.DIALECT.grammar()
    for start in range(0, len(data), step or max(1, len(data))):
        grammar.receive_data(data[start : start + (step or len(data))])
    grammar.receive_eof()
    return grammar.problems


def rules(data: bytes) -> set[str]:
    return {problem.rule for problem in problems(data)}


ERROR = b'data: {"error":{"message":"no","type":"x"}}\n\n'
CALL = {"tool_calls": [fragment(0, "c", "f", "{}")]}
ANSWER = {"content": "x"}


def call(*fragments: dict[str, object], finish: str = "tool_calls") -> bytes:
    return chat(*({"tool_calls": [part]} for part in fragments), finish=finish)


GOOD = {
    "text and usage": chat({"content": "a"}, {"content": "b"}, usage=chat_usage()),
    "a call in fragments": call(fragment(0, "c", "f", ""), fragment(0, args="{"), fragment(0, args="}")),
    "interleaved calls": call(
        fragment(0, "c", "f", ""), fragment(1, "d", "g", ""), fragment(0, args="{}"), fragment(1, args="{}")
    ),
    "a call cut by a limit": call(fragment(0, "c", "f", '{"a'), finish="length"),
    "a freeform call": chat(
        {"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
        finish="tool_calls",
    ),
    "an error": ROLE + ERROR,
    "an error at once": ERROR,
    "comments and CRLF": b": hi\r\n\r\n" + chat(ANSWER).replace(b"\n", b"\r\n"),
    "two choices": ROLE
    + chunk(choices=[{"index": 1, "delta": {"role": "assistant"}, "finish_reason": None}])
    + chunk({}, "stop")
    + chunk(choices=[{"index": 1, "delta": {}, "finish_reason": "length"}])
    + DONE,
    "what Azure says of the prompt": chunk(choices=[], object="", id="", prompt_filter_results=[]) + chat(ANSWER),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD.keys())
def test_good_streams_pass_in_any_cut(data: bytes) -> None:
    for step in (0, 1, 7):
        assert problems(data, step) == []


def test_a_stream_amounts_to_what_it_said() -> None:
    grammar = openai.DIALECT.grammar()
    grammar.receive_data(chat({"content": "a"}, {"reasoning_content": "hm"}, CALL, finish="tool_calls"))
    grammar.receive_eof()
    seen = grammar.seen
    assert (seen.text, seen.reasoning, seen.tools, seen.finish) == ("a", "hm", [("f", "{}")], "tool_calls")
    assert (seen.ended, seen.failed) == (True, False)


BAD = {
    "an event line": (b"event: x\n" + chat(), "framing"),
    "two data lines": (b'data: {"error":\ndata: {"message":"x","type":"y"}}\n\n', "framing"),
    "no blank line": (chat()[:-1], "framing"),
    "a foreign line": (b"{}\n\n" + chat(), "framing"),
    "no UTF-8": (ROLE.replace(b"real", b"\xff") + ERROR, "framing"),
    "no JSON": (b"data: {\n\n" + chat(), "json"),
    "a delta behind the end": (chat() + chunk(ANSWER), "terminal"),
    "a second end": (chat() + DONE, "terminal"),
    "an end behind an error": (ROLE + ERROR + DONE, "terminal"),
    "a delta behind an error": (ROLE + ERROR + chunk(ANSWER), "terminal"),
    "an error without message": (ROLE + b'data: {"error":{"type":"x"}}\n\n', "field"),
    "an error of no words": (b'data: {"error":{"type":"x","message":""}}\n\n', "error"),
    "another id": (ROLE + chunk(ANSWER, id="other") + ERROR, "identity"),
    "another model": (ROLE + chunk(ANSWER, model="other") + ERROR, "identity"),
    "another time": (ROLE + chunk(ANSWER, created=6) + ERROR, "identity"),
    "a text for a number": (ROLE + chunk(ANSWER, created="5") + ERROR, "field"),
    "an array for a text": (ROLE + chunk({"content": ["x"]}) + ERROR, "field"),
    "no role": (chunk(ANSWER) + ERROR, "order"),
    "the role again": (ROLE + ROLE + ERROR, "order"),
    "a delta behind the finish": (ROLE + chunk({}, "stop") + chunk(ANSWER) + ERROR, "order"),
    "a second finish": (ROLE + chunk({}, "stop") + chunk({}, "stop") + ERROR, {"finish", "order"}),
    "an unknown finish": (chat(finish="end_turn"), "finish"),
    "an empty finish": (ROLE + chunk(ANSWER, "") + ERROR, "finish"),
    "no finish": (ROLE + DONE, "terminal"),
    "no choice at all": (DONE, "terminal"),
    "usage before the finish": (ROLE + chunk(choices=[], usage=chat_usage()) + ERROR, "usage"),
    "a count below zero": (chat(ANSWER, usage=chat_usage(prompt=-1)), "usage"),
    "a chunk behind the usage": (
        ROLE + chunk({}, "stop") + chunk(choices=[], usage=chat_usage()) + chunk(choices=[]) + DONE,
        {"order", PROMISE},
    ),
    "another object": (ROLE + chunk(ANSWER, object="chat.completion") + ERROR, "field"),
    "a call out of order": (call(fragment(1, "c", "f", "{}")), {"index", "finish"}),
    "a call without id": (
        call({"index": 0, "type": "function", "function": {"name": "f", "arguments": "{}"}}),
        "field",
    ),
    "a call without name": (call(fragment(0, "c", None, "{}")), "field"),
    "a call without arguments at its start": (call(fragment(0, "c", "f"), fragment(0, args="{}")), "field"),
    "a call's id again": (call(fragment(0, "c", "f", "{"), fragment(0, "c", args="}")), "order"),
    "a call's name again": (call(fragment(0, "c", "f", "{"), fragment(0, None, "f", "}")), "order"),
    "two calls with one id": (call(fragment(0, "c", "f", "{}"), fragment(1, "c", "f", "{}")), "identity"),
    "a call without arguments": (call(fragment(0, "c", "f", "")), "arguments"),
    "calls announced and none there": (chat(ANSWER, finish="tool_calls"), "finish"),
    "a citation without number": (ROLE + chunk({"annotations": [{"type": "url_citation"}]}) + ERROR, "index"),
    "a cut": (ROLE, "cut"),
    "nothing": (b"", "cut"),
    "usage beside a choice": (ROLE + chunk({}, "stop", usage=chat_usage()) + DONE, PROMISE),
    "a call and an ordinary end": (chat(CALL), PROMISE),
}


@pytest.mark.parametrize(("data", "rule"), BAD.values(), ids=BAD.keys())
def test_each_fault_has_its_rule(data: bytes, rule: str | set[str]) -> None:
    assert rules(data) == ({rule} if isinstance(rule, str) else rule)


def test_problems_name_the_event_and_no_content() -> None:
    (problem,) = problems(ROLE + chunk({"content": "secret"}, id="other") + ERROR + b"data: secret\n\n")[:1]
    assert str(problem).startswith("event 1: identity: id ")
    assert not any("secret" in str(one) for one in problems(chat() + chunk({"content": "secret"})))


def test_what_is_noted_is_bounded() -> None:
    assert len(problems(b"x\n\n" * 5000)) == 1000


def test_halves_of_a_character_that_meet_are_one() -> None:
    grammar = openai.DIALECT.grammar()
    grammar.receive_data(chat({"content": json.loads('"\\ud83d"')}, {"content": json.loads('"\\ude00"')}))
    grammar.receive_eof()
    assert grammar.seen.text == "\N{GRINNING FACE}"
