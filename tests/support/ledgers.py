"""Ledgers for tests: every kind, each empty and for one test alone; and rows to put there."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import msgspec

from ferryllm_net.ledger import Ledger, Row

from . import postgres_server

KINDS = ("sqlite", "postgres")
NOON = 1_800_014_400.0
"""2027-01-15 12:00 UTC."""
FULL = Row(
    id="req_1",
    time=NOON + 0.123456,
    entry="openai",
    operation="generate",
    outcome="ok",
    latency_ms=1500,
    attempts=2,
    key="key_1",
    key_name="laptop",
    user="ann",
    project="ships",
    route="gpt-*",
    provider="openai",
    model_asked="gpt-5",
    model_resolved="gpt-5.5",
    model_reported="gpt-5.5-2026-10-01",
    stream=True,
    status=200,
    error_kind="server",
    error_code="odd",
    refused="busy",
    finish="end",
    input_tokens=10,
    output_tokens=20,
    cache_read_tokens=30,
    cache_write_tokens=40,
    reasoning_tokens=5,
    cost=1_000,
    cost_known=1_000,
    first_byte_ms=300,
    queued_ms=7,
    degraded=1,
    dropped=2,
    requested_effort="low",
    applied_effort="high",
    tries='[{"provider":"a"}]',
    counted_tokens=110,
    counted_cost=1_100,
)
"""Every field says something else than its default."""
BARE = Row("req_2", NOON, "anthropic", "generate", "cancelled", 0)
PLAIN = msgspec.structs.replace(
    FULL,
    time=NOON,
    error_kind=None,
    error_code=None,
    refused=None,
    tries=None,
    counted_tokens=None,
    counted_cost=None,
)


def row(**changes: Any) -> Row:
    """A request that went well, but for ``changes``."""
    return msgspec.structs.replace(PLAIN, **changes)


@contextlib.asynccontextmanager
async def opened(kind: str, folder: pathlib.Path, **settings: Any) -> AsyncIterator[Ledger]:
    """A ledger of this kind that writes, closed behind the body."""
    if kind == "sqlite":
        from ferryllm_net.ledger.sqlite import SqliteLedger

        file = SqliteLedger.open(folder / "ledger.db", **settings)
        try:
            yield file
        finally:
            await file.aclose()
        return
    from ferryllm_net.ledger.postgres import PostgresLedger
    from ferryllm_net.postgres import open_database

    async with open_database(postgres_server.shared().settings()) as database:
        ledger = await PostgresLedger.open(database, **settings)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ledger.run)
            yield ledger
            tasks.cancel_scope.cancel()
        await ledger.aclose()


async def put_all(ledger: Ledger, *rows: Row) -> None:
    """All at once, so that they share what they cost."""
    async with anyio.create_task_group() as tasks:
        for one in rows:
            tasks.start_soon(ledger.put, one)


async def until(condition: Callable[[], bool]) -> None:
    """Returns when ``condition`` is true, which something else makes it."""
    with anyio.fail_after(20):
        while True:
            if condition():
                return
            await anyio.sleep(0.005)
