"""Opening a file of SQLite, and using one connection to it from an event loop.

The stores say what their tables are and in which words they fail; permissions, threads, transactions and the end are
the same for all of them.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias, TypeVar

import anyio
import anyio.to_thread

T = TypeVar("T")

Fault: TypeAlias = Callable[[Exception], Exception]
"""What a store raises, made of what SQLite or the system has raised."""


def connect(path: Path, busy_secs: float) -> sqlite3.Connection:
    """A connection that any thread may use, one at a time, and that begins no transaction by itself. ``busy_secs`` is
    how long it waits for another process. Raises sqlite3.Error."""
    return sqlite3.connect(path, timeout=busy_secs, isolation_level=None, check_same_thread=False)


def make_private(path: Path) -> None:
    """Make the file where there is none, and let its owner alone read it. Raises OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # before SQLite would make it with the umask's mode
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        path.chmod(0o600)


def open_file(
    path: Path, busy_secs: float, prepare: Callable[[sqlite3.Connection], None], fault: Fault, *, private: bool = True
) -> sqlite3.Connection:
    """The file at ``path``, made where it is not there (``private``: and its owner's alone), with its tables as
    ``prepare`` wants them. Raises what ``fault`` makes of sqlite3.Error and OSError, and what ``prepare`` raises;
    nothing is left open then."""
    connection = None
    try:
        if private:
            make_private(path)
        connection = connect(path, busy_secs)
        prepare(connection)
    except BaseException as exc:
        if connection is not None:
            connection.close()
        if isinstance(exc, (sqlite3.Error, OSError)):
            raise fault(exc) from None
        raise
    return connection


def make_tables(db: sqlite3.Connection, tables: str, version: int) -> str | None:
    """Make ``tables``, statements with semicolons between them, in a file that has none, and set its ``user_version``.
    Every commit is on the disk when it returns. Returns why the file can not be used; None is: it can. Raises
    sqlite3.Error."""
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("BEGIN IMMEDIATE")  # two processes that begin at once must not both make the tables
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found == 0:
        for statement in filter(str.strip, tables.split(";")):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {version}")
    db.execute("COMMIT")
    if found > version:
        return (
            f"was written by a newer ferryllm (its tables are version {found}, expected {version}): "
            "update ferryllm, or name another file"
        )
    return None


def roll_back(db: sqlite3.Connection) -> None:
    """End a transaction that did not come to its end; where that fails too, the next one says why."""
    if db.in_transaction:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")


class File:
    """The one connection of a store, used by one worker thread at a time.

    Parameters: ``fault`` makes the store's own error of what is raised in a thread, if it is one of ``faults``;
    ``closed`` is the error of who comes after the end.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        fault: Fault,
        closed: Callable[[], Exception],
        faults: tuple[type[Exception], ...] = (sqlite3.Error,),
    ) -> None:
        self._db: sqlite3.Connection | None = connection
        self._fault = fault
        self._closed = closed
        self._faults = faults
        self._turn = anyio.CapacityLimiter(1)

    async def run(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        begin: str = "",
        recover: Callable[[sqlite3.Connection], None] | None = None,
    ) -> T:
        """What ``work`` returns, done in a thread. With ``begin``, a statement that begins a transaction, all of it is
        done or nothing. Whatever is raised ends a transaction that is open, and then calls ``recover``."""

        def guarded() -> T:
            db = self._db
            if db is None:
                raise self._closed()
            try:
                if not begin:
                    return work(db)
                db.execute(begin)
                done = work(db)
                db.execute("COMMIT")
                return done
            except BaseException as exc:
                roll_back(db)
                if recover is not None:
                    with contextlib.suppress(sqlite3.Error):
                        recover(db)
                if isinstance(exc, self._faults):
                    raise self._fault(exc) from None
                raise

        return await anyio.to_thread.run_sync(guarded, limiter=self._turn)

    async def aclose(self) -> None:
        """Close it behind what runs; idempotent, shielded."""
        if self._db is not None:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._close, limiter=self._turn)

    def _close(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()  # the last one to close writes the log back
