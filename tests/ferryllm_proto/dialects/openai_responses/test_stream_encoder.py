"""Streams for Responses clients, judged by the rules and by the official SDK's types and accumulator."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from ferryllm_proto import ir, json, opaque
from ferryllm_proto.accumulate import Accumulator, play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.openai_responses import DIALECT
from ferryllm_proto.dialects.openai_responses.stream_encoder import State
from ferryllm_proto.errors import LocalProtocolError
from ferryllm_proto.events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    End,
    Event,
    Finish,
    Logprobs,
    OpaqueDelta,
    Ping,
    Raw,
    ReasoningDelta,
    RefusalDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from support import oracles

F = ir.FinishReason
START = Start("up_1", "gpt", 7)
STOP = (Finish(F.END), End())
_types: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def encode(*events: Event, answer: Answer = Answer(model="alias", seed=1)) -> bytes:  # noqa: B008 - frozen
    encoder = DIALECT.stream_encoder(answer)
    return b"".join([encoder.send(event) for event in events])


def parse(stream: bytes) -> list[dict[str, Any]]:
    """The events, each checked by the SDK's own type and against its ``event:`` line."""
    out = []
    for block in stream.decode().split("\n\n"):
        if not block or block.startswith(":"):
            continue
        head, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert head == f"event: {event['type']}"
        _types.validate_python(event)
        out.append(event)
    return out


def check(stream: bytes) -> list[dict[str, Any]]:
    """The laws Z1 to Z6 over one good stream."""
    events = parse(stream)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert len({event["response"]["id"] for event in events if "response" in event}) == 1
    open_: int | None = None
    done: list[Any] = []
    for event in events[2:-1]:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert open_ is None
            assert event["output_index"] == len(done)
            open_ = event["output_index"]
        elif kind == "response.output_item.done":
            assert open_ == event["output_index"]
            done.append(event["item"])
            open_ = None
        else:
            assert open_ == event["output_index"], kind
    final = events[-1]
    assert final["type"] in ("response.completed", "response.incomplete", "response.failed")
    assert final["response"]["output"] == done
    return events


def kinds(stream: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in check(stream)[2:-1]]


def text_block(ix: int, *texts: str) -> list[Event]:
    return [BlockStart(ix, BlockKind.TEXT), *(TextDelta(ix, text) for text in texts), BlockEnd(ix)]


def test_z1_z3_a_message_has_all_its_events() -> None:
    stream = encode(START, *text_block(0, "a", "b"), *STOP)
    assert kinds(stream) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]
    answer = oracles.stream("openai_responses", stream)
    assert answer.output_text == "ab"


def test_m1_the_model_is_the_clients_and_ids_are_of_the_dialect() -> None:
    first = check(encode(START, *STOP))[0]["response"]
    assert first["model"] == "alias"
    assert first["id"].startswith("resp_")
    assert first["created_at"] == 7
    kept = check(encode(Start("resp_x", "gpt"), *STOP, answer=Answer(created=9)))[0]["response"]
    assert (kept["id"], kept["model"], kept["created_at"]) == ("resp_x", "gpt", 9)


def test_g9_equal_seeds_give_equal_bytes() -> None:
    events = (START, *text_block(0, "a"), *STOP)
    assert encode(*events) == encode(*events)
    assert encode(*events) != encode(*events, answer=Answer(seed=2))


def test_z4_calls_stream_their_arguments() -> None:
    start = BlockStart(0, BlockKind.TOOL, id="call_1", name="f", namespace="ns")
    stream = encode(START, start, ArgsDelta(0, '{"a"'), ArgsDelta(0, ":1}"), BlockEnd(0), Finish(F.TOOL_USE), End())
    assert kinds(stream) == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    item = check(stream)[-1]["response"]["output"][0]
    assert (item["call_id"], item["name"], item["namespace"]) == ("call_1", "f", "ns")
    assert (item["arguments"], item["status"]) == ('{"a":1}', "completed")


def test_z4_freeform_calls_carry_raw_input() -> None:
    start = BlockStart(0, BlockKind.TOOL, id="c", name="apply_patch", tool_kind=ir.ToolKind.CUSTOM)
    stream = encode(START, start, ArgsDelta(0, "*** Begin\n"), BlockEnd(0), Finish(F.TOOL_USE), End())
    assert "custom_tool_call_input.delta" in kinds(stream)
    (item,) = check(stream)[-1]["response"]["output"]
    assert (item["type"], item["input"]) == ("custom_tool_call", "*** Begin\n")


def test_x7_a_call_without_arguments_is_an_empty_object() -> None:
    start = BlockStart(0, BlockKind.TOOL, name="f")
    (item,) = check(encode(START, start, BlockEnd(0), Finish(F.TOOL_USE), End()))[-1]["response"]["output"]
    assert item["arguments"] == "{}"
    assert item["call_id"].startswith("call_")


def test_x3_interleaved_calls_keep_their_arguments() -> None:
    stream = encode(
        START,
        BlockStart(0, BlockKind.TOOL, id="a", name="f"),
        ArgsDelta(0, '{"x":'),
        BlockStart(1, BlockKind.TOOL, id="b", name="g"),
        ArgsDelta(1, '{"y":'),
        ArgsDelta(0, "1}"),
        ArgsDelta(1, "2}"),
        BlockEnd(0),
        BlockEnd(1),
        Finish(F.TOOL_USE),
        End(),
    )
    output = check(stream)[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in output] == [("a", '{"x":1}'), ("b", '{"y":2}')]
    oracles.stream("openai_responses", stream)


def test_z5_summaries_have_their_parts_and_the_proof_comes_at_the_end() -> None:
    mine = ir.Opaque("openai", "gpt", ir.OpaqueKind.ENCRYPTED, "E", "rs_1")
    stream = encode(
        START,
        BlockStart(0, BlockKind.REASONING, id="rs_1"),
        ReasoningDelta(0, "a", 0),
        ReasoningDelta(0, "b", 1),
        OpaqueDelta(0, mine),
        BlockEnd(0),
        *text_block(1, "x"),
        *STOP,
    )
    assert kinds(stream)[:9] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
    ]
    item = check(stream)[-1]["response"]["output"][0]
    assert item["id"] == "rs_1"
    assert item["encrypted_content"] == "E"
    assert [part["text"] for part in item["summary"]] == ["a", "b"]


def test_raw_reasoning_is_shown_as_a_summary_and_foreign_proof_is_wrapped() -> None:
    proofs = [ir.Opaque("anthropic", "claude", ir.OpaqueKind.SIGNATURE, data) for data in ("s1", "s2")]
    events: list[Event] = [BlockStart(0, BlockKind.REASONING), ReasoningDelta(0, "hm")]
    stream = encode(START, *events, *(OpaqueDelta(0, proof) for proof in proofs), BlockEnd(0), *STOP)
    first, second = check(stream)[-1]["response"]["output"]
    assert first["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert [opaque.unwrap(item["encrypted_content"]) for item in (first, second)] == proofs


def test_texts_in_a_row_are_parts_of_one_message_unless_their_phase_differs() -> None:
    stream = encode(START, *text_block(0, "a"), *text_block(1, "b"), *STOP)
    (message,) = check(stream)[-1]["response"]["output"]
    assert [part["text"] for part in message["content"]] == ["a", "b"]
    phases: list[Event] = [BlockStart(0, BlockKind.TEXT, phase="commentary"), TextDelta(0, "a"), BlockEnd(0)]
    output = check(encode(START, *phases, *text_block(1, "b"), *STOP))[-1]["response"]["output"]
    assert [item.get("phase") for item in output] == ["commentary", None]


def test_empty_blocks_are_no_items() -> None:
    stream = encode(START, *text_block(0, ""), BlockStart(1, BlockKind.REASONING), BlockEnd(1), *STOP)
    assert kinds(stream) == []


def test_refusals_are_parts_and_the_answer_is_completed() -> None:
    stream = encode(
        START, BlockStart(0, BlockKind.REFUSAL), RefusalDelta(0, "no"), BlockEnd(0), Finish(F.REFUSAL), End()
    )
    final = check(stream)[-1]
    assert final["type"] == "response.completed"
    assert final["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "no"}]


@pytest.mark.parametrize(
    ("reason", "type_", "why"),
    [
        (F.END, "response.completed", None),
        (F.STOP, "response.completed", None),
        (F.PAUSE, "response.completed", None),
        (F.LENGTH, "response.incomplete", "max_output_tokens"),
        (F.CONTEXT, "response.incomplete", "max_output_tokens"),
        (F.REFUSAL, "response.incomplete", "content_filter"),
        (F.ERROR, "response.failed", None),
        (F.MALFORMED_TOOL, "response.failed", None),
    ],
)
def test_z7_the_end_says_why(reason: ir.FinishReason, type_: str, why: str | None) -> None:
    final = check(encode(START, *text_block(0, "a"), Finish(reason), End()))[-1]
    assert final["type"] == type_
    assert (final["response"]["incomplete_details"] or {}).get("reason") == why
    complete = type_ == "response.completed"
    assert final["response"]["output"][0]["status"] == ("completed" if complete else "incomplete")


def test_z7_a_cut_call_is_not_completed_but_a_whole_one_is() -> None:
    whole: list[Event] = [BlockStart(0, BlockKind.TOOL, name="f"), ArgsDelta(0, "{}"), BlockEnd(0)]
    cut: list[Event] = [BlockStart(1, BlockKind.TOOL, name="f"), ArgsDelta(1, '{"a'), BlockEnd(1)]
    output = check(encode(START, *whole, *cut, Finish(F.LENGTH), End()))[-1]["response"]["output"]
    assert [item["status"] for item in output] == ["completed", "incomplete"]
    assert output[1]["arguments"] == '{"a'


def test_z8_a_failure_is_response_failed_and_nothing_follows() -> None:
    error = ir.Error(ir.ErrorKind.TRUNCATED, "cut")
    encoder = DIALECT.stream_encoder(Answer())
    for event in (START, BlockStart(0, BlockKind.TEXT), TextDelta(0, "a")):
        encoder.send(event)
    (failed,) = parse(encoder.send(StreamFailed(error)))
    assert failed["type"] == "response.failed"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "server_error", "message": "cut"}
    assert encoder.send(StreamFailed(error)) == b""
    with pytest.raises(LocalProtocolError):
        encoder.send(End())


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ir.ErrorKind.CONTEXT_LENGTH, "context_length_exceeded"),
        (ir.ErrorKind.RATE_LIMIT, "rate_limit_exceeded"),
        (ir.ErrorKind.OVERLOADED, "server_is_overloaded"),
        (ir.ErrorKind.BILLING, "insufficient_quota"),
        (ir.ErrorKind.TIMEOUT, "server_error"),
    ],
)
def test_e6_failures_carry_the_codes_codex_reads(kind: ir.ErrorKind, code: str) -> None:
    data = encode(StreamFailed(ir.Error(kind, "m", retry_after=1.5)))
    error = json.loads(data.split(b"data: ")[1])["response"]["error"]
    assert error["code"] == code
    assert ("try again in 1.5s" in error["message"]) is (code == "rate_limit_exceeded")


def test_u9_usage_has_its_details_always() -> None:
    stream = encode(START, UsageUpdate(ir.Usage(input=3, cache_read=2, output=4, reasoning=1)), *STOP)
    assert check(stream)[-1]["response"]["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 9,
    }


def test_u11_unknown_usage_is_null() -> None:
    assert check(encode(START, *STOP))[-1]["response"]["usage"] is None


def test_usage_after_the_finish_counts() -> None:
    stream = encode(START, Finish(F.END), UsageUpdate(ir.Usage(input=1, output=2)), End())
    assert check(stream)[-1]["response"]["usage"]["total_tokens"] == 3


def test_x17_sources_of_other_dialects_become_annotations() -> None:
    encoder = DIALECT.stream_encoder(Answer())
    cited = b'{"type":"web_search_result_location","url":"https://a","title":"T","encrypted_index":"x"}'
    events: list[Event] = [START, BlockStart(0, BlockKind.TEXT), TextDelta(0, "abc"), Citation(0, "anthropic", cited)]
    events += [Citation(0, "anthropic", b'{"type":"char_location"}'), BlockEnd(0), *STOP]
    (message,) = check(b"".join([encoder.send(event) for event in events]))[-1]["response"]["output"]
    (annotation,) = message["content"][0]["annotations"]
    assert annotation == {"type": "url_citation", "start_index": 0, "end_index": 3, "url": "https://a", "title": "T"}
    assert [loss.path for loss in encoder.losses] == ["citations"]


def test_logprobs_are_in_the_final_part() -> None:
    logprob = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": []}
    events: list[Event] = [BlockStart(0, BlockKind.TEXT), TextDelta(0, "a"), Logprobs(0, json.encode([logprob]))]
    (message,) = check(encode(START, *events, BlockEnd(0), *STOP))[-1]["response"]["output"]
    assert message["content"][0]["logprobs"] == [logprob]


def test_z10_foreign_blocks_and_events_are_reported_and_not_written() -> None:
    encoder = DIALECT.stream_encoder(Answer())
    events: list[Event] = [
        START,
        BlockStart(0, BlockKind.HOSTED, hosted=ir.Hosted("anthropic", "server_tool_use", b"{}")),
        BlockEnd(0),
        Raw("anthropic", "odd", b"{}"),
        *STOP,
    ]
    assert kinds(b"".join([encoder.send(event) for event in events])) == []
    assert [loss.path for loss in encoder.losses] == ["server_tool_use", "odd"]


def test_items_and_events_of_this_dialect_are_passed_on() -> None:
    added = b'{"type":"web_search_call","id":"ws_1","status":"in_progress","action":{"type":"search","query":"q"}}'
    done = added.replace(b"in_progress", b"completed")
    progress = b'{"type":"response.web_search_call.searching","sequence_number":99,"output_index":5,"item_id":"ws_1"}'
    stream = encode(
        START,
        *text_block(0, "a"),
        BlockStart(1, BlockKind.HOSTED, hosted=ir.Hosted("openai_responses", "web_search_call", added)),
        Raw("openai_responses", "response.web_search_call.searching", progress),
        BlockEnd(1, ir.Hosted("openai_responses", "web_search_call", done)),
        *STOP,
    )
    assert kinds(stream)[-3:] == ["output_item.added", "web_search_call.searching", "output_item.done"]
    assert check(stream)[-1]["response"]["output"][1]["status"] == "completed"


def test_s16_a_ping_is_a_comment() -> None:
    assert encode(Ping()) == b": ping\n\n"


def test_z6_the_request_is_echoed_truthfully() -> None:
    body = {
        "model": "alias",
        "instructions": "i",
        "input": "x",
        "store": True,
        "temperature": 0.5,
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low"},
        "metadata": {"a": "b"},
    }
    request = DIALECT.decode_request(json.encode(body))
    response = check(encode(START, *STOP, answer=Answer(model="alias", request=request)))[-1]["response"]
    assert response["store"] is False
    for name in ("instructions", "temperature", "tool_choice", "parallel_tool_calls", "reasoning", "metadata"):
        assert response[name] == body[name]
    assert response["tools"][0]["strict"] is False
    assert response["text"] == {"format": {"type": "text"}, "verbosity": "low"}


_EVENTS: dict[type, Event] = {
    type(event): event
    for event in (
        START,
        BlockStart(0, BlockKind.TEXT),
        TextDelta(0, "a"),
        BlockEnd(0),
        UsageUpdate(ir.Usage()),
        Finish(F.END),
        End(),
        Ping(),
        Raw("anthropic", "x", b"{}"),
    )
}
_REACH: dict[State, list[Event]] = {
    State.BEFORE: [],
    State.OPEN: [START],
    State.BLOCK: [START, BlockStart(0, BlockKind.TEXT)],
    State.FINISHED: [START, Finish(F.END)],
    State.OVER: [START, Finish(F.END), End()],
}
_ALLOWED: dict[State, set[type]] = {
    State.BEFORE: {Start, Ping},
    State.OPEN: {BlockStart, UsageUpdate, Finish, Ping, Raw, TextDelta, BlockEnd},
    State.BLOCK: {BlockStart, TextDelta, BlockEnd, UsageUpdate, Finish, Ping, Raw},
    State.FINISHED: {UsageUpdate, Ping, Raw, End},
    State.OVER: set(),
}
"""From outside, where blocks may overlap: a late delta begins a new block, a late end is nothing."""


_PAIRS = [
    (state, kind)
    for state in State
    for kind in _EVENTS
    # Where no block may be, the sequencer holds them back or drops them before the table is asked.
    if state in (State.OPEN, State.BLOCK) or kind not in (TextDelta, BlockEnd, BlockStart)
]


@pytest.mark.parametrize(("state", "kind"), _PAIRS)
def test_every_event_in_every_state(state: State, kind: type) -> None:
    encoder = DIALECT.stream_encoder(Answer())
    for event in _REACH[state]:
        encoder.send(event)
    assert encoder.state is state
    if kind in _ALLOWED[state]:
        encoder.send(_EVENTS[kind])
    else:
        with pytest.raises(LocalProtocolError, match=rf"{kind.__name__} .* {state.name}"):
            encoder.send(_EVENTS[kind])


_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
_parts = st.one_of(
    st.builds(ir.Text, _texts.filter(bool)),
    st.builds(
        lambda text, data: ir.Reasoning(
            summary=(text,), opaque=(ir.Opaque("openai", "gpt", ir.OpaqueKind.ENCRYPTED, data),)
        ),
        _texts.filter(bool),
        st.text("abc", min_size=1),
    ),
    st.builds(ir.ToolCall, st.text("abc", min_size=1, max_size=3), st.just("f"), st.just('{"a":1}')),
    st.builds(ir.ToolCall, st.just("c"), st.just("p"), _texts.filter(bool), st.just(ir.ToolKind.CUSTOM)),
    st.builds(ir.Refusal, _texts.filter(bool)),
)


@given(st.lists(_parts, max_size=5), st.sampled_from([F.END, F.LENGTH]))
def test_any_answer_is_a_lawful_stream_and_reads_back_the_same(parts: list[Any], finish: ir.FinishReason) -> None:
    response = ir.Response("resp_1", "gpt", tuple(parts), finish=finish, usage=ir.Usage(input=1, output=len(parts)))
    stream = encode(*play(response))
    check(stream)
    accumulator = Accumulator()
    decoder = DIALECT.stream_decoder()
    for event in decoder.receive_data(stream) + decoder.receive_eof():
        accumulator.send(event)
    back = accumulator.response()
    whole = DIALECT.decode_response(DIALECT.encode_response(response, Answer(model="alias", seed=1)))
    assert whole.parts == back.parts
    assert [_essence(part) for part in back.parts] == [_essence(part) for part in parts]


def _essence(part: Any) -> tuple[Any, ...]:
    if isinstance(part, ir.ToolCall):
        return part.id, part.name, part.arguments, part.kind
    if isinstance(part, ir.Reasoning):
        return part.summary, part.opaque[0].data
    return type(part), part.text
