"""How tests judge streams: the dialects' grammars, an AssertionError for what they find; a cut is not found."""

from __future__ import annotations

import pytest

from ferryllm_proto import DIALECTS
from support import grammar
from support.answers import ROLE, chat, chunk

BAD = b'data: {"x":1}\n\n'


def test_a_good_stream_tells_what_it_was() -> None:
    seen = grammar.chat(chat({"content": "a"}))
    assert (seen.text, seen.ended) == ("a", True)


@pytest.mark.parametrize("dialect", [name for name, one in DIALECTS.items() if one.sse])
def test_what_is_no_event_of_the_dialect_is_refused(dialect: str) -> None:
    with pytest.raises(AssertionError):
        grammar.validate(dialect, BAD)


def test_a_stream_that_only_stops_has_not_ended_and_is_no_problem() -> None:
    seen = grammar.chat(ROLE)
    assert (seen.ended, seen.failed) == (False, False)


def test_any_cut_finds_the_same() -> None:
    data = chat({"content": "é"}) + chunk({"content": "x"})
    assert grammar.judge("openai", data) == grammar.judge("openai", data, range(1, len(data)))


def test_halves_of_characters_are_those_of_python() -> None:
    assert grammar.chat(chat({"content": "\ud83d"})).text == "\ud83d"


def test_frames_of_a_stream() -> None:
    assert grammar.frames(b": hi\n\nevent: a\ndata: {}\n\n") == [("a", "{}")]
    with pytest.raises(AssertionError):
        grammar.frames(b"data: {}\n")
