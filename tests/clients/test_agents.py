"""Claude Code and Codex themselves, driven against the gateway with a scripted provider of each dialect behind it.

Run by ``scripts/test --clients``. Node has to be there; the agents are installed with npm into ``.clients`` beside the
checkout, or taken from the folder ``FERRYLLM_CLIENTS`` names (the one that holds ``node_modules``).
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import anyio.from_thread
import pytest

from ferryllm_net.mock import MockProvider, serve_mock
from support.processes import Gateway, gateway

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ("@anthropic-ai/claude-code@2.1.197", "@openai/codex@0.169.0")
BACKENDS = ("openai", "openai_responses", "anthropic")


@pytest.fixture(scope="session")
def agents() -> pathlib.Path:
    """The folder with the programs."""
    folder = pathlib.Path(os.environ.get("FERRYLLM_CLIENTS") or ROOT / ".clients")
    programs = folder / "node_modules" / ".bin"
    if not (programs / "claude").exists() or not (programs / "codex").exists():
        if shutil.which("npm") is None:
            pytest.skip("Node is not here: install it, or set FERRYLLM_CLIENTS to a folder with both agents")
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES], check=True, timeout=280
        )
    return programs


@pytest.fixture(scope="module")
def mock() -> Iterator[tuple[MockProvider, int]]:
    provider = MockProvider()
    with (
        anyio.from_thread.start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve_mock(provider)) as base_url,
    ):
        port = urlsplit(base_url).port
        assert port is not None
        yield provider, port


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def served(
    request: pytest.FixtureRequest, mock: tuple[MockProvider, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    lines = []
    for backend in BACKENDS:
        lines.append(
            f'[[providers]]\nname = "{backend}"\ntype = "{backend}"\nbase_url = "http://127.0.0.1:{mock[1]}"\n'
            f'[[routes]]\nmatch = "{backend}/"\nprovider = "{backend}"\nrewrite_model = "demo"'
        )
    config = tmp_path_factory.mktemp("gateway") / "ferryllm.toml"
    config.write_text("\n".join(lines))
    with gateway(config, backend=request.param) as running:
        yield running


def run(command: list[str], folder: pathlib.Path, environ: dict[str, str]) -> str:
    """Run an agent in ``folder`` with a home of its own; returns what it printed."""
    home = folder / "home"
    home.mkdir()
    wanted = ("PATH", "LANG", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")
    kept = {name: os.environ[name] for name in wanted if name in os.environ}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**kept, "HOME": str(home), "TERM": "dumb", "NO_COLOR": "1", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def claude(programs: pathlib.Path, served: Gateway, folder: pathlib.Path, model: str, prompt: str, *more: str) -> str:
    environ = {
        "ANTHROPIC_BASE_URL": served.base_url,
        "ANTHROPIC_API_KEY": "any",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "IS_SANDBOX": "1",
    }
    return run([str(programs / "claude"), "--print", "--model", model, *more, prompt], folder, environ)


def codex(programs: pathlib.Path, served: Gateway, folder: pathlib.Path, model: str, prompt: str, *more: str) -> str:
    settings = {
        "model_provider": "ferryllm",
        "model_providers.ferryllm.name": "ferryllm",
        "model_providers.ferryllm.base_url": f"{served.base_url}/v1",
        "model_providers.ferryllm.env_key": "FERRYLLM_KEY",
        "model_providers.ferryllm.wire_api": "responses",
    }
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    command = [str(programs / "codex"), "exec", "--skip-git-repo-check", "--model", model, *options, *more, prompt]
    return run(command, folder, {"FERRYLLM_KEY": "any"})


def codex_built_in(programs: pathlib.Path, served: Gateway, folder: pathlib.Path, model: str, prompt: str) -> str:
    """Codex with the provider it brings along, told another address alone."""
    command = [str(programs / "codex"), "exec", "--skip-git-repo-check", "--model", model]
    options = ["-c", f"openai_base_url={served.base_url}/v1", "--dangerously-bypass-approvals-and-sandbox"]
    return run([*command, *options, prompt], folder, {"CODEX_API_KEY": "any"})


def bodies(mock: MockProvider) -> list[dict[str, object]]:
    return [received.json() for received in mock.requests if received.method == "POST"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_claude_code_answers_and_repeats_nothing(
    agents: pathlib.Path, served: Gateway, mock: tuple[MockProvider, int], tmp_path: pathlib.Path, backend: str
) -> None:
    mock[0].clear()
    out = claude(agents, served, tmp_path, f"{backend}/claude", "Reply with one word: pong", "--bare")
    assert "pong" in out
    # It hides a stream it can not parse by asking again without one: every request has to be a stream.
    asked = bodies(mock[0])
    assert asked
    assert all(body.get("stream") is True for body in asked)
    assert "request handler failed" not in served.log


@pytest.mark.parametrize("backend", BACKENDS)
def test_claude_code_writes_a_file(
    agents: pathlib.Path, served: Gateway, mock: tuple[MockProvider, int], tmp_path: pathlib.Path, backend: str
) -> None:
    mock[0].clear()
    prompt = f"mock: write {tmp_path}/hello.txt ferried well"
    claude(agents, served, tmp_path, f"{backend}/claude", prompt, "--dangerously-skip-permissions")
    assert (tmp_path / "hello.txt").read_text().strip() == "ferried well"
    assert all(body.get("stream") is True for body in bodies(mock[0]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_codex_answers(
    agents: pathlib.Path, served: Gateway, mock: tuple[MockProvider, int], tmp_path: pathlib.Path, backend: str
) -> None:
    mock[0].clear()
    out = codex(agents, served, tmp_path, f"{backend}/codex", "Reply with one word: pong")
    assert out.startswith("pong\n")
    assert len(bodies(mock[0])) == 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("family", "mark"), [("unknown", "exec_command"), ("gpt-5.5", "apply_patch"), ("gpt-6-sol", "exec")]
)
def test_codex_writes_a_file(
    agents: pathlib.Path,
    served: Gateway,
    mock: tuple[MockProvider, int],
    tmp_path: pathlib.Path,
    backend: str,
    family: str,
    mark: str,
) -> None:
    """Three families: plain functions; the freeform tool apply_patch; tools that come as an input item."""
    mock[0].clear()
    out = codex(
        agents,
        served,
        tmp_path,
        f"{backend}/{family}",
        "mock: write hello.txt ferried well",
        "--dangerously-bypass-approvals-and-sandbox",
        "--json",
    )
    assert (tmp_path / "hello.txt").read_text().strip() == "ferried well"
    first = bodies(mock[0])[0]
    assert f'{mark}", "description"' in json.dumps(first.get("tools") or first["input"])
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert not [event for event in events if event["type"] in ("error", "turn.failed")]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("built_in", [True, False])
def test_r14_codex_stays_on_its_websocket(
    agents: pathlib.Path,
    served: Gateway,
    mock: tuple[MockProvider, int],
    tmp_path: pathlib.Path,
    backend: str,
    built_in: bool,
) -> None:
    """A turn that prepares, one that calls a tool and one with its result: all on one connection."""
    mock[0].clear()
    before = len(served.lines)
    model, prompt = f"{backend}/codex", "mock: write hello.txt ferried well"
    if built_in:
        codex_built_in(agents, served, tmp_path, model, prompt)
    else:
        more = ["-c", "model_providers.ferryllm.supports_websockets=true", "--dangerously-bypass-approvals-and-sandbox"]
        codex(agents, served, tmp_path, model, prompt, *more)
    assert (tmp_path / "hello.txt").read_text().strip() == "ferried well"
    # The provider is asked twice; that a turn came over the WebSocket shows in its id, the connection's with a number.
    log = "".join(served.lines[before:])
    assert log.count("websocket opened") == log.count("websocket closed") == 1
    connection = log.partition("websocket opened request_id=")[2].split()[0]
    asked = [line for line in log.splitlines() if "incoming request" in line]
    assert [line.rpartition("request_id=")[2] for line in asked] == [f"{connection}.2", f"{connection}.3"]
    assert len(bodies(mock[0])) == 2
    assert "ferried well" in json.dumps(bodies(mock[0])[1])
