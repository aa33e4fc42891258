"""Keys of providers that are fetched: at the start, at reloads, and when nobody answers."""

from __future__ import annotations

import io
from pathlib import Path

import anyio
import anyio.abc
import anyio.lowlevel
import msgspec
import pytest

from ferryllm_net.config import ConfigError, Secret, Settings, load_settings
from ferryllm_net.config.configuration import Configuration
from ferryllm_net.gateway import Serving, key_urls, serve
from ferryllm_net.gateway.key_urls import fetch_keys
from ferryllm_net.http import Request, Responder
from ferryllm_net.reload import EVERYTHING, Reload
from ferryllm_net.telemetry import Log
from support.gateways import upstream
from support.planted import PROVIDER_KEY, leaks

pytestmark = pytest.mark.anyio

CONFIG = """
[server]
listen = "127.0.0.1:0"
[[providers]]
name = "a"
type = "openai"
base_url = "https://a.example"
api_key_url = "http://127.0.0.1:{port}/keys?token=t0ken-of-the-store"
[[providers]]
name = "b"
type = "openai"
base_url = "https://b.example"
"""


class Store:
    """What answers for keys."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.status, self.body = 200, f" {PROVIDER_KEY}\n".encode()

    async def handle(self, request: Request, respond: Responder) -> None:
        self.seen.append(request)
        await respond.complete(self.status, [("location", "/other")] if self.status == 302 else [], self.body)


def written(folder: Path, port: int, more: str = "") -> Path:
    path = folder / "f.toml"
    path.write_text(CONFIG.format(port=port) + more)
    return path


def keys(settings: Settings) -> list[Secret | None]:
    return [one.api_key for one in settings.providers]


async def test_the_key_is_the_trimmed_answer_to_one_get(tmp_path: Path) -> None:
    store = Store()
    async with upstream(store.handle) as port:
        loaded = load_settings(written(tmp_path, port), {})
        assert keys(loaded) == [None, None]
        assert store.seen == [], "reading a configuration asks nobody"
        settings, problems = await fetch_keys(loaded)
    assert keys(settings) == [Secret(PROVIDER_KEY), None]
    assert problems == ()
    assert [(one.method, one.target) for one in store.seen] == [("GET", "/keys?token=t0ken-of-the-store")]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, PROVIDER_KEY.encode(), "answered 404"),
        (302, PROVIDER_KEY.encode(), "answered 302"),
        (200, b" \n", "is empty"),
        (200, b"\xff\xfe", "is not a text"),
        (200, f"{PROVIDER_KEY}\nmore".encode(), "contains a line break"),
        (200, PROVIDER_KEY.encode() * 10_000, "is larger than"),
    ],
)
async def test_what_is_no_key_is_told_without_it(tmp_path: Path, status: int, body: bytes, said: str) -> None:
    store = Store()
    store.status, store.body = status, body
    async with upstream(store.handle) as port:
        settings, (problem,) = await fetch_keys(load_settings(written(tmp_path, port), {}))
    assert keys(settings) == [None, None]
    assert problem.key == "providers[0].api_key_url"
    assert said in str(problem)
    assert leaks(str(problem), (PROVIDER_KEY, "t0ken-of-the-store")) == []
    assert len(store.seen) == 1


async def test_who_does_not_answer_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(request: Request, respond: Responder) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(key_urls, "FETCH_SECS", 0.05)
    async with upstream(silent) as port:
        _, (problem,) = await fetch_keys(load_settings(written(tmp_path, port), {}))
    assert "no key" in problem.message


async def test_the_last_key_stays_where_the_same_url_fails(tmp_path: Path) -> None:
    store, out = Store(), io.StringIO()
    async with upstream(store.handle) as port:
        loaded = load_settings(written(tmp_path, port), {})
        before, _ = await fetch_keys(loaded)
        store.status = 503
        after, problems = await fetch_keys(loaded, before, Log(out, now=lambda: 0.0))
        assert (keys(after), problems) == (keys(before), ())
        assert "api key not fetched, the last one stays" in out.getvalue()
        first, second = before.providers
        assert first.key_url is not None
        moved = msgspec.structs.replace(first, key_url=msgspec.structs.replace(first.key_url, path="/elsewhere"))
        _, problems = await fetch_keys(loaded, msgspec.structs.replace(before, providers=(moved, second)))
        assert len(problems) == 1, "the key of another place may be another's"


async def test_a_gateway_whose_key_is_nowhere_does_not_start(tmp_path: Path) -> None:
    store = Store()
    store.status = 500
    async with upstream(store.handle) as port:
        with pytest.raises(ConfigError, match=r"providers\[0\].api_key_url"):
            await serve(load_settings(written(tmp_path, port), {}), Log(io.StringIO(), now=lambda: 0.0))


async def test_a_reload_fetches_again(tmp_path: Path) -> None:
    store, out = Store(), io.StringIO()
    async with upstream(store.handle) as port:
        configuration = Configuration(written(tmp_path, port), {})
        settings, log = configuration.load(), Log(out, now=lambda: 0.0)
        reload = Reload(configuration, settings, log)

        async def run(*, task_status: anyio.abc.TaskStatus[Serving]) -> None:
            await serve(settings, log, handle_signals=False, reload=reload, task_status=task_status)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                serving: Serving = await tasks.start(run)
                assert keys(serving.app.settings) == [Secret(PROVIDER_KEY), None]
                store.body = b"key-of-tuesday"
                reload.ask(EVERYTHING)
                while "configuration reloaded" not in out.getvalue():
                    await anyio.lowlevel.checkpoint()
                assert keys(serving.app.settings) == [Secret("key-of-tuesday"), None]
                tasks.cancel_scope.cancel()
    assert "api key fetched anew" in out.getvalue()
    assert leaks(out.getvalue(), (PROVIDER_KEY, "key-of-tuesday", "t0ken-of-the-store")) == []
