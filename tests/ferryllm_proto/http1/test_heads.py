"""Heads of requests and answers: the common ones with their meaning, None for all others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto.http1 import RequestHead, ResponseHead, heads
from ferryllm_proto.http1.fields import Entry
from ferryllm_proto.http1.heads import CHUNKED, UNTIL_CLOSE, read_request, read_response


def _request(*lines: str) -> heads.RequestRead | None:
    return read_request("\r\n".join(lines), 4, 60)


def _response(*lines: str, method: str = "GET") -> heads.ResponseRead | None:
    return read_response("\r\n".join(lines), 4, 60, method)


def test_a_request_and_how_long_its_body_is() -> None:
    line = "POST /a?b HTTP/1.1"
    headers = [("host", "a")]
    assert _request(line, "Host: a") == (RequestHead("POST", "/a?b", headers), 0, False)
    for field, length, closes in (
        (("content-length", "12"), 12, False),
        (("transfer-encoding", "chunked"), CHUNKED, False),
        (("connection", "close"), 0, True),
        (("connection", "keep-alive"), 0, False),
    ):
        found = _request(line, "Host: a", f"{field[0]}: {field[1]}")
        assert found == (RequestHead("POST", "/a?b", [*headers, field]), length, closes)


@pytest.mark.parametrize(
    "line",
    [
        *("", "GET", "GET /", "GET / HTTP/1.0", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET /a b HTTP/1.1"),
        *("CONNECT a:1 HTTP/1.1", "TRACE / HTTP/1.1", "get / HTTP/1.1", "OPTIONS * HTTP/1.1", "GET http://a/ HTTP/1.1"),
        *("GET a HTTP/1.1", "GET /#a HTTP/1.1", "GET /\xe4 HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /\n HTTP/1.1"),
        "GET /" + "a" * 60 + " HTTP/1.1",
    ],
)
def test_request_lines_that_are_not_common(line: str) -> None:
    assert _request(line, "Host: a") is None
    assert _request(line, "Host: a") is None


@pytest.mark.parametrize(
    "lines",
    [
        *([], ["Host: a", "Host: a"], ["Host: a/b"], ["Host: a", "x"], ["Host: a", "Expect: 100-continue"]),
        *(
            ["Host: a", "Content-Length: 1", "Transfer-Encoding: chunked"],
            ["Host: a", "Content-Length: 1", "content-length: 1"],
        ),
        *(["Host: a", "x: 1", "x: 2", "x: 3", "x: 4"], ["Host: a", ""], ["Host: a", " b"]),
    ],
)
def test_fields_of_requests_that_are_not_common(lines: list[str]) -> None:
    assert _request("GET / HTTP/1.1", *lines) is None


def test_an_answer_and_how_long_its_body_is() -> None:
    line = "HTTP/1.1 200 OK"
    assert _response(line) == (ResponseHead(200, []), UNTIL_CLOSE, False)
    assert _response("HTTP/1.1 404") == (ResponseHead(404, []), UNTIL_CLOSE, False)
    length = [("content-length", "3")]
    assert _response(line, "Content-Length: 3") == (ResponseHead(200, length), 3, False)
    assert _response(line, "Content-Length: 3", method="HEAD") == (ResponseHead(200, length), 0, False)
    assert _response("HTTP/1.1 304 x", "Content-Length: 3") == (ResponseHead(304, length), 0, False)
    assert _response("HTTP/1.1 204 x") == (ResponseHead(204, []), 0, False)
    found = _response(line, "Transfer-Encoding: chunked", "Connection: close")
    assert found is not None
    assert found[1:] == (CHUNKED, True)


@pytest.mark.parametrize(
    "line",
    [
        *(
            "",
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 20",
            "HTTP/1.1 2000",
            "HTTP/1.1 20a",
            "HTTP/1.1 200\t",
            "HTTP/1.0 200 OK",
        ),
        *(
            "HTTP/1.1 100 x",
            "HTTP/1.1 101 x",
            "HTTP/1.1 600 x",
            "HTTP/1.1  200",
            "HTTP/1.1 200 \xe4",
            "HTTP/1.1 200 \n",
        ),
        *("http/1.1 200 OK", "HTTP/1.1 \xb2\xb2\xb2", "HTTP/1.1 200 " + "a" * 60),
    ],
)
def test_status_lines_that_are_not_common(line: str) -> None:
    assert _response(line) is None
    assert _response(line) is None


@pytest.mark.parametrize(
    "lines",
    [
        *(["Content-Length: 1", "Transfer-Encoding: chunked"], ["Content-Length: x"], ["x: 1"] * 5, ["x"]),
        *(["Content-Length: 1", "Content-Length: 1"], ["Transfer-Encoding: gzip"]),
    ],
)
def test_fields_of_answers_that_are_not_common(lines: list[str]) -> None:
    assert _response("HTTP/1.1 200 OK", *lines) is None


def test_first_lines_that_are_remembered_are_bounded_and_without_queries() -> None:
    for number in range(2000):
        assert _request(f"GET /{number} HTTP/1.1", "Host: a") is not None
        assert _response(f"HTTP/1.1 200 {number}") is not None
    assert _request("GET /?key=secret HTTP/1.1", "Host: a") is not None
    assert len(heads._request_lines) <= heads._MOST_LINES
    assert len(heads._statuses) <= heads._MOST_LINES
    assert not any("?" in line for line in heads._request_lines)


_LINES = st.sampled_from(
    [
        *("Host: a", "host: b", "Content-Length: 1", "content-length: 2", "Content-Length: x", "Connection: close"),
        *("Authorization: Bearer k", "x-api-key: k", "Transfer-Encoding: chunked", "Upgrade: h2c", "a : b", "a: \t"),
        "x: " + "y" * 600,
    ]
)


@given(st.lists(st.lists(_LINES, max_size=5), max_size=8))
def test_a_head_means_the_same_whatever_its_connection_has_seen(seen: list[list[str]]) -> None:
    known: dict[str, Entry] = {}
    for lines in seen:
        text = "\r\n".join(["GET / HTTP/1.1", "Host: a", *lines])
        assert read_request(text, 9, 60, known) == read_request(text, 9, 60)


def test_lines_that_a_connection_remembers_are_few_and_short() -> None:
    known: dict[str, Entry] = {}
    for number in range(100):
        read_request(f"GET / HTTP/1.1\r\nHost: a\r\nx-a: {number}\r\nx-b: {'y' * 600}", 9, 60, known)
    assert 0 < len(known) <= 16
    assert max(map(len, known)) < 600
