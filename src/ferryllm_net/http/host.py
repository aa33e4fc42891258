"""What a connection has from its server, and the phases that the server's sweeper ends.

Apart from the connections, because it is the same for every version of HTTP.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from .request import Request


class Phase(enum.Enum):
    """What the connection does; each has its own deadline and its own answer to it (`Connection.expire`)."""

    IDLE = "idle"
    HEAD = "head"
    HANDLER = "handler"
    BODY = "body"
    WRITE = "write"
    LINGER = "linger"
    CLOSED = "closed"


class Host(Protocol):
    """The server, as far as a connection needs it."""

    draining: bool
    date: str
    http2: bool
    """Whether the first bytes of a connection in clear text may be HTTP/2's."""
    clock: Callable[[], float]
    """`anyio.current_time` of the running loop, without the search for it."""

    def begin_exchange(self) -> None:
        """One begins that the connection does not count."""
        ...

    def end_exchange(self) -> None: ...

    def report(self, request: Request, exc: Exception) -> None: ...
