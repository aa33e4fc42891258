"""Files of lines: whole lines whatever happens around them, bounds, and no waiting for whoever puts them."""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryllm_net.config.telemetry_settings import FileSettings
from ferryllm_net.telemetry import line_file
from ferryllm_net.telemetry.line_file import LineFile

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Gate:
    """A line that is made when somebody lets it: so long the thread stands."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self) -> bytes:
        self.reached.set()
        assert self.open.wait(10)
        return b"gate\n"


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open.set()


def nobody(count: int, reason: str) -> None:
    raise AssertionError(f"{count} lines were lost: {reason}")


def at(path: Path, *, most: int | None = None, keep: int = 2) -> FileSettings:
    return FileSettings(str(path), most, keep)


def files(folder: Path) -> dict[str, str]:
    return {one.name: one.read_text() for one in folder.iterdir()}


def put(file: LineFile, *lines: str) -> None:
    for line in lines:
        file.put(functools.partial(str.encode, f"{line}\n"), len(line))


async def test_lines_stand_in_their_order_behind_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("before\n")
    file = LineFile(at(path), nobody)
    put(file, *map(str, range(1000)))
    await file.aclose()
    assert path.read_text().split() == ["before", *map(str, range(1000))]
    await file.aclose()


async def test_a_file_is_made_for_its_owner_alone_and_others_stay_as_they_are(tmp_path: Path) -> None:
    made, there = tmp_path / "made", tmp_path / "there"
    there.touch(mode=0o644)
    there.chmod(0o644)
    for path in (made, there):
        await LineFile(at(path), nobody).aclose()
    if sys.platform != "win32":
        assert [path.stat().st_mode & 0o777 for path in (made, there)] == [0o600, 0o644]


async def test_a_file_that_can_not_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        LineFile(at(tmp_path / "nowhere" / "a.log"), nobody)


async def test_no_thread_before_the_first_line(tmp_path: Path) -> None:
    before = threading.active_count()
    file = LineFile(at(tmp_path / "a.log"), nobody)
    assert threading.active_count() == before
    await file.aclose()


@pytest.mark.skipif(sys.platform == "win32", reason="open files can not be moved there")
@pytest.mark.parametrize("how", ["moved", "removed", "replaced"])
async def test_a_file_that_was_moved_away_is_opened_again(tmp_path: Path, how: str, gate: Gate) -> None:
    path, old = tmp_path / "a.log", tmp_path / "old.log"
    file = LineFile(at(path), nobody)
    put(file, "one")
    file.put(gate, 1)
    gate.open.set()
    await _written(file)
    if how == "removed":
        path.unlink()
    else:
        path.rename(old)
    if how == "replaced":
        path.write_text("new\n")
    put(file, "two")
    await file.aclose()
    assert path.read_text() == ("new\ntwo\n" if how == "replaced" else "two\n")
    if how != "removed":
        assert old.read_text() == "one\ngate\n"


async def _written(file: LineFile) -> None:
    """Wait until the thread has written all that was put before."""
    done = threading.Event()

    def line() -> bytes:
        done.set()
        return b""

    file.put(line, 0)
    assert done.wait(10)
    # It is made before the batch it is in is written; the next one comes behind that.
    done.clear()
    file.put(line, 0)
    assert done.wait(10)


async def test_a_file_at_its_limit_is_moved_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    for n in range(5):  # each anew, so that each is a batch of its own
        file = LineFile(at(path, most=10, keep=2), nobody)
        put(file, f"line-{n}")
        await file.aclose()
    assert files(tmp_path) == {
        "a.log": "line-4\n",
        "a.log.1": "line-3\n",
        "a.log.2": "line-2\n",
    }


async def test_a_line_longer_than_the_limit_is_written_whole(tmp_path: Path) -> None:
    file = LineFile(at(tmp_path / "a.log", most=10), nobody)
    put(file, "x" * 100)
    await file.aclose()
    assert files(tmp_path) == {"a.log": "x" * 100 + "\n"}


@pytest.mark.skipif(sys.platform == "win32", reason="there are no workers")
async def test_of_several_processes_one_moves_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    one, two = (LineFile(at(path, most=10, keep=5), nobody) for _ in range(2))
    put(one, "11111111")
    await _written(one)
    put(two, "22222222")
    await _written(two)
    put(one, "333")
    await one.aclose()
    put(two, "444")
    await two.aclose()
    # Each saw that the other one had moved it, and nobody moved it twice.
    assert files(tmp_path) == {
        "a.log": "333\n444\n",
        "a.log.1": "22222222\n",
        "a.log.2": "11111111\n",
    }


@pytest.mark.parametrize(("bound", "value"), [("MAX_WAITING", 3), ("MAX_WAITING_BYTES", 6)])
async def test_what_has_no_room_is_lost_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate: Gate, bound: str, value: int
) -> None:
    monkeypatch.setattr(line_file, bound, value)
    lost: list[tuple[int, str]] = []
    clock = Clock()
    file = LineFile(at(tmp_path / "a.log"), lambda count, reason: lost.append((count, reason)), clock=clock)
    file.put(gate, 0)
    assert gate.reached.wait(10)  # it stands
    put(file, "aa", "bb", "cc", "dd", "ee", "ff")
    assert lost == [(1, "lines come faster than the disk takes them")]
    assert file.lost == 3
    clock.now += line_file.SAY_SECS
    put(file, "gg")
    assert lost[1:] == [(3, "lines come faster than the disk takes them")]
    gate.open.set()
    await file.aclose()
    assert (tmp_path / "a.log").read_text().split() == ["gate", "aa", "bb", "cc"]


async def test_room_comes_back_when_lines_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_file, "MAX_WAITING_BYTES", 10)
    file = LineFile(at(tmp_path / "a.log"), nobody)
    for n in range(20):
        put(file, f"{n:08}")
        await _written(file)
    await file.aclose()
    assert len((tmp_path / "a.log").read_text().split()) == 20


async def test_a_disk_that_fails_costs_lines_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost: list[tuple[int, str]] = []
    clock = Clock()
    file = LineFile(at(tmp_path / "a.log"), lambda count, reason: lost.append((count, reason)), clock=clock)
    write, full = os.write, True

    def failing(descriptor: int, data: bytes) -> int:
        if full:
            raise OSError(28, "No space left on device")
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", failing)
    put(file, "one")
    await _written(file)
    full = False
    put(file, "two")
    await file.aclose()
    assert (tmp_path / "a.log").read_text() == "two\n"
    assert lost[0][1] == "No space left on device"


async def test_a_line_that_can_not_be_made_does_not_end_the_file(tmp_path: Path) -> None:
    lost: list[tuple[int, str]] = []
    file = LineFile(at(tmp_path / "a.log"), lambda count, reason: lost.append((count, reason)))

    def broken() -> bytes:
        raise ValueError("with a secret")

    file.put(broken, 1)
    await _written(file)
    put(file, "two")
    await file.aclose()
    assert (tmp_path / "a.log").read_text() == "two\n"
    assert lost[0][1] == "ValueError"


async def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    lost: list[int] = []
    file = LineFile(at(tmp_path / "a.log"), lambda count, reason: lost.append(count))
    await file.aclose()
    put(file, "late")
    assert lost == [1]
    assert (tmp_path / "a.log").read_bytes() == b""
