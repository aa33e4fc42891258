"""A provider's stream becomes events; nothing it sends raises."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import DIALECT, stream_decoder
from ferryllm_proto.events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    End,
    Event,
    Finish,
    OpaqueDelta,
    Ping,
    Raw,
    ReasoningDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)

from .wirelog import TEXT, THINKING, TOOL, WHOLE, block, end, events, fold, frame, start

EXPECTED: list[Event] = [
    Start("msg_1", "claude-x", usage=ir.Usage(input=3, output=1)),
    Ping(),
    BlockStart(0, BlockKind.TEXT),
    TextDelta(0, "Grüße "),
    TextDelta(0, "🌍"),
    BlockEnd(0),
    BlockStart(1, BlockKind.TOOL, id="toolu_1", name="f"),
    ArgsDelta(1, '{"a":'),
    ArgsDelta(1, "1}"),
    BlockEnd(1),
    Finish(ir.FinishReason.TOOL_USE),
    UsageUpdate(ir.Usage(output=9)),
    End(),
]


def failure(found: list[Event]) -> ir.Error:
    last = found[-1]
    assert type(last) is StreamFailed
    assert not any(type(event) in (End, StreamFailed) for event in found[:-1])
    return last.error


@pytest.mark.parametrize("size", [0, 1, 2, 3, 7, 64])
def test_s3_any_cut_gives_the_same_events(size: int) -> None:
    assert events(WHOLE, size) == EXPECTED


@given(st.lists(st.integers(0, len(WHOLE)), max_size=12))
def test_s3_random_cuts_give_the_same_events(cuts: list[int]) -> None:
    decoder = DIALECT.stream_decoder()
    edges = [0, *sorted(cuts), len(WHOLE)]
    found: list[Event] = []
    for begin, stop in itertools.pairwise(edges):
        found += decoder.receive_data(WHOLE[begin:stop])
    assert found + decoder.receive_eof() == EXPECTED


def test_s1_crlf_streams() -> None:
    assert events(WHOLE.replace(b"\n", b"\r\n"), 5) == EXPECTED


def test_t1_a_stream_cut_anywhere_is_truncated() -> None:
    last = WHOLE.index(b"event: message_delta")
    for cut in range(last):
        assert failure(events(WHOLE[:cut])).kind is ir.ErrorKind.TRUNCATED


def test_t2_a_reason_to_stop_and_the_end_will_do() -> None:
    assert events(WHOLE[: WHOLE.index(b"event: message_stop")]) == EXPECTED


def test_t4_no_events_are_an_error() -> None:
    for data in (b"", b"\n\n", b": comment\n\n", b'event: message_stop\ndata: {"type":"message_stop"}\n\n'):
        assert failure(events(data)).kind is ir.ErrorKind.TRUNCATED


def test_t6_t8_errors_inside_the_stream_keep_their_status() -> None:
    error = frame("error", error={"type": "overloaded_error", "message": "busy"}, request_id="r")
    found = failure(events(start() + TEXT + error + TEXT))
    assert (found.kind, found.status, found.message, found.type) == (
        ir.ErrorKind.OVERLOADED,
        529,
        "busy",
        "overloaded_error",
    )
    assert found.raw is not None


def test_an_error_without_its_event_line_is_one() -> None:
    assert failure(events(start() + b'data: {"error": {"message": "no"}}\n\n')).message == "no"


def test_thinking_keeps_its_proof() -> None:
    found = events(start() + THINKING + end())
    assert found[1:5] == [
        BlockStart(0, BlockKind.REASONING),
        ReasoningDelta(0, "hm"),
        OpaqueDelta(0, ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.SIGNATURE, "sig")),
        BlockEnd(0),
    ]


def test_redacted_thinking_comes_whole() -> None:
    found = events(start() + block(0, {"type": "redacted_thinking", "data": "xyz"}) + end())
    assert found[1:4] == [
        BlockStart(0, BlockKind.REASONING),
        OpaqueDelta(0, ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.REDACTED, "xyz")),
        BlockEnd(0),
    ]


def test_citations() -> None:
    cited = {"type": "char_location", "cited_text": "x"}
    data = block(0, {"type": "text", "text": "a", "citations": [cited]}, {"type": "citations_delta", "citation": cited})
    raw = json.dumps(cited).encode()
    assert events(start() + data + end())[2:5] == [
        TextDelta(0, "a"),
        Citation(0, "anthropic", raw),
        Citation(0, "anthropic", raw),
    ]


def test_llamacpp_overlapping_blocks_missing_input_and_empty_proofs() -> None:
    data = (
        frame("message_start", message={"id": "chatcmpl-1", "model": "tiny", "usage": {}})
        + block(0, {"type": "thinking", "thinking": ""}, {"type": "thinking_delta", "thinking": "a"}, stop=False)
        + block(1, {"type": "tool_use", "id": "x" * 32, "name": "f"}, stop=False)
        + frame("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "b"})
        + frame("content_block_delta", index=1, delta={"type": "input_json_delta", "partial_json": "{}"})
        + frame("content_block_delta", index=0, delta={"type": "signature_delta", "signature": ""})
        + frame("content_block_stop", index=0)
        + frame("content_block_stop", index=1)
        + end("tool_use", output_tokens=4)
    )
    found = fold(events(data))
    assert found.parts == (ir.Reasoning("ab"), ir.ToolCall("x" * 32, "f", "{}"))
    assert found.usage == ir.Usage(output=4)


def test_x7_a_call_without_arguments() -> None:
    data = block(
        0, {"type": "tool_use", "id": "t", "name": "f", "input": {}}, {"type": "input_json_delta", "partial_json": ""}
    )
    assert fold(events(start() + data + end("tool_use"))).parts == (ir.ToolCall("t", "f", "{}"),)


def test_input_in_the_start_counts_unless_fragments_follow() -> None:
    begin = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    whole = fold(events(start() + block(0, begin) + end("tool_use")))
    assert whole.parts == (ir.ToolCall("t", "f", '{"a": 1}'),)
    pieces = fold(events(start() + block(0, begin, {"type": "input_json_delta", "partial_json": "{}"}) + end()))
    assert pieces.parts == (ir.ToolCall("t", "f", "{}"),)


def test_server_tools_are_whole_with_their_input() -> None:
    begin = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    data = block(
        0,
        begin,
        {"type": "input_json_delta", "partial_json": '{"q":'},
        {"type": "input_json_delta", "partial_json": "1}"},
    )
    (part,) = fold(events(start() + data + end())).parts
    assert isinstance(part, ir.Hosted)
    assert json.loads(part.raw) == {**begin, "input": {"q": 1}}


def test_a_server_tool_with_broken_input_keeps_its_start() -> None:
    begin = {"type": "server_tool_use", "id": "s", "name": "w", "input": {}}
    (part,) = fold(events(start() + block(0, begin, {"type": "input_json_delta", "partial_json": "{"}) + end())).parts
    assert isinstance(part, ir.Hosted)
    assert json.loads(part.raw) == begin


def test_compaction_takes_what_its_deltas_bring() -> None:
    data = block(0, {"type": "compaction", "content": None}, {"type": "compaction_delta", "content": "short"})
    (part,) = fold(events(start() + data + end())).parts
    assert isinstance(part, ir.Hosted)
    assert json.loads(part.raw) == {"type": "compaction", "content": "short"}


def test_unknown_events_pass_as_raw() -> None:
    found = events(start() + frame("from_the_future", x=1) + end())
    assert found[1] == Raw("anthropic", "from_the_future", b'{"type": "from_the_future", "x": 1}')


def test_nothing_comes_before_the_start() -> None:
    assert type(events(frame("ping") + frame("from_the_future") + WHOLE)[0]) is Start


def test_s8_noise_is_ignored() -> None:
    noise = b"data:\n\ndata: hello\n\ndata: []\n\ndata: {}\n\ndata: [DONE]\n\n"
    assert (
        events(
            start(input_tokens=3, output_tokens=1)
            + noise
            + frame("ping")
            + TEXT
            + TOOL
            + end("tool_use", output_tokens=9)
        )
        == EXPECTED
    )


def test_an_object_that_can_not_be_read_fails_the_stream() -> None:
    found = events(start() + b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"te\n\n' + TEXT)
    assert failure(found).kind is ir.ErrorKind.UPSTREAM


@pytest.mark.parametrize(
    "data",
    [
        b'data: {"type":"content_block_delta","index":"0","delta":3}\n\n',
        frame("message_start", message=[]),
        frame("content_block_start", index=0, content_block=7),
        frame("content_block_start", index=0, content_block={"type": "text", "text": 7}),
    ],
)
def test_wrong_types_fail_the_stream(data: bytes) -> None:
    assert failure(events(data)).kind is ir.ErrorKind.UPSTREAM


def test_invalid_utf8_is_mended() -> None:
    data = start() + block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "aXb"}) + end()
    assert fold(events(data.replace(b"aXb", b"a\xffb"))).parts == (ir.Text("a�b"),)


def test_two_message_starts_are_one_message() -> None:
    assert fold(events(start() + start() + TEXT + end())).id == "msg_1"


def test_blocks_and_deltas_that_announce_nothing() -> None:
    data = (
        start()
        + frame("content_block_delta", delta={"type": "text_delta", "text": "a"})
        + frame("content_block_delta", delta={"type": "text_delta", "text": "b"})
        + frame("content_block_delta", index=7, delta={"type": "input_json_delta", "partial_json": "lost"})
        + frame("content_block_stop")
        + frame("content_block_stop", index=9)
        + end()
    )
    assert fold(events(data)).parts == (ir.Text("ab"),)


def test_a_block_without_message_start_begins_the_message() -> None:
    assert type(events(TEXT + end())[0]) is Start


def test_an_index_used_again_is_another_block() -> None:
    one = block(0, {"type": "text", "text": "a"}, stop=False)
    assert fold(events(start() + one + block(0, {"type": "text", "text": "b"}) + end())).parts == (
        ir.Text("a"),
        ir.Text("b"),
    )


def test_message_stop_alone_ends_and_closes() -> None:
    found = fold(
        events(
            start()
            + block(0, {"type": "tool_use", "id": "t", "name": "f", "input": {}}, stop=False)
            + frame("message_stop")
        )
    )
    assert found.finish is ir.FinishReason.TOOL_USE
    assert fold(events(start() + frame("message_stop"))).finish is ir.FinishReason.END


def test_nothing_is_read_after_the_finish() -> None:
    late = frame("message_delta", delta={"stop_reason": "end_turn"}) + TEXT
    assert fold(events(start() + late + end("max_tokens", output_tokens=2))) == ir.Response(
        "msg_1", "claude-x", usage=ir.Usage(output=2)
    )


@pytest.mark.parametrize("size", [0, 1])
def test_s10_a_plain_body_is_played(size: int) -> None:
    body = b'\n {"id":"msg_1","model":"m","content":[{"type":"text","text":"x"}],"stop_reason":"max_tokens"}'
    assert fold(events(body, size)) == ir.Response("msg_1", "m", (ir.Text("x"),), finish=ir.FinishReason.LENGTH)


def test_s10_a_plain_error_fails() -> None:
    found = failure(events(b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}'))
    assert (found.kind, found.status) == (ir.ErrorKind.RATE_LIMIT, 429)


def test_g11_limits_are_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_decoder, "MAX_BODY", 10)
    monkeypatch.setattr(stream_decoder, "MAX_HOSTED", 10)
    assert failure(events(b" " * 11)).kind is ir.ErrorKind.UPSTREAM
    assert failure(events(b"{" + b" " * 20, 5)).kind is ir.ErrorKind.UPSTREAM
    begin = {"type": "server_tool_use", "id": "s", "name": "w", "input": {}}
    long = block(0, begin, {"type": "input_json_delta", "partial_json": "x" * 11})
    assert failure(events(start() + long)).kind is ir.ErrorKind.UPSTREAM


def test_g11_an_endless_event_fails_after_the_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferryllm_proto.sse.FrameDecoder.__init__.__kwdefaults__", {"max_event_size": 500})
    found = events(start() + b"data: " + b"x" * 600)
    assert type(found[0]) is Start
    assert failure(found).kind is ir.ErrorKind.UPSTREAM


@given(
    st.lists(
        st.sampled_from([start(), TEXT, TOOL, THINKING, end(), frame("ping"), b"data: {\n\n", b"\xff", b"{"]),
        max_size=8,
    )
)
def test_g12_whatever_comes_ends_in_one_terminal(pieces: list[bytes]) -> None:
    found = events(b"".join(pieces), 11)
    assert [type(event) in (End, StreamFailed) for event in found] == [False] * (len(found) - 1) + [True]


def test_folding_a_stream_that_should_be_a_body() -> None:
    assert DIALECT.decode_response(WHOLE).parts == (ir.Text("Grüße 🌍"), ir.ToolCall("toolu_1", "f", '{"a":1}'))


def reasons() -> list[tuple[str, ir.FinishReason]]:
    return [("max_tokens", ir.FinishReason.LENGTH), ("pause_turn", ir.FinishReason.PAUSE), ("new", ir.FinishReason.END)]


@pytest.mark.parametrize(("word", "reason"), reasons())
def test_finish_reasons(word: str, reason: ir.FinishReason) -> None:
    assert fold(events(start() + end(word))).finish is reason


def test_stop_details_and_sequence() -> None:
    delta: dict[str, Any] = {"stop_reason": "refusal", "stop_sequence": None, "stop_details": {"type": "refusal"}}
    found = fold(events(start() + frame("message_delta", delta=delta) + frame("message_stop")))
    assert found.finish_details == b'{"type": "refusal"}'
