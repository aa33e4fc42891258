"""Dialler: every address of a name is tried, and the one that answered is remembered."""

from __future__ import annotations

import socket

import anyio
import anyio.to_thread
import pytest

from ferryllm_net.bench.wire import READ_BYTES, Dialler
from support.processes import free_port

pytestmark = pytest.mark.anyio


def closed_port() -> tuple[socket.AddressFamily, tuple[str, int]]:
    return socket.AF_INET, ("127.0.0.1", free_port())


async def test_what_is_sent_arrives_and_the_end_is_empty() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = await Dialler("127.0.0.1", listener.getsockname()[1], None).connect()
        peer = listener.accept()[0]
        await wire.send(b"there")
        assert peer.recv(100) == b"there"
        peer.sendall(b"back")
        assert await wire.receive() == b"back"
        peer.close()
        assert await wire.receive() == b""
        await wire.close()


async def test_more_than_the_socket_takes_is_sent_as_the_peer_reads() -> None:
    size = 50 * READ_BYTES
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = await Dialler("127.0.0.1", listener.getsockname()[1], None).connect()
        peer = listener.accept()[0]
        got = 0

        def read() -> None:
            nonlocal got
            while got < size:
                got += len(peer.recv(READ_BYTES))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wire.send, bytes(size))
            await anyio.to_thread.run_sync(read)
        assert got == size
        peer.close()
        await wire.close()


async def test_an_address_that_refuses_gives_way_to_the_next_which_comes_first_from_then_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_one = (socket.AF_INET, listener.getsockname())
        dialler = Dialler("localhost", 1, None)
        dialler._found = [closed_port(), open_one]
        for _ in range(2):
            wire = await dialler.connect()
            await wire.close()
            assert dialler._found[0] == open_one
        assert len(dialler._found) == 2


async def test_when_every_address_refuses_the_first_refusal_is_told() -> None:
    dialler = Dialler("localhost", 1, None)
    dialler._found = [closed_port(), closed_port()]
    with pytest.raises(ConnectionRefusedError):
        await dialler.connect()
