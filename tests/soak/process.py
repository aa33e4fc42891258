"""The gateway of the soak: its configuration, its process, and what can be read of it from outside."""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import msgspec
import trustme

from support import certificates
from support.answers import DIALECTS
from support.faults.catalogue import DOORS, HASTY
from support.planted import PROVIDER_KEY
from support.processes import free_port

from .clients import Places
from .provider import Marking

HASTE_SECS = 1.0
"""Every deadline of a provider that stalls."""
CALM_SECS = 20.0
HEAD_SECS = 4.0
BODY_SECS = 5.0
KEEP_ALIVE_SECS = 5.0
WRITE_SECS = 5.0
"""Deadlines of clients: short, so that a run sees each of them pass many times, and long enough for well-behaved
clients on a busy machine."""
START_SECS = 60.0
STOP_SECS = 20.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_BASES = {"openai": "/v1", "openai_responses": "/v1"}
_ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""glibc's own numbers, but fixed: else it raises them after the first large body, and keeps what is free."""
_LOUD = re.compile(
    r"Traceback|Exception ignored|never (?:awaited|retrieved)|ResourceWarning|handler failed|a connection failed"
)
"""In the gateway's log: mistakes of its own."""


class Sample(msgspec.Struct):
    """The gateway at one moment."""

    secs: float
    requests: int
    rss_kib: int
    files: int
    threads: int
    connections: int
    exchanges: int
    active: int
    """Upstream connections in use."""
    idle: int
    tasks: int


def config(
    folder: pathlib.Path, provider: Marking, h2_port: int, places: Places, files: certificates.Files, workers: int
) -> str:
    """One provider of each dialect behind each door; routes by the model's beginning."""
    parts = [
        f"""
[server]
tls_cert = "{files.cert}"
tls_key = "{files.key}"
keep_alive_timeout_secs = {KEEP_ALIVE_SECS}
drain_timeout_secs = 3
workers = {workers}
[[server.listeners]]
address = "127.0.0.1:{places.plain}"
tls = false
[[server.listeners]]
address = "127.0.0.1:{places.secure}"
[[server.listeners]]
address = "unix:{places.file}"
[server.limits]
first_head_timeout_secs = {HEAD_SECS}
head_timeout_secs = {HEAD_SECS}
body_timeout_secs = {BODY_SECS}
write_timeout_secs = {WRITE_SECS}
tls_handshake_timeout_secs = {HEAD_SECS}
[responses]
{"max_mb = 1" if workers == 1 else 'store = "off"'}
"""
    ]
    for dialect in DIALECTS:
        for door in (*DOORS, "h2"):
            scheme = "https" if door.startswith("tls") else "http"
            port = h2_port if door == "h2" else provider.ports[door]
            more = f'ca_file = "{places.authority}"\n' if scheme == "https" else ""
            secs = HASTE_SECS if door in HASTY else CALM_SECS
            parts.append(
                f"""
[[providers]]
name = "{dialect}.{door}"
type = "{dialect}"
base_url = "{scheme}://127.0.0.1:{port}{_BASES.get(dialect, "")}"
api_key_env = "PROVIDER_KEY"
connect_timeout_secs = {secs}
request_timeout_secs = {secs}
first_byte_timeout_secs = {secs}
idle_timeout_secs = {secs}
http2 = {"true" if door == "h2" else "false"}
{more}
[[routes]]
match = "xx-{door}-yy-{dialect}-yy"
provider = "{dialect}.{door}"
"""
            )
    path = folder / "ferryllm.toml"
    path.write_text("".join(parts))
    return str(path)


class Gateway:
    """A running `ferryllm serve`."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        places: Places,
        log: pathlib.Path,
        folder: pathlib.Path,
        authority: trustme.CA,
        workers: int,
    ) -> None:
        self.workers = workers
        self.process = process
        self.places = places
        self._log = log
        self._folder = folder
        self._authority = authority

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def mistakes(self) -> list[str]:
        """Lines of its log that no run may have."""
        text = self._log.read_text(errors="replace")
        return [line[:300] for line in text.splitlines() if _LOUD.search(line)]

    def pids(self) -> list[int]:
        """Of all its processes, the parent first."""
        parent = self.process.pid
        children = pathlib.Path(f"/proc/{parent}/task/{parent}/children").read_text() if self.workers > 1 else ""
        return [parent, *map(int, children.split())]

    def kill_worker(self, chance: random.Random) -> None:
        """One of its workers, as the system does when memory is short. The parent starts another one."""
        workers = self.pids()[1:]
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)

    def renew(self, *, broken: bool = False) -> str | None:
        """Another certificate and SIGHUP; its serial number, None for ``broken`` files that have to leave the old
        one."""
        files = certificates.write(self._folder, self._authority)
        if broken:
            pathlib.Path(files.key).write_text("no key\n")
        self.process.send_signal(signal.SIGHUP)
        return None if broken else _serial(files.cert)

    def scrape(self) -> dict[str, float]:
        """The gauges. Raises OSError."""
        with _DIRECT.open(f"http://127.0.0.1:{self.places.plain}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {name: float(value) for name, value in pairs}

    def sample(self, secs: float, requests: int) -> Sample:
        """What it holds now. Raises OSError."""
        # Of workers, one answers: the most of some scrapes, so that what only one of them holds is seen too.
        scrapes = [self.scrape() for _ in range(1 if self.workers == 1 else 3 * self.workers)]
        gauges = {name: max(one.get(name, 0.0) for one in scrapes) for name in scrapes[0]}
        held = [found for pid in self.pids() if (found := _held(pid)) is not None]
        return Sample(
            secs=secs,
            requests=requests,
            rss_kib=sum(rss for rss, _, _ in held),
            files=sum(files for _, files, _ in held),
            threads=sum(threads for _, _, threads in held),
            connections=int(gauges["ferryllm_open_connections"]),
            exchanges=int(gauges["ferryllm_exchanges_running"]),
            active=int(gauges['ferryllm_upstream_connections{state="active"}']),
            idle=int(gauges['ferryllm_upstream_connections{state="idle"}']),
            tasks=int(gauges["ferryllm_tasks"]),
        )


def _held(pid: int) -> tuple[int, int, int] | None:
    """Memory in KiB, files and threads of a process; None for one that has just ended."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        files = len(os.listdir(f"/proc/{pid}/fd"))
        read = {line.partition(":")[0]: line.split()[1] for line in status.splitlines() if len(line.split()) > 1}
        return int(read["VmRSS"]), files, int(read["Threads"])
    except (OSError, KeyError):
        return None


def _serial(path: str) -> str:
    import ssl

    first = pathlib.Path(path).read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
    return ssl.PEM_cert_to_DER_cert(first).hex()


@contextlib.contextmanager
def running(
    folder: pathlib.Path, provider: Marking, h2_port: int, log: pathlib.Path, *, backend: str, workers: int = 1
) -> Iterator[Gateway]:
    """`ferryllm serve` as a process of its own, once it answers. Raises RuntimeError when it does not."""
    # The authority of its provider signs for it too.
    files = certificates.write(folder, provider.authority)
    places = Places(free_port(), free_port(), str(folder / "gateway.sock"), files.ca)
    path = config(folder, provider, h2_port, places, files, workers)
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "ANTHROPIC_", "FERRYLLM_"))}
    command = [sys.executable, "-W", "always::ResourceWarning", "-m", "ferryllm_cli", "serve", "--config", path]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*command, "--backend", backend, "--quiet"],
            stdout=out,
            stderr=out,
            env={**clean, **_ALLOCATOR, "PROVIDER_KEY": PROVIDER_KEY, "PYTHONUNBUFFERED": "1", "NO_PROXY": "*"},
        )
    gateway = Gateway(process, places, log, folder, provider.authority, workers)
    try:
        _wait_ready(gateway, log)
        yield gateway
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_ready(gateway: Gateway, log: pathlib.Path) -> None:
    deadline = time.monotonic() + START_SECS
    while time.monotonic() < deadline:
        if not gateway.alive:
            break
        try:
            with _DIRECT.open(f"http://127.0.0.1:{gateway.places.plain}/readyz", timeout=5):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the gateway did not start:\n{log.read_text(errors='replace')[-2000:]}")
