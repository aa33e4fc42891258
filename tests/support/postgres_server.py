"""A real PostgreSQL on loopback, from the packages of the system, with nothing of it left behind.

Root may not run one, so root starts it as the user ``postgres`` that Debian's package makes.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import itertools
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ferryllm_net.config.postgres_settings import PostgresSettings
from ferryllm_net.config.secret import Secret

from .processes import free_port

WAIT_SECS = 30.0
USER = "ferry"
_OPTIONS = (
    "listen_addresses=127.0.0.1",
    "fsync=off",
    "full_page_writes=off",
    "shared_buffers=4MB",
    "max_connections=60",
    "autovacuum=off",
    "max_wal_senders=0",
    "wal_level=minimal",
    "log_min_messages=panic",
)


def binaries() -> pathlib.Path | None:
    """The folder with ``postgres`` and ``initdb``, of the newest version; None where there is none."""
    found = sorted(
        (path.parent for path in pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda path: int(path.parent.name) if path.parent.name.isdecimal() else 0,
    )
    if found:
        return found[-1]
    other = shutil.which("initdb")
    return None if other is None else pathlib.Path(other).parent


def missing() -> str | None:
    """Why none can be started here; None when one can."""
    if binaries() is None:
        return "no PostgreSQL here: apt-get install postgresql"
    if os.name == "posix" and os.geteuid() == 0:
        import pwd

        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "PostgreSQL does not run as root, and there is no user postgres"
    return None


def _as_user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    return {"user": "postgres", "group": "postgres", "extra_groups": ()}


class Server:
    """A running server. It may be stopped and started again on the same port, with its data."""

    def __init__(self, folder: pathlib.Path) -> None:
        found = binaries()
        assert found is not None
        self._bin, self._folder = found, folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def fresh_url(self) -> str:
        """Of a database that nobody has used."""
        name = f"test_{next(self._numbers)}"
        self.say(f"CREATE DATABASE {name}" + (" STRATEGY file_copy" if self._new else ""))
        return self.url(name)

    @property
    def _new(self) -> bool:
        return self._bin.parent.name.isdecimal() and int(self._bin.parent.name) >= 15

    def settings(self, url: str | None = None, **changes: Any) -> PostgresSettings:
        """To reach ``url``, else a place that nobody has used: a name in front of all tables, which costs less than a
        database."""
        return PostgresSettings(Secret(url or self.place()), "the test's", **changes)

    def place(self) -> str:
        """URL of such a place, which is there."""
        name = f"place_{next(self._numbers)}"
        self.say(f"CREATE SCHEMA {name}")
        return f"{self.url()}?search_path={name}"

    def say(self, query: str, database: str = "postgres") -> str:
        """What psql answers, as text without decoration."""
        command = [str(self._bin / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", query]
        done = subprocess.run([*command, self.url(database)], capture_output=True, text=True, timeout=WAIT_SECS)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def prepare(self) -> None:
        """Make its files."""
        command = [
            str(self._bin / "initdb"),
            "-D",
            str(self._folder),
            "-A",
            "trust",
            "-U",
            USER,
            "--no-sync",
            "-E",
            "UTF8",
        ]
        done = subprocess.run([*command, "--locale=C"], capture_output=True, text=True, cwd="/", **_as_user())
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        options = [part for option in _OPTIONS for part in ("-c", option)]
        folder, silent = str(self._folder), subprocess.DEVNULL
        command = [str(self._bin / "postgres"), "-D", folder, "-p", str(self.port), "-k", folder, *options]
        self._process = process = subprocess.Popen(
            command, stdin=silent, stdout=silent, stderr=silent, cwd="/", **_as_user()
        )
        until = time.monotonic() + WAIT_SECS
        ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready).returncode != 0:
            assert process.poll() is None, f"postgres ended: {process.returncode}"
            assert time.monotonic() < until, "postgres does not come up"
            time.sleep(0.02)

    def stop(self, *, hard: bool = False) -> None:
        """End it; ``hard`` as a crash would, else with a word to its clients."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGQUIT if hard else signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@functools.cache
def shared() -> Server:
    """The one for all tests of this process; whoever stops it starts it again. Skips where there can be none."""
    why = missing()
    if why is not None:
        pytest.skip(f"{why}; what replicas share is NOT tested")
    # Not below pytest's own folders, which the user postgres may not enter.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ferryllm-pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = Server(folder)
    server.prepare()
    atexit.register(server.stop)
    server.start()
    return server


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """`shared`, for a fixture."""
    yield shared()
