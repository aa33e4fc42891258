"""The clock of the running loop, looked up once: `anyio.current_time` searches for its backend at each call."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def clock() -> Callable[[], float]:
    """What tells seconds on the clock of `anyio.current_time`; for tasks and callbacks of the running loop alone."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        now: Callable[[], float] = trio.current_time
        return now
    import asyncio

    own = asyncio.get_running_loop().time
    # A loop with a time of its own (uvloop, or one of a test) tells it; the usual one only passes this on.
    return time.monotonic if getattr(own, "__func__", None) is asyncio.BaseEventLoop.time else own
