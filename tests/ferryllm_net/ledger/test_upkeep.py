"""Old rows go, quotas begin where they were."""

from __future__ import annotations

import io
import pathlib

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.ledger import LedgerError, keep_for, restore_quotas
from ferryllm_net.ledger.sqlite import SqliteLedger
from ferryllm_net.telemetry import Log
from ferryllm_proto.routing.keys import ClientKey, KeyBook, Project
from ferryllm_proto.routing.quota import Accounts, Period, Quota, Unit
from support.ledgers import NOON, opened, put_all, row, until

pytestmark = pytest.mark.anyio
DAY = 86_400.0
TODAY = Quota(Unit.REQUESTS, Period.DAY, 10)
MONTH = Quota(Unit.TOKENS, Period.MONTH, 10)
EVER = Quota(Unit.COST, Period.EVER, 10)


async def test_quotas_begin_where_they_were(tmp_path: pathlib.Path) -> None:
    book = KeyBook(
        [ClientKey("a", b"1", project="p", quotas=(TODAY, MONTH, EVER)), ClientKey("b", b"2", quotas=(TODAY,))],
        [Project("p", quotas=(TODAY,)), Project("none")],
    )
    accounts = Accounts()
    async with opened("sqlite", tmp_path) as ledger:
        await put_all(
            ledger,
            row(key="a", project="p"),
            row(key="a", project="p", time=NOON - DAY),
            row(key="a", project="p", time=NOON - 40 * DAY),
            row(key="c", project="p"),
        )
        await restore_quotas(ledger, book, accounts.restore, NOON + 3600)
    used = [accounts.used("key/a", quota, NOON) for quota in (TODAY, MONTH, EVER)]
    assert used == [1, 200, 3_000]
    assert accounts.used("key/b", TODAY, NOON) == 0
    assert accounts.used("project/p", TODAY, NOON) == 2


async def test_old_rows_go_and_a_ledger_that_fails_is_said(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ferryllm_net.ledger import upkeep

    monkeypatch.setattr(upkeep, "PRUNE_SECS", 0.0)
    stream = io.StringIO()
    log = Log(stream, now=lambda: 0.0)
    async with opened("sqlite", tmp_path) as ledger:
        await put_all(ledger, row(time=NOON - 3 * DAY), row(id="kept", time=NOON - DAY))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_for, 2.0, ledger, log, lambda: NOON)
            with anyio.fail_after(20):
                while [one.id for one in (await ledger.rows()).rows] != ["kept"]:
                    await anyio.lowlevel.checkpoint()

            async def fail(before: float) -> int:
                raise LedgerError("the disk is full")

            assert isinstance(ledger, SqliteLedger)
            ledger.prune = fail  # type: ignore[method-assign]  # a ledger that fails at nothing else
            await until(lambda: "not pruned" in stream.getvalue())
            tasks.cancel_scope.cancel()
    assert 'reason="the disk is full"' in stream.getvalue()
