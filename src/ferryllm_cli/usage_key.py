"""Whether there is a key that `ferryllm usage --key` names and the ledger does not: a slip is told from silence."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from . import exit_codes
from .output import print_problems

if TYPE_CHECKING:
    from ferryllm_net.config.auth_settings import KeysSettings
    from ferryllm_net.config.postgres_settings import PostgresSettings

_FROM_ENVIRONMENT = re.compile(r"env-[1-9][0-9]{0,5}")
"""The names of keys of ``api_keys_env``; how many there are, a gateway knows that has the variable."""


def is_known(config: str | None, which: str) -> bool:
    """Whether the configuration or the store of keys has a key of this id or name. A store that cannot be asked ends
    the program with a sentence."""
    from ferryllm_net.config import ConfigError, find_config
    from ferryllm_net.config.auth_keys import resolve_keys
    from ferryllm_net.config.parts import load_parts
    from ferryllm_net.config.postgres import resolve_postgres

    try:
        parts = load_parts(find_config(config, os.environ, Path.cwd()), os.environ, ("auth", "keys", "postgres"))
        found = parts.config
        keys = resolve_keys(found, os.environ, parts.base, parts.report)
        postgres = resolve_postgres(found.postgres, os.environ, parts.base, parts.report)
        parts.report.raise_errors()
    except ConfigError as fault:
        print_problems(fault.problems)
        raise SystemExit(exit_codes.CONFIG_INVALID) from None
    if any(which == key.name for key in found.auth.keys) or _FROM_ENVIRONMENT.fullmatch(which):
        return True
    return keys.store != "off" and _is_kept(keys, postgres, which)


def _is_kept(keys: KeysSettings, postgres: PostgresSettings | None, which: str) -> bool:
    import anyio

    from ferryllm_net.keys.opening import open_keys
    from ferryllm_net.keys.store import KeyStore, UnknownKeyError
    from ferryllm_net.postgres import open_database
    from ferryllm_net.stores.responses import StoreError

    from .key_options import fail

    if keys.store == "sqlite" and not (keys.path and Path(keys.path).is_file()):
        return False  # to ask is not to make one

    async def run() -> bool:
        if keys.store != "postgres" or postgres is None:
            return await worked(await open_keys(keys))
        async with open_database(postgres) as database:
            return await worked(await open_keys(keys, database))

    async def worked(store: KeyStore) -> bool:
        try:
            await store.find(which)
        except UnknownKeyError:
            return False
        finally:
            await store.aclose()
        return True

    try:
        return anyio.run(run)
    except StoreError as exc:
        fail(str(exc))
