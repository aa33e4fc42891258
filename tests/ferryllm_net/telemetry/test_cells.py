"""Where the numbers are: in memory, and in files that several processes share."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ferryllm_net.telemetry import cells as cells_module
from ferryllm_net.telemetry import families as f
from ferryllm_net.telemetry.cells import Cells, Numbers, SharedCells, add

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no workers")


@pytest.fixture
def shared(tmp_path: Path) -> SharedCells:
    return SharedCells(tmp_path)


def test_a_series_has_one_cell() -> None:
    cells = Cells()
    cells.cell(f.RETRIES, "one")[0] += 1
    cells.cell(f.RETRIES, "one")[0] += 1
    cells.cell(f.RETRIES, "two")[0] += 1
    assert cells.numbers() == {(f.RETRIES.name, "one"): [2], (f.RETRIES.name, "two"): [1]}


def test_shared_cells_are_those_of_all_who_have_the_folder(tmp_path: Path) -> None:
    one, two = SharedCells(tmp_path), SharedCells(tmp_path)
    assert one.path != two.path
    one.cell(f.RETRIES, "a")[0] += 1
    two.cell(f.RETRIES, "a")[0] += 2
    two.cell(f.QUEUE_WAIT)[3] += 1
    assert one.numbers() == two.numbers()
    found = one.numbers()
    assert found[f.RETRIES.name, "a"] == [3]
    assert found[f.QUEUE_WAIT.name,] == [0, 0, 0, 1] + [0] * (len(f.WAITS) - 2)
    assert os.stat(one.path).st_mode & 0o777 == 0o600


def test_what_was_counted_outlives_who_counted_and_is_gone_on_with(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from ferryllm_net.telemetry.cells import SharedCells;"
        "from ferryllm_net.telemetry.families import RETRIES;"
        "SharedCells(pathlib.Path(sys.argv[1])).cell(RETRIES, 'a')[0] += 5; os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, os.fspath(tmp_path)], check=False).returncode == -9
    again = SharedCells(tmp_path)
    again.cell(f.RETRIES, "a")[0] += 1
    again.cell(f.RETRIES, "b")[0] += 1
    assert again.numbers() == {(f.RETRIES.name, "a"): [6], (f.RETRIES.name, "b"): [1]}
    assert len(list(tmp_path.iterdir())) == 1


def test_closed_cells_leave_their_file_to_the_next_one(tmp_path: Path, shared: SharedCells) -> None:
    shared.cell(f.RETRIES, "a")[0] += 1
    path = shared.path
    shared.close()
    again = SharedCells(tmp_path)
    assert again.path == path
    assert again.numbers() == {(f.RETRIES.name, "a"): [1]}


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    SharedCells(tmp_path / "a" / "b").cell(f.RETRIES, "x")[0] += 1
    assert SharedCells(tmp_path / "a" / "b").numbers() == {(f.RETRIES.name, "x"): [1]}


def test_series_of_any_name_are_kept_apart(tmp_path: Path, shared: SharedCells) -> None:
    names = ["", "a", "ab", "é", '"\n', "x" * 100]
    for n, name in enumerate(names):
        shared.cell(f.RETRIES, name)[0] += n
    assert SharedCells(tmp_path).numbers() == {(f.RETRIES.name, name): [n] for n, name in enumerate(names)}


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 16, b"x" * 4096, b"\0" * 4096])
def test_files_of_others_are_passed_over(tmp_path: Path, shared: SharedCells, content: bytes) -> None:
    shared.cell(f.RETRIES, "a")[0] += 1
    (tmp_path / "9.counts").write_bytes(content)
    assert shared.numbers() == {(f.RETRIES.name, "a"): [1]}


def test_a_file_that_ends_within_a_record_is_read_up_to_there(tmp_path: Path, shared: SharedCells) -> None:
    shared.cell(f.RETRIES, "a")[0] += 1
    shared.cell(f.QUEUE_WAIT)[0] += 1
    used = int.from_bytes(shared.path.read_bytes()[8:16], sys.byteorder)
    (tmp_path / "9.counts").write_bytes(shared.path.read_bytes()[: used - 8])
    assert shared.numbers()[f.RETRIES.name, "a"] == [2]


def test_another_version_begins_anew(tmp_path: Path, shared: SharedCells, monkeypatch: pytest.MonkeyPatch) -> None:
    shared.cell(f.RETRIES, "a")[0] += 1
    shared.close()
    monkeypatch.setattr(cells_module, "_MAGIC", b"another!")
    assert SharedCells(tmp_path).numbers() == {}


@pytest.mark.parametrize("bound", ["MAX_SERIES", "MAX_FILE"])
def test_beyond_the_bound_nobody_counts_and_nobody_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(cells_module, bound, {"MAX_SERIES": 2, "MAX_FILE": 128}[bound])
    found: list[Cells | SharedCells] = [SharedCells(tmp_path)]
    if bound == "MAX_SERIES":
        found.append(Cells())
    for cells in found:
        for n in range(5):
            cells.cell(f.RETRIES, str(n))[0] += 1
        assert cells.numbers() == {(f.RETRIES.name, "0"): [1], (f.RETRIES.name, "1"): [1]}


def test_adding_up_leaves_out_what_is_of_another_width() -> None:
    total: Numbers = {("a",): [1.0], ("b",): [1.0, 2.0]}
    add(total, {("a",): [2.0, 3.0], ("b",): [1.0, 1.0], ("c",): [5.0]})
    assert total == {("a",): [1.0], ("b",): [2.0, 3.0], ("c",): [5.0]}
