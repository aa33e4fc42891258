"""Files of SQLite: who may read them, what is left of a failure, one thread at a time."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path

import anyio
import pytest

from ferryllm_net.sqlite import File, connect, make_tables, open_file

pytestmark = pytest.mark.anyio

TABLES = "CREATE TABLE words (word TEXT NOT NULL UNIQUE); INSERT INTO words VALUES ('first')"


class Odd(Exception):
    """The error of a store."""


def opened(path: Path) -> sqlite3.Connection:
    def prepare(db: sqlite3.Connection) -> None:
        if (reason := make_tables(db, TABLES, 2)) is not None:
            raise Odd(reason)

    return open_file(path, 1.0, prepare, lambda exc: Odd(f"not opened: {exc}"))


def file_of(path: Path) -> File:
    return File(opened(path), lambda exc: Odd(f"failed: {exc}"), lambda: Odd("closed"))


def words(db: sqlite3.Connection) -> list[str]:
    return [word for (word,) in db.execute("SELECT word FROM words ORDER BY word")]


def add(word: str, db: sqlite3.Connection) -> None:
    db.execute("INSERT INTO words VALUES (?)", (word,))


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("there", [False, True])
def test_a_file_is_its_owners_alone(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "a.db"
    if there:
        path.touch(0o644)
    opened(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_tables_are_made_once(tmp_path: Path) -> None:
    for _ in range(2):
        db = opened(tmp_path / "a.db")
        assert words(db) == ["first"]
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        db.close()


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    db = opened(tmp_path / "a.db")
    db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(Odd, match=r"written by a newer ferryllm .*version 3, expected 2"):
        opened(tmp_path / "a.db")


def test_what_is_no_database_or_has_no_folder_is_the_stores_own_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("nothing of the kind" * 100)
    for path in (tmp_path / "text", tmp_path / "none" / "a.db"):
        with pytest.raises(Odd, match="not opened: "):
            opened(path)


async def test_what_begins_a_transaction_is_done_whole_or_not_at_all(tmp_path: Path) -> None:
    file = file_of(tmp_path / "a.db")
    await file.run(lambda db: add("second", db), begin="BEGIN IMMEDIATE")

    def twice(db: sqlite3.Connection) -> None:
        add("third", db)
        add("third", db)

    recovered: list[list[str]] = []
    with pytest.raises(Odd, match="failed: UNIQUE"):
        await file.run(twice, begin="BEGIN IMMEDIATE", recover=lambda db: recovered.append(words(db)))
    assert recovered == [["first", "second"]]

    def broken(db: sqlite3.Connection) -> None:
        add("fourth", db)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await file.run(broken, begin="BEGIN")
    assert await file.run(words) == ["first", "second"]
    await file.aclose()


async def test_one_thread_has_the_connection_at_a_time(tmp_path: Path) -> None:
    file = file_of(tmp_path / "a.db")
    within, most = 0, 0
    gate = threading.Event()

    def work(db: sqlite3.Connection) -> None:
        nonlocal within, most
        within += 1
        most = max(most, within)
        gate.wait(0.01)
        add(str(within) + str(threading.get_ident()) + str(len(words(db))), db)
        within -= 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(lambda: file.run(work))
    assert most == 1
    assert len(await file.run(words)) == 6
    await file.aclose()


async def test_after_the_end_there_is_nothing_to_ask(tmp_path: Path) -> None:
    file = file_of(tmp_path / "a.db")
    await file.aclose()
    await file.aclose()
    with pytest.raises(Odd, match="closed"):
        await file.run(words)
    connect(tmp_path / "a.db", 1.0).close()
