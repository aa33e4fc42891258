"""Runs what knows asyncio alone, on either backend: asyncpg, which is the only driver of PostgreSQL in the house.

On asyncio a call is a task of the same loop; on trio one of a loop that trio-asyncio runs beside the others. The one
place outside of `http.backends` that names them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

import anyio

T = TypeVar("T")

CANCEL_SECS = 2.0
"""How long a call that is cancelled may take to end: asyncpg tells the server, which needs a connection of its own."""


class Bridge(Protocol):
    """Calls may come from any task of the run that opened it."""

    async def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        """What ``function(*args)`` returns or raises, run by asyncio. A cancellation reaches it once."""

    async def aclose(self) -> None:
        """End it, with what it still runs."""


async def open_bridge() -> Bridge:
    """The bridge of the backend that runs. Whoever opens it closes it, from whatever task."""
    trio = sys.modules.get("trio")
    return await _Beside.open() if trio is not None and trio.lowlevel.in_trio_run() else _Same()


class _Same:
    """On asyncio. A task for each call, because anyio cancels again and again until a scope is left, and a driver that
    is cancelled while it cleans up leaves its connection in the middle of a word."""

    async def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        import asyncio

        task = asyncio.ensure_future(function(*args))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            with anyio.move_on_after(CANCEL_SECS, shield=True):
                await asyncio.wait([task])
            if task.done() and not task.cancelled():
                task.exception()  # asked for, or the loop would complain that nobody did
            raise

    async def aclose(self) -> None:
        """Nothing of its own runs."""


class _Beside:
    """On trio. The other loop lives in a system task: in a nursery it would have to be left in the order it was
    entered, by the same task, and an exception of whoever uses it would come out in a group."""

    def __init__(self) -> None:
        self._loop: Any = None
        self._begun = anyio.Event()
        self._stop = anyio.Event()
        self._ended = anyio.Event()

    @classmethod
    async def open(cls) -> _Beside:
        import trio

        bridge = cls()
        trio.lowlevel.spawn_system_task(bridge._host, name="asyncio beside trio")
        await bridge._begun.wait()
        return bridge

    async def _host(self) -> None:
        trio_asyncio = _import()
        try:
            async with trio_asyncio.open_loop() as self._loop:
                self._begun.set()
                await self._stop.wait()
        finally:
            self._ended.set()

    async def call(self, function: Callable[..., Coroutine[Any, Any, T]], *args: object) -> T:
        result: T = await self._loop.run_aio_coroutine(function(*args))
        return result

    async def aclose(self) -> None:
        self._stop.set()
        await self._ended.wait()


def _import() -> Any:
    """trio-asyncio, with one of its patches taken back: it would give a loop of its own to every program of asyncio
    that begins later in this process, in whatever thread. Those of a test run, say."""
    import asyncio
    from asyncio import events

    new = events.new_event_loop
    import trio_asyncio  # type: ignore[import-untyped]  # it comes without types

    events.new_event_loop = asyncio.new_event_loop = new
    return trio_asyncio
