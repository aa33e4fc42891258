"""Server and client on real sockets of the loopback: TLS, accepting, leaving, draining."""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import trustme
from anyio.abc import SocketAttribute, SocketListener, TaskGroup

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
    Timeouts,
    UpstreamError,
    UpstreamFault,
    bound_port,
    open_listeners,
)

pytestmark = pytest.mark.anyio

GET = RequestHead("GET", "/", [])


async def echo(request: Request, respond: Responder) -> None:
    body = await request.read()
    await respond.complete(200, [("x-scheme", request.scheme), ("x-peer", request.peer[0])], body)


@asynccontextmanager
async def running(
    handler: Handler, limits: Limits | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Server, int, TaskGroup]]:
    server = Server(handler, limits=limits, ssl_context=context)
    listeners = open_listeners("127.0.0.1", 0)
    port = bound_port(listeners[0])
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            await group.start(server.serve, listeners)
            yield server, port, group
            group.cancel_scope.cancel()


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> str:
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))
    return str(file)


@pytest.fixture
def context(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return context


async def test_large_bodies_both_ways_over_one_kept_connection() -> None:
    body = bytes(range(256)) * 20_000
    async with running(echo) as (server, port, _), Pool() as pool:
        origin = Origin("http", "127.0.0.1", port)
        for turn in range(3):
            async with await pool.open(origin, RequestHead("POST", "/", []), body) as response:
                assert response.reused is (turn > 0)
                assert response.header("x-peer") == "127.0.0.1"
                assert await response.read(len(body)) == body
        assert server.connections == 1


@pytest.mark.parametrize("tls", ["ca file", "unverified"])
async def test_tls_with_a_private_ca_or_without_verification(tls: str, ca_file: str, context: ssl.SSLContext) -> None:
    settings = TLS(ca_file=ca_file) if tls == "ca file" else TLS(verify=False)
    async with running(echo, context=context) as (server, port, _), Pool() as pool:
        origin = Origin("https", "127.0.0.1", port, settings)
        for _turn in range(3):
            async with await pool.open(origin, RequestHead("POST", "/", []), b"x" * 200_000) as response:
                assert response.header("x-scheme") == "https"
                assert len(await response.read(200_000)) == 200_000
        assert server.connections == 1


@pytest.mark.parametrize("case", ["unknown CA", "other name", "no TLS", "missing file", "broken file"])
async def test_tls_that_fails_is_told_with_its_reason(
    case: str, ca_file: str, context: ssl.SSLContext, tmp_path: Path
) -> None:
    (tmp_path / "broken.pem").write_text("nothing")
    host, tls, reason = {
        "unknown CA": ("127.0.0.1", TLS(), "not trusted"),
        "other name": ("localhost", TLS(ca_file=ca_file), "not trusted"),
        "no TLS": ("127.0.0.1", TLS(), "failed"),
        "missing file": ("127.0.0.1", TLS(ca_file=str(tmp_path / "missing.pem")), "no such file"),
        "broken file": ("127.0.0.1", TLS(ca_file=str(tmp_path / "broken.pem")), "failed"),
    }[case]
    limits = Limits(linger_secs=0.01, sweep_secs=0.005)
    async with running(echo, limits, None if case == "no TLS" else context) as (_, port, _group), Pool() as pool:
        with pytest.raises(UpstreamError, match=reason) as caught:
            await pool.open(Origin("https", host, port, tls), GET)
        assert caught.value.kind is UpstreamFault.TLS


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(UpstreamError, match="refused") as caught:
            await Pool().open(Origin("http", "127.0.0.1", port), GET)
    assert caught.value.kind is UpstreamFault.CONNECT


async def test_name_that_does_not_exist() -> None:
    with pytest.raises(UpstreamError, match="name cannot be resolved") as caught:
        await Pool().open(Origin("http", "nobody.invalid", 80), GET)
    assert caught.value.kind is UpstreamFault.CONNECT


async def test_tls_handshake_that_hangs_is_a_connect_timeout_and_ends_at_the_server(context: ssl.SSLContext) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        origin = Origin("https", "127.0.0.1", silent.getsockname()[1])
        with pytest.raises(UpstreamError) as caught:
            await Pool().open(origin, GET, timeouts=Timeouts(connect_secs=0.05))
        assert caught.value.kind is UpstreamFault.TIMEOUT_CONNECT
    async with running(echo, Limits(tls_handshake_secs=0.02), context) as (_, port, _group):
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await stream.receive()
        async with await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await stream.receive()).startswith(b"HTTP/1.1 400 "), "no handler is asked in clear text"


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("streaming", [False, True])
async def test_client_that_leaves_cancels_the_upstream_exchange_at_once(
    secure: bool, streaming: bool, context: ssl.SSLContext
) -> None:
    """The gateway's shape: a handler that waits for an upstream, which must see the client leave."""
    reached, left = anyio.Event(), anyio.Event()

    async def slow(request: Request, respond: Responder) -> None:
        try:
            if streaming:
                await respond.head(200, [])
                await respond.body(b"x")
            reached.set()
            await anyio.sleep_forever()
        finally:
            assert request.client_left
            left.set()

    async def relay(request: Request, respond: Responder) -> None:
        async with await pool.open(upstream, GET) as answer:
            await respond.head(answer.status, [])
            while data := await answer.receive():
                await respond.body(data)
            await respond.end()

    async with running(slow) as (_, upstream_port, _g), Pool() as pool:
        upstream = Origin("http", "127.0.0.1", upstream_port)
        async with running(relay, context=context if secure else None) as (gateway, port, _h), Pool() as clients:
            origin = Origin("https" if secure else "http", "127.0.0.1", port, TLS(verify=False))
            async with anyio.create_task_group() as group:

                async def client() -> None:
                    async with await clients.open(origin, GET) as response:
                        await response.read(100)

                group.start_soon(client)
                await reached.wait()
                await anyio.wait_all_tasks_blocked()
                group.cancel_scope.cancel()
            with anyio.fail_after(1):
                await left.wait()
                await gateway.wait_closed()
            assert gateway.active == 0


async def test_kept_connection_that_the_server_closed_is_replaced_without_a_word() -> None:
    limits = Limits(keep_alive_secs=0.01, sweep_secs=0.002)
    async with running(echo, limits) as (server, port, _), Pool() as pool:
        origin = Origin("http", "127.0.0.1", port)
        for _turn in range(2):
            async with await pool.open(origin, RequestHead("POST", "/", []), b"x") as response:
                assert not response.reused
                assert await response.read(1) == b"x"
            await server.wait_closed()


async def test_drain_stops_accepting_and_serve_returns() -> None:
    reached, proceed, returned = anyio.Event(), anyio.Event(), anyio.Event()

    async def handler(request: Request, respond: Responder) -> None:
        reached.set()
        await proceed.wait()
        await respond.complete(200, [], b"late")

    server = Server(handler)
    listeners = open_listeners("127.0.0.1", 0)
    port = bound_port(listeners[0])
    origin = Origin("http", "127.0.0.1", port)
    got: list[bytes] = []

    async def client() -> None:
        async with await pool.open(origin, GET) as response:
            got.append(await response.read(10))

    async def serve() -> None:
        await server.serve(listeners)
        returned.set()

    with anyio.fail_after(20):
        async with Pool() as pool, anyio.create_task_group() as group:
            group.start_soon(serve)
            group.start_soon(client)
            await reached.wait()
            server.start_drain()
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(UpstreamError):
                await pool.open(origin, GET)
            assert not returned.is_set()
            proceed.set()
            await returned.wait()
    assert got == [b"late"]


async def test_connections_above_the_bound_wait_until_one_ends() -> None:
    async with running(echo, Limits(connections=1)) as (server, port, _):
        request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        first = await anyio.connect_tcp("127.0.0.1", port)
        await first.send(request)
        await first.receive()
        async with await anyio.connect_tcp("127.0.0.1", port) as second:
            await second.send(request)
            await anyio.wait_all_tasks_blocked()
            assert server.connections == 1
            await first.aclose()
            assert (await second.receive()).startswith(b"HTTP/1.1 200")


async def test_aborted_answers_are_seen_as_cut_by_the_client() -> None:
    async def handler(request: Request, respond: Responder) -> None:
        await respond.head(200, [])
        await respond.body(b"part")
        await respond.abort()

    async with running(handler) as (_, port, _g), Pool() as pool:
        response = await pool.open(Origin("http", "127.0.0.1", port), GET)
        assert await response.receive() == b"part"
        with pytest.raises(UpstreamError) as caught:
            await response.receive()
        assert caught.value.kind is UpstreamFault.CLOSED


async def test_slow_reader_stops_the_reading_of_its_upstream() -> None:
    sent = 0

    async def endless(request: Request, respond: Responder) -> None:
        nonlocal sent
        await respond.head(200, [])
        while True:
            await respond.body(b"x" * 65536)
            sent += 65536

    async def relay(request: Request, respond: Responder) -> None:
        async with await pool.open(upstream, GET) as answer:
            await respond.head(200, [])
            while data := await answer.receive():
                await respond.body(data)

    async with running(endless) as (_, upstream_port, _g), Pool() as pool:
        upstream = Origin("http", "127.0.0.1", upstream_port)
        async with running(relay) as (_server, port, _h), await anyio.connect_tcp("127.0.0.1", port) as stream:
            await stream.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            before = -1
            # Until nothing moves any more: every buffer on the way is full, and none of them is ours.
            while before != sent:
                before = sent
                for _ in range(20):
                    await anyio.wait_all_tasks_blocked()
            assert 0 < sent < 64 * 1024 * 1024


async def test_upstream_that_hangs_up_within_the_handshake() -> None:
    async def hang_up() -> None:
        stream = await listener.accept()
        await stream.receive()
        await stream.aclose()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as both, anyio.create_task_group() as group:
        assert isinstance(both.listeners[0], SocketListener)
        listener = both.listeners[0]
        group.start_soon(hang_up)
        port = listener.extra(SocketAttribute.local_port)
        with pytest.raises(UpstreamError, match="handshake") as caught:
            await Pool().open(Origin("https", "127.0.0.1", port), GET)
    assert caught.value.kind is UpstreamFault.TLS
