"""The ledger that the settings ask for."""

from __future__ import annotations

import pathlib
import sys

import pytest

from ferryllm_net.config.ledger_settings import LedgerSettings
from ferryllm_net.ledger import LedgerError, open_ledger
from ferryllm_net.ledger.postgres import PostgresLedger
from ferryllm_net.ledger.sqlite import SqliteLedger
from ferryllm_net.postgres import open_database
from support import postgres_server

pytestmark = pytest.mark.anyio


async def test_there_is_none_where_none_is_asked_for() -> None:
    assert await open_ledger(LedgerSettings()) is None


async def test_a_folder_of_the_gateway_is_made_and_another_is_not(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "data" / "ferryllm" / "ledger.db"
    settings = LedgerSettings("sqlite", str(path))
    with pytest.raises(LedgerError, match="there is no folder"):
        await open_ledger(settings)
    own = LedgerSettings("sqlite", str(path), makes_folder=True)
    with pytest.raises(LedgerError, match="there is no ledger at"):
        await open_ledger(own, writing=False)
    assert not path.parent.exists()
    ledger = await open_ledger(own)
    assert isinstance(ledger, SqliteLedger)
    assert path.exists()
    if sys.platform != "win32":
        assert path.parent.stat().st_mode & 0o777 == 0o700
    await ledger.aclose()


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").touch()
    settings = LedgerSettings("sqlite", str(tmp_path / "file" / "ledger.db"), makes_folder=True)
    with pytest.raises(LedgerError, match="cannot be made"):
        await open_ledger(settings)


async def test_postgresql_needs_its_connection() -> None:
    settings = LedgerSettings("postgres")
    with pytest.raises(LedgerError, match=r"add \[postgres\]"):
        await open_ledger(settings)
    async with open_database(postgres_server.shared().settings()) as database:
        assert isinstance(await open_ledger(settings, database), PostgresLedger)
