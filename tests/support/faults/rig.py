"""A gateway in front of the faulty provider, a bare client before it, and a count of what is left."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pathlib
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import msgspec
import trio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream

from ferryllm_net.config import Settings, load_settings
from ferryllm_net.gateway import Serving, serve
from ferryllm_net.http.backends import asyncio_polling, trio_polling
from ferryllm_net.telemetry import Log
from support import certificates
from support.answers import ASK, DIALECTS
from support.planted import PROMPT, PROVIDER_KEY

from . import provider as providers
from .catalogue import DOORS, HASTY

HASTE_SECS = 0.8
"""Every deadline behind a door that stalls."""
CALM_SECS = 20.0
"""And behind the others, where nothing has to be waited for: no test there depends on how busy the machine is."""
PATIENCE_SECS = 12.0
"""No answer takes longer than that, whatever its provider does."""

_BASES = {
    "openai": "/v1",
    "openai_responses": "/v1",
    "anthropic": "",
    "gemini": "",
    "ollama": "",
}
_PATHS = {
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "ollama": "/api/chat",
}


def config(provider: providers.Provider, folder: pathlib.Path, *, secure: bool) -> str:
    """One provider of each dialect behind each door; ``secure`` listens with TLS."""
    authority = folder / "authority.pem"
    provider.authority.cert_pem.write_to_path(str(authority))
    files = certificates.write(folder, provider.authority)
    own = f'tls_cert = "{files.cert}"\ntls_key = "{files.key}"\n' if secure else ""
    parts = [
        f"""
[server]
{own}listen = "127.0.0.1:0"
drain_timeout_secs = 2
[logging]
level = "trace"
"""
    ]
    for dialect in DIALECTS:
        for door in DOORS:
            scheme = "https" if door.startswith("tls") else "http"
            trusted = f'ca_file = "{authority}"\n' if scheme == "https" else ""
            secs = HASTE_SECS if door in HASTY else CALM_SECS
            parts.append(
                f"""
[[providers]]
name = "{dialect}.{door}"
type = "{dialect}"
base_url = "{scheme}://127.0.0.1:{provider.ports[door]}{_BASES[dialect]}"
api_key_env = "PROVIDER_KEY"
connect_timeout_secs = {secs}
request_timeout_secs = {secs}
first_byte_timeout_secs = {secs}
idle_timeout_secs = {secs}
{trusted}
[[routes]]
match = "xx-{door}-yy-{dialect}-yy"
provider = "{dialect}.{door}"
"""
            )
    return "".join(parts)


def settings(provider: providers.Provider, folder: pathlib.Path, *, secure: bool) -> Settings:
    path = folder / "ferryllm.toml"
    path.write_text(config(provider, folder, secure=secure))
    return load_settings(path, {"PROVIDER_KEY": PROVIDER_KEY})


class Reply(msgspec.Struct):
    """What a client got."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    whole: bool
    """The message has its end: it was not cut."""
    secs: float


class Faulty:
    """A gateway, its provider, and clients."""

    def __init__(self, serving: Serving, provider: providers.Provider, log: io.StringIO, secure: bool) -> None:
        self.secure = secure
        self.app = serving.app
        self.server = serving.server
        self.port = serving.port
        self.provider = provider
        self._log = log

    @property
    def log(self) -> str:
        return self._log.getvalue()

    async def logged(self, text: str, times: int = 1) -> None:
        """Wait until ``text`` is in the log so often: lines may be written together."""
        with anyio.fail_after(PATIENCE_SECS):
            while self.log.count(text) < times:  # noqa: ASYNC110 - a log has no event to wait for
                await anyio.sleep(0.005)
        assert self.log.count(text) == times

    def parts(self, entry: str, backend: str, name: str, *, door: str, stream: bool) -> tuple[str, bytes]:
        """Path and body of a request of ``entry`` for the fault ``name`` behind a provider of ``backend``."""
        model = f"xx-{door}-yy-{backend}-yy-zz-{name}-zz"
        body: dict[str, Any] = json.loads(json.dumps(ASK[entry]).replace('"hi"', f'"{PROMPT}"'))
        if entry == "gemini":
            path = f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")
        else:
            path = _PATHS[entry]
            body.update(model=model, stream=stream)
        return path, json.dumps(body).encode()

    def question(self, entry: str, backend: str, name: str, *, door: str = "plain", stream: bool) -> bytes:
        """The same as bytes."""
        path, data = self.parts(entry, backend, name, door=door, stream=stream)
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-type: application/json\r\n"
        return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data

    async def ask(
        self,
        entry: str,
        backend: str,
        name: str,
        *,
        door: str = "plain",
        stream: bool = True,
        secs: float = PATIENCE_SECS,
    ) -> Reply:
        """Send it and read all that comes back. Fails when nothing or no end comes within ``secs``."""
        begun = anyio.current_time()
        with anyio.fail_after(secs):
            async with await anyio.connect_tcp("127.0.0.1", self.port) as connection:
                await connection.send(self.question(entry, backend, name, door=door, stream=stream))
                data = bytearray()
                with contextlib.suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    while True:
                        data += await connection.receive()
        return parse(bytes(data), anyio.current_time() - begun)

    async def connect(self, *alpn: str) -> ByteStream:
        """A bare connection; with TLS where the gateway listens so."""
        connection = await anyio.connect_tcp("127.0.0.1", self.port)
        if not self.secure:
            return connection
        context = ssl.create_default_context()
        self.provider.authority.configure_trust(context)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return await TLSStream.wrap(
            connection, hostname="127.0.0.1", ssl_context=context, server_side=False, standard_compatible=False
        )

    async def settle(self) -> None:
        """Until no exchange runs."""
        with anyio.fail_after(PATIENCE_SECS):
            while self.app.running or self.server.active:  # noqa: ASYNC110 - the gateway has no event for it
                await anyio.sleep(0.005)


def parse(data: bytes, secs: float = 0.0) -> Reply:
    """One HTTP/1.1 answer, strictly; behind it nothing may stand."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    assert mark, f"no whole head: {data[:200]!r}"
    lines = head.decode("latin-1").split("\r\n")
    version, status, _ = lines[0].split(" ", 2)
    assert version == "HTTP/1.1"
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])]
    fields = dict(headers)
    if fields.get("transfer-encoding") == "chunked":
        assert "content-length" not in fields
        body, whole = _unchunked(rest)
    else:
        length = int(fields.get("content-length", "0"))
        body, whole = rest, len(rest) == length
        assert len(rest) <= length, "bytes behind the end"
    return Reply(int(status), headers, body, whole, secs)


def _unchunked(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while True:
        line, mark, rest = rest.partition(b"\r\n")
        if not mark:
            return body, False
        size = int(line, 16)
        if size == 0:
            # Trailers, and behind them nothing.
            trailers, mark, behind = (b"\r\n" + rest).partition(b"\r\n\r\n")
            assert not behind, f"behind the end: {behind[:100]!r}"
            assert all(b": " in line for line in trailers.split(b"\r\n")[1:]), trailers
            return body, bool(mark)
        body += rest[:size]
        if len(rest) < size + 2:
            return body, False
        assert rest[size : size + 2] == b"\r\n"
        rest = rest[size + 2 :]


def open_files() -> int:
    """Descriptors of this process; 0 where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0


class Census:
    """What is open now, to be compared with later."""

    def __init__(self) -> None:
        # A descriptor of the loop's own, from its first connection on.
        (trio_polling if trio.lowlevel.in_trio_run() else asyncio_polling).running()
        self.files = open_files()
        self.tasks = len(anyio.get_running_tasks())

    async def check(self) -> None:
        """Fails when more is open than was; what is being closed has a moment for it."""
        with anyio.move_on_after(5):
            while open_files() > self.files or len(anyio.get_running_tasks()) > self.tasks:  # noqa: ASYNC110 - no event
                await anyio.sleep(0.01)
        assert open_files() <= self.files, f"{open_files()} files are open, there were {self.files}"
        tasks = anyio.get_running_tasks()
        assert len(tasks) <= self.tasks, f"{len(tasks)} tasks run, there were {self.tasks}: {[t.name for t in tasks]}"


@asynccontextmanager
async def faulty(*, secure: bool = False) -> AsyncIterator[Faulty]:
    """``async with faulty() as f``; ``secure`` is a gateway that listens with TLS."""
    # The authority's file is read when a provider is first reached.
    with tempfile.TemporaryDirectory() as folder:
        async with providers.running() as provider, _gateway(provider, pathlib.Path(folder), secure) as f:
            yield f


@asynccontextmanager
async def _gateway(provider: providers.Provider, folder: pathlib.Path, secure: bool) -> AsyncIterator[Faulty]:
    wanted = settings(provider, folder, secure=secure)
    stream = io.StringIO()
    keys = [one.api_key for one in wanted.providers if one.api_key is not None]
    log = Log.from_settings(wanted.logging, stream, {}, now=lambda: 0.0, secrets=keys)

    async def run(*, task_status: anyio.abc.TaskStatus[Serving]) -> None:
        await serve(wanted, log, handle_signals=False, task_status=task_status)

    async with anyio.create_task_group() as tasks:
        serving: Serving = await tasks.start(run)
        yield Faulty(serving, provider, stream, secure)
        tasks.cancel_scope.cancel()
