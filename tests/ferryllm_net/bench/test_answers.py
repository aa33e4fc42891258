"""Answers: what the provider sends is what its dialect's judge accepts, with a stamp in each delta."""

from __future__ import annotations

import pytest

from ferryllm_net.bench.answers import STAMP, STAMP_BYTES, fill, script, stamp
from ferryllm_net.bench.doors import door
from ferryllm_proto import DIALECTS, ir

EACH = pytest.mark.parametrize("dialect", list(DIALECTS))
NOW = 1_800_000_000_000_000_000


@EACH
def test_a_stream_has_its_deltas_and_the_judge_finds_nothing(dialect: str) -> None:
    answer = script(dialect, stream=True, chunks=4)
    stamps = [stamp(NOW + number) for number in range(4)]
    grammar = DIALECTS[dialect].grammar(door(dialect, model="m", key=None, stream=True).path)
    for write in answer.writes:
        grammar.receive_data(fill(write, stamps))
    grammar.receive_eof()
    assert grammar.problems == []
    assert grammar.seen.ended
    assert [int(found[1]) for found in STAMP.finditer(grammar.seen.text.encode())] == [NOW + n for n in range(4)]
    assert sum(write.paced for write in answer.writes) == answer.chunks == 4


@EACH
def test_a_whole_answer_is_read_by_its_dialect(dialect: str) -> None:
    answer = script(dialect, stream=False, chunks=4)
    response = DIALECTS[dialect].decode_response(fill(answer.writes[0], []))
    assert response.finish is ir.FinishReason.END
    assert isinstance(response.parts[0], ir.Text)
    assert (answer.chunks, answer.content_type) == (0, "application/json")


def test_a_stamp_has_one_length_until_2286() -> None:
    for nanoseconds in (0, NOW, 10**19 - 1):
        assert len(stamp(nanoseconds)) == STAMP_BYTES
        found = STAMP.fullmatch(stamp(nanoseconds))
        assert found is not None
        assert int(found[1]) == nanoseconds
