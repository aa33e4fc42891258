from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryllm_proto import ir, sequence
from ferryllm_proto.errors import RemoteProtocolError
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
    ReasoningDelta,
    RefusalDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from ferryllm_proto.sequence import Sequencer

FINISH = Finish(ir.FinishReason.TOOL_USE)
PROOF = ir.Opaque("openai", "m", ir.OpaqueKind.ENCRYPTED, "xyz")
FAILED = StreamFailed(ir.Error(ir.ErrorKind.TRUNCATED, "cut"))


def tool(ix: int, kind: ir.ToolKind = ir.ToolKind.FUNCTION) -> BlockStart:
    return BlockStart(ix, BlockKind.TOOL, id=f"call_{ix}", name=f"tool{ix}", tool_kind=kind)


def text(ix: int) -> BlockStart:
    return BlockStart(ix, BlockKind.TEXT)


def run(*events: Event) -> list[Event]:
    sequencer = Sequencer()
    return [out for event in events for out in sequencer.send(event)]


def steps(*events: Event) -> list[list[Event]]:
    sequencer = Sequencer()
    return [sequencer.send(event) for event in events]


def test_x2_blocks_that_do_not_overlap_pass_untouched() -> None:
    events: list[Event] = [
        Start("id", "m"),
        text(0),
        TextDelta(0, "a"),
        Ping(),
        BlockEnd(0),
        tool(1),
        ArgsDelta(1, "{}"),
        BlockEnd(1),
        UsageUpdate(ir.Usage(output=1)),
        FINISH,
        End(),
    ]
    assert [out for step, event in zip(steps(*events), events, strict=True) for out in step if out is event] == events


def test_x3_interleaved_tool_calls_get_their_own_arguments() -> None:
    out = run(
        tool(0), ArgsDelta(0, '{"x":'), tool(1), ArgsDelta(1, '{"y":'), ArgsDelta(0, "1}"), ArgsDelta(1, "2}"), FINISH
    )
    assert out == [
        tool(0),
        ArgsDelta(0, '{"x":'),
        ArgsDelta(0, "1}"),
        BlockEnd(0),
        tool(1),
        ArgsDelta(1, '{"y":'),
        ArgsDelta(1, "2}"),
        BlockEnd(1),
        FINISH,
    ]


def test_x3_three_ways_the_first_streams_live_and_the_others_wait() -> None:
    assert steps(
        tool(0),
        tool(1),
        tool(2),
        ArgsDelta(2, "{"),
        ArgsDelta(0, "{}"),
        ArgsDelta(1, "{}"),
        ArgsDelta(2, "}"),
        BlockEnd(1),
        BlockEnd(0),
        BlockEnd(2),
    ) == [
        [tool(0)],
        [],
        [],
        [],
        [ArgsDelta(0, "{}")],
        [],
        [],
        [],
        [BlockEnd(0), tool(1), ArgsDelta(1, "{}"), BlockEnd(1), tool(2), ArgsDelta(2, "{"), ArgsDelta(2, "}")],
        [BlockEnd(2)],
    ]


def test_x3_a_call_with_whole_arguments_is_closed_when_the_next_one_starts() -> None:
    out = steps(tool(0), ArgsDelta(0, '{"x":'), ArgsDelta(0, "1}"), tool(1), ArgsDelta(1, "{}"), FINISH)
    assert out[3:] == [[BlockEnd(0), tool(1)], [ArgsDelta(1, "{}")], [BlockEnd(1), FINISH]]


def test_x3_a_call_without_arguments_stays_open_because_they_may_come() -> None:
    out = run(tool(0), tool(1), ArgsDelta(0, "{}"), FINISH)
    assert out == [tool(0), ArgsDelta(0, "{}"), BlockEnd(0), tool(1), BlockEnd(1), FINISH]


def test_x3_a_freeform_input_that_looks_like_whole_json_is_not_taken_for_whole() -> None:
    out = run(tool(0, ir.ToolKind.CUSTOM), ArgsDelta(0, "{}"), tool(1), ArgsDelta(0, " and more"), FINISH)
    assert out[:3] == [tool(0, ir.ToolKind.CUSTOM), ArgsDelta(0, "{}"), ArgsDelta(0, " and more")]


def test_x3_llama_cpp_ends_all_blocks_at_the_end() -> None:
    out = run(
        text(0),
        TextDelta(0, "hi"),
        tool(1),
        ArgsDelta(1, '{"a":1}'),
        tool(2),
        ArgsDelta(2, '{"b":2}'),
        BlockEnd(0),
        BlockEnd(1),
        BlockEnd(2),
        FINISH,
        End(),
    )
    assert out == [
        text(0),
        TextDelta(0, "hi"),
        BlockEnd(0),
        tool(1),
        ArgsDelta(1, '{"a":1}'),
        BlockEnd(1),
        tool(2),
        ArgsDelta(2, '{"b":2}'),
        BlockEnd(2),
        FINISH,
        End(),
    ]


def test_x21_text_behind_a_call_is_a_block_of_its_own() -> None:
    out = run(tool(0), ArgsDelta(0, "{}"), text(1), TextDelta(1, "done"), FINISH)
    assert out == [tool(0), ArgsDelta(0, "{}"), BlockEnd(0), text(1), TextDelta(1, "done"), BlockEnd(1), FINISH]


@pytest.mark.parametrize(
    ("kind", "delta"),
    [
        (BlockKind.TEXT, TextDelta(0, "late")),
        (BlockKind.REASONING, ReasoningDelta(0, "late")),
        (BlockKind.REASONING, OpaqueDelta(0, PROOF)),
        (BlockKind.REFUSAL, RefusalDelta(0, "late")),
    ],
)
def test_x11_what_comes_late_for_a_closed_block_goes_on_in_a_new_one(kind: BlockKind, delta: Event) -> None:
    start = BlockStart(0, kind, id="rs_1", phase="commentary")
    out = run(start, tool(1), ArgsDelta(1, '{"a":'), delta, delta, BlockEnd(0), ArgsDelta(1, "1}"), BlockEnd(1), FINISH)
    again = BlockStart(2, kind, phase="commentary")
    assert out[:4] == [start, BlockEnd(0), tool(1), ArgsDelta(1, '{"a":')]
    assert out[4:7] == [ArgsDelta(1, "1}"), BlockEnd(1), again]
    assert [type(event) for event in out[7:]] == [type(delta), type(delta), BlockEnd, Finish]
    assert [event.ix for event in out[7:10]] == [2, 2, 2]  # type: ignore[union-attr]  # the three just named


@pytest.mark.parametrize(
    "delta", [ArgsDelta(0, " "), OpaqueDelta(0, PROOF), Citation(0, "anthropic", b"{}"), Logprobs(0, b"[]")]
)
def test_what_comes_late_for_a_closed_call_has_no_place(delta: Event) -> None:
    assert run(tool(0), ArgsDelta(0, "{}"), tool(1), delta, BlockEnd(0), BlockEnd(1)) == [
        tool(0),
        ArgsDelta(0, "{}"),
        BlockEnd(0),
        tool(1),
        BlockEnd(1),
    ]


def test_text_that_never_started_gets_a_block() -> None:
    assert run(TextDelta(5, "a"), FINISH) == [text(0), TextDelta(0, "a"), BlockEnd(0), FINISH]


def test_a_held_block_that_goes_on_behind_its_end_is_opened_again() -> None:
    out = run(
        tool(0), ArgsDelta(0, "{"), text(1), TextDelta(1, "a"), BlockEnd(1), TextDelta(1, "b"), BlockEnd(0), FINISH
    )
    assert out[3:] == [
        text(1),
        TextDelta(1, "a"),
        BlockEnd(1),
        BlockStart(2, BlockKind.TEXT),
        TextDelta(2, "b"),
        BlockEnd(2),
        FINISH,
    ]


def test_a_hosted_block_is_never_cut_short() -> None:
    hosted = ir.Hosted("anthropic", "server_tool_use", b"{}")
    start, end = BlockStart(0, BlockKind.HOSTED, hosted=hosted), BlockEnd(0, hosted)
    assert run(start, text(1), TextDelta(1, "a"), end, FINISH) == [
        start,
        end,
        text(1),
        TextDelta(1, "a"),
        BlockEnd(1),
        FINISH,
    ]


def test_x2_numbers_are_dense_whatever_the_upstream_counts() -> None:
    assert run(tool(7), ArgsDelta(7, "{}"), BlockEnd(7), text(3), TextDelta(3, "a"), BlockEnd(3)) == [
        BlockStart(0, BlockKind.TOOL, id="call_7", name="tool7"),
        ArgsDelta(0, "{}"),
        BlockEnd(0),
        text(1),
        TextDelta(1, "a"),
        BlockEnd(1),
    ]


def test_t1_a_failure_shows_nothing_of_what_was_held() -> None:
    out = run(tool(0), ArgsDelta(0, "{"), tool(1), ArgsDelta(1, "{}"), BlockEnd(1), FAILED)
    assert out == [tool(0), ArgsDelta(0, "{"), FAILED]


def test_very_many_held_blocks_go_out_without_recursion() -> None:
    events: list[Event] = [tool(0)]
    for ix in range(1, 5000):
        events += [tool(ix), ArgsDelta(ix, "{}"), BlockEnd(ix)]
    out = run(*events, BlockEnd(0), FINISH)
    assert [event.ix for event in out if isinstance(event, BlockStart)] == list(range(5000))


@pytest.mark.parametrize(
    "delta",
    [
        ArgsDelta(1, "x" * 600),
        OpaqueDelta(1, ir.Opaque("openai", "m", ir.OpaqueKind.ENCRYPTED, "x" * 600)),
        Citation(1, "anthropic", b"x" * 600),
        BlockEnd(1),
        tool(2),
    ],
)
def test_g11_what_is_held_is_bounded(delta: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "MAX_HELD", 1000)
    with pytest.raises(RemoteProtocolError, match="hold more than 1000 characters") as caught:
        run(tool(0), tool(1), *[delta] * 20)
    assert caught.value.error.kind is ir.ErrorKind.UPSTREAM


def test_g11_what_went_out_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "MAX_HELD", 1000)
    sequencer = Sequencer()
    for ix in range(0, 40, 2):
        for event in (tool(ix), tool(ix + 1), ArgsDelta(ix + 1, "x" * 700), BlockEnd(ix + 1), BlockEnd(ix)):
            sequencer.send(event)


CONTENT = {
    BlockKind.TOOL: ['{"a":', '"b"', "}", "{", " ", "", "\\", "[]"],
    BlockKind.TEXT: ["a", "b ", "{}", ""],
    BlockKind.REASONING: ["a", "b ", "{}", ""],
}
_DELTAS: dict[BlockKind, type[ArgsDelta] | type[TextDelta] | type[ReasoningDelta]] = {
    BlockKind.TOOL: ArgsDelta,
    BlockKind.TEXT: TextDelta,
    BlockKind.REASONING: ReasoningDelta,
}


@st.composite
def interleavings(draw: st.DrawFn) -> list[Event]:
    """Blocks whose events are shuffled together, each block's own in order; calls have whole JSON at their end."""
    queues: list[list[Event]] = []
    for ix in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(list(CONTENT)))
        start = BlockStart(ix, kind, id=f"call_{ix}" if kind is BlockKind.TOOL else None)
        if kind is BlockKind.TOOL:
            whole = draw(st.sampled_from(["{}", '{"a":{"b":"}{"}}', '{"n":[{},{}]}']))
            cut = sorted(draw(st.lists(st.integers(0, len(whole)), max_size=4)))
            parts = [whole[a:b] for a, b in zip([0, *cut], [*cut, len(whole)], strict=True)]
        else:
            parts = draw(st.lists(st.sampled_from(CONTENT[kind]), max_size=4))
        end: list[Event] = [BlockEnd(ix)] if draw(st.booleans()) else []
        queues.append([start, *(_DELTAS[kind](ix, part) for part in parts), *end])
    events: list[Event] = []
    started = 0
    while any(queues):
        # ``ix`` counts starts: a block may begin only behind the one before it.
        ready = [ix for ix, queue in enumerate(queues) if queue and (ix <= started)]
        ix = draw(st.sampled_from(ready))
        events.append(queues[ix].pop(0))
        started = max(started, ix + 1)
    return [Start("id", "m"), *events, FINISH, End()]


def check(events: list[Event]) -> None:
    out = run(*events)
    opened: int | None = None
    count = 0
    calls: dict[str, str] = {}
    current = ""
    for event in out:
        if isinstance(event, BlockStart):
            assert opened is None
            assert event.ix == count
            opened, count = event.ix, count + 1
            current = event.id or ""
            if event.kind is BlockKind.TOOL:
                assert current not in calls
                calls[current] = ""
        elif isinstance(event, (ArgsDelta, TextDelta, ReasoningDelta)):
            assert event.ix == opened
            if isinstance(event, ArgsDelta):
                calls[current] += event.text
        elif isinstance(event, BlockEnd):
            assert event.ix == opened
            opened = None
        elif isinstance(event, Finish):
            assert opened is None
    assert out[0] == events[0]
    assert out[-2:] == events[-2:]
    given: dict[str, str] = {
        event.id or "": "".join(d.text for d in events if isinstance(d, ArgsDelta) and d.ix == event.ix)
        for event in events
        if isinstance(event, BlockStart) and event.kind is BlockKind.TOOL
    }
    assert calls == given
    for delta in (TextDelta, ReasoningDelta):
        # Blocks may move, but each one's text stays whole and in order.
        total = sum(len(e.text) for e in events if isinstance(e, delta))
        assert sum(len(e.text) for e in out if isinstance(e, delta)) == total


@given(interleavings())
def test_x2_x3_any_interleaving_gives_rows_with_the_same_arguments(events: list[Event]) -> None:
    check(events)


@pytest.mark.deep
@settings(max_examples=20_000, deadline=None)
@given(interleavings())
def test_x2_x3_the_same_for_very_many_interleavings(events: list[Event]) -> None:
    check(events)
