"""The clock of deadlines: the same time as the loop's, also where the loop has one of its own."""

from __future__ import annotations

import asyncio
import time

import anyio
import pytest

from ferryllm_net.http.backends.clock import clock


@pytest.mark.anyio
async def test_it_is_the_clock_of_the_library() -> None:
    now = clock()
    before = anyio.current_time()
    between = now()
    assert before <= between <= anyio.current_time()


def test_the_usual_loop_is_not_asked() -> None:
    async def look() -> None:
        assert clock() is time.monotonic

    asyncio.run(look())


def test_a_loop_with_a_time_of_its_own_is_asked() -> None:
    class Loop(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return super().time() + 1000

    async def look() -> None:
        assert clock()() > time.monotonic() + 999

    loop = Loop()
    try:
        loop.run_until_complete(look())
    finally:
        loop.close()
