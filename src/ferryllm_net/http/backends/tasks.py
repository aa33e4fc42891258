"""How a task for a connection is started: a task of anyio's group comes with a handle, an event and a scope.

On asyncio that is 2.4 KiB for each connection, and most of what it costs to start one (measured), for what somebody who
waits for this one task needs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any

from anyio.abc import TaskGroup

_Call = Callable[..., Coroutine[Any, Any, None]]


def starter(group: TaskGroup) -> Callable[..., None]:
    """What starts a task beside ``group``: give it a function and its arguments.

    On asyncio a cancellation of the group does not reach the task, and the group does not wait for it: whoever starts
    it keeps a scope in it, cancels that and waits, before the group ends. What the task raises ends the group, as if it
    were one of its own.
    """
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():

        def begin(call: _Call, *args: object) -> None:
            group.start_soon(call, *args)

        return begin
    import asyncio

    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    def end(task: asyncio.Task[None]) -> None:
        running.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            group.start_soon(_fail, exc)

    def start(call: _Call, *args: object) -> None:
        task = loop.create_task(call(*args))
        running.add(task)
        task.add_done_callback(end)

    return start


async def _fail(exc: BaseException) -> None:
    raise exc
