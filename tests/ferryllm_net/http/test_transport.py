"""The transport over real sockets, plain and TLS, on both backends."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
import trustme
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSStream

from ferryllm_net.http import bound_port, listen
from ferryllm_net.http.transport import StreamTransport, TransportError, _readable

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def plain_pair() -> AsyncIterator[tuple[StreamTransport, StreamTransport]]:
    async with (await listen("127.0.0.1", 0))[0] as listener:
        near = await anyio.connect_tcp("127.0.0.1", bound_port(listener))
        far = await listener.accept()
    ends = StreamTransport(near), StreamTransport(far)
    try:
        yield ends
    finally:
        for end in ends:
            await end.aclose()


@asynccontextmanager
async def tls_pair() -> AsyncIterator[tuple[StreamTransport, StreamTransport]]:
    ca = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(server)
    client = ssl.create_default_context()
    ca.configure_trust(client)
    async with (await listen("127.0.0.1", 0))[0] as listener:
        near = await anyio.connect_tcp("127.0.0.1", bound_port(listener))
        far = await listener.accept()
    ends: list[StreamTransport] = []

    async def welcome() -> None:
        ends.append(
            StreamTransport(await TLSStream.wrap(far, server_side=True, ssl_context=server, standard_compatible=False))
        )

    async with anyio.create_task_group() as group:
        group.start_soon(welcome)
        secured = await TLSStream.wrap(near, hostname="localhost", ssl_context=client, standard_compatible=False)
    ends.insert(0, StreamTransport(secured))
    try:
        # The session tickets of TLS 1.3 make the socket readable; they come with the first read.
        await ends[1].send(b".")
        assert await ends[0].receive() == b"."
        yield ends[0], ends[1]
    finally:
        for end in ends:
            await end.aclose()


async def _send_twice(transport: StreamTransport) -> None:
    """asyncio tells of a write that failed at once only with the next one."""
    for _ in range(2):
        await transport.send(b"x" * 5_000_000)


async def until_unquiet(transport: StreamTransport) -> None:
    while transport.is_quiet():
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("pair", [plain_pair, tls_pair])
async def test_bytes_there_and_back_and_the_end(pair: object) -> None:
    assert callable(pair)
    with anyio.fail_after(10):
        async with pair() as (near, far):
            await near.send(b"hello")
            assert await far.receive() == b"hello"
            await far.send(b"x" * 300_000)
            data = b""
            while len(data) < 300_000:
                data += await near.receive()
            await near.aclose()
            await near.aclose()
            assert await far.receive() == b""
            assert near.peer[0] == "127.0.0.1"


@pytest.mark.parametrize("pair", [plain_pair, tls_pair])
async def test_quiet_until_bytes_or_the_end_come(pair: object) -> None:
    assert callable(pair)
    with anyio.fail_after(10):
        async with pair() as (near, far):
            assert near.is_quiet()
            await far.send(b"uninvited")
            await until_unquiet(near)
        async with pair() as (near, far):
            assert near.is_quiet()
            await far.aclose()
            await until_unquiet(near)
            assert not far.is_quiet(), "closed by ourselves"


async def test_bytes_that_a_full_read_may_have_left_make_it_unquiet() -> None:
    with anyio.fail_after(10):
        async with plain_pair() as (near, far):
            await far.send(b"abcd")
            assert await near.receive(2) == b"ab"
            assert not near.is_quiet()


async def test_nodelay_is_set_on_both_ends() -> None:
    async with (await listen("127.0.0.1", 0))[0] as listener:
        near = await anyio.connect_tcp("127.0.0.1", bound_port(listener))
        far = await listener.accept()
        for stream in (near, far):
            StreamTransport(stream)
            raw = stream.extra(SocketAttribute.raw_socket)
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            await stream.aclose()


async def test_reset_on_close_is_an_error_at_the_other_end() -> None:
    with anyio.fail_after(10):
        async with plain_pair() as (near, far):
            near.reset_on_close()
            await near.aclose()
            near.reset_on_close()
            with pytest.raises(TransportError, match="reset"):
                await far.receive()


async def test_half_close_lets_the_other_direction_live() -> None:
    with anyio.fail_after(10):
        async with plain_pair() as (near, far):
            await near.send_eof()
            assert await far.receive() == b""
            await far.send(b"still")
            assert await near.receive() == b"still"
        async with tls_pair() as (near, far):
            await near.send_eof()
            await near.send(b"no half close in TLS")
            assert await far.receive() == b"no half close in TLS"


async def test_writes_to_a_closed_peer_fail_with_a_reason() -> None:
    with anyio.fail_after(10):
        async with plain_pair() as (near, far):
            far.reset_on_close()
            await far.aclose()
            with pytest.raises(TransportError, match=r"reset|pipe"):
                await _send_twice(near)
            await near.aclose()
            with pytest.raises(TransportError, match="closed"):
                await near.send(b"x")
            with pytest.raises(TransportError, match="closed"):
                await near.receive()


async def test_records_already_inside_the_tls_machine_make_it_unquiet() -> None:
    with anyio.fail_after(10):
        async with tls_pair() as (near, far):
            await far.send(b"a")
            await far.send(b"uninvited")
            assert await near.receive() == b"a"
            assert not near.is_quiet()


def test_select_stands_in_where_there_is_no_poll(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = socket.socketpair()
    with near, far:
        for _ in range(2):
            assert not _readable(near)
            far.send(b"x")
            assert _readable(near)
            near.recv(1)
            monkeypatch.delattr(select, "poll", raising=False)
