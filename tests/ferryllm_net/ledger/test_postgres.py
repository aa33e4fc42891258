"""A server that goes away and comes back, replicas that begin at once, a commit that nobody heard of."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.ledger import LedgerError
from ferryllm_net.ledger import postgres as module
from ferryllm_net.ledger.postgres import PostgresLedger
from ferryllm_net.ledger.postgres_tables import _TYPES, SCHEMA
from ferryllm_net.ledger.row import COLUMNS
from ferryllm_net.postgres import Schema, connect, migrate, open_database
from support import postgres_server
from support.ledgers import FULL, NOON, row, until

pytestmark = pytest.mark.anyio


async def test_rows_wait_while_the_server_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECS", 0.05)
    server = postgres_server.shared()
    async with open_database(server.settings()) as database, anyio.create_task_group() as tasks:
        ledger = await PostgresLedger.open(database)
        tasks.start_soon(ledger.run)
        await ledger.put(row(id="before"))
        server.stop(hard=True)
        try:
            for n in range(3):
                with pytest.raises(LedgerError, match="cannot be reached"):
                    await ledger.put(row(id=f"during {n}", time=NOON + 1 + n))
            assert (ledger.waiting, ledger.lost) == (3, 0)
            with pytest.raises(LedgerError, match="cannot be reached"):
                await ledger.totals()
        finally:
            server.start()
        await until(lambda: not ledger.waiting)
        # A connection that the restart broke costs nobody his row.
        server.stop()
        server.start()
        await ledger.put(row(id="behind", time=NOON + 9))
        ids = [one.id for one in (await ledger.rows()).rows]
        assert ids == ["before", "during 0", "during 1", "during 2", "behind"]
        tasks.cancel_scope.cancel()
    assert ledger.lost == 0


async def test_a_server_that_is_away_at_the_start_gets_its_tables_with_its_first_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RETRY_SECS", 0.05)
    server = postgres_server.shared()
    settings = server.settings()
    async with anyio.create_task_group() as tasks:
        server.stop(hard=True)
        try:
            database = await connect(settings, patient=True)
            ledger = await PostgresLedger.open(database)
            tasks.start_soon(ledger.run)
            with pytest.raises(LedgerError, match="cannot be reached"):
                await ledger.put(FULL)
        finally:
            server.start()
        await until(lambda: not ledger.waiting)
        assert (await ledger.rows()).rows == (FULL,)
        tasks.cancel_scope.cancel()
    await ledger.aclose()
    await database.aclose()


async def test_replicas_that_begin_at_once_make_the_tables_once() -> None:
    settings = postgres_server.shared().settings()
    async with open_database(settings) as one, open_database(settings) as two:
        with pytest.raises(LedgerError, match="no ledger yet"):
            await PostgresLedger.open(one, writing=False)
        found: list[PostgresLedger] = []

        async def begin(number: int) -> None:
            found.append(await PostgresLedger.open((one, two)[number % 2]))

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(begin, number)
        for ledger in found:
            ledger.post(FULL)
            await ledger.aclose()
        reader = await PostgresLedger.open(one, writing=False)
        assert (await reader.totals())[0].requests == 6


async def test_tables_of_the_first_version_are_brought_up_to_date() -> None:
    async with open_database(postgres_server.shared().settings()) as database:
        await migrate(database, Schema(SCHEMA.part, SCHEMA.steps[:1]))
        with pytest.raises(LedgerError, match=r"older ferryllm .its tables are version 1, expected 2.: start the gate"):
            await PostgresLedger.open(database, writing=False)
        ledger = await PostgresLedger.open(database)
        await ledger._insert([(FULL, 1)])
        assert (await ledger.rows()).rows == (FULL,)


async def test_a_group_that_is_written_again_counts_once() -> None:
    async with open_database(postgres_server.shared().settings()) as database:
        ledger = await PostgresLedger.open(database)
        rows = [(FULL, 1), (FULL, 2)]
        await ledger._insert(rows)
        await ledger._insert([*rows, (FULL, 3)])
        assert (await ledger.totals())[0].requests == 3


async def test_what_was_being_written_at_the_end_is_written() -> None:
    async with open_database(postgres_server.shared().settings()) as database:
        ledger = await PostgresLedger.open(database)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger.run)
            ledger.post(FULL)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        ledger.post(FULL)
        await ledger.aclose()
        assert ledger.waiting == 0
        fresh = await PostgresLedger.open(database, writing=False)
        assert (await fresh.totals())[0].requests == 2


def test_every_column_has_a_type() -> None:
    assert tuple(_TYPES) == ("number", *COLUMNS)
