"""Virtual time for whole programs on both backends: a wait costs nothing, and the clock jumps to its end.

trio has this in its own testing module. For asyncio the selector is what waits: it looks for real events and, when
there are none, the clock goes on by the time it was to wait.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import anyio


class StuckError(Exception):
    """Every task waits, and nothing is going to happen."""


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            if timeout is None:
                raise StuckError("every task waits, and no timer runs")
            self.loop.now += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time is virtual. No threads and no sockets to others: nobody waits for them."""

    def __init__(self) -> None:
        self.now = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def run(backend: str, seed: int, main: Callable[[], Awaitable[None]]) -> None:
    """Run ``main`` in virtual time; equal seeds give equal schedules."""
    options: dict[str, Any]
    if backend == "asyncio":
        options = {"loop_factory": VirtualLoop}
    else:
        import trio.testing
        from trio._core import _run

        # trio shuffles its tasks on purpose; hypothesis asks for the same order by the same door.
        vars(_run).update(_ALLOW_DETERMINISTIC_SCHEDULING=True, _r=random.Random(seed))
        options = {"clock": trio.testing.MockClock(autojump_threshold=0)}
    anyio.run(main, backend=backend, backend_options=options)
