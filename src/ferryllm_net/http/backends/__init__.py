"""The transports of sockets, and which of them runs here. What a loop needs is imported when its first socket comes.

The one package in which asyncio and trio are named: everything else stands on anyio and on `Transport`.
"""

from __future__ import annotations

import errno
import select
import socket
import sys
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from ..transport import Transport

if TYPE_CHECKING:
    from .asyncio_transport import AsyncioTransport
    from .polled_transport import PolledTransport
    from .trio_transport import TrioTransport

# What befell one connection before we took it (accept(2): "treat them like EAGAIN by retrying"), not the listener.
_GONE = {
    getattr(errno, name)
    for name in (
        *("ECONNABORTED", "EPERM", "EPROTO", "ENETDOWN", "ENOPROTOOPT"),
        *("EHOSTDOWN", "ENONET", "EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH"),
    )
    if hasattr(errno, name)
}


async def adopt(sock: socket.socket, peer: tuple[str, int] | None = None) -> Transport:
    """The transport of the running backend over a connected stream socket (TCP or unix).

    The socket becomes the transport's, also when this fails; for TCP it gets TCP_NODELAY: an event must not wait for an
    ACK (43 ms a stall, measured). ``peer`` is who it comes from where a proxy has said so. Raises OSError for a socket
    that is not connected any more.
    """
    try:
        sock.setblocking(False)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    try:
        made = await (polled if hasattr(select, "epoll") else by_loop)(sock)
    except OSError:
        sock.close()
        raise
    made.peer = peer or made.peer
    return made


async def polled(sock: socket.socket) -> PolledTransport:
    """What `adopt` makes where it has one. Raises OSError."""
    if _in_trio():
        from . import trio_polling

        return trio_polling.transport(sock)
    from . import asyncio_polling

    return asyncio_polling.transport(sock)


async def by_loop(sock: socket.socket) -> AsyncioTransport | TrioTransport:
    """What `adopt` makes where the system has no epoll, of a socket that does not block: the loop's own way. Raises
    OSError."""
    if _in_trio():
        from .trio_transport import TrioTransport

        return TrioTransport(sock)
    from .asyncio_transport import connect

    return await connect(sock)


async def accept(listener: socket.socket) -> socket.socket:
    """The next connection of a non-blocking listener, for `adopt`; other tasks get a turn at each.

    One wait brings all that have come by then. Raises OSError where none can be taken now (EMFILE, ENFILE, ENOBUFS):
    the caller pauses. A cancelled call has taken none.
    """
    await anyio.lowlevel.checkpoint()
    while True:
        try:
            return listener.accept()[0]
        except BlockingIOError:
            await anyio.wait_readable(listener)
        except OSError as exc:
            if exc.errno not in _GONE:
                raise


def _in_trio() -> bool:
    """Whether the caller is a task of trio; without loading trio to find out."""
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())
