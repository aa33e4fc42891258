"""Programs the end-to-end tests start: the gateway as users start it, and others. All on loopback, all ended."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

WAIT_SECS = 60.0


_PORTS = 2000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
_FIRST = 12_000 + _WORKER * _PORTS
# Where another run of the same tests on this machine begins is another place, most likely.
_candidates = itertools.cycle(range(_FIRST, _FIRST + _PORTS))
for _ in range(os.getpid() % _PORTS):
    next(_candidates)


def free_port() -> int:
    """A port on loopback that nobody has, for a program that is told its port.

    Below those that systems give to outgoing connections, and each test process from a part of its own: between this
    look and the program's start nobody else takes it. A port is given twice only when all were given.
    """
    for _ in range(_PORTS):
        port = next(_candidates)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"none of {_PORTS} ports is free")


class Gateway:
    """A running `ferryllm serve`."""

    def __init__(self, process: subprocess.Popen[str], base_url: str, lines: list[str]) -> None:
        self.process = process
        self.base_url = base_url
        self.lines = lines
        """Its log so far."""

    @property
    def log(self) -> str:
        return "".join(self.lines)

    def log_since(self, first: int, until: str) -> str:
        """The log from line ``first`` on, as soon as it says ``until``: a busy gateway holds lines back for a moment.
        Waits for 5 s at most."""
        latest = time.monotonic() + 5
        while until not in (text := "".join(self.lines[first:])):
            assert time.monotonic() < latest, f"no {until!r} in {text!r}"
            time.sleep(0.01)
        return text


@contextlib.contextmanager
def gateway(
    config: pathlib.Path | None = None,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    backend: str = "asyncio",
) -> Iterator[Gateway]:
    """`ferryllm serve` as a process of its own, on a free port."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "ANTHROPIC_", "FERRYLLM_"))}
    command = [sys.executable, "-m", "ferryllm_cli", "serve", "--listen", "127.0.0.1:0", "--backend", backend]
    if config is not None:
        command += ["--config", str(config)]
    process = subprocess.Popen(
        [*command, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**clean, **(environ or {}), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    lines: list[str] = []
    errors = process.stderr
    reader = threading.Thread(target=lambda: lines.extend(iter(errors.readline, "")), daemon=True)
    reader.start()
    try:
        found = None
        while found is None:
            line = process.stdout.readline()
            assert line, f"the gateway ended: {process.wait()}\n{''.join(lines)}"
            found = re.search(r"http://[0-9.]+:\d+", line)
        drain = threading.Thread(target=process.stdout.read, daemon=True)
        drain.start()
        yield Gateway(process, found[0], lines)
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(timeout=5)
        process.stdout.close()
        process.stderr.close()


@contextlib.contextmanager
def program(command: list[str], url: str, log: pathlib.Path) -> Iterator[None]:
    """A program that is ready once ``url`` answers 200."""
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            wait_for(url, process, log)
            yield
        finally:
            process.terminate()


def wait_for(url: str, process: subprocess.Popen[bytes], log: pathlib.Path) -> None:
    """Until ``url`` answers 200. Fails when the process ends before."""
    deadline = time.monotonic() + WAIT_SECS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise AssertionError(f"{url} did not answer in {WAIT_SECS} s\n{log.read_text()[-2000:]}")
