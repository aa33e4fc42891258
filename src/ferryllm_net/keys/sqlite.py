"""Keys in one SQLite file: for one machine, where the gateway's workers and the command line open it together.

One connection, used by one worker thread at a time. What `add` and `edit` returned from is on the disk: a key that was
revoked stays so after the power fails.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ferryllm_net.sqlite import File, make_tables, open_file

from .bounds import Bounds
from .store import (
    KEPT_SECS,
    MAX_KEYS,
    MAX_PROJECTS,
    KeyStoreError,
    TakenError,
    UnknownKeyError,
    name_taken,
    no_room,
    no_such_key,
)
from .stored import KeyText, Loaded, StoredKey, StoredProject, TermsReader, in_order

VERSION = 1
"""Of the tables, as ``user_version`` says it."""
BUSY_SECS = 5.0
"""How long another process may hold the file: changes take milliseconds, so this is a disk that stands still."""

_TABLES = """
CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created REAL NOT NULL,
    expires REAL,
    revoked REAL,
    changed INTEGER NOT NULL,
    terms TEXT NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX keys_name ON keys (name) WHERE revoked IS NULL;
CREATE INDEX keys_changed ON keys (changed);
CREATE TABLE texts (
    digest BLOB PRIMARY KEY,
    key TEXT NOT NULL REFERENCES keys (id),
    shown TEXT NOT NULL,
    created REAL NOT NULL,
    ends REAL
) WITHOUT ROWID;
CREATE INDEX texts_key ON texts (key);
CREATE TABLE projects (
    name TEXT PRIMARY KEY,
    created REAL NOT NULL,
    bounds TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE version (number INTEGER NOT NULL);
INSERT INTO version VALUES (1);
"""

_KEYS = "SELECT id, name, created, expires, revoked, terms FROM keys"
_Row = tuple[str, str, float, float | None, float | None, str]
_OF_USE = "(revoked IS NULL OR revoked > :after) AND (expires IS NULL OR expires > :after)"


class SqliteKeys:
    """See `KeyStore`. `SqliteKeys.open` makes one."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._run = file.run

    @classmethod
    def open(cls, path: Path) -> SqliteKeys:
        """Open or make the file at ``path``, readable by its owner alone. Raises `KeyStoreError`."""

        def prepare(db: sqlite3.Connection) -> None:
            if (reason := make_tables(db, _TABLES, VERSION)) is not None:
                raise KeyStoreError(f"{path} {reason}")

        def unusable(exc: Exception) -> KeyStoreError:
            return KeyStoreError(f"{path} cannot be used as the store of keys: {exc}")

        connection = open_file(path, BUSY_SECS, prepare, unusable)
        return cls(
            File(
                connection,
                lambda exc: KeyStoreError(f"{path}: {exc}"),
                lambda: KeyStoreError(f"{path} is closed"),
                (sqlite3.Error, msgspec.DecodeError),
            )
        )

    # --- the port ---

    async def version(self) -> int:
        """See `KeyStore`."""
        return await self._run(_version)

    async def load(self, now: float, since: int = 0) -> Loaded:
        """See `KeyStore`."""
        return await self._run(lambda db: _load(db, now - KEPT_SECS, since), begin="BEGIN")

    async def add(self, key: StoredKey, now: float) -> None:
        """See `KeyStore`."""
        await self._run(lambda db: _add(db, key, now), begin="BEGIN IMMEDIATE")

    async def edit(self, which: str, change: Callable[[StoredKey], StoredKey]) -> StoredKey:
        """See `KeyStore`."""

        def work(db: sqlite3.Connection) -> StoredKey:
            key = _find(db, which)
            after = change(key)
            if after != key:
                _put(db, after)
            return after

        return await self._run(work, begin="BEGIN IMMEDIATE")

    async def find(self, which: str) -> StoredKey:
        """See `KeyStore`."""
        return await self._run(lambda db: _find(db, which))

    async def keys(self, *, after: str = "", most: int = MAX_KEYS) -> Sequence[StoredKey]:
        """See `KeyStore`."""
        where = f"{_KEYS} WHERE id > ? ORDER BY id LIMIT ?"
        return await self._run(lambda db: _with_texts(db, db.execute(where, (after, most)).fetchall()))

    async def projects(self) -> Sequence[StoredProject]:
        """See `KeyStore`."""
        return await self._run(_projects)

    async def set_project(self, name: str, change: Callable[[StoredProject | None], StoredProject | None]) -> None:
        """See `KeyStore`."""
        await self._run(lambda db: _set_project(db, name, change), begin="BEGIN IMMEDIATE")

    async def aclose(self) -> None:
        """See `KeyStore`."""
        await self._file.aclose()


# --- in the thread ---------------------------------------------------------------------------------------


def _version(db: sqlite3.Connection) -> int:
    (number,) = db.execute("SELECT number FROM version").fetchone()
    return int(number)


def _raise_version(db: sqlite3.Connection) -> int:
    db.execute("UPDATE version SET number = number + 1")
    return _version(db)


def _load(db: sqlite3.Connection, after: float, since: int) -> Loaded:
    # What changed goes along whatever its state: who has it has to learn that it is of no use any more.
    where = "changed > :since" if since else _OF_USE
    rows = db.execute(f"{_KEYS} WHERE {where}", {"since": since, "after": after}).fetchall()
    return Loaded(_version(db), tuple(_with_texts(db, rows, whole=not since)), tuple(_projects(db)))


def _with_texts(db: sqlite3.Connection, rows: list[_Row], *, whole: bool = False) -> list[StoredKey]:
    """The keys of ``rows``; ``whole``: they are nearly all there are."""
    texts: dict[str, list[KeyText]] = {}
    query = "SELECT key, digest, shown, created, ends FROM texts"
    found: list[tuple[str, bytes, str, float, float | None]] = []
    if whole:
        found = db.execute(query).fetchall()
    else:
        for row in rows:
            found += db.execute(f"{query} WHERE key = ?", (row[0],)).fetchall()
    for key, digest, shown, created, ends in found:
        texts.setdefault(key, []).append(KeyText(digest, shown, created, ends))
    terms = TermsReader()
    keys = []
    for id_, name, created, expires, revoked, written in rows:
        own = in_order(texts.get(id_, ()))
        keys.append(StoredKey(id_, name, created, terms.read(written), own, expires, revoked))
    return keys


def _projects(db: sqlite3.Connection) -> list[StoredProject]:
    rows = db.execute("SELECT name, created, bounds FROM projects ORDER BY name").fetchall()
    return [StoredProject(name, created, msgspec.json.decode(bounds, type=Bounds)) for name, created, bounds in rows]


def _find(db: sqlite3.Connection, which: str) -> StoredKey:
    order = "ORDER BY id <> :which, revoked IS NOT NULL, created DESC LIMIT 1"
    rows = db.execute(f"{_KEYS} WHERE id = :which OR name = :which {order}", {"which": which}).fetchall()
    if not rows:
        raise UnknownKeyError(no_such_key(which))
    return _with_texts(db, rows)[0]


def _add(db: sqlite3.Connection, key: StoredKey, now: float) -> None:
    (count,) = db.execute(f"SELECT count(*) FROM keys WHERE {_OF_USE}", {"after": now - KEPT_SECS}).fetchone()
    if count >= MAX_KEYS:
        raise KeyStoreError(no_room("keys", count))
    if db.execute("SELECT 1 FROM keys WHERE name = ? AND revoked IS NULL", (key.name,)).fetchone():
        raise TakenError(name_taken(key.name))
    _put(db, key)


def _put(db: sqlite3.Connection, key: StoredKey) -> None:
    terms = msgspec.json.encode(key.terms).decode()
    number = _raise_version(db)
    db.execute(
        "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET expires = excluded.expires, "
        "revoked = excluded.revoked, changed = excluded.changed, terms = excluded.terms",
        (key.id, key.name, key.created, key.expires, key.revoked, number, terms),
    )
    db.execute("DELETE FROM texts WHERE key = ?", (key.id,))
    rows = [(text.digest, key.id, text.shown, text.created, text.ends) for text in key.texts]
    db.executemany("INSERT INTO texts VALUES (?, ?, ?, ?, ?)", rows)


def _set_project(
    db: sqlite3.Connection, name: str, change: Callable[[StoredProject | None], StoredProject | None]
) -> None:
    found = next((project for project in _projects(db) if project.name == name), None)
    after = change(found)
    _raise_version(db)
    db.execute("DELETE FROM projects WHERE name = ?", (name,))
    if after is None:
        return
    (count,) = db.execute("SELECT count(*) FROM projects").fetchone()
    if count >= MAX_PROJECTS:
        raise KeyStoreError(no_room("projects", count))
    bounds = msgspec.json.encode(after.bounds).decode()
    db.execute("INSERT INTO projects VALUES (?, ?, ?)", (after.name, after.created, bounds))
