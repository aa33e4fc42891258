"""The parent of workers, over programs that are none: starting, starting again, stopping, the status of all."""

from __future__ import annotations

import functools
import io
import pathlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import msgspec
import pytest

from ferryllm_net.config import Settings
from ferryllm_net.gateway import Doors, workers
from ferryllm_net.gateway.workers import Workers, supervise
from ferryllm_net.reload import EVERYTHING, Order
from ferryllm_net.telemetry import Log
from support.gateways import settings

pytestmark = pytest.mark.anyio

# Says that it is ready and lives until its parent goes or a signal comes.
GOOD = (
    "import json, os, signal, socket, sys\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(os.environ.get('STATUS', 0))))\n"
    "control = socket.socket(fileno=json.loads(os.environ['FERRYLLM_WORKER'])['control'])\n"
    "control.send(b'r')\n"
    "control.recv(1)\n"
)


def several(count: int) -> Settings:
    one = settings(1)
    return msgspec.structs.replace(one, server=msgspec.structs.replace(one.server, workers=count))


class Parent:
    def __init__(
        self, running: Workers, log: io.StringIO, told: list[Doors], ended: anyio.Event, outcome: list[int]
    ) -> None:
        self.workers = running
        self._log = log
        self.told = told
        self.ended = ended
        self._outcome = outcome

    @property
    def status(self) -> int:
        (status,) = self._outcome
        return status

    @property
    def log(self) -> str:
        return self._log.getvalue()

    async def logged(self, words: str, times: int = 1) -> None:
        while self.log.count(words) < times:  # noqa: ASYNC110 - a log has no event to wait for
            await anyio.sleep(0.005)


async def found(path: pathlib.Path) -> None:
    while not await anyio.Path(path).exists():  # noqa: ASYNC110 - another process makes it
        await anyio.sleep(0.005)


@asynccontextmanager
async def parent(program: str, count: int = 2, **environ: str) -> AsyncIterator[Parent]:
    log, told, ended = io.StringIO(), list[Doors](), anyio.Event()
    outcome: list[int] = []

    async def run(*, task_status: anyio.abc.TaskStatus[Workers]) -> None:
        status = await supervise(
            several(count),
            Log(log, now=lambda: 0.0),
            [sys.executable, "-c", program],
            environ,
            started=told.append,
            handle_signals=False,
            task_status=task_status,
        )
        outcome.append(status)
        ended.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            one = Parent(await tasks.start(run), log, told, ended, outcome)
            yield one
            if not ended.is_set():
                one.workers.stop()


async def test_all_are_told_of_once_all_are_ready_and_stopped_together() -> None:
    async with parent(GOOD) as one:
        assert [doors.port > 0 for doors in one.told] == [True]
        assert set(one.workers.processes) == {1, 2}
        assert one.log.count("worker started") == 2
        processes = list(one.workers.processes.values())
        one.workers.stop()
        await one.ended.wait()
        assert one.status == 0
        assert [process.returncode for process in processes] == [0, 0]


async def test_what_is_to_be_read_again_reaches_all_and_waits_for_one_that_is_starting(tmp_path: pathlib.Path) -> None:
    program = (
        "import json, os, pathlib, signal, socket, sys, time\n"
        "folder = pathlib.Path(os.environ['FOLDER'])\n"
        "birth = json.loads(os.environ['FERRYLLM_WORKER'])\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "control = socket.socket(fileno=birth['control'])\n"
        "if (folder / 'slow').exists():\n"
        "    (folder / 'starting').touch()\n"
        "    while not (folder / 'go').exists(): time.sleep(0.01)\n"
        "control.send(b'r')\n"
        "while word := control.recv(1): (folder / f'{birth[\"number\"]}-{word[0]}').touch()\n"
    )
    async with parent(program, FOLDER=str(tmp_path)) as one:
        (tmp_path / "slow").touch()
        one.workers.processes[1].kill()
        await found(tmp_path / "starting")
        one.workers.tell(Order.KEYS)
        await found(tmp_path / "2-1")
        assert not (tmp_path / "1-1").exists()
        (tmp_path / "go").touch()
        await one.logged("worker started", 3)
        await found(tmp_path / "1-1")
        one.workers.tell(EVERYTHING)
        for number in (1, 2):
            await found(tmp_path / f"{number}-{EVERYTHING.value}")
        assert one.log.count("worker ended") == 1
        one.workers.stop()
        await one.ended.wait()


async def test_the_worst_status_is_that_of_all() -> None:
    async with parent(GOOD, STATUS="7") as one:
        one.workers.stop()
        await one.ended.wait()
        assert one.status == 7


async def test_one_that_dies_is_started_again_after_a_pause_that_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FIRST_PAUSE_SECS", 0.01)
    async with parent(GOOD, count=1) as one:
        for times, pause in ((1, "0.01"), (2, "0.02"), (3, "0.04")):
            one.workers.processes[1].kill()
            await one.logged("worker ended", times)
            await one.logged("worker started", times + 1)
            assert f"worker=1 status=137 again_in_secs={pause}" in one.log
        one.workers.stop()
        await one.ended.wait()
        assert one.status == 0


async def test_one_that_lived_long_begins_with_the_first_pause_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FIRST_PAUSE_SECS", 0.01)
    monkeypatch.setattr(workers, "YOUNG_SECS", 0.0)
    async with parent(GOOD, count=1) as one:
        for times in (1, 2):
            one.workers.processes[1].kill()
            await one.logged("worker ended", times)
            await one.logged("worker started", times + 1)
        assert one.log.count("again_in_secs=0.01") == 2


async def test_a_stop_within_the_pause_is_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "FIRST_PAUSE_SECS", 3600.0)
    async with parent(GOOD, count=1) as one:
        one.workers.processes[1].kill()
        await one.logged("worker ended")
        one.workers.stop()
        await one.ended.wait()
        assert one.log.count("worker started") == 1


@pytest.mark.parametrize(("status", "seen"), [(3, 3), (0, 1)])
async def test_one_that_never_was_ready_ends_all_with_its_status(status: int, seen: int) -> None:
    async with parent(f"import sys; sys.exit({status})") as one:
        await one.ended.wait()
        assert one.status == seen
        assert one.told == []
        assert "worker ended" not in one.log


async def test_a_cancellation_leaves_no_process() -> None:
    found: list[anyio.abc.Process] = []
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            command = [sys.executable, "-c", GOOD]
            run = functools.partial(supervise, several(2), Log(io.StringIO(), now=lambda: 0.0), command, {})

            async def start(*, task_status: anyio.abc.TaskStatus[Workers]) -> None:
                await run(handle_signals=False, task_status=task_status)

            one: Workers = await tasks.start(start)
            found.extend(one.processes.values())
            tasks.cancel_scope.cancel()
    assert [process.returncode for process in found] == [-9, -9]
