"""Judge: only whole answers count, in every cut; the way of a delta is counted once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.bench.answers import fill, script, stamp
from ferryllm_net.bench.doors import door
from ferryllm_net.bench.meter import Judge, Meter
from ferryllm_net.bench.reader import BrokenAnswerError
from ferryllm_proto import DIALECTS

NOW = 1_800_000_000_000_000_000
CHUNKS = 3
DOORS = {name: door(name, model="m", key=None, stream=True) for name in DIALECTS}


def stream(dialect: str) -> bytes:
    """A stream whose deltas were sent one nanosecond after the other."""
    stamps = [stamp(NOW + number) for number in range(CHUNKS)]
    return b"".join(fill(write, stamps) for write in script(dialect, stream=True, chunks=CHUNKS).writes)


STREAMS = {name: stream(name) for name in DIALECTS}


@pytest.mark.parametrize("dialect", list(DIALECTS))
@given(data=st.data())
def test_each_delta_counts_once_in_every_cut(dialect: str, data: st.DataObject) -> None:
    whole = STREAMS[dialect]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    judge = Judge(DOORS[dialect], stamped=True, expected=CHUNKS)
    for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True):
        judge.receive(whole[start:end], 0, NOW + 10)
    judge.verdict(200)
    assert judge.chunks == CHUNKS
    assert judge.ways == [10, 9, 8]
    assert judge.bytes == len(whole)


@pytest.mark.parametrize(
    ("cut", "status", "kind"),
    [
        (None, 503, "status 503"),
        (-20, 200, "unfinished stream"),
        (0, 200, "unfinished stream"),
    ],
)
def test_what_is_not_whole_is_an_error(cut: int | None, status: int, kind: str) -> None:
    judge = Judge(DOORS["anthropic"], stamped=True, expected=CHUNKS)
    judge.receive(STREAMS["anthropic"][:cut], 0, NOW)
    with pytest.raises(BrokenAnswerError, match=kind):
        judge.verdict(status)


def test_a_stream_that_ends_well_but_lost_a_delta_is_an_error() -> None:
    judge = Judge(DOORS["openai"], stamped=True, expected=CHUNKS)
    judge.receive(STREAMS["openai"].replace(stamp(NOW + 1), b""), 0, NOW)
    with pytest.raises(BrokenAnswerError, match="chunks missing"):
        judge.verdict(200)


def test_a_whole_answer_of_another_dialect_is_an_error() -> None:
    judge = Judge(door("openai", model="m", key=None, stream=False), stamped=False, expected=None)
    judge.receive(b'{"error": {"message": "no"}}', 0, NOW)
    with pytest.raises(BrokenAnswerError, match="not an answer of its dialect"):
        judge.verdict(200)


def test_events_are_counted_where_deltas_carry_no_time() -> None:
    judge = Judge(DOORS["openai"], stamped=False, expected=None)
    judge.receive(STREAMS["openai"], 0, NOW)
    judge.verdict(200)
    assert judge.chunks == STREAMS["openai"].count(b"data:")
    assert judge.ways == []


def test_gaps_are_between_reads() -> None:
    judge, meter = Judge(DOORS["openai"], stamped=True, expected=CHUNKS), Meter()
    whole = STREAMS["openai"]
    for number, now in enumerate((100, 350, 360)):
        judge.receive(whole[number * 100 : (number + 1) * 100 if number < 2 else None], now, NOW)
    judge.report(meter)
    assert (meter.gap.count, meter.gap.min, meter.gap.max) == (2, 10, 250)
    assert (meter.chunks, meter.bytes, meter.way.count) == (CHUNKS, len(whole), CHUNKS)


def test_errors_are_counted_by_kind() -> None:
    meter = Meter()
    for kind in ("timeout", "tls", "timeout"):
        meter.fail(kind)
    assert (meter.errors, meter.failed) == ({"timeout": 2, "tls": 1}, 3)
