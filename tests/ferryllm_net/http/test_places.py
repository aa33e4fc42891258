"""The limit of connections of one origin: who waits, for how long, and who is next."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from ferryllm_net.http import Limits, Origin, Timeouts, Transport, UpstreamError, UpstreamFault
from support.upstream import FULL, OK, ORIGIN, Bench, answer, bench, head

pytestmark = pytest.mark.anyio

ONE = msgspec.structs.replace(ORIGIN, max_connections=1)
KEPT = FULL
ENDS = OK + b"connection: close\r\ncontent-length: 2\r\n\r\nok"


class Asker:
    """Asks, says in which order it was answered, and reads its answer when told."""

    def __init__(self, b: Bench, order: list[str]) -> None:
        self.b = b
        self.order = order

    async def ask(self, name: str) -> None:
        async with await self.b.pool.open(ONE, head("GET", ("x-name", name))) as response:
            assert await response.read(10) == b"ok"
        self.order.append(name)


@pytest.mark.parametrize("reply", [KEPT, ENDS], ids=["kept", "closed"])
async def test_those_who_wait_come_in_their_order(reply: bytes) -> None:
    order: list[str] = []
    async with bench() as b, anyio.create_task_group() as group:
        asker = Asker(b, order)
        for name in "abcd":
            group.start_soon(asker.ask, name)
            await anyio.wait_all_tasks_blocked()
        assert b.pool.waiting == 3
        assert b.upstream.dialled == 1
        far = await b.upstream.accept()
        for n, name in enumerate("abcd"):
            if n and reply is ENDS:
                far = await b.upstream.accept()
            assert f"x-name: {name}".encode() in await answer(far, reply, close=reply is ENDS)
            await anyio.wait_all_tasks_blocked()
    assert order == ["a", "b", "c", "d"]
    assert b.upstream.dialled == (1 if reply is KEPT else 4)
    assert b.pool.counts.waited == 3
    assert b.pool.waiting == b.pool.active == 0


async def test_a_connection_that_spoils_while_it_is_handed_over_leaves_its_place() -> None:
    order: list[str] = []
    async with bench() as b, anyio.create_task_group() as group:
        asker = Asker(b, order)
        for name in "ab":
            group.start_soon(asker.ask, name)
            await anyio.wait_all_tasks_blocked()
        far = await b.upstream.accept()
        await far.receive_until(b"\r\n\r\n")
        await far.send(FULL)
        await far.aclose()
        await answer(await b.upstream.accept(), FULL)
    assert order == ["a", "b"]


async def test_the_end_of_the_wait_says_that_the_pool_is_full() -> None:
    async with bench(Limits(pool_wait_secs=0.01)) as b:
        async with anyio.create_task_group() as group:
            group.start_soon(_hold, b)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(UpstreamError, match=r"pool of upstream upstream\.test:8000 is full: 1 conn") as caught:
                await b.pool.open(ONE, head())
            group.cancel_scope.cancel()
        assert caught.value.kind is UpstreamFault.FULL
        assert b.pool.counts.refused == 1
        assert b.pool.waiting == 0


async def test_more_than_the_bound_do_not_even_wait() -> None:
    async with bench(Limits(pool_waiting=1)) as b, anyio.create_task_group() as group:
        group.start_soon(_hold, b)
        await anyio.wait_all_tasks_blocked()
        group.start_soon(_hold, b)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(UpstreamError, match="is full") as caught:
            await b.pool.open(ONE, head())
        assert caught.value.kind is UpstreamFault.FULL
        group.cancel_scope.cancel()


async def test_the_total_time_includes_the_wait() -> None:
    async with bench() as b, anyio.create_task_group() as group:
        group.start_soon(_hold, b)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(UpstreamError) as caught:
            await b.pool.open(ONE, head(), timeouts=Timeouts(total_secs=0.01))
        assert caught.value.kind is UpstreamFault.TIMEOUT_TOTAL
        group.cancel_scope.cancel()


async def test_one_who_leaves_while_waiting_does_not_take_a_place_along() -> None:
    order: list[str] = []
    async with bench() as b, anyio.create_task_group() as group:
        asker = Asker(b, order)
        group.start_soon(asker.ask, "a")
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as leaving:
            leaving.start_soon(asker.ask, "gone")
            await anyio.wait_all_tasks_blocked()
            group.start_soon(asker.ask, "b")
            await anyio.wait_all_tasks_blocked()
            leaving.cancel_scope.cancel()
        assert b.pool.waiting == 1
        far = await b.upstream.accept()
        await answer(far, FULL)
        await answer(far, FULL)
    assert order == ["a", "b"]


async def test_one_who_leaves_just_when_it_is_served_passes_it_on() -> None:
    order: list[str] = []
    async with bench() as b, anyio.create_task_group() as group:
        asker = Asker(b, order)
        async with anyio.create_task_group() as leaving:
            response = None

            async def first() -> None:
                nonlocal response
                response = await b.pool.open(ONE, head())

            group.start_soon(first)
            await anyio.wait_all_tasks_blocked()
            leaving.start_soon(asker.ask, "gone")
            await anyio.wait_all_tasks_blocked()
            group.start_soon(asker.ask, "b")
            far = await b.upstream.accept()
            await answer(far, FULL)
            await anyio.wait_all_tasks_blocked()
            assert response is not None
            # In one turn: the connection goes to the first who waits, who has been cancelled.
            leaving.cancel_scope.cancel()
            assert await response.read(10) == b"ok"
        await answer(far, FULL)
    assert order == ["b"]
    assert b.upstream.dialled == 1


async def test_a_dial_that_fails_gives_its_place_to_the_next() -> None:
    order: list[str] = []
    async with bench() as b:
        plain, begun = b.upstream.dial, anyio.Event()
        go = anyio.Event()

        async def dial(origin: Origin) -> Transport:
            if not begun.is_set():
                begun.set()
                await go.wait()
                raise UpstreamError(UpstreamFault.CONNECT, "refused")
            return await plain(origin)

        b.pool._dial = dial
        async with anyio.create_task_group() as group:

            async def fail() -> None:
                with pytest.raises(UpstreamError):
                    await b.pool.open(ONE, head())

            group.start_soon(fail)
            await begun.wait()
            group.start_soon(Asker(b, order).ask, "b")
            await anyio.wait_all_tasks_blocked()
            go.set()
            await answer(await b.upstream.accept(), FULL)
    assert order == ["b"]


async def _hold(b: Bench) -> None:
    """Ask and never get an answer."""
    await b.pool.open(ONE, head())
