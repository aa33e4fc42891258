"""The `Poller` of a loop of asyncio, or uvloop."""

from __future__ import annotations

import asyncio
import socket
import weakref

from .polled_transport import PolledTransport
from .poller import Poller

# Held by the loop, as what it calls: what is open when a loop ends goes with it.
_pollers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, weakref.ref[Poller]] = weakref.WeakKeyDictionary()


def transport(sock: socket.socket) -> PolledTransport:
    """That of a connected socket that does not block. Raises OSError."""
    # Made by itself a future finds its loop in C, by the loop in Python.
    return PolledTransport(sock, running(), asyncio.Future)


def running() -> Poller:
    """That of the running loop."""
    loop = asyncio.get_running_loop()
    known = _pollers.get(loop)
    poller = None if known is None else known()
    if poller is None:
        poller = Poller()
        loop.add_reader(poller.fileno(), poller.turn)
        _pollers[loop] = weakref.ref(poller)
    return poller
