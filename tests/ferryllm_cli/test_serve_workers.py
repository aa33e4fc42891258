"""`ferryllm serve` as several processes, on several addresses, handed over by systemd, on each event loop."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner

from ferryllm_cli import exit_codes
from ferryllm_cli.serve import command
from support import certificates
from support.processes import Gateway, gateway

BACKENDS = ["asyncio", "trio"]
HAS_UVLOOP = importlib.util.find_spec("uvloop") is not None

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


def config(folder: pathlib.Path, server: str = "workers = 2") -> pathlib.Path:
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


def children(pid: int) -> set[int]:
    found: set[int] = set()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():  # trio starts processes in threads
        found.update(map(int, (task / "children").read_text().split()))
    return found


def is_alive(pid: int) -> bool:
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


needs_proc = pytest.mark.skipif(not pathlib.Path("/proc/self/task").is_dir(), reason="looks at processes by /proc")


@pytest.mark.parametrize("backend", BACKENDS)
@needs_proc
def test_a_signal_lets_all_workers_finish(tmp_path: pathlib.Path, backend: str) -> None:
    with gateway(config(tmp_path), backend=backend) as running:
        workers = children(running.process.pid)
        assert len(workers) == 2
        for _ in range(4):
            assert get(f"{running.base_url}/healthz") == "ok"
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=30) == exit_codes.OK
        assert not any(map(is_alive, workers))
    assert running.log.count('draining signal="SIGTERM"') == 2
    assert "Traceback" not in running.log


@needs_proc
def test_a_worker_that_dies_is_started_again_and_its_counts_stay(tmp_path: pathlib.Path) -> None:
    with gateway(config(tmp_path)) as running:
        before = children(running.process.pid)
        body = b'{"model":"m","messages":[{"role":"user","content":"hi"}]}'

        def ask() -> None:
            request = urllib.request.Request(
                f"{running.base_url}/v1/chat/completions", body, {"content-type": "application/json"}
            )
            with pytest.raises(urllib.error.HTTPError):  # the provider is not there
                urllib.request.urlopen(request, timeout=10)

        def counted() -> set[str]:
            """What several scrapes say, whoever answers them."""
            pages = [get(f"{running.base_url}/metrics") for _ in range(6)]
            return {value for page in pages for value in re.findall(r"ferryllm_requests_total{.*} ([0-9.]+)", page)}

        for _ in range(6):
            ask()
        # A request is counted when its answer has gone, which its client may see before.
        until(lambda: counted() == {"6.0"}, running)
        victim = before.pop()
        os.kill(victim, signal.SIGKILL)
        until(lambda: running.log.count("worker started") == 3, running)
        assert "worker ended worker=" in running.log
        assert "status=137" in running.log
        assert len(children(running.process.pid) | before) == 2
        ask()
        until(lambda: counted() == {"7.0"}, running)
        until(lambda: "\nferryllm_workers 2.0\n" in get(f"{running.base_url}/metrics"), running)
        assert running.process.poll() is None


@pytest.mark.parametrize("backend", BACKENDS)
@needs_proc
def test_workers_end_when_their_parent_is_gone(tmp_path: pathlib.Path, backend: str) -> None:
    with gateway(config(tmp_path), backend=backend) as running:
        workers = children(running.process.pid)
        running.process.kill()
        running.process.wait(timeout=10)
        until(lambda: not any(map(is_alive, workers)), running)
    assert running.log.count('draining reason="the parent has ended"') == 2


def test_a_worker_that_cannot_start_ends_all_with_its_status(tmp_path: pathlib.Path) -> None:
    path = config(tmp_path)
    path.write_text(path.read_text().replace('store = "off"', 'store = "sqlite"\npath = "r.db"'))
    (tmp_path / "r.db").write_bytes(b"no database" * 100)
    done = subprocess.run(
        [sys.executable, "-m", "ferryllm_cli", "serve", "-c", str(path), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == exit_codes.FAILURE
    assert "r.db cannot be used as the store of responses" in done.stderr
    assert done.stdout == ""


def test_a_port_in_use_ends_the_parent_before_any_worker(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "-m", "ferryllm_cli", "serve", "-c", str(config(tmp_path)), "--listen", address],
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == exit_codes.ADDRESS_IN_USE
    assert f"error: {address} is in use by another process" in done.stderr
    assert "worker started" not in done.stderr


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of Unix")
def test_a_hangup_renews_the_certificate_of_every_worker(tmp_path: pathlib.Path) -> None:
    certificates.write(tmp_path)
    path = config(tmp_path, 'workers = 2\ntls_cert = "server.pem"\ntls_key = "server.key"')
    clear = tmp_path / "clear"
    text = path.read_text() + f'[[server.listeners]]\naddress = "unix:{clear}"\n'
    path.write_text(text + '[[server.listeners]]\naddress = "127.0.0.1:0"\ntls = false\n')
    with started(["-c", str(path)]) as running:
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.log.count("tls certificate renewed") == 2, running)


@contextmanager
def started(arguments: list[str], **options: object) -> Iterator[Gateway]:
    """As `gateway`, without an address of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ferryllm_cli", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload] # of Popen
    )
    import threading

    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(process.stderr.readline, "")), daemon=True)
    reader.start()
    try:
        line = process.stdout.readline()
        assert line, "".join(lines)
        yield Gateway(process, line, lines)
    finally:
        process.terminate()
        process.wait(timeout=30)
        reader.join(timeout=5)
        process.stdout.close()
        process.stderr.close()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("backend", BACKENDS)
def test_sockets_of_systemd_are_served(tmp_path: pathlib.Path, backend: str, workers: int) -> None:
    """As systemd does it: the socket is descriptor 3 and waits before anybody serves it."""
    arguments = [
        "-c",
        str(config(tmp_path)),
        "--workers",
        str(workers),
        "--backend",
        backend,
        "--listen",
        "systemd:web",
    ]
    run = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); "
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1', LISTEN_FDNAMES='web'); "
        "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
    )
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        descriptor = os.dup(sock.fileno())
        process = subprocess.Popen(
            [sys.executable, "-c", run, str(descriptor), "-m", "ferryllm_cli", "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=[descriptor],
            text=True,
        )
        os.close(descriptor)
    try:
        assert get(f"http://127.0.0.1:{port}/healthz") == "ok", "it waited for the server"
        assert process.stdout is not None
        assert f"listens on http://127.0.0.1:{port} ({backend}" in process.stdout.readline()
    finally:
        process.terminate()
        assert process.wait(timeout=30) == exit_codes.OK
        if process.stdout is not None:
            process.stdout.close()


def test_listen_is_given_several_times_and_a_socket_file_goes_with_the_server(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    with gateway(config(tmp_path), "--listen", f"unix:{path}") as running:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET /healthz HTTP/1.1\r\nhost: any\r\nconnection: close\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        assert get(f"{running.base_url}/healthz") == "ok"
    assert not path.exists()


def test_the_file_chooses_the_backend(tmp_path: pathlib.Path) -> None:
    with started(["-c", str(config(tmp_path, 'backend = "trio"')), "--listen", "127.0.0.1:0"]) as running:
        assert "(trio)" in running.base_url


@pytest.mark.skipif(not HAS_UVLOOP, reason="uvloop is not installed")
def test_uvloop_serves(tmp_path: pathlib.Path) -> None:
    with gateway(config(tmp_path, ""), backend="uvloop") as running:
        assert get(f"{running.base_url}/healthz") == "ok"
        running.process.terminate()
        assert running.process.wait(timeout=30) == exit_codes.OK
    assert "Traceback" not in running.log


def test_without_uvloop_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(command, ["-c", str(config(tmp_path, "")), "--backend", "uvloop"])
    assert result.exit_code == exit_codes.FAILURE
    assert "pip install 'ferryllm[uvloop]'" in result.output


def test_workers_without_a_common_store_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f.toml"
    path.write_text('[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "http://127.0.0.1:9"\n')
    result = CliRunner().invoke(command, ["-c", str(path), "--workers", "2"])
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert "2 processes do not share a memory" in result.output
