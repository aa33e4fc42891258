"""Which transport a socket gets, and taking connections from a listener."""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.http.backends import accept, adopt
from ferryllm_net.http.listeners import open_listeners, unix_listener
from support.pairs import Task, settle, socket_pair

pytestmark = pytest.mark.anyio


LOOPS_OWN = {"asyncio": "AsyncioTransport", "trio": "TrioTransport"}


@pytest.mark.parametrize("epoll", [True, False])
async def test_a_socket_gets_a_transport(epoll: bool, anyio_backend_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = socket_pair()
    with far:
        with monkeypatch.context() as patch:
            if not epoll:
                patch.delattr(select, "epoll", raising=False)
            transport = await adopt(near)
        name = type(transport).__name__
        assert name == ("PolledTransport" if epoll and hasattr(select, "epoll") else LOOPS_OWN[anyio_backend_name])
        assert transport.peer == far.getsockname()
        assert near.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await transport.aclose()
        assert near.fileno() == -1


async def test_a_socket_that_is_closed_already() -> None:
    near, far = socket_pair()
    far.close()
    near.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        await adopt(near)


async def test_a_peer_that_has_reset_before_we_looked() -> None:
    near, far = socket_pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    far.close()
    transport = await adopt(near)
    assert transport.peer == ("", 0)
    with pytest.raises(Exception, match="reset"):
        await transport.receive()
    await transport.aclose()


async def test_connections_are_taken_as_they_come() -> None:
    (listener,) = open_listeners("127.0.0.1", 0)
    with listener, anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            waiting = Task(group, lambda: accept(listener))
            await settle()
            assert not waiting.done
            clients = [socket.create_connection(listener.getsockname()) for _ in range(5)]
            await waiting.wait()
            taken: list[Any] = [waiting.result]
            taken += [await accept(listener) for _ in clients[1:]]
            assert {sock.getpeername() for sock in taken} == {client.getsockname() for client in clients}
            for sock in (*clients, *taken):
                sock.close()


async def test_unix_sockets_are_taken(tmp_path: Any) -> None:
    path = str(tmp_path / "s")
    with unix_listener(path) as listener, socket.socket(socket.AF_UNIX) as client, anyio.fail_after(10):
        client.connect(path)
        transport = await adopt(await accept(listener))
        await transport.send(b"x")
        assert client.recv(1) == b"x"
        await transport.aclose()


async def test_a_cancelled_accept_has_taken_nothing() -> None:
    (listener,) = open_listeners("127.0.0.1", 0)
    with listener, anyio.fail_after(10), socket.create_connection(listener.getsockname()):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await accept(listener)
        (await accept(listener)).close()


class Listener:
    """Raises one error after the other."""

    def __init__(self, *errors: int) -> None:
        self.errors = list(errors)

    def accept(self) -> tuple[str, None]:
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, os.strerror(number))
        return "a socket", None


async def test_a_connection_that_died_in_the_queue_is_passed_over() -> None:
    listener: Any = Listener(errno.ECONNABORTED, errno.EPROTO)
    assert await accept(listener) == "a socket"  # type: ignore[comparison-overlap]  # of the stand-in


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
async def test_a_lack_of_descriptors_is_told(number: int) -> None:
    listener: Any = Listener(number)
    with pytest.raises(OSError) as caught:
        await accept(listener)
    assert caught.value.errno == number


async def test_accepting_lets_others_run() -> None:
    listener: Any = Listener()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        counting = Task(group, count)
        for _ in range(10):
            await accept(listener)
        assert turns >= 9
        counting.scope.cancel()


async def test_trio_is_not_loaded_to_find_out(monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str) -> None:
    if anyio_backend_name == "asyncio":
        monkeypatch.delitem(sys.modules, "trio", raising=False)
    near, far = socket_pair()
    with far:
        transport = await adopt(near)
        await transport.aclose()
    assert ("trio" in sys.modules) == (anyio_backend_name == "trio")
