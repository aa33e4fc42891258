"""One wait for many sockets: who is called, who is not any more, and what a turn costs."""

from __future__ import annotations

import select
import socket
from collections.abc import AsyncIterator, Iterator

import anyio
import anyio.lowlevel
import pytest
import trio

from ferryllm_net.http.backends.trio_readers import Readers, running
from support.pairs import Collector, Task, alone, settle

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has no epoll: every reader waits for itself"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "trio"


@pytest.fixture
def ends() -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    """Three pairs of sockets that do not block."""
    pairs = [socket.socketpair() for _ in range(3)]
    for pair in pairs:
        for sock in pair:
            sock.setblocking(False)
    yield pairs
    for pair in pairs:
        for sock in pair:
            sock.close()


def readers() -> Readers:
    found = running()
    assert found is not None
    return found


async def test_there_is_one_of_a_loop() -> None:
    assert running() is running()


async def test_each_socket_calls_until_it_is_removed(ends: list[tuple[socket.socket, socket.socket]]) -> None:
    called: list[bytes] = []
    near, far = ends[0]
    readers().add(near, lambda: called.append(near.recv(10)))
    await settle()
    assert called == []
    far.send(b"a")
    await settle()
    far.send(b"b")
    await settle()
    assert called == [b"a", b"b"]
    readers().remove(near)
    far.send(b"c")
    await settle()
    assert called == [b"a", b"b"]
    assert near.recv(10) == b"c", "nobody has read it"


async def test_what_is_not_read_calls_again(ends: list[tuple[socket.socket, socket.socket]]) -> None:
    called: list[bytes] = []
    near, far = ends[0]
    readers().add(near, lambda: called.append(near.recv(1)))
    far.send(b"abc")
    await settle()
    assert called == [b"a", b"b", b"c"]
    readers().remove(near)


async def test_the_end_calls(ends: list[tuple[socket.socket, socket.socket]]) -> None:
    called: list[bytes] = []
    near, far = ends[0]

    def call() -> None:
        called.append(near.recv(1))
        readers().remove(near)

    readers().add(near, call)
    far.close()
    await settle()
    assert called == [b""]


async def test_one_who_is_removed_within_the_turn_is_not_called(
    ends: list[tuple[socket.socket, socket.socket]],
) -> None:
    called: list[int] = []

    def calling(index: int) -> None:
        called.append(index)
        for near, _ in ends:
            readers().remove(near)

    for index, (near, far) in enumerate(ends):
        readers().add(near, lambda index=index: calling(index))  # type: ignore[misc]
        far.send(b"x")
    await settle()
    assert len(called) == 1


async def test_sockets_that_are_ready_together_share_a_turn(ends: list[tuple[socket.socket, socket.socket]]) -> None:
    class Steps(trio.abc.Instrument):
        count = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += task.name == "readers of ferryllm"

    called: list[socket.socket] = []
    for near, _ in ends:
        readers().add(near, lambda near=near: called.append(near.recv(10)))  # type: ignore[misc]
    await settle()
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    for _, far in ends:
        far.send(b"x")
    await settle()
    trio.lowlevel.remove_instrument(steps)
    assert len(called) == 3
    assert steps.count == 1
    for near, _ in ends:
        readers().remove(near)


async def test_a_pump_sleeps_while_its_bytes_pass() -> None:
    """This is what it is for: a chunk costs no step of the task that pumps."""

    class Steps(trio.abc.Instrument):
        count = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += task is pumping_task

    pumping_task: trio.lowlevel.Task | None = None
    async with alone("native") as (near, far, group):
        collector = Collector(20)

        async def pump() -> bool:
            nonlocal pumping_task
            pumping_task = trio.lowlevel.current_task()
            return await near.pump(collector)

        pumping = Task(group, pump)
        await settle()
        steps = Steps()
        trio.lowlevel.add_instrument(steps)
        for _ in range(19):
            await far.send(b"x")
            await settle()
        assert (collector.reads, steps.count) == (19, 0)
        await far.send(b"x")
        assert await pumping.wait() is True
        trio.lowlevel.remove_instrument(steps)


async def test_without_epoll_a_pump_waits_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")
    assert running() is None
    async with alone("native") as (near, far, group):
        collector = Collector(5)
        pumping = Task(group, lambda: near.pump(collector))
        await settle()
        for _ in range(5):
            await far.send(b"x")
            await settle()
        assert await pumping.wait() is True
        assert collector.data == b"xxxxx"
        assert running() is None


def test_nothing_is_left_of_a_loop_that_has_ended() -> None:
    kept: list[Readers] = []

    async def main() -> None:
        near, far = socket.socketpair()
        kept.append(readers())
        kept[0].add(near, lambda: None)
        await anyio.lowlevel.checkpoint()
        far.close()
        near.close()

    trio.run(main)
    assert kept[0]._epoll.closed


def test_who_cleans_up_behind_the_loop_reads_for_itself() -> None:
    found: list[Readers | None] = []
    held: list[object] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            yield 1
        finally:  # the loop ends what generates behind its own tasks
            found.append(running())

    async def main() -> None:
        assert running() is not None
        generator = numbers()
        held.append(generator)
        await anext(generator)

    trio.run(main)
    assert found == [None]
