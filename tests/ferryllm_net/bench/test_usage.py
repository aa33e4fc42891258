"""What /proc says of processes: a folder made up as Linux writes it, and this very process."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

from ferryllm_net.bench.usage import PROC, listening, measure, tree

linux = pytest.mark.skipif(not PROC.joinpath("self/stat").exists(), reason="there is no /proc")


def process(proc: pathlib.Path, pid: int, parent: int, *, ticks: int, pages: int, nanoseconds: int) -> None:
    task = proc / str(pid) / "task" / str(pid)
    task.mkdir(parents=True)
    fields = ["S", str(parent), *["0"] * 9, str(ticks), "0", *["0"] * 8, str(pages)]
    (proc / str(pid) / "stat").write_text(f"{pid} (a (name) x) {' '.join(fields)}\n")
    (task / "schedstat").write_text(f"{nanoseconds} 0 0\n")


@linux
def test_a_tree_is_counted_together_and_nobody_else(tmp_path: pathlib.Path) -> None:
    second = os.sysconf("SC_CLK_TCK")
    process(tmp_path, 10, 1, ticks=2 * second, pages=100, nanoseconds=2_001_000_000)
    process(tmp_path, 11, 10, ticks=second, pages=10, nanoseconds=1_002_000_000)
    process(tmp_path, 12, 11, ticks=0, pages=1, nanoseconds=500_000)
    process(tmp_path, 20, 1, ticks=999 * second, pages=9999, nanoseconds=0)
    assert sorted(tree(10, tmp_path)) == [10, 11, 12]
    usage = measure(10, tmp_path)
    assert usage is not None
    assert usage.cpu == pytest.approx(3.0035)
    assert usage.rss == 111 * os.sysconf("SC_PAGE_SIZE")


@linux
def test_time_of_threads_that_have_ended_is_not_lost(tmp_path: pathlib.Path) -> None:
    process(tmp_path, 10, 1, ticks=5 * os.sysconf("SC_CLK_TCK"), pages=1, nanoseconds=1_000_000)
    usage = measure(10, tmp_path)
    assert usage is not None
    assert usage.cpu == 5.0


def test_a_process_that_is_gone_and_a_system_without_proc_are_not_measured(tmp_path: pathlib.Path) -> None:
    assert measure(10, tmp_path) is None
    assert measure(10, tmp_path / "nothing") is None
    assert listening("127.0.0.1", 1, tmp_path / "nothing") is None


@linux
def test_this_process_uses_time_and_memory() -> None:
    before = measure(os.getpid())
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    after = measure(os.getpid())
    assert before is not None
    assert after is not None
    assert after.cpu - before.cpu >= 0.04
    assert 1 << 20 < after.rss < 1 << 36


@linux
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_who_listens_on_a_port_of_this_machine_is_found(host: str) -> None:
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    script = (
        "import socket,sys\n"
        f"s = socket.create_server(({host!r}, 0), family={int(family)})\n"
        "print(s.getsockname()[1], flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        assert listening(host, port) == child.pid
        assert listening("192.0.2.1", port) is None
        child.communicate(timeout=10)
    assert listening(host, port) is None
