"""The ledger that the settings ask for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ferryllm_net.config.data_folder import make_folder
from ferryllm_net.config.ledger_settings import LedgerSettings

from .ledger import Ledger, LedgerError

if TYPE_CHECKING:
    from ferryllm_net.postgres import Database


async def open_ledger(
    settings: LedgerSettings, database: Database | None = None, *, writing: bool = True
) -> Ledger | None:
    """The ledger; None where there is none. Raises `LedgerError`.

    ``database`` is that of `[postgres]`; whoever opened it closes it. Without ``writing`` nothing is made, and only
    questions are answered.
    """
    if settings.store == "postgres":
        from .postgres import PostgresLedger

        if database is None:
            raise LedgerError(
                'the ledger is kept in PostgreSQL, and there is none: add [postgres] with url_env = "..."'
            )
        return await PostgresLedger.open(database, max_waiting=settings.max_waiting, writing=writing)
    if settings.store == "off":
        return None
    from .sqlite import SqliteLedger

    assert settings.path is not None
    path = Path(settings.path)
    if writing and settings.makes_folder:
        try:
            make_folder(path.parent)
        except OSError as exc:
            reason = exc.strerror or type(exc).__name__
            raise LedgerError(
                f"the folder {path.parent} of the ledger cannot be made: {reason}: name a file in [ledger] path"
            ) from None
    return SqliteLedger.open(path, fsync=settings.fsync, max_waiting=settings.max_waiting, writing=writing)
