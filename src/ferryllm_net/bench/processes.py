"""The processes a measurement starts: the provider, and the gateway in front of it. Both on loopback, both ended."""

from __future__ import annotations

import os
import pathlib
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import anyio.abc
import msgspec

from .provider import Behaviour

KEY_NAME = "FERRYLLM_BENCH_KEY"
KEY = "sk-bench-made-up-0000"
"""Nobody but the provider here ever sees it."""
START_SECS = 30.0
"""A gateway that needs longer has not started."""
STOP_SECS = 5.0
"""Between the polite signal and the other one."""
_URL = re.compile(rb"http://[0-9.]+:\d+")
_FOREIGN = re.compile(r"OPENAI_|ANTHROPIC_|GEMINI_|GOOGLE_|OLLAMA_|FERRYLLM_|.*_PROXY$", re.IGNORECASE)
"""Variables of the person's own that would change what is measured."""

CONFIG = """\
[server]
listen = "127.0.0.1:0"
max_connections = {connections}

[logging]
level = "{level}"

[[providers]]
name = "bench"
type = "{backend}"
base_url = "{upstream}"
api_key_env = "{key}"

[[routes]]
match = "*"
provider = "bench"
"""


class StartError(Exception):
    """A process did not start; the message says which and what it printed last."""


class Child:
    """A process that serves at ``url``."""

    def __init__(self, pid: int, url: str) -> None:
        self.pid = pid
        self.url = url


@asynccontextmanager
async def provider(behaviour: Behaviour, port: int = 0) -> AsyncIterator[Child]:
    """The provider with fixed answers on that port (0: a free one). Raises `StartError`."""
    arguments = [str(port), msgspec.json.encode(behaviour).decode()]
    command = [sys.executable, "-m", f"{__package__}.provider", *arguments]
    async with _child("the provider", command, os.environ) as child:
        yield child


@asynccontextmanager
async def gateway(
    serve: Sequence[str],
    upstream: str,
    backend: str,
    *,
    engine: str = "asyncio",
    level: str = "warn",
    connections: int = 1024,
    options: Sequence[str] = (),
) -> AsyncIterator[Child]:
    """The gateway in front of ``upstream``, a provider that speaks ``backend``. Raises `StartError`.

    ``serve`` is the command that serves, such as ``["ferryllm", "serve"]``; ``engine`` its event loop.
    """
    with tempfile.TemporaryDirectory(prefix="ferryllm-bench-") as folder:
        config = pathlib.Path(folder) / "ferryllm.toml"
        text = CONFIG.format(
            level=level, backend=backend, upstream=upstream, key=KEY_NAME, connections=max(connections, 1024)
        )
        config.write_text(text)
        environ = {name: value for name, value in os.environ.items() if not _FOREIGN.match(name)}
        environ |= {KEY_NAME: KEY, "PYTHONUNBUFFERED": "1"}
        command = [*serve, "--config", str(config), "--backend", engine, *options]
        async with _child("the gateway", command, environ) as child:
            yield child


@asynccontextmanager
async def _child(what: str, command: Sequence[str], environ: Mapping[str, str]) -> AsyncIterator[Child]:
    with tempfile.TemporaryFile() as errors:
        process = await anyio.open_process(command, stderr=errors, env=environ)
        try:
            url = None
            with anyio.move_on_after(START_SECS):
                url = await _first_url(process)
            if url is None:
                errors.seek(0)
                said = errors.read()[-2000:].decode(errors="replace").strip()
                raise StartError(f"{what} did not start: {said or 'it said nothing'}")
            yield Child(process.pid, url)
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)


async def _first_url(process: anyio.abc.Process) -> str | None:
    assert process.stdout is not None
    seen = b""
    while (found := _URL.search(seen)) is None or found.end() == len(seen):
        try:
            seen += await process.stdout.receive()
        except anyio.EndOfStream:
            return None
    return found[0].decode()


async def _end(process: anyio.abc.Process) -> None:
    """Stop it, its descendants too where they are its own to stop."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        with anyio.move_on_after(STOP_SECS):
            await process.wait()
    if process.returncode is None:
        process.kill()
    await process.aclose()
