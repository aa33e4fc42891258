"""Heads of requests made once: what is in them, and what never gets in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_net.http import Misuse, Origin, Proxy, ProxyAuth, RequestHead, prepare

ORIGIN = Origin("http", "a.example", 80)


def lines(head: RequestHead, length: int = 0, origin: Origin = ORIGIN) -> list[str]:
    text = prepare(origin, head).head_bytes(length).decode("latin-1")
    assert text.endswith("\r\n\r\n")
    return text[:-4].split("\r\n")


def test_a_head_has_its_fields_in_order_and_ours_around_them() -> None:
    head = RequestHead("POST", "/v1/x?y=1", [("Content-Type", "application/json"), ("x-a", " \t1 ")])
    assert lines(head, 5) == [
        "POST /v1/x?y=1 HTTP/1.1",
        "host: a.example",
        "content-type: application/json",
        "x-a: 1",
        "accept-encoding: identity",
        "content-length: 5",
    ]


@pytest.mark.parametrize(
    ("method", "length", "said"),
    [("GET", 0, False), ("GET", 3, True), ("POST", 0, True), ("PUT", 0, True), ("DELETE", 0, False)],
)
def test_the_length_is_said_where_a_body_is_or_is_expected(method: str, length: int, said: bool) -> None:
    assert (f"content-length: {length}" in lines(RequestHead(method, "/", []), length)) is said


@pytest.mark.parametrize(
    "name",
    [
        *("Host", "content-length", "Transfer-Encoding", "connection", "Keep-Alive", "te", "trailer", "upgrade"),
        *("expect", "proxy-authorization", "Proxy-Connection"),
    ],
)
def test_what_is_ours_is_not_taken_from_others(name: str) -> None:
    found = lines(RequestHead("GET", "/", [(name, "evil")]))
    assert not any("evil" in line for line in found)


def test_codings_are_asked_for_only_by_the_caller() -> None:
    assert "accept-encoding: gzip" in lines(RequestHead("GET", "/", [("Accept-Encoding", "gzip")]))
    assert "accept-encoding: identity" in lines(RequestHead("GET", "/", []))


@pytest.mark.parametrize(
    "head",
    [
        RequestHead("GE T", "/", []),
        RequestHead("", "/", []),
        RequestHead("GET", "", []),
        RequestHead("GET", "/ HTTP/1.1\r\nx: y", []),
        RequestHead("GET", "/\u00e4", []),
        RequestHead("GET", "/", [("x y", "1")]),
        RequestHead("GET", "/", [("x:", "1")]),
        RequestHead("GET", "/", [("", "1")]),
        RequestHead("GET", "/", [("x", "1\r\ny: 2")]),
        RequestHead("GET", "/", [("x", "1\n")]),
        RequestHead("GET", "/", [("x", "\0")]),
        RequestHead("GET", "/", [("x", "\u20ac")]),
    ],
)
def test_what_would_not_be_one_head_is_refused(head: RequestHead) -> None:
    with pytest.raises(Misuse):
        prepare(ORIGIN, head)


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_nothing_makes_a_second_line(target: str, name: str, value: str) -> None:
    try:
        found = lines(RequestHead("GET", "/" + target, [(name, value)]))
    except Misuse:
        return
    assert len(found) in (3, 4)
    assert found[0].count(" ") == 2


def test_an_http_proxy_is_told_the_whole_url_and_a_tunnel_is_not() -> None:
    proxy = Proxy("http", "p", 3128, ProxyAuth("u", "p"))
    plain = Origin("http", "a.example", 81, proxy=proxy)
    assert lines(RequestHead("GET", "/x", []), origin=plain)[:3] == [
        "GET http://a.example:81/x HTTP/1.1",
        "host: a.example:81",
        "proxy-authorization: Basic dTpw",
    ]
    for tunnelled in (
        Origin("https", "a.example", 443, proxy=proxy),
        Origin("http", "a.example", 80, proxy=Proxy("socks5h", "p", 1080)),
    ):
        assert lines(RequestHead("GET", "/x", []), origin=tunnelled)[:2] == ["GET /x HTTP/1.1", "host: a.example"]


def test_it_does_not_show_what_it_holds() -> None:
    assert "key" not in repr(prepare(ORIGIN, RequestHead("GET", "/", [("authorization", "Bearer key")])))
