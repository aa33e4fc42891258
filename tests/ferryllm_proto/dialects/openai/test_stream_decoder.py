"""A provider's stream: vendors' habits, damage, every cut."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.accumulate import Accumulator
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    End,
    Event,
    Finish,
    Logprobs,
    Raw,
    ReasoningDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    body = {"id": "i", "created": 5, "model": "m", "choices": [choice], **fields}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def decode(*pieces: bytes) -> list[Event]:
    decoder = DIALECT.stream_decoder()
    out = [event for piece in pieces for event in decoder.receive_data(piece)]
    return out + decoder.receive_eof()


def fold(*pieces: bytes) -> ir.Response:
    accumulator = Accumulator()
    for event in decode(*pieces):
        accumulator.send(event)
    assert accumulator.failed is None
    assert accumulator.ended
    return accumulator.response()


def failure(*pieces: bytes) -> ir.Error:
    events = decode(*pieces)
    assert isinstance(events[-1], StreamFailed)
    assert not any(isinstance(event, (End, StreamFailed)) for event in events[:-1])
    return events[-1].error


FULL = (
    chunk({"role": "assistant", "content": ""}),
    chunk({"reasoning_content": "hmm "}),
    chunk({"reasoning_content": "ok"}),
    chunk({"content": "Grüße 😀 "}),
    chunk({"content": "line\u2028two"}),
    chunk({"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 1, "id": "2", "type": "function", "function": {"name": "g", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]}),
    chunk({"tool_calls": [{"index": 1, "function": {"arguments": '{"y":'}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
    chunk({"tool_calls": [{"index": 1, "function": {"arguments": "2}"}}]}),
    chunk({}, "tool_calls"),
    b'data: {"id":"i","choices":[],"usage":' + json.dumps(USAGE).encode() + b"}\n\n",
    DONE,
)


def test_everything_in_one_stream() -> None:
    response = fold(*FULL)
    assert response.parts == (
        ir.Reasoning("hmm ok"),
        ir.Text("Grüße 😀 line\u2028two"),
        ir.ToolCall("1", "f", '{"x":1}'),
        ir.ToolCall("2", "g", '{"y":2}'),
    )
    assert (response.finish, response.usage) == (ir.FinishReason.TOOL_USE, ir.Usage(3, output=2))
    assert (response.id, response.model, response.created) == ("i", "m", 5)


@pytest.mark.parametrize("ends", [b"\n", b"\r\n", b"\r"])
def test_s1_s3_byte_by_byte_and_every_line_end(ends: bytes) -> None:
    whole = b"".join(FULL)
    data = whole.replace(b"\n", ends)
    assert decode(*(data[n : n + 1] for n in range(len(data)))) == decode(whole)


@given(st.lists(st.integers(0, len(b"".join(FULL))), max_size=8))
def test_s3_random_cuts(cuts: list[int]) -> None:
    whole = b"".join(FULL)
    edges = [0, *sorted(cuts), len(whole)]
    assert decode(*(whole[a:b] for a, b in itertools.pairwise(edges))) == decode(whole)


@pytest.mark.parametrize("count", range(len(FULL) - 3))
def test_t1_a_stream_cut_after_any_event_is_truncated(count: int) -> None:
    events = decode(*FULL[:count])
    assert isinstance(events[-1], StreamFailed)
    assert events[-1].error.kind is ir.ErrorKind.TRUNCATED
    assert not any(isinstance(event, (Finish, End)) for event in events)


def test_t2_finish_reason_or_done_is_enough() -> None:
    assert fold(chunk({"content": "x"}), chunk({}, "stop")).finish is ir.FinishReason.END
    assert fold(chunk({"content": "x"}), DONE).finish is ir.FinishReason.END
    call = {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}]}
    assert fold(chunk(call), DONE).finish is ir.FinishReason.TOOL_USE
    assert fold(chunk({"content": "x"}, "length")).finish is ir.FinishReason.LENGTH


def test_t4_no_event_at_all() -> None:
    for pieces in ((), (b"",), (b"\n\n: hi\n\n",), (DONE,), (b"  ",)):
        assert failure(*pieces).kind is ir.ErrorKind.TRUNCATED


@pytest.mark.parametrize(
    "done", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data:  [DONE] \n\n", b"data: [DONE]", b"data: [DONE]\r\n\r\n"]
)
def test_s7_done_and_nothing_after_it(done: bytes) -> None:
    events = decode(chunk({"content": "x"}), chunk({}, "stop"), done, chunk({"content": "late"}), DONE)
    assert [type(event) for event in events] == [Start, BlockStart, TextDelta, BlockEnd, Finish, End]


def test_s8_noise_is_ignored() -> None:
    noise = b"data:\n\ndata: {}\n\ndata: []\n\ndata: hello\n\n: OPENROUTER PROCESSING\n\nevent: ping\n\n"
    assert fold(noise, chunk({"content": "x"}), noise, chunk({}, "stop")).parts == (ir.Text("x"),)


def test_s10_plain_json_instead_of_a_stream() -> None:
    body = {
        "id": "i",
        "model": "m",
        "choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
    data = b"\xef\xbb\xbf \n" + json.dumps(body).encode()
    assert fold(*(data[n : n + 1] for n in range(len(data)))).parts == (ir.Text("x"),)
    assert failure(b'{"error":{"message":"m","code":429}}').kind is ir.ErrorKind.RATE_LIMIT
    assert failure(b'{"id":"i","choices":[').kind is ir.ErrorKind.UPSTREAM


def test_s9_a_bom_before_the_first_event() -> None:
    assert fold(b"\xef\xbb\xbf" + chunk({"content": "x"}, "stop")).parts == (ir.Text("x"),)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'data: {"error":{"message":"m","code":429}}\n\n', ir.ErrorKind.RATE_LIMIT),
        (b'data: {"error":"m"}\n\n', ir.ErrorKind.UPSTREAM),
        (b'data: {"id":"i","choices":[],"error":{"message":"m","code":"server_error"}}\n\n', ir.ErrorKind.SERVER),
        (b'event: error\ndata: {"error":{"message":"m","code":"tool_use_failed"}}\n\n', ir.ErrorKind.BAD_REQUEST),
        (b'event: error\ndata: {"message":"m"}\n\n', ir.ErrorKind.UPSTREAM),
        (b'data: {"error":{"message":"context length exceeded"}}\n\n', ir.ErrorKind.CONTEXT_LENGTH),
        (chunk({}, "error"), ir.ErrorKind.UPSTREAM),
        (b'data: {"id":5.5,"choices":[]}\n\n', ir.ErrorKind.UPSTREAM),
        (b'data: {"choices":\n\n', ir.ErrorKind.UPSTREAM),
        (b'data: {"a":' + b"[" * 100_000 + b"\n\n", ir.ErrorKind.UPSTREAM),
    ],
)
def test_t6_g12_errors_in_a_stream_come_last(data: bytes, kind: ir.ErrorKind) -> None:
    events = decode(chunk({"content": "x"}) + data + chunk({"content": "late"}) + DONE)
    assert [type(event) for event in events[:3]] == [Start, BlockStart, TextDelta]
    assert isinstance(events[3], StreamFailed)
    assert len(events) == 4
    assert events[3].error.kind is kind


def test_null_and_empty_errors_are_none() -> None:
    assert fold(chunk({"content": "x"}, "stop", error=None)).parts == (ir.Text("x"),)
    assert fold(chunk({"content": "x"}, "stop", error={})).parts == (ir.Text("x"),)


def test_g11_an_event_without_end_is_a_fault_and_events_before_it_are_delivered() -> None:
    events = decode(chunk({"content": "x"}) + b"data: " + b"x" * (17 << 20))
    assert isinstance(events[2], TextDelta)
    assert isinstance(events[-1], StreamFailed)
    assert "larger" in events[-1].error.message


def test_invalid_utf8_becomes_a_replacement_character() -> None:
    bad = chunk({"content": "a?b"}).replace(b"?", b"\xff")
    assert fold(bad, chunk({}, "stop")).parts == (ir.Text("a\ufffdb"),)


def test_s14_lone_surrogates_survive() -> None:
    data = chunk({"content": "x"}, "stop").replace(b'"x"', b'"\\ud83d"')
    encoder = DIALECT.stream_encoder()
    assert b'"\\ud83d"' in b"".join(encoder.send(event) for event in decode(data))


def test_x8_x9_x10_placeholders_open_and_end_nothing() -> None:
    empty = {"role": "assistant", "content": "", "reasoning_content": "", "reasoning": None, "tool_calls": None}
    events = decode(
        chunk(empty), chunk({**empty, "tool_calls": []}, ""), chunk({**empty, "content": "x"}, ""), chunk(empty, "stop")
    )
    assert [type(event) for event in events] == [Start, BlockStart, TextDelta, BlockEnd, Finish, End]


def test_x11_reasoning_after_text_is_a_new_block() -> None:
    response = fold(
        chunk({"reasoning": "a"}), chunk({"content": "t"}), chunk({"reasoning": "b"}), chunk({"content": "u"}, "stop")
    )
    assert response.parts == (ir.Reasoning("a"), ir.Text("t"), ir.Reasoning("b"), ir.Text("u"))


def test_x21_text_and_call_in_one_chunk_and_text_after_the_call() -> None:
    call = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{"}}
    response = fold(
        chunk({"content": "t", "tool_calls": [call]}),
        chunk({"content": "u"}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}, "stop"),
    )
    assert response.parts == (ir.Text("t"), ir.ToolCall("1", "f", "{}"), ir.Text("u"))
    assert response.finish is ir.FinishReason.TOOL_USE


def test_d5_reasoning_fields_are_not_doubled() -> None:
    details = [{"type": "reasoning.text", "text": "a", "index": 0}]
    both = {"reasoning": "a", "reasoning_content": "a", "reasoning_details": details}
    signed = {"reasoning_details": [{"type": "reasoning.text", "text": "", "signature": "s", "index": 0}]}
    (thought, _) = fold(chunk(both), chunk(signed), chunk({"content": "x"}, "stop")).parts
    assert isinstance(thought, ir.Reasoning)
    assert thought.text == "a"
    assert [json.loads(o.data) for o in thought.opaque] == [
        {"type": "reasoning.text", "text": "a", "index": 0, "signature": "s"}
    ]


def test_d5_details_alone_are_the_text_and_late_ones_get_a_block() -> None:
    only = {"reasoning_details": [{"type": "reasoning.text", "text": "a"}]}
    late = {"reasoning_details": [{"type": "reasoning.encrypted", "data": "d"}]}
    first, text, second = fold(chunk(only), chunk({"content": "x"}), chunk(late, "stop")).parts
    assert first == ir.Reasoning("a")
    assert text == ir.Text("x")
    assert isinstance(second, ir.Reasoning)
    assert len(second.opaque) == 1


def test_mistrals_content_as_a_list() -> None:
    content = [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}, {"type": "text", "text": "x"}]
    assert fold(chunk({"content": content}, "stop")).parts == (ir.Reasoning("h"), ir.Text("x"))


def test_d5_function_call_and_its_empty_stub() -> None:
    stub = {"function_call": {"name": "", "arguments": ""}, "content": "x"}
    assert fold(chunk(stub), chunk({}, "stop")).parts == (ir.Text("x"),)
    response = fold(
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
    )
    assert response.parts == (ir.ToolCall("", "f", "{}"),)


def test_d5_choices_and_delta_may_be_missing() -> None:
    assert fold(
        b'data: {"id":"","model":"","choices":[],"prompt_filter_results":[]}\n\n',
        b'data: {"id":"i","model":"m","choices":null}\n\n',
        b'data: {"id":"i","model":"m","choices":[{"index":0}]}\n\n',
        chunk({"content": "x"}, "stop"),
    ).parts == (ir.Text("x"),)


def test_choices_after_the_first_are_ignored() -> None:
    other = chunk({"content": "b"}, "length").replace(b'"index": 0', b'"index": 1')
    assert fold(chunk({"content": "a"}), other, chunk({}, "stop")).parts == (ir.Text("a"),)


@pytest.mark.parametrize(
    "pieces",
    [
        (chunk({"content": "x"}, usage=None), chunk({}, "stop", usage=USAGE), DONE),
        (chunk({"content": "x"}), chunk({}, "stop"), chunk({}, usage=USAGE), DONE),
        (chunk({"content": "x"}, usage={"prompt_tokens": 3, "completion_tokens": 1}), chunk({}, "stop", usage=USAGE)),
        (chunk({"content": "x"}), chunk({}, "stop", x_groq={"usage": USAGE})),
        (
            chunk({"content": "x"}),
            chunk({}, "stop").replace(b'"delta"', b'"usage": ' + json.dumps(USAGE).encode() + b', "delta"'),
        ),
    ],
)
def test_u5_u15_usage_wherever_it_comes_the_last_wins(pieces: tuple[bytes, ...]) -> None:
    assert fold(*pieces).usage == ir.Usage(3, output=2)


def test_u5_broken_usage_does_not_cost_the_answer() -> None:
    assert fold(chunk({"content": "x"}, "stop", usage="odd", x_groq=5)).usage is None


def test_stop_sequences_where_the_server_tells() -> None:
    data = chunk({"content": "x"}, "stop").replace(b'"delta"', b'"stop_reason": "END", "delta"')
    assert (fold(data).finish, fold(data).stop_sequence) == (ir.FinishReason.STOP, "END")


def test_refusals_citations_logprobs_audio() -> None:
    assert fold(chunk({"refusal": "no"}), chunk({}, "stop")).finish is ir.FinishReason.REFUSAL
    logprobs = {"content": [{"token": "x", "logprob": -1}], "refusal": None}
    data = chunk({"content": "x", "annotations": [{"type": "url_citation"}]}).replace(
        b'"finish_reason"', b'"logprobs": ' + json.dumps(logprobs).encode() + b', "finish_reason"'
    )
    events = decode(data, chunk({"audio": {"id": "a"}}), chunk({}, "stop"))
    assert Citation(0, "openai", b'{"type": "url_citation"}') in events
    assert Logprobs(0, b'[{"token": "x", "logprob": -1}]') in events
    assert Raw("openai", "audio", b'{"id": "a"}') in events


def test_deltas_after_a_finish_reason_are_repetitions() -> None:
    events = decode(
        chunk({"content": "x"}, "stop"), chunk({"content": ""}, "stop"), chunk({"content": "y"}, usage=USAGE)
    )
    assert [type(event) for event in events] == [Start, BlockStart, TextDelta, BlockEnd, Finish, UsageUpdate, End]


def test_s13_an_event_is_there_before_the_next_chunk() -> None:
    decoder = DIALECT.stream_decoder()
    assert [type(event) for event in decoder.receive_data(chunk({"content": "x"}))] == [Start, BlockStart, TextDelta]
    assert decoder.receive_data(chunk({"content": "y"})) == [TextDelta(0, "y")]
    assert decoder.receive_data(chunk({"reasoning": "z"}))[-1] == ReasoningDelta(1, "z")


def test_eof_is_idempotent_and_nothing_comes_after_it() -> None:
    decoder = DIALECT.stream_decoder()
    decoder.receive_data(chunk({"content": "x"}))
    assert len(decoder.receive_eof()) == 1
    assert decoder.receive_eof() == []
    assert decoder.receive_data(chunk({"content": "y"})) == []


def test_blocks_of_a_started_kind() -> None:
    starts = [event for event in decode(*FULL) if isinstance(event, BlockStart)]
    assert [start.kind for start in starts] == [BlockKind.REASONING, BlockKind.TEXT, BlockKind.TOOL, BlockKind.TOOL]
    assert [start.ix for start in starts] == [0, 1, 2, 3]


@given(st.binary(max_size=300))
def test_g12_no_bytes_make_it_raise(data: bytes) -> None:
    events = decode(chunk({"content": "x"}), data, b"\n\ndata: ", data)
    assert isinstance(events[-1], (End, StreamFailed))


_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "content",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "index",
                    "id",
                    "error",
                    "usage",
                    "finish_reason",
                    "reasoning_details",
                    "text",
                    "type",
                    "signature",
                    "custom",
                    "logprobs",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(_values, max_size=4))
def test_g12_no_json_makes_it_raise(values: list[Any]) -> None:
    events = decode(*(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values))
    assert isinstance(events[-1], (End, StreamFailed))


@pytest.mark.parametrize("end", ["error", "tool_calls"])
def test_nothing_follows_a_choice_that_was_the_end_of_its_stream(end: str) -> None:
    decoder = DIALECT.stream_decoder()
    choices = [
        {"index": 0, "delta": {}, "finish_reason": end},
        {"index": 0, "delta": {"content": "y"}, "finish_reason": None},
    ]
    chunk = json.dumps({"id": "a", "model": "m", "choices": choices}).encode()
    events = decoder.receive_data(b'data: {"id":"a","model":"m","choices":[{"index":0,"delta":{"content":"x"}}]}\n\n')
    events += decoder.receive_data(b"data: " + chunk + b"\n\n")
    assert type(events[-1]) is StreamFailed
    assert sum(type(event) is StreamFailed for event in events) == 1
