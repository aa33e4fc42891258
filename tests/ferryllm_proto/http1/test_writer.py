"""Framing of what is sent: all pairs of a state and a call."""

from __future__ import annotations

import pytest

from ferryllm_proto.http1 import Misuse, ResponseHead, Sent
from ferryllm_proto.http1.heads import CHUNKED
from ferryllm_proto.http1.writer import Outbound, Writer

_HEAD = ResponseHead(200, [])


def _writer(state: Outbound) -> Writer:
    writer = Writer()
    if state is not Outbound.HEAD:
        writer.begin(_HEAD, CHUNKED if state is Outbound.CHUNKED else 3, False)
    if state is Outbound.DONE:
        writer.frame(b"abc")
        writer.end([])
    assert writer.state is state
    return writer


@pytest.mark.parametrize("state", [Outbound.HEAD, Outbound.DONE])
def test_outside_a_body_nothing_of_it_can_be_sent(state: Outbound) -> None:
    writer = _writer(state)
    for data in (b"a", b""):
        with pytest.raises(Misuse, match=state.value):
            writer.frame(data)
    with pytest.raises(Misuse, match=state.value):
        writer.end([])


def test_chunks_have_their_size_and_nothing_is_no_chunk() -> None:
    writer = _writer(Outbound.CHUNKED)
    assert writer.frame(b"") == b""
    assert writer.frame(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert writer.end([]) == b"0\r\n\r\n"


def test_trailers_that_are_refused_leave_the_message_open() -> None:
    writer = _writer(Outbound.CHUNKED)
    with pytest.raises(Misuse):
        writer.end([("host", "a")])
    assert writer.end([("x", "1")]) == b"0\r\nx: 1\r\n\r\n"


def test_a_length_is_kept_to_and_a_refusal_changes_nothing() -> None:
    writer = _writer(Outbound.FIXED)
    assert writer.frame(b"ab") == b"ab"
    with pytest.raises(Misuse, match="1 bytes more"):
        writer.frame(b"cd")
    with pytest.raises(Misuse, match="1 bytes less"):
        writer.end([])
    assert writer.frame(b"c") == b"c"
    with pytest.raises(Misuse, match="trailer"):
        writer.end([("host", "a")])
    assert writer.end([("x", "1")]) == b"", "there is no place for it"


def test_what_was_sent_is_known() -> None:
    writer = _writer(Outbound.FIXED)
    writer.frame(b"ab")
    assert writer.sent == Sent(_HEAD, 2, False)
    assert _writer(Outbound.DONE).sent == Sent(_HEAD, 3, True)
    assert _writer(Outbound.HEAD).sent == Sent(None, 0, False)
    done = _writer(Outbound.DONE)
    done.next_message()
    assert done.sent == Sent(None, 0, False)
    assert done.state is Outbound.HEAD
