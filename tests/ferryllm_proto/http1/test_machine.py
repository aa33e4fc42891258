"""Both sides of a connection: who may say what when, and when the connection can be used again."""

from __future__ import annotations

import gc
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.http1 import (
    END,
    Body,
    ClientMachine,
    EndOfMessage,
    Event,
    Fault,
    HeadLimits,
    InformationalHead,
    Misuse,
    NotMine,
    RequestHead,
    ResponseHead,
    Sent,
    ServerMachine,
)

LIMITS = HeadLimits(1000, 4000, 20)
_GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_ASK = RequestHead("GET", "/", [("host", "a")])
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def _server(data: bytes = _GET) -> ServerMachine:
    machine = ServerMachine(LIMITS)
    machine.receive_data(data)
    return machine


def _client() -> ClientMachine:
    machine = ClientMachine(LIMITS)
    machine.send(_ASK)
    machine.send(END)
    return machine


def test_messages_go_from_one_machine_to_the_other_and_back() -> None:
    server, client = ServerMachine(LIMITS), ClientMachine(LIMITS)
    for _ in range(3):
        wire = b"".join([client.send(event) or b"" for event in (_ASK, END)])
        assert server.receive_data(wire) == [_ASK, END]
        back = b"".join([server.send(event) or b"" for event in (ResponseHead(200, []), Body(b"a"), Body(b""), END)])
        events = client.receive_data(back)
        assert events == [ResponseHead(200, [("transfer-encoding", "chunked")]), Body(b"a"), END]
        assert server.next_message() == client.next_message() == []


@given(st.lists(st.binary(max_size=30), max_size=6), st.booleans(), st.integers(1, 40))
def test_a_body_comes_through_in_every_framing_and_cut(parts: list[bytes], fixed: bool, step: int) -> None:
    server, client = _server(), _client()
    headers = [("content-length", str(sum(map(len, parts))))] if fixed else []
    wire = (server.send(ResponseHead(200, headers)) or b"") + b"".join(map(server.frame, parts))
    wire += server.send(END) or b""
    body, ended = b"", False
    for at in range(0, len(wire), step):
        piece = wire[at : at + step]
        taken = client.receive_body(piece)
        if taken is not None:
            body, ended = body + taken[0], taken[1]
            continue
        for event in client.receive_data(piece):
            assert not isinstance(event, NotMine | Fault)
            body += event.data if isinstance(event, Body) else b""
            ended = ended or isinstance(event, EndOfMessage)
    assert ended
    assert body == b"".join(parts)
    assert client.reusable
    assert server.reusable


@pytest.mark.parametrize("event", [_ASK, Body(b"a"), END, Fault(400, "x")])
def test_a_server_sends_nothing_else_before_its_head(event: Event) -> None:
    machine = _server()
    with pytest.raises(Misuse):
        machine.send(event)
    assert machine.send(ResponseHead(204, [])) is not None


@pytest.mark.parametrize("event", [ResponseHead(200, []), InformationalHead(103, [])])
def test_a_server_answers_only_a_request_and_only_once(event: Event) -> None:
    with pytest.raises(Misuse, match="before a request"):
        ServerMachine(LIMITS).send(event)
    machine = _server()
    machine.send(InformationalHead(103, [("link", "x")]))
    machine.send(ResponseHead(200, []))
    with pytest.raises(Misuse):
        machine.send(event)


@pytest.mark.parametrize("event", [ResponseHead(200, []), InformationalHead(103, []), Fault(502, "x"), Body(b"a"), END])
def test_a_client_begins_with_a_request(event: Event) -> None:
    machine = ClientMachine(LIMITS)
    with pytest.raises(Misuse):
        machine.send(event)
    machine.send(_ASK)
    with pytest.raises(Misuse):
        machine.send(_ASK)


def test_a_request_that_is_not_common_changes_nothing() -> None:
    machine = ClientMachine(LIMITS)
    assert machine.send(RequestHead("GET", "/", [("host", "a"), ("upgrade", "x")])) is None
    assert machine.send(_ASK) is not None


def test_a_machine_that_is_retired_says_what_was_sent_and_does_nothing_more() -> None:
    assert ClientMachine(LIMITS).retire() == Sent(None, 0, False)
    head = ResponseHead(200, [("content-length", "5")])
    machine = _server()
    machine.send(head)
    machine.frame(b"abc")
    frame, receive_body = machine.frame, machine.receive_body
    assert machine.retire() == Sent(head, 3, False)
    with pytest.raises(Misuse):
        frame(b"de")
    assert receive_body(b"x") is None
    assert machine.receive_data(_GET) == machine.receive_eof() == []
    assert not machine.reusable


@pytest.mark.parametrize(
    ("request_field", "response"),
    [(b"Connection: close\r\n", []), (b"", [("connection", "close")])],
)
def test_a_close_of_either_side_ends_the_connection(request_field: bytes, response: list[tuple[str, str]]) -> None:
    machine = _server(_GET[:-2] + request_field + b"\r\n" + _GET)
    wire = machine.send(ResponseHead(204, response)) or b""
    assert b"connection: close\r\n" in wire
    machine.send(END)
    assert not machine.reusable
    with pytest.raises(Misuse):
        machine.next_message()
    client = _client()
    client.receive_data(wire)
    assert not client.reusable


def test_a_connection_is_reusable_when_both_messages_are_complete() -> None:
    machine = _server(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
    machine.send(ResponseHead(204, []))
    machine.send(END)
    assert not machine.reusable
    assert machine.receive_data(b"b" + _GET[:5]) == [Body(b"b"), END]
    assert machine.held == 5
    assert machine.reusable
    machine.next_message()
    assert machine.within_head
    machine = _server()
    assert machine.receive_eof() == []
    assert machine.ended
    machine.send(ResponseHead(204, []))
    machine.send(END)
    assert not machine.reusable


def test_a_client_reads_no_answer_that_it_did_not_ask_for() -> None:
    assert ClientMachine(LIMITS).receive_data(_OK) == [NotMine(b"", _OK)]
    machine = _client()
    assert len(machine.receive_data(_OK + _OK)) == 2
    assert machine.held == len(_OK)
    assert machine.next_message() == [NotMine(b"", _OK)]


def test_a_turn_is_taken_where_the_connection_stays_and_not_before() -> None:
    machine = _server(_GET + _GET)
    assert machine.turn() is None
    assert machine.answer(200, [("x", "y")], b"a", "now")
    events = machine.turn()
    assert events is not None
    assert [type(event) for event in events] == [RequestHead, EndOfMessage]


_BODIES = st.binary(max_size=9)
_ANSWERS = st.lists(
    st.tuples(st.sampled_from(["x", "content-type", "X-Id", "a b"]), st.sampled_from(["1", "", " 2", "\xe4", "\n"]))
    | st.sampled_from([("connection", "close"), ("Date", "then"), ("transfer-encoding", "chunked"), ("host", "a")]),
    max_size=3,
)


@given(
    st.sampled_from([_GET, _GET.replace(b"GET", b"HEAD"), _GET[:-2] + b"Connection: close\r\n\r\n", _GET[:-2], b""]),
    st.sampled_from([200, 200, 404, 204, 304, 103, 529, 1000]),
    _ANSWERS,
    _BODIES,
)
def test_an_answer_in_one_is_what_its_events_are_or_none(
    asked: bytes, status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    short, long = _server(asked), _server(asked)
    events: list[Event] = [
        ResponseHead(status, [*headers, ("content-length", str(len(body))), ("date", "now")]),
        Body(body),
        END,
    ]

    def steps() -> bytes:
        return b"".join([long.send(event) or b"" for event in events])

    try:
        data = short.answer(status, headers, body, "now")
    except Misuse:
        with pytest.raises(Misuse):
            steps()
        data = None
    if data is not None:
        assert data == steps()
        assert short.reusable is long.reusable is True
        assert short.turn() == long.turn()
        assert short.receive_data(_GET) == long.receive_data(_GET)
    elif asked == _GET:
        assert short.answer(200, [("x", "y")], b"", "now") is not None, "something has changed"


@given(
    st.sampled_from([_GET, _GET.replace(b"GET", b"HEAD"), _GET[:-2] + b"Connection: close\r\n\r\n", _GET[:-2], b""]),
    st.sampled_from([b"", _GET, _GET[:9]]),
    st.booleans(),
    st.sampled_from([200, 200, 404, 204, 304, 103, 529, 1000]),
    _ANSWERS,
    _BODIES,
)
def test_an_answer_and_a_turn_in_one_are_both_or_neither(
    asked: bytes, behind: bytes, ended: bool, status: int, headers: list[tuple[str, str]], body: bytes
) -> None:
    short, long = _server(asked + behind), _server(asked + behind)
    if ended:
        assert short.receive_eof() == long.receive_eof()
    data: bytes | None = None
    try:
        data = short.answer_and_turn(status, headers, body, "now")
    except Misuse:
        with pytest.raises(Misuse):
            long.answer(status, headers, body, "now")
    if data is not None:
        assert data == long.answer(status, headers, body, "now")
        assert long.turn() == []
    elif asked == _GET and not behind and not ended:
        assert short.answer_and_turn(200, [("x", "y")], b"", "now") is not None, "something has changed"
        assert long.answer(200, [("x", "y")], b"", "now") is not None
        assert long.turn() == []
    assert short.receive_data(_GET) == long.receive_data(_GET)
    assert (short.reusable, short.held) == (long.reusable, long.held)
    assert short.answer(200, [("x", "y")], b"", "now") == long.answer(200, [("x", "y")], b"", "now")


@given(
    st.sampled_from([_GET, _GET.replace(b"GET", b"HEAD"), _GET[:-2] + b"Connection: close\r\n\r\n", b""]),
    st.sampled_from([200, 200, 404, 204, 304, 103, 1000]),
    _ANSWERS,
    st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=3),
    st.binary(max_size=3),
)
def test_a_stream_that_is_begun_in_one_is_what_its_events_are_or_none(
    asked: bytes, status: int, headers: list[tuple[str, str]], pieces: list[bytes], last: bytes
) -> None:
    short, long = _server(asked), _server(asked)
    assert short.finish(b"") is None

    def steps() -> bytes:
        head = ResponseHead(status, [*headers, ("date", "now")])
        events: list[Event] = [head, *map(Body, pieces), Body(last), END]
        return b"".join([long.send(event) or b"" for event in events])

    try:
        data = short.begin(status, headers, pieces[0], "now")
    except Misuse:
        with pytest.raises(Misuse):
            steps()
        data = None
    if data is not None:
        data += b"".join(map(short.frame, pieces[1:]))
        assert data + (short.finish(last) or b"") == steps()
        assert short.reusable is long.reusable is True
        assert short.finish(b"") is None
    elif asked == _GET:
        assert short.begin(200, [("x", "y")], b"a", "now") is not None, "something has changed"


def test_a_body_of_known_length_is_not_finished_as_chunks() -> None:
    machine = _server()
    machine.send(ResponseHead(200, [("content-length", "2")]))
    assert machine.finish(b"ab") is None
    assert machine.frame(b"ab") == b"ab"


@pytest.mark.parametrize("data", [_GET[:9], _GET.replace(b"Host", b"Content-Length: 1\r\nHost"), b""])
def test_an_answer_in_one_is_for_a_request_that_is_complete(data: bytes) -> None:
    assert _server(data).answer(200, [("x", "y")], b"a", "now") is None
    assert _server(data).begin(200, [("x", "y")], b"a", "now") is None


@pytest.mark.parametrize(("behind", "renewed"), [(b"", True), (b"x", False)])
def test_a_client_is_renewed_where_nothing_came_behind_the_answer(behind: bytes, renewed: bool) -> None:
    client = _client()
    assert not client.renew()
    client.receive_data(_OK + behind)
    assert client.renew() is renewed
    assert client.held == len(behind)


@pytest.mark.parametrize("kind", [ServerMachine, ClientMachine])
def test_a_machine_is_gone_with_its_connection(kind: type[ServerMachine | ClientMachine]) -> None:
    # One of them is kept for each connection: a cycle would keep what it has read until the collector comes by.
    gc.disable()
    try:
        machine = kind(LIMITS)
        gone = weakref.ref(machine)
        del machine
        assert gone() is None
    finally:
        gc.enable()
