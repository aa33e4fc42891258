"""A gateway between clients and providers of one seed: the net layer over wires in memory, everything by chance.

One world is one server, one pool and some clients, whose requests run beside each other on the virtual clock. What
each client sent and got, and what was played for it, is kept for `wire_verdict`.
"""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import random
import re
import tempfile
from typing import Any

import anyio
import msgspec

from ferryllm_net.config import Settings, load_settings
from ferryllm_net.gateway import App
from ferryllm_net.http import (
    Limits,
    Origin,
    Pool,
    Request,
    Server,
    Transport,
    TransportError,
    UpstreamError,
    UpstreamFault,
)
from ferryllm_net.telemetry import Log
from ferryllm_proto.inputs import UpstreamData, UpstreamEnd, UpstreamHead, UpstreamLost
from support.answers import ASK
from support.planted import PROVIDER_KEY
from support.streams import MemoryTransport, wire

from . import gateways, scripts

LONGEST_SECS = 1000.0
"""No exchange of a world takes longer on its clock: clients that do not read are cut off long before."""
LONG_SECS = 8.0
"""Of a pause: sweepers wake ten times a second, and each time costs something even where time costs nothing."""
PAUSES = 30
"""Steps of a script that may take time: no healthy answer lasts longer than a client's patience above."""
_ASKED = re.compile(rb"asked-(\d+)-end")
_PATHS = {
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "ollama": "/api/chat",
}


class Played(msgspec.Struct):
    """What a provider did with one request."""

    script: scripts.Script
    framing: str
    hurt: bool
    """The message around the answer was damaged."""
    calm: bool
    """Nothing in it takes time."""


class Told(msgspec.Struct):
    """One request of a client and what came back."""

    number: int
    entry: str
    backend: str
    stream: bool
    path: str
    data: bytes = b""
    """All bytes of the answer, as far as the client read."""
    stayed: bool = True
    """The client read to the end of what there was."""
    again: bool = False
    """The connection had served before: the gateway may have closed it meanwhile."""
    slow: bool = False
    """It read so slowly that it may have been cut off."""
    played: list[Played] = []


class World:
    """Everything of one seed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.told: list[Told] = []
        self.errors: list[Exception] = []
        self.log = io.StringIO()
        self.dialled: list[MemoryTransport] = []
        """The gateway's ends of all connections to providers."""
        self.app: App
        self._tasks: anyio.abc.TaskGroup

    async def live(self) -> None:
        rng = self.rng
        settings = _settings(rng)
        keys = [one.api_key for one in settings.providers if one.api_key is not None]
        self.app = app = App(settings, Log(self.log, "trace", now=lambda: 0.0, secrets=keys), limits=_limits(rng))
        server = Server(app.handle, limits=app.limits, on_error=self._note)
        app.draining = lambda: server.draining
        begun = anyio.current_time()
        async with anyio.create_task_group() as providers:
            self._tasks = providers
            async with Pool(limits=app.limits, dial=self._dial) as app.pool, anyio.create_task_group() as tasks:
                await tasks.start(server.serve)
                tasks.start_soon(app.sweep)
                with anyio.fail_after(LONGEST_SECS):
                    async with anyio.create_task_group() as clients:
                        for _ in range(rng.choice((1, 2, 3, 6))):
                            clients.start_soon(self._client, server, tasks, clients)
                    while app.running or server.active:  # noqa: ASYNC110 - virtual time costs nothing
                        await anyio.sleep(0.5)
                self.virtual_secs = anyio.current_time() - begun
                self.idle = app.pool.idle
                self.open = sum(not near.closed for near in self.dialled)
                tasks.cancel_scope.cancel()
            await app.aclose()
            self.left = sum(not near.closed for near in self.dialled)
            providers.cancel_scope.cancel()

    def _note(self, request: Request, exc: Exception) -> None:
        self.errors.append(exc)

    # --- clients ---

    async def _client(self, server: Server, tasks: anyio.abc.TaskGroup, clients: anyio.abc.TaskGroup) -> None:
        rng = self.rng
        near, far = wire(rng.choice((64, 1000, 1 << 20, 1 << 20)))
        tasks.start_soon(server.serve_connection, far)
        await anyio.sleep(rng.choice((0.0, 0.0, 0.1, 3.0)))
        with anyio.CancelScope() as scope:
            if rng.random() < 0.25:
                clients.start_soon(self._leave, near, scope, rng.choice((0.0, 0.001, 0.3, 2.0, 20.0)))
            with contextlib.suppress(TransportError):
                for n in range(rng.choice((1, 1, 2, 3))):
                    if not await self._ask(near, again=n > 0):
                        break
        await near.aclose()

    async def _leave(self, near: MemoryTransport, scope: anyio.CancelScope, after: float) -> None:
        await anyio.sleep(after)
        if self.rng.random() < 0.5:
            near.reset()
        else:
            await near.aclose()
        scope.cancel()

    async def _ask(self, near: MemoryTransport, *, again: bool) -> bool:
        """One request and its answer; whether the connection serves for another."""
        rng = self.rng
        told = Told(len(self.told), rng.choice(gateways.NAMES), rng.choice(gateways.NAMES), rng.random() < 0.75, "")
        self.told.append(told)
        told.again = again
        data = _request(told)
        stayed, told.stayed = told.stayed, False
        await self._send(near, data)
        manner = rng.choice(("eager", "eager", "eager", "eager", "slow", "deaf"))
        if manner == "deaf":
            await anyio.sleep(100)
            return False
        told.slow = manner == "slow"
        buffer = bytearray()
        size, pause = (1 << 16, 0.0) if manner == "eager" else (rng.choice((7, 100, 4000)), rng.choice((0.01, 0.5)))
        over = False
        while not over and (piece := await near.receive(size)):
            buffer += piece
            told.data = bytes(buffer)
            over = is_over(told.data)
            if pause and len(buffer) < 40 * size:
                await anyio.sleep(pause)
        told.stayed = stayed
        return over and b"\r\nconnection: close" not in told.data.lower()

    async def _send(self, near: MemoryTransport, data: bytes) -> None:
        rng = self.rng
        if rng.random() < 0.7:
            await near.send(data)
            return
        cuts = sorted(rng.randrange(len(data)) for _ in range(rng.choice((1, 3, 20))))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            await near.send(data[start:end])
            await anyio.sleep(rng.choice((0.0, 0.001, 0.1)))

    # --- providers ---

    async def _dial(self, origin: Origin) -> Transport:
        rng = self.rng
        kind = rng.random()
        if kind < 0.03:
            raise UpstreamError(UpstreamFault.CONNECT, f"upstream {origin.authority} cannot be reached: refused")
        if kind < 0.05:
            await anyio.sleep_forever()
        if kind < 0.1:
            await anyio.sleep(rng.choice((0.01, 1.0)))
        near, far = wire(rng.choice((64, 1000, 1 << 20, 1 << 20)))
        self.dialled.append(near)
        self._tasks.start_soon(self._provider, far, origin.host.partition(".")[0].replace("-", "_"))
        return near

    async def _provider(self, far: MemoryTransport, dialect: str) -> None:
        """Serves one connection until its script, or its other side, ends it."""
        with contextlib.suppress(TransportError, AssertionError):  # an AssertionError is a wire that ended
            while await self._serve(far, dialect):
                pass
        if self.rng.random() < 0.3:
            far.reset()
        await far.aclose()

    async def _serve(self, far: MemoryTransport, dialect: str) -> bool:
        rng = self.rng
        if rng.random() < 0.01:
            await anyio.sleep_forever()  # does not even take the request
        data = b""
        while (missing := _missing(data)) is None or missing > 0:
            piece = await far.receive()
            if not piece:
                return False
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        asked = _ASKED.search(head + body)
        assert asked is not None
        stream = b"streamGenerateContent" in head or b'"stream": true' in body or b'"stream":true' in body
        script = scripts.make_script(rng, dialect, stream)
        calm = all(pause == 0 for pause, _ in script.steps) and bool(script.steps)
        played = Played(script, rng.choice(("chunked", "chunked", "length", "close")), rng.random() < 0.08, calm)
        told = self.told[int(asked[1])]
        told.played = [*told.played, played]
        return await self._play(far, played)

    async def _play(self, far: MemoryTransport, played: Played) -> bool:
        data = b"".join(step.data for _, step in played.script.steps if isinstance(step, UpstreamData))
        for n, (pause, step) in enumerate(played.script.steps):
            if pause and n < PAUSES:
                await anyio.sleep(min(pause, LONG_SECS))
            out = b""
            if isinstance(step, UpstreamHead):
                fields = {"chunked": "transfer-encoding: chunked", "length": f"content-length: {len(data)}"}
                framing = fields.get(played.framing, "connection: close")
                lines = [f"HTTP/1.1 {step.status} X", *(f"{name}: {value}" for name, value in step.headers), framing]
                out = "\r\n".join([*lines, "", ""]).encode()
            elif isinstance(step, UpstreamData):
                out = b"%x\r\n%b\r\n" % (len(step.data), step.data) if played.framing == "chunked" else step.data
            elif isinstance(step, UpstreamEnd):
                out = b"0\r\n\r\n" if played.framing == "chunked" else b""
            elif isinstance(step, UpstreamLost):
                if self.rng.random() < 0.5:
                    far.reset()
                return False
            if played.hurt and out and self.rng.random() < 0.3:
                out = self._hurt(out)
            if out:
                await far.send(out)
        if played.script.steps and isinstance(played.script.steps[-1][1], UpstreamEnd):
            return played.framing != "close" and self.rng.random() < 0.9
        await anyio.sleep_forever()
        return False

    def _hurt(self, data: bytes) -> bytes:
        at = self.rng.randrange(len(data))
        kind = self.rng.randrange(3)
        if kind == 0:
            return data[:at] + bytes([self.rng.randrange(256)]) + data[at + 1 :]
        return data[:at] if kind == 1 else data[:at] + data[at : at + 9] + data[at:]


def _missing(data: bytes) -> int | None:
    """How many bytes of a request are still to come; None within its head."""
    head, mark, body = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    return int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0") - len(body)


def _request(told: Told) -> bytes:
    body: dict[str, Any] = dict(ASK[told.entry])
    model = f"{told.backend}-asked-{told.number}-end"
    if told.entry == "gemini":
        told.path = f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if told.stream else "generateContent")
    else:
        told.path = _PATHS[told.entry]
        body.update(model=model, stream=told.stream)
    data = json.dumps(body).encode()
    head = f"POST {told.path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data


def is_over(data: bytes) -> bool:
    """Whether a whole answer is there."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        return False
    lower = head.lower()
    if b"transfer-encoding: chunked" in lower:
        while True:
            line, mark, rest = rest.partition(b"\r\n")
            if not mark:
                return False
            size = int(line, 16)
            if size == 0:
                return rest.endswith(b"\r\n\r\n") or rest == b"\r\n"
            rest = rest[size + 2 :]
    return len(rest) >= int(lower.partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")


def _limits(rng: random.Random) -> Limits:
    return Limits(keep_alive_secs=rng.choice((0.5, 75.0)), write_stall_secs=rng.choice((1.0, 10.0)))


def _settings(rng: random.Random) -> Settings:
    parts = ['[server]\nlisten = "127.0.0.1:0"\n[logging]\nlevel = "trace"\n[responses]\nstore = "off"\n']
    for name in gateways.NAMES:
        times = {
            "first_byte_timeout_secs": rng.choice((0.5, 5, 20, 20)),
            "request_timeout_secs": rng.choice((0.5, 20, 40, 40)),
            "idle_timeout_secs": rng.choice((0.5, 5, 20, 20)),
        }
        if rng.random() < 0.2:
            times["total_timeout_secs"] = rng.choice((0.7, 10, 100))
        lines = "".join(f"{key} = {value}\n" for key, value in times.items())
        parts.append(
            f'[[providers]]\nname = "{name}"\ntype = "{name}"\nbase_url = "http://{name.replace("_", "-")}.test"\n'
            f'api_key_env = "KEY"\n{lines}[[routes]]\nmatch = "{name}-"\nprovider = "{name}"\n'
        )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "ferryllm.toml"
        path.write_text("".join(parts))
        return load_settings(path, {"KEY": PROVIDER_KEY})
