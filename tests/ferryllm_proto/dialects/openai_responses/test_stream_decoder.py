"""Providers' Responses streams into events, with everything that real servers do to them."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir, json, sse
from ferryllm_proto.accumulate import Accumulator
from ferryllm_proto.dialects.openai_responses import DIALECT
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
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)

Wire = dict[str, Any]
RESPONSE: Wire = {"id": "resp_1", "model": "gpt-5.4", "created_at": 5, "status": "in_progress", "output": []}
CREATED: Wire = {"type": "response.created", "response": RESPONSE}
USAGE: Wire = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 2}, "output_tokens": 3, "total_tokens": 8}


def completed(*output: Wire, **fields: Any) -> Wire:
    response = {**RESPONSE, "status": "completed", "output": list(output), "usage": USAGE, **fields}
    return {"type": f"response.{response['status']}", "response": response}


def wire(*events: Wire | bytes) -> bytes:
    return b"".join(
        event if isinstance(event, bytes) else sse.encode(event["type"], json.encode({"sequence_number": n, **event}))
        for n, event in enumerate(events)
    )


def decode(*events: Wire | bytes) -> list[Event]:
    decoder = DIALECT.stream_decoder()
    out = decoder.receive_data(wire(*events)) + decoder.receive_eof()
    assert decoder.receive_eof() == []
    assert decoder.receive_data(b"data: {}\n\n") == []
    assert [type(event) in (End, StreamFailed) for event in out] == [False] * (len(out) - 1) + [True]
    return out


def fold(events: list[Event]) -> ir.Response:
    accumulator = Accumulator()
    for event in events:
        accumulator.send(event)
    assert accumulator.failed is None
    return accumulator.response()


def failure(events: list[Event]) -> ir.Error:
    last = events[-1]
    assert isinstance(last, StreamFailed)
    return last.error


def message(text: str, id_: str = "msg_1", **part: Any) -> Wire:
    content = [{"type": "output_text", "text": text, "annotations": [], **part}]
    return {"type": "message", "id": id_, "role": "assistant", "status": "completed", "content": content}


def call(arguments: str, id_: str = "fc_1", call_id: str = "call_1", **more: Any) -> Wire:
    return {"type": "function_call", "id": id_, "call_id": call_id, "name": "f", "arguments": arguments, **more}


def added(item: Wire, **at: Any) -> Wire:
    empty = {**item, "status": "in_progress"}
    empty.update({name: empty[name][:0] for name in ("content", "arguments", "input", "summary") if name in empty})
    return {"type": "response.output_item.added", "item": empty, **at}


def done(item: Wire, **at: Any) -> Wire:
    return {"type": "response.output_item.done", "item": item, **at}


def delta(kind: str, text: str, **at: Any) -> Wire:
    return {"type": f"response.{kind}.delta", "delta": text, **at}


TEXT = "output_text"
ARGS = "function_call_arguments"
USUAL: list[Wire | bytes] = [
    CREATED,
    {**CREATED, "type": "response.in_progress"},
    added({"type": "reasoning", "id": "rs_1", "summary": []}, output_index=0),
    delta("reasoning_summary_text", "think é", output_index=0, summary_index=0, item_id="rs_1"),
    done(
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "think é"}],
            "encrypted_content": "E",
        },
        output_index=0,
    ),
    added(message("Hi 😀"), output_index=1),
    delta(TEXT, "Hi ", output_index=1, content_index=0, item_id="msg_1", logprobs=[]),
    delta(TEXT, "😀", output_index=1, content_index=0, item_id="msg_1", logprobs=[]),
    done(message("Hi 😀"), output_index=1),
    added(call('{"a":1}'), output_index=2),
    delta(ARGS, '{"a"', output_index=2, item_id="fc_1"),
    delta(ARGS, ":1}", output_index=2, item_id="fc_1"),
    done(call('{"a":1}'), output_index=2),
    completed(),
]
PARTS = (
    ir.Reasoning(
        summary=("think é",),
        opaque=(ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "E", "rs_1"),),
        id="rs_1",
    ),
    ir.Text("Hi 😀"),
    ir.ToolCall("call_1", "f", '{"a":1}', item_id="fc_1"),
)


def test_the_usual_stream() -> None:
    events = decode(*USUAL)
    assert events[0] == Start("resp_1", "gpt-5.4", 5)
    assert events[-3:] == [
        UsageUpdate(ir.Usage(input=3, cache_read=2, output=3)),
        Finish(ir.FinishReason.TOOL_USE),
        End(),
    ]
    assert fold(events).parts == PARTS


@functools.cache
def _usual() -> tuple[bytes, list[Event]]:
    return wire(*USUAL), decode(*USUAL)


def test_s3_byte_by_byte_gives_the_same_events() -> None:
    data, events = _usual()
    decoder = DIALECT.stream_decoder()
    out = [event for n in range(len(data)) for event in decoder.receive_data(data[n : n + 1])]
    assert out + decoder.receive_eof() == events


@given(st.lists(st.integers(0, 4000), max_size=8), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_s1_s3_any_cuts_and_line_ends_give_the_same_events(cuts: list[int], end: bytes) -> None:
    data, events = _usual()
    data = data.replace(b"\n", end)
    decoder = DIALECT.stream_decoder()
    out: list[Event] = []
    at = 0
    for cut in [*sorted(cuts), len(data)]:
        out += decoder.receive_data(data[at:cut])
        at = max(at, cut)
    assert out + decoder.receive_eof() == events


@given(st.binary(max_size=40), st.integers(0, 4000))
def test_g12_damage_never_raises(noise: bytes, at: int) -> None:
    data, _ = _usual()
    decoder = DIALECT.stream_decoder()
    out = decoder.receive_data(data[:at] + noise + data[at:]) + decoder.receive_eof()
    assert isinstance(out[-1], (End, StreamFailed))


@pytest.mark.parametrize("kept", range(len(USUAL)))
def test_t1_a_cut_after_any_event_is_truncation(kept: int) -> None:
    assert failure(decode(*USUAL[:kept])).kind is ir.ErrorKind.TRUNCATED


def test_t1_done_without_a_terminal_is_truncation() -> None:
    assert failure(decode(CREATED, b"data: [DONE]\n\n")).kind is ir.ErrorKind.TRUNCATED


def test_s7_done_after_the_terminal_is_nothing() -> None:
    assert fold(decode(*USUAL, b"data: [DONE]\n\n")).parts == PARTS


def test_s4_s8_comments_noise_and_unknown_events_do_no_harm() -> None:
    noise = b": OPENROUTER PROCESSING\n\ndata:\n\ndata: oops\n\ndata: []\n\ndata: {}\n\n"
    events = decode(noise, *USUAL[:6], noise, *USUAL[6:])
    assert fold(events).parts == PARTS


def test_unknown_events_are_passed_on_raw() -> None:
    odd = {"type": "response.web_search_call.searching", "item_id": "ws", "output_index": 0}
    (raw,) = [event for event in decode(CREATED, odd, completed()) if isinstance(event, Raw)]
    assert raw.event == "response.web_search_call.searching"


def test_queued_is_a_sign_of_life() -> None:
    assert Ping() in decode(CREATED, {"type": "response.queued", "response": RESPONSE}, completed(message("a")))


def test_z11_deltas_may_be_missing() -> None:
    whole = [event for event in USUAL if isinstance(event, dict) and not event["type"].endswith(".delta")]
    assert fold(decode(*whole)).parts == PARTS


def test_z11_added_may_be_missing() -> None:
    whole = [event for event in USUAL if isinstance(event, dict) and "added" not in event["type"]]
    response = fold(decode(*whole))
    assert response.parts[:2] == PARTS[:2]
    assert isinstance(response.parts[2], ir.ToolCall)
    assert response.parts[2].arguments == '{"a":1}'


def test_z11_only_the_final_snapshot() -> None:
    output = [event["item"] for event in USUAL if isinstance(event, dict) and "done" in event["type"]]
    assert fold(decode(CREATED, completed(*output))).parts == PARTS
    assert fold(decode(completed(*output))).parts == PARTS


def test_z11_a_snapshot_beside_the_events_doubles_nothing() -> None:
    output = [event["item"] for event in USUAL if isinstance(event, dict) and "done" in event["type"]]
    assert fold(decode(*USUAL[:-1], completed(*output))).parts == PARTS


def test_z11_a_last_item_only_in_the_snapshot_is_added() -> None:
    output = [event["item"] for event in USUAL if isinstance(event, dict) and "done" in event["type"]]
    assert fold(decode(*USUAL[:-5], completed(*output))).parts == PARTS


def test_z11_the_rest_of_a_text_comes_from_its_end() -> None:
    events = decode(
        CREATED,
        added(message(""), output_index=0),
        delta(TEXT, "Hel", output_index=0),
        done(message("Hello"), output_index=0),
        completed(),
    )
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Hel", "lo"]


def test_arguments_done_without_deltas() -> None:
    arguments = {"type": "response.function_call_arguments.done", "arguments": "{}", "output_index": 0}
    events = decode(
        CREATED, added(call(""), output_index=0), arguments, arguments, done(call("{}"), output_index=0), completed()
    )
    assert [event.text for event in events if isinstance(event, ArgsDelta)] == ["{}"]


def test_d3_text_without_any_item() -> None:
    response = fold(decode(CREATED, delta(TEXT, "a"), delta(TEXT, "b"), completed()))
    assert response.parts == (ir.Text("ab"),)


def test_llama_cpp_sends_no_numbers_at_all() -> None:
    first, second = call('{"a":1}'), call('{"b":2}', "fc_2", "call_2")
    events = decode(
        CREATED,
        added(message("hi")),
        delta(TEXT, "hi", item_id="msg_1"),
        done(message("hi")),
        added(first),
        added(second),
        delta(ARGS, '{"a":1}', item_id="fc_1"),
        delta(ARGS, '{"b":2}', item_id="fc_2"),
        done(first),
        done(second),
        completed(message("hi"), first, second),
    )
    calls = [part for part in fold(events).parts if isinstance(part, ir.ToolCall)]
    assert [(part.id, part.arguments) for part in calls] == [("call_1", '{"a":1}'), ("call_2", '{"b":2}')]


def test_copilot_rotates_item_ids() -> None:
    events = decode(
        CREATED,
        added(call('{"a":1}', "x1"), output_index=0),
        delta(ARGS, '{"a"', item_id="x2", output_index=0),
        delta(ARGS, ":1}", item_id="x3", output_index=0),
        done(call('{"a":1}', "x4"), output_index=0),
        completed(call('{"a":1}', "x5")),
    )
    assert [type(event) for event in events].count(BlockStart) == 1
    (part,) = fold(events).parts
    assert isinstance(part, ir.ToolCall)
    assert part.arguments == '{"a":1}'


def test_z2_servers_that_number_every_item_zero() -> None:
    events = decode(
        CREATED,
        added(message("a"), output_index=0),
        delta(TEXT, "a", output_index=0, item_id="msg_1"),
        done(message("a"), output_index=0),
        added(call("{}"), output_index=0),
        delta(ARGS, "{}", output_index=0, item_id="fc_1"),
        done(call("{}"), output_index=0),
        completed(message("a"), call("{}")),
    )
    assert [type(part) for part in fold(events).parts] == [ir.Text, ir.ToolCall]


def test_x5_a_call_waits_for_its_name() -> None:
    nameless = {**call(""), "name": ""}
    events = decode(
        CREATED,
        added(nameless, output_index=0),
        delta(ARGS, "{}", output_index=0),
        done(call("{}"), output_index=0),
        completed(),
    )
    (part,) = fold(events).parts
    assert isinstance(part, ir.ToolCall)
    assert (part.name, part.arguments) == ("f", "{}")


def test_z12_a_call_that_never_gets_a_name_is_a_failure() -> None:
    nameless = {**call(""), "name": ""}
    error = failure(decode(CREATED, added(nameless, output_index=0), done(nameless, output_index=0), completed()))
    assert error.kind is ir.ErrorKind.UPSTREAM


def test_freeform_calls_and_namespaces() -> None:
    item = {"type": "custom_tool_call", "id": "ctc", "call_id": "c", "name": "p", "input": "*** x", "namespace": "n"}
    events = decode(
        CREATED,
        added(item, output_index=0),
        delta("custom_tool_call_input", "*** ", output_index=0),
        done(item, output_index=0),
        completed(),
    )
    assert fold(events).parts == (ir.ToolCall("c", "p", "*** x", ir.ToolKind.CUSTOM, "n", "ctc"),)


def test_raw_reasoning_is_no_summary() -> None:
    events = decode(CREATED, delta("reasoning_text", "hm", output_index=0), completed())
    assert ReasoningDelta(0, "hm") in events


def test_reasoning_with_only_its_proof_is_a_block_and_one_with_nothing_is_none() -> None:
    bare = {"type": "reasoning", "id": "rs_1", "summary": []}
    assert not any(isinstance(event, BlockStart) for event in decode(CREATED, done(bare, output_index=0), completed()))
    proof = decode(CREATED, done({**bare, "encrypted_content": "E"}, output_index=0), completed())
    assert [type(event) for event in proof[1:4]] == [BlockStart, OpaqueDelta, BlockEnd]


def test_refusals_end_as_refusals() -> None:
    item = {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    events = decode(CREATED, delta("refusal", "n", output_index=0), done(item, output_index=0), completed())
    response = fold(events)
    assert response.parts == (ir.Refusal("no"),)
    assert response.finish is ir.FinishReason.REFUSAL


def test_sources_and_probabilities_come_once() -> None:
    source = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": 1}
    logprobs = [{"token": "a", "logprob": -1}]
    item = message("a", annotations=[source, source], logprobs=logprobs)
    annotation = {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": source}
    events = decode(
        CREATED,
        delta(TEXT, "a", output_index=0, logprobs=logprobs),
        annotation,
        done(item, output_index=0),
        completed(),
    )
    assert [type(event) for event in events].count(Citation) == 2
    assert [type(event) for event in events].count(Logprobs) == 1


def test_hosted_items_are_whole() -> None:
    item = {"type": "web_search_call", "id": "ws", "status": "completed"}
    events = decode(CREATED, added(item, output_index=0), done(item, output_index=0), completed())
    (part,) = fold(events).parts
    assert isinstance(part, ir.Hosted)
    assert json.loads(part.raw) == item


def test_items_of_unexpected_shape_are_hosted_too() -> None:
    item = {"type": "message", "content": 3}
    (part,) = fold(decode(CREATED, done(item, output_index=0), completed())).parts
    assert isinstance(part, ir.Hosted)


@pytest.mark.parametrize(
    ("details", "reason"),
    [
        ({"reason": "max_output_tokens"}, ir.FinishReason.LENGTH),
        ({"reason": "content_filter"}, ir.FinishReason.REFUSAL),
        (None, ir.FinishReason.LENGTH),
    ],
)
def test_x14_incomplete_answers(details: Wire | None, reason: ir.FinishReason) -> None:
    terminal = completed(message("a"), status="incomplete", incomplete_details=details)
    assert fold(decode(CREATED, terminal)).finish is reason


def test_the_word_complete_is_understood() -> None:
    terminal = {**completed(message("a"), status="complete"), "type": "response.completed"}
    assert fold(decode(CREATED, terminal)).finish is ir.FinishReason.END


def test_x19_an_empty_answer_is_one() -> None:
    assert fold(decode(CREATED, completed())).parts == ()


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "rate_limit_exceeded", "message": "slow"}, ir.ErrorKind.RATE_LIMIT),
        ({"type": "error", "error": {"code": "context_length_exceeded", "message": "m"}}, ir.ErrorKind.CONTEXT_LENGTH),
        (completed(status="failed", error={"code": "server_error", "message": "m"}), ir.ErrorKind.SERVER),
        (completed(status="failed", error={"code": "insufficient_quota", "message": "m"}), ir.ErrorKind.BILLING),
        (completed(status="cancelled"), ir.ErrorKind.SERVER),
    ],
)
def test_t6_errors_within_the_stream(event: Wire, kind: ir.ErrorKind) -> None:
    assert failure(decode(CREATED, delta(TEXT, "a"), event)).kind is kind


def test_t6_an_error_object_without_type() -> None:
    error = failure(decode(b'data: {"error":{"message":"no","type":"server_error","code":503}}\n\n'))
    assert (error.kind, error.message) == (ir.ErrorKind.OVERLOADED, "no")


def test_u10_usage_of_failed_answers_counts() -> None:
    events = decode(CREATED, completed(status="failed", error={"code": "server_error", "message": "m"}))
    assert any(isinstance(event, UsageUpdate) for event in events)


def test_s10_a_whole_answer_instead_of_a_stream() -> None:
    body = json.encode(completed(message("hi"))["response"])
    decoder = DIALECT.stream_decoder()
    assert decoder.receive_data(b"\n " + body[:9]) == []
    assert decoder.receive_data(body[9:]) == []
    assert fold(decoder.receive_eof()).parts == (ir.Text("hi"),)


def test_s10_an_error_instead_of_a_stream() -> None:
    error = failure(decode(b'{"error":{"message":"m","code":"model_not_found"}}'))
    assert error.kind is ir.ErrorKind.NOT_FOUND


def test_t4_nothing_at_all_is_a_truncated_stream() -> None:
    assert failure(decode()).kind is ir.ErrorKind.TRUNCATED
    assert failure(decode(b" \n\n")).kind is ir.ErrorKind.TRUNCATED
    assert failure(decode(b": only a comment\n\n")).kind is ir.ErrorKind.TRUNCATED


def test_g11_too_large_an_event_fails_after_the_good_ones() -> None:
    decoder = DIALECT.stream_decoder()
    out = decoder.receive_data(wire(CREATED) + b"data: " + b"x" * (sse.MAX_EVENT_SIZE + 1))
    assert out[0] == Start("resp_1", "gpt-5.4", 5)
    assert failure(out).kind is ir.ErrorKind.UPSTREAM


def test_invalid_utf8_is_mended_at_the_edge() -> None:
    data = wire(CREATED, delta(TEXT, "aXb", output_index=0), completed()).replace(b"aXb", b"a\xffb")
    decoder = DIALECT.stream_decoder()
    assert fold(decoder.receive_data(data) + decoder.receive_eof()).parts == (ir.Text("a\ufffdb"),)


def test_blocks_are_numbered_without_gaps() -> None:
    starts = [event.ix for event in decode(*USUAL) if isinstance(event, BlockStart)]
    assert starts == [0, 1, 2]
    assert [event.kind for event in decode(*USUAL) if isinstance(event, BlockStart)] == [
        BlockKind.REASONING,
        BlockKind.TEXT,
        BlockKind.TOOL,
    ]
