"""SIGHUP: read again, or the end where the terminal has gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import anyio
import pytest

from ferryllm_net.gateway.hangups import Terminal, watch_hangups

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of Unix")]


class Seat(Terminal):
    """A terminal that goes when the test says so."""

    left = False

    def gone(self) -> bool:
        return self.left


async def test_a_hangup_reloads_as_long_as_the_terminal_is_there_and_then_ends() -> None:
    seat, heard, changed = Seat(), list[str](), anyio.Event()

    def hear(word: str) -> None:
        heard.append(word)
        changed.set()

    before = signal.getsignal(signal.SIGHUP)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            await tasks.start(watch_hangups, lambda: hear("reload"), lambda: hear("end"), seat)
            for word in ("reload", "end"):
                os.kill(os.getpid(), signal.SIGHUP)
                await changed.wait()
                assert heard[-1] == word
                changed, seat.left = anyio.Event(), True
            tasks.cancel_scope.cancel()
    assert signal.getsignal(signal.SIGHUP) == before


async def test_without_the_signal_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP")
    async with anyio.create_task_group() as tasks:
        await tasks.start(watch_hangups, lambda: None, lambda: None)


PROGRAM = """
import os, signal, sys
from ferryllm_net.gateway.hangups import Terminal
seat = Terminal()
signal.signal(signal.SIGHUP, lambda *_: (open(sys.argv[1], "w").write(str(seat.gone())), sys.exit(0)))
print(seat.gone(), file=sys.stderr, flush=True)
signal.pause()
"""


def test_a_terminal_that_is_closed_has_gone(tmp_path: os.PathLike[str]) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    told, telling = os.pipe()
    path = os.path.join(tmp_path, "gone")
    run = "import fcntl, os, sys, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n" + PROGRAM
    with subprocess.Popen([sys.executable, "-c", run, path], stdin=theirs, stdout=theirs, stderr=telling) as process:
        os.close(theirs)
        os.close(telling)
        assert os.read(told, 100) == b"False\n"
        os.close(ours)  # as when the window is closed: the kernel sends SIGHUP
        process.wait(timeout=20)
    os.close(told)
    with open(path) as file:
        assert file.read() == "True"


def test_without_a_terminal_at_the_start_none_can_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda number: False)
    assert not Terminal().gone()
