"""Incoming messages in every cut, and what the machine leaves to others with the bytes that they need."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.http1 import END, Body, EndOfMessage, Event, Fault, HeadLimits, NotMine, RequestHead
from ferryllm_proto.http1 import reader as reading
from ferryllm_proto.http1.reader import Inbound, Reader, RequestReader, ResponseReader

LIMITS = HeadLimits(60, 200, 5)
_POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\n"


def _requests() -> RequestReader:
    return RequestReader(LIMITS)


def _responses(method: str = "GET") -> ResponseReader:
    reader = ResponseReader(LIMITS)
    reader.method = method
    return reader


def _feed(reader: Reader, pieces: list[bytes], *, bodies: bool = False) -> list[Event | NotMine]:
    """All events, bodies beside each other joined; with ``bodies`` by `receive_body` where that takes the bytes."""
    out: list[Event | NotMine] = []
    for piece in pieces:
        taken = reader.receive_body(piece) if bodies else None
        events: list[Event | NotMine] = []
        if taken is None:
            events = reader.receive_data(piece)
        else:
            events += [Body(taken[0]), *[END] * taken[1]]
        for event in events:
            if isinstance(event, Body) and out and isinstance(last := out[-1], Body):
                out[-1] = Body(last.data + event.data)
            elif event != Body(b""):
                out.append(event)
    return out


MESSAGES = {
    "no body": (_POST + b"\r\n", b""),
    "length": (_POST + b"Content-Length: 5\r\n\r\nab\r\nc", b"ab\r\nc"),
    "chunks": (_CHUNKED + b"1\r\na\r\nA\r\n0123456789\r\n03\r\n\r\n\r\r\n000\r\n\r\n", b"a0123456789\r\n\r"),
}


@pytest.mark.parametrize(("data", "body"), MESSAGES.values(), ids=MESSAGES)
@given(cuts=st.lists(st.integers(0, 120), max_size=8), bodies=st.booleans())
def test_a_request_is_the_same_in_every_cut(data: bytes, body: bytes, cuts: list[int], bodies: bool) -> None:
    stream = data + b"GET"
    ends = sorted({min(cut, len(stream)) for cut in cuts})
    reader = _requests()
    events = _feed(reader, [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)], strict=True)], bodies=bodies)
    assert isinstance(events[0], RequestHead)
    assert events[1:] == [*([Body(body)] if body else []), END]
    assert reader.held == 3
    assert reader.next_message() == []
    assert reader.within_head


ODD = {
    "head": (_POST + b"Expect: x\r\n\r\nab", [], b"", _POST + b"Expect: x\r\n\r\nab"),
    "broken before its end": (b"GET / HTTP/1.1\nHost", [], b"", b"GET / HTTP/1.1\nHost"),
    "empty line in front": (b"\r\nGET", [], b"", b"\r\nGET"),
    "long first line": (b"GET /" + b"a" * 60, [], b"", b"GET /" + b"a" * 60),
    "long head": (_POST + b"x: " + b"a" * 200, [], b"", _POST + b"x: " + b"a" * 200),
    "extension": (_CHUNKED + b"1\r\na\r\n1;x\r\nb\r\n", [Body(b"a")], _CHUNKED, b"1;x\r\nb\r\n"),
    "bad size": (_CHUNKED + b"x", [], _CHUNKED, b"x"),
    "long size": (_CHUNKED + b"0" * 16, [], _CHUNKED, b"0" * 16),
    "no end of a chunk": (_CHUNKED + b"1\r\naXX", [Body(b"a")], _CHUNKED + b"1\r\nx", b"XX"),
    "trailers": (_CHUNKED + b"1\r\na\r\n0\r\nx: y\r\n\r\n", [Body(b"a")], _CHUNKED, b"0\r\nx: y\r\n\r\n"),
}


@pytest.mark.parametrize(("data", "body", "before", "rest"), ODD.values(), ids=ODD)
def test_what_is_odd_is_not_judged(data: bytes, body: list[Event], before: bytes, rest: bytes) -> None:
    reader = _requests()
    events = [event for event in reader.receive_data(data) if not isinstance(event, RequestHead)]
    assert events == [*body, NotMine(before, rest)]
    assert reader.receive_data(b"more") == []
    assert reader.receive_eof() == []
    assert reader.receive_body(b"more") is None


def test_receive_body_consumes_nothing_of_what_it_does_not_take() -> None:
    reader = _requests()
    assert reader.receive_body(_CHUNKED) is None
    reader.receive_data(_CHUNKED)
    odd = b"1\r\na\r\n1;x\r\nb\r\n"
    assert reader.receive_body(odd) is None
    assert reader.receive_data(odd) == [Body(b"a"), NotMine(_CHUNKED, b"1;x\r\nb\r\n")]


def test_receive_body_takes_each_framing() -> None:
    reader = _requests()
    reader.receive_data(_CHUNKED)
    for _ in range(2):
        assert reader.receive_body(b"3\r\nabc\r\n") == (b"abc", False)
    assert reader.receive_body(b"3\r\nabc\r\n1\r\nd\r\n2\r\ne") == (b"abcde", False)
    assert reader.receive_body(b"f\r") == (b"f", False)
    assert reader.receive_body(b"\n0\r\n") == (b"", False)
    assert reader.receive_body(b"\r\nGET") == (b"", True)
    assert reader.held == 3
    for last, held in ((b"3\r\nabc\r\n0\r\n\r\n", 0), (b"3\r\nabc\r\n0\r\n\r\nGET", 3)):
        reader = _requests()
        reader.receive_data(_CHUNKED)
        assert reader.receive_body(last) == (b"abc", True)
        assert (reader.state, reader.held) == (Inbound.DONE, held)
    reader = _requests()
    reader.receive_data(_CHUNKED)
    assert reader.receive_body(b"3\r\nabcXX0\r\n\r\n") is reader.receive_body(b"3\r\nabc\r\n0\r\nab") is None
    assert reader.receive_body(b"0\r\n\r\n") == (b"", True)
    reader = _requests()
    reader.receive_data(_POST + b"Content-Length: 4\r\n\r\n")
    assert reader.receive_body(b"abc") == (b"abc", False)
    assert reader.receive_body(b"dGET") == (b"d", True)
    assert reader.held == 3
    answers = _responses()
    answers.receive_data(_OK + b"\r\n")
    assert answers.receive_body(b"abc") == (b"abc", False)
    assert answers.receive_eof() == [EndOfMessage()]


def test_a_drip_of_a_head_is_waited_for_and_known() -> None:
    reader = _requests()
    for at in range(len(_POST)):
        assert reader.receive_data(_POST[at : at + 1]) == []
        assert reader.within_head
    assert len(reader.receive_data(b"\r\n")) == 2
    assert not reader.within_head


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", None),
        (b"GE", "head"),
        (_POST + b"\r\n", None),
        (_POST + b"Content-Length: 3\r\n\r\nab", "body"),
        (_CHUNKED, "body"),
        (_CHUNKED + b"1\r\na\r\n0\r\n", "body"),
    ],
)
def test_an_end_within_a_message_is_a_fault(data: bytes, fault: str | None) -> None:
    reader = _requests()
    reader.receive_data(data)
    ended = [] if fault is None else [Fault(400, f"the connection ended within a {fault}")]
    assert reader.receive_eof() == ended
    assert reader.ended
    assert reader.receive_eof() == []


def test_an_answer_is_expected_only_behind_a_request() -> None:
    reader = ResponseReader(LIMITS)
    assert reader.receive_eof() == []
    for data in (_OK + b"\r\n", b"H"):
        reader = ResponseReader(LIMITS)
        assert reader.receive_data(data) == [NotMine(b"", data)]
    reader = _responses()
    assert [type(event) for event in reader.receive_eof()] == [Fault]
    reader = _responses("HEAD")
    assert reader.receive_data(_OK + b"Content-Length: 4\r\n\r\n")[1:] == [END]
    reader.receive_data(_OK)
    assert reader.next_message() == [NotMine(b"", _OK)]


def test_the_close_is_read_from_each_head_anew() -> None:
    reader = _requests()
    reader.receive_data(_POST + b"Connection: close\r\n\r\n")
    assert reader.closes
    assert reader.state is Inbound.DONE
    reader.next_message()
    assert not reader.closes


def test_remembered_sizes_are_bounded() -> None:
    machine = _requests()
    machine.receive_data(_CHUNKED)
    for size in range(1, 5000):
        assert machine.receive_body(b"%x\r\n%b\r\n" % (size, bytes(size))) == (bytes(size), False)
    assert len(reading._sizes) <= reading._MOST_SIZES


def test_a_head_and_its_body_in_one_read_are_a_whole_message() -> None:
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
    reader = RequestReader(LIMITS)
    whole = reader.receive_data(data)
    assert whole[1:] == [Body(b"ab"), END]
    assert (reader.held, reader.is_empty()) == (0, True)
    cut = RequestReader(LIMITS)
    assert [*cut.receive_data(data[:-1]), *cut.receive_data(data[-1:])] == [whole[0], Body(b"a"), Body(b"b"), END]
    behind = RequestReader(LIMITS)
    assert behind.receive_data(data + b"c") == whole
    assert (behind.held, behind.is_empty()) == (1, False)
