"""Addresses side by side, and sockets that lose."""

from __future__ import annotations

import errno
import ipaddress
import socket
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream

from ferryllm_net.http import Origin, Pool, RequestHead, UpstreamError, UpstreamFault, dial
from ferryllm_net.http.dial import addresses, connect

pytestmark = pytest.mark.anyio

V6, V4 = socket.AF_INET6, socket.AF_INET


def resolver(*found: tuple[socket.AddressFamily, str], port: int = 80) -> Any:
    async def getaddrinfo(host: str, port_: int, **options: Any) -> list[Any]:
        rows = []
        for family, address in found:
            rows.append((family, socket.SOCK_STREAM, 6, "", (address, port) if family == V4 else (address, port, 0, 0)))
        return rows

    return getaddrinfo


async def test_families_take_turns_and_the_resolvers_first_is_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(V6, "::1"), (V6, "::2"), (V6, "::3"), (V4, "127.0.0.1"), (V4, "127.0.0.2")]
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(*found))
    assert [address[0] for _, address in await addresses("a.example", 80)] == [
        "::1",
        "127.0.0.1",
        "::2",
        "127.0.0.2",
        "::3",
    ]


async def test_literals_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*args: Any, **options: Any) -> list[Any]:
        raise AssertionError

    monkeypatch.setattr(anyio, "getaddrinfo", never)
    assert await addresses("127.0.0.1", 5) == [(V4, ("127.0.0.1", 5))]
    assert await addresses("::1", 5) == [(V6, ("::1", 5))]


class Network:
    """Stands for the attempts: each address answers, refuses or is silent, as the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **ways: str) -> None:
        self.ways = ways
        self.begun: list[str] = []
        self.sockets: dict[str, socket.socket] = {}
        self.go = anyio.Event()
        monkeypatch.setattr(dial, "_attempt", self.attempt)

    async def attempt(self, address: Any) -> socket.socket:
        name = str(ipaddress.ip_address(address[1][0]))[-1]
        self.begun.append(name)
        way = self.ways["n" + name]
        if way == "refuses":
            raise OSError(errno.ECONNREFUSED, "refused")
        sock = self.sockets[name] = socket.socket()
        try:
            if way == "silent":
                await anyio.sleep_forever()
            elif way == "slow":
                await self.go.wait()
        except BaseException:
            sock.close()
            raise
        return sock


TWO = ((V6, "::1"), (V4, "127.0.0.2"))


async def test_a_silent_address_is_overtaken_and_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(*TWO))
    monkeypatch.setattr(dial, "STAGGER_SECS", 0.001)
    network = Network(monkeypatch, n1="silent", n2="answers")
    with await connect("a.example", 80) as sock:
        assert sock is network.sockets["2"]
        assert network.sockets["1"].fileno() == -1


async def test_the_next_address_is_tried_at_once_when_one_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(*TWO))
    monkeypatch.setattr(dial, "STAGGER_SECS", 60)
    network = Network(monkeypatch, n1="refuses", n2="answers")
    with anyio.fail_after(5):
        sock = await connect("a.example", 80)
    with sock:
        assert sock is network.sockets["2"]


async def test_a_fast_first_address_is_the_only_one_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(*TWO))
    monkeypatch.setattr(dial, "STAGGER_SECS", 60)
    network = Network(monkeypatch, n1="answers", n2="answers")
    with anyio.fail_after(5):
        sock = await connect("a.example", 80)
    with sock:
        assert sock is network.sockets["1"]
    assert network.begun == ["1"]


async def test_two_that_answer_in_one_turn_leave_one_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(*TWO))
    monkeypatch.setattr(dial, "STAGGER_SECS", 0)
    network = Network(monkeypatch, n1="slow", n2="slow")
    got: list[socket.socket] = []

    async def run() -> None:
        got.append(await connect("a.example", 80))

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        network.go.set()
    with got[0]:
        assert sorted(sock.fileno() == -1 for sock in network.sockets.values()) == [False, True]


async def test_when_all_refuse_the_first_ones_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(*TWO))
    Network(monkeypatch, n1="refuses", n2="refuses")
    with pytest.raises(OSError) as caught:
        await connect("a.example", 80)
    assert caught.value.errno == errno.ECONNREFUSED


async def test_cancellation_closes_every_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", resolver(*TWO))
    monkeypatch.setattr(dial, "STAGGER_SECS", 0)
    network = Network(monkeypatch, n1="silent", n2="silent")
    async with anyio.create_task_group() as group:
        group.start_soon(connect, "a.example", 80)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert [sock.fileno() for sock in network.sockets.values()] == [-1, -1]


async def test_sockets_of_a_name_whose_first_family_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        monkeypatch.setattr(anyio, "getaddrinfo", resolver((V6, "::1"), (V4, "127.0.0.1"), port=port))
        with await connect("a.example", port) as sock:
            assert sock.getpeername() == ("127.0.0.1", port)
            assert not sock.getblocking()


async def test_name_without_addresses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anyio, "getaddrinfo", resolver())
    with pytest.raises(UpstreamError, match="name cannot be resolved") as caught:
        await dial.dial(Origin("http", "nobody.invalid", 80))
    assert caught.value.kind is UpstreamFault.CONNECT


async def test_an_upstream_behind_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    origin = Origin("http", "localhost", 80, socket=path)
    with pytest.raises(UpstreamError, match=r"behind the unix socket .* cannot be reached: no such file") as caught:
        await dial.dial(origin)
    assert caught.value.kind is UpstreamFault.CONNECT

    async def serve(stream: ByteStream) -> None:
        async with stream:
            assert b"host: localhost\r\n" in await stream.receive()
            await stream.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        async with Pool() as pool, await pool.open(origin, RequestHead("GET", "/", [])) as response:
            assert await response.read(10) == b"ok"
        group.cancel_scope.cancel()
