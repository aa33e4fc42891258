"""A gateway without a socket: clients and providers are ends of wires in memory, and no sweeper runs by itself.

Deadlines are looked at when the test says so (`Wired.sweep`), with limits of zero seconds, so nothing has to sleep.
"""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import msgspec

from ferryllm_net.config import Settings
from ferryllm_net.gateway import App
from ferryllm_net.gateway.interpreter import Interpreter
from ferryllm_net.gateway.usual import UsualRun
from ferryllm_net.http import Limits, Pool
from ferryllm_net.http.pool import Dial
from ferryllm_net.telemetry import Log
from support.gateways import settings
from support.rig import Rig, serving
from support.streams import MemoryTransport
from support.upstream import Upstream


def app(wanted: Settings, stream: io.StringIO | None = None) -> App:
    """An app that logs to ``stream``."""
    secrets = [provider.api_key for provider in wanted.providers if provider.api_key is not None]
    log = Log(stream or io.StringIO(), "trace", now=lambda: 0.0, secrets=[*secrets, *wanted.auth.keys])
    return App(wanted, log)


class Wired:
    """A client's side, a provider's side, and the app between them."""

    def __init__(self, app: App, rig: Rig, upstream: Upstream, log: io.StringIO) -> None:
        self.app = app
        self.rig = rig
        self.upstream = upstream
        self._log = log

    @property
    def log(self) -> str:
        return self._log.getvalue()

    @property
    def outcomes(self) -> list[str]:
        """The outcome of each record that was written."""
        lines = [line for line in self.log.splitlines() if "request completed" in line]
        return [line.partition('outcome="')[2].partition('"')[0] for line in lines]

    @property
    def run(self) -> Interpreter | UsualRun:
        """The one request under way."""
        (run,) = self.app.running
        assert isinstance(run, (Interpreter, UsualRun))
        return run

    @property
    def interpreter(self) -> Interpreter:
        """That of the one exchange under way."""
        run = self.run
        assert isinstance(run, Interpreter)
        return run

    async def begin(
        self, path: str, body: Any, *, capacity: int = 1 << 20, headers: tuple[tuple[str, str], ...] = ()
    ) -> MemoryTransport:
        """A new client that has sent a POST."""
        near = self.rig.connect(capacity)
        await post(near, path, body, headers)
        return near

    async def provider(self) -> tuple[MemoryTransport, bytes, bytes]:
        """The provider's end of the next new connection, and the request (head, body) that came over it."""
        far = await self.upstream.accept()
        return far, *await request(far)

    async def sweep(self) -> None:
        """Look at the deadlines once, as the sweeper does, and let what follows happen."""
        for run in list(self.app.running):
            run.wake(anyio.current_time())
        await anyio.wait_all_tasks_blocked()

    async def log_has(self, text: str) -> None:
        """Wait until ``text`` is in the log."""
        with anyio.fail_after(10):
            while text not in self.log:
                self.app.log.flush()
                await anyio.wait_all_tasks_blocked()

    async def settle(self) -> None:
        """Until no exchange runs."""
        with anyio.fail_after(10):
            while self.app.running or self.rig.server.active:
                await anyio.wait_all_tasks_blocked()

    def change(self, **fields: Any) -> None:
        """Decide with other values from the next request on."""
        self.app.gateway = msgspec.structs.replace(self.app.gateway, **fields)

    def provider_times(self, **fields: Any) -> None:
        """Other limits for all providers, in seconds; zero is due as soon as it is looked at."""
        providers = self.app.gateway.providers.items()
        self.change(providers={name: msgspec.structs.replace(one, **fields) for name, one in providers})


def is_full(run: Interpreter | UsualRun) -> bool:
    """Whether the client has to take what was written to it."""
    if isinstance(run, Interpreter):
        return run._full
    return run._flowing is not None and run._flowing.full


async def post(near: MemoryTransport, path: str, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> None:
    """Send a whole POST."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{fields}"
    await near.send(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)


async def request(far: MemoryTransport) -> tuple[bytes, bytes]:
    """Head and body of the next request on ``far``."""
    head = await far.receive_until(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
    body = b""
    while len(body) < length:
        body += await far.receive(length - len(body))
    return head, body


async def answer(near: MemoryTransport) -> tuple[int, dict[str, str], bytes]:
    """One whole answer as a client reads it: status, fields, body. Fails when its framing is cut."""
    head = (await near.receive_until(b"\r\n\r\n")).decode("latin-1")
    lines = head.split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:-2])
    body = b""
    if fields.get("transfer-encoding") == "chunked":
        while size := int(await near.receive_until(b"\r\n"), 16):
            data = b""
            while len(data) < size:
                piece = await near.receive(size - len(data))
                assert piece, "the answer was cut within a chunk"
                data += piece
            body += data
            await near.receive_until(b"\r\n")
        await near.receive_until(b"\r\n")
    else:
        while len(body) < int(fields["content-length"]):
            piece = await near.receive(int(fields["content-length"]) - len(body))
            assert piece, "the answer was cut within its body"
            body += piece
    return int(lines[0].split(" ")[1]), fields, body


def chunked(*pieces: bytes, end: bool = True) -> bytes:
    """``pieces`` as chunks."""
    out = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    return out + b"0\r\n\r\n" if end else out


SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def whole(body: bytes, status: int = 200, *fields: str) -> bytes:
    """A whole JSON answer of a provider."""
    lines = [f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def wired(
    *, server: str = "", more: str = "", dial: Dial | None = None, limits: Limits | None = None
) -> AsyncIterator[Wired]:
    """``async with wired() as w``; the block has 20 s. ``dial`` replaces how providers are reached."""
    log = io.StringIO()
    gateway = app(settings(1, server=server, more=more), log)
    upstream = Upstream()
    gateway.pool = Pool(limits=gateway.limits, dial=dial or upstream.dial)
    gateway.listening = True
    async with serving(gateway.handle, limits or gateway.limits) as rig, gateway.pool:
        gateway.draining = lambda: rig.server.draining
        try:
            yield Wired(gateway, rig, upstream, log)
        finally:
            with anyio.CancelScope(shield=True):
                await gateway.aclose()
            upstream.close()


def ask(model: str = "chat-x", *, stream: bool = True, text: str = "hi") -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": text}]}


async def nothing_is_left(w: Wired, outcome: str, *, idle: int = 0) -> None:
    """One record, and no exchange, task or upstream connection of it lives on."""
    await w.settle()
    assert w.outcomes == [outcome], w.log
    assert w.app.pool.idle == idle
    assert w.rig.errors == []


async def gone(far: MemoryTransport) -> None:
    """The gateway has closed its connection to the provider."""
    with anyio.fail_after(5):
        while await far.receive():
            pass
