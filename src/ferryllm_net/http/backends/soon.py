"""How another thread calls a function in the running loop: anyio's way waits for its result, at a thread's turn."""

from __future__ import annotations

import sys
from collections.abc import Callable


def soon() -> Callable[[Callable[[], object]], object]:
    """What takes a function that the running loop calls soon, from whatever thread; for tasks of that loop alone.

    It raises a RuntimeError when the loop has ended.
    """
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        call: Callable[[Callable[[], object]], object] = trio.lowlevel.current_trio_token().run_sync_soon
        return call
    import asyncio

    return asyncio.get_running_loop().call_soon_threadsafe
