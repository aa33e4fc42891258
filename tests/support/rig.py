"""A running HTTP server without sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import anyio
from anyio.abc import TaskGroup

from ferryllm_net.http import Handler, Limits, Request, Server
from support.streams import MemoryTransport, wire


class Rig:
    """A running server; `connect` gives the client's end of a new connection."""

    def __init__(self, server: Server, group: TaskGroup) -> None:
        self.server = server
        self.errors: list[Exception] = []
        self.served: list[MemoryTransport] = []
        self._group = group

    def connect(self, capacity: int = 1 << 20) -> MemoryTransport:
        near, far = wire(capacity)
        self.served.append(far)
        self._group.start_soon(self.server.serve_connection, far)
        return near


Serving: TypeAlias = Callable[..., AbstractAsyncContextManager[Rig]]


@asynccontextmanager
async def serving(handler: Handler, limits: Limits | None = None) -> AsyncIterator[Rig]:
    """``async with serving(handler, limits) as rig``; everything ends with the block, which has 20 s."""
    rigs: list[Rig] = []

    def note(request: Request, exc: Exception) -> None:
        rigs[0].errors.append(exc)

    server = Server(handler, limits=limits, on_error=note)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            rigs.append(Rig(server, group))
            await group.start(server.serve)
            yield rigs[0]
            group.cancel_scope.cancel()
