"""The ledger in one SQLite file, which the workers of a gateway may share.

Rows are written by one thread, in groups: whoever waits for a row wakes when the group it came in is committed, so many
requests that end at once share one commit and one way into the loop. A pause between commits makes the groups larger
and nothing cheaper: waking a thread once more costs what a commit does. Questions have a connection of their own, which
stops no writer (SQLite's write-ahead log).

A commit is in the system's hands when `put` returns: kill -9 loses nothing. What the loss of the machine's power may
take is the last of it, unless ``fsync`` is asked for, which costs every group a flush of the disk.
"""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import msgspec

from ferryllm_net.http.backends.soon import soon
from ferryllm_net.sqlite import connect, open_file, roll_back
from ferryllm_proto.routing.quota import Unit

from . import questions
from .groups import RETRY_SECS, Group, Groups
from .ledger import CLOSE_SECS, EVERYTHING, MAX_GROUPS, MAX_PAGE, By, Filter, LedgerError, Page, Totals, Used
from .row import COLUMNS, Row
from .sqlite_tables import BUSY_SECS, WORDS, mend, prepare

T = TypeVar("T")

STEP = 500
"""Rows that `prune` forgets at once: a few milliseconds, in which no other row is written."""
PAUSE_SECS = 0.02
"""Between these steps."""
_FAULTS_OF_ROWS = (
    OverflowError,
    UnicodeError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
_INSERT = f"INSERT INTO requests ({questions.NAMES}) VALUES ({', '.join('?' * len(COLUMNS))})"


class SqliteLedger:
    """See `Ledger`. `SqliteLedger.open` makes one. All of its methods belong to one event loop."""

    def __init__(self, path: Path, writer: sqlite3.Connection | None, *, fsync: bool, max_waiting: int) -> None:
        self._path = path
        self._writer = writer
        self._wakes: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._groups: Groups[Row] = Groups(max_waiting, self._wake)
        self._soon: Callable[[Callable[[], object]], object] | None = None
        self._reader: sqlite3.Connection | None = None
        self._turn = anyio.CapacityLimiter(1)
        """Of the reader."""
        self._thread = threading.Thread(target=self._write_all, name="ledger", daemon=True)
        if writer is not None:
            self._thread.start()

    @classmethod
    def open(cls, path: Path, *, fsync: bool = False, max_waiting: int = 10_000, writing: bool = True) -> SqliteLedger:
        """Open the file at ``path``, or make it, readable by its owner alone; without ``writing`` only questions are
        answered, and it has to be there. Raises `LedgerError`."""
        if not writing and not path.is_file():
            raise LedgerError(f"there is no ledger at {path}: nothing was written yet, or it is somewhere else")
        connection = open_file(
            path,
            BUSY_SECS,
            lambda db: prepare(db, path, fsync=fsync, writing=writing),
            lambda exc: LedgerError(mend(path, exc)),
            private=writing,
        )
        if not writing:
            connection.close()
        return cls(path, connection if writing else None, fsync=fsync, max_waiting=max_waiting)

    # --- writing ---

    async def run(self) -> None:
        """See `Ledger`. The thread is there already."""
        await anyio.sleep_forever()

    async def put(self, row: Row) -> None:
        """See `Ledger`."""
        await self._add(row, wait=True).wait()

    def post(self, row: Row) -> None:
        """See `Ledger`."""
        with contextlib.suppress(LedgerError):  # counted as lost
            self._add(row, wait=False)

    def _add(self, row: Row, *, wait: bool) -> Group[Row]:
        if self._writer is None:
            raise LedgerError(f"{self._path} is open for questions alone")
        if self._soon is None:
            self._soon = soon()
        return self._groups.add(row, wait=wait)

    @property
    def waiting(self) -> int:
        """See `Ledger`."""
        return self._groups.waiting

    @property
    def lost(self) -> int:
        """See `Ledger`."""
        return self._groups.lost

    @property
    def failing(self) -> bool:
        """See `Ledger`."""
        return self._groups.failing is not None

    def _wake(self) -> None:
        self._wakes.put(None)

    # --- in the thread of the writer ---

    def _write_all(self) -> None:
        """Until closed."""
        groups = self._groups
        while True:
            with contextlib.suppress(queue.Empty):
                self._wakes.get(timeout=RETRY_SECS if groups.failing else None)
            while True:
                group = groups.take()
                if group is None or not self._write(group):
                    break
            if groups.closed:
                return

    def _write(self, group: Group[Row]) -> bool:
        assert self._writer is not None
        told = [group]
        try:
            lost = self._insert(self._writer, group.rows)
        except Exception as exc:  # whatever it is: nobody else would wake those that wait
            roll_back(self._writer)
            told = self._groups.failed(group, LedgerError(mend(self._path, exc)))
        else:
            self._groups.done(group, lost)
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it those that waited
            for one in told:
                if one.written is not None and self._soon is not None:
                    self._soon(one.tell)
        return group.error is None

    def _insert(self, db: sqlite3.Connection, rows: Sequence[Row]) -> int:
        """Returns how many of ``rows`` no table would ever take."""
        values = [msgspec.structs.astuple(row) for row in rows]
        try:
            if len(values) == 1:
                db.execute(_INSERT, values[0])  # is a transaction of its own
            else:
                db.execute("BEGIN IMMEDIATE")
                db.executemany(_INSERT, values)
                db.execute("COMMIT")
        except _FAULTS_OF_ROWS:
            # `row_of` lets none through. If one comes all the same, it takes no other with it, and is not kept forever.
            roll_back(db)
            return len(rows) if len(rows) == 1 else sum(self._insert(db, [row]) for row in rows)
        return 0

    # --- questions ---

    async def used(self, owner: str, unit: Unit, since: float) -> int:
        """See `Ledger`."""
        asked = questions.used(owner, unit, since, WORDS)
        answers = await self._ask(lambda db: [_fetch(db, one) for one in asked])
        return sum(int(lines[0][0]) for lines in answers)

    async def used_by_all(self, since: float) -> dict[str, Used]:
        """See `Ledger`."""
        asked = questions.used_by_all(since, WORDS)
        return questions.read_used_by_all(await self._ask(lambda db: [_fetch(db, one) for one in asked]))

    async def totals(
        self, where: Filter = EVERYTHING, by: Sequence[By] = (), *, offset: int = 0, limit: int = MAX_GROUPS
    ) -> list[Totals]:
        """See `Ledger`."""
        asked = questions.totals(where, by, offset, limit, WORDS)
        named = questions.names(where, WORDS) if By.KEY in by else None

        def ask(db: sqlite3.Connection) -> tuple[list[Any], list[Any]]:
            return _fetch(db, asked), [] if named is None else _fetch(db, named)

        lines, names = await self._ask(ask)
        return questions.read_totals(lines, by, dict(names))

    async def rows(
        self, where: Filter = EVERYTHING, *, after: str | None = None, limit: int = MAX_PAGE, newest: bool = False
    ) -> Page:
        """See `Ledger`."""
        asked = questions.rows(where, after, limit, newest, WORDS)
        return questions.read_page(await self._ask(lambda db: _fetch(db, asked)), limit)

    async def written(self, after: int, limit: int = MAX_PAGE) -> list[tuple[int, Row]]:
        """At most ``limit`` rows behind the number ``after``, in the order in which they were written, each with its
        number: for whoever hands them on. Numbers are this file's; they begin anew when every row is forgotten."""
        asked = questions.written(after, limit, WORDS)
        return questions.read_written(await self._ask(lambda db: _fetch(db, asked)))

    async def last_number(self) -> int:
        """The number of the row written last; 0 where there is none."""
        asked = questions.Question(f"SELECT coalesce(max({WORDS.number}), 0) FROM {WORDS.table}", ())
        return int((await self._ask(lambda db: _fetch(db, asked)))[0][0])

    async def prune(self, before: float) -> int:
        """See `Ledger`."""
        if self._writer is None:
            raise LedgerError(f"{self._path} is closed, or open for questions alone")
        forgotten = 0
        while True:
            step = await self._ask(lambda db: _prune(db, before))
            forgotten += step
            if step < STEP:
                return forgotten
            await anyio.sleep(PAUSE_SECS)

    async def _ask(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def guarded() -> T:
            if self._groups.closed:
                raise LedgerError(f"{self._path} is closed")
            try:
                if self._reader is None:
                    self._reader = connect(self._path, BUSY_SECS)
                return work(self._reader)
            except (sqlite3.Error, ValueError, OverflowError) as exc:
                if self._reader is not None:
                    roll_back(self._reader)
                raise LedgerError(mend(self._path, exc)) from None

        return await anyio.to_thread.run_sync(guarded, limiter=self._turn)

    # --- the end ---

    async def aclose(self) -> None:
        """See `Ledger`."""
        if self._groups.closed:
            return
        self._groups.close()
        with anyio.move_on_after(CLOSE_SECS, shield=True):
            await anyio.to_thread.run_sync(self._close, abandon_on_cancel=True, limiter=self._turn)

    def _close(self) -> None:
        if self._writer is not None:
            self._thread.join()
            self._writer.close()  # the last one to close writes the log back
        if self._reader is not None:
            self._reader.close()


def _fetch(db: sqlite3.Connection, asked: questions.Question) -> list[Any]:
    return db.execute(asked.query, asked.values).fetchall()


_OLD = f"requests WHERE number IN (SELECT number FROM requests WHERE time < ? ORDER BY time LIMIT {STEP})"
_CARRY = questions.carry(WORDS, _OLD)


def _prune(db: sqlite3.Connection, before: float) -> int:
    db.execute("BEGIN IMMEDIATE")
    db.execute(_CARRY, (before,))
    gone = db.execute(f"DELETE FROM {_OLD}", (before,)).rowcount
    db.execute("COMMIT")
    return gone
