from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import accumulate, ir
from ferryllm_proto.accumulate import Accumulator, play
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

PROOF = ir.Opaque("anthropic", "m", ir.OpaqueKind.SIGNATURE, "xyz")
HOSTED = ir.Hosted("anthropic", "server_tool_use", b'{"type":"server_tool_use"}')


def fold(events: list[Event]) -> ir.Response:
    accumulator = Accumulator()
    for event in events:
        accumulator.send(event)
    assert accumulator.ended
    assert accumulator.failed is None
    return accumulator.response()


SHORT = st.text(st.characters(codec="utf-8"), max_size=5)
OPAQUE = st.builds(ir.Opaque, SHORT, SHORT, st.sampled_from(ir.OpaqueKind), SHORT, st.none() | SHORT)
CITED = st.builds(lambda n: ir.Text("t", citations=(b'{"n":1}',) * n, citations_dialect="anthropic"), st.integers(1, 3))
PART: st.SearchStrategy[ir.Part] = st.one_of(
    st.builds(ir.Text, SHORT, phase=st.sampled_from([None, "commentary"])),
    CITED,
    st.builds(
        ir.ToolCall,
        SHORT,
        SHORT,
        SHORT,
        kind=st.sampled_from(ir.ToolKind),
        namespace=st.none() | SHORT,
        item_id=st.none() | SHORT,
        opaque=st.lists(OPAQUE, max_size=2).map(tuple),
    ),
    st.builds(
        ir.Reasoning,
        SHORT,
        summary=st.lists(SHORT, max_size=3).map(tuple),
        opaque=st.lists(OPAQUE, max_size=2).map(tuple),
        id=st.none() | SHORT,
    ),
    st.builds(ir.Refusal, SHORT),
    st.just(HOSTED),
)
COUNT = st.none() | st.integers(0, 1000)
RESPONSE = st.builds(
    ir.Response,
    SHORT,
    SHORT,
    st.lists(PART, max_size=5).map(tuple),
    finish=st.sampled_from(ir.FinishReason),
    stop_sequence=st.none() | SHORT,
    finish_details=st.none() | st.just(b"{}"),
    created=st.none() | st.integers(0, 2**31),
    usage=st.none() | st.builds(ir.Usage, input=COUNT, cache_read=COUNT, output=COUNT, reasoning=COUNT),
)


@given(RESPONSE)
def test_g6_a_played_answer_folds_to_itself(response: ir.Response) -> None:
    assert fold(play(response)) == response


@given(RESPONSE)
def test_x2_a_played_answer_follows_the_grammar(response: ir.Response) -> None:
    events = play(response)
    assert type(events[0]) is Start
    assert type(events[-1]) is End
    opened: list[int] = []
    for event in events[1:-1]:
        if isinstance(event, BlockStart):
            assert opened == []
            opened.append(event.ix)
        elif isinstance(event, BlockEnd):
            assert opened.pop() == event.ix
        elif not isinstance(event, (Finish, UsageUpdate)):
            assert [event.ix] == opened  # type: ignore[union-attr]  # only deltas are left
    assert sum(type(event) is Finish for event in events) == 1


def test_logprobs_are_played_inside_the_first_text() -> None:
    response = ir.Response("i", "m", (ir.Reasoning("r"), ir.Text("a"), ir.Text("b")), logprobs=b'[{"token":"a"}]')
    events = play(response)
    assert [event for event in events if isinstance(event, Logprobs)] == [Logprobs(1, b'[{"token":"a"}]')]
    assert fold(events) == response


def test_logprobs_of_many_deltas_become_one_list() -> None:
    events = play(ir.Response("i", "m", (ir.Text("a"),)))
    at = next(n for n, event in enumerate(events) if isinstance(event, BlockEnd))
    events[at:at] = [Logprobs(0, b"[ 1 ]"), Logprobs(0, b"[]"), Logprobs(0, b"[2,3]")]
    assert fold(events).logprobs == b"[1,2,3]"


def test_interleaved_blocks_fold_in_order_of_their_starts() -> None:
    out = fold(
        [
            Start("i", "m", 5, usage=ir.Usage(input=3)),
            BlockStart(0, BlockKind.TOOL, id="a", name="f"),
            BlockStart(1, BlockKind.TOOL, name="g"),
            ArgsDelta(1, '{"y":'),
            ArgsDelta(0, "{}"),
            Ping(),
            Raw("openai", "x", b"{}"),
            ArgsDelta(1, "2}"),
            OpaqueDelta(1, PROOF),
            BlockEnd(1),
            BlockEnd(0),
            BlockStart(2, BlockKind.TEXT),
            TextDelta(2, "a"),
            Citation(2, "anthropic", b"{}"),
            BlockEnd(2),
            BlockStart(3, BlockKind.REFUSAL),
            RefusalDelta(3, "no"),
            BlockEnd(3),
            BlockStart(4, BlockKind.REASONING),
            ReasoningDelta(4, "s1", 1),
            ReasoningDelta(4, "s0", 0),
            ReasoningDelta(4, "raw"),
            BlockEnd(4),
            UsageUpdate(ir.Usage(output=2)),
            Finish(ir.FinishReason.STOP, "END", b"{}"),
            UsageUpdate(ir.Usage(output=4)),
            End(),
        ]
    )
    assert out == ir.Response(
        "i",
        "m",
        (
            ir.ToolCall("a", "f", "{}"),
            ir.ToolCall("", "g", '{"y":2}', opaque=(PROOF,)),
            ir.Text("a", citations=(b"{}",), citations_dialect="anthropic"),
            ir.Refusal("no"),
            ir.Reasoning("raw", summary=("s0", "s1")),
        ),
        finish=ir.FinishReason.STOP,
        stop_sequence="END",
        finish_details=b"{}",
        created=5,
        usage=ir.Usage(input=3, output=4),
        unplaced=("x",),
    )


def test_what_no_part_holds_is_named_once_and_played_as_nobodys_event() -> None:
    raws: list[Event] = [Raw("openai", name, b"{}") for name in ("x", "y", "x")]
    out = fold([Start("i", "m"), *raws, Finish(ir.FinishReason.END), End()])
    assert out.unplaced == ("x", "y")
    assert [event for event in play(out) if isinstance(event, Raw)] == [Raw("", "x", b""), Raw("", "y", b"")]
    assert fold(play(out)) == out


def test_the_end_of_a_hosted_block_may_replace_it() -> None:
    whole = msgspec.structs.replace(HOSTED, raw=b'{"whole":1}')
    start: list[Event] = [Start("i", "m"), BlockStart(0, BlockKind.HOSTED, hosted=HOSTED)]
    assert fold([*start, BlockEnd(0, whole), End()]).parts == (whole,)
    assert fold([*start, BlockEnd(0), End()]).parts == (HOSTED,)
    assert fold([Start("i", "m"), BlockStart(0, BlockKind.HOSTED), BlockEnd(0), End()]).parts == ()


def test_a_failed_stream_says_so_and_keeps_what_came() -> None:
    error = ir.Error(ir.ErrorKind.TRUNCATED, "cut")
    accumulator = Accumulator()
    for event in (Start("i", "m"), BlockStart(0, BlockKind.TEXT), TextDelta(0, "a"), StreamFailed(error)):
        accumulator.send(event)
    assert accumulator.ended
    assert accumulator.failed == error
    assert accumulator.response().parts == (ir.Text("a"),)


def test_nothing_started_is_misuse() -> None:
    with pytest.raises(LocalProtocolError, match="no answer has started"):
        Accumulator().response()


@pytest.mark.parametrize(
    "event",
    [
        TextDelta(3, "a"),
        RefusalDelta(3, "a"),
        ArgsDelta(3, "a"),
        ReasoningDelta(3, "a"),
        OpaqueDelta(3, PROOF),
        Citation(3, "anthropic", b"{}"),
        BlockEnd(3, HOSTED),
    ],
)
def test_an_event_of_a_block_that_has_not_started_is_misuse(event: Event) -> None:
    accumulator = Accumulator()
    accumulator.send(Start("i", "m"))
    with pytest.raises(LocalProtocolError, match="block 3 has not started"):
        accumulator.send(event)


@pytest.mark.parametrize(
    "event",
    [
        TextDelta(0, "x" * 30),
        ReasoningDelta(0, "x" * 30),
        Citation(0, "anthropic", b"x" * 30),
        Logprobs(0, b"[" + b" 1," * 30 + b"1]"),
        OpaqueDelta(0, ir.Opaque("openai", "m", ir.OpaqueKind.ENCRYPTED, "x" * 30)),
        BlockStart(0, BlockKind.TEXT),
        BlockEnd(0, msgspec.structs.replace(HOSTED, raw=b"x" * 30)),
    ],
)
def test_g11_an_answer_too_long_is_the_upstreams_fault(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accumulate, "MAX_RESPONSE", 200)
    events = [Start("i", "m"), BlockStart(0, BlockKind.REASONING), *[event] * 10, End()]
    with pytest.raises(RemoteProtocolError, match="longer than 200 characters") as caught:
        fold(events)
    assert caught.value.error.kind is ir.ErrorKind.UPSTREAM


def test_a_part_no_answer_has_is_misuse() -> None:
    image = ir.Image(ir.Source(ir.SourceKind.URL, "https://example.com/a.png"))
    with pytest.raises(LocalProtocolError, match="Image is no part of an answer"):
        play(ir.Response("i", "m", (image,)))
