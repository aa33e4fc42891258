"""Rows that wait in memory: in batches, bounded, the same again until they are taken."""

from __future__ import annotations

import anyio
import pytest

from ferryllm_net.hooks.waiting import Waiting
from support.ledgers import row

pytestmark = pytest.mark.anyio


def ids(rows: object) -> list[str]:
    assert isinstance(rows, list)
    return [one.id for one in rows]


async def test_a_full_batch_is_not_waited_for() -> None:
    waiting = Waiting(10, 3600)
    for number in range(5):
        waiting.add(row(id=str(number)))
    with anyio.fail_after(5):
        assert ids(await waiting.take(3)) == ["0", "1", "2"]
        assert ids(await waiting.take(3)) == ["0", "1", "2"]
        await waiting.done(())
    assert ids(await waiting.take_last(3)) == ["3", "4"]


async def test_rows_that_complete_a_batch_end_the_wait() -> None:
    waiting = Waiting(10, 3600)
    found: list[str] = []

    async def take() -> None:
        found.extend(ids(await waiting.take(2)))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(take)
            await anyio.wait_all_tasks_blocked()
            waiting.add(row(id="a"))
            await anyio.wait_all_tasks_blocked()
            assert found == []
            waiting.add(row(id="b"))
    assert found == ["a", "b"]


async def test_a_batch_that_stays_small_is_taken_all_the_same() -> None:
    waiting = Waiting(10, 0.001)
    waiting.add(row(id="a"))
    with anyio.fail_after(5):
        assert ids(await waiting.take(100)) == ["a"]


async def test_the_oldest_make_room_but_not_those_that_are_under_way() -> None:
    waiting = Waiting(3, 3600)
    waiting.add(row(id="0"))
    assert ids(await waiting.take_last(1)) == ["0"]
    for number in range(1, 5):
        waiting.add(row(id=str(number)))
    assert (len(waiting), waiting.dropped) == (3, 2)
    await waiting.done(())
    assert ids(await waiting.take_last(9)) == ["3", "4"]
    full = Waiting(1, 3600)
    full.add(row(id="0"))
    await full.take_last(1)
    full.add(row(id="1"))
    assert (len(full), full.dropped) == (1, 1)
