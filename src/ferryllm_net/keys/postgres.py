"""Keys in PostgreSQL, for many replicas. The row of the version is locked by every change before anything else, so that
the versions of changes grow in the order in which they are seen."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from ferryllm_net.postgres import Connection, Database, Found, PostgresError, Schema, migrate

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

T = TypeVar("T")

LOAD_SECS = 60.0
"""For all keys at the start: 100,000 take about a second from a server on the same machine."""

SCHEMA = Schema(
    "keys",
    (
        """
        CREATE TABLE ferryllm_keys (
            id text PRIMARY KEY,
            name text NOT NULL,
            created double precision NOT NULL,
            expires double precision,
            revoked double precision,
            changed bigint NOT NULL,
            terms text NOT NULL
        );
        CREATE UNIQUE INDEX ferryllm_keys_name ON ferryllm_keys (name) WHERE revoked IS NULL;
        CREATE INDEX ferryllm_keys_changed ON ferryllm_keys (changed);
        CREATE TABLE ferryllm_key_texts (
            digest bytea PRIMARY KEY,
            key text NOT NULL REFERENCES ferryllm_keys (id),
            shown text NOT NULL,
            created double precision NOT NULL,
            ends double precision
        );
        CREATE INDEX ferryllm_key_texts_key ON ferryllm_key_texts (key);
        CREATE TABLE ferryllm_projects (
            name text PRIMARY KEY,
            created double precision NOT NULL,
            bounds text NOT NULL
        );
        CREATE TABLE ferryllm_keys_version (number bigint NOT NULL);
        INSERT INTO ferryllm_keys_version VALUES (1)
        """,
    ),
)

_KEYS = "SELECT id, name, created, expires, revoked, terms FROM ferryllm_keys"
_TEXTS = "SELECT key, digest, shown, created, ends FROM ferryllm_key_texts"
_OF_USE = "(revoked IS NULL OR revoked > $1) AND (expires IS NULL OR expires > $1)"


class PostgresKeys:
    """See `KeyStore`. The database is somebody else's to close. `PostgresKeys.open` makes one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    async def open(cls, database: Database) -> PostgresKeys:
        """Make the tables where they are not there. Raises `KeyStoreError`."""
        try:
            await migrate(database, SCHEMA)
        except PostgresError as exc:
            raise KeyStoreError(str(exc)) from None
        return cls(database)

    # --- the port ---

    async def version(self) -> int:
        """See `KeyStore`."""
        return await self._run(_version)

    async def load(self, now: float, since: int = 0) -> Loaded:
        """See `KeyStore`."""

        async def work(db: Connection) -> Loaded:
            # The version first: what changes while the rest is read is read once more, and nothing is missed.
            version = await _version(db)
            if since:
                # What changed goes along whatever its state: who has it has to learn that it is of no use any more.
                rows = await db.fetch(f"{_KEYS} WHERE changed > $1", since)
                texts = await db.fetch(f"{_TEXTS} WHERE key = ANY($1)", [row["id"] for row in rows])
            else:
                rows = await db.fetch(f"{_KEYS} WHERE {_OF_USE}", now - KEPT_SECS)
                texts = await db.fetch(_TEXTS)
            return Loaded(version, tuple(_joined(rows, texts)), tuple(await _projects(db)))

        return await self._run(work, secs=LOAD_SECS)

    async def add(self, key: StoredKey, now: float) -> None:
        """See `KeyStore`."""

        async def work(db: Connection) -> None:
            number = await _raise_version(db)
            count = await db.fetchval(f"SELECT count(*) FROM ferryllm_keys WHERE {_OF_USE}", now - KEPT_SECS)
            if count >= MAX_KEYS:
                raise KeyStoreError(no_room("keys", count))
            if await db.fetchval("SELECT 1 FROM ferryllm_keys WHERE name = $1 AND revoked IS NULL", key.name):
                raise TakenError(name_taken(key.name))
            await _put(db, key, number)

        await self._change(work)

    async def edit(self, which: str, change: Callable[[StoredKey], StoredKey]) -> StoredKey:
        """See `KeyStore`."""

        async def work(db: Connection) -> StoredKey:
            number = await _raise_version(db)
            after = change(await _find(db, which))
            await _put(db, after, number)
            return after

        return await self._change(work)

    async def find(self, which: str) -> StoredKey:
        """See `KeyStore`."""
        return await self._run(lambda db: _find(db, which))

    async def keys(self, *, after: str = "", most: int = MAX_KEYS) -> Sequence[StoredKey]:
        """See `KeyStore`."""

        async def work(db: Connection) -> list[StoredKey]:
            rows = await db.fetch(f'{_KEYS} WHERE id COLLATE "C" > $1 ORDER BY id COLLATE "C" LIMIT $2', after, most)
            return _joined(rows, await db.fetch(f"{_TEXTS} WHERE key = ANY($1)", [row["id"] for row in rows]))

        return await self._run(work, secs=LOAD_SECS)

    async def projects(self) -> Sequence[StoredProject]:
        """See `KeyStore`."""
        return await self._run(_projects)

    async def set_project(self, name: str, change: Callable[[StoredProject | None], StoredProject | None]) -> None:
        """See `KeyStore`."""

        async def work(db: Connection) -> None:
            await _raise_version(db)
            found = next((project for project in await _projects(db) if project.name == name), None)
            after = change(found)
            await db.execute("DELETE FROM ferryllm_projects WHERE name = $1", name)
            if after is None:
                return
            count = await db.fetchval("SELECT count(*) FROM ferryllm_projects")
            if count >= MAX_PROJECTS:
                raise KeyStoreError(no_room("projects", count))
            bounds = msgspec.json.encode(after.bounds).decode()
            await db.execute("INSERT INTO ferryllm_projects VALUES ($1, $2, $3)", after.name, after.created, bounds)

        await self._change(work)

    async def aclose(self) -> None:
        """See `KeyStore`."""

    async def _run(self, work: Callable[[Connection], Coroutine[Any, Any, T]], *, secs: float = 10.0) -> T:
        try:
            return await self._database.run(work, secs=secs)
        except (PostgresError, msgspec.DecodeError) as exc:
            raise KeyStoreError(str(exc)) from None

    async def _change(self, work: Callable[[Connection], Coroutine[Any, Any, T]]) -> T:
        try:
            return await self._database.transaction(work)
        except (PostgresError, msgspec.DecodeError) as exc:
            raise KeyStoreError(str(exc)) from None


async def _version(db: Connection) -> int:
    return int(await db.fetchval("SELECT number FROM ferryllm_keys_version"))


async def _raise_version(db: Connection) -> int:
    return int(await db.fetchval("UPDATE ferryllm_keys_version SET number = number + 1 RETURNING number"))


async def _projects(db: Connection) -> list[StoredProject]:
    rows = await db.fetch('SELECT name, created, bounds FROM ferryllm_projects ORDER BY name COLLATE "C"')
    return [StoredProject(row["name"], row["created"], msgspec.json.decode(row["bounds"], type=Bounds)) for row in rows]


async def _find(db: Connection, which: str) -> StoredKey:
    order = "ORDER BY id <> $1, revoked IS NOT NULL, created DESC LIMIT 1"
    rows = await db.fetch(f"{_KEYS} WHERE id = $1 OR name = $1 {order}", which.replace("\0", ""))
    if not rows:
        raise UnknownKeyError(no_such_key(which))
    return _joined(rows, await db.fetch(f"{_TEXTS} WHERE key = $1", rows[0]["id"]))[0]


async def _put(db: Connection, key: StoredKey, number: int) -> None:
    terms = msgspec.json.encode(key.terms).decode()
    await db.execute(
        "INSERT INTO ferryllm_keys VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET "
        "expires = excluded.expires, revoked = excluded.revoked, changed = excluded.changed, terms = excluded.terms",
        key.id,
        key.name,
        key.created,
        key.expires,
        key.revoked,
        number,
        terms,
    )
    await db.execute("DELETE FROM ferryllm_key_texts WHERE key = $1", key.id)
    rows = [(text.digest, key.id, text.shown, text.created, text.ends) for text in key.texts]
    await db.executemany("INSERT INTO ferryllm_key_texts VALUES ($1, $2, $3, $4, $5)", rows)


def _joined(rows: Sequence[Found], texts: Sequence[Found]) -> list[StoredKey]:
    own: dict[str, list[KeyText]] = {}
    for key, digest, shown, created, ends in (tuple(row.values()) for row in texts):
        own.setdefault(key, []).append(KeyText(digest, shown, created, ends))
    reader = TermsReader()
    keys = []
    for id_, name, created, expires, revoked, written in (tuple(row.values()) for row in rows):
        found = in_order(own.get(id_, ()))
        keys.append(StoredKey(id_, name, created, reader.read(written), found, expires, revoked))
    return keys
