"""Which protocol an upstream chooses, and many exchanges over few connections; against our own server on sockets."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme

from ferryllm_net.http import (
    TLS,
    Handler,
    Limits,
    Origin,
    Pool,
    Request,
    RequestHead,
    Responder,
    Server,
    UpstreamError,
    UpstreamFault,
    bound_port,
    open_listeners,
)

pytestmark = pytest.mark.anyio

POST = RequestHead("POST", "/", [])


async def echo(request: Request, respond: Responder) -> None:
    await respond.complete(200, [("x-scheme", request.scheme)], await request.read())


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(ca: trustme.CA, tmp_path: Path) -> TLS:
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return TLS(ca_file=str(file))


@asynccontextmanager
async def running(
    ca: trustme.CA | None, protocols: list[str], handler: Handler = echo, limits: Limits | None = None
) -> AsyncIterator[tuple[Server, int]]:
    context = None
    if ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        context.set_alpn_protocols(protocols)
    server = Server(handler, limits=limits, ssl_context=context)
    listeners = open_listeners("127.0.0.1", 0)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            await group.start(server.serve, listeners)
            yield server, bound_port(listeners[0])
            group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("offer", "protocols", "spoken"),
    [("on", ["h2", "http/1.1"], "2"), ("on", ["http/1.1"], "1.1"), ("off", ["h2", "http/1.1"], "1.1")],
)
async def test_the_handshake_decides(offer: str, protocols: list[str], spoken: str, ca: trustme.CA, tls: TLS) -> None:
    async with running(ca, protocols) as (server, port), Pool() as pool:
        origin = Origin("https", "127.0.0.1", port, tls, http2="on" if offer == "on" else "off")
        for turn in range(3):
            async with await pool.open(origin, POST, b"x" * 300_000) as response:
                assert response.http_version == spoken
                assert response.reused is (turn > 0)
                assert len(await response.read(300_000)) == 300_000
        assert server.connections == 1
        assert pool.idle == 1


async def test_many_at_once_find_out_together_that_http1_is_spoken(ca: trustme.CA, tls: TLS) -> None:
    async with running(ca, ["http/1.1"]) as (server, port), Pool() as pool:
        origin = Origin("https", "127.0.0.1", port, tls, http2="on", max_connections=3)
        got: list[bytes] = []

        async def ask(n: int) -> None:
            async with await pool.open(origin, POST, b"%d" % n) as response:
                got.append(await response.read(10))

        async with anyio.create_task_group() as group:
            for n in range(20):
                group.start_soon(ask, n)
        assert sorted(got) == sorted(b"%d" % n for n in range(20))
        assert server.connections <= 3


@pytest.mark.parametrize("streams", [2, 100])
async def test_many_streams_over_few_connections(streams: int) -> None:
    async def tell(request: Request, respond: Responder) -> None:
        size = int((await request.read()).decode())
        await respond.head(200, [])
        for _ in range(size):
            await respond.body(b"x" * 997)
        await respond.end()

    async with running(None, [], tell, Limits(h2_streams=streams)) as (server, port), Pool() as pool:
        origin = Origin("http", "127.0.0.1", port, http2="prior_knowledge", max_connections=4)
        done = 0

        async def ask(n: int) -> None:
            nonlocal done
            size = 0

            def feed(data: bytes) -> bool:
                nonlocal size
                size += len(data)
                return n % 3 == 0

            async with await pool.open(origin, POST, b"%d" % n) as response:
                while await response.pump(feed):
                    await anyio.lowlevel.checkpoint()
            assert size == n * 997
            done += 1

        async with anyio.create_task_group() as group:
            for n in range(60):
                group.start_soon(ask, n)
        assert done == 60
        assert server.connections <= 4
        assert pool.active == 0


async def test_large_bodies_both_ways_at_once_do_not_lock_each_other() -> None:
    body = bytes(range(256)) * 8_000
    async with running(None, []) as (server, port), Pool() as pool:
        origin = Origin("http", "127.0.0.1", port, http2="prior_knowledge")

        async def ask() -> None:
            async with await pool.open(origin, POST, body) as response:
                assert await response.read(len(body)) == body

        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(ask)
        assert server.connections == 1


async def test_a_draining_server_is_left_without_losing_a_request() -> None:
    async with running(None, []) as (server, port), Pool() as pool:
        origin = Origin("http", "127.0.0.1", port, http2="prior_knowledge")
        async with await pool.open(origin, POST, b"a") as response:
            assert await response.read(5) == b"a"
        server.start_drain()
        with anyio.fail_after(10):
            while pool.idle:
                await anyio.wait_all_tasks_blocked()
        with pytest.raises(UpstreamError) as caught:
            await pool.open(origin, POST, b"b")
        assert caught.value.kind is UpstreamFault.CONNECT
