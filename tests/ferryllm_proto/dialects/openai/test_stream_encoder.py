"""Streams for Chat clients, judged by the SDK."""

from __future__ import annotations

import json
import typing
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion

from ferryllm_proto import ir, opaque
from ferryllm_proto.accumulate import Accumulator, play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.openai import DIALECT
from ferryllm_proto.dialects.openai.stream_encoder import StreamEncoder
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
from ferryllm_proto.lifecycle import TRANSITIONS, State
from support import oracles

START = Start("msg_1", "up")
USAGE = UsageUpdate(ir.Usage(5, 3, output=2))
STOP = Finish(ir.FinishReason.END)


def encode(*events: Event, answer: Answer = Answer("mine", 7, 1)) -> bytes:  # noqa: B008 - frozen
    encoder = DIALECT.stream_encoder(answer)
    return b"".join(encoder.send(event) for event in events)


def chunks(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in data.decode().split("\n\n") if line.startswith("data: {")]


TEXT: tuple[Event, ...] = (
    START,
    BlockStart(0, BlockKind.TEXT),
    TextDelta(0, "Grüße\n"),
    TextDelta(0, "x"),
    BlockEnd(0),
)


def test_y1_role_first_one_head_finish_once_done_last() -> None:
    data = encode(*TEXT, STOP, USAGE, End())
    found = chunks(data)
    assert found[0]["choices"][0]["delta"]["role"] == "assistant"
    assert len({(c["id"], c["created"], c["model"], c["object"]) for c in found}) == 1
    assert found[0]["id"].startswith("chatcmpl-")
    assert (found[0]["model"], found[0]["created"]) == ("mine", 7)
    reasons = [c["choices"][0]["finish_reason"] for c in found if c["choices"]]
    assert reasons == [None] * (len(reasons) - 1) + ["stop"]
    assert data.endswith(b"data: [DONE]\n\n")
    assert b"event:" not in data  # S12
    final = oracles.stream("openai", data)
    assert isinstance(final, ChatCompletion)
    assert final.choices[0].message.content == "Grüße\nx"


def test_u6_u7_usage_in_its_own_chunk_and_only_when_asked_for() -> None:
    asked = ir.Request("openai", "m", stream=True, include_usage=True)
    quiet = ir.Request("openai", "m", stream=True)
    found = chunks(encode(*TEXT, STOP, USAGE, End(), answer=Answer(request=asked)))
    assert found[-1]["choices"] == []
    assert found[-1]["usage"]["prompt_tokens"] == 8
    assert found[-2]["choices"][0]["finish_reason"] == "stop"
    assert all("usage" not in c for c in chunks(encode(*TEXT, STOP, USAGE, End(), answer=Answer(request=quiet))))
    assert all("usage" not in c for c in chunks(encode(*TEXT, STOP, End())))  # unknown usage is not zero


def test_y2_y3_y5_calls_interleaved() -> None:
    data = encode(
        START,
        BlockStart(0, BlockKind.TOOL, id="a", name="f"),
        BlockStart(1, BlockKind.TOOL, id=None, name="g"),
        ArgsDelta(0, '{"x":'),
        BlockStart(2, BlockKind.TOOL, id="c", name="p", tool_kind=ir.ToolKind.CUSTOM),
        ArgsDelta(0, "1}"),
        BlockEnd(0),
        BlockEnd(1),
        ArgsDelta(2, "raw"),
        BlockEnd(2),
        STOP,
        End(),
    )
    deltas = [call for c in chunks(data) for call in c["choices"][0]["delta"].get("tool_calls", ())]
    assert deltas[0] == {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert deltas[1]["id"].startswith("call_")
    assert deltas[2] == {"index": 0, "function": {"arguments": '{"x":'}}
    assert deltas[3] == {"index": 2, "id": "c", "type": "custom", "custom": {"name": "p", "input": ""}}
    assert {"index": 1, "function": {"arguments": "{}"}} in deltas
    assert {"index": 2, "custom": {"input": "raw"}} in deltas
    assert chunks(data)[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_the_sdk_puts_interleaved_calls_together() -> None:
    data = encode(
        START,
        BlockStart(0, BlockKind.TOOL, id="a", name="f"),
        BlockStart(1, BlockKind.TOOL, id="b", name="g"),
        ArgsDelta(0, '{"x":'),
        ArgsDelta(1, '{"y":'),
        ArgsDelta(0, "1}"),
        ArgsDelta(1, "2}"),
        Finish(ir.FinishReason.TOOL_USE),
        End(),
    )
    final = oracles.stream("openai", data)
    assert isinstance(final, ChatCompletion)
    calls = final.choices[0].message.tool_calls or []
    assert [(c.id, c.function.name, c.function.arguments) for c in calls if c.type == "function"] == [
        ("a", "f", '{"x":1}'),
        ("b", "g", '{"y":2}'),
    ]


def test_x18_a_call_cut_by_the_limit_is_not_repaired() -> None:
    data = encode(START, BlockStart(0, BlockKind.TOOL, id="a", name="f"), Finish(ir.FinishReason.LENGTH), End())
    assert b'{}"' not in data
    assert chunks(data)[-1]["choices"][0]["finish_reason"] == "length"


def test_y6_proof_comes_once_whole_at_the_end_of_its_block() -> None:
    signature = ir.Opaque("anthropic", "claude", ir.OpaqueKind.SIGNATURE, "sig")
    data = encode(
        START,
        BlockStart(0, BlockKind.REASONING),
        ReasoningDelta(0, "wh"),
        ReasoningDelta(0, "y"),
        OpaqueDelta(0, signature),
        BlockEnd(0),
        BlockStart(1, BlockKind.REASONING),
        ReasoningDelta(1, "one", 0),
        ReasoningDelta(1, "two", 1),
        BlockEnd(1),
        STOP,
        End(),
    )
    deltas = [c["choices"][0]["delta"] for c in chunks(data)]
    (entry,) = [entry for delta in deltas for entry in delta.get("reasoning_details", ())]
    assert entry["text"] == "why"
    assert opaque.unwrap(entry["signature"]) == signature
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "whyone\n\ntwo"


def test_y12_a_ping_is_a_comment() -> None:
    data = encode(Ping(), START, Ping(), STOP, Ping(), End())
    assert data.count(b": \n\n") == 3
    oracles.stream("openai", data)


def test_refusals_citations_logprobs_and_raw_events() -> None:
    data = encode(
        START,
        BlockStart(0, BlockKind.TEXT),
        TextDelta(0, "x"),
        Citation(0, "openai", b'{"type":"url_citation","url_citation":{"url":"https://a.example"}}'),
        Citation(0, "openai", b'{"type":"url_citation"}'),
        Logprobs(0, b'[{"token":"x","logprob":-1,"bytes":null,"top_logprobs":[]}]'),
        BlockEnd(0),
        Raw("openai", "audio", b'{"id":"a"}'),
        BlockStart(1, BlockKind.REFUSAL),
        RefusalDelta(1, "no"),
        BlockEnd(1),
        Finish(ir.FinishReason.REFUSAL),
        End(),
    )
    final = oracles.stream("openai", data)
    assert isinstance(final, ChatCompletion)
    assert final.choices[0].message.refusal == "no"
    assert final.choices[0].logprobs is not None
    assert final.choices[0].finish_reason == "stop"
    assert final.choices[0].message.annotations is not None
    [cited] = final.choices[0].message.annotations
    assert cited.url_citation.model_dump() == {
        "start_index": 0,
        "end_index": 1,
        "title": "https://a.example",
        "url": "https://a.example",
    }
    assert b'"audio":{"id":"a"}' in data


def test_what_has_no_place_is_reported() -> None:
    encoder = DIALECT.stream_encoder()
    signature = ir.Opaque("anthropic", "c", ir.OpaqueKind.SIGNATURE, "s")
    events: list[Event] = [
        START,
        BlockStart(0, BlockKind.HOSTED, hosted=ir.Hosted("anthropic", "server_tool_use", b"{}")),
        BlockEnd(0),
        BlockStart(1, BlockKind.TEXT),
        Citation(1, "anthropic", b"{}"),
        BlockStart(2, BlockKind.TOOL, id="i", name="f"),
        OpaqueDelta(2, signature),
        Raw("anthropic", "odd", b"{}"),
        Finish(ir.FinishReason.PAUSE),
    ]
    for event in events:
        encoder.send(event)
    assert [loss.path for loss in encoder.losses] == [
        "server_tool_use",
        "content.citations",
        "tool_calls.signature",
        "odd",
        "stop_reason",
    ]


@pytest.mark.parametrize("before", [(), (START,), TEXT, (*TEXT, STOP), (*TEXT, STOP, USAGE)], ids=len)
def test_t1_a_failure_in_every_state_is_an_error_and_no_end(before: tuple[Event, ...]) -> None:
    data = encode(*before, StreamFailed(ir.Error(ir.ErrorKind.TRUNCATED, "it stopped")))
    assert b"[DONE]" not in data
    assert chunks(data)[-1]["error"]["code"] == "stream_incomplete"
    with pytest.raises(openai.APIError, match="it stopped"):
        oracles.stream("openai", data)


def test_s14_an_error_of_the_same_dialect_stays_on_one_line() -> None:
    raw = b'{\n  "error": {\n "message": "m" }\r\n}'
    data = encode(START, StreamFailed(ir.Error(ir.ErrorKind.SERVER, "m", dialect="openai", raw=raw)))
    assert chunks(data)[-1] == {"error": {"message": "m"}}


def _event(kind: type) -> Event:
    made: dict[type, Event] = {
        Start: START,
        BlockStart: BlockStart(9, BlockKind.TEXT),
        TextDelta: TextDelta(0, "x"),
        RefusalDelta: RefusalDelta(0, "x"),
        ReasoningDelta: ReasoningDelta(0, "x"),
        ArgsDelta: ArgsDelta(0, "x"),
        OpaqueDelta: OpaqueDelta(0, ir.Opaque("a", "m", ir.OpaqueKind.SIGNATURE, "s")),
        Citation: Citation(0, "openai", b"{}"),
        Logprobs: Logprobs(0, b"[]"),
        BlockEnd: BlockEnd(0),
        UsageUpdate: USAGE,
        Finish: STOP,
        End: End(),
        StreamFailed: StreamFailed(ir.Error(ir.ErrorKind.SERVER, "m")),
        Ping: Ping(),
        Raw: Raw("openai", "audio", b"{}"),
    }
    return made[kind]


PATHS: dict[State, tuple[Event, ...]] = {
    State.IDLE: (),
    State.OPEN: (START, BlockStart(0, BlockKind.TEXT)),
    State.FINISHED: (START, STOP),
    State.DONE: (START, STOP, End()),
    State.FAILED: (START, StreamFailed(ir.Error(ir.ErrorKind.SERVER, "m"))),
}
KINDS: list[type] = list(typing.get_args(Event))


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", KINDS)
def test_every_pair_of_state_and_event(state: State, kind: type) -> None:
    encoder = StreamEncoder(Answer())
    for event in PATHS[state]:
        encoder.send(event)
    assert encoder.state is state
    after = TRANSITIONS.get((state, kind))
    if after is None:
        with pytest.raises(LocalProtocolError, match=f"{state.value} cannot take {kind.__name__}"):
            encoder.send(_event(kind))
        assert encoder.state is state
    else:
        assert isinstance(encoder.send(_event(kind)), bytes)
        assert encoder.state is after


def test_blocks_must_be_open() -> None:
    encoder = StreamEncoder(Answer())
    encoder.send(START)
    with pytest.raises(LocalProtocolError, match="block 3 is not open"):
        encoder.send(TextDelta(3, "x"))
    encoder.send(BlockStart(3, BlockKind.TEXT))
    with pytest.raises(LocalProtocolError, match="block 3 is open already"):
        encoder.send(BlockStart(3, BlockKind.TEXT))


def test_g6_stream_and_whole_answer_agree() -> None:
    signature = ir.Opaque("anthropic", "claude", ir.OpaqueKind.SIGNATURE, "sig")
    response = ir.Response(
        "msg_1",
        "up",
        (
            ir.Reasoning("why", opaque=(signature,)),
            ir.Text("a"),
            ir.ToolCall("c1", "f", '{"x":1}'),
            ir.ToolCall("c2", "g", ""),
            ir.Text("b"),
        ),
        ir.FinishReason.TOOL_USE,
        created=4,
        usage=ir.Usage(5, 3, output=2, reasoning=1),
    )
    answer = Answer("mine", 7, 1)
    whole = DIALECT.decode_response(DIALECT.encode_response(response, answer))
    decoder = DIALECT.stream_decoder()
    accumulator = Accumulator()
    for event in [*decoder.receive_data(encode(*play(response), answer=answer)), *decoder.receive_eof()]:
        accumulator.send(event)
    streamed = accumulator.response()
    # Streams keep the order of text and calls, whole answers cannot.
    assert [p for p in streamed.parts if not isinstance(p, ir.Text)] == [
        p for p in whole.parts if not isinstance(p, ir.Text)
    ]
    assert "".join(p.text for p in streamed.parts if isinstance(p, ir.Text)) == "ab"
    assert (streamed.finish, streamed.usage, streamed.id) == (whole.finish, whole.usage, whole.id)
    final = oracles.stream("openai", encode(*play(response), answer=answer))
    assert isinstance(final, ChatCompletion)
    other = ChatCompletion.model_validate_json(DIALECT.encode_response(response, answer))
    assert final.choices[0].message.content == other.choices[0].message.content
