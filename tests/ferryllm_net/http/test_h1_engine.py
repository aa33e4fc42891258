"""From the fast gear to the other: at every point of a connection, without a byte or a state lost."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref

import pytest

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
from ferryllm_net.http.h1_engine import ClientEngine, ServerEngine
from ferryllm_net.http.limits import Limits

_GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
_CHUNKED = b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_OK = b"HTTP/1.1 200 OK\r\n"


def _client(method: str = "GET") -> ClientEngine:
    engine = ClientEngine(Limits())
    engine.send(RequestHead(method, "/", [("host", "x")]))
    engine.send(EndOfMessage())
    return engine


def _types(events: list[Event]) -> list[type]:
    return [type(event) for event in events]


def test_common_messages_never_load_h11() -> None:
    program = (
        "import sys; from ferryllm_net.http.h1_engine import *; from ferryllm_net.http.limits import Limits\n"
        "engine = ServerEngine(Limits())\n"
        f"assert len(engine.receive_data({_GET!r})) == 2\n"
        "assert 'h11' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize("make", [ServerEngine, ClientEngine])
def test_an_engine_is_free_with_its_connection(make: type[ServerEngine] | type[ClientEngine]) -> None:
    engine = make(Limits())
    engine.receive_data(_GET[:9])
    machine = weakref.ref(engine._machine)
    assert engine.common is (make is ServerEngine)
    gc.disable()
    try:
        del engine
        assert machine() is None, "it waits for the collector"
    finally:
        gc.enable()


def test_a_server_goes_on_in_the_other_gear_from_an_uncommon_head() -> None:
    engine = ServerEngine(Limits())
    engine.receive_data(_GET)
    engine.send(ResponseHead(204, []))
    engine.send(EndOfMessage())
    assert engine.next_message() == []
    assert engine.common
    events = engine.receive_data(b"POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert _types(events) == [RequestHead]
    assert not engine.common
    assert engine.expects_continue
    assert engine.send(InformationalHead(100, [])).startswith(b"HTTP/1.1 100 ")
    assert engine.receive_body(b"ab") is None
    assert _types(engine.receive_data(b"ab" + _GET)) == [Body, EndOfMessage]
    assert engine.held == len(_GET)
    engine.send(ResponseHead(200, [("content-length", "2")]))
    assert engine.frame(b"ab") == b"ab"
    engine.send(EndOfMessage())
    assert engine.reusable
    assert _types(engine.next_message()) == [RequestHead, EndOfMessage]


def test_an_uncommon_head_that_was_held_is_read_in_its_turn() -> None:
    engine = ServerEngine(Limits())
    assert len(engine.receive_data(_GET + b"GET / HTTP/1.0\r\n\r\n" + b"x")) == 2
    assert engine.common
    engine.send(ResponseHead(204, []))
    engine.send(EndOfMessage())
    events = engine.next_message()
    assert isinstance(events[0], RequestHead)
    assert events[0].http_version == "1.0"
    assert engine.held == 1


ANSWERS: dict[str, tuple[list[Event], bytes]] = {
    "none": ([], b""),
    "head": ([ResponseHead(200, [])], b""),
    "chunks": ([ResponseHead(200, []), Body(b"one")], b"3\r\ntwo\r\n"),
    "length": ([ResponseHead(200, [("content-length", "100006")]), Body(bytes(100_003))], b"two"),
    "whole": ([ResponseHead(200, [("content-length", "0")]), EndOfMessage()], b""),
}


@pytest.mark.parametrize(("sent", "more"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("behind", [b"3;x=y\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n"])
def test_a_server_changes_gear_within_a_body_whatever_it_has_answered(
    sent: list[Event], more: bytes, behind: bytes
) -> None:
    engine = ServerEngine(Limits())
    assert _types(engine.receive_data(_CHUNKED + b"2\r\nzz\r\n")) == [RequestHead, Body]
    for event in sent:
        engine.send(event)
    assert engine.common
    events = [event for at in range(len(behind)) for event in engine.receive_data(behind[at : at + 1])]
    assert not engine.common
    assert b"".join([event.data for event in events if isinstance(event, Body)]) == b"abc"
    assert isinstance(events[-1], EndOfMessage)
    if not sent:
        engine.send(ResponseHead(204, []))
    if more:
        assert engine.frame(b"two") == more
    if EndOfMessage() not in sent:
        engine.send(EndOfMessage())
    assert engine.reusable
    assert engine.next_message() == []
    assert _types(engine.receive_data(_GET)) == [RequestHead, EndOfMessage]


def test_a_chunk_without_its_end_is_refused_also_when_its_data_has_been_given() -> None:
    engine = ServerEngine(Limits())
    assert _types(engine.receive_data(_CHUNKED + b"3\r\nabc")) == [RequestHead, Body]
    assert engine.receive_body(b"XX") is None
    assert _types(engine.receive_data(b"XX")) == [Fault]
    assert engine.receive_data(_GET) == engine.receive_eof() == []
    assert not engine.reusable


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + _OK + b"Content-Length: 2\r\n\r\nab", b"ab"),
        (_OK + b"X: \xe4\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n0\r\n\r\n", b"ab"),
    ],
)
def test_a_client_goes_on_in_the_other_gear_with_its_request_known(answer: bytes, body: bytes) -> None:
    engine = _client()
    assert engine.common
    events = engine.receive_data(answer)
    assert not engine.common
    assert b"".join([event.data for event in events if isinstance(event, Body)]) == body
    assert isinstance(events[-1], EndOfMessage)
    assert engine.reusable is answer.startswith(b"HTTP/1.1")


def test_the_method_is_known_behind_the_change_of_gear() -> None:
    engine = _client("HEAD")
    assert _types(engine.receive_data(_OK + b"X: \xe4\r\nContent-Length: 9\r\n\r\n")) == [ResponseHead, EndOfMessage]
    assert engine.reusable


def test_an_early_answer_in_the_other_gear_leaves_the_rest_of_the_request_to_be_sent() -> None:
    engine = ClientEngine(Limits())
    engine.send(RequestHead("POST", "/", [("host", "x"), ("content-length", "6")]))
    engine.frame(b"abc")
    assert len(engine.receive_data(b"HTTP/1.1 100 Continue\r\n\r\n" + _OK + b"Content-Length: 0\r\n\r\n")) == 3
    assert not engine.reusable
    assert engine.frame(b"def") == b"def"
    with pytest.raises(Misuse):
        engine.frame(b"g")


def test_an_uncommon_request_is_sent_in_the_other_gear() -> None:
    engine = ClientEngine(Limits())
    head = [("host", "x"), ("connection", "Upgrade"), ("upgrade", "websocket")]
    assert engine.send(RequestHead("GET", "/", head)).startswith(b"GET / HTTP/1.1\r\n")
    assert not engine.common
    with pytest.raises(Misuse):
        engine.send(RequestHead("GET", "/", head))


def test_an_answer_to_nothing_is_a_fault() -> None:
    engine = ClientEngine(Limits())
    assert _types(engine.receive_data(_OK + b"Content-Length: 0\r\n\r\n")) == [Fault]
    engine = _client()
    engine.receive_data((_OK + b"Content-Length: 0\r\n\r\n") * 2)
    assert engine.held
    assert _types(engine.next_message()) == [Fault]


def test_an_end_is_told_in_each_gear() -> None:
    for data in (b"", b"X: \xe4\r\n"):
        engine = _client()
        engine.receive_data(_OK + data + b"\r\nab")
        assert not engine.ended
        assert _types(engine.receive_eof()) == [EndOfMessage]
        assert engine.ended
        assert engine.receive_eof() == []
        assert not engine.reusable


def test_a_switch_has_to_be_asked_for() -> None:
    engine = ServerEngine(Limits())
    with pytest.raises(Misuse):
        engine.switch([])
    engine.receive_data(_GET)
    with pytest.raises(Misuse):
        engine.switch([])
    engine = ServerEngine(Limits())
    engine.receive_data(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81")
    head, behind = engine.switch([("upgrade", "websocket"), ("connection", "Upgrade")])
    assert head.startswith(b"HTTP/1.1 101 ")
    assert behind == b"\x81"


def test_within_head_is_known_in_each_gear() -> None:
    engine = ServerEngine(Limits())
    assert not engine.within_head
    engine.receive_data(b"GET")
    assert engine.within_head
    assert engine.common
    engine.receive_data(b" / HTTP/1.1\r\nX:\0")
    assert not engine.within_head
    engine = ServerEngine(Limits())
    engine.receive_data(b"\r\nGET")
    assert not engine.common
    assert engine.within_head
