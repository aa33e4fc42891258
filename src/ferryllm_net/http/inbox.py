"""The read side of a server connection: one task reads always, so that a client that leaves is seen at once.

The task that serves takes from it; what comes while a handler runs is kept up to a bound, then reading pauses.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio

from .transport import Transport, TransportError


class DeadlinePassed(Exception):
    """Whoever watches the clock ended the wait for bytes."""


class Inbox:
    """Bytes that arrived and were not taken yet.

    ``on_end`` is called once, when the client has ended its direction or the connection broke. An end cannot be told
    from a half-close before it is too late to save upstream work, so both count as leaving.
    """

    def __init__(self, transport: Transport, bound: int, on_end: Callable[[], None]) -> None:
        self.ended = False
        self._transport = transport
        self._bound = bound
        self._on_end = on_end
        self._pieces: list[bytes] = []
        self._size = 0
        self._expired = False
        self._waiter: anyio.Event | None = None
        self._room: anyio.Event | None = None

    def __len__(self) -> int:
        return self._size

    async def run(self) -> None:
        """Read until the end; the one task that calls `Transport.receive`."""
        try:
            while True:
                if self._size >= self._bound:
                    self._room = anyio.Event()
                    await self._room.wait()
                data = await self._transport.receive()
                if not data:
                    break
                self._pieces.append(data)
                self._size += len(data)
                self._wake()
        except TransportError:
            pass
        # Not in a finally: a cancellation is our own end, not the client's.
        self.ended = True
        self._wake()
        self._on_end()

    async def more(self) -> bytes:
        """All that arrived, waiting when there is nothing; b"" at the end. Raises `DeadlinePassed` after `expire`."""
        while not self._pieces:
            if self.ended:
                return b""
            if self._expired:
                self._expired = False
                raise DeadlinePassed
            self._waiter = anyio.Event()
            await self._waiter.wait()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        self._expired = False
        if self._room is not None:
            self._room.set()
            self._room = None
        return data

    def rest(self) -> bytes:
        """What was not taken, for whoever takes the connection over."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data

    def expire(self) -> None:
        """End the wait in `more`, now or at its next call without bytes."""
        self._expired = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.set()
            self._waiter = None
