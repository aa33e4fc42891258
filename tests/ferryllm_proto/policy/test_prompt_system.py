"""Lines dropped from a system prompt, and lines taken to the end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.policy.prompt_system import part

_BILLING = "x-anthropic-billing-header:"


def test_lines_that_begin_so_are_dropped_wherever_they_stand() -> None:
    parted = part([f"{_BILLING} cc=1", f"be kind\n  {_BILLING} 2\nbe brief\n"], [_BILLING], None)
    assert parted.kept == ("", "be kind\nbe brief\n")
    assert parted.stripped == 2


@pytest.mark.parametrize(
    ("span", "kept", "moved"),
    [
        ((0, 1), ("two\n", "three"), "óne"),
        ((5, 6), ("óne\n", "three"), "two"),
        ((4, 6), ("", "three"), "óne\ntwo"),
        ((0, 999), ("", ""), "óne\ntwo\n\nthree"),
        ((900, 999), ("óne\ntwo\n", "three"), ""),
    ],
)
def test_every_line_with_a_byte_in_the_range_is_moved_whole(
    span: tuple[int, int], kept: tuple[str, ...], moved: str
) -> None:
    parted = part(["óne\ntwo\n", "three"], [], span)
    assert (parted.kept, parted.moved) == (kept, moved)


@given(st.lists(st.text(alphabet="aé😀\n ", max_size=12), max_size=4), st.integers(0, 30), st.integers(0, 30))
def test_no_line_is_lost_by_moving(texts: list[str], start: int, length: int) -> None:
    parted = part(texts, [], (start, start + length))
    before = sorted(line for text in texts for line in text.split("\n") if line)
    after = sorted(line for text in (*parted.kept, parted.moved) for line in text.split("\n") if line)
    assert after == before
    assert len(parted.kept) == len(texts)
