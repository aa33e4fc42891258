"""`ferryllm serve` and SIGHUP: one process and several, with a terminal and without; and files that simply change."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable

import pytest

from ferryllm_cli import exit_codes
from support.processes import Gateway, gateway

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of Unix")

CONFIG = """
[server]
{server}
[responses]
store = "off"
[[providers]]
name = "p"
type = "openai"
base_url = "http://127.0.0.1:9"
"""


def config(folder: pathlib.Path, server: str) -> pathlib.Path:
    path = folder / "ferryllm.toml"
    path.write_text(CONFIG.format(server=server))
    return path


def until(found: Callable[[], bool], running: Gateway) -> None:
    latest = time.monotonic() + 30
    while not found():
        assert time.monotonic() < latest, running.log
        time.sleep(0.01)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


def models(running: Gateway) -> set[str]:
    """What several workers say they serve, whoever answers."""
    pages = (get(f"{running.base_url}/v1/models") for _ in range(12))
    return {model for page in pages for model in re.findall(r'"id":"([^"]+)"', page)}


@pytest.mark.parametrize(("backend", "workers"), [("asyncio", 2), ("trio", 1)])
def test_a_hangup_lets_all_take_a_good_configuration_and_none_a_bad_one(
    tmp_path: pathlib.Path, backend: str, workers: int
) -> None:
    path = config(tmp_path, f"workers = {workers}\n[reload]\nwatch = false")
    good, route = path.read_text(), '[[routes]]\nmatch = "{}"\nmatch_type = "exact"\nprovider = "p"\n'
    path.write_text(good + route.format("before"))
    with gateway(path, backend=backend) as running:
        assert models(running) == {"before"}
        path.write_text(good + route.format("after"))
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.log.count("configuration reloaded") == workers, running)
        assert models(running) == {"after"}
        path.write_text(good + route.format("bad") + "[srver]\n")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: "did you mean server?" in running.log, running)
        assert running.log.count("configuration not reloaded") == 1, "the parent has said it"
        assert models(running) == {"after"}
        assert running.process.poll() is None


def test_a_worker_that_is_started_again_serves_what_the_others_serve(tmp_path: pathlib.Path) -> None:
    path = config(tmp_path, "workers = 2\n[reload]\nwatch = false")
    good, route = path.read_text(), '[[routes]]\nmatch = "{}"\nmatch_type = "exact"\nprovider = "p"\n'
    path.write_text(good + route.format("one"))
    with gateway(path) as running:
        for number, text in enumerate(("[srver]\n", None), 1):
            path.unlink()
            if text is not None:
                path.write_text(text)
            victim = re.findall(r"worker started worker=\d+ pid=(\d+)", running.log)[-1]
            os.kill(int(victim), signal.SIGKILL)
            until(lambda: running.log.count("worker started") == 2 + number, running)  # noqa: B023 - called at once
            assert models(running) == {"one"}
        running.process.send_signal(signal.SIGHUP)
        until(lambda: "no such file" in running.log, running)
        path.write_text(good + route.format("two"))
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.log.count("configuration reloaded") == 2, running)
        assert models(running) == {"two"}


def test_a_file_that_changes_reaches_all_workers_by_itself(tmp_path: pathlib.Path) -> None:
    path = config(tmp_path, "workers = 2\n[reload]\npoll_secs = 0.1")
    (tmp_path / "key").write_text("key-of-monday")
    path.write_text(path.read_text() + 'api_key_file = "key"\n')
    with gateway(path) as running:
        (tmp_path / "next").write_text("key-of-tuesday")
        (tmp_path / "next").rename(tmp_path / "key")
        until(lambda: running.log.count("api key reloaded from file") == 2, running)
        path.write_text(path.read_text() + '[[routes]]\nmatch = "new"\nprovider = "p"\n')
        until(lambda: running.log.count("configuration reloaded") == 2, running)
        assert models(running) == {"new*"}
    assert "tuesday" not in running.log


@pytest.mark.parametrize(("backend", "workers"), [("asyncio", 1), ("trio", 2)])
def test_a_terminal_that_is_closed_ends_the_gateway_in_order(
    tmp_path: pathlib.Path, backend: str, workers: int
) -> None:
    pty = pytest.importorskip("pty")
    path, log, ours = tmp_path / "s", tmp_path / "log", 0
    command = [sys.executable, "-m", "ferryllm_cli", "serve", "-c", str(config(tmp_path, f"workers = {workers}"))]
    command += ["--listen", f"unix:{path}", "--backend", backend]
    take = "import fcntl, os, signal, sys, termios; signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
    take += "os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    run = f"{take}os.execv(sys.executable, {command!r})"
    ours, theirs = pty.openpty()
    with (
        log.open("wb") as out,
        subprocess.Popen([sys.executable, "-c", run], stdin=theirs, stdout=out, stderr=out) as process,
    ):
        os.close(theirs)
        latest = time.monotonic() + 30
        while b"ferryllm listens on" not in log.read_bytes():
            assert time.monotonic() < latest, log.read_text()
            time.sleep(0.01)
        assert path.is_socket()
        process.send_signal(signal.SIGHUP)
        while log.read_bytes().count(b"configuration reloaded") < workers:
            assert time.monotonic() < latest, log.read_text()
            time.sleep(0.01)
        os.close(ours)  # the window is closed: the kernel sends SIGHUP
        try:
            assert process.wait(timeout=30) == exit_codes.OK
        finally:
            process.kill()
    assert not path.exists()
    assert "draining" in log.read_text()
