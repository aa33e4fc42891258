"""The file of keys: for its owner alone, for several processes, and refused where it is none of ours."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from ferryllm_net.keys import issuing
from ferryllm_net.keys.sqlite import SqliteKeys
from ferryllm_net.keys.store import KeyStoreError

NOW = 1_800_000_000.0


def _modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def _break(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("UPDATE keys SET terms = '{'")
    db.commit()
    db.close()


def _mark_newer(path: Path) -> None:
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()


@pytest.mark.anyio
async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    path.touch(mode=0o644)
    store = SqliteKeys.open(path)
    await issuing.create(store, "ci", now=NOW)
    assert _modes(tmp_path) == {0o600}
    await store.aclose()


@pytest.mark.anyio
async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = SqliteKeys.open(tmp_path / "keys.db")
    await store.aclose()
    with pytest.raises(KeyStoreError, match="closed"):
        await store.version()


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    _mark_newer(path)
    with pytest.raises(KeyStoreError, match=r"newer ferryllm .*version 99, expected 1"):
        SqliteKeys.open(path)


def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    path.write_text("no database at all, and long enough for SQLite to look at it" * 20)
    with pytest.raises(KeyStoreError, match=r"keys\.db cannot be used"):
        SqliteKeys.open(path)
    with pytest.raises(KeyStoreError, match="cannot be used"):
        SqliteKeys.open(tmp_path / "none" / "keys.db")


@pytest.mark.anyio
async def test_what_cannot_be_read_in_it_is_a_fault_of_the_store(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    store = SqliteKeys.open(path)
    await issuing.create(store, "ci", now=NOW)
    _break(path)
    with pytest.raises(KeyStoreError, match=r"keys\.db"):
        await store.load(NOW)
    with pytest.raises(KeyStoreError, match=r"keys\.db"):
        await store.find("ci")
    assert await store.version() > 1
    await store.aclose()
