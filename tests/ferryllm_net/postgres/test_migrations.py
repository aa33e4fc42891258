"""Tables come up to date once, whoever begins, and newer ones are left alone."""

from __future__ import annotations

import anyio
import pytest

from ferryllm_net.postgres import PostgresError, Schema, migrate, open_database
from support import postgres_server

pytestmark = pytest.mark.anyio
ONE = Schema("ships", ("CREATE TABLE ships (name text)",))
TWO = Schema("ships", (*ONE.steps, "ALTER TABLE ships ADD COLUMN knots int; INSERT INTO ships VALUES ('Ann', 9)"))


async def test_each_step_is_made_once() -> None:
    async with open_database(postgres_server.shared().settings()) as database:
        await migrate(database, ONE)
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(migrate, database, TWO)
        await migrate(database, Schema("other", ("CREATE TABLE others (n int)",)))
        assert [dict(row) for row in await database.fetch("SELECT * FROM ships")] == [{"name": "Ann", "knots": 9}]
        rows = await database.fetch("SELECT part, number FROM ferryllm_migrations ORDER BY 1, 2")
        assert [tuple(row.values()) for row in rows] == [("other", 1), ("ships", 1), ("ships", 2)]


async def test_newer_tables_are_left_alone() -> None:
    async with open_database(postgres_server.shared().settings()) as database:
        await migrate(database, TWO)
        with pytest.raises(PostgresError, match=r"newer ferryllm \(version 2, expected 1\): update ferryllm"):
            await migrate(database, ONE)


async def test_a_step_that_fails_leaves_the_version_before_it() -> None:
    async with open_database(postgres_server.shared().settings()) as database:
        broken = Schema("ships", (*ONE.steps, "CREATE TABLE half (n int); SELECT bogus"))
        with pytest.raises(PostgresError, match="bogus"):
            await migrate(database, broken)
        assert await database.fetch("SELECT 1 FROM pg_class WHERE relname IN ('half') AND relkind = 'r'") == []
        await migrate(database, ONE)
