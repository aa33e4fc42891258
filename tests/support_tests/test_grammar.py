"""The judge of streams refuses what no strict client could live with; it judges all else, so it is judged here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support import grammar
from support.answers import (
    DONE,
    ROLE,
    STOP,
    chat,
    chat_usage,
    chunk,
    event,
    fragment,
    item_events,
    message_delta,
    message_item,
    message_start,
    messages,
    numbered,
    response_object,
    text_block,
    thinking_block,
    tool_block,
)

CREATED = event("response.created", response=response_object("in_progress"))
BEGUN = CREATED + event("response.in_progress", response=response_object("in_progress"))
FULL_USAGE = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
END = message_delta("end_turn", FULL_USAGE)
ITEM = message_item("Hi")
COMPLETED = event("response.completed", response=response_object("completed", [ITEM]))


def refuses(dialect: str, data: bytes) -> None:
    # KeyError, TypeError: a field that has to be there is not, or is null.
    with pytest.raises((AssertionError, KeyError, TypeError)):
        grammar.validate(dialect, data)


def test_good_streams_pass_and_tell_what_they_were() -> None:
    seen = grammar.chat(chat({"content": "a"}, {"content": "b"}, usage=chat_usage()))
    assert (seen.text, seen.finish, seen.ended, seen.failed) == ("ab", "stop", True, False)
    call = ({"tool_calls": [fragment(0, "c", "f", "")]}, {"tool_calls": [fragment(0, args="{}")]})
    seen = grammar.chat(chat(*call, finish="tool_calls"))
    assert seen.tools == [("f", "{}")]
    seen = grammar.messages(
        messages(text_block(0, "a"), tool_block(1, "t1", "f", "{}"), stop="tool_use", usage=FULL_USAGE)
    )
    assert (seen.text, seen.tools, seen.ended) == ("a", [("f", "{}")], True)
    seen = grammar.responses(numbered(BEGUN + item_events(0, ITEM) + COMPLETED))
    assert (seen.text, seen.ended, seen.finish) == ("Hi", True, "completed")


@pytest.mark.parametrize("dialect", ["openai", "openai_responses", "anthropic"])
@pytest.mark.parametrize(
    "data", [b"data: {}", b"data: {}\n", b"id: 3\ndata: {}\n\n", b"data: {}\ndata: {}\n\n", b"{}\n\n", b"\xff\n\n"]
)
def test_what_is_no_frame_is_refused(dialect: str, data: bytes) -> None:
    with pytest.raises((AssertionError, UnicodeDecodeError, KeyError)):
        grammar.validate(dialect, data)


@pytest.mark.parametrize("dialect", ["openai", "openai_responses", "anthropic"])
def test_a_stream_that_only_stops_has_not_ended(dialect: str) -> None:
    beginning = {"openai": ROLE, "anthropic": message_start(), "openai_responses": numbered(CREATED)}[dialect]
    seen = grammar.validate(dialect, beginning)
    assert (seen.ended, seen.failed) == (False, False)


ERROR = b'data: {"error":{"message":"no","type":"x"}}\n\n'
CALL = {"tool_calls": [fragment(0, "c", "f", "{}")]}
CHAT = {
    "an event line": b"event: x\n" + chat(),
    "a delta behind the end": chat() + chunk({"content": "x"}),
    "an end behind an error": ROLE + ERROR + DONE,
    "a delta behind an error": ROLE + ERROR + chunk({"content": "x"}),
    "an error without message": ROLE + b'data: {"error":{"type":"x"}}\n\n',
    "another id": ROLE + chunk({"content": "x"}, id="other"),
    "another model": ROLE + chunk({"content": "x"}, model="other"),
    "no role": chunk({"content": "x"}),
    "the role again": ROLE + ROLE,
    "a delta behind the finish": ROLE + chunk({}, "stop") + chunk({"content": "x"}),
    "no finish": ROLE + DONE,
    "an unknown finish": chat(finish="end_turn"),
    "usage before the finish": ROLE + chunk(choices=[], usage=chat_usage()),
    "usage beside a choice": ROLE + chunk({}, "stop") + chunk({}, usage=chat_usage()),
    "no choice": ROLE + chunk(choices=[]),
    "another object": ROLE + chunk({"content": "x"}, object="chat.completion"),
    "a call out of order": chat({"tool_calls": [fragment(1, "c", "f", "{}")]}, finish="tool_calls"),
    "a call without id": chat(
        {"tool_calls": [{"index": 0, "type": "function", "function": {"name": "f"}}]}, finish="tool_calls"
    ),
    "a call's id again": chat(CALL, {"tool_calls": [fragment(0, "c", args="{}")]}, finish="tool_calls"),
    "two calls with one id": chat(CALL, {"tool_calls": [fragment(1, "c", "f", "{}")]}, finish="tool_calls"),
    "a call without arguments": chat({"tool_calls": [fragment(0, "c", "f", "")]}, finish="tool_calls"),
    "a call and an ordinary end": chat(CALL),
    "calls announced and none there": chat({"content": "x"}, finish="tool_calls"),
}


@pytest.mark.parametrize("data", CHAT.values(), ids=CHAT.keys())
def test_chat_refuses(data: bytes) -> None:
    refuses("openai", data)


def block_event(index: int, **fields: Any) -> bytes:
    return event("content_block_delta", index=index, delta=fields)


OPENED = message_start() + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
MESSAGES = {
    "no start": text_block(0, "x") + END + STOP,
    "two starts": message_start() + message_start(),
    "a wrong name": message_start().replace(b"event: message_start", b"event: x"),
    "an unknown event": message_start() + event("surprise"),
    "a wrong index": message_start() + text_block(1, "x"),
    "a delta of another block": OPENED + block_event(1, type="text_delta", text="x"),
    "a delta of another kind": OPENED + block_event(0, type="input_json_delta", partial_json="x"),
    "a block in a block": OPENED + text_block(1, "x"),
    "an end in a block": OPENED + END,
    "a delta outside": message_start() + block_event(0, type="text_delta", text="x"),
    "text at the start of a block": message_start()
    + event("content_block_start", index=0, content_block={"type": "text", "text": "x"}),
    "an id no client can send back": message_start() + tool_block(0, "a.b", "f", "{}"),
    "thoughts behind their signature": message_start()
    + event("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""})
    + block_event(0, type="signature_delta", signature="s")
    + block_event(0, type="thinking_delta", thinking="x"),
    "a stop without its delta": message_start() + STOP,
    "no reason to stop": message_start() + message_delta(None, FULL_USAGE),
    "usage without a counter": message_start() + message_delta("end_turn", {"output_tokens": 1}),
    "an event behind the stop": message_start() + END + STOP + text_block(0, "x"),
    "a ping behind the stop": message_start() + END + STOP + event("ping"),
    "an event behind the error": message_start() + event("error", error={"type": "x", "message": "y"}) + END,
    "an error without message": message_start() + event("error", error={"type": "x"}),
}


@pytest.mark.parametrize("data", MESSAGES.values(), ids=MESSAGES.keys())
def test_messages_refuses(data: bytes) -> None:
    refuses("anthropic", data)


def test_messages_takes_a_signature_at_the_end_of_its_thoughts() -> None:
    data = messages(thinking_block(0, "hm", "sig"), text_block(1, "x"), usage=FULL_USAGE)
    assert grammar.messages(data).reasoning == "hm"


BROKEN = {**ITEM, "content": [{**ITEM["content"][0], "text": "other"}]}
ADDED = event("response.output_item.added", output_index=0, item={**ITEM, "content": []})
RESPONSES = {
    "no numbers": BEGUN + item_events(0, ITEM) + COMPLETED,
    "a number left out": numbered(BEGUN).replace(b'"sequence_number": 1', b'"sequence_number": 2'),
    "no in_progress": numbered(CREATED + item_events(0, ITEM) + COMPLETED),
    "a beginning in the middle": numbered(item_events(0, ITEM)),
    "an event behind the end": numbered(BEGUN + item_events(0, ITEM) + COMPLETED + CREATED),
    "an end without its items": numbered(BEGUN + COMPLETED),
    "an end with an open item": numbered(BEGUN + ADDED + COMPLETED),
    "an item in an item": numbered(BEGUN + ADDED + ADDED),
    "an item that ends and never began": numbered(
        BEGUN + event("response.output_item.done", output_index=0, item=ITEM)
    ),
    "text that is not its deltas": numbered(
        BEGUN + item_events(0, ITEM).replace(b'"text": "Hi", "annotations"', b'"text": "Ho", "annotations"')
    ),
    "an item unlike its deltas": numbered(
        BEGUN + ADDED + event("response.output_item.done", output_index=0, item=BROKEN)
    ),
    "a delta outside an item": numbered(
        BEGUN
        + event("response.output_text.delta", output_index=0, item_id="msg_1", content_index=0, delta="x", logprobs=[])
    ),
    "a delta of another item": numbered(
        BEGUN
        + ADDED
        + event("response.output_text.delta", output_index=0, item_id="other", content_index=0, delta="x", logprobs=[])
    ),
    "a delta before its part": numbered(
        BEGUN
        + ADDED
        + event("response.output_text.delta", output_index=0, item_id="msg_1", content_index=0, delta="x", logprobs=[])
    ),
    "an item at another place": numbered(BEGUN + ADDED.replace(b'"output_index": 0', b'"output_index": 1')),
    "another response": numbered(
        BEGUN + event("response.in_progress", response=response_object("in_progress", id="x"))
    ),
    "an unknown event": numbered(BEGUN + event("response.surprise")),
    "a failure without error": numbered(BEGUN + event("response.failed", response=response_object("failed"))),
    "a status unlike its event": numbered(BEGUN + event("response.completed", response=response_object("failed"))),
}


@pytest.mark.parametrize("data", RESPONSES.values(), ids=RESPONSES.keys())
def test_responses_refuses(data: bytes) -> None:
    refuses("openai_responses", data)


def test_the_bad_responses_are_bad_for_their_own_reason() -> None:
    """The frame around them is good: without the fault the same bytes pass."""
    assert grammar.responses(numbered(BEGUN + item_events(0, ITEM) + COMPLETED)).ended
    payloads = [json.loads(data)["sequence_number"] for _, data in grammar.frames(numbered(BEGUN + ADDED))]
    assert payloads == [0, 1, 2]
