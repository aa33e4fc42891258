from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai import types

from ferryllm_proto import ir
from ferryllm_proto.accumulate import Accumulator, play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.gemini import DIALECT, carrier
from ferryllm_proto.dialects.gemini.stream_encoder import StreamEncoder
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

from .build import ARRAY_PATH, CHUNKS, FOREIGN, NEW, SSE_PATH, events, fold, signature, stream

R = ir.FinishReason
SSE, ARRAY = Answer(model="shown", path=SSE_PATH), Answer(model="shown", path=ARRAY_PATH)
FAILED = StreamFailed(ir.Error(ir.ErrorKind.OVERLOADED, "busy"))
ANSWER = ir.Response(
    "r",
    "m",
    (
        ir.Reasoning("hm", opaque=(signature(model=NEW),)),
        ir.ToolCall("call_1", "f", '{"a":1}'),
        ir.Reasoning("why", opaque=(FOREIGN,)),
        ir.ToolCall("call_2", "g", ""),
        ir.Text("Grüße\u2028🌍"),
    ),
    finish=R.TOOL_USE,
    usage=ir.Usage(input=3, cache_read=1, output=9, reasoning=2),
)


def written(found: list[Event], answer: Answer = SSE) -> bytes:
    encoder = DIALECT.stream_encoder(answer)
    return b"".join(encoder.send(event) for event in found)


def chunks(data: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream in either framing, checked by the grammar and the SDK's types."""
    sse = not data.startswith(b"[")
    grammar = DIALECT.grammar(SSE_PATH if sse else ARRAY_PATH)
    grammar.receive_data(data)
    grammar.receive_eof()
    assert grammar.problems == []
    found: list[dict[str, Any]] = json.loads(data) if not sse else []
    if sse:
        found = [json.loads(event.removeprefix(b"data: ")) for event in data.split(b"\r\n\r\n")[:-1]]
    for one in found:
        if "error" not in one:
            types.GenerateContentResponse.model_validate(one)
    return found


def parts(data: bytes) -> list[dict[str, Any]]:
    return [part for one in chunks(data) for c in one.get("candidates", []) for part in c["content"]["parts"]]


# --- what is written -------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [SSE, ARRAY])
def test_w1_an_answer_is_written_in_either_framing(answer: Answer) -> None:
    data = written(play(ANSWER), answer)
    found = chunks(data)
    assert all(one["modelVersion"] == "shown" and one["responseId"] == "r" for one in found)
    last = found[-1]
    assert last["candidates"][0]["finishReason"] == "STOP"
    assert last["usageMetadata"]["totalTokenCount"] == 13
    assert not any("usageMetadata" in one or "finishReason" in one["candidates"][0] for one in found[:-1])
    packed = carrier.written(FOREIGN)
    assert parts(data) == [
        {"text": "hm", "thought": True},
        {"functionCall": {"id": "call_1", "name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
        {"text": "why", "thought": True},
        {"functionCall": {"id": "call_2", "name": "g", "args": {}}, "thoughtSignature": packed},
        {"text": "Grüße\u2028🌍"},
        {"text": ""},
    ]


def test_framing_is_crlf_and_every_line_is_data() -> None:
    data = written(play(ANSWER))
    assert data.endswith(b"}\r\n\r\n")
    assert all(line.startswith(b"data: {") for line in data.split(b"\r\n") if line)


def test_w1_calls_are_whole_and_interleaved_arguments_reach_their_call() -> None:
    found: list[Event] = [
        Start("r", "m"),
        BlockStart(0, BlockKind.TOOL, id="1", name="f"),
        ArgsDelta(0, '{"a":'),
        BlockStart(1, BlockKind.TOOL, id="2", name="g"),
        ArgsDelta(1, '{"b":'),
        ArgsDelta(0, "1}"),
        ArgsDelta(1, "2}"),
        BlockEnd(1),
        BlockEnd(0),
        Finish(R.TOOL_USE),
        End(),
    ]
    calls = [part["functionCall"] for part in parts(written(found)) if "functionCall" in part]
    assert [(c["name"], c["args"]) for c in calls] == [("f", {"a": 1}), ("g", {"b": 2})]


def test_a_block_left_open_ends_with_the_answer() -> None:
    found: list[Event] = [Start("", ""), BlockStart(0, BlockKind.TOOL, name="f"), Finish(R.TOOL_USE), End()]
    (call, _) = parts(written(found))
    assert call["functionCall"]["id"].startswith("call_")


def test_x18_arguments_that_are_no_object_are_kept_and_reported() -> None:
    encoder = DIALECT.stream_encoder(SSE)
    response = ir.Response("", "", (ir.ToolCall("1", "f", '{"a":'),), finish=R.LENGTH)
    data = b"".join(encoder.send(event) for event in play(response))
    assert parts(data)[0]["functionCall"]["args"] == {"_raw": '{"a":'}
    assert [loss.path for loss in encoder.losses] == ["functionCall.args"]


@pytest.mark.parametrize(
    ("found", "written_parts"),
    [
        ((ir.Reasoning(opaque=(signature(),)), ir.Text("a")), [{"text": "a", "thoughtSignature": "c2ln"}]),
        (
            (ir.Text("a"), ir.Reasoning(opaque=(signature(),))),
            [{"text": "a"}, {"text": "", "thoughtSignature": "c2ln"}],
        ),
        (
            (ir.Reasoning("b", opaque=(FOREIGN,)), ir.Text("a")),
            [
                {"text": "b", "thought": True},
                {"text": "", "thought": True, "thoughtSignature": carrier.written(FOREIGN)},
                {"text": "a"},
            ],
        ),
        ((ir.Reasoning(opaque=(signature(),)), ir.Text("")), [{"text": "", "thoughtSignature": "c2ln"}]),
        (
            (ir.ToolCall("1", "f", "{}", opaque=(signature(),)),),
            [{"functionCall": {"id": "1", "name": "f", "args": {}}, "thoughtSignature": "c2ln"}],
        ),
        ((ir.Reasoning(summary=("a", "b")),), [{"text": "a", "thought": True}, {"text": "\n\nb", "thought": True}]),
        ((ir.Refusal("no"),), [{"text": "no"}]),
    ],
)
def test_b9_proofs_find_their_parts(found: tuple[ir.Part, ...], written_parts: list[dict[str, Any]]) -> None:
    assert parts(written(play(ir.Response("", "", found))))[:-1] == written_parts


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (R.END, "STOP"),
        (R.TOOL_USE, "STOP"),
        (R.STOP, "STOP"),
        (R.LENGTH, "MAX_TOKENS"),
        (R.CONTEXT, "MAX_TOKENS"),
        (R.REFUSAL, "SAFETY"),
        (R.MALFORMED_TOOL, "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_reasons_to_stop(reason: R, word: str) -> None:
    found = chunks(written([Start("", ""), Finish(reason), End()]))
    assert found[-1]["candidates"][0]["finishReason"] == word


def test_a_refusal_in_words_is_one() -> None:
    found = chunks(written(play(ir.Response("", "", (ir.Refusal("no"),)))))
    assert found[-1]["candidates"][0]["finishReason"] == "SAFETY"


def test_what_this_dialect_cannot_say_is_reported() -> None:
    encoder = DIALECT.stream_encoder(SSE)
    found: list[Event] = [
        Start("", ""),
        BlockStart(0, BlockKind.TEXT),
        TextDelta(0, "a"),
        Citation(0, "openai", b"{}"),
        Logprobs(0, b'[{"token":"a","logprob":-1}]'),
        BlockEnd(0),
        BlockStart(1, BlockKind.HOSTED, hosted=ir.Hosted("anthropic", "web", b"{}")),
        BlockEnd(1),
        Raw("openai", "chunk", b"{}"),
        Finish(R.STOP, "END"),
        End(),
    ]
    data = b"".join(encoder.send(event) for event in found)
    assert [loss.path for loss in encoder.losses] == ["citations", "web", "chunk", "stop_sequence"]
    assert chunks(data)[-1]["candidates"][0]["logprobsResult"]["chosenCandidates"] == [
        {"token": "a", "logProbability": -1.0}
    ]


def test_own_blocks_go_back_as_they_came() -> None:
    code = ir.Hosted("gemini", "executableCode", b'{\n"executableCode": {"code": "1", "language": "PYTHON"}}')
    search = ir.Hosted("gemini", "groundingMetadata", b'{"groundingMetadata":{"webSearchQueries":["x"]}}')
    data = written(play(ir.Response("", "", (code, ir.Text("a"), search))))
    assert parts(data)[0] == {"executableCode": {"code": "1", "language": "PYTHON"}}
    assert chunks(data)[-1]["candidates"][0]["groundingMetadata"] == {"webSearchQueries": ["x"]}


# --- errors and ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [SSE, ARRAY])
def test_t1_an_error_at_any_event_is_the_last_word_and_valid(answer: Answer) -> None:
    events_ = play(ANSWER)
    for end in range(len(events_)):
        found = chunks(written([*events_[:end], FAILED], answer))
        assert found[-1] == {"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}
        assert not any("finishReason" in str(one) for one in found)


@pytest.mark.parametrize("answer", [SSE, ARRAY])
def test_signs_of_life_change_nothing(answer: Answer) -> None:
    events_ = play(ANSWER)
    plain = parts(written(events_, answer))
    for at in range(len(events_)):
        assert parts(written([*events_[:at], Ping(), *events_[at:]], answer)) == plain


@pytest.mark.parametrize("answer", [SSE, ARRAY])
def test_s16_a_silent_stream_stays_silent(answer: Answer) -> None:
    encoder = DIALECT.stream_encoder(answer)
    encoder.send(Start("r", "m"))
    assert encoder.send(Ping()) == b""


def test_the_table_is_the_whole_truth() -> None:
    def in_state(state: State) -> StreamEncoder:
        encoder = StreamEncoder(SSE)
        ways: dict[State, list[Event]] = {
            State.IDLE: [],
            State.OPEN: [Start("", "")],
            State.FINISHED: [Start("", ""), Finish(R.END)],
            State.DONE: [Start("", ""), Finish(R.END), End()],
            State.FAILED: [FAILED],
        }
        for event in ways[state]:
            encoder.send(event)
        assert encoder.state is state
        return encoder

    samples: list[Event] = [
        Start("", ""),
        BlockStart(0, BlockKind.TEXT),
        UsageUpdate(ir.Usage()),
        Ping(),
        Raw("x", "y", b"{}"),
        Finish(R.END),
        End(),
        FAILED,
    ]
    for state in State:
        for event in samples:
            after = TRANSITIONS.get((state, type(event)))
            encoder = in_state(state)
            if after is None:
                with pytest.raises(LocalProtocolError, match=f"{type(event).__name__} is not possible"):
                    encoder.send(event)
            else:
                encoder.send(event)
                assert encoder.state is after


@pytest.mark.parametrize(
    "event", [TextDelta(7, "a"), BlockEnd(7), ReasoningDelta(7, "a"), RefusalDelta(7, "a"), OpaqueDelta(7, FOREIGN)]
)
def test_deltas_of_blocks_that_never_began_are_our_fault(event: Event) -> None:
    encoder = DIALECT.stream_encoder(SSE)
    encoder.send(Start("", ""))
    with pytest.raises(LocalProtocolError, match="block 7 has not started"):
        encoder.send(event)


def test_late_errors_fit_behind_what_passed_through() -> None:
    error = ir.Error(ir.ErrorKind.TRUNCATED, "cut")
    for before in (b"", b"[{}", b"[{},\r\n", b"["):
        data = before + DIALECT.late_error(error, ARRAY, before.strip()[-1:])
        assert json.loads(data)[-1]["error"]["message"] == "cut"
    assert DIALECT.late_error(error, ARRAY, b"]") == b""
    assert DIALECT.late_error(error, SSE, b"}").startswith(b'data: {"error"')


# --- laws ------------------------------------------------------------------------------------------------


def test_law_a_stream_decodes_to_what_it_was_written_from() -> None:
    before = fold(events(stream(*CHUNKS)))
    for answer in (Answer(path=SSE_PATH), Answer(path=ARRAY_PATH)):
        after = fold(events(written(events(stream(*CHUNKS)), answer)))
        # Ids of calls are minted where the provider had none.
        named = [(part.name, part.arguments) for part in after.parts if isinstance(part, ir.ToolCall)]
        assert named == [(p.name, p.arguments) for p in before.parts if isinstance(p, ir.ToolCall)]
        kept = [part for part in after.parts if not isinstance(part, ir.ToolCall)]
        assert kept == [part for part in before.parts if not isinstance(part, ir.ToolCall)]
        assert (after.usage, after.finish, after.id, after.model) == (before.usage, before.finish, "r1", NEW)


def test_law_a_whole_answer_is_the_fold_of_the_stream() -> None:
    body = DIALECT.encode_response(ANSWER, SSE)
    types.GenerateContentResponse.model_validate_json(body)
    assert DIALECT.decode_response(body) == fold(events(written(play(ANSWER), SSE)))
    folded = Accumulator()
    for event in play(ANSWER):
        folded.send(event)
    assert folded.response() == ANSWER
