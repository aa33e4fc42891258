"""Claude Code and Codex themselves, driven against the gateway with a scripted provider of each dialect behind it.

Run by ``scripts/test --clients``.
"""

from __future__ import annotations

import json
import pathlib

import pytest

from ferryllm_net.mock import MockProvider, Received
from support.agents import installed, run
from support.processes import Gateway

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

BACKENDS = ("openai", "openai_responses", "anthropic", "gemini", "ollama")


@pytest.fixture(scope="session")
def agents() -> pathlib.Path:
    """The folder with the programs."""
    return installed("claude", "codex")


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


def is_streamed(received: Received) -> bool:
    """Whether it asks for a stream, or is no question to the model."""
    if received.method != "POST" or "count_tokens" in received.path or ":countTokens" in received.path:
        return True
    return ":streamGenerateContent" in received.path or received.json().get("stream") is True


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
    assert mock[0].requests
    assert all(map(is_streamed, mock[0].requests))
    assert "request handler failed" not in served.log


@pytest.mark.parametrize("backend", BACKENDS)
def test_claude_code_writes_a_file(
    agents: pathlib.Path, served: Gateway, mock: tuple[MockProvider, int], tmp_path: pathlib.Path, backend: str
) -> None:
    mock[0].clear()
    prompt = f"mock: write {tmp_path}/hello.txt ferried well"
    claude(agents, served, tmp_path, f"{backend}/claude", prompt, "--dangerously-skip-permissions")
    assert (tmp_path / "hello.txt").read_text().strip() == "ferried well"
    assert all(map(is_streamed, mock[0].requests))


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
    log = served.log_since(before, "websocket closed")
    assert log.count("websocket opened") == log.count("websocket closed") == 1
    connection = log.partition("websocket opened request_id=")[2].split()[0]
    asked = [line for line in log.splitlines() if "incoming request" in line and connection in line]
    assert [line.rpartition("request_id=")[2] for line in asked] == [f"{connection}.2", f"{connection}.3"]
    assert len(bodies(mock[0])) == 2
    assert "ferried well" in json.dumps(bodies(mock[0])[1])
