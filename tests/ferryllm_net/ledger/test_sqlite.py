"""The file: what it is made like, what else may be in its place, and what happens to rows when it fails."""

from __future__ import annotations

import os
import pathlib
import sqlite3
import stat

import anyio
import msgspec
import pytest

from ferryllm_net.ledger import COLUMNS, LedgerError, Row, sqlite_tables
from ferryllm_net.ledger import groups as waiting
from ferryllm_net.ledger import sqlite as module
from ferryllm_net.ledger.sqlite import SqliteLedger
from ferryllm_proto.routing.quota import Unit
from support.ledgers import FULL, NOON, put_all, row, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "ledger.db"


async def test_rows_are_there_for_the_next_process(path: pathlib.Path) -> None:
    first = SqliteLedger.open(path)
    await first.put(FULL)
    await first.aclose()
    again = SqliteLedger.open(path, fsync=True)
    assert (await again.rows()).rows == (FULL,)
    await again.aclose()


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
async def test_nobody_else_reads_the_files(path: pathlib.Path) -> None:
    os.close(os.open(path, os.O_CREAT, 0o644))
    ledger = SqliteLedger.open(path)
    await ledger.put(FULL)
    with os.scandir(path.parent) as files:
        modes = [stat.S_IMODE(file.stat().st_mode) for file in files]
    assert modes == [0o600] * 3  # the log and its index too
    await ledger.aclose()


async def test_two_processes_share_a_file(path: pathlib.Path) -> None:
    ledgers = [SqliteLedger.open(path), SqliteLedger.open(path)]
    async with anyio.create_task_group() as tasks:
        for n in range(40):
            tasks.start_soon(ledgers[n % 2].put, row(id=f"req_{n}"))
    for ledger in ledgers:
        assert (await ledger.totals())[0].requests == 40
        await ledger.aclose()


async def test_a_reader_makes_nothing_and_writes_nothing(path: pathlib.Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger at"):
        SqliteLedger.open(path, writing=False)
    assert not os.path.exists(path)  # noqa: ASYNC240 - nothing else runs
    ledger = SqliteLedger.open(path)
    await ledger.put(FULL)
    reader = SqliteLedger.open(path, writing=False)
    assert (await reader.rows()).rows == (FULL,)
    with pytest.raises(LedgerError, match="questions alone"):
        await reader.put(FULL)
    with pytest.raises(LedgerError, match="questions alone"):
        await reader.prune(NOON)
    await reader.aclose()
    await ledger.aclose()


async def test_a_file_of_the_first_version_is_brought_up_to_date(path: pathlib.Path) -> None:
    with sqlite3.connect(path) as db:
        for statement in sqlite_tables._STEPS[0].split(";"):
            db.execute(statement)
        columns = ", ".join(f'"{name}"' for name in COLUMNS[:-2])
        db.execute(
            f"INSERT INTO requests ({columns}) VALUES ({', '.join('?' * len(COLUMNS[:-2]))})",
            msgspec.structs.astuple(FULL)[:-2],
        )
    db.close()
    _version(path, 1)
    with pytest.raises(LedgerError, match=r"older ferryllm .its tables are version 1, expected 2.: start the gateway"):
        SqliteLedger.open(path, writing=False)
    ledger = SqliteLedger.open(path)
    await ledger.put(FULL)
    old = msgspec.structs.replace(FULL, counted_tokens=None, counted_cost=None)
    assert (await ledger.rows()).rows == (old, FULL)
    assert await ledger.used("key/key_1", Unit.TOKENS, NOON) == 100 + 110
    await ledger.aclose()


def _version(path: pathlib.Path, version: int) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA application_id = 1717924466")
        db.execute(f"PRAGMA user_version = {version}")
    db.close()


def _foreign(path: pathlib.Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE recipes (text)")
    db.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"no database" * 100), "no SQLite file"),
        (_foreign, "belongs to another program"),
        (lambda path: _version(path, 99), "newer ferryllm .its tables are version 99, expected 2"),
        (lambda path: path.mkdir(), "cannot be opened"),
    ],
    ids=["text", "foreign", "newer", "folder"],
)
def test_what_stands_in_its_place_is_said(path: pathlib.Path, make: object, message: str) -> None:
    assert callable(make)
    make(path)
    with pytest.raises(LedgerError, match=message):
        SqliteLedger.open(path)


def test_a_folder_that_is_not_there_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(LedgerError, match=r"there is no folder .*none: make it, or change \[ledger\] path"):
        SqliteLedger.open(tmp_path / "none" / "ledger.db")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks are waited for a moment, and what failed is tried again at once."""
    connect = sqlite3.connect

    def impatient(database: pathlib.Path, timeout: float, **options: object) -> sqlite3.Connection:
        return connect(database, timeout=0.02, isolation_level=None, check_same_thread=False)

    monkeypatch.setattr(sqlite3, "connect", impatient)
    monkeypatch.setattr(module, "RETRY_SECS", 0.02)
    monkeypatch.setattr(waiting, "RETRY_SECS", 0.02)


@pytest.mark.usefixtures("hurried")
def test_a_locked_file_is_said(path: pathlib.Path) -> None:
    with sqlite3.connect(path, timeout=0) as db:
        db.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LedgerError, match="is locked by another program"):
            SqliteLedger.open(path)
    db.close()


@pytest.mark.usefixtures("hurried")
async def test_rows_wait_while_the_file_fails_and_are_written_afterwards(path: pathlib.Path) -> None:
    ledger = SqliteLedger.open(path, max_waiting=100)
    await ledger.put(row(id="before"))
    with sqlite3.connect(path, timeout=0, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        for n in range(3):
            with pytest.raises(LedgerError, match="locked"):
                await ledger.put(row(id=f"during {n}", time=NOON + 1 + n))
        ledger.post(row(id="posted", time=NOON + 10))
        assert (ledger.waiting, ledger.lost) == (4, 0)
        # Questions are answered all the same.
        assert len((await ledger.rows()).rows) == 1
        db.execute("ROLLBACK")
    db.close()
    await until(lambda: not ledger.waiting)
    await ledger.put(row(id="behind", time=NOON + 11))
    ids = [one.id for one in (await ledger.rows()).rows]
    assert ids == ["before", "during 0", "during 1", "during 2", "posted", "behind"]
    await ledger.aclose()


@pytest.mark.usefixtures("hurried")
async def test_the_end_comes_though_the_file_fails(path: pathlib.Path) -> None:
    ledger = SqliteLedger.open(path)
    with sqlite3.connect(path, timeout=0, isolation_level=None) as db:
        db.execute("BEGIN IMMEDIATE")
        ledger.post(FULL)
        await ledger.aclose()
        assert ledger.waiting == 1
    db.close()


async def test_rows_that_end_together_share_a_commit(path: pathlib.Path) -> None:
    ledger = SqliteLedger.open(path)
    commits: list[int] = []
    write = ledger._write

    def counted(group: waiting.Group[Row]) -> bool:
        commits.append(len(group.rows))
        return write(group)

    ledger._write = counted  # type: ignore[method-assign]  # counts what goes through
    await ledger.put(FULL)
    await put_all(ledger, *[FULL] * 50)
    assert sum(commits) == 51
    assert len(commits) < 20
    await ledger.aclose()


async def test_a_number_is_never_used_twice(path: pathlib.Path) -> None:
    ledger = SqliteLedger.open(path)
    await put_all(ledger, row(), row())
    last = await ledger.last_number()
    assert await ledger.prune(NOON + 1) == 2
    await ledger.put(row(id="new", time=NOON + 2))
    ((number, found),) = await ledger.written(last)
    assert (number > last, found.id) == (True, "new")
    await ledger.aclose()
