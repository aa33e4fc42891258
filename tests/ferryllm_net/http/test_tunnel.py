"""Proxies on the way to an upstream: what they are asked, and what is told when they do not do it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import pytest
import trustme
from anyio.abc import ByteStream

from ferryllm_net.http import TLS, Origin, Pool, Proxy, ProxyAuth, RequestHead, UpstreamError, UpstreamFault
from ferryllm_net.http.origin import _contexts, ssl_context
from support.proxies import FakeProxy, listening

pytestmark = pytest.mark.anyio

GET = RequestHead("GET", "/v1/models", [("x-a", "1")])
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Scheme = Literal["http", "https", "socks5", "socks5h"]


class Target:
    """An upstream that answers everything and keeps the heads it got."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []

    async def __call__(self, stream: ByteStream) -> None:
        while True:
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                data += await stream.receive()
            self.heads.append(data)
            await stream.send(ANSWER)


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("upstream.test", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def tls(ca: trustme.CA, tmp_path: Path) -> TLS:
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return TLS(ca_file=str(file))


@asynccontextmanager
async def proxied(
    scheme: Scheme, auth: tuple[str, str] | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[FakeProxy, int, Target]]:
    target = Target()
    async with listening(target, context) as port:
        proxy = FakeProxy(port, auth)
        serve = proxy.socks if scheme.startswith("socks") else proxy.http
        async with listening(serve) as proxy_port:
            yield proxy, proxy_port, target


async def get(origin: Origin) -> bytes:
    async with Pool() as pool, await pool.open(origin, GET) as response:
        return await response.read(100)


async def test_http_upstream_over_an_http_proxy_is_asked_for_by_its_whole_url() -> None:
    async with proxied("http", ("user", "pass")) as (proxy, port, target):
        via = Proxy("http", "127.0.0.1", port, ProxyAuth("user", "pass"))
        assert await get(Origin("http", "upstream.test", 81, proxy=via)) == b"ok"
    assert proxy.asked == ["GET http://upstream.test:81/v1/models HTTP/1.1"]
    assert b"\r\nhost: upstream.test:81\r\n" in target.heads[0]


async def test_https_upstream_gets_a_tunnel_and_sees_nothing_of_the_proxys_credentials(
    context: ssl.SSLContext, tls: TLS
) -> None:
    async with proxied("http", ("user", "pass"), context) as (proxy, port, target):
        via = Proxy("http", "127.0.0.1", port, ProxyAuth("user", "pass"))
        assert await get(Origin("https", "upstream.test", 444, tls, proxy=via)) == b"ok"
    assert proxy.asked == ["CONNECT upstream.test:444 HTTP/1.1"]
    assert target.heads[0].startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"proxy-authorization" not in target.heads[0]


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("auth", [None, ("user", "pass")])
async def test_socks_leads_to_the_upstream(
    scheme: Scheme, secure: bool, auth: tuple[str, str] | None, context: ssl.SSLContext, tls: TLS
) -> None:
    async with proxied(scheme, auth, context if secure else None) as (proxy, port, target):
        via = Proxy(scheme, "127.0.0.1", port, None if auth is None else ProxyAuth(*auth))
        host = "upstream.test" if scheme == "socks5h" else "127.0.0.1"
        origin = Origin("https" if secure else "http", host, 444, tls if secure else TLS(), proxy=via)
        assert await get(origin) == b"ok"
    assert proxy.asked == [f"{host}:444"]
    assert target.heads[0].startswith(b"GET /v1/models HTTP/1.1\r\n"), "never the form for HTTP proxies"


async def test_names_are_resolved_here_for_socks5_and_there_for_socks5h(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxied("socks5") as (proxy, port, _target):
        for scheme in ("socks5", "socks5h"):
            origin = Origin("http", "localhost", 444, proxy=Proxy(scheme, "127.0.0.1", port))
            assert await get(origin) == b"ok"
    assert proxy.asked[0] in ("127.0.0.1:444", "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1:444")
    assert proxy.asked[1] == "localhost:444"


REFUSALS = {
    "407": (b"HTTP/1.1 407 X\r\n\r\n", r"asks for credentials \(407\)"),
    "403": (b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", "status 403"),
    "redirect": (b"HTTP/1.1 302 Found\r\nlocation: http://evil/\r\n\r\n", "status 302"),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", "does not speak HTTP"),
    "bytes behind": (b"HTTP/1.1 200 OK\r\n\r\nEVIL", "bytes behind"),
    "endless": (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000, "larger than"),
    "interim": (b"HTTP/1.1 103 X\r\n\r\n" * 17, "interim"),
    "closed": (b"HTTP/1.1 200", "closed the connection"),
}


@pytest.mark.parametrize(("reply", "words"), REFUSALS.values(), ids=REFUSALS)
async def test_proxy_that_makes_no_tunnel(reply: bytes, words: str) -> None:
    async with proxied("http") as (proxy, port, target):
        proxy.reply = reply
        via = Proxy("http", "127.0.0.1", port, ProxyAuth("user", "hunter2"))
        with pytest.raises(UpstreamError, match=words) as caught:
            await get(Origin("https", "upstream.test", 444, proxy=via))
    assert caught.value.kind is UpstreamFault.CONNECT
    assert f"proxy 127.0.0.1:{port} of upstream upstream.test:444 " in caught.value.message
    assert "hunter2" not in caught.value.message
    assert not target.heads


SOCKS_REFUSALS = {
    "not allowed": (b"\x05\x02\x00\x01" + bytes(6), "not allowed by its rules"),
    "unknown code": (b"\x05\x63\x00\x01" + bytes(6), "error 99"),
    "other version": (b"\x04\x00\x00\x01" + bytes(6), "does not speak SOCKS5"),
    "other address": (b"\x05\x00\x00\x09" + bytes(6), "does not speak SOCKS5"),
    "bytes behind": (b"\x05\x00\x00\x01" + bytes(6) + b"EVIL", "bytes behind"),
    "closed": (b"\x05", "closed the connection"),
}


@pytest.mark.parametrize(("reply", "words"), SOCKS_REFUSALS.values(), ids=SOCKS_REFUSALS)
async def test_socks_proxy_that_refuses(reply: bytes, words: str) -> None:
    async with proxied("socks5h") as (proxy, port, target):
        proxy.reply = reply
        with pytest.raises(UpstreamError, match=words) as caught:
            await get(Origin("http", "upstream.test", 444, proxy=Proxy("socks5h", "127.0.0.1", port)))
    assert caught.value.kind is UpstreamFault.CONNECT
    assert not target.heads


@pytest.mark.parametrize("auth", [None, ProxyAuth("user", "wrong")])
async def test_socks_credentials_that_are_missing_or_wrong(auth: ProxyAuth | None) -> None:
    async with proxied("socks5h", ("user", "pass")) as (_proxy, port, _target):
        with pytest.raises(UpstreamError, match="user") as caught:
            await get(Origin("http", "upstream.test", 444, proxy=Proxy("socks5h", "127.0.0.1", port, auth)))
    assert "wrong" not in caught.value.message


async def test_proxy_that_nobody_runs_is_named() -> None:
    with pytest.raises(UpstreamError, match=r"proxy 127\.0\.0\.1:1 of upstream upstream\.test cannot be reached"):
        await get(Origin("https", "upstream.test", 443, proxy=Proxy("http", "127.0.0.1", 1)))


def test_credentials_do_not_show() -> None:
    origin = Origin("https", "a", 443, proxy=Proxy("http", "p", 1, ProxyAuth("user", "hunter2")))
    assert "hunter2" not in repr(origin)
    assert "user" not in repr(origin.proxy)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_tls_to_the_proxy_itself_and_tls_within_it(
    scheme: str, context: ssl.SSLContext, tls: TLS, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Target()
    trusting = ssl_context(tls)
    monkeypatch.setitem(_contexts, (TLS(), False), trusting)
    async with listening(target, context if scheme == "https" else None) as port:
        proxy = FakeProxy(port)
        async with listening(proxy.http, context) as proxy_port:
            via = Proxy("https", "127.0.0.1", proxy_port)
            assert await get(Origin(scheme, "upstream.test", 444, tls, proxy=via)) == b"ok"
    assert proxy.asked == [
        "CONNECT upstream.test:444 HTTP/1.1" if scheme == "https" else "GET http://upstream.test:444/v1/models HTTP/1.1"
    ]
