"""Both engines against literal bytes and against each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.http.engine import (
    Body,
    EndOfMessage,
    Event,
    Fault,
    InformationalHead,
    Misuse,
    RequestHead,
    ResponseHead,
)
from ferryllm_net.http.h11_engine import ClientEngine, ServerEngine
from ferryllm_net.http.limits import Limits

_GET = b"GET /a HTTP/1.1\r\nHost: x\r\nX-Two:  b \r\n\r\n"


def _merge(events: list[Event]) -> list[Event]:
    """Bodies beside each other joined: where the cuts of a body are says nothing."""
    merged: list[Event] = []
    for event in events:
        if isinstance(event, Body) and merged and isinstance(last := merged[-1], Body):
            merged[-1] = Body(last.data + event.data)
        else:
            merged.append(event)
    return merged


def test_a_request_becomes_head_and_end() -> None:
    events = ServerEngine(Limits()).receive_data(_GET)
    assert events == [RequestHead("GET", "/a", [("host", "x"), ("x-two", "b")], "1.1"), EndOfMessage()]


def test_pipelined_requests_come_one_after_the_other() -> None:
    engine = ServerEngine(Limits())
    assert len(engine.receive_data(_GET + _GET + b"GE")) == 2
    assert engine.held == len(_GET) + 2
    assert not engine.reusable
    engine.send(ResponseHead(204, []))
    engine.send(EndOfMessage())
    assert engine.reusable
    assert len(engine.next_message()) == 2
    with pytest.raises(Misuse):
        engine.next_message()
    assert not engine.within_head
    engine.send(ResponseHead(204, []))
    engine.send(EndOfMessage())
    assert engine.next_message() == []
    assert engine.within_head


def test_events_before_a_fault_are_delivered_and_nothing_after_it() -> None:
    engine = ServerEngine(Limits())
    events = engine.receive_data(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
    assert [type(event) for event in events] == [RequestHead, Body, Fault]
    assert engine.receive_data(_GET) == []
    assert engine.receive_eof() == []
    assert not engine.reusable


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", False),
        (b"GET / HT", True),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab", True),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", True),
        (_GET, False),
    ],
)
def test_eof_is_a_fault_only_within_a_message_and_idempotent(data: bytes, fault: bool) -> None:
    engine = ServerEngine(Limits())
    engine.receive_data(data)
    assert [type(event) for event in engine.receive_eof()] == ([Fault] if fault else [])
    assert engine.receive_eof() == []


@given(st.lists(st.integers(0, 400), max_size=10))
def test_any_cut_of_a_request_gives_the_same_events(cuts: list[int]) -> None:
    stream = (
        b"POST /v1/messages?beta=true HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'7\r\n{"a":"b\r\n6;x=y\r\n"}\r\n\r\n\r\n0\r\nx-t: 1\r\n\r\n'
    )
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    engine, events, start = ServerEngine(Limits()), list[Event](), 0
    for end in ends:
        events += engine.receive_data(stream[start:end])
        start = end
    assert [type(event) for event in _merge(events)] == [RequestHead, Body, EndOfMessage]
    assert _merge(events)[1] == Body(b'{"a":"b"}\r\n\r\n')


RESPONSES = {
    "length": (b"content-length: 2\r\n\r\nab", [Body(b"ab"), EndOfMessage()], []),
    "cut length": (b"content-length: 3\r\n\r\nab", [Body(b"ab")], [Fault]),
    "chunked": (b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", [Body(b"ab"), EndOfMessage()], []),
    "no last chunk": (b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n", [Body(b"ab")], [Fault]),
    "until close": (b"\r\nab", [Body(b"ab")], [EndOfMessage]),
}


@pytest.mark.parametrize(("rest", "events", "at_end"), RESPONSES.values(), ids=RESPONSES)
@pytest.mark.parametrize("step", [1, 1000])
def test_answers_in_each_framing(rest: bytes, events: list[Event], at_end: list[type], step: int) -> None:
    engine = ClientEngine(Limits())
    engine.send(RequestHead("GET", "/", [("host", "x")]))
    engine.send(EndOfMessage())
    data = b"HTTP/1.1 200 OK\r\n" + rest
    got: list[Event] = []
    for start in range(0, len(data), step):
        got += engine.receive_data(data[start : start + step])
    assert isinstance(got[0], ResponseHead)
    assert _merge(got[1:]) == events
    assert [type(event) for event in engine.receive_eof()] == at_end


def test_two_engines_speak_with_each_other() -> None:
    client, server = ClientEngine(Limits()), ServerEngine(Limits())
    for _ in range(3):
        out = client.send(RequestHead("POST", "/v1/x", [("host", "x"), ("content-length", "3")]))
        events = server.receive_data(out + client.send(Body(b"abc")) + client.send(EndOfMessage()))
        assert [type(event) for event in events] == [RequestHead, Body, EndOfMessage]
        back = server.send(InformationalHead(103, [])) + server.send(ResponseHead(200, [("a", "\xe4")]))
        back += server.send(Body(b"x")) + server.send(Body(b"y")) + server.send(EndOfMessage())
        got = client.receive_data(back)
        assert got[0] == InformationalHead(103, [])
        assert isinstance(got[1], ResponseHead)
        assert got[1].headers[0] == ("a", "\xe4")
        assert _merge(got[2:]) == [Body(b"xy"), EndOfMessage()]
        assert client.next_message() == []
        assert server.next_message() == []


def test_an_uninvited_answer_is_held_and_spoils_nothing_silently() -> None:
    engine = ClientEngine(Limits())
    engine.send(RequestHead("GET", "/", [("host", "x")]))
    engine.send(EndOfMessage())
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
    assert len(engine.receive_data(answer + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nEVIL")) == 2
    assert engine.reusable
    assert engine.held


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\0", "a\x7f", "\u20ac", "a\x1bb"])
def test_injection_by_a_value_is_refused(value: str) -> None:
    for engine, head in (
        (ServerEngine(Limits()), ResponseHead(200, [("x", value)])),
        (ClientEngine(Limits()), RequestHead("GET", "/", [("host", "x"), ("x", value)])),
    ):
        if isinstance(engine, ServerEngine):
            engine.receive_data(_GET)
        with pytest.raises(Misuse):
            engine.send(head)


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\n", "\xe4"])
def test_injection_by_a_name_is_refused(name: str) -> None:
    with pytest.raises(Misuse):
        ClientEngine(Limits()).send(RequestHead("GET", "/", [("host", "x"), (name, "1")]))


@pytest.mark.parametrize(
    ("method", "target"),
    [("GET", "/a b"), ("GET", "/\r\n"), ("GET", ""), ("GET", "/\xe4"), ("G T", "/"), ("", "/")],
)
def test_injection_by_method_or_target_is_refused(method: str, target: str) -> None:
    with pytest.raises(Misuse):
        ClientEngine(Limits()).send(RequestHead(method, target, [("host", "x")]))


def test_bodies_that_do_not_fit_their_length_are_refused() -> None:
    engine = ServerEngine(Limits())
    engine.receive_data(_GET)
    engine.send(ResponseHead(200, [("content-length", "2")]))
    with pytest.raises(Misuse):
        engine.send(Body(b"abc"))


def test_a_fault_and_a_head_in_the_wrong_place_cannot_be_sent() -> None:
    engine = ServerEngine(Limits())
    engine.receive_data(_GET)
    with pytest.raises(Misuse):
        engine.send(Fault(400, "x"))
    engine.send(ResponseHead(204, []))
    with pytest.raises(Misuse):
        engine.send(ResponseHead(204, []))


def test_a_client_that_waits_for_continue_is_known_until_it_sends() -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    engine = ServerEngine(Limits())
    engine.receive_data(head)
    assert engine.expects_continue
    assert engine.send(InformationalHead(100, [])).startswith(b"HTTP/1.1 100 Continue\r\n")
    assert not engine.expects_continue
    eager = ServerEngine(Limits())
    eager.receive_data(head + b"ab")
    assert not eager.expects_continue


_UPGRADE = b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def test_a_switch_gives_the_101_and_what_came_behind_the_request() -> None:
    engine = ServerEngine(Limits())
    assert isinstance(engine.receive_data(_UPGRADE + b"\x81\x80early")[0], RequestHead)
    head, behind = engine.switch([("upgrade", "websocket"), ("connection", "Upgrade")])
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert behind == b"\x81\x80early"
    assert not engine.reusable
    assert engine.receive_data(b"GET / HTTP/1.1\r\n") == engine.receive_eof() == []
    with pytest.raises(Misuse):
        engine.next_message()


def test_a_switch_has_to_be_asked_for_and_to_wait_for_the_request() -> None:
    engine = ServerEngine(Limits())
    with pytest.raises(Misuse):
        engine.switch([])
    engine.receive_data(_GET)
    with pytest.raises(Misuse):
        engine.switch([])
    engine = ServerEngine(Limits())
    engine.receive_data(_UPGRADE[:-2] + b"Content-Length: 3\r\n\r\nab")
    with pytest.raises(Misuse):
        engine.switch([])


def test_an_upgrade_that_is_not_taken_is_an_ordinary_request() -> None:
    engine = ServerEngine(Limits())
    engine.receive_data(_UPGRADE + _GET)
    engine.send(ResponseHead(426, [("content-length", "0")]))
    engine.send(EndOfMessage())
    assert engine.reusable
    assert isinstance(engine.next_message()[0], RequestHead)


def test_two_framings_of_one_message_are_never_sent() -> None:
    both = [("content-length", "3"), ("transfer-encoding", "chunked")]
    engine = ServerEngine(Limits())
    engine.receive_data(_GET)
    with pytest.raises(Misuse, match="transfer-encoding"):
        engine.send(ResponseHead(200, both))
    with pytest.raises(Misuse, match="transfer-encoding"):
        ClientEngine(Limits()).send(RequestHead("POST", "/", [("host", "x"), *both]))


def test_an_answer_that_nobody_asked_for_is_a_fault() -> None:
    for data in (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"H"):
        engine = ClientEngine(Limits())
        assert engine.receive_data(data) == [Fault(502, "an answer that nobody asked for")]
        assert engine.receive_data(data) == []


def test_a_chunked_request_may_have_trailers() -> None:
    engine = ClientEngine(Limits())
    engine.send(RequestHead("POST", "/", [("host", "x"), ("transfer-encoding", "chunked")]))
    assert engine.send(EndOfMessage([("x-sum", "1")])) == b"0\r\nx-sum: 1\r\n\r\n"
