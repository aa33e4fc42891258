"""One wait for many sockets: who is called, who is not any more, and what a turn costs."""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import TypeAlias

import anyio.lowlevel
import pytest
import trio

from ferryllm_net.http.backends import asyncio_polling, polled, trio_polling
from ferryllm_net.http.backends.poller import READ, WRITE, Poller
from support.pairs import Collector, Task, alone, settle

pytestmark = pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has no epoll")

Ends: TypeAlias = list[tuple[socket.socket, socket.socket]]


@pytest.fixture
def ends() -> Iterator[Ends]:
    """Three pairs of sockets that do not block."""
    pairs = [socket.socketpair() for _ in range(3)]
    for pair in pairs:
        for sock in pair:
            sock.setblocking(False)
    yield pairs
    for pair in pairs:
        for sock in pair:
            sock.close()


def running(backend: str) -> Poller:
    return trio_polling.running() if backend == "trio" else asyncio_polling.running()


class Calls:
    """Reads ``size`` bytes where it is called, and remembers them."""

    def __init__(self, sock: socket.socket, size: int = 10) -> None:
        self.fd = sock.fileno()
        self.seen: list[bytes] = []
        self._sock, self._size = sock, size

    def __call__(self, ready: int) -> None:
        assert ready & READ
        self.seen.append(self._sock.recv(self._size))


@pytest.mark.anyio
async def test_there_is_one_of_a_loop(anyio_backend_name: str) -> None:
    assert running(anyio_backend_name) is running(anyio_backend_name)


@pytest.mark.anyio
async def test_a_socket_calls_until_it_is_removed(ends: Ends, anyio_backend_name: str) -> None:
    poller, (near, far) = running(anyio_backend_name), ends[0]
    calls = Calls(near)
    poller.add(calls.fd, READ, calls)
    await settle()
    assert calls.seen == []
    far.send(b"a")
    await settle()
    far.send(b"b")
    await settle()
    assert calls.seen == [b"a", b"b"]
    poller.remove(calls.fd)
    far.send(b"c")
    await settle()
    assert calls.seen == [b"a", b"b"]
    assert near.recv(10) == b"c", "nobody has read it"


@pytest.mark.anyio
async def test_what_is_not_read_calls_again(ends: Ends, anyio_backend_name: str) -> None:
    poller, (near, far) = running(anyio_backend_name), ends[0]
    calls = Calls(near, 1)
    poller.add(calls.fd, READ, calls)
    far.send(b"abc")
    await settle()
    assert calls.seen == [b"a", b"b", b"c"]
    poller.remove(calls.fd)


@pytest.mark.anyio
async def test_the_end_calls(ends: Ends, anyio_backend_name: str) -> None:
    poller, (near, far) = running(anyio_backend_name), ends[0]
    seen: list[bytes] = []

    def call(ready: int) -> None:
        seen.append(near.recv(1))
        poller.remove(near.fileno())

    poller.add(near.fileno(), READ, call)
    far.close()
    await settle()
    assert seen == [b""]


@pytest.mark.anyio
async def test_wishes_change(ends: Ends, anyio_backend_name: str) -> None:
    poller, (near, far) = running(anyio_backend_name), ends[0]
    seen: list[int] = []

    def call(ready: int) -> None:
        seen.append(ready)
        poller.change(near.fileno(), READ)
        if ready & READ:
            near.recv(10)

    poller.add(near.fileno(), READ | WRITE, call)
    await settle()
    assert seen == [WRITE]
    far.send(b"x")
    await settle()
    assert seen == [WRITE, READ]
    poller.remove(near.fileno())


@pytest.mark.anyio
async def test_one_that_is_removed_within_the_turn_is_not_called(ends: Ends, anyio_backend_name: str) -> None:
    poller = running(anyio_backend_name)
    seen: list[int] = []

    def call(ready: int) -> None:
        seen.append(ready)
        for near, _ in ends:
            poller.remove(near.fileno())

    for near, far in ends:
        poller.add(near.fileno(), READ, call)
        far.send(b"x")
    await settle()
    assert seen == [READ]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_sockets_that_are_ready_together_share_a_turn(ends: Ends, anyio_backend: str) -> None:
    class Steps(trio.abc.Instrument):
        count = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += task.name == "poller of ferryllm"

    poller = trio_polling.running()
    calls = [Calls(near) for near, _ in ends]
    for one in calls:
        poller.add(one.fd, READ, one)
    await settle()
    steps = Steps()
    trio.lowlevel.add_instrument(steps)
    for _, far in ends:
        far.send(b"x")
    await settle()
    trio.lowlevel.remove_instrument(steps)
    assert [one.seen for one in calls] == [[b"x"]] * 3
    assert steps.count == 1
    for one in calls:
        poller.remove(one.fd)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_a_pump_sleeps_while_its_bytes_pass(anyio_backend: str) -> None:
    """This is what it is for: a chunk costs no step of the task that pumps."""
    pumping_task: trio.lowlevel.Task | None = None

    class Steps(trio.abc.Instrument):
        count = 0

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            self.count += task is pumping_task

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


def test_nothing_is_left_of_a_trio_that_has_ended() -> None:
    kept: list[Poller] = []

    async def main() -> None:
        near, far = socket.socketpair()
        with near, far:
            kept.append(trio_polling.running())
            kept[0].add(near.fileno(), READ, lambda ready: None)
            await anyio.lowlevel.checkpoint()
            kept[0].remove(near.fileno())

    trio.run(main)
    with pytest.raises(ValueError, match="closed epoll"):
        kept[0].fileno()


def test_who_cleans_up_behind_the_loop_may_remove_its_socket() -> None:
    removed: list[bool] = []
    held: list[object] = []

    async def watching() -> AsyncIterator[int]:
        near, far = socket.socketpair()
        with near, far:
            poller = trio_polling.running()
            poller.add(near.fileno(), READ, lambda ready: None)
            try:
                yield 1
            finally:  # the loop ends what generates behind its own tasks
                poller.remove(near.fileno())
                removed.append(True)

    async def main() -> None:
        generator = watching()
        held.append(generator)
        await anext(generator)

    trio.run(main)
    assert removed == [True]


def test_nothing_is_left_of_an_asyncio_that_has_ended() -> None:
    pollers: list[weakref.ref[Poller]] = []

    async def main() -> None:
        pollers.append(weakref.ref(asyncio_polling.running()))

    asyncio.run(main())
    gc.collect()
    assert pollers[0]() is None


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_open_when_an_asyncio_ends_goes_with_it() -> None:
    ends: list[socket.socket] = []

    async def main() -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        transport = await polled(near)
        loop = asyncio.get_running_loop()
        transport.watch(lambda: loop.stop())  # as what is told of it does, it knows the loop
        ends.append(far)

    for _ in range(3):
        asyncio.run(main())
    gc.collect()
    for far in ends:
        with far:
            far.settimeout(5)
            assert far.recv(1) == b"", "the other end is closed"


def test_one_that_could_not_begin_is_not_the_loops() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "add_reader", None)
            with pytest.raises(TypeError):
                asyncio_polling.running()
        near, far = socket.socketpair()
        with near, far:
            calls = Calls(near)
            asyncio_polling.running().add(calls.fd, READ, calls)
            far.send(b"x")
            while not calls.seen:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.001)
            asyncio_polling.running().remove(calls.fd)

    asyncio.run(asyncio.wait_for(main(), 10))


def test_behind_its_end_nothing_is_watched(ends: Ends) -> None:
    poller, (near, far) = Poller(), ends[0]
    poller.add(near.fileno(), READ, lambda ready: None)
    poller.close()
    poller.change(near.fileno(), WRITE)
    poller.remove(near.fileno())
    poller.remove(near.fileno())
    with pytest.raises(OSError, match="the loop has ended"):
        poller.add(far.fileno(), READ, lambda ready: None)
