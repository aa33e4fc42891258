"""asyncio's code on both backends: what it returns, what it raises, how it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib

import anyio
import anyio.to_thread
import pytest

from ferryllm_net.postgres.bridge import open_bridge

pytestmark = pytest.mark.anyio


async def _double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def _fail() -> None:
    await asyncio.sleep(0)
    raise KeyError("as it is")


async def test_calls_return_and_raise_from_every_task() -> None:
    bridge = await open_bridge()
    found: list[int] = []

    async def call(number: int) -> None:
        found.append(await bridge.call(_double, number))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(call, number)
    assert sorted(found) == [0, 2, 4, 6, 8]
    with pytest.raises(KeyError, match="as it is"):
        await bridge.call(_fail)
    await bridge.aclose()


async def test_a_cancellation_arrives_once_and_cleaning_up_may_wait() -> None:
    bridge = await open_bridge()
    seen: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            for _ in range(5):
                await asyncio.sleep(0)
            seen.append("clean")
            raise

    with anyio.move_on_after(0.01) as scope:
        await bridge.call(work)
    assert scope.cancelled_caught
    assert seen == ["cancelled", "clean"]
    await bridge.aclose()


async def test_an_error_while_cleaning_up_is_not_the_callers() -> None:
    bridge = await open_bridge()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise OSError("while cleaning up")

    with anyio.move_on_after(0.01):
        with contextlib.suppress(OSError):  # trio-asyncio lets it out; either way the scope is left
            await bridge.call(work)
    await bridge.aclose()


async def test_asyncio_elsewhere_in_the_process_stays_what_it_was() -> None:
    bridge = await open_bridge()
    await bridge.aclose()

    def loop_of_another_thread() -> str:
        loop = asyncio.new_event_loop()
        try:
            return type(loop).__module__
        finally:
            loop.close()

    assert (await anyio.to_thread.run_sync(loop_of_another_thread)).startswith("asyncio.")
