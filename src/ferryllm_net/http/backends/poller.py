"""Sockets in an epoll of their own: the loop waits for all of them like for one, and each is called where it is ready.

Both loops do more for a socket that is ready than a gateway needs. asyncio makes a callback for each; trio wakes a task
through the whole chain of its calls, and tells the system again at each wait what it waits for. Here one look a turn
brings all that are ready, and a chunk that is only passed on is the call of a function.
"""

from __future__ import annotations

import errno
import select
from collections.abc import Callable

READ = getattr(select, "EPOLLIN", 1)
WRITE = getattr(select, "EPOLLOUT", 4)


class Poller:
    """Those of one loop. Raises an AttributeError where the system has no epoll."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}

    def fileno(self) -> int:
        """What becomes readable when a socket is ready."""
        return self._epoll.fileno()

    def add(self, fd: int, wanted: int, call: Callable[[int], None]) -> None:
        """Call ``call`` with what a socket is ready for, as long as it is: of ``wanted`` (`READ`, `WRITE`, both), or
        with other bits for a connection that broke. Raises OSError where no more can be watched, or the loop has ended.

        It must not raise. It may be called for nothing: within a turn another socket may have got the descriptor.
        """
        if self._epoll.closed:
            raise OSError(errno.EBADF, "the loop has ended")
        self._epoll.register(fd, wanted)
        self._calls[fd] = call

    def change(self, fd: int, wanted: int) -> None:
        """Watch for something else."""
        if not self._epoll.closed:
            self._epoll.modify(fd, wanted)

    def remove(self, fd: int) -> None:
        """Before the socket is closed."""
        if self._calls.pop(fd, None) is not None and not self._epoll.closed:
            self._epoll.unregister(fd)

    def turn(self) -> None:
        """Call those that are ready."""
        get = self._calls.get
        for fd, ready in self._epoll.poll(0):
            call = get(fd)  # none, where a call before this one has seen to that
            if call is not None:
                call(ready)

    def close(self) -> None:
        self._epoll.close()
