"""Bytes that a strict reader refuses, and the ones it lets pass, in every cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.http.guard import Guard, Role
from ferryllm_net.http.limits import Limits

_H = b"Host: a\r\n"


def _feed(guard: Guard, pieces: list[bytes]) -> bytes:
    return b"".join([guard.receive_data(piece) for piece in pieces])


def _single(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


REFUSED_REQUESTS = {
    "bare LF in the request line": (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    "bare LF in a field": (b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
    "bare LF head end": (b"GET / HTTP/1.1\r\nHost: a\n\n", 400),
    "bare CR in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nx: a\rb\r\n\r\n", 400),
    "NUL in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nx: a\0b\r\n\r\n", 400),
    "control character in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nx: a\x01b\r\n\r\n", 400),
    "DEL in a value": (b"GET / HTTP/1.1\r\nHost: a\r\nx: a\x7fb\r\n\r\n", 400),
    "obs-fold": (b"GET / HTTP/1.1\r\nHost: a\r\nx: a\r\n b\r\n\r\n", 400),
    "obs-fold in Content-Length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 3\r\n\r\nabc", 400),
    "obs-fold in Transfer-Encoding": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "folded first field": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "space before the colon": (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    "space in a name": (b"GET / HTTP/1.1\r\nHost: a\r\nx y: a\r\n\r\n", 400),
    "empty name": (b"GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", 400),
    "line without a colon": (b"GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    "two Hosts in 1.0": (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    "Host with a path": (b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "Host with a user": (b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n", 400),
    "Host list": (b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
    "Host list without space": (b"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    "Host with a bad port": (b"GET / HTTP/1.1\r\nHost: a:80x\r\n\r\n", 400),
    "CL and TE": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
    ),
    "TE and CL": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        400,
    ),
    "Content-Lengths that differ": (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        400,
    ),
    "Content-Length list": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", 400),
    "signed Content-Length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400),
    "empty Content-Length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    "underscored Content-Length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n", 400),
    "endless Content-Length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 19 + b"\r\n\r\n", 400),
    "TE gzip, chunked": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    "TE identity": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 501),
    "two TEs": (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        501,
    ),
    "TE in 1.0": (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "TE with a vertical tab": (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "HTTP/2.0": (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "no version": (b"GET /\r\nHost: a\r\n\r\n", 400),
    "lower case protocol": (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    "two spaces": (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tab as a separator": (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in the target": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target is no path": (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "fragment in the target": (b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "star target of GET": (b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "URL of another host": (b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "URL of another scheme": (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "non-ASCII target": (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "empty lines only": (b"\r\n\r\n\r\n", 400),
    "TLS on a plain port": (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
    "long request line": (b"GET /" + b"a" * 17000, 414),
    "long head": (b"GET / HTTP/1.1\r\n" + _H + b"x: " + b"a" * 65536, 431),
    "many fields": (b"GET / HTTP/1.1\r\n" + _H + b"x: 1\r\n" * 100 + b"\r\n", 431),
}

_CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED_CHUNKS = {
    "no hexadecimal size": b"x\r\n",
    "empty size": b"\r\n",
    "0x size": b"0x1\r\na\r\n",
    "signed size": b"+1\r\na\r\n",
    "padded size": b"1 \r\na\r\n",
    "endless size": b"1" * 16 + b"\r\n",
    "bare LF after the size": b"1\na\r\n",
    "bare CR in an extension": b"1;a\rb\r\na\r\n",
    "NUL in an extension": b"1;a\0b\r\na\r\n",
    "control character in an extension": b"1;a\x01b\r\na\r\n",
    "two other bytes after the data": b"1\r\naXX",
    "bare LF after the data": b"1\r\na\n",
    "longer than its size": b"1\r\nab\r\n",
    "oversize extension": b"1;" + b"a" * 17000,
    "many extensions": (b"1;" + b"a" * 1000 + b"\r\na\r\n") * 17,
    "bare LF in a trailer": b"0\r\na: b\n\r\n",
    "space before a trailer's colon": b"0\r\na : b\r\n\r\n",
    "oversize trailer": b"0\r\na: " + b"b" * 17000,
    "many trailers": b"0\r\n" + b"a: b\r\n" * 101,
}


@pytest.mark.parametrize(("data", "status"), REFUSED_REQUESTS.values(), ids=REFUSED_REQUESTS)
def test_requests_that_are_refused_whole_and_byte_by_byte(data: bytes, status: int) -> None:
    for pieces in ([data], _single(data)):
        guard = Guard(Role.REQUESTS, Limits())
        assert _feed(guard, pieces) == b""
        assert guard.fault is not None
        assert guard.fault.status == status
        assert guard.receive_data(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") == b"", "nothing passes after a fault"


@pytest.mark.parametrize("data", REFUSED_CHUNKS.values(), ids=REFUSED_CHUNKS)
def test_chunked_framing_that_is_refused_whole_and_byte_by_byte(data: bytes) -> None:
    for pieces in ([_CHUNKED + data], [_CHUNKED, *_single(data)]):
        guard = Guard(Role.REQUESTS, Limits())
        assert _feed(guard, pieces).startswith(_CHUNKED)
        assert guard.fault is not None
        assert guard.fault.status == 400


PASSED = {
    "no body": b"GET /v1/models?a=%20b HTTP/1.1\r\nHost: a.example:8080\r\n\r\n",
    "IPv6 host": b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "absolute target": b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS *": b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "1.0 without host": b"GET / HTTP/1.0\r\n\r\n",
    "length": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\nb\r\n",
    "equal lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\ncontent-length: 2\r\n\r\nab",
    "chunked": _CHUNKED + b"5\r\na\nb\r\n\r\n00A\r\n0123456789\r\n0\r\n\r\n",
    "coding in capitals": b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    "obs-text and tabs in a value": b"GET / HTTP/1.1\r\nHost: a\r\nx:\t \xe4\tb \r\n\r\n",
}


@pytest.mark.parametrize("data", PASSED.values(), ids=PASSED)
def test_what_is_well_formed_passes_unchanged_and_the_rest_is_held(data: bytes) -> None:
    for pieces in ([data + b"GET"], [*_single(data), b"GET"]):
        guard = Guard(Role.REQUESTS, Limits())
        assert _feed(guard, pieces) == data
        assert guard.fault is None
        assert guard.done
        assert guard.held == 3
        assert guard.next_message() == b""
        assert guard.within_head
        assert guard.receive_data(b" / HTTP/1.1\r\nHost: a\r\n\r\n") == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_empty_lines_before_a_request_are_skipped() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in ([b"\r\n" + head], _single(b"\r\n\r\n" + head)):
        guard = Guard(Role.REQUESTS, Limits())
        assert _feed(guard, pieces) == head


def test_extensions_and_trailers_are_removed() -> None:
    data = _CHUNKED + b'2;a="b"\r\nab\r\n0 ;x\r\nContent-Length: 7\r\nx-sum: 1\r\n\r\n'
    for pieces in ([data], _single(data)):
        guard = Guard(Role.REQUESTS, Limits())
        assert _feed(guard, pieces) == _CHUNKED + b"2\r\nab\r\n0\r\n\r\n"
        assert guard.done
        assert guard.trailers == [("x-sum", "1")], "a framing field is not one of them"
        guard.next_message()
        assert guard.trailers == []


def test_the_longest_request_line_passes_in_every_cut() -> None:
    line = b"GET /" + b"a" * 7 + b" HTTP/1.1"
    head = line + b"\r\nHost: a\r\n\r\n"
    for pieces in ([head], _single(head)):
        guard = Guard(Role.REQUESTS, Limits(request_line_bytes=len(line)))
        assert _feed(guard, pieces) == head
        guard = Guard(Role.REQUESTS, Limits(request_line_bytes=len(line) - 1))
        _feed(guard, pieces)
        assert guard.fault is not None
        assert guard.fault.status == 414


@given(st.data())
def test_any_cut_gives_the_same_bytes_and_the_same_fault(data: st.DataObject) -> None:
    good = data.draw(st.lists(st.sampled_from(list(PASSED.values())), min_size=1, max_size=3))
    bad = data.draw(st.sampled_from([b"", *(bad for bad, _ in REFUSED_REQUESTS.values() if len(bad) < 300)]))
    stream = b"".join(good) + bad
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))

    def run(pieces: list[bytes]) -> tuple[bytes, object]:
        guard, out = Guard(Role.REQUESTS, Limits()), b""
        for piece in pieces:
            out += guard.receive_data(piece)
            while guard.done:
                out += guard.next_message()
        return out, guard.fault

    ends = [*cuts, len(stream)]
    assert run([stream[a:b] for a, b in zip([0, *cuts], ends, strict=True)]) == run([stream])


@given(st.binary(max_size=400), st.sampled_from(list(Role)))
def test_no_bytes_make_the_guard_raise(noise: bytes, role: Role) -> None:
    for start in (b"", b"GET / HTTP/1.1\r\nHost: a\r\n", _CHUNKED, b"HTTP/1.1 200 OK\r\n"):
        guard = Guard(role, Limits())
        guard.receive_data(start + noise)


_OK = b"HTTP/1.1 200 OK\r\n"
RESPONSES = {
    "length": ("GET", _OK + b"content-length: 2\r\n\r\nab", True),
    "chunked": ("GET", _OK + b"transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", True),
    "until close": ("GET", _OK + b"\r\nab", False),
    "HEAD": ("HEAD", _OK + b"content-length: 2\r\n\r\n", True),
    "204": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", True),
    "304": ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", True),
    "no reason": ("GET", b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", True),
    "interim first": ("GET", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 16 + _OK + b"content-length: 0\r\n\r\n", True),
}


@pytest.mark.parametrize(("method", "data", "done"), RESPONSES.values(), ids=RESPONSES)
def test_responses_that_pass(method: str, data: bytes, done: bool) -> None:
    for pieces in ([data], _single(data)):
        guard = Guard(Role.RESPONSES, Limits())
        guard.expect(method)
        assert _feed(guard, pieces) == data
        assert guard.fault is None
        assert guard.done is done


def test_a_padded_chunk_size_of_an_upstream_is_forgiven() -> None:
    guard = Guard(Role.RESPONSES, Limits())
    assert guard.receive_data(_OK + b"transfer-encoding: chunked\r\n\r\n1  \r\na\r\n").endswith(b"1\r\na\r\n")


BAD_RESPONSES = {
    "no status line": b"OK\r\n\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status 600": b"HTTP/1.1 600 x\r\n\r\n",
    "101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "17 interim": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 17,
    "CL and TE": _OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
    "large head": _OK + b"x: " + b"a" * 65536,
    "obs-fold": _OK + b"x: a\r\n b\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD_RESPONSES.values(), ids=BAD_RESPONSES)
def test_responses_that_are_refused_are_the_upstreams_fault(data: bytes) -> None:
    for pieces in ([data], _single(data)):
        guard = Guard(Role.RESPONSES, Limits())
        _feed(guard, pieces)
        assert guard.fault is not None
        assert guard.fault.status == 502
