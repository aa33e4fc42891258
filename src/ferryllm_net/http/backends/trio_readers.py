"""Sockets whose readers sleep on while bytes come: one task waits for all of them, and calls where there is something.

trio wakes a task for each socket, through the whole chain of its calls, and tells the system again at each wait what it
waits for. A chunk that is only passed on needs neither: asyncio calls a function for it, and so does this.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable

import trio


class Readers:
    """The sockets of one loop; made by `running`.

    They are kept in an epoll of their own, which trio waits for like for a socket: where several have something, they
    share the wake-up.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[], None]] = {}

    def add(self, sock: socket.socket, call: Callable[[], None]) -> None:
        """Call ``call`` whenever there is something to read (bytes, the end, an error), until `remove`.

        It must not raise. It may find nothing: another socket may have got the descriptor within a turn.
        """
        fd = sock.fileno()
        self._epoll.register(fd, select.EPOLLIN)
        self._calls[fd] = call

    def remove(self, sock: socket.socket) -> None:
        """Of a socket that was added; before it is closed."""
        fd = sock.fileno()
        del self._calls[fd]
        # The loop that ends closes the epoll before its last tasks have cleaned up.
        if not self._epoll.closed:
            self._epoll.unregister(fd)

    async def run(self) -> None:
        """Until cancelled."""
        epoll, calls = self._epoll, self._calls
        fd = epoll.fileno()
        try:
            while True:
                await trio.lowlevel.wait_readable(fd)
                for ready, _ in epoll.poll(0):
                    call = calls.get(ready)  # gone, where a call before it has seen to that
                    if call is not None:
                        call()
        finally:
            _readers.set(None)
            trio.lowlevel.notify_closing(fd)
            epoll.close()


_readers: trio.lowlevel.RunVar[Readers | None] = trio.lowlevel.RunVar("readers of ferryllm")


def running() -> Readers | None:
    """Those of the running loop; None where the system has no epoll, or the loop ends: each reader waits for its own
    socket then."""
    try:
        return _readers.get()
    except LookupError:
        if not hasattr(select, "epoll"):
            return None
        readers = Readers()
        trio.lowlevel.spawn_system_task(readers.run, name="readers of ferryllm")
        _readers.set(readers)
        return readers
