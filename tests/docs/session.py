"""Runs the blocks of one page, in order, in a folder of their own."""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from docs.pages import ROOT, Block, commands, matches
from support.processes import free_port

GATEWAY, OTHER = "127.0.0.1:3000", "127.0.0.1:8080"
"""Addresses in the pages: the gateway's, and a provider's. Each page gets free ports in their place."""
WAIT_SECS = 20.0


class Session:
    """One page: its folder, its programs in the background."""

    def __init__(self, folder: pathlib.Path, gateway: str | None = None) -> None:
        self.folder = folder
        self.addresses = {GATEWAY: gateway or f"127.0.0.1:{free_port()}", OTHER: f"127.0.0.1:{free_port()}"}
        self.printed = ""
        """By the last Python block."""
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        clean = {
            k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "ANTHROPIC_", "FERRYLLM_", "XDG_"))
        }
        programs = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environ = {**clean, "PATH": programs, "HOME": str(folder), "PYTHONUNBUFFERED": "1"}

    def here(self, text: str) -> str:
        """``text`` with the addresses of this session."""
        for name, address in self.addresses.items():
            text = text.replace(name, address).replace(name.replace("127.0.0.1", "localhost"), address)
        return text.replace("scripts/serve", "ferryllm serve")

    def there(self, text: str) -> str:
        """What was printed, with the addresses of the page."""
        for name, address in self.addresses.items():
            text = text.replace(address, name)
        return text

    # --- kinds of blocks ---

    def console(self, block: Block) -> None:
        for command in commands(block):
            shell = ["bash", "-c", self.here(command.text)]
            done = subprocess.run(
                shell, cwd=self.folder, env=self._environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60
            )
            found = self.there(done.stdout.decode())
            if command.expected:
                assert matches(command.expected, found), f"{block.page}: {command.text}\nprinted:\n{found}"
            else:
                assert done.returncode == 0, f"{block.page}: {command.text}\nprinted:\n{found}"

    def background(self, block: Block) -> None:
        (command,) = commands(block)
        address = OTHER if "mock" in command.text else GATEWAY
        before = self._running.pop(address, None)
        if before is not None:
            _end(before)
        text = self.here(command.text)
        if address == GATEWAY and self.addresses[GATEWAY] not in text:
            text += f" --listen {self.addresses[GATEWAY]}"
        log = self.folder / f"background-{address.rpartition(':')[2]}.log"
        with log.open("wb") as out:
            # A session of its own: the shell and what it runs are ended together.
            self._running[address] = process = subprocess.Popen(
                ["bash", "-c", text], cwd=self.folder, env=self._environ, stdout=out, stderr=out, start_new_session=True
            )
        deadline = time.monotonic() + WAIT_SECS
        while not (
            _listens(self.addresses[address]) and matches(command.expected or "...", self.there(log.read_text()))
        ):
            state = f"{block.page}: {text}\nprinted:\n{self.there(log.read_text())}"
            assert process.poll() is None, state
            assert time.monotonic() < deadline, state
            time.sleep(0.02)

    def python(self, block: Block) -> None:
        done = subprocess.run(
            [sys.executable, "-c", self.here(block.text)],
            cwd=self.folder,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"{block.page}:{block.line}\n{done.stderr}"
        self.printed = self.there(done.stdout)

    def write(self, name: str, block: Block) -> pathlib.Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.here(block.text))
        return path

    def close(self) -> None:
        for process in self._running.values():
            _end(process)


@contextlib.contextmanager
def session(folder: pathlib.Path, gateway: str | None = None) -> Iterator[Session]:
    """``gateway`` is the address of one that runs; without it the page starts its own."""
    (folder / "examples").symlink_to(ROOT / "examples")
    running = Session(folder, gateway)
    try:
        yield running
    finally:
        running.close()


def _listens(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
