"""A real redis-server on loopback, one for all tests of a process; each test takes key names of its own."""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import anyio
import pytest

from ferryllm_net.config.redis_settings import RedisSettings

from .processes import free_port

if TYPE_CHECKING:
    from ferryllm_net.redis.door import RedisDoor, Used
    from ferryllm_net.redis.link import Link
    from ferryllm_proto.routing.gate import GateRules
    from ferryllm_proto.routing.keys import KeyBook, KeyLimits

MISSING = "redis-server is not installed: what workers and replicas share is NOT tested (Debian: redis-server)"
START_SECS = 10.0


class RedisServer:
    """A server that keeps nothing on disk, on a port that stays its own over restarts."""

    def __init__(self, *arguments: str) -> None:
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ferryllm-redis-"))
        self.port = free_port()
        self.socket = str(self.folder / "redis.sock")
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count()
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip(MISSING)
        command = [program, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        command += ["--save", "", "--appendonly", "no", "--unixsocket", self.socket, *self._arguments]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        latest = time.monotonic() + START_SECS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                if probe.recv(64):
                    return
            assert time.monotonic() < latest, "redis-server does not answer"
            assert self._process.poll() is None, "redis-server has ended"
            time.sleep(0.005)

    def stop(self) -> None:
        """End it at once; what it knew is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It neither answers nor closes anything until `resume`."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def settings(self, *, prefix: str | None = None, deadline: float = 5.0) -> RedisSettings:
        """To reach it, under key names that nobody else has. The deadline is for machines with much to do."""
        name = f"t{next(self._names)}" if prefix is None else prefix
        return RedisSettings("127.0.0.1", self.port, prefix=name, deadline_secs=deadline)


@functools.cache
def shared() -> RedisServer:
    """The one for all tests that neither stop nor pause it."""
    if shutil.which("redis-server") is None:
        pytest.skip(MISSING)
    server = RedisServer()
    atexit.register(server.close)
    return server


@contextlib.asynccontextmanager
async def linked(settings: RedisSettings) -> AsyncIterator[Link]:
    """A connection that stands."""
    from ferryllm_net.redis.link import Link

    link = Link(settings)
    async with anyio.create_task_group() as tasks:
        await tasks.start(link.run)
        assert link.up
        yield link
        tasks.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def doored(
    settings: RedisSettings,
    book: KeyBook | None = None,
    own: KeyLimits | None = None,
    rules: GateRules | None = None,
    *,
    used: Used | None = None,
) -> AsyncIterator[RedisDoor]:
    """A door as a gateway of its own has it. What it holds at the end it leaves as a dead process does."""
    from ferryllm_net.redis.door import RedisDoor
    from ferryllm_net.redis.link import Link
    from ferryllm_proto.routing.gate import GateRules
    from ferryllm_proto.routing.keys import NO_LIMITS, KeyBook

    link = Link(settings)
    door = RedisDoor(book or KeyBook(), own or NO_LIMITS, NO_LIMITS, rules or GateRules(), settings, link, used=used)
    async with anyio.create_task_group() as tasks:
        await tasks.start(link.run)
        tasks.start_soon(door.run)
        yield door
        tasks.cancel_scope.cancel()


async def told(door: RedisDoor) -> None:
    """Wait until Redis has been told everything."""
    await until(lambda: not len(door.later))


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is another process's, or a door's own affair
            await anyio.sleep(0.001)
