"""Rows that wait in memory for their delivery: the source of a hook where there is no ledger to read them from."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import anyio

from ferryllm_net.ledger import Row


class Waiting:
    """At most ``most`` rows; when there are more, the oldest are dropped and counted."""

    lasting = False
    """Whether what is not taken today can be taken tomorrow."""

    def __init__(self, most: int, gather_secs: float) -> None:
        self._rows: deque[Row] = deque()
        self._taken: list[Row] = []
        """Being delivered."""
        self._most = most
        self._secs = gather_secs
        self._more = anyio.Event()
        self._enough = anyio.Event()
        self._batch = 1
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._rows) + len(self._taken)

    def add(self, row: Row) -> None:
        """Called on the way of every request: it never waits."""
        if len(self) >= self._most:
            self.dropped += 1
            if not self._rows:
                return
            self._rows.popleft()
        self._rows.append(row)
        self._more.set()
        if len(self._rows) >= self._batch:
            self._enough.set()

    async def take(self, most: int) -> Sequence[Row]:
        """The next rows, at most so many, once there are some and a while has passed in which more could come. The same
        again until `done`."""
        if self._taken:
            return self._taken
        if not self._rows:
            self._more = anyio.Event()
            await self._more.wait()
        if len(self._rows) < most:
            self._batch, self._enough = most, anyio.Event()
            with anyio.move_on_after(self._secs):
                await self._enough.wait()
        return await self.take_last(most)

    async def take_last(self, most: int) -> Sequence[Row]:
        """What there is, perhaps nothing: nobody waits."""
        if not self._taken:
            self._taken = [self._rows.popleft() for _ in range(min(most, len(self._rows)))]
        return self._taken

    async def done(self, rows: Sequence[Row]) -> None:
        """They are delivered, or given up."""
        self._taken = []

    async def aclose(self) -> None:
        """Nothing is kept."""
