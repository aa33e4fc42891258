"""The read side: what is kept, what wakes, what ends."""

from __future__ import annotations

import anyio
import pytest

from ferryllm_net.http.inbox import DeadlinePassed, Inbox
from support.streams import wire

pytestmark = pytest.mark.anyio


async def test_more_gives_all_that_came_and_then_the_end() -> None:
    near, far = wire()
    ends: list[bool] = []
    inbox = Inbox(far, 1000, lambda: ends.append(True))
    async with anyio.create_task_group() as group:
        group.start_soon(inbox.run)
        await near.send(b"ab")
        await anyio.wait_all_tasks_blocked()
        await near.send(b"cd")
        await anyio.wait_all_tasks_blocked()
        assert len(inbox) == 4
        assert await inbox.more() == b"abcd"
        assert len(inbox) == 0
        assert not ends
        await near.send(b"e")
        await near.aclose()
        await anyio.wait_all_tasks_blocked()
        assert ends == [True]
        assert await inbox.more() == b"e", "what came before the end is still there"
        assert await inbox.more() == b""


async def test_a_broken_connection_is_an_end() -> None:
    near, far = wire()
    inbox = Inbox(far, 1000, lambda: None)
    async with anyio.create_task_group() as group:
        group.start_soon(inbox.run)
        await anyio.wait_all_tasks_blocked()
        near.reset()
        assert await inbox.more() == b""
        assert inbox.ended


async def test_cancelling_the_reader_is_not_the_clients_end() -> None:
    _, far = wire()
    ends: list[bool] = []
    async with anyio.create_task_group() as group:
        group.start_soon(Inbox(far, 1000, lambda: ends.append(True)).run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert ends == []


async def test_expire_ends_the_wait_but_not_what_has_come() -> None:
    near, far = wire()
    inbox = Inbox(far, 1000, lambda: None)
    async with anyio.create_task_group() as group:
        group.start_soon(inbox.run)
        inbox.expire()
        with pytest.raises(DeadlinePassed):
            await inbox.more()
        await near.send(b"x")
        await anyio.wait_all_tasks_blocked()
        inbox.expire()
        assert await inbox.more() == b"x"
        group.start_soon(near.send, b"y")
        assert await inbox.more() == b"y", "an old alarm is forgotten with the bytes it waited for"
        group.cancel_scope.cancel()


async def test_reading_pauses_at_the_bound_and_goes_on() -> None:
    near, far = wire(capacity=10)
    inbox = Inbox(far, 15, lambda: None)
    async with anyio.create_task_group() as group:
        group.start_soon(inbox.run)
        group.start_soon(near.send, b"x" * 100)
        await anyio.wait_all_tasks_blocked()
        assert 15 <= len(inbox) <= 25
        total = 0
        while total < 100:
            total += len(await inbox.more())
        group.cancel_scope.cancel()
