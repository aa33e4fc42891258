"""The tables of the ledger's file, their versions, and what may be wrong with a file, in words that help."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from .ledger import LedgerError
from .questions import Words

BUSY_SECS = 2.0
"""How long another process may hold the file: less than a client waits for its last bytes."""

WORDS = Words(
    table="requests",
    place=lambda number: "?",
    day="strftime('%Y-%m-%d', time + {offset}, 'unixepoch')",
    month="strftime('%Y-%m', time + {offset}, 'unixepoch')",
    number="number",
)

_STEPS = (
    """
    CREATE TABLE requests (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        time REAL NOT NULL,
        entry TEXT NOT NULL,
        operation TEXT NOT NULL,
        outcome TEXT NOT NULL,
        latency_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        key TEXT,
        key_name TEXT,
        user TEXT,
        project TEXT,
        route TEXT,
        provider TEXT,
        model_asked TEXT,
        model_resolved TEXT,
        model_reported TEXT,
        stream INTEGER,
        status INTEGER,
        error_kind TEXT,
        error_code TEXT,
        refused TEXT,
        finish TEXT,
        input_tokens INTEGER,
        output_tokens INTEGER,
        cache_read_tokens INTEGER,
        cache_write_tokens INTEGER,
        reasoning_tokens INTEGER,
        cost INTEGER,
        cost_known INTEGER NOT NULL,
        first_byte_ms INTEGER,
        queued_ms INTEGER,
        degraded INTEGER NOT NULL,
        dropped INTEGER NOT NULL,
        requested_effort TEXT,
        applied_effort TEXT,
        tries TEXT
    );
    CREATE INDEX requests_time ON requests (time);
    CREATE TABLE requests_forgotten (
        key TEXT NOT NULL,
        project TEXT NOT NULL,
        requests INTEGER NOT NULL,
        tokens INTEGER NOT NULL,
        cost INTEGER NOT NULL,
        PRIMARY KEY (key, project)
    ) WITHOUT ROWID;
    """,
    """
    ALTER TABLE requests ADD COLUMN counted_tokens INTEGER;
    ALTER TABLE requests ADD COLUMN counted_cost INTEGER;
    """,
)
"""Each leads from the version before it to its own, as ``user_version`` says it. Never changed once released.

AUTOINCREMENT, so that no number is used twice, not even when every row was forgotten: usage hooks remember the last one
they have told of."""
APPLICATION = 0x66657272
"""``application_id`` of the file ("ferr"), so that no other program's is taken for a ledger."""


def prepare(db: sqlite3.Connection, path: Path, *, fsync: bool, writing: bool) -> None:
    """Bring the tables to their version, and set ``db`` up for writing. Raises `LedgerError`, sqlite3.Error."""
    if writing:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
    version = _version(db, path)
    if version < len(_STEPS):
        if not writing:
            raise LedgerError(
                f"{path} was written by an older ferryllm (its tables are version {version}, expected {len(_STEPS)}): "
                "start the gateway once, it brings them up to date"
            )
        db.execute("BEGIN IMMEDIATE")  # two workers that begin at once must not both make the tables
        for number, step in enumerate(_STEPS[_version(db, path) :], _version(db, path) + 1):
            for statement in filter(str.strip, step.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {number}")
        db.execute(f"PRAGMA application_id = {APPLICATION}")
        db.execute("COMMIT")


def _version(db: sqlite3.Connection, path: Path) -> int:
    """The version of the tables that are there. Raises `LedgerError` where they are not a ledger's, or newer."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise LedgerError(f"{path} belongs to another program: name another file in [ledger] path")
    if version > len(_STEPS):
        raise LedgerError(
            f"{path} was written by a newer ferryllm (its tables are version {version}, expected {len(_STEPS)}): "
            "update ferryllm, or name another file in [ledger] path"
        )
    return int(version)


def mend(path: Path, exc: Exception) -> str:
    """What went wrong with the file, and what to do."""
    text = str(exc)
    if isinstance(exc, FileNotFoundError):
        return f"{path} cannot be made, because there is no folder {path.parent}: make it, or change [ledger] path"
    if isinstance(exc, PermissionError) or "readonly" in text or "unable to open" in text:
        return f"{path} cannot be written: check the permissions of the file and of its folder"
    if isinstance(exc, OSError):
        return f"{path} cannot be opened: {exc.strerror or type(exc).__name__}: check [ledger] path"
    if "locked" in text or "busy" in text:
        return f"{path} is locked by another program for more than {BUSY_SECS:g} s: close whatever has it open"
    if "not a database" in text or "malformed" in text:
        return f"{path} is no SQLite file, or is damaged: move it away, a new one is made at the next start"
    if "full" in text:
        return f"{path} cannot be written, because the disk is full: make room, or lower [ledger] retention_days"
    return f"{path}: {text or type(exc).__name__}"
