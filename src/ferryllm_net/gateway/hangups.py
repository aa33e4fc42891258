"""What SIGHUP means to a process: to read its configuration again, unless the terminal that it belonged to has gone."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import anyio
import anyio.abc


class Terminal:
    """The terminal of this process, if it has one at its start."""

    def __init__(self) -> None:
        self._descriptors = [number for number in (0, 1, 2) if _is_terminal(number)]

    def gone(self) -> bool:
        """Whether there was one and it is closed: nobody is left to whom this process would belong."""
        return bool(self._descriptors) and not any(map(_is_terminal, self._descriptors))


async def watch_hangups(
    reload: Callable[[], None],
    end: Callable[[], None],
    terminal: Terminal | None = None,
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Call ``reload`` at every SIGHUP, ``end`` where the terminal has gone; runs until cancelled. Returns at once on
    systems without the signal.

    Whoever starts the process with SIGHUP ignored, as nohup does, wants it to outlive its terminal: then it is always
    ``reload``.
    """
    if not hasattr(signal, "SIGHUP"):
        task_status.started()
        return
    terminal = terminal or Terminal()
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    with anyio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            (end if terminal.gone() and not outlives else reload)()


def _is_terminal(descriptor: int) -> bool:
    with contextlib.suppress(OSError):
        return os.isatty(descriptor)
    return False
