"""Lines for a client: whole, in order, legal, and equal to the whole answer."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.dialects.ollama import stream_encoder as module
from ferryllm_proto.dialects.ollama.stream_encoder import StreamEncoder
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
from ferryllm_proto.lifecycle import TRANSITIONS, State
from ferryllm_proto.loss import Report

from .build import SECONDS, events, fold, joined, judged, paths, written

SIGNED = ir.Opaque("anthropic", "claude-x", ir.OpaqueKind.SIGNATURE, "sig")
ANSWER = Answer(model="alias", created=SECONDS, seed=1)
RESPONSES = {
    "text": ir.Response("x", "m", (ir.Text("Hallo"),), created=SECONDS, usage=ir.Usage(3, output=4)),
    "nothing": ir.Response("x", "m"),
    "thought": ir.Response("x", "m", (ir.Reasoning("t"), ir.Text("a")), usage=ir.Usage(output=1)),
    "summaries": ir.Response("x", "m", (ir.Reasoning(summary=("a", "b")), ir.Text("c"))),
    "both": ir.Response("x", "m", (ir.Reasoning("raw", summary=("a",)), ir.Text("c"))),
    "calls": ir.Response(
        "x",
        "m",
        (
            ir.Reasoning("t", opaque=(SIGNED,)),
            ir.Text("a"),
            ir.ToolCall("call_1", "f", '{"a": 1}'),
            ir.Reasoning(opaque=(SIGNED,)),
            ir.ToolCall("", "g", "", opaque=(SIGNED,)),
        ),
        finish=ir.FinishReason.TOOL_USE,
        usage=ir.Usage(1, cache_read=2, cache_write=3, output=4, reasoning=1),
    ),
    "cut": ir.Response("x", "m", (ir.ToolCall("c", "f", '{"a": '),), finish=ir.FinishReason.LENGTH),
    "late text": ir.Response("x", "m", (ir.ToolCall("c", "f", "{}"), ir.Text("after"))),
    "refusal": ir.Response("x", "m", (ir.Refusal("no"),), finish=ir.FinishReason.REFUSAL, finish_details=b"{}"),
    "probabilities": ir.Response("x", "m", (ir.Text("a"),), logprobs=b'[{"token":"a","logprob":-1}]'),
    "stop": ir.Response("x", "m", (ir.Text("a"),), finish=ir.FinishReason.STOP, stop_sequence="b"),
    "hosted": ir.Response("x", "m", (ir.Hosted("anthropic", "server_tool_use", b"{}"), ir.Text("a"))),
    "citations": ir.Response("x", "m", (ir.Text("a", citations=(b"{}",), citations_dialect="anthropic"),)),
    "lost proof": ir.Response("x", "m", (ir.Reasoning("t", opaque=(SIGNED,)), ir.Text("a"))),
}


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
@pytest.mark.parametrize("name", RESPONSES)
def test_stream_and_whole_answer_agree(name: str, path: str) -> None:
    answer = Answer(model="alias", created=SECONDS, seed=1, path=path)
    data, losses = written(play(RESPONSES[name]), answer)
    assert judged(data, path) == []
    report = Report()
    whole = json.loads(DIALECT.encode_response(RESPONSES[name], answer, report))
    streamed = joined(data, path)
    # A stream's head is gone when it loses something; that of a whole answer tells it.
    lost = [f"{disposition} {place}" for disposition, place in paths(losses)]
    assert streamed.pop("ferryllm_loss", []) == lost
    assert streamed == whole
    assert set(paths(losses)) == set(paths(report.losses))


def test_w2_lines_then_the_last_one_with_reason_and_counts() -> None:
    data, losses = written(play(RESPONSES["text"]), ANSWER)
    first, last = [json.loads(one) for one in data.splitlines()]
    assert first == {
        "model": "alias",
        "created_at": "2026-11-21T06:39:02Z",
        "message": {"role": "assistant", "content": "Hallo"},
        "done": False,
    }
    assert last["message"] == {"role": "assistant", "content": ""}
    assert (last["done"], last["done_reason"], last["prompt_eval_count"], last["eval_count"]) == (True, "stop", 3, 4)
    assert all(type(last[name]) is int and last[name] > 0 for name in last if name.endswith("_duration"))
    assert losses == []


def test_w2_a_call_is_whole_in_one_line_with_an_object() -> None:
    found: list[Event] = [
        Start("", "m", SECONDS),
        BlockStart(0, BlockKind.TOOL, id="call_1", name="f"),
        BlockStart(1, BlockKind.TOOL, name="g"),
        ArgsDelta(1, ""),
        ArgsDelta(0, '{"a"'),
        ArgsDelta(0, ":1.0}"),
        BlockEnd(1),
        Finish(ir.FinishReason.TOOL_USE),  # closes what is open
        UsageUpdate(ir.Usage(5, cache_read=1, output=2)),
        End(),
    ]
    data, _ = written(found)
    lines = [json.loads(one) for one in data.splitlines()]
    calls = [call for one in lines for call in one["message"].get("tool_calls", [])]
    assert [call["function"]["arguments"] for call in calls] == [{"a": 1.0}, {}]
    assert b'"arguments":{"a":1.0}' in data
    assert calls[0]["id"] == "call_1"
    assert calls[1]["id"].startswith("call_")
    assert (lines[-1]["done_reason"], lines[-1]["prompt_eval_count"]) == ("stop", 6)


def test_arguments_that_are_no_object_go_along_as_text() -> None:
    data, losses = written(play(RESPONSES["cut"]))
    assert json.loads(data.splitlines()[0])["message"]["tool_calls"][0]["function"]["arguments"] == {"_raw": '{"a": '}
    assert paths(losses) == [("degraded", "tool_calls[0].function.arguments")]
    assert json.loads(data.splitlines()[-1])["done_reason"] == "length"


def test_what_is_written_is_read_again() -> None:
    """G6: decode(encode(ir)) == ir for what this dialect can say."""
    for name in ("text", "thought", "probabilities"):
        response = RESPONSES[name]
        data, _ = written(play(response), Answer(created=SECONDS))
        again = fold(events(data))
        assert (again.parts, again.finish, again.usage, again.logprobs) == (
            response.parts,
            response.finish,
            response.usage,
            response.logprobs,
        )


def test_s14_line_ends_of_other_kinds_are_escaped() -> None:
    text = "a\u2028b\u2029c\u0085d\u000be\u001cf"
    data, _ = written(
        play(ir.Response("", "m", (ir.Text(text), ir.ToolCall("c", "f", json.dumps({"a": text}, ensure_ascii=False)))))
    )
    assert data.decode().splitlines() == data.decode().split("\n")[:-1]
    assert joined(data)["message"]["content"] == text


def test_t1_a_failure_is_the_last_line_in_every_state() -> None:
    error = ir.Error(ir.ErrorKind.TRUNCATED, "cut")
    all_ = play(RESPONSES["calls"])
    for end in range(len(all_)):
        data, _ = written([*all_[:end], StreamFailed(error)])
        assert data.endswith(b'{"error":"cut"}\n')
        assert b'"done":true' not in data
        assert judged(data) == []


def test_an_error_of_the_same_dialect_keeps_its_words_on_one_line() -> None:
    raw = b'{"error":"x",\n "status_code":429}'
    data, _ = written([StreamFailed(ir.Error(ir.ErrorKind.RATE_LIMIT, "x", dialect="ollama", raw=raw))])
    assert data == b'{"error":"x",  "status_code":429}\n'


def test_s16_a_silent_stream_stays_silent() -> None:
    encoder = StreamEncoder(ANSWER)
    assert encoder.send(Ping()) == b""
    encoder.send(Start("", "m"))
    assert encoder.send(Ping()) == b""


def test_calls_have_no_place_in_the_thin_form() -> None:
    data, losses = written(play(RESPONSES["late text"]), Answer(path="/api/generate?x=1"))
    assert joined(data, "/api/generate")["response"] == "after"
    assert paths(losses) == [("dropped", "tool_calls")]


def test_the_request_tells_the_form_where_the_path_does_not() -> None:
    request = DIALECT.decode_request(b'{"model":"m","prompt":"x"}', path="/api/generate")
    assert b'"response":' in written(play(RESPONSES["text"]), Answer(request=request))[0]


def test_foreign_events_are_reported() -> None:
    found: list[Event] = [
        Start("", "m", usage=ir.Usage(1)),
        Raw("openai", "choices", b"{}"),
        BlockStart(0, BlockKind.TEXT),
        Citation(0, "anthropic", b"{}"),
        Logprobs(0, b"[\n]"),
        RefusalDelta(0, ""),
        BlockEnd(0),
        BlockStart(1, BlockKind.HOSTED),
        Finish(ir.FinishReason.PAUSE),
        End(),
    ]
    data, losses = written(found)
    assert paths(losses) == [
        ("dropped", "choices"),
        ("dropped", "content.citations"),
        ("dropped", "hosted"),
        ("degraded", "stop_reason"),
    ]
    assert json.loads(data.splitlines()[-1])["prompt_eval_count"] == 1


def test_g11_arguments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ARGUMENTS", 5)
    encoder = StreamEncoder(ANSWER)
    encoder.send(Start("", "m"))
    encoder.send(BlockStart(0, BlockKind.TOOL, name="f"))
    encoder.send(ArgsDelta(0, "12345"))
    with pytest.raises(RemoteProtocolError, match="longer than 5 characters"):
        encoder.send(ArgsDelta(0, "6"))


EVERY: dict[type, Event] = {
    Start: Start("", "m"),
    BlockStart: BlockStart(1, BlockKind.TEXT),
    TextDelta: TextDelta(0, "a"),
    RefusalDelta: RefusalDelta(0, "a"),
    ReasoningDelta: ReasoningDelta(0, "a"),
    ArgsDelta: ArgsDelta(0, "a"),
    OpaqueDelta: OpaqueDelta(0, SIGNED),
    Citation: Citation(0, "openai", b"{}"),
    Logprobs: Logprobs(0, b"[]"),
    BlockEnd: BlockEnd(0),
    UsageUpdate: UsageUpdate(ir.Usage()),
    Finish: Finish(ir.FinishReason.END),
    End: End(),
    StreamFailed: StreamFailed(ir.Error(ir.ErrorKind.SERVER, "x")),
    Ping: Ping(),
    Raw: Raw("openai", "x", b"{}"),
}
WAY: dict[State, list[Event]] = {
    State.IDLE: [],
    State.OPEN: [Start("", "m"), BlockStart(0, BlockKind.TEXT)],
    State.FINISHED: [Start("", "m"), Finish(ir.FinishReason.END)],
    State.DONE: [Start("", "m"), Finish(ir.FinishReason.END), End()],
    State.FAILED: [EVERY[StreamFailed]],
}


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("kind", EVERY)
def test_every_event_in_every_state(state: State, kind: type) -> None:
    encoder = StreamEncoder(ANSWER)
    for event in WAY[state]:
        encoder.send(event)
    assert encoder.state is state
    after = TRANSITIONS.get((state, kind))
    if after is None:
        with pytest.raises(LocalProtocolError, match=kind.__name__):
            encoder.send(EVERY[kind])
    else:
        encoder.send(EVERY[kind])
        assert encoder.state is after


@pytest.mark.parametrize("event", [TextDelta(7, "a"), ReasoningDelta(7, "a"), BlockEnd(7), Logprobs(7, b"[]")])
def test_a_block_that_is_not_open_is_our_bug(event: Event) -> None:
    encoder = StreamEncoder(ANSWER)
    encoder.send(Start("", "m"))
    with pytest.raises(LocalProtocolError, match="7"):
        encoder.send(event)


def test_a_block_opens_once() -> None:
    encoder = StreamEncoder(ANSWER)
    encoder.send(Start("", "m"))
    encoder.send(BlockStart(0, BlockKind.TEXT))
    with pytest.raises(LocalProtocolError, match="open already"):
        encoder.send(BlockStart(0, BlockKind.TEXT))
