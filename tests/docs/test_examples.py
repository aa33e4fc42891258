"""The programs in examples/ do what they say, against a provider that says pong."""

from __future__ import annotations

import configparser
import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import anyio
import pytest

from docs.upstream import chat_upstream
from ferryllm_cli.serve import command as serve
from ferryllm_net.config import load_settings
from ferryllm_net.http.listeners import BACKLOG
from support.processes import free_port

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"
KEYS = dict.fromkeys(
    (
        *("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "DEEPSEEK_API_KEY"),
        *("FERRYLLM_API_KEYS", "FERRYLLM_ADMIN_KEY"),
    ),
    "a-secret-key-of-28-letters-1",
)
ASK = {"model": "demo", "max_tokens": 9, "messages": [{"role": "user", "content": "Say pong"}]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    with chat_upstream() as running:
        yield running


def run(name: str, *arguments: str) -> str:
    """What an example prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_program_in_examples_is_run_here() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "asgi_app.py",
        "asyncio_script.py",
        "translate_offline.py",
        "trio_gateway.py",
    }


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("config/*.toml")), ids=lambda path: str(path.name))
def test_every_example_configuration_loads_without_a_warning(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / ".claude").mkdir()
    watched = tmp_path / ".claude/settings.json"
    watched.write_text('{"env": {"ANTHROPIC_AUTH_TOKEN": "secret-key-1"}}')
    watched.chmod(0o600)
    settings = load_settings(path, {**KEYS, "HOME": str(tmp_path)})
    assert settings.providers
    assert settings.warnings == ()


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("systemd/*")), ids=lambda path: str(path.name))
def test_units_say_nothing_that_the_page_does_not_explain(path: pathlib.Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.read_string(path.read_text())
    assert unit["Install"]["WantedBy"]
    if path.suffix == ".service":
        command = unit["Service"]["ExecStart"].split()
        assert command[1:2] == ["serve"]
        assert serve.make_context("serve", command[2:], resilient_parsing=True).params["listen"] == ("systemd",)
    else:
        assert unit["Socket"]["Backlog"] == str(BACKLOG)


def test_the_offline_example_shows_request_answer_losses_and_a_cut_stream() -> None:
    out = run("translate_offline.py")
    assert out.startswith("POST /v1/chat/completions\n")
    assert '"model":"gpt-5.5"' in out
    assert "lost: dropped top_k" in out
    assert '"stop_reason":"end_turn"' in out
    assert '"text_delta","text":"Sunny."' in out
    assert out.rstrip().splitlines()[-2] == "event: error"


def test_the_asyncio_example_prints_the_stream_of_messages(upstream: tuple[str, list[dict[str, Any]]]) -> None:
    out = run("asyncio_script.py", upstream[0], "Say pong")
    events = [line.removeprefix("event: ") for line in out.splitlines() if line.startswith("event: ")]
    assert events[0] == "message_start"
    assert events[-1] == "message_stop"
    assert '"text":"po"' in out
    assert upstream[1][-1]["messages"] == [{"role": "user", "content": "Say pong"}]


@pytest.mark.anyio
@pytest.mark.parametrize("stream", [False, True])
async def test_the_asgi_example_answers_messages(upstream: tuple[str, list[dict[str, Any]]], stream: bool) -> None:
    module = load("asgi_app")
    app = module.application(module.with_urllib(f"http://{upstream[0]}"))
    status, body = await call(app, json.dumps({**ASK, "stream": stream}).encode())
    assert status == 200
    if stream:
        assert body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    else:
        assert json.loads(body)["content"] == [{"type": "text", "text": "pong"}]


CONTENTS = {"contents": [{"parts": [{"text": "Say pong"}]}]}


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "query", "body"),
    [
        ("/v1/chat/completions", "", ASK),
        ("/v1/responses", "", {"model": "demo", "input": "Say pong"}),
        ("/v1beta/models/demo:generateContent", "", CONTENTS),
        ("/v1beta/models/demo:streamGenerateContent", "alt=sse", CONTENTS),
        ("/api/chat", "", {**ASK, "stream": False}),
        ("/api/chat", "", ASK),
    ],
)
async def test_the_asgi_example_answers_every_protocol(
    upstream: tuple[str, list[dict[str, Any]]], path: str, query: str, body: dict[str, Any]
) -> None:
    module = load("asgi_app")
    app = module.application(module.with_urllib(f"http://{upstream[0]}"))
    status, answer = await call(app, json.dumps(body).encode(), path, query)
    assert status == 200
    assert b"po" in answer
    assert b"error" not in answer.replace(b'"error":null', b"")
    assert upstream[1][-1]["model"] == "demo"
    assert upstream[1][-1]["messages"] == [{"role": "user", "content": "Say pong"}]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/v1/models", "/v2/messages", "/v1beta/models/demo:countTokens"])
async def test_the_asgi_example_has_no_other_paths(path: str) -> None:
    module = load("asgi_app")
    status, body = await call(module.application(module.with_urllib("http://127.0.0.1:9")), b"{}", path)
    assert status == 404
    assert json.loads(body)["error"]["message"] == "nothing answers at this path"


@pytest.mark.anyio
async def test_the_asgi_example_refuses_in_the_dialect_of_its_clients() -> None:
    module = load("asgi_app")
    status, body = await call(module.application(module.with_urllib("http://127.0.0.1:9")), b"{")
    assert status == 400
    assert json.loads(body)["error"]["type"] == "invalid_request_error"


async def call(app: Any, body: bytes, path: str = "/v1/messages", query: str = "") -> tuple[int, bytes]:
    """One request to an ASGI application."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with anyio.fail_after(20):
        scope = {"type": "http", "method": "POST", "path": path, "query_string": query.encode(), "headers": []}
        await app(scope, receive, send)
    assert sent[0]["type"] == "http.response.start"
    assert [message.get("more_body") for message in sent[1:]] == [True] * (len(sent) - 2) + [False]
    return sent[0]["status"], b"".join(message["body"] for message in sent[1:])


def test_the_trio_example_serves_messages(upstream: tuple[str, list[dict[str, Any]]]) -> None:
    port = free_port()
    host, _, far = upstream[0].partition(":")
    program = (
        f"import sys, trio; sys.path.insert(0, {str(EXAMPLES)!r}); import trio_gateway as g; print('up', flush=True); "
    )
    program += f"trio.run(g.main, ({host!r}, {far}), {port})"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "up\n"
            answer = post(f"http://127.0.0.1:{port}/v1/messages", ASK)
            assert json.loads(answer)["content"] == [{"type": "text", "text": "pong"}]
            assert process.stderr.readline().startswith("ok demo Usage(")
            streamed = post(f"http://127.0.0.1:{port}/v1/messages", {**ASK, "stream": True})
            assert streamed.count(b"event: content_block_delta") == 2
            assert b"event: message_stop" in streamed
        finally:
            process.terminate()


def post(url: str, body: dict[str, Any]) -> bytes:
    """The answer's body; tries again while nobody listens yet."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    for _ in range(100):
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return bytes(answer.read())
        except ConnectionError:
            continue
        except urllib.error.URLError as exc:
            if not isinstance(exc.reason, ConnectionRefusedError):
                raise
            anyio.run(anyio.sleep, 0.05)
    raise AssertionError("nobody listened")
