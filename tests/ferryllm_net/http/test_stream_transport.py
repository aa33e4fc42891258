"""The transport over anyio's streams, beyond what every transport promises."""

from __future__ import annotations

import socket

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute

from ferryllm_net.http.stream_transport import StreamTransport
from ferryllm_net.http.transport import RECEIVE_BYTES, TransportError
from support.pairs import Task, alone, settle

pytestmark = pytest.mark.anyio


async def test_a_socket_gets_nodelay() -> None:
    async with alone("stream") as (near, far, _):
        for end in (near, far):
            assert isinstance(end, StreamTransport)
            raw = end._stream.extra(SocketAttribute.raw_socket)
            assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_bytes_that_a_full_read_may_have_left_make_it_unquiet() -> None:
    async with alone("stream-tlsstream") as (near, far, group):
        Task(group, lambda: far.send(bytes(3 * RECEIVE_BYTES)))
        data = b""
        while len(data) < 3 * RECEIVE_BYTES:
            piece = await near.receive()
            data += piece
            if len(piece) == RECEIVE_BYTES:
                assert not near.is_quiet()


async def test_records_already_inside_the_tls_machine_make_it_unquiet() -> None:
    async with alone("stream-tlsstream") as (near, far, _):
        await far.send(b"a")
        await far.send(b"uninvited")
        assert await near.receive() == b"a"
        assert not near.is_quiet()


async def test_any_stream_of_bytes_will_do() -> None:
    near = StreamTransport(Loop())
    with anyio.fail_after(10):
        assert near.peer == ("", 0)
        assert not near.secure
        await near.send(b"x")
        assert await near.receive() == b"x"
        assert not near.is_quiet(), "nobody can tell"
        near.reset_on_close()
        await near.send_eof()
        assert await near.receive() == b""
        await near.aclose()


async def test_nothing_follows_a_write_that_was_broken_off() -> None:
    async with alone("stream") as (near, _, group):
        sending = Task(group, lambda: near.send(bytes(4_000_000)))
        await settle()
        sending.scope.cancel()
        await sending.wait()
        with pytest.raises(TransportError, match="broken off"):
            near.write(b"x")
        with pytest.raises(TransportError, match="broken off"):
            await near.drain()


class Loop(ByteStream):
    """What is sent comes back."""

    def __init__(self) -> None:
        self._send, self._receive = anyio.create_memory_object_stream[bytes](10)

    async def send(self, item: bytes) -> None:
        await self._send.send(item)

    async def receive(self, max_bytes: int = 65536) -> bytes:
        return await self._receive.receive()

    async def send_eof(self) -> None:
        self._send.close()

    async def aclose(self) -> None:
        self._send.close()
        self._receive.close()
