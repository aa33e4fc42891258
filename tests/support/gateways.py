"""A gateway inside the test's own event loop, in front of an upstream the test writes as a handler."""

from __future__ import annotations

import io
import json
import pathlib
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio

from ferryllm_net.config import Settings, load_settings
from ferryllm_net.gateway import App, Serving, serve
from ferryllm_net.http import Handler, Limits, Origin, Pool, RequestHead, Server, Timeouts, bound_port, open_listeners
from ferryllm_net.telemetry import Log
from support.planted import CLIENT_KEY, PROVIDER_KEY

CONFIG = """
[server]
listen = "127.0.0.1:0"
idle_timeout_secs = 5
drain_timeout_secs = 5
{server}
[logging]
level = "trace"
format = "{form}"
{more}
[[providers]]
name = "chat"
type = "openai"
base_url = "http://127.0.0.1:{port}"
api_key_env = "PROVIDER_KEY"
[[providers]]
name = "resp"
type = "openai_responses"
base_url = "http://127.0.0.1:{port}/v1"
api_key_env = "PROVIDER_KEY"
[[providers]]
name = "msg"
type = "anthropic"
base_url = "http://127.0.0.1:{port}"
api_key_env = "PROVIDER_KEY"
[[routes]]
match = "chat-"
provider = "chat"
rewrite_model = "real-chat"
[[routes]]
match = "resp-"
provider = "resp"
rewrite_model = "real-resp"
[[routes]]
match = "msg-"
provider = "msg"
rewrite_model = "real-msg"
[[routes]]
match = "exact-model"
match_type = "exact"
provider = "msg"
"""


def settings(port: int, *, server: str = "", more: str = "", form: str = "text") -> Settings:
    """Settings with a provider of each dialect on ``port``."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "ferryllm.toml"
        path.write_text(CONFIG.format(port=port, server=server, more=more, form=form))
        return load_settings(path, {"PROVIDER_KEY": PROVIDER_KEY, "CLIENT_KEYS": f"other-key-0123,{CLIENT_KEY}"})


class Running:
    """A gateway to talk to."""

    def __init__(self, serving: Serving, log: io.StringIO, pool: Pool) -> None:
        self.app: App = serving.app
        self.server: Server = serving.server
        self.port = serving.port
        self.base_url = f"http://127.0.0.1:{serving.port}"
        self._log = log
        self._pool = pool

    @property
    def log(self) -> str:
        """What was logged so far."""
        return self._log.getvalue()

    async def logged(self, text: str, times: int = 1) -> None:
        """Wait until ``text`` is in the log: an exchange's last line comes after its last byte."""
        with anyio.fail_after(10):
            while self.log.count(text) < times:  # noqa: ASYNC110 - a log has no event to wait for
                await anyio.sleep(0.005)

    async def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """One request over a kept connection: status, headers, body."""
        sent = {"host": f"127.0.0.1:{self.port}"}
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        if data:
            sent["content-type"] = "application/json"
        sent.update(headers or {})
        origin = Origin("http", "127.0.0.1", self.port)
        async with await self._pool.open(
            origin, RequestHead(method, path, list(sent.items())), data, timeouts=Timeouts(5, 20, 20, None)
        ) as answer:
            return answer.status, dict(answer.headers), await answer.read(1 << 24)

    async def connect(self) -> anyio.abc.SocketStream:
        """A bare connection."""
        return await anyio.connect_tcp("127.0.0.1", self.port)

    async def begin(self, path: str, body: Any, headers: tuple[tuple[str, str], ...] = ()) -> anyio.abc.SocketStream:
        """A bare connection on which a POST was sent."""
        stream = await self.connect()
        data = json.dumps(body).encode()
        more = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncontent-type: application/json\r\n{more}"
        await stream.send(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)
        return stream


@asynccontextmanager
async def upstream(handler: Handler) -> AsyncIterator[int]:
    """An HTTP server that answers by ``handler``; gives its port."""
    server = Server(handler, limits=Limits())
    listeners = open_listeners("127.0.0.1", 0)
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, listeners)
        yield bound_port(listeners[0])
        tasks.cancel_scope.cancel()


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses every connection, and that no other program gets meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


@asynccontextmanager
async def gateway(
    port: int, *, server: str = "", more: str = "", form: str = "text", pool: Pool | None = None
) -> AsyncIterator[Running]:
    """A gateway in front of the upstream on ``port``."""
    wanted = settings(port, server=server, more=more, form=form)
    stream = io.StringIO()
    secrets = [provider.api_key for provider in wanted.providers if provider.api_key is not None]
    log = Log.from_settings(wanted.logging, stream, {}, now=lambda: 0.0, secrets=[*secrets, *wanted.auth.keys])

    async def run(*, task_status: anyio.abc.TaskStatus[Serving]) -> None:
        await serve(wanted, log, handle_signals=False, task_status=task_status)

    async with Pool() as pool, anyio.create_task_group() as tasks:
        serving: Serving = await tasks.start(run)
        yield Running(serving, stream, pool)
        tasks.cancel_scope.cancel()
