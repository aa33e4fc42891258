"""A task for a connection: it runs beside its group, and its faults are the group's."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.http.backends.tasks import starter

pytestmark = pytest.mark.anyio


async def test_it_runs_with_its_arguments_and_knows_scopes() -> None:
    seen: list[object] = []
    done = anyio.Event()

    async def work(*args: object) -> None:
        with anyio.move_on_after(0):
            await anyio.sleep_forever()
        seen.extend(args)
        done.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            starter(group)(work, 1, "two")
            await done.wait()
    assert seen == [1, "two"]


async def test_its_scope_cancels_it_at_every_wait() -> None:
    waits = 0
    scopes: list[anyio.CancelScope] = []
    done = anyio.Event()

    async def work() -> None:
        nonlocal waits
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            try:
                await anyio.sleep_forever()
            finally:
                waits += 1
                try:
                    await anyio.sleep_forever()
                finally:
                    waits += 1
                    with anyio.CancelScope(shield=True):
                        await anyio.lowlevel.checkpoint()
                        waits += 1
        done.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            starter(group)(work)
            await anyio.wait_all_tasks_blocked()
            scopes[0].cancel()
            await done.wait()
    assert waits == 3


async def test_what_it_raises_ends_the_group() -> None:
    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError("of ours")

    async def serve() -> None:
        async with anyio.create_task_group() as group:
            starter(group)(work)
            await anyio.sleep_forever()

    with anyio.fail_after(5), pytest.raises(BaseException) as caught:
        await serve()
    assert "of ours" in repr(getattr(caught.value, "exceptions", None))
