"""Rows as the ledger's file has them, from where the last delivery ended: the source of a hook that misses none.

Of all processes that share the file one delivers: the one that holds the lock on the hook's place, a small file beside
the ledger's with the number of the last row that was taken. Another one takes over where it ends.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import anyio

from ferryllm_net.ledger import Row

TURN_SECS = 5.0
"""How often a process looks whether it is its turn: so long nobody delivers when the one that did has ended."""
_DIGITS = 20
"""Of the number in the file: always as many, so that a write is one piece in place."""


class Numbered(Protocol):
    """A ledger whose rows have numbers in the order in which they were written."""

    async def written(self, after: int, limit: int) -> list[tuple[int, Row]]: ...
    async def last_number(self) -> int: ...


class Place:
    """The file with the number, locked. `take` and `free` do not wait for anybody."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def take(self) -> bool:
        """Whether it is this process's turn, now or since long. Raises OSError."""
        if self._file is not None:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        if not _locked(file):
            os.close(file)
            return False
        self._file = file
        return True

    def read(self) -> int | None:
        """The number; None where nothing was ever delivered."""
        assert self._file is not None
        os.lseek(self._file, 0, os.SEEK_SET)
        text = os.read(self._file, _DIGITS + 1).strip()
        return int(text) if text.isdigit() else None

    def write(self, number: int) -> None:
        """Remember it. Raises OSError."""
        assert self._file is not None
        os.lseek(self._file, 0, os.SEEK_SET)
        os.write(self._file, b"%0*d\n" % (_DIGITS, number))

    def free(self) -> None:
        """Let another process have its turn. Idempotent."""
        if self._file is not None:
            os.close(self._file)  # with its lock
            self._file = None


def _locked(file: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows, where one process serves alone
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def place_of(ledger: Path, hook: str) -> Path:
    """Where ``hook`` remembers what was delivered of ``ledger``."""
    return ledger.with_name(f"{ledger.name}-hook-{hook}")


class Following:
    """The rows of ``ledger`` behind ``place``; where nothing was delivered yet, those that come from then on."""

    lasting = True
    dropped = 0

    def __init__(self, ledger: Numbered, place: Path, poll_secs: float) -> None:
        self._ledger = ledger
        self._place = Place(place)
        self._secs = poll_secs
        self._number: int | None = None
        self._taken: list[tuple[int, Row]] = []

    async def begin(self) -> None:
        """Remember where the ledger ends now, where nothing is remembered: rows that are written from here on are
        delivered, whatever happens. Raises `LedgerError`, OSError."""
        if self._place.take() and self._place.read() is None:
            self._place.write(await self._ledger.last_number())

    async def take(self, most: int) -> Sequence[Row]:
        """The next rows, at most so many, once there are some. Raises `LedgerError`, OSError."""
        while not self._taken:
            if not self._place.take():
                await anyio.sleep(TURN_SECS)
                continue
            if not await self._look(most):
                await anyio.sleep(self._secs)
        return [row for _, row in self._taken]

    async def take_last(self, most: int) -> Sequence[Row]:
        """What there is, perhaps nothing: nobody waits. Raises as `take`."""
        if self._taken or (self._place.take() and await self._look(most)):
            return [row for _, row in self._taken]
        return []

    async def _look(self, most: int) -> bool:
        if self._number is None:
            self._number = self._place.read()
            if self._number is None:
                self._number = await self._ledger.last_number()
                self._place.write(self._number)
        self._taken = await self._ledger.written(self._number, most)
        if not self._taken and await self._ledger.last_number() < self._number:
            self._number = 0  # every row was forgotten, and numbers began anew
            self._taken = await self._ledger.written(0, most)
        return bool(self._taken)

    async def done(self, rows: Sequence[Row]) -> None:
        """They are delivered, or given up. Raises OSError."""
        if self._taken:
            self._number = self._taken[-1][0]
            self._taken = []
            self._place.write(self._number)

    async def aclose(self) -> None:
        """Let another process go on."""
        with contextlib.suppress(OSError):
            self._place.free()
