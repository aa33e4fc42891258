"""The judge of Responses streams: what it passes, and what it refuses for which reason."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto.dialects import openai_responses
from ferryllm_proto.grammar import Problem
from ferryllm_proto.judge import PROMISE
from support.answers import (
    call_item,
    event,
    item_events,
    message_item,
    numbered,
    response_object,
)


def problems(data: bytes, step: int = 0) -> list[Problem]:
    grammar = openai_responses.DIALECT.grammar()
    for start in range(0, len(data), step or max(1, len(data))):
        grammar.receive_data(data[start : start + (step or len(data))])
    grammar.receive_eof()
    return grammar.problems


def rules(data: bytes) -> set[str]:
    return {problem.rule for problem in problems(data)}


CREATED = event("response.created", response=response_object("in_progress"))
BEGUN = CREATED + event("response.in_progress", response=response_object("in_progress"))
ITEM = message_item("Hi")
CALL = call_item("fc_1", "call_1", "f", '{"a":1}')
THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
ADDED = event("response.output_item.added", output_index=0, item={**ITEM, "status": "in_progress", "content": []})
DONE = event("response.output_item.done", output_index=0, item=ITEM)
FAILED = event("response.failed", response=response_object("failed", error={"code": "server_error", "message": "no"}))


def completed(*items: dict[str, Any], status: str = "completed", **fields: Any) -> bytes:
    return event(f"response.{status}", response=response_object(status, list(items), **fields))


def whole(*items: dict[str, Any]) -> bytes:
    inner = b"".join(item_events(index, item) for index, item in enumerate(items))
    return numbered(BEGUN + inner + completed(*items))


def delta(**fields: Any) -> bytes:
    at = {"output_index": 0, "item_id": "msg_1", "content_index": 0, "delta": "x", "logprobs": [], **fields}
    return event("response.output_text.delta", **at)


GOOD = {
    "text": whole(ITEM),
    "two texts": whole(message_item("a", "b")),
    "a thought, text and a call": whole(THOUGHT, ITEM, CALL),
    "nothing said": whole(),
    "a failure": numbered(BEGUN + ADDED + FAILED),
    "a failure at once": numbered(FAILED),
    "an error": b'event: error\ndata: {"type":"error","sequence_number":0,"message":"no","code":null,"param":null}\n\n',
    "incomplete": numbered(BEGUN + completed(status="incomplete", incomplete_details={"reason": "max_output_tokens"})),
    "a search": whole({"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}),
}


@pytest.mark.parametrize("data", GOOD.values(), ids=GOOD.keys())
def test_good_streams_pass_in_any_cut(data: bytes) -> None:
    for step in (0, 1, 7):
        assert problems(data, step) == []


def test_a_stream_amounts_to_what_it_said() -> None:
    grammar = openai_responses.DIALECT.grammar()
    grammar.receive_data(GOOD["a thought, text and a call"])
    grammar.receive_eof()
    seen = grammar.seen
    assert (seen.text, seen.reasoning, seen.tools, seen.finish) == ("Hi", "hm", [("f", '{"a":1}')], "completed")
    assert seen.ended


BROKEN = {**ITEM, "content": [{**ITEM["content"][0], "text": "other"}]}
CUT_CALL = {**CALL, "status": "incomplete"}
LONG = call_item("fc_1", "c" * 65, "f", "{}")
OTHER = {**ITEM, "id": "msg_2"}
IN_ITEM = BEGUN + item_events(0, ITEM)
BAD = {
    "no numbers": (IN_ITEM + completed(ITEM), "number"),
    "a number left out": (
        numbered(BEGUN + FAILED).replace(b'"sequence_number": 2', b'"sequence_number": 3'),
        "number",
    ),
    "no event line": (whole().replace(b"event: response.created\n", b""), "framing"),
    "no in_progress": (numbered(CREATED + item_events(0, ITEM) + completed(ITEM)), "order"),
    "a beginning in the middle": (numbered(item_events(0, ITEM) + completed(ITEM)), "order"),
    "a second beginning": (numbered(BEGUN + CREATED + FAILED), "order"),
    "an event behind the end": (numbered(BEGUN + completed() + CREATED), "terminal"),
    "an end without its items": (numbered(IN_ITEM + completed()), "sum"),
    "another item at the end": (numbered(IN_ITEM + completed(BROKEN)), "sum"),
    "an open item": (numbered(BEGUN + ADDED + completed()), "terminal"),
    "an unfinished item": (numbered(BEGUN + item_events(0, CUT_CALL) + completed(CUT_CALL)), "terminal"),
    "incomplete without a reason": (numbered(BEGUN + completed(status="incomplete")), "terminal"),
    "an item that ends and never began": (numbered(BEGUN + DONE + FAILED), "order"),
    "an item of another id": (
        numbered(BEGUN + ADDED + event("response.output_item.done", output_index=0, item=OTHER) + FAILED),
        {"identity", "sum"},
    ),
    "an item unlike its deltas": (
        numbered(BEGUN + ADDED + event("response.output_item.done", output_index=0, item=BROKEN) + FAILED),
        "sum",
    ),
    "text that is not its deltas": (
        numbered(BEGUN + item_events(0, ITEM).replace(b'"text": "Hi", "annotations"', b'"text": "Ho", "annotations"')),
        {"sum", "cut"},
    ),
    "a delta outside an item": (numbered(BEGUN + delta() + FAILED), "order"),
    "a delta of another item": (numbered(BEGUN + ADDED + delta(item_id="other") + FAILED), {"identity", "order"}),
    "a delta before its part": (numbered(BEGUN + ADDED + delta() + FAILED), "order"),
    "a delta that is no text": (numbered(BEGUN + ADDED + delta(delta=5) + FAILED), {"order", "field"}),
    "a delta without its place": (numbered(BEGUN + ADDED + delta(content_index=None) + FAILED), "field"),
    "an item at another place": (
        numbered(BEGUN + ADDED.replace(b'"output_index": 0', b'"output_index": 1') + FAILED),
        "index",
    ),
    "an item that begins whole": (
        numbered(BEGUN + event("response.output_item.added", output_index=0, item=ITEM) + FAILED),
        "field",
    ),
    "two items of one id": (
        numbered(IN_ITEM + item_events(1, ITEM) + completed(ITEM, ITEM)),
        "identity",
    ),
    "a call_id no client can send back": (numbered(BEGUN + item_events(0, LONG) + completed(LONG)), "field"),
    "another response": (
        numbered(
            CREATED
            + event("response.in_progress", response=response_object("in_progress", id="x"))
            + FAILED.replace(b"resp_up", b"x")
        ),
        "identity",
    ),
    "a failure without error": (numbered(BEGUN + completed(status="failed")), "error"),
    "a status unlike its event": (
        numbered(BEGUN + event("response.completed", response=response_object("failed"))),
        "field",
    ),
    "usage without details": (numbered(BEGUN + completed(usage={"input_tokens": 1})), "field"),
    "a response without its echo": (
        numbered(BEGUN + completed(tools=None)),
        "field",
    ),
    "a cut": (numbered(BEGUN + ADDED), "cut"),
    "nothing": (b"", "cut"),
    "an unknown event": (numbered(BEGUN + event("response.surprise") + FAILED), PROMISE),
    "an item in an item": (
        numbered(
            BEGUN
            + ADDED
            + event("response.output_item.added", output_index=1, item={**THOUGHT, "summary": []})
            + FAILED
        ),
        PROMISE,
    ),
}


@pytest.mark.parametrize(("data", "rule"), BAD.values(), ids=BAD.keys())
def test_each_fault_has_its_rule(data: bytes, rule: str | set[str]) -> None:
    assert rules(data) == ({rule} if isinstance(rule, str) else rule)


def test_the_same_thoughts_encrypted_anew_are_the_same_item() -> None:
    item = {**THOUGHT, "encrypted_content": "a"}
    data = numbered(BEGUN + item_events(0, item) + completed({**item, "encrypted_content": "b"}))
    assert rules(data) == {PROMISE}
