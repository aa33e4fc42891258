"""A file of lines that a thread of its own writes: for logs that must not delay requests and must not grow without end.

A write to a file is a few microseconds until the disk is slow, full or behind a network; then it is seconds, and would
be so for every connection of the event loop. So the loop only puts lines into a queue, and the thread appends what is
there, all of it at once. It begins with the first line, so a log that nobody configured costs nothing, and one that is
quiet little.

Several processes may have the same file: each append is one write behind the end, so lines stay whole. The file is
opened again when another one has its name, as logrotate does it, and moved aside at its limit by whoever comes first.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import anyio
import anyio.to_thread

from ferryllm_net.config.telemetry_settings import FileSettings

MAX_WAITING = 10_000
"""Lines that wait for the disk; at a thousand requests a second ten seconds of them."""
MAX_WAITING_BYTES = 32 << 20
"""Bytes of them: a gateway takes some hundred MiB under full load, and must stay near that when its disk hangs."""
MAX_BATCH = 256
"""Lines that are written at once."""
CLOSE_SECS = 3.0
"""How long the end waits for the disk; systemd and Kubernetes give a process 30 s or more to end."""
SAY_SECS = 10.0
"""How often it is said at most that lines were lost."""

Line = Callable[[], bytes]
"""Makes one line, with its end, in the thread."""
Lost = Callable[[int, str], None]
"""Hears how many lines were lost, and why. Called where lines are put."""


class LineFile:
    """Appends to the file that ``settings`` name. Opens it at once: raises OSError where it can not be written."""

    def __init__(self, settings: FileSettings, lost: Lost, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._lost = lost
        self._clock = clock
        self._queue: queue.SimpleQueue[tuple[Line, int] | None] = queue.SimpleQueue()
        self._waiting = 0
        self._done = 0
        """Bytes put, by the loop, and bytes taken, by the thread: each has its own number, so no lock."""
        self._dropped = 0
        self._failed = 0
        self._reason = ""
        self._said = 0
        self._said_at = -SAY_SECS
        self._thread: threading.Thread | None = None
        self._descriptor = _open(settings.path)
        self._closed = False

    def put(self, line: Line, size: int) -> None:
        """Write a line soon. ``size`` is about how many bytes what makes it holds. Never waits; a line for which there
        is no room is lost."""
        if self._thread is None and not self._closed:
            # A daemon: `aclose` waits for it, and the end of the process must not wait for a disk that hangs.
            self._thread = threading.Thread(target=self._run, name="ferryllm-lines", daemon=True)
            self._thread.start()
        room = self._queue.qsize() < MAX_WAITING and self._waiting - self._done + size <= MAX_WAITING_BYTES
        if self._closed or not room:
            self._dropped += 1
        else:
            self._waiting += size
            self._queue.put((line, size))
        if self._dropped + self._failed > self._said:
            self._say()

    @property
    def lost(self) -> int:
        """Lines that are not in the file."""
        return self._dropped + self._failed

    def _say(self) -> None:
        now = self._clock()
        if now - self._said_at >= SAY_SECS:
            self._said_at, new = now, self.lost - self._said
            self._said += new
            self._lost(new, self._reason or "lines come faster than the disk takes them")

    async def aclose(self) -> None:
        """Write what waits, as long as that takes no longer than `CLOSE_SECS`."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            with anyio.move_on_after(CLOSE_SECS + 1, shield=True):
                await anyio.to_thread.run_sync(self._thread.join, CLOSE_SECS)
        if self._thread is None or not self._thread.is_alive():
            os.close(self._descriptor)

    # --- in the thread ---

    def _run(self) -> None:
        more = True
        while more:
            batch = [self._queue.get()]
            with suppress(queue.Empty):
                while len(batch) < MAX_BATCH:
                    batch.append(self._queue.get_nowait())
            more = None not in batch
            taken = [one for one in batch if one is not None]
            if not taken:
                return
            try:
                self._write(b"".join([line() for line, _ in taken]))
            except Exception as exc:  # a thread that ends would take the log with it
                self._failed += len(taken)
                reason = exc.strerror if isinstance(exc, OSError) else None
                self._reason = reason or type(exc).__name__
            self._done += sum(size for _, size in taken)

    def _write(self, content: bytes) -> None:
        self._renew()
        most = self._settings.max_bytes
        if most is not None and (size := os.fstat(self._descriptor).st_size) and size + len(content) > most:
            self._rotate()
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def _renew(self) -> None:
        """Open the file again where the name is another one's, or nobody's."""
        mine = os.fstat(self._descriptor)
        try:
            there = os.stat(self._settings.path)
        except FileNotFoundError:
            there = None
        if there is None or (there.st_ino, there.st_dev) != (mine.st_ino, mine.st_dev):
            fresh = _open(self._settings.path)
            os.close(self._descriptor)
            self._descriptor = fresh

    def _rotate(self) -> None:
        """Move the file aside, and begin another one. Of several processes the first one does it."""
        path, keep = self._settings.path, self._settings.keep
        with suppress(ImportError):
            import fcntl  # Windows has it not, and no second process either

            fcntl.flock(self._descriptor, fcntl.LOCK_EX)  # it ends with this descriptor
        mine = os.fstat(self._descriptor)
        with suppress(FileNotFoundError):
            there = os.stat(path)
            if (there.st_ino, there.st_dev) == (mine.st_ino, mine.st_dev):
                for number in range(keep - 1, 0, -1):
                    with suppress(FileNotFoundError):
                        os.replace(f"{path}.{number}", f"{path}.{number + 1}")
                os.replace(path, f"{path}.1")
        self._renew()


def _open(path: str) -> int:
    """To append to, for its owner alone where it is made. Raises OSError."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
