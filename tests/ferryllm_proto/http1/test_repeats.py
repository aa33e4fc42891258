"""Heads that come again: recognised by their bytes, and worth exactly what reading them anew gives."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ferryllm_proto.http1 import (
    END,
    Body,
    ClientMachine,
    Event,
    HeadLimits,
    NotMine,
    RequestHead,
    ResponseHead,
    ServerMachine,
    Shape,
    repeats,
)

LIMITS = HeadLimits(1000, 4000, 20)
_ASK = RequestHead("POST", "/", [("host", "a")])
_POST = b"POST /v1/x HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer k\r\nContent-Length: 3\r\nAccept: */*\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 3\r\nX-Id: 1\r\n\r\n"
_STREAM = b"HTTP/1.1 200 OK\r\nDate: now\r\nTransfer-Encoding: chunked\r\n\r\n"
_ANSWER = [("x", "y")]


def _served(*messages: bytes, limits: HeadLimits = LIMITS) -> ServerMachine:
    """A server that has answered ``messages`` and waits for the next one."""
    machine = ServerMachine(limits)
    for message in messages:
        assert type(machine.receive_data(message)[-1]) is type(END)
        assert machine.answer(200, _ANSWER, b"", "now")
        assert machine.turn() == []
    return machine


def _asked(*answers: bytes, method: str = "POST") -> ClientMachine:
    """A client that has read ``answers`` and has sent another request of ``method``."""
    machine = ClientMachine(LIMITS)
    for answer in answers:
        machine.announce(_ASK)
        assert machine.receive_data(answer)[-1] == END
        assert machine.renew()
    machine.announce(RequestHead(method, "/", [("host", "a")]))
    return machine


def _other(head: bytes, digits: bytes) -> bytes:
    return head.replace(b": 3\r\n", b": " + digits + b"\r\n")


_PIECES = st.sampled_from(
    [
        *(b"3", b"5", b"0", b"00", b"03", b"1234567890", b"999999999", b"+3", b" 3", b"3 ", b"\t3", b"3,3", b"0x3"),
        *(b"", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b":", b"\0", b"\xb2", b"\xd9\xa3", b"k", b"a: b\r\n"),
        *(b"Content-Length: 4\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Host: b\r\n"),
    ]
)


@st.composite
def _edited(draw: st.DrawFn, *heads: bytes) -> bytes:
    """One of ``heads`` with a body, changed in a few places, mostly around the number."""
    head = draw(st.sampled_from(heads))
    data = _other(head, draw(_PIECES)) if draw(st.booleans()) else head
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(data)))
        data = data[:at] + draw(_PIECES) + data[at + draw(st.integers(0, 4)) :]
    return data + draw(st.sampled_from([b"", b"abc", b"ab", b"abcde", b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n" + _POST]))


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({min(cut, len(data)) for cut in cuts})
    return [data[a:b] for a, b in zip([0, *ends], [*ends, len(data)], strict=True) if b > a]


def _taken(machine: ServerMachine | ClientMachine, data: bytes) -> list[Event | NotMine]:
    """The events of ``data``, which goes the short way where it can."""
    whole = machine.receive_whole(data)
    if whole is None:
        return machine.receive_data(data)
    return [whole[0], *([Body(whole[1])] if whole[1] else []), END]


def _state(machine: ServerMachine | ClientMachine) -> tuple[bool, int, bool]:
    return machine.within_head, machine.held, machine._reader.closes


@given(_edited(_POST, _POST[:-15] + b"\r\n"), st.lists(st.integers(0, 200), max_size=3), st.integers(1, 3))
@example(_other(_POST, b"5") + b"abcde", [], 1)
@example(_other(_POST, b"003") + b"abc", [], 1)
def test_a_request_means_the_same_behind_one_like_it(data: bytes, cuts: list[int], before: int) -> None:
    for short in (True, False):
        fresh, known = ServerMachine(LIMITS), _served(*[_POST + b"abc"] * before)
        for piece in _cut(data, cuts):
            assert (_taken(known, piece) if short else known.receive_data(piece)) == fresh.receive_data(piece)
            assert _state(known) == _state(fresh)


@given(
    _edited(_OK, _OK[:-8] + b"\r\n", _STREAM, _OK.replace(b"200", b"204"), _OK.replace(b"200", b"304")),
    st.sampled_from([_OK + b"abc", _OK.replace(b"X-Id: 1\r\n", b"") + b"abc", _STREAM + b"0\r\n\r\n"]),
    st.sampled_from(["POST", "GET", "HEAD"]),
    st.lists(st.integers(0, 120), max_size=3),
)
@example(_STREAM + b"12\r\n" + b"a" * 10, _STREAM + b"0\r\n\r\n", "POST", [])
@example(_other(_OK, b"5") + b"abcde", _OK + b"abc", "POST", [])
@example(_other(_OK, b"0"), _OK + b"abc", "POST", [])
@example(_other(_OK, b"5"), _OK + b"abc", "HEAD", [])
def test_an_answer_means_the_same_behind_one_like_it(data: bytes, first: bytes, method: str, cuts: list[int]) -> None:
    for short in (True, False):
        fresh, known = _asked(method=method), _asked(first, first, method=method)
        for piece in _cut(data, cuts):
            assert (_taken(known, piece) if short else known.receive_data(piece)) == fresh.receive_data(piece)
            assert _state(known) == _state(fresh)


@pytest.mark.parametrize("digits", [b"1", b"003", b"0", b"999999999"])
def test_requests_that_differ_in_their_length_alone_have_one_shape(digits: bytes) -> None:
    machine = _served(_POST + b"abc", _POST + b"abc")
    machine.receive_data(_POST + b"abc")
    shape = machine.shape
    assert isinstance(shape, Shape)
    shape.facts = "mine"
    assert machine.answer(200, _ANSWER, b"", "now")
    machine.turn()
    head = machine.receive_data(_other(_POST, digits))[0]
    assert isinstance(head, RequestHead)
    assert ("content-length", digits.decode()) in head.headers
    assert machine.shape is shape


def test_a_message_like_the_one_before_is_taken_whole_and_no_other() -> None:
    machine = _served(_POST + b"abc")
    for data in (b"", _POST, _POST + b"ab", _POST + b"abcd", _other(_POST, b"x") + b"abc", _POST[:40]):
        assert machine.receive_whole(data) is None
    fresh = ServerMachine(LIMITS)
    assert fresh.receive_whole(_POST + b"abc") is None
    assert machine.receive_whole(_POST + b"abc") == (fresh.receive_data(_POST + b"abc")[0], b"abc")
    assert machine.receive_whole(_POST + b"abc") is None, "the message is complete"
    assert machine.held == 0


def test_a_head_is_the_receiver_s_own() -> None:
    machine = _served(_POST + b"abc")
    first = machine.receive_data(_POST + b"abc")
    assert isinstance(first[0], RequestHead)
    first[0].headers.clear()
    assert machine.answer(200, _ANSWER, b"", "now")
    machine.turn()
    assert machine.receive_data(_POST + b"abc") == ServerMachine(LIMITS).receive_data(_POST + b"abc")


@pytest.mark.parametrize(
    "other",
    [
        _POST.replace(b"Bearer k", b"Bearer l"),
        _POST.replace(b"/v1/x", b"/v1/y"),
        _POST.replace(b"Accept: */*\r\n", b""),
        _POST.replace(b"Content-Length: 3", b"Content-Length:  3"),
        _POST.replace(b"Content-Length: 3", b"Content-Length: 0000000003"),
    ],
)
def test_another_head_takes_the_shape_away(other: bytes) -> None:
    machine = _served(_POST + b"abc")
    machine.receive_data(_POST + b"abc")
    before = machine.shape
    assert machine.answer(200, _ANSWER, b"", "now")
    machine.turn()
    machine.receive_data(other + b"abc")
    assert machine.shape is not before
    assert machine.answer(200, _ANSWER, b"", "now")
    machine.turn()
    machine.receive_data(_POST + b"abc")
    assert machine.shape not in (None, before)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        _POST[:-2] + b"Connection: close\r\n\r\n",
        _POST[:-2] + b"x: " + b"y" * 3900 + b"\r\n\r\n",
        _other(_POST, b"0000000003"),
        _other(_POST, b" 3"),
    ],
)
def test_heads_without_a_shape(data: bytes) -> None:
    machine = ServerMachine(LIMITS)
    assert isinstance(machine.receive_data(data)[0], RequestHead)
    assert machine.shape is None


def test_a_head_that_a_longer_number_would_make_too_long_is_not_known() -> None:
    limits = HeadLimits(1000, len(_POST) + 8, 20)
    for more, known in ((0, False), (1, True)):
        machine = ServerMachine(HeadLimits(1000, limits.head_bytes + more, 20))
        machine.receive_data(_POST)
        assert (machine.shape is not None) is known


def test_a_connection_whose_heads_never_come_again_stops_keeping_them() -> None:
    heads = [_POST.replace(b"Bearer k", b"Bearer %d" % number) + b"abc" for number in range(repeats.MOST_TRIES + 1)]
    machine = _served(*heads[:-1])
    assert machine.shape is not None
    machine.receive_data(heads[-1])
    assert machine.shape is None


def test_a_head_that_came_again_counts_anew() -> None:
    heads = [_POST.replace(b"Bearer k", b"Bearer %d" % number) + b"abc" for number in range(repeats.MOST_TRIES)]
    machine = _served(*heads, heads[-1], *heads[:-1])
    machine.receive_data(heads[-1])
    assert machine.shape is not None


def test_the_number_of_an_answer_without_a_body_is_not_its_length() -> None:
    """An answer to HEAD says how long a body would be."""
    machine = _asked(_OK.replace(b"200", b"304"), method="POST")
    assert machine.receive_data(_OK + b"abc")[1:] == [Body(b"abc"), END]
    machine = ClientMachine(LIMITS)
    for method, wire, rest in (
        ("HEAD", _OK, [END]),
        ("POST", _OK + b"abc", [Body(b"abc"), END]),
        ("HEAD", _OK, [END]),
        ("HEAD", _other(_OK, b"5"), [END]),
        ("POST", _other(_OK, b"5") + b"abcde", [Body(b"abcde"), END]),
    ):
        machine.announce(RequestHead(method, "/", [("host", "a")]))
        events: list[Event | NotMine] = machine.receive_data(wire)
        assert isinstance(events[0], ResponseHead)
        assert events[1:] == rest
        assert machine.renew()


def test_an_answer_that_nobody_asked_for_is_nobody_s_also_when_it_is_known() -> None:
    machine = _asked(_OK + b"abc")
    machine.receive_data(_OK + b"abc")
    assert machine.renew()
    assert machine.receive_data(_OK + b"abc") == [NotMine(b"", _OK + b"abc")]
