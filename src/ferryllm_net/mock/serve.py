"""Runs a MockProvider on a listener: in a block of a program, or until a signal comes."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio

from ferryllm_net.http import Server, bound_port, open_listeners

from .provider import MockProvider

DRAIN_SECS = 5.0
"""What running answers get after the first signal: the mock is a tool at a desk, nobody waits for it."""


@asynccontextmanager
async def serve_mock(mock: MockProvider | None = None, *, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """Serve ``mock`` (None: one with defaults) while the block runs; gives its base URL, without ``/v1``.

    Leaving the block cuts what still runs. Raises OSError when the address is taken; what the block raises leaves as it
    is, never in a group.
    """
    server = Server((mock or MockProvider()).handle)
    listeners = open_listeners(host, port)
    raised: Exception | None = None
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, listeners)
        try:
            yield base_url(host, bound_port(listeners[0]))
        except Exception as exc:
            raised = exc
        tasks.cancel_scope.cancel()
    if raised is not None:
        raise raised


async def run_mock(mock: MockProvider, host: str, port: int, started: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT, then let running answers finish; a second signal stops at once.

    ``started`` is told the base URL once it listens. Raises OSError when the address is taken.
    """
    server = Server(mock.handle)
    listeners = open_listeners(host, port)
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[None]) -> None:
            await server.serve(listeners, task_status=task_status)
            tasks.cancel_scope.cancel()

        await tasks.start(run)
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            started(base_url(host, bound_port(listeners[0])))
            async for _ in signals:
                server.start_drain(0 if server.draining else DRAIN_SECS)


def base_url(host: str, port: int) -> str:
    """The URL of what listens on ``host``."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
