"""Heads that are written: their bytes, and what is never written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.http1 import Headers, Misuse, encode
from ferryllm_proto.http1.encode import (
    encode_informational,
    encode_request,
    encode_response,
    encode_trailers,
    encode_whole,
)
from ferryllm_proto.http1.heads import CHUNKED


def test_an_answer_of_known_length() -> None:
    data, length, closes = encode_response(200, [("Content-Length", "3"), ("x", "a\tb\xe4")], "GET", True)
    assert data == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nx: a\tb\xe4\r\n\r\n"
    assert (length, closes) == (3, False)


@pytest.mark.parametrize(
    ("status", "headers", "method", "keep", "lines", "length"),
    [
        (200, [], "GET", True, ["transfer-encoding: chunked"], CHUNKED),
        (200, [("Transfer-Encoding", "Chunked")], "GET", True, ["transfer-encoding: chunked"], CHUNKED),
        (200, [], "HEAD", True, ["transfer-encoding: chunked"], 0),
        (200, [("content-length", "3")], "HEAD", True, ["content-length: 3"], 0),
        (204, [], "GET", True, [], 0),
        (304, [("content-length", "3")], "GET", True, ["content-length: 3"], 0),
        (299, [("content-length", "3"), ("Content-Length", "3")], "GET", True, ["content-length: 3"], 3),
        (204, [("a", " b\t")], "GET", True, ["a: b"], 0),
        (204, [], "GET", False, ["connection: close"], 0),
        (204, [("Connection", "x, keep-alive")], "GET", True, ["connection: x, keep-alive"], 0),
        (204, [("Connection", "x, keep-alive")], "GET", False, ["connection: x, close"], 0),
        (204, [("Connection", "Close")], "GET", True, ["connection: close"], 0),
        (426, [("upgrade", "h2"), ("content-length", "0")], "GET", True, ["upgrade: h2", "content-length: 0"], 0),
    ],
)
def test_answers(status: int, headers: Headers, method: str, keep: bool, lines: list[str], length: int) -> None:
    data, found, closes = encode_response(status, headers, method, keep)
    assert data.decode("latin-1").split("\r\n")[1:] == [*lines, "", ""]
    assert found == length
    assert closes is ("connection: close" in lines or "connection: x, close" in lines)


BAD_FIELDS: list[Headers] = [
    *([(name, "1")] for name in ("", "a b", "a:", "a\r\n", "\xe4", "a\0")),
    *([("x", value)] for value in ("a\r\nb: c", "a\nb", "a\rb", "a\0", "a\x7f", "\u20ac", "\x1b[0m", "\u2028")),
    *([("content-length", value)] for value in ("", "x", "-1", "+1", "1, 1", "1" * 19, "0x1", "\u0661")),
    [("content-length", "1"), ("content-length", "2")],
    [("content-length", "1"), ("content-length", "01")],
    [("content-length", "1"), ("transfer-encoding", "chunked")],
    [("transfer-encoding", "gzip")],
    [("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
    [("connection", "close\r\nx: y")],
]


@pytest.mark.parametrize("headers", BAD_FIELDS)
def test_fields_that_are_never_written(headers: Headers) -> None:
    with pytest.raises(Misuse):
        encode_response(200, headers, "GET", True)
    with pytest.raises(Misuse):
        encode_request("GET", "/", [("host", "a"), *headers])
    with pytest.raises(Misuse):
        encode_informational(103, headers)


@pytest.mark.parametrize("status", [0, 99, 100, 103, 199, 1000, -200])
def test_statuses_that_are_no_answer(status: int) -> None:
    with pytest.raises(Misuse):
        encode_response(status, [], "GET", True)


_ODD_VALUES = ("", "a b", " a ", "a\tb", "\xe4", "\x7f", "a\r\nb: c", "\u20ac", "\u2028", "\xad")
_ODD_NAMES = (
    "x",
    "X-Abc",
    "Content-Type",
    "host",
    "Date",
    "Upgrade",
    "Connection",
    "content-length",
    "",
    "a b",
    "\xe4",
)


@given(
    st.sampled_from([200, 201, 400, 529, 204, 304, 199, 1000]),
    st.lists(st.tuples(st.sampled_from(_ODD_NAMES), st.sampled_from(_ODD_VALUES)), max_size=3),
    st.integers(0, 10**9),
)
def test_the_head_of_a_whole_answer_is_that_of_its_fields(status: int, headers: Headers, length: int) -> None:
    all_of_them = [*headers, ("content-length", str(length)), ("date", "now")]
    try:
        found = encode_whole(status, headers, length, "now")
    except Misuse:
        with pytest.raises(Misuse):
            encode_response(status, all_of_them, "GET", True)
        return
    if found is not None:
        assert (found, length, False) == encode_response(status, all_of_them, "GET", True)


def test_fields_that_were_sent_before_are_known_and_few() -> None:
    for number in range(5000):
        assert encode_whole(200, [(f"x-{number}", "1")], 0, "now") is not None
    assert len(encode._plain) <= len(encode._kinds) <= encode._MOST_NAMES
    assert encode_whole(200, [("n" * 300, "1")], 0, "now") is None


def test_a_status_without_a_phrase() -> None:
    assert encode_response(299, [], "GET", True)[0].startswith(b"HTTP/1.1 299 \r\n")
    assert encode_informational(199, []) == b"HTTP/1.1 199 \r\n\r\n"


@pytest.mark.parametrize("status", [204, 304])
def test_a_coding_of_no_body_is_never_written(status: int) -> None:
    with pytest.raises(Misuse):
        encode_response(status, [("transfer-encoding", "chunked")], "GET", True)


@pytest.mark.parametrize("status", [101, 99, 200])
def test_interim_statuses(status: int) -> None:
    assert encode_informational(103, [("link", "x")]) == b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
    with pytest.raises(Misuse):
        encode_informational(status, [])


def test_a_request_has_its_host_first() -> None:
    found = encode_request("POST", "/a?b", [("x", "\t1 "), ("Host", "a"), ("content-length", "2")])
    assert found == (b"POST /a?b HTTP/1.1\r\nHost: a\r\nx: 1\r\ncontent-length: 2\r\n\r\n", 2, False)
    assert encode_request("GET", "/", [("host", "a")]) == (b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", 0, False)
    coded = encode_request("GET", "/", [("host", "a"), ("transfer-encoding", "chunked"), ("connection", "x, Close")])
    assert coded is not None
    assert coded[1:] == (CHUNKED, True)
    twice = encode_request("GET", "/", [("host", "a"), ("content-length", "2"), ("content-length", "2")])
    assert twice == (b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n", 2, False)


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("CONNECT", "a:443", [("host", "a:443")]),
        ("GET", "/", [("host", "a"), ("upgrade", "websocket")]),
        ("POST", "/", [("host", "a"), ("expect", "100-continue")]),
    ],
)
def test_requests_that_are_not_common(method: str, target: str, headers: Headers) -> None:
    assert encode_request(method, target, headers) is None


@pytest.mark.parametrize(
    ("method", "target"),
    [("", "/"), ("G T", "/"), ("GET\r\n", "/"), ("GET", ""), ("GET", "/a b"), ("GET", "/\r\n"), ("GET", "/\xe4")],
)
def test_request_lines_that_are_never_written(method: str, target: str) -> None:
    with pytest.raises(Misuse):
        encode_request(method, target, [("host", "a")])


@pytest.mark.parametrize("hosts", [0, 2])
def test_a_request_has_one_host(hosts: int) -> None:
    with pytest.raises(Misuse, match="host"):
        encode_request("GET", "/", [("Host", "a")] * hosts)


def test_trailers() -> None:
    assert encode_trailers([("x-sum", " 1 ")]) == b"0\r\nx-sum: 1\r\n\r\n"
    for name, value in (("Content-Length", "1"), ("authorization", "x"), ("a b", "1"), ("x", "a\r\nb")):
        with pytest.raises(Misuse):
            encode_trailers([(name, value)])


def test_remembered_names_are_bounded_and_values_are_not_remembered() -> None:
    for number in range(5000):
        encode_response(200, [(f"x-{number}", "secret")], "GET", True)
    encode_response(200, [("x-" + "y" * 100, "secret")], "GET", True)
    assert len(encode._kinds) <= encode._MOST_NAMES
    assert max(map(len, encode._kinds)) <= encode._LONGEST_NAME
