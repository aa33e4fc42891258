"""Our machine against h11: generated messages, good and damaged, mean the same to both.

h11 behind the guard is the judge of everything; h11 alone is the oracle for what the machine takes by itself. What is
written is read back by h11 in the other role. `scripts/test --deep` runs many more examples.
"""

from __future__ import annotations

import h11
import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.http import h1_engine, h11_engine
from ferryllm_net.http.engine import (
    Body,
    EndOfMessage,
    Engine,
    Event,
    Headers,
    Misuse,
    RequestHead,
    ResponseHead,
)
from ferryllm_proto.http1 import HeadLimits, NotMine, ServerMachine
from support.http1_requests import GROUPS as REQUEST_GROUPS
from support.http1_responses import GROUPS as RESPONSE_GROUPS
from support.http1_rows import LIMITS, judge_requests, judge_response, pieces

_TOKEN = st.text("abXY019-_.!~", min_size=1, max_size=8)
_VALUE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
_PLAIN = st.tuples(_TOKEN.map(lambda name: "x-" + name), _VALUE)
_BODY = st.binary(max_size=40)
_KEEP = st.sampled_from([[], [], [("Connection", "keep-alive")], [("connection", "close")]])

_NOISE = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b"\0",
            b"\x7f",
            b" ",
            b"\t",
            b":",
            b",",
            b";",
            b"0",
            b"+",
            b"x",
            b"\xff",
            b"\r\n ",
            b"\r\n\r\n",
        ),
        *(b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"Connection: close\r\n"),
        *(
            b"Expect: 100-continue\r\n",
            b"Upgrade: x\r\n",
            b"HTTP/1.0",
            b"0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
    ]
)


def _fields(headers: Headers) -> bytes:
    return b"".join([f"{name}: {value}\r\n".encode("latin-1") for name, value in headers])


@st.composite
def _framed(draw: st.DrawFn) -> tuple[Headers, bytes]:
    """Fields of a framing, and a body in it."""
    body = draw(_BODY)
    if draw(st.booleans()):
        return [("Content-Length", str(len(body)))], body
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(body) - 1)), max_size=3)))
    chunks = [piece for piece in pieces(body, [cut for cut in cuts if cut < len(body)]) if piece]
    framed = b"".join([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in chunks]) + b"0\r\n\r\n"
    return [("Transfer-Encoding", "chunked")], framed


@st.composite
def _request(draw: st.DrawFn) -> bytes:
    framing, body = draw(st.one_of(st.just((list[tuple[str, str]](), b"")), _framed()))
    fields = [
        *draw(st.lists(_PLAIN, max_size=3)),
        *draw(_KEEP),
        *framing,
        ("Host", draw(st.sampled_from(["a", "b:80"]))),
    ]
    method = draw(st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"]))
    target = "/" + draw(st.text("ab/?=&%20.~", max_size=10))
    head = f"{method} {target} HTTP/1.1\r\n".encode() + _fields(draw(st.permutations(fields)))
    return head + b"\r\n" + body


@st.composite
def _response(draw: st.DrawFn) -> bytes:
    framing, body = draw(st.one_of(_framed(), st.tuples(st.just(list[tuple[str, str]]()), _BODY)))
    status = draw(st.sampled_from([200, 200, 200, 201, 404, 429, 500, 204, 304]))
    fields = [*draw(st.lists(_PLAIN, max_size=3)), *draw(_KEEP), *framing]
    return f"HTTP/1.1 {status} Reason\r\n".encode() + _fields(draw(st.permutations(fields))) + b"\r\n" + body


@st.composite
def _damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """``data`` with a few changes."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        noise = draw(_NOISE)
        kind = draw(st.integers(0, 3))
        if kind == 0:
            data = data[:at] + noise + data[at:]
        elif kind == 1:
            data = data[:at] + noise + data[at + len(noise) :]
        elif kind == 2:
            data = data[:at] + data[at + draw(st.integers(1, 8)) :]
        else:
            data = data[:at] + data[max(0, at - draw(st.integers(1, 30))) :]
    return data


def _cut(data: st.DataObject, stream: bytes) -> list[bytes]:
    return pieces(stream, sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5))))


def _oracle(
    data: bytes, role: type[h11.SERVER] | type[h11.CLIENT], eof: bool
) -> tuple[Headers, bytes, tuple[bytes, ...]]:
    """What h11 alone makes of one message: fields, body, and what stands in the first line."""
    connection = h11.Connection(role)
    if role is h11.CLIENT:
        connection.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
        connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    if eof:
        connection.receive_data(b"")
    head = connection.next_event()
    assert isinstance(head, h11.Request | h11.Response)
    fields = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
    body = b""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Data):
            body += bytes(event.data)
        else:
            assert type(event) is h11.EndOfMessage, event
            break
    first = (head.method, head.target) if isinstance(head, h11.Request) else (str(head.status_code).encode(),)
    return fields, body, first


@given(st.lists(_request(), min_size=1, max_size=3), st.data())
def test_common_requests_are_taken_by_the_machine_and_mean_what_h11_says(
    stream: list[bytes], data: st.DataObject
) -> None:
    engine = h1_engine.ServerEngine(LIMITS)
    verdict, heads = judge_requests(engine, _cut(data, b"".join(stream)), False)
    assert engine.common
    assert verdict.messages
    assert len(verdict.messages) == len(stream) or not verdict.messages[-1].stays
    for raw, asked, fields in zip(stream, verdict.messages, heads, strict=False):
        its_fields, body, first = _oracle(raw, h11.SERVER, False)
        assert (asked.body, fields) == (body, its_fields)
        assert (asked.method.encode(), asked.target.encode()) == first  # type: ignore[union-attr] # of a server


@given(_response(), st.data())
def test_common_responses_are_taken_by_the_machine_and_mean_what_h11_says(raw: bytes, data: st.DataObject) -> None:
    engine = h1_engine.ClientEngine(LIMITS)
    verdict, heads = judge_response(engine, "GET", _cut(data, raw), True)
    assert engine.common
    fields, body, first = _oracle(raw, h11.CLIENT, True)
    assert (verdict.messages[0].body, heads[0]) == (body, fields)
    assert str(verdict.messages[0].status).encode() == first[0]  # type: ignore[union-attr] # of a client


@given(st.lists(_request(), min_size=1, max_size=3), st.data())
def test_damaged_requests_have_the_verdict_of_guard_and_h11(stream: list[bytes], data: st.DataObject) -> None:
    raw = data.draw(_damaged(b"".join(stream)))
    eof = data.draw(st.booleans())
    ours = judge_requests(h1_engine.ServerEngine(LIMITS), _cut(data, raw), eof)
    assert ours == judge_requests(h11_engine.ServerEngine(LIMITS), [raw], eof)


@given(_response(), st.sampled_from(["GET", "HEAD", "POST"]), st.data())
def test_damaged_responses_have_the_verdict_of_guard_and_h11(raw: bytes, method: str, data: st.DataObject) -> None:
    raw = data.draw(_damaged(raw))
    eof = data.draw(st.booleans())
    ours = judge_response(h1_engine.ClientEngine(LIMITS), method, _cut(data, raw), eof)
    assert ours == judge_response(h11_engine.ClientEngine(LIMITS), method, [raw], eof)


_REQUEST_ROWS = [row.data for rows in REQUEST_GROUPS.values() for row in rows]
_RESPONSE_ROWS = [(row.method, row.data) for rows in RESPONSE_GROUPS.values() for row in rows]


@given(st.lists(st.sampled_from(_REQUEST_ROWS), min_size=1, max_size=3), st.data())
def test_damaged_rows_of_the_table_have_one_verdict(rows: list[bytes], data: st.DataObject) -> None:
    raw = data.draw(_damaged(b"".join(rows)))
    ours = judge_requests(h1_engine.ServerEngine(LIMITS), _cut(data, raw), True)
    assert ours == judge_requests(h11_engine.ServerEngine(LIMITS), [raw], True)


@given(st.sampled_from(_RESPONSE_ROWS), st.data())
def test_damaged_responses_of_the_table_have_one_verdict(row: tuple[str, bytes], data: st.DataObject) -> None:
    method, raw = row[0], data.draw(_damaged(row[1]))
    ours = judge_response(h1_engine.ClientEngine(LIMITS), method, _cut(data, raw), True)
    assert ours == judge_response(h11_engine.ClientEngine(LIMITS), method, [raw], True)


@given(_request(), st.data())
def test_what_the_machine_takes_of_a_damaged_request_h11_alone_takes_too(raw: bytes, data: st.DataObject) -> None:
    raw = data.draw(_damaged(raw))
    machine = ServerMachine(HeadLimits(LIMITS.request_line_bytes, LIMITS.head_bytes, LIMITS.head_fields))
    events = machine.receive_data(raw)
    if EndOfMessage() not in events or isinstance(events[-1], NotMine):
        return
    head = events[0]
    assert isinstance(head, RequestHead)
    fields, body, first = _oracle(raw, h11.SERVER, False)
    assert (fields, first) == (head.headers, (head.method.encode(), head.target.encode()))
    assert body == b"".join([event.data for event in events if isinstance(event, Body)])


_SENT_VALUE = st.text(st.sampled_from("ab \t,\xe4~\x7f\r\n\0\u20ac"), max_size=6)
_SENT = st.lists(
    st.one_of(
        _PLAIN,
        _PLAIN,
        st.tuples(st.sampled_from(["X-A", "a b", "", "b:", "Date"]), _SENT_VALUE),
        st.tuples(
            st.sampled_from(["Content-Length", "content-length"]), st.sampled_from(["3", "3", "03", "x", "", " 3"])
        ),
        st.tuples(st.just("Connection"), st.sampled_from(["close", "keep-alive", "X-Hop", "x, CLOSE"])),
        st.tuples(st.just("Transfer-Encoding"), st.sampled_from(["chunked", "Chunked", "gzip"])),
    ),
    max_size=5,
)


def _said(engine: Engine, events: list[Event]) -> bytes | None:
    """The bytes of a message, None when it is refused."""
    try:
        return b"".join([engine.send(event) for event in events])
    except Misuse:
        return None


def _one_order(headers: Headers) -> Headers:
    """Fields in one order, those of the connection as one: h11 moves and joins those it changes, and we others."""
    tokens = {token.strip().lower() for name, value in headers if name == "connection" for token in value.split(",")}
    if "close" in tokens:
        # h11 leaves both where one field says the one and one the other.
        tokens.discard("keep-alive")
    return [*sorted(pair for pair in headers if pair[0] != "connection"), ("connection", ",".join(sorted(tokens)))]


def _sorted(events: list[Event]) -> list[Event]:
    return [
        msgspec.structs.replace(event, headers=_one_order(event.headers))
        if isinstance(event, RequestHead | ResponseHead)
        else event
        for event in events
    ]


@given(
    st.sampled_from([b"", b"Connection: close\r\n"]),
    st.sampled_from(["GET", "HEAD"]),
    st.sampled_from([200, 204, 304, 404, 599, 199, 1000]),
    _SENT,
    st.sampled_from([b"", b"abc", b"abcd"]),
)
def test_answers_that_are_written_are_those_of_h11(
    close: bytes, method: str, status: int, headers: Headers, body: bytes
) -> None:
    asked = method.encode() + b" / HTTP/1.1\r\nHost: a\r\n" + close + b"\r\n"
    events: list[Event] = [ResponseHead(status, headers), Body(body), EndOfMessage()]
    ours, theirs = h1_engine.ServerEngine(LIMITS), h11_engine.ServerEngine(LIMITS)
    ours.receive_data(asked)
    theirs.receive_data(asked)
    data, its = _said(ours, events), _said(theirs, events)
    if data is None:
        return
    assert its is not None, "h11 refuses what we wrote"
    assert ours.reusable is theirs.reusable
    got = []
    for wire in (data, its):
        client = h11_engine.ClientEngine(LIMITS)
        client.send(RequestHead(method, "/", [("host", "a")]))
        client.send(EndOfMessage())
        got.append(_sorted(client.receive_data(wire)))
    assert got[0] == got[1]


@given(
    st.sampled_from(["GET", "POST", "HEAD", "G T", ""]),
    st.sampled_from(["/", "/a?b", "", "/ b", "/\xe4", "*"]),
    _SENT,
    st.integers(0, 2),
    st.sampled_from([b"", b"abc"]),
)
def test_requests_that_are_written_are_those_of_h11(
    method: str, target: str, headers: Headers, hosts: int, body: bytes
) -> None:
    events: list[Event] = [
        RequestHead(method, target, [*headers, *[("Host", "a")] * hosts]),
        Body(body),
        EndOfMessage(),
    ]
    ours, theirs = h1_engine.ClientEngine(LIMITS), h11_engine.ClientEngine(LIMITS)
    data, its = _said(ours, events), _said(theirs, events)
    assert (data is None) is (its is None)
    if data is None or its is None:
        return
    assert _sorted(h11_engine.ServerEngine(LIMITS).receive_data(data)) == _sorted(
        h11_engine.ServerEngine(LIMITS).receive_data(its)
    )
