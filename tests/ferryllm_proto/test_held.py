"""A body is kept for its end, held back where asked to, and let go when it is too long."""

from __future__ import annotations

import pytest

from ferryllm_proto import held
from ferryllm_proto.held import HeldBody

PIECES = [b"ab", b"", b"cdef", b"g"]


def test_what_is_not_held_back_passes_at_once_and_is_there_at_the_end() -> None:
    body = HeldBody()
    assert [body.receive_data(piece, hold=False) for piece in PIECES] == PIECES
    assert body.take() == b"abcdefg"
    assert body.take() == b""


def test_what_is_held_back_comes_at_the_end_alone() -> None:
    body = HeldBody()
    assert [body.receive_data(piece, hold=True) for piece in PIECES] == [b"", b"", b"", b""]
    assert body.take() == b"abcdefg"


@pytest.mark.parametrize(("hold", "out"), [(False, PIECES), (True, [b"", b"", b"abcdef", b"g"])])
def test_a_body_that_is_too_long_passes_on_whole_and_unread(
    monkeypatch: pytest.MonkeyPatch, hold: bool, out: list[bytes]
) -> None:
    monkeypatch.setattr(held, "MAX_BODY", 5)
    body = HeldBody()
    assert [body.receive_data(piece, hold=hold) for piece in PIECES] == out
    assert body.take() == b""


def test_the_bound_itself_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "MAX_BODY", 7)
    body = HeldBody()
    for piece in PIECES:
        assert body.receive_data(piece, hold=True) == b""
    assert body.take() == b"abcdefg"
