"""Rows on their way to a store, in groups: what comes while one group is written is the next one.

Apart from the stores, because the promises about what waits and what is given up are the same for all of them. The
loop adds, and whoever writes takes, which may be another thread.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

from .ledger import LedgerError

R = TypeVar("R")

MAX_GROUP = 1_000
"""Rows of one write: about half a megabyte, some 10 ms of SQLite's time."""
RETRY_SECS = 1.0
"""Between attempts to write what could not be written: a full disk, a server that is away stay so for a while."""


class Group(Generic[R]):
    """Rows that are written together, or not at all."""

    __slots__ = ("error", "rows", "written")

    def __init__(self) -> None:
        self.rows: list[R] = []
        self.written: anyio.Event | None = None
        """Somebody waits for it. Set when it has been written, or could not be: then there is an `error`."""
        self.error: LedgerError | None = None

    def tell(self) -> None:
        """Wake those that wait; in the loop."""
        if self.written is not None:
            self.written.set()

    async def wait(self) -> None:
        """Until it has been written. Raises `LedgerError`: it could not be."""
        assert self.written is not None
        await self.written.wait()
        if self.error is not None:
            raise self.error


class Groups(Generic[R]):
    """The rows that wait. ``wake`` is called when there is something to take after there was nothing.

    Once a group could not be written, nobody waits any more until one can: each new row is kept, and its writer told
    the same at once, so that a store that is away costs requests no time.
    """

    def __init__(self, max_waiting: int, wake: Callable[[], object]) -> None:
        self._most = max_waiting
        self._wake = wake
        self._lock = threading.Lock()
        self._open: deque[Group[R]] = deque()
        self._count = 0
        """Rows in `_open`."""
        self._kept: deque[R] = deque()
        """Rows that could not be written, the oldest first; nobody waits for them any more."""
        self._taken = 0
        """Rows that are being written."""
        self.failing: LedgerError | None = None
        """Why the last group could not be written."""
        self.lost = 0
        self.closed = False

    @property
    def waiting(self) -> int:
        """Rows that are not written, those that are being written included."""
        return self._count + len(self._kept) + self._taken

    def add(self, row: R, *, wait: bool) -> Group[R]:
        """The group that ``row`` is in. Raises `LedgerError`: it is closed, there is no room and nothing older to give
        up, or the row is kept and ``wait`` would be for nothing."""
        with self._lock:
            if self.closed:
                raise LedgerError("the ledger is closed")
            if self.waiting >= self._most:
                self.lost += 1
                if not self._kept:
                    raise LedgerError(f"{self._most} rows wait for the ledger already, so this one is lost")
                self._kept.popleft()
            if self.failing is not None:
                self._kept.append(row)
                if wait:
                    raise LedgerError(str(self.failing))
                return Group()
            group = self._open[-1] if self._open else None
            if group is None or len(group.rows) >= MAX_GROUP:
                group = Group()
                self._open.append(group)
            if wait and group.written is None:
                group.written = anyio.Event()
            group.rows.append(row)
            self._count += 1
            first = self._count == 1
        if first:
            self._wake()
        return group

    def take(self) -> Group[R] | None:
        """The next group to write: give it back to `done` or `failed`. None: nothing waits."""
        with self._lock:
            if self._kept:  # what is older goes first
                group: Group[R] = Group()
                while self._kept and len(group.rows) < MAX_GROUP:
                    group.rows.append(self._kept.popleft())
            elif self._open:
                group = self._open.popleft()
                self._count -= len(group.rows)
            else:
                return None
            self._taken = len(group.rows)
            return group

    def done(self, group: Group[R], lost: int = 0) -> None:
        """``group`` has been written, but for those of its rows that no attempt could ever write."""
        with self._lock:
            self._taken = 0
            self.lost += lost
            self.failing = None

    def failed(self, group: Group[R], error: LedgerError) -> list[Group[R]]:
        """``group`` has not been written: its rows, and those that wait behind it, are kept for another time. Returns
        what there is to tell."""
        with self._lock:
            told = [group, *self._open]
            self._taken = self._count = 0
            self._open.clear()
            self.failing = error
            self._kept.extendleft(reversed(group.rows))
            for other in told[1:]:
                self._kept.extend(other.rows)
            for one in told:
                one.error = error
            while len(self._kept) > self._most:
                self._kept.popleft()
                self.lost += 1
        return [one for one in told if one.written is not None]

    def close(self) -> None:
        """Take no more rows."""
        with self._lock:
            self.closed = True
        self._wake()
