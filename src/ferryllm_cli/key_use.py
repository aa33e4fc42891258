"""What keys have used, for `ferryllm keys list` and `show`: where there is a ledger, and else nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .output import say

if TYPE_CHECKING:
    from ferryllm_net.config.ledger_settings import LedgerSettings
    from ferryllm_net.config.postgres_settings import PostgresSettings
    from ferryllm_net.keys.stored import StoredKey
    from ferryllm_net.keys.use import Uses


def uses_of(config: str | None, keys: Sequence[StoredKey], unix: float) -> Uses:
    """What ``keys`` have used; nothing where no key has a quota or no ledger is there. A ledger that cannot be read is
    said and no fault: the keys are what was asked for."""
    from ferryllm_net.keys.bounds import quotas

    wanted = [key.terms.bounds for key in keys if quotas(key.terms.bounds)]
    settings, postgres = _ledger(config) if wanted else (None, None)
    if settings is None or settings.store == "off":
        return {}

    import anyio

    from ferryllm_net.keys.use import read_uses
    from ferryllm_net.ledger.ledger import Ledger
    from ferryllm_net.ledger.opening import open_ledger
    from ferryllm_net.postgres import open_database
    from ferryllm_net.stores.responses import StoreError

    async def run() -> Uses:
        if settings.store != "postgres" or postgres is None:
            return await worked(await open_ledger(settings, writing=False))
        async with open_database(postgres) as database:
            return await worked(await open_ledger(settings, database, writing=False))

    async def worked(ledger: Ledger | None) -> Uses:
        if ledger is None:
            return {}
        try:
            return await read_uses(ledger, wanted, unix)
        finally:
            await ledger.aclose()

    try:
        return anyio.run(run)
    except StoreError as exc:
        say(f"note: what the keys have used is not known: {exc}")
        return {}


def _ledger(config: str | None) -> tuple[LedgerSettings | None, PostgresSettings | None]:
    from ferryllm_net.config import ConfigError, find_config
    from ferryllm_net.config.ledger import resolve_ledger
    from ferryllm_net.config.parts import load_parts
    from ferryllm_net.config.postgres import resolve_postgres

    try:
        parts = load_parts(find_config(config, os.environ, Path.cwd()), os.environ, ("keys", "ledger", "postgres"))
        found, report = parts.config, parts.report
        postgres = resolve_postgres(found.postgres, os.environ, parts.base, report)
        settings = resolve_ledger(
            found.ledger, os.environ, parts.base, report, postgres=postgres is not None, keys=found.keys.store
        )
        report.raise_errors()
    except ConfigError:
        say("note: what the keys have used is not known: [ledger] is not right, see `ferryllm check-config`")
        return None, None
    if settings.store == "sqlite" and not (settings.path and Path(settings.path).is_file()):
        return None, None  # no gateway has run yet
    return settings, postgres
