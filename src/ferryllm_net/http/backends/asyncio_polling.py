"""The `Poller` of a loop of asyncio, or uvloop."""

from __future__ import annotations

import asyncio
import weakref

from .poller import Poller

_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Poller] = weakref.WeakKeyDictionary()


def running() -> Poller:
    """That of the running loop."""
    loop = asyncio.get_running_loop()
    poller = _pollers.get(loop)
    if poller is None:
        poller = _pollers[loop] = Poller()
        loop.add_reader(poller.fileno(), poller.turn)
    return poller
