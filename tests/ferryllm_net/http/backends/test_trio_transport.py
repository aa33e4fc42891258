"""What is particular to trio without epoll: who gets a turn beside a socket that always has bytes."""

from __future__ import annotations

import anyio.lowlevel
import pytest

from ferryllm_net.http.backends.trio_transport import TrioTransport
from support.pairs import Collector, Task, alone, socket_pair

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


async def test_a_pump_whose_socket_always_has_bytes_lets_others_run() -> None:
    async with alone("loop") as (near, far, group):
        assert isinstance(near, TrioTransport)
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        def refill(data: bytes) -> bool:
            far.write(data)
            collector(data)
            return collector.reads == 200

        collector = Collector(1 << 40)
        # Full reads, so that the pump has no reason to wait.
        near._emptied = False
        counting = Task(group, count)
        far.write(b"x" * 1000)
        assert await near.pump(refill)
        assert turns >= 200 // 16 - 1
        counting.scope.cancel()


async def test_reads_in_a_row_are_bounded() -> None:
    near, far = (TrioTransport(sock) for sock in socket_pair())
    for sock in (near._sock, far._sock):
        sock.setblocking(False)
    waits = 0
    readable = near._readable

    async def wait() -> None:
        nonlocal waits
        waits += 1
        await readable()

    near._readable = wait  # type: ignore[method-assign]  # counted
    taken = 0
    for _ in range(64):
        far.write(b"x" * 1000)
        near._emptied = False  # as after a full read
        taken += len(await near.receive())
        if far._unsent:
            await far.drain()
    assert taken == 64_000
    assert 3 <= waits <= 8
    await near.aclose()
    await far.aclose()


async def test_a_short_read_is_followed_by_a_wait() -> None:
    """The read in vain in between would be a system call a chunk."""
    async with alone("loop") as (near, far, _):
        assert isinstance(near, TrioTransport)
        await far.send(b"x")
        assert await near.receive() == b"x"
        assert near._emptied
