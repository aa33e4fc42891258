"""The store that the settings ask for, and the book of all keys that open the gateway."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ferryllm_net.config.data_folder import make_folder
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import ClientKey, KeyBook, Project

from .store import KeyStore, KeyStoreError

if TYPE_CHECKING:
    from ferryllm_net.config.auth_settings import AuthSettings, KeysSettings
    from ferryllm_net.postgres import Database


async def open_keys(settings: KeysSettings, database: Database | None = None) -> KeyStore:
    """The store that ``settings`` name, which are not "off"; made where it is not there. Raises `KeyStoreError`.

    ``database`` is that of `[postgres]`; whoever opened it closes it.
    """
    if settings.store == "postgres":
        from .postgres import PostgresKeys

        if database is None:
            raise KeyStoreError('there is no [postgres] for the store of keys: add its url, or write store = "sqlite"')
        return await PostgresKeys.open(database)
    from .sqlite import SqliteKeys  # sqlite3 is a library that most gateways never need

    assert settings.path is not None
    path = Path(settings.path)
    try:
        make_folder(path.parent)
    except OSError as exc:
        raise KeyStoreError(f"the folder {path.parent} cannot be made: {exc.strerror or exc}") from None
    return SqliteKeys.open(path)


def fixed_keys(settings: AuthSettings) -> tuple[ClientKey, ...]:
    """The keys that the configuration has: those of the environment by their numbers, then those with names."""
    from_environment = (
        ClientKey(f"env-{number}", key_digest(key.reveal()), f"env-{number}")
        for number, key in enumerate(settings.keys, 1)
    )
    return (*from_environment, *settings.named)


def book(settings: AuthSettings, keys: Iterable[ClientKey] = (), projects: Iterable[Project] = ()) -> KeyBook:
    """All keys together: those of ``settings``, and ``keys`` and ``projects`` of a store, over which they stand."""
    fixed = fixed_keys(settings)
    return KeyBook((*keys, *fixed), (*projects, *settings.projects))
