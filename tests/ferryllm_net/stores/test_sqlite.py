"""The file keeps its word: over the end of the process however it comes, and against files that are none of ours."""

from __future__ import annotations

import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import anyio
import msgspec
import pytest

from ferryllm_net.stores import Bounds, StoreError
from ferryllm_net.stores.sqlite import SqliteResponses
from ferryllm_proto.responses.kept import KeptResponse

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
BOUNDS = Bounds(max_bytes=1 << 20, ttl_secs=100.0)
ONE = KeptResponse("resp_1", "me", NOW, "chat", model="m", response=b"{}", input=(b'{"a":1}',), output=(b"{}",))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.db"


async def test_what_was_kept_is_there_for_the_next_process(path: Path) -> None:
    first = SqliteResponses.open(path, BOUNDS)
    await first.put(ONE, NOW)
    await first.aclose()
    second = SqliteResponses.open(path, BOUNDS)
    assert await second.get("me", "resp_1", NOW) == ONE
    await second.aclose()
    with pytest.raises(StoreError, match="closed"):
        await second.get("me", "resp_1", NOW)


def _make(path: Path, mode: int) -> None:
    path.touch(mode=mode)


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _read(path: Path) -> bytes:
    return path.read_bytes()


def _modes(folder: Path) -> list[int]:
    """The permissions of every file."""
    return [stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()]


_WRITER = """
import sys, pathlib, anyio
from ferryllm_net.stores import Bounds
from ferryllm_net.stores.sqlite import SqliteResponses
from ferryllm_proto.responses.kept import KeptResponse

async def main():
    store = SqliteResponses.open(pathlib.Path(sys.argv[1]), Bounds(max_bytes=1 << 24, ttl_secs=100.0))
    for n in range(10_000):
        await store.put(KeptResponse(f"resp_{n}", "me", 1_800_000_000.0, "chat", response=b"x" * 500), 1_800_000_000.0)
        print(n, flush=True)

anyio.run(main)
"""


async def test_what_was_acknowledged_survives_kill_9(path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)  # noqa: ASYNC220 - a process to be killed
    assert writer.stdout is not None
    acknowledged = -1
    for line in writer.stdout:
        acknowledged = int(line)
        if acknowledged >= 20:
            break
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate(timeout=20)
    acknowledged = max([acknowledged, *map(int, rest.split())])
    store = SqliteResponses.open(path, BOUNDS)
    for n in range(acknowledged + 1):
        assert await store.get("me", f"resp_{n}", NOW) is not None, n
    await store.aclose()


async def test_the_file_is_its_owners_alone(path: Path) -> None:
    _make(path, 0o644)
    store = SqliteResponses.open(path, BOUNDS)
    await store.put(ONE, NOW)
    assert set(_modes(path.parent)) == {0o600}
    await store.aclose()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 4000])
async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    _write(path, content)
    with pytest.raises(StoreError, match="cannot be used as the store of responses"):
        SqliteResponses.open(path, BOUNDS)
    assert _read(path) == content


async def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    await SqliteResponses.open(path, BOUNDS).aclose()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match=r"version 99, expected 1.*update ferryllm"):
        SqliteResponses.open(path, BOUNDS)


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        SqliteResponses.open(tmp_path / "nowhere" / "responses.db", BOUNDS)


async def test_a_file_that_another_process_holds_is_an_error_and_not_the_end(path: Path) -> None:
    store = SqliteResponses.open(path, BOUNDS)
    await store.put(ONE, NOW)
    holder = sqlite3.connect(path, isolation_level=None)
    assert store._file._db is not None
    store._file._db.execute("PRAGMA busy_timeout = 0")
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked"):
        await store.put(msgspec.structs.replace(ONE, id="resp_2"), NOW)
    holder.execute("ROLLBACK")
    holder.close()
    await store.put(msgspec.structs.replace(ONE, id="resp_2"), NOW)
    assert await store.get("me", "resp_1", NOW) == ONE
    await store.aclose()


async def test_two_gateways_may_share_a_file(path: Path) -> None:
    one, two = SqliteResponses.open(path, BOUNDS), SqliteResponses.open(path, BOUNDS)
    await one.put(ONE, NOW)
    assert await two.get("me", "resp_1", NOW) == ONE
    await one.aclose()
    await two.aclose()


async def test_a_deleted_response_leaves_no_trace_in_the_file(path: Path) -> None:
    store = SqliteResponses.open(path, BOUNDS)
    secret = b"purple-elephant-in-the-room"
    await store.put(msgspec.structs.replace(ONE, response=secret * 50), NOW)
    await store.delete("me", "resp_1")
    await store.aclose()
    assert secret not in _read(path)


async def test_calls_at_once_take_turns(path: Path) -> None:
    store = SqliteResponses.open(path, BOUNDS)

    async def work(n: int) -> None:
        await store.put(msgspec.structs.replace(ONE, id=f"resp_{n}"), NOW)
        assert await store.get("me", f"resp_{n}", NOW) is not None

    async with anyio.create_task_group() as tasks:
        for n in range(20):
            tasks.start_soon(work, n)
    await store.aclose()
    assert len(_modes(path.parent)) == 1, "closing writes the log back"


@pytest.mark.parametrize("packed", [b"5:ab", b"x:ab", b"no colon at all, for long", b"-1:", b"3:abc2"])
async def test_a_damaged_row_is_an_error_and_not_another_conversation(path: Path, packed: bytes) -> None:
    store = SqliteResponses.open(path, BOUNDS)
    await store.put(ONE, NOW)
    assert store._file._db is not None
    store._file._db.execute("UPDATE responses SET input = ?", (packed,))
    with pytest.raises(StoreError):
        await store.get("me", "resp_1", NOW)
    await store.put(ONE, NOW)
    assert await store.get("me", "resp_1", NOW) == ONE
    await store.aclose()
