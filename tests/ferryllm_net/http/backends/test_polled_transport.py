"""What is particular to a socket that a poller tells of: bytes that come while nobody waits, turns of the loop."""

from __future__ import annotations

import asyncio
import errno
import select
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from ferryllm_net.http.backends import adopt, asyncio_polling, polled
from ferryllm_net.http.backends.polled_transport import PolledTransport
from ferryllm_net.http.backends.poller import READ, WRITE, Poller
from ferryllm_net.http.backends.read_buffer import READ_BYTES
from ferryllm_net.http.transport import READ_AHEAD_BYTES, TransportError
from support.pairs import Collector, Task, settle, socket_pair

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(select, "epoll"), reason="this system has no epoll"),
]
asyncio_alone = pytest.mark.parametrize("anyio_backend", ["asyncio"])


async def both() -> list[PolledTransport]:
    ends = socket_pair()
    for sock in ends:
        sock.setblocking(False)
    return [await polled(sock) for sock in ends]


async def close(*transports: PolledTransport) -> None:
    for transport in transports:
        await transport.aclose()


def arrive(near: PolledTransport, far: PolledTransport, *pieces: bytes) -> None:
    """Reads of one turn of the loop, in which nobody has run."""
    for piece in pieces:
        far.write(piece)
        near._ready(READ)


async def test_bytes_do_not_change_with_the_next_read() -> None:
    near, far = await both()
    await far.send(b"first")
    data = await near.receive()
    await near.send(b"other")
    assert await far.receive() == b"other"
    assert data == b"first"
    await close(near, far)


@asyncio_alone
async def test_a_native_cancellation_loses_nothing(anyio_backend: str) -> None:
    near, far = await both()
    collector = Collector(1)
    calls: list[Callable[[], Coroutine[Any, Any, object]]] = [near.receive, lambda: near.pump(collector)]
    for call in calls:
        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        far.write(b"x")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await near.receive() == b"x"
    assert not collector.data
    await close(near, far)


@asyncio_alone
@pytest.mark.parametrize("more", [b"", b" and more"])
async def test_bytes_of_the_turn_of_a_cancellation_are_for_the_next_wait(more: bytes, anyio_backend: str) -> None:
    near, far = await both()
    waiting = asyncio.ensure_future(near.receive())
    await asyncio.sleep(0)
    arrive(near, far, *filter(None, (b"bytes", more)))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await near.receive() == b"bytes" + more
    await close(near, far)


async def test_bytes_that_come_before_a_reader_runs_are_one_read() -> None:
    near, far = await both()
    async with anyio.create_task_group() as group:
        waiting = Task(group, near.receive)
        await settle()
        arrive(near, far, b"one", b"two", b"three")
        assert await waiting.wait() == b"onetwothree"
    await close(near, far)


async def test_bytes_behind_the_last_word_of_a_pump_wait() -> None:
    near, far = await both()
    collector = Collector(1)
    async with anyio.create_task_group() as group:
        pumping = Task(group, lambda: near.pump(collector))
        await settle()
        arrive(near, far, b"a", b"b")
        assert await pumping.wait() is True
    assert collector.data == b"a"
    assert await near.receive() == b"b"
    await close(near, far)


async def test_a_call_for_nothing_is_nothing() -> None:
    """A descriptor that another socket had within the turn."""
    near, far = await both()
    near._ready(READ)
    assert near.is_quiet()
    await far.send(b"x")
    assert await near.receive() == b"x"
    await close(near, far)


async def test_a_socket_that_nobody_reads_is_not_looked_at_when_enough_waits() -> None:
    near, far = await both()
    async with anyio.create_task_group() as group:
        sending = Task(group, lambda: far.send(bytes(2_000_000)))
        await settle()
        assert not near._wanted & READ
        held = near._size
        assert READ_AHEAD_BYTES <= held < READ_AHEAD_BYTES + READ_BYTES
        taken = len(await near.receive())
        assert near._wanted & READ
        while taken < 2_000_000:
            taken += len(await near.receive())
        await sending.wait()
    await close(near, far)


async def test_what_the_peer_said_before_it_went_can_be_read_when_nothing_can_be_sent() -> None:
    """An upstream refuses a large body and closes: its answer is worth more than that it closed."""
    near, far = await both()
    async with anyio.create_task_group() as group:
        sending = Task(group, lambda: near.send(bytes(4_000_000)))
        await settle()
        assert not sending.done
        await far.send(b"no")
        await settle()
        await far.aclose()  # with bytes unread, which is a reset
        await sending.wait()
        assert isinstance(sending.error, TransportError)
        assert await near.receive() == b"no"
        with pytest.raises(TransportError):
            near.write(b"x")
    await close(near, far)


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_peer_that_has_gone_does_not_keep_the_loop_busy(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = await both()
    calls = 0
    ready = near._ready

    def count(what: int) -> None:
        nonlocal calls
        calls += 1
        ready(what)

    near._poller.remove(near._fd)
    near._poller.add(near._fd, READ, count)
    if how == "reset":
        far.reset_on_close()
    await far.aclose()
    for _ in range(5):
        await settle()
    assert calls == 1
    await near.aclose()


async def test_a_socket_that_cannot_be_watched_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "no watch is left")

    monkeypatch.setattr(Poller, "add", full)
    near, far = socket_pair()
    with far:
        with pytest.raises(OSError, match="no watch is left"):
            await adopt(near)
        assert near.fileno() == -1


@asyncio_alone
async def test_the_loop_reads_where_nobody_waits(anyio_backend: str) -> None:
    near, far = await both()
    far.write(b"early")
    await asyncio.sleep(0)
    asyncio_polling.running().turn()
    assert near._pieces == [b"early"]
    await close(near, far)


async def test_scopes_end_a_wait() -> None:
    near, far = await both()
    with anyio.move_on_after(0.001) as scope:
        await near.receive()
    assert scope.cancelled_caught
    with anyio.move_on_after(0.001) as scope:
        await near.pump(Collector(1))
    assert scope.cancelled_caught
    await close(near, far)


async def test_bytes_that_no_turn_has_read_are_no_quiet() -> None:
    """An answer that nobody asked for must not meet the next request."""
    near, far = await both()
    assert near.is_quiet()
    far.write(b"uninvited")
    assert not near.is_quiet()
    assert await near.receive() == b"uninvited"
    assert near.is_quiet()
    await far.aclose()
    assert not near.is_quiet()
    await near.aclose()


async def test_a_callback_that_fails_is_the_connections_own_affair() -> None:
    near, far = await both()
    other, end = await both()

    def fail() -> None:
        raise RuntimeError("of the callback")

    near.watch(fail)
    await far.aclose()
    end.write(b"x")
    assert await other.receive() == b"x"
    await settle()
    with pytest.raises(TransportError, match="RuntimeError"):
        await near.receive()
    await close(near, other, end)


async def test_where_no_more_can_be_watched_the_connection_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = await both()
    async with anyio.create_task_group() as group:
        Task(group, lambda: far.send(bytes(2_000_000)))
        await settle()
        assert not near._wanted & READ

        def full(*args: object) -> None:
            raise OSError(errno.ENOSPC, "no watch is left")

        monkeypatch.setattr(near._poller, "add", full)
        assert await near.receive(), "what is there is there"
        for call in (near.receive, lambda: near.pump(Collector(1)), lambda: near.send(b"x"), near.drain):
            with pytest.raises(TransportError, match="no watch is left"):
                await call()
        await near.aclose()
        assert near._sock.fileno() == -1
        group.cancel_scope.cancel()
    await far.aclose()


async def test_a_read_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = await both()
    while near.write(bytes(100_000)):
        pass
    assert near._wanted & WRITE
    tried: list[None] = []
    monkeypatch.setattr(PolledTransport, "_send_kept", lambda self: tried.append(None))
    arrive(near, far, b"x", b"y")
    assert not tried
    near._ready(READ | WRITE)
    assert tried
    assert await near.receive() == b"xy"
    await close(near, far)


@asyncio_alone
async def test_what_a_cancelled_pump_raised_is_nobodys(anyio_backend: str) -> None:
    near, far = await both()

    def fail(data: bytes) -> bool:
        raise ValueError

    pumping = asyncio.create_task(near.pump(fail))
    await asyncio.sleep(0)
    arrive(near, far, b"x")
    pumping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pumping
    await far.aclose()
    assert await near.pump(Collector(1)) is False
    await near.aclose()
