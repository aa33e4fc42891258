"""A gateway whose configuration and keys change while it serves: over sockets, on both backends."""

from __future__ import annotations

import io
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from ferryllm_net.config import secret
from ferryllm_net.config.configuration import Configuration
from ferryllm_net.gateway import Serving, serve
from ferryllm_net.http import Pool, Request, Responder
from ferryllm_net.reload import EVERYTHING, Reload
from ferryllm_net.telemetry import Log
from support.answers import DONE, ROLE, chunk
from support.gateways import Running, upstream
from support.planted import CLIENT_KEY, PROVIDER_KEY, leaks

pytestmark = pytest.mark.anyio

CONFIG = """
[server]
listen = "127.0.0.1:0"
drain_timeout_secs = 5
[logging]
level = "debug"
[reload]
watch = false
[[providers]]
name = "first"
type = "openai"
base_url = "http://127.0.0.1:{first}"
api_key_file = "first.key"
[[providers]]
name = "second"
type = "openai"
base_url = "http://127.0.0.1:{second}"
[[providers.key_watch]]
file = "second.json"
path = "key"
url_path = "url"
[[routes]]
match = "second-"
provider = "second"
[[routes]]
match = "*"
provider = "{provider}"
rewrite_model = "{model}"
"""
KEYS = (PROVIDER_KEY, CLIENT_KEY, "key-after-the-reload-0815")
ANSWER = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop"}]}


def put(path: Path, text: str) -> None:
    """As programs write keys: a new file, renamed over the old one."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.rename(path)


class Provider:
    """Answers at once, or holds its streams until `go`; notes who asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        """Key and model of each request."""
        self.go = anyio.Event()
        self.refusing = False

    async def answer(self, request: Request, respond: Responder) -> None:
        body = json.loads(await request.read())
        if self.refusing:
            error = b'{"error":{"message":"no","type":"invalid_request_error","code":"invalid_api_key"}}'
            await respond.complete(401, [("content-type", "application/json")], error)
            return
        self.asked.append(((request.header("authorization") or "").removeprefix("Bearer "), body["model"]))
        if not body.get("stream"):
            await respond.complete(200, [("content-type", "application/json")], json.dumps(ANSWER).encode())
            return
        await respond.head(200, [("content-type", "text/event-stream")])
        await respond.body(ROLE + chunk({"content": "pong"}))
        await self.go.wait()
        await respond.end(chunk({}, "stop") + DONE)


class Scene(Running):
    """A gateway with its files and its two providers."""

    def __init__(
        self, serving: Serving, log: io.StringIO, pool: Pool, reload: Reload, folder: Path, ports: tuple[int, int]
    ) -> None:
        super().__init__(serving, log, pool)
        self.reload = reload
        self.folder = folder
        self.ports = ports

    def write(self, provider: str = "first", model: str = "old") -> None:
        first, second = self.ports
        put(self.folder / "f.toml", CONFIG.format(first=first, second=second, provider=provider, model=model))

    async def talk(self, model: str = "any") -> int:
        ask: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        status, _, _ = await self.ask("POST", "/v1/chat/completions", ask)
        return status

    async def reloaded(self) -> None:
        """Let everything be read again, and wait for it."""
        counted = anyio.Event()
        before = self.reload.count

        def count(what: str, ok: bool) -> None:
            before(what, ok)
            counted.set()

        self.reload.count = count
        self.reload.ask(EVERYTHING)
        with anyio.fail_after(30):
            await counted.wait()
        self.reload.count = before


@asynccontextmanager
async def scene(folder: Path, *, handle_signals: bool = False) -> AsyncIterator[tuple[Scene, Provider, Provider]]:
    first, second, out = Provider(), Provider(), io.StringIO()
    with anyio.fail_after(60):
        async with upstream(first.answer) as one, upstream(second.answer) as two, Pool() as pool:
            put(folder / "first.key", PROVIDER_KEY)
            put(folder / "second.json", json.dumps({"key": CLIENT_KEY}))
            put(folder / "f.toml", CONFIG.format(first=one, second=two, provider="first", model="old"))
            configuration = Configuration(folder / "f.toml", {})
            settings = configuration.load()
            log = Log.from_settings(settings.logging, out, {}, now=lambda: 0.0, secrets=secret.secrets_in(settings))
            reload = Reload(configuration, settings, log)

            async def run(*, task_status: anyio.abc.TaskStatus[Serving]) -> None:
                await serve(settings, log, handle_signals=handle_signals, reload=reload, task_status=task_status)

            async with anyio.create_task_group() as tasks:
                serving: Serving = await tasks.start(run)
                yield Scene(serving, out, pool, reload, folder, (one, two)), first, second
                tasks.cancel_scope.cancel()
    assert leaks(out.getvalue(), KEYS) == []


async def test_under_load_no_request_is_lost_to_a_reload(tmp_path: Path) -> None:
    async with scene(tmp_path) as (one, first, second):
        statuses: Counter[int] = Counter()
        over = False

        async def keep_asking() -> None:
            while not over:
                statuses[await one.talk()] += 1

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(keep_asking)
            while not first.asked:
                await anyio.lowlevel.checkpoint()
            for number in range(6):
                one.write("second" if number % 2 == 0 else "first", f"model-{number}")
                await one.reloaded()
                before = sum(statuses.values())
                while sum(statuses.values()) < before + 16:
                    await anyio.lowlevel.checkpoint()
            over = True
        assert set(statuses) == {200}
        models = {model for _, model in (*first.asked, *second.asked)}
        assert models == {"old", *(f"model-{number}" for number in range(6))}
        assert {key for key, _ in first.asked} == {PROVIDER_KEY}
        assert {key for key, _ in second.asked} == {CLIENT_KEY}
        await one.logged("configuration reloaded", 6)


async def test_a_stream_goes_on_with_the_provider_it_began_with(tmp_path: Path) -> None:
    async with scene(tmp_path) as (one, first, second):
        stream = await one.begin(
            "/v1/chat/completions", {"model": "any", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        )
        got = b""
        while b"pong" not in got:
            got += await stream.receive()
        text = (tmp_path / "f.toml").read_text()
        put(tmp_path / "f.toml", text.replace('"first"', '"other"').replace("first.key", "other.key"))
        put(tmp_path / "other.key", KEYS[2])
        await one.reloaded()
        assert set(one.app.upstreams) == {"other", "second"}
        first.go.set()
        while b"[DONE]" not in got:
            got += await stream.receive()
        await stream.aclose()
        await one.logged('outcome="ok"')
        assert second.asked == []


async def test_a_file_that_is_wrong_changes_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as (one, first, _):
        before = one.app.gateway
        text = (tmp_path / "f.toml").read_text()
        put(tmp_path / "f.toml", text.replace('"*"', '"**"').replace('type = "openai"', 'type = "opnai"'))
        await one.reloaded()
        assert one.app.gateway is before
        assert await one.talk() == 200
        assert first.asked == [(PROVIDER_KEY, "old")]
        assert "configuration not reloaded errors=" in one.log
        assert one.log.count('did you mean \\"openai\\"?') == 2
        assert (await one.ask("GET", "/readyz"))[0] == 200
        one.write(model="mended")
        await one.reloaded()
        assert await one.talk() == 200
        assert first.asked[1:] == [(PROVIDER_KEY, "mended")]


async def test_a_key_that_was_renamed_into_place_is_sent_with_the_next_request(tmp_path: Path) -> None:
    async with scene(tmp_path) as (one, first, _):
        await one.talk()
        for key in (KEYS[2], CLIENT_KEY):
            put(tmp_path / "first.key", key)
            await one.reload.look()
            await one.reload.look()
            await one.talk()
        assert [key for key, _ in first.asked] == [PROVIDER_KEY, KEYS[2], CLIENT_KEY]
        await one.logged('api key reloaded from file provider="first"', 2)


async def test_a_watched_file_sends_the_next_request_elsewhere(tmp_path: Path) -> None:
    async with scene(tmp_path) as (one, first, second):
        assert await one.talk("second-model") == 200
        url = f"http://127.0.0.1:{one.ports[0]}/v1"
        put(tmp_path / "second.json", json.dumps({"key": KEYS[2], "url": url}))
        await one.reload.look()
        await one.reload.look()
        assert await one.talk("second-model") == 200
        assert [key for key, _ in second.asked] == [CLIENT_KEY]
        assert first.asked == [(KEYS[2], "second-model")]
        await one.logged("api key reloaded from watched file")
        assert f'base url reloaded from watched file provider="second" base_url="{url}"' in one.log


async def test_what_can_not_change_is_named_and_the_rest_counts(tmp_path: Path) -> None:
    async with scene(tmp_path) as (one, first, _):
        text = (tmp_path / "f.toml").read_text().replace('"127.0.0.1:0"', '"127.0.0.1:1"').replace('"old"', '"new"')
        put(tmp_path / "f.toml", text)
        await one.reloaded()
        assert 'configuration needs a restart keys="server.listen"' in one.log
        assert one.app.settings.server.listen.port == one.port
        assert await one.talk() == 200
        assert first.asked == [(PROVIDER_KEY, "new")]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="a signal of Unix")
async def test_a_hangup_reads_everything_again_without_tls_too(tmp_path: Path) -> None:
    async with scene(tmp_path, handle_signals=True) as (one, first, _):
        one.write(model="after")
        os.kill(os.getpid(), signal.SIGHUP)
        await one.logged("configuration reloaded")
        assert await one.talk() == 200
        assert first.asked == [(PROVIDER_KEY, "after")]


async def test_a_key_that_was_refused_is_tried_again_when_another_one_comes(tmp_path: Path) -> None:
    async with scene(tmp_path) as (one, first, _):
        first.refusing = True
        for _ in range(3):
            assert await one.talk() >= 400
        first.refusing = False
        put(tmp_path / "first.key", KEYS[2])
        await one.reload.look()
        await one.reload.look()
        assert await one.talk() == 200
        assert first.asked == [(KEYS[2], "old")]
