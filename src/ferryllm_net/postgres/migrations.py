"""Tables that come to be, and change, with versions of ferryllm.

Each part of the gateway that keeps something has steps of its own, numbered from 1 on and never changed once they were
released. An advisory lock lets one process at a time look and change: replicas start at once.
"""

from __future__ import annotations

import msgspec

from .database import Connection, Database, PostgresError

LOCK = 0x6665727279  # "ferry"
"""Of `pg_advisory_xact_lock`, for all parts: a number that no other program in the same database has."""
MIGRATE_SECS = 300.0
"""For all steps, the wait for another replica's included: an index over a ledger of millions of rows takes minutes."""

_TABLE = """
CREATE TABLE IF NOT EXISTS ferryllm_migrations (
    part text NOT NULL,
    number integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (part, number)
)
"""
_VERSION = "SELECT coalesce(max(number), 0) AS version FROM ferryllm_migrations WHERE part = $1"


class Schema(msgspec.Struct, frozen=True):
    """The tables of one part."""

    part: str
    steps: tuple[str, ...]
    """Statements, separated by semicolons; each step leads from the version before it to its own."""


async def migrate(database: Database, schema: Schema) -> None:
    """Bring the tables of ``schema`` to its version. Raises `PostgresError`, also for tables of a newer version."""

    async def work(connection: Connection) -> int:
        await connection.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        # Asked before it is made: IF NOT EXISTS needs the right to make tables, which a replica may be without.
        if await connection.fetchval("SELECT to_regclass('ferryllm_migrations')") is None:
            await connection.execute(_TABLE)
        there: int = await connection.fetchval(_VERSION, schema.part)
        for number, step in enumerate(schema.steps[there:], there + 1):
            await connection.execute(step)
            await connection.execute(
                "INSERT INTO ferryllm_migrations (part, number) VALUES ($1, $2)", schema.part, number
            )
        return there

    there = await database.transaction(work, secs=MIGRATE_SECS)
    if there > len(schema.steps):
        raise PostgresError(
            f"PostgreSQL at {database.place}: the tables of {schema.part} were made by a newer ferryllm (version "
            f"{there}, expected {len(schema.steps)}): update ferryllm, or name another database in [postgres]"
        )


async def version(database: Database, schema: Schema) -> int:
    """The version of tables that are there. Raises `PostgresError`."""
    found = await database.fetch_row(_VERSION, schema.part)
    return 0 if found is None else int(found["version"])
