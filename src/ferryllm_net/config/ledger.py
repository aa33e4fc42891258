"""`[ledger]`: whether there is one, and its file made whole."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from .data_folder import data_folder
from .ledger_schema import Ledger
from .ledger_settings import LedgerSettings
from .problems import Path as KeyPath
from .problems import Report

_AT: KeyPath = ("ledger", "path")
MONTH_DAYS = 31


def resolve_ledger(
    config: Ledger | None,
    environ: Mapping[str, str],
    base: Path,
    report: Report,
    *,
    postgres: bool,
    quotas: bool = False,
    keys: Literal["sqlite", "postgres", "off"] = "off",
) -> LedgerSettings:
    """What ``config`` means; ``base`` is the folder that relative paths count from. ``postgres``: whether there is a
    `[postgres]`. ``quotas``: whether a key or a project of the configuration has any. ``keys`` is the store of keys,
    which may get quotas at any time. For both there is a ledger without a table, too.
    """
    if config is None:
        if not quotas and keys == "off":
            return LedgerSettings()
        config = Ledger(store="postgres" if keys == "postgres" else "sqlite")
    settings = LedgerSettings(
        store=config.store,
        retention_days=config.retention_days,
        on_failure=config.on_failure,
        deadline_secs=config.deadline_ms / 1000,
        fsync=config.fsync,
        max_waiting=config.max_waiting,
    )
    if config.store != "sqlite":
        for name in ("path", "fsync"):
            if getattr(config, name) and report.accepted(("ledger", name)):
                report.warn(("ledger", name), f'not used, because store is "{config.store}"', 'write store = "sqlite"')
    if config.store == "postgres" and not postgres and report.accepted(("ledger", "store")):
        report.error(
            ("ledger", "store"), "there is no PostgreSQL to keep it in", 'add [postgres] with url_env = "...", or url'
        )
    if quotas and config.store == "off":
        report.warn(
            ("ledger", "store"),
            "keys have quotas, and what they have used is forgotten when the gateway ends",
            'write store = "sqlite"',
        )
    if quotas and config.retention_days is not None and config.retention_days < MONTH_DAYS:
        report.warn(
            ("ledger", "retention_days"),
            "shorter than a month, so what quotas of a month have used is forgotten when the gateway ends",
            f"keep rows for {MONTH_DAYS} days",
        )
    if config.store == "sqlite":
        return _file(config, settings, environ, base, report)
    return settings


def _file(
    config: Ledger, settings: LedgerSettings, environ: Mapping[str, str], base: Path, report: Report
) -> LedgerSettings:
    if not report.accepted(_AT):
        return settings
    if config.path is None:
        folder = data_folder(environ)
        if folder is None:
            report.error(("ledger", "store"), "no folder for its file: HOME is not set", 'add path = "ledger.db"')
            return settings
        return msgspec.structs.replace(settings, path=str(folder / "ledger.db"), makes_folder=True)
    path = (base / config.path).absolute()
    try:
        is_folder, is_file, is_there = path.parent.is_dir(), path.is_file(), path.exists()
    except (OSError, ValueError):  # ValueError: a NUL in the path, on newer Pythons
        is_folder = is_file = is_there = False
    if not config.path.strip() or "\0" in config.path:
        report.error(_AT, "no file can have this name", 'name a file, as in path = "ledger.db", or leave it out')
    elif is_there and not is_file:
        report.error(_AT, f"{path} is no file", "name a file")
    elif not is_folder:
        report.error(_AT, f"there is no folder {path.parent}", "make it, or name another one")
    elif not os.access(path if is_file else path.parent, os.W_OK):
        report.error(_AT, f"{path} cannot be written", "check the permissions")
    return msgspec.structs.replace(settings, path=str(path))
