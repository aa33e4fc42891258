"""The `Poller` of a run of trio, and what its tasks wait for."""

from __future__ import annotations

import socket
from collections.abc import Generator
from typing import Any

import trio

from .polled_transport import PolledTransport
from .poller import Poller

_poller: trio.lowlevel.RunVar[Poller] = trio.lowlevel.RunVar("poller of ferryllm")


def transport(sock: socket.socket) -> PolledTransport:
    """That of a connected socket that does not block. Raises OSError."""
    return PolledTransport(sock, running(), Waiter)


def running() -> Poller:
    """That of the running loop."""
    try:
        return _poller.get()
    except LookupError:
        poller = Poller()
        trio.lowlevel.spawn_system_task(_run, poller, name="poller of ferryllm")
        _poller.set(poller)
        return poller


async def _run(poller: Poller) -> None:
    fd = poller.fileno()
    try:
        while True:
            await trio.lowlevel.wait_readable(fd)
            poller.turn()
    finally:
        trio.lowlevel.notify_closing(fd)
        poller.close()


class Waiter:
    """What `asyncio.Future` is on asyncio, as far as one task needs it."""

    __slots__ = ("_cancelled", "_done", "_exception", "_result", "_task")

    def __init__(self) -> None:
        self._done = self._cancelled = False
        self._result = b""
        self._exception: BaseException | None = None
        self._task: trio.lowlevel.Task | None = None

    def __await__(self) -> Generator[Any, Any, bytes]:
        if not self._done:
            self._task = trio.lowlevel.current_task()
            yield from trio.lowlevel.wait_task_rescheduled(self._abort).__await__()  # noqa: ASYNC105 - is awaited
        return self.result()

    def done(self) -> bool:
        return self._done

    def cancelled(self) -> bool:
        return self._cancelled

    def exception(self) -> BaseException | None:
        return self._exception

    def result(self) -> bytes:
        if self._exception is not None:
            raise self._exception
        return self._result

    def set_result(self, result: bytes) -> None:
        self._result = result
        self._wake()

    def set_exception(self, exception: Exception) -> None:
        self._exception = exception
        self._wake()

    def _wake(self) -> None:
        self._done = True
        if self._task is not None:
            trio.lowlevel.reschedule(self._task)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._done = self._cancelled = True
        return trio.lowlevel.Abort.SUCCEEDED
