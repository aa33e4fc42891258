"""What is particular to asyncio without epoll: one buffer for reads, bytes that come while nobody waits, turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from ferryllm_net.http.backends.asyncio_transport import AsyncioTransport, connect
from support.pairs import Collector, socket_pair

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def both() -> list[AsyncioTransport]:
    return [await connect(sock) for sock in socket_pair()]


async def close(*transports: AsyncioTransport) -> None:
    for transport in transports:
        await transport.aclose()


async def test_reads_of_a_thread_share_a_buffer_and_bytes_do_not_change() -> None:
    near, far = await both()
    assert near.get_buffer(-1) is far.get_buffer(-1)
    await far.send(b"first")
    data = await near.receive()
    await near.send(b"other")
    assert await far.receive() == b"other"
    assert data == b"first"
    await close(near, far)


def test_threads_do_not_share_it() -> None:
    buffers: list[memoryview] = []

    async def look() -> None:
        near, far = await both()
        buffers.append(near.get_buffer(-1))
        await close(near, far)

    for _ in range(2):
        thread = threading.Thread(target=lambda: asyncio.run(look()))
        thread.start()
        thread.join()
    assert buffers[0] is not buffers[1]


async def test_a_native_cancellation_loses_nothing() -> None:
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


@pytest.mark.parametrize("more", [b"", b" and more"])
async def test_bytes_of_the_turn_of_a_cancellation_are_for_the_next_wait(more: bytes) -> None:
    near, far = await both()
    waiting = asyncio.ensure_future(near.receive())
    await asyncio.sleep(0)
    for piece in filter(None, (b"bytes", more)):
        # As the loop does, in one turn, and nobody has run in between.
        near.get_buffer(-1)[: len(piece)] = piece
        near.buffer_updated(len(piece))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await near.receive() == b"bytes" + more
    await close(near, far)


async def test_bytes_that_come_before_a_reader_runs_are_one_read() -> None:
    near, far = await both()
    waiting = asyncio.ensure_future(near.receive())
    await asyncio.sleep(0)
    for piece in (b"one", b"two", b"three"):
        near.get_buffer(-1)[: len(piece)] = piece
        near.buffer_updated(len(piece))
    assert await waiting == b"onetwothree"
    await close(near, far)


async def test_bytes_behind_the_last_word_of_a_pump_wait() -> None:
    near, far = await both()
    collector = Collector(1)
    pumping = asyncio.create_task(near.pump(collector))
    await asyncio.sleep(0)
    # Two reads of the loop before the task gets its turn.
    for piece in (b"a", b"b"):
        near.get_buffer(-1)[:1] = piece
        near.buffer_updated(1)
    assert await pumping is True
    assert collector.data == b"a"
    assert await near.receive() == b"b"
    await close(near, far)


async def test_anyio_scopes_end_a_wait() -> None:
    near, far = await both()
    with anyio.move_on_after(0.001) as scope:
        await near.receive()
    assert scope.cancelled_caught
    await close(near, far)
