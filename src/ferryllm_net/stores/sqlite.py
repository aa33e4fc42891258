"""Responses in one SQLite file: they outlive the process.

One connection, used by one worker thread at a time. The journal is a write-ahead log, and ``synchronous`` is FULL: each
`put` costs one flush of the disk, some milliseconds behind an answer that took seconds, and in return what a client was
told to be kept survives not only the process but also the machine's power (NORMAL would lose the last of it).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from ferryllm_net.sqlite import File, make_tables, open_file
from ferryllm_proto.responses.kept import KeptResponse

from .packing import packed, unpacked
from .responses import Bounds, StoreError

T = TypeVar("T")

VERSION = 1
"""Of the tables, as ``user_version`` says it."""
MAX_TOUCHED = 10_000
"""Uses that wait to be written; what is read more often than anything is written is not worth more."""
BUSY_SECS = 2.0
"""How long another process may hold the file: less than a client waits for its last event."""

_TABLES = """
CREATE TABLE responses (
    number INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    created REAL NOT NULL,
    used INTEGER NOT NULL,
    size INTEGER NOT NULL,
    provider TEXT NOT NULL,
    native INTEGER NOT NULL,
    model TEXT NOT NULL,
    response BLOB NOT NULL,
    input BLOB NOT NULL,
    output BLOB NOT NULL,
    UNIQUE (id, owner)
);
CREATE INDEX responses_used ON responses (used, size);
CREATE INDEX responses_created ON responses (created);
CREATE TABLE items (
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    response INTEGER NOT NULL REFERENCES responses (number) ON DELETE CASCADE,
    place INTEGER NOT NULL,
    PRIMARY KEY (owner, id, response)
) WITHOUT ROWID;
CREATE INDEX items_response ON items (response);
"""


class SqliteResponses:
    """See `Responses`. `SqliteResponses.open` makes one."""

    def __init__(self, path: Path, bounds: Bounds, connection: sqlite3.Connection) -> None:
        self._bounds = bounds
        self._file = File(
            connection,
            lambda exc: StoreError(f"{path}: {exc}"),
            lambda: StoreError(f"{path} is closed"),
            (sqlite3.Error, ValueError),
        )
        self._clock = 0
        """Numbers uses, so that the one used longest ago is known without a clock that may go back."""
        self._touched: dict[tuple[str, str], int] = {}
        """Uses by id and owner that are written with the next response: a look-up costs no flush of the disk."""
        self._count = 0
        self._bytes = 0

    @classmethod
    def open(cls, path: Path, bounds: Bounds) -> SqliteResponses:
        """Open or make the file at ``path``, readable by its owner alone. Raises `StoreError`."""

        def prepare(db: sqlite3.Connection) -> None:
            reason = make_tables(db, _TABLES, VERSION)  # the items' ids go with their response
            if reason is not None:
                raise StoreError(f"{path} {reason}")
            db.execute("PRAGMA secure_delete = ON")  # a deleted response is gone, not only unlisted

        def unusable(exc: Exception) -> StoreError:
            return StoreError(f"{path} cannot be used as the store of responses: {exc}")

        connection = open_file(path, BUSY_SECS, prepare, unusable)
        try:
            store = cls(path, bounds, connection)
            store._measure(connection)
        except sqlite3.Error as exc:
            connection.close()
            raise unusable(exc) from None
        return store

    def _measure(self, db: sqlite3.Connection) -> None:
        row = db.execute("SELECT count(*), coalesce(sum(size), 0), coalesce(max(used), 0) FROM responses").fetchone()
        self._count, self._bytes, newest = row
        self._clock = max(self._clock, newest)

    # --- the port ---

    async def get(self, owner: str, id: str, now: float) -> KeptResponse | None:  # noqa: A002
        """See `Responses`."""
        return await self._run(lambda db: self._get(db, owner, id, now))

    async def known(self, id: str, now: float) -> bool:  # noqa: A002
        """See `Responses`."""
        query = "SELECT 1 FROM responses WHERE id = ? AND created > ? LIMIT 1"
        return await self._run(lambda db: db.execute(query, (id, now - self._bounds.ttl_secs)).fetchone() is not None)

    async def find_items(self, owner: str, ids: Sequence[str], now: float) -> dict[str, bytes]:
        """See `Responses`."""
        return await self._run(lambda db: self._find_items(db, owner, ids, now))

    async def put(self, response: KeptResponse, now: float, ids: Sequence[str] = ()) -> None:
        """See `Responses`."""
        if response.size > self._bounds.max_bytes:
            raise StoreError(f"a response of {response.size} bytes is larger than the store ({self._bounds.max_bytes})")
        await self._run(lambda db: self._put(db, response, ids))

    async def delete(self, owner: str, id: str) -> bool:  # noqa: A002
        """See `Responses`."""
        return await self._run(lambda db: self._forget(db, "owner = ? AND id = ?", (owner, id)) > 0)

    async def sweep(self, now: float) -> int:
        """See `Responses`."""
        return await self._run(lambda db: self._forget(db, "created <= ?", (now - self._bounds.ttl_secs,)))

    async def aclose(self) -> None:
        """See `Responses`."""
        await self._file.aclose()

    # --- in the thread ---

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return await self._file.run(work, recover=self._measure)

    def _get(self, db: sqlite3.Connection, owner: str, id_: str, now: float) -> KeptResponse | None:
        columns = "created, provider, native, model, response, input, output"
        query = f"SELECT {columns} FROM responses WHERE id = ? AND owner = ?"
        row = db.execute(query, (id_, owner)).fetchone()
        if row is None or now >= row[0] + self._bounds.ttl_secs:
            return None
        self._touch(id_, owner)
        created, provider, native, model, response, input_, output = row
        return KeptResponse(
            id_, owner, created, provider, bool(native), model, response, unpacked(input_), unpacked(output)
        )

    def _find_items(self, db: sqlite3.Connection, owner: str, ids: Sequence[str], now: float) -> dict[str, bytes]:
        # The numbers of responses grow, so the newest that has the item is the first of its rows, read backwards.
        query = (
            "SELECT items.response, place FROM items JOIN responses ON number = items.response "
            "WHERE items.owner = ? AND items.id = ? AND created > ? ORDER BY items.response DESC LIMIT 1"
        )
        db.execute("BEGIN")  # one look at the file: another process must not delete in between
        places: dict[int, list[tuple[str, int]]] = {}
        for id_ in ids:
            row = db.execute(query, (owner, id_, now - self._bounds.ttl_secs)).fetchone()
            if row is not None:
                places.setdefault(row[0], []).append((id_, row[1]))
        found: dict[str, bytes] = {}
        for number, wanted in places.items():
            response, input_, output = db.execute(
                "SELECT id, input, output FROM responses WHERE number = ?", (number,)
            ).fetchone()
            items = unpacked(input_) + unpacked(output)
            found.update((id_, items[place]) for id_, place in wanted)
            self._touch(response, owner)
        db.execute("COMMIT")
        return found

    def _touch(self, id_: str, owner: str) -> None:
        self._clock += 1
        if len(self._touched) < MAX_TOUCHED:
            self._touched[id_, owner] = self._clock

    def _put(self, db: sqlite3.Connection, response: KeptResponse, ids: Sequence[str]) -> None:
        db.execute("BEGIN IMMEDIATE")
        uses = [(used, *key) for key, used in self._touched.items()]
        db.executemany("UPDATE responses SET used = ? WHERE id = ? AND owner = ?", uses)
        self._remove(db, "owner = ? AND id = ?", (response.owner, response.id))
        self._clock += 1
        added = db.execute(
            "INSERT INTO responses VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                response.owner,
                response.id,
                response.created,
                self._clock,
                response.size,
                response.provider,
                int(response.native),
                response.model,
                response.response,
                packed(response.input),
                packed(response.output),
            ),
        )
        rows = [(response.owner, id_, added.lastrowid, place) for place, id_ in enumerate(ids)]
        db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)", rows)
        self._count += 1
        self._bytes += response.size
        if self._bytes > self._bounds.max_bytes or self._count > self._bounds.max_count:
            self._make_room(db)
        db.execute("COMMIT")
        self._touched.clear()

    def _make_room(self, db: sqlite3.Connection) -> None:
        """Forget until a tenth is free: not one more for every response that comes.

        Of those used longest ago the ones of whoever has most: one key can not push out what others keep.
        """
        self._measure(db)  # another process may have written too
        if self._bytes <= self._bounds.max_bytes and self._count <= self._bounds.max_count:
            return
        size, count = self._bytes, self._count
        totals = dict(db.execute("SELECT owner, sum(size) FROM responses GROUP BY owner").fetchall())
        oldest = {
            owner: iter(
                db.execute(
                    "SELECT used, size FROM responses WHERE owner = ? AND used < ? ORDER BY used", (owner, self._clock)
                ).fetchall()
            )
            for owner in totals
        }
        last: dict[str, int] = {}
        while totals and (size > self._bounds.max_bytes * 0.9 or count > self._bounds.max_count * 0.9):
            owner = max(totals, key=totals.__getitem__)
            found = next(oldest[owner], None)
            if found is None:
                del totals[owner]
                continue
            last[owner], one = found
            size, count = size - one, count - 1
            totals[owner] -= one
        for owner, used in last.items():
            self._remove(db, "owner = ? AND used <= ?", (owner, used))

    def _forget(self, db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> int:
        db.execute("BEGIN IMMEDIATE")
        gone = self._remove(db, where, values)
        db.execute("COMMIT")
        return gone

    def _remove(self, db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> int:
        """Forget what ``where``, a condition of this module, says."""
        measure = f"SELECT count(*), coalesce(sum(size), 0) FROM responses WHERE {where}"
        count, size = db.execute(measure, values).fetchone()
        if count:
            db.execute(f"DELETE FROM responses WHERE {where}", values)
            self._count -= count
            self._bytes -= size
        return int(count)
