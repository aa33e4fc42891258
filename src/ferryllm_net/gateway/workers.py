"""Several processes on the same addresses: the parent, which serves nobody.

It opens or holds what all listen on, starts the workers as fresh interpreters, starts one again that dies, passes
signals on and waits for the last one. Apart from `serve`, which is what each worker runs.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, MutableMapping, Sequence

import anyio
import anyio.abc
import msgspec

from ferryllm_net.config import Settings
from ferryllm_net.reload import EVERYTHING, Order, Reload
from ferryllm_net.telemetry import Log

from .hangups import watch_hangups
from .listening import Doors, open_doors
from .worker import READY, VARIABLE, Birth

FIRST_PAUSE_SECS = 0.5
"""Before a worker is started again; doubled with each that dies young. systemd's RestartSec is 0.1, Kubernetes' 10."""
LAST_PAUSE_SECS = 30.0
YOUNG_SECS = 60.0
"""A worker that has lived so long begins with the first pause again."""


async def supervise(
    settings: Settings,
    log: Log,
    command: Sequence[str],
    environ: MutableMapping[str, str],
    *,
    started: Callable[[Doors], None] | None = None,
    handle_signals: bool = True,
    reload: Reload | None = None,
    task_status: anyio.abc.TaskStatus[Workers] = anyio.TASK_STATUS_IGNORED,
) -> int:
    """Run ``settings.server.workers`` processes of ``command`` until SIGTERM or SIGINT; returns the worst exit status
    (of one that a signal killed: 128 and its number).

    ``started`` is told where they listen once all accept connections. ``reload`` reads the configuration again, and all
    of them do when it can be used. A worker that ends before it ever was ready ends all. Raises `ListenError`, before
    anything is started.
    """
    doors = open_doors(settings.server, environ, shared=True)
    try:
        with tempfile.TemporaryDirectory(prefix="ferryllm-") as counters:
            workers = Workers(settings, log, command, {**environ, "PROMETHEUS_MULTIPROC_DIR": counters}, doors)
            async with anyio.create_task_group() as tasks:
                if reload is not None:
                    reload.tell, workers.text = workers.tell, reload.text
                    tasks.start_soon(reload.run)
                if handle_signals:
                    await tasks.start(workers.pass_signals)
                    ask = workers.tell if reload is None else reload.ask
                    await tasks.start(watch_hangups, functools.partial(ask, EVERYTHING), workers.stop)
                for number in range(1, settings.server.workers + 1):
                    tasks.start_soon(workers.keep, number)
                await workers.wait_ready()
                if not workers.stopping:
                    log.info("ferryllm workers started", listen=doors.addresses, workers=settings.server.workers)
                    if started is not None:
                        started(doors)
                task_status.started(workers)
                await workers.wait_ended()
                tasks.cancel_scope.cancel()
            return workers.status
    finally:
        doors.close()


class Workers:
    """The processes of one gateway."""

    def __init__(
        self, settings: Settings, log: Log, command: Sequence[str], environ: MutableMapping[str, str], doors: Doors
    ) -> None:
        self.stopping = False
        self.status = 0
        """The worst so far."""
        self.processes: dict[int, anyio.abc.Process] = {}
        """By number, those that live."""
        self.text: Callable[[], str | None] = _no_text
        """The configuration that is served, for one that is started: what the file holds by then may be another one."""
        self._count = settings.server.workers
        self._given = tuple(doors.given(len(settings.server.listeners)))
        self._source = settings.source
        self._log = log
        self._command = [*command]
        self._environ = environ
        self._doors = doors
        self._ready: set[int] = set()
        """Those that once were."""
        self._controls: dict[int, socket.socket] = {}
        """Of those that live."""
        self._ended = 0
        self._changed = anyio.Event()
        self._stop = anyio.Event()

    async def wait_ready(self) -> None:
        """Returns when all have been ready once, or the end has begun."""
        while len(self._ready) < self._count and not self.stopping:
            await self._changed.wait()

    async def wait_ended(self) -> None:
        """Returns when all have ended and none will be started again."""
        while self._ended < self._count:
            await self._changed.wait()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Let all drain; a second call lets them stop at once."""
        self.stopping = True
        self._stop.set()
        self._doors.close()  # or connections would wait for workers that take none any more
        self._signal(number)
        self._note()

    def _signal(self, number: int) -> None:
        for process in self.processes.values():
            _send(process, number)

    def tell(self, order: Order) -> None:
        """Let all read this again. One that is still starting reads it as soon as it serves."""
        for control in self._controls.values():
            with contextlib.suppress(OSError):  # it has just ended; or it has not read a hundred thousand words
                control.send(order.word())

    def _note(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def pass_signals(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Hand signals to the workers; runs until cancelled."""
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for number in signals:
                self._log.info("stopping workers", signal=number.name, workers=len(self.processes))
                self.stop(number)

    async def keep(self, number: int) -> None:
        """Start worker ``number``, and again whenever it dies, until all are stopped."""
        pause = FIRST_PAUSE_SECS
        try:
            while not self.stopping:
                begun = anyio.current_time()
                status = await self._live(number)
                if self.stopping:
                    # One that our signal met before it listened to signals has ended as it should.
                    early = number not in self._ready and status in (128 + signal.SIGTERM, 128 + signal.SIGINT)
                    self.status = max(self.status, 0 if early else status)
                elif number not in self._ready:
                    # Its words stand on standard error; the next one would end for the same reason.
                    self.status = max(self.status, status or 1)
                    self.stop()
                else:
                    if anyio.current_time() - begun >= YOUNG_SECS:
                        pause = FIRST_PAUSE_SECS
                    self._log.error("worker ended", worker=number, status=status, again_in_secs=pause)
                    with anyio.move_on_after(pause):
                        await self._stop.wait()
                    pause = min(2 * pause, LAST_PAUSE_SECS)
        finally:
            self._ended += 1
            self._note()

    async def _live(self, number: int) -> int:
        """One process from its start to its end; its exit status."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs, _memory(self.text()) as text:
                birth = Birth(number, theirs.fileno(), self._given, self._source, text)
                process = await anyio.open_process(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=None,
                    stderr=None,
                    env={**self._environ, VARIABLE: msgspec.json.encode(birth).decode()},
                    pass_fds=[
                        theirs.fileno(),
                        *([] if text is None else [text]),
                        *(fd for given in self._given for fd in given.descriptors),
                    ],
                    # A terminal's Ctrl-C goes to all of its group; through us each gets it once.
                    start_new_session=True,
                )
            self.processes[number] = process
            ours.setblocking(False)
            self._controls[number] = ours
            try:
                if self.stopping:
                    process.terminate()
                await self._await_ready(ours, number, process.pid)
                status = await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    with anyio.CancelScope(shield=True):
                        await process.wait()
                del self._controls[number], self.processes[number]
        return 128 - status if status < 0 else status

    async def _await_ready(self, control: socket.socket, number: int, pid: int) -> None:
        while True:
            await anyio.wait_readable(control)
            try:
                word = control.recv(64)
            except BlockingIOError:
                continue
            except OSError:
                return
            if not word:
                return
            if READY in word:
                self._log.info("worker started", worker=number, pid=pid)
                self._ready.add(number)
                self._note()
                return


def _no_text() -> None:
    return None


@contextlib.contextmanager
def _memory(text: str | None) -> Iterator[int | None]:
    """A descriptor from which ``text`` can be read, which may hold keys: in no file that has a name."""
    if text is None:
        yield None
        return
    create = getattr(os, "memfd_create", None)  # of Linux
    with tempfile.TemporaryFile() if create is None else open(create("ferryllm"), "w+b") as file:
        file.write(text.encode())
        file.seek(0)
        yield file.fileno()


def _send(process: anyio.abc.Process, number: int) -> None:
    """Without `Process.send_signal`, which asks whether the process has ended: it would take the exit status away from
    asyncio, which then says 255."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
