"""Events become a stream a client of Messages understands; every stream is checked by a validator of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir, opaque
from ferryllm_proto.accumulate import Accumulator, play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.anthropic import DIALECT
from ferryllm_proto.dialects.anthropic.stream_encoder import TRANSITIONS, State
from ferryllm_proto.errors import LocalProtocolError, RemoteProtocolError
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

ANSWER = Answer(model="alias", seed=7, input_estimate=42)


def encode(*events: Event, answer: Answer = ANSWER, frame_it: bool = True) -> list[dict[str, Any]]:
    """The stream of a whole answer with these blocks, validated."""
    encoder = DIALECT.stream_encoder(answer)
    all_ = [Start("msg_u", "up"), *events, Finish(ir.FinishReason.END), End()] if frame_it else list(events)
    return validated(b"".join([encoder.send(event) for event in all_]))


def validated(data: bytes) -> list[dict[str, Any]]:
    """T10, X1, X2: the order of the protocol, checked apart from the encoder."""
    out: list[dict[str, Any]] = []
    for chunk in data.decode().split("\n\n")[:-1]:
        name, _, payload = chunk.partition("\n")
        event = json.loads(payload.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        out.append(event)
    open_: int | None = None
    next_ = 0
    ended = False
    for n, event in enumerate(out):
        type_ = event["type"]
        assert not ended, "nothing follows message_stop or error"
        assert (type_ == "message_start") == (n == 0) or type_ == "error"
        if type_ == "content_block_start":
            assert open_ is None
            assert event["index"] == next_
            open_ = next_
        elif type_ == "content_block_delta":
            assert event["index"] == open_
        elif type_ == "content_block_stop":
            assert event["index"] == open_
            open_, next_ = None, next_ + 1
        elif type_ == "message_delta":
            assert open_ is None
        ended = type_ in ("message_stop", "error")
    assert ended
    assert open_ is None
    return out


def content(*events: Event) -> list[tuple[str, Any]]:
    """Blocks as (type, joined deltas) of a whole stream."""
    blocks: list[tuple[str, Any]] = []
    for event in encode(*events):
        if event["type"] == "content_block_start":
            blocks.append((event["content_block"]["type"], ""))
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            value = next(value for key, value in delta.items() if key != "type")
            type_, text = blocks[-1]
            blocks[-1] = (type_, text + (value if isinstance(value, str) else json.dumps(value)))
    return blocks


def test_x1_the_frame() -> None:
    assert encode() == [
        {
            "type": "message_start",
            "message": {
                "id": "msg_u",
                "type": "message",
                "role": "assistant",
                "model": "alias",
                "content": [],
                "stop_reason": None,
                "stop_sequence": None,
                "usage": {
                    "input_tokens": 42,
                    "cache_creation_input_tokens": 0,
                    "cache_read_input_tokens": 0,
                    "output_tokens": 0,
                },
            },
        },
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 42,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 0,
            },
        },
        {"type": "message_stop"},
    ]


def test_g9_ids_are_minted_alike() -> None:
    def ids(seed: int) -> list[str]:
        call = BlockStart(0, BlockKind.TOOL, name="f")
        events = encode(
            Start("chatcmpl-1", "m"),
            call,
            BlockEnd(0),
            Finish(ir.FinishReason.END),
            End(),
            answer=Answer(seed=seed),
            frame_it=False,
        )
        return [events[0]["message"]["id"], events[1]["content_block"]["id"]]

    assert ids(1) == ids(1) != ids(2)
    assert [id_.partition("_")[0] for id_ in ids(1)] == ["msg", "toolu"]


def test_u8_the_last_usage_is_complete() -> None:
    usage = ir.Usage(
        input=5, cache_read=4, cache_write=3, cache_write_1h=1, output=9, reasoning=2, server_tools={"x": 1}
    )
    events = encode(
        Start("msg_u", "m"),
        Finish(ir.FinishReason.LENGTH),
        UsageUpdate(ir.Usage(output=1)),
        UsageUpdate(usage),
        End(),
        frame_it=False,
    )
    assert events[1]["delta"]["stop_reason"] == "max_tokens"
    assert events[1]["usage"] == {
        "input_tokens": 5,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 4,
        "output_tokens": 9,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 1},
        "output_tokens_details": {"thinking_tokens": 2},
        "server_tool_use": {"web_search_requests": 0, "web_fetch_requests": 0, "x": 1},
    }


def test_x3_interleaved_tool_calls_keep_their_arguments() -> None:
    blocks = content(
        BlockStart(0, BlockKind.TOOL, id="a", name="f"),
        BlockStart(1, BlockKind.TOOL, id="b", name="g"),
        ArgsDelta(1, '{"x":'),
        ArgsDelta(0, '{"y":'),
        ArgsDelta(1, "1}"),
        ArgsDelta(0, "2}"),
        BlockEnd(0),
        BlockEnd(1),
    )
    assert blocks == [("tool_use", '{"y":2}'), ("tool_use", '{"x":1}')]


def test_x7_no_arguments_are_no_fragments() -> None:
    events = encode(BlockStart(0, BlockKind.TOOL, id="t", name="f"), ArgsDelta(0, ""), BlockEnd(0))
    assert [event["type"] for event in events[1:3]] == ["content_block_start", "content_block_stop"]
    assert events[1]["content_block"] == {"type": "tool_use", "id": "t", "name": "f", "input": {}}


def test_x10_x19_empty_blocks_are_not_written() -> None:
    assert (
        content(
            BlockStart(0, BlockKind.TEXT),
            TextDelta(0, ""),
            BlockEnd(0),
            BlockStart(1, BlockKind.REASONING),
            ReasoningDelta(1, ""),
            BlockEnd(1),
            BlockStart(2, BlockKind.REFUSAL),
            BlockEnd(2),
        )
        == []
    )


def test_x12_the_proof_comes_right_before_the_stop() -> None:
    material = ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.SIGNATURE, "sig")
    events = encode(BlockStart(0, BlockKind.REASONING), OpaqueDelta(0, material), ReasoningDelta(0, "hm"), BlockEnd(0))
    assert [event.get("delta", {}).get("type") for event in events[1:5]] == [
        None,
        "thinking_delta",
        "signature_delta",
        None,
    ]


def test_x12_foreign_proofs_travel_in_an_envelope() -> None:
    material = ir.Opaque("openai", "gpt-5.4", ir.OpaqueKind.ENCRYPTED, "blob", "rs_1")
    events = encode(
        BlockStart(0, BlockKind.REASONING),
        ReasoningDelta(0, "one", summary=0),
        ReasoningDelta(0, "two", summary=1),
        OpaqueDelta(0, material),
        BlockEnd(0),
    )
    deltas = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    assert "".join(delta.get("thinking", "") for delta in deltas) == "one\n\ntwo"
    assert opaque.unwrap(deltas[-1]["signature"]) == material


def test_x13_redacted_and_several_proofs_keep_their_order() -> None:
    first = ir.Opaque("anthropic", "m", ir.OpaqueKind.SIGNATURE, "s1")
    second = ir.Opaque("anthropic", "m", ir.OpaqueKind.SIGNATURE, "s2")
    sealed = ir.Opaque("anthropic", "m", ir.OpaqueKind.REDACTED, "data")
    blocks = content(
        BlockStart(0, BlockKind.REASONING),
        ReasoningDelta(0, "hm"),
        OpaqueDelta(0, first),
        OpaqueDelta(0, second),
        OpaqueDelta(0, sealed),
        BlockEnd(0),
    )
    assert blocks == [("thinking", "hms1"), ("thinking", "s2"), ("redacted_thinking", "")]


@pytest.mark.parametrize(
    ("kind", "finish", "word"),
    [
        (BlockKind.TOOL, ir.FinishReason.END, "tool_use"),
        (BlockKind.TOOL, ir.FinishReason.LENGTH, "max_tokens"),
        (BlockKind.REFUSAL, ir.FinishReason.END, "refusal"),
        (BlockKind.TEXT, ir.FinishReason.REFUSAL, "refusal"),
        (BlockKind.TEXT, ir.FinishReason.CONTEXT, "model_context_window_exceeded"),
        (BlockKind.TEXT, ir.FinishReason.PAUSE, "pause_turn"),
        (BlockKind.TEXT, ir.FinishReason.MALFORMED_TOOL, "end_turn"),
    ],
)
def test_x14_reasons_to_stop(kind: BlockKind, finish: ir.FinishReason, word: str) -> None:
    events = encode(Start("m", "m"), BlockStart(0, kind), BlockEnd(0), Finish(finish), End(), frame_it=False)
    assert events[-2]["delta"]["stop_reason"] == word


def test_x14_a_stop_sequence_is_named() -> None:
    events = encode(Start("m", "m"), Finish(ir.FinishReason.STOP, "END"), End(), frame_it=False)
    assert events[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_stop_details_are_anthropics_only() -> None:
    for details, kept in ((b'{"type":"refusal","category":"bio"}', True), (b'{"hate":{}}', False), (b"[", False)):
        events = encode(Start("m", "m"), Finish(ir.FinishReason.REFUSAL, details=details), End(), frame_it=False)
        assert ("stop_details" in events[-2]["delta"]) is kept


def test_x15_refusals_are_text() -> None:
    assert content(BlockStart(0, BlockKind.REFUSAL), RefusalDelta(0, "no"), BlockEnd(0)) == [("text", "no")]


def test_x17_citations() -> None:
    encoder = DIALECT.stream_encoder(ANSWER)
    events: list[Event] = [
        Start("m", "m"),
        BlockStart(0, BlockKind.TEXT),
        Citation(
            0, "openai", b'{"type":"url_citation","url_citation":{"url":"https://x","title":"t","start_index":0}}'
        ),
        Citation(0, "anthropic", b'{"type":"char_location"}'),
        Citation(0, "openai_responses", b'{"type":"file_citation"}'),
        BlockEnd(0),
        Finish(ir.FinishReason.END),
        End(),
    ]
    out = validated(b"".join([encoder.send(event) for event in events]))
    assert [event["delta"]["citation"] for event in out if event["type"] == "content_block_delta"] == [
        {
            "type": "web_search_result_location",
            "cited_text": "",
            "encrypted_index": "",
            "title": "t",
            "url": "https://x",
        },
        {"type": "char_location"},
    ]
    assert [loss.path for loss in encoder.losses] == ["citations", "usage"]


def test_x18_partial_arguments_stay_partial() -> None:
    blocks = content(BlockStart(0, BlockKind.TOOL, id="t", name="f"), ArgsDelta(0, '{"a":"b'), BlockEnd(0))
    assert blocks == [("tool_use", '{"a":"b')]


def test_x21_text_after_a_call_is_a_new_block() -> None:
    assert content(
        BlockStart(0, BlockKind.TEXT),
        TextDelta(0, "a"),
        BlockStart(1, BlockKind.TOOL, id="t", name="f"),
        ArgsDelta(1, "{}"),
        TextDelta(0, "b"),
        BlockEnd(1),
        BlockEnd(0),
    ) == [("text", "a"), ("tool_use", "{}"), ("text", "b")]


def test_freeform_input_is_one_json_string() -> None:
    blocks = content(
        BlockStart(0, BlockKind.TOOL, id="t", name="f", tool_kind=ir.ToolKind.CUSTOM),
        ArgsDelta(0, 'say "hi"\n'),
        ArgsDelta(0, "ü"),
        BlockEnd(0),
    )
    assert json.loads(blocks[0][1]) == {"input": 'say "hi"\nü'}


def test_hosted_blocks_of_ours_are_written() -> None:
    tool = ir.Hosted("anthropic", "server_tool_use", b'{"type":"server_tool_use","id":"s","name":"w","input":{"q":1}}')
    result = ir.Hosted("anthropic", "web_search_tool_result", b'{"type":"web_search_tool_result","content":[]}')
    events = encode(
        BlockStart(0, BlockKind.HOSTED), BlockEnd(0, tool), BlockStart(1, BlockKind.HOSTED, hosted=result), BlockEnd(1)
    )
    assert events[1]["content_block"]["input"] == {}
    assert events[2]["delta"] == {"type": "input_json_delta", "partial_json": '{"q":1}'}
    assert events[4]["content_block"] == {"type": "web_search_tool_result", "content": []}


def test_what_only_others_have_is_reported() -> None:
    encoder = DIALECT.stream_encoder(ANSWER)
    foreign = ir.Hosted("openai_responses", "web_search_call", b"{}")
    events: list[Event] = [
        Start("m", "m"),
        Raw("openai", "x.y", b"{}"),
        BlockStart(0, BlockKind.HOSTED, hosted=foreign),
        BlockEnd(0),
        BlockStart(1, BlockKind.TEXT),
        Logprobs(1, b"[]"),
        Logprobs(1, b"[]"),
        BlockEnd(1),
        BlockStart(2, BlockKind.TOOL, id="t", name="f"),
        OpaqueDelta(2, ir.Opaque("gemini", "g", ir.OpaqueKind.THOUGHT_SIGNATURE, "x")),
        BlockEnd(2),
        Finish(ir.FinishReason.END),
        End(),
    ]
    validated(b"".join([encoder.send(event) for event in events]))
    assert [loss.path for loss in encoder.losses] == ["x.y", "web_search_call", "logprobs", "opaque", "usage"]


def test_our_own_raw_events_pass() -> None:
    assert encode(Raw("anthropic", "new", b'{"type":"new"}'))[1] == {"type": "new"}


def test_s18_pings_wait_for_the_start() -> None:
    encoder = DIALECT.stream_encoder(ANSWER)
    assert encoder.send(Ping()) == b""
    encoder.send(Start("m", "m"))
    assert encoder.send(Ping()) == b'event: ping\ndata: {"type":"ping"}\n\n'


PREFIXES: list[list[Event]] = [
    [],
    [Start("m", "m")],
    [Start("m", "m"), BlockStart(0, BlockKind.TEXT)],
    [Start("m", "m"), BlockStart(0, BlockKind.TEXT), TextDelta(0, "a")],
    [Start("m", "m"), BlockStart(0, BlockKind.TEXT), TextDelta(0, "a"), BlockEnd(0)],
    [Start("m", "m"), Finish(ir.FinishReason.END)],
]


@pytest.mark.parametrize("prefix", PREFIXES)
def test_t1_a_failure_ends_in_an_error_in_every_state(prefix: list[Event]) -> None:
    encoder = DIALECT.stream_encoder(ANSWER)
    data = b"".join([encoder.send(event) for event in prefix])
    data += encoder.send(StreamFailed(ir.Error(ir.ErrorKind.TRUNCATED, "cut")))
    out = validated(data)
    assert out[-1] == {"type": "error", "error": {"type": "api_error", "message": "cut"}}
    assert not any(event["type"] in ("message_delta", "message_stop") for event in out)
    with pytest.raises(LocalProtocolError):
        encoder.send(StreamFailed(ir.Error(ir.ErrorKind.TRUNCATED, "cut")))


def test_finishing_with_an_error_is_an_error() -> None:
    encoder = DIALECT.stream_encoder(ANSWER)
    out = validated(encoder.send(Start("m", "m")) + encoder.send(Finish(ir.FinishReason.ERROR)))
    assert out[-1]["type"] == "error"


SAMPLES: dict[type, Event] = {
    Start: Start("m", "m"),
    BlockStart: BlockStart(0, BlockKind.TEXT),
    TextDelta: TextDelta(0, "a"),
    Finish: Finish(ir.FinishReason.END),
    End: End(),
    UsageUpdate: UsageUpdate(ir.Usage()),
    Ping: Ping(),
    Raw: Raw("x", "y", b"{}"),
    StreamFailed: StreamFailed(ir.Error(ir.ErrorKind.SERVER, "x")),
}
REACH: dict[State, list[Event]] = {
    State.START: [],
    State.BETWEEN: PREFIXES[1],
    State.BLOCK: PREFIXES[2],
    State.FINISHED: PREFIXES[5],
    State.OVER: [*PREFIXES[5], End()],
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("kind", [k for k in SAMPLES if k not in (BlockStart, TextDelta, Finish)])
def test_every_state_and_event_is_as_the_table_says(state: State, kind: type) -> None:
    encoder = DIALECT.stream_encoder(ANSWER)
    for event in REACH[state]:
        encoder.send(event)
    if (state, kind) in TRANSITIONS:
        encoder.send(SAMPLES[kind])
    else:
        with pytest.raises(LocalProtocolError, match=f"{kind.__name__} is not possible in state {state.name}"):
            encoder.send(SAMPLES[kind])


texts = st.text(max_size=5)
part = st.one_of(
    st.builds(ir.Text, texts.filter(bool)),
    st.builds(lambda i, a: ir.ToolCall(f"toolu_{i}", "f", json.dumps({"a": a})), st.integers(0, 99), texts),
    st.builds(
        lambda t, s: ir.Reasoning(t, opaque=(ir.Opaque("anthropic", "up", ir.OpaqueKind.SIGNATURE, s),)),
        texts,
        st.text("abc", min_size=1, max_size=4),
    ),
    st.just(ir.Reasoning(opaque=(ir.Opaque("anthropic", "up", ir.OpaqueKind.REDACTED, "d"),))),
)
answers = st.builds(
    ir.Response,
    st.just("msg_u"),
    st.just("up"),
    st.lists(part, max_size=5).map(tuple),
    finish=st.sampled_from([ir.FinishReason.TOOL_USE, ir.FinishReason.LENGTH, ir.FinishReason.PAUSE]),
    usage=st.builds(ir.Usage, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), output=st.integers(0, 9)),
).filter(lambda r: r.finish is not ir.FinishReason.TOOL_USE or any(type(part) is ir.ToolCall for part in r.parts))


@given(answers)
def test_g6_stream_and_body_say_the_same(response: ir.Response) -> None:
    encoder = DIALECT.stream_encoder()
    data = b"".join([encoder.send(event) for event in play(response)])
    validated(data)
    folded = Accumulator()
    decoder = DIALECT.stream_decoder()
    for event in decoder.receive_data(data) + decoder.receive_eof():
        folded.send(event)
    assert folded.response() == DIALECT.decode_response(DIALECT.encode_response(response)) == response


def call_with(arguments: str) -> list[Event]:
    start = BlockStart(0, BlockKind.TOOL, id="t1", name="f")
    return [Start("1", "m"), start, ArgsDelta(0, arguments), BlockEnd(0), Finish(ir.FinishReason.TOOL_USE), End()]


def test_x18_half_a_call_is_not_told_as_one_to_be_made() -> None:
    encoder = DIALECT.stream_encoder(Answer())
    out = b"".join(encoder.send(event) for event in call_with('{"a":"b'))
    assert b'"stop_reason":"max_tokens"' in out
    assert [loss.path for loss in encoder.losses if loss.path != "usage"] == ["stop_reason"]


def test_z12_a_call_no_client_can_read_is_an_error() -> None:
    encoder = DIALECT.stream_encoder(Answer())
    *most, finish, _ = call_with('{"a"*1}')
    for event in most:
        encoder.send(event)
    with pytest.raises(RemoteProtocolError, match="no JSON"):
        encoder.send(finish)
    assert b"event: error" in encoder.send(StreamFailed(ir.Error(ir.ErrorKind.UPSTREAM, "no")))
