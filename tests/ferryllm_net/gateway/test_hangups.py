"""SIGHUP: read again, or the end where the terminal has gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import anyio
import pytest

from ferryllm_net.gateway.hangups import Terminal, watch_hangups

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of Unix")]


class Seat(Terminal):
    """A terminal that goes when the test says so."""

    left = False

    def gone(self) -> bool:
        return self.left


@pytest.fixture(params=[signal.SIG_DFL, signal.SIG_IGN], ids=["default", "ignored"])
def disposition(request: pytest.FixtureRequest) -> Iterator[signal.Handlers]:
    """What is done about SIGHUP when the process begins."""
    before = signal.signal(signal.SIGHUP, request.param)
    yield request.param
    signal.signal(signal.SIGHUP, before)


async def test_a_hangup_reloads_as_long_as_the_terminal_is_there_and_then_ends(disposition: signal.Handlers) -> None:
    seat, heard, changed = Seat(), list[str](), anyio.Event()

    def hear(word: str) -> None:
        heard.append(word)
        changed.set()

    last = "reload" if disposition is signal.SIG_IGN else "end"  # nohup: it outlives its terminal
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            await tasks.start(watch_hangups, lambda: hear("reload"), lambda: hear("end"), seat)
            for word in ("reload", last):
                os.kill(os.getpid(), signal.SIGHUP)
                await changed.wait()
                assert heard[-1] == word
                changed, seat.left = anyio.Event(), True
            tasks.cancel_scope.cancel()
    assert signal.getsignal(signal.SIGHUP) in (signal.SIG_DFL, signal.SIG_IGN)


async def test_without_the_signal_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGHUP")
    async with anyio.create_task_group() as tasks:
        await tasks.start(watch_hangups, lambda: None, lambda: None)


PROGRAM = """
import fcntl, os, signal, sys, termios
from ferryllm_net.gateway.hangups import Terminal
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
seat = Terminal()
print(seat.gone(), file=sys.stderr, flush=True)
signal.sigwait({signal.SIGHUP})
print(seat.gone(), file=sys.stderr, flush=True)
"""


def test_a_terminal_that_is_closed_has_gone() -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, text=True) as process:
        try:
            os.close(theirs)
            assert process.stderr is not None
            assert process.stderr.readline() == "False\n"
            os.close(ours)  # as when the window is closed: the kernel sends SIGHUP
            assert process.communicate(timeout=30)[1] == "True\n"
        finally:
            process.kill()


def test_without_a_terminal_at_the_start_none_can_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda number: False)
    assert not Terminal().gone()
