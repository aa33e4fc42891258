"""Gemini CLI, Qwen Code, OpenCode and aider, against every provider dialect."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import pytest

from ferryllm_net.mock import MockProvider
from support.agents import installed, run
from support.processes import Gateway

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

BACKENDS = ("openai", "openai_responses", "anthropic", "gemini", "ollama")


def qwen(served: Gateway, folder: pathlib.Path, model: str, prompt: str) -> str:
    environ = {"OPENAI_API_KEY": "any", "OPENAI_BASE_URL": f"{served.base_url}/v1", "OPENAI_MODEL": model}
    program = str(installed("qwen") / "qwen")
    return run([program, "--prompt", prompt, "--yolo", "--auth-type", "openai"], folder, environ)


def gemini(served: Gateway, folder: pathlib.Path, model: str, prompt: str) -> str:
    environ = {"GEMINI_API_KEY": "any", "GOOGLE_GEMINI_BASE_URL": served.base_url, "GEMINI_CLI_TRUST_WORKSPACE": "true"}
    settings = folder / "home" / ".gemini" / "settings.json"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(json.dumps({"security": {"auth": {"selectedType": "gemini-api-key"}}}))
    program = str(installed("gemini") / "gemini")
    return run([program, "--prompt", prompt, "--model", model, "--yolo"], folder, environ)


def opencode(served: Gateway, folder: pathlib.Path, model: str, prompt: str) -> str:
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "ferryllm",
        "options": {"baseURL": f"{served.base_url}/v1", "apiKey": "any"},
        "models": {model: {"name": model}},
    }
    config = {"provider": {"ferryllm": provider}, "autoupdate": False, "share": "disabled"}
    (folder / "opencode.json").write_text(json.dumps(config))
    # It quotes what has spaces in it, and the mock's directives stand at the beginning of a prompt.
    program = str(installed("opencode") / "opencode")
    return run([program, "run", "--model", f"ferryllm/{model}", *prompt.split(" ")], folder, {})


AGENTS = {"qwen": qwen, "gemini": gemini, "opencode": opencode}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_answers(agent: str, served: Gateway, tmp_path: pathlib.Path, backend: str) -> None:
    assert "pong" in AGENTS[agent](served, tmp_path, f"{backend}-m", "Reply with one word: pong")
    assert "request handler failed" not in served.log


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("agent", AGENTS)
def test_an_agent_writes_a_file(
    agent: str, served: Gateway, mock: tuple[MockProvider, int], tmp_path: pathlib.Path, backend: str
) -> None:
    mock[0].clear()
    AGENTS[agent](served, tmp_path, f"{backend}-m", f"mock: write {tmp_path}/hello.txt ferried well")
    assert (tmp_path / "hello.txt").read_text().strip() == "ferried well"
    assert mock[0].requests, "the mock was asked"


@pytest.mark.parametrize("backend", BACKENDS)
def test_aider_answers(served: Gateway, tmp_path: pathlib.Path, backend: str) -> None:
    aider = os.environ.get("FERRYLLM_AIDER") or shutil.which("aider")
    if aider is None:
        pytest.skip("aider is not here: install aider-chat, or name the program in FERRYLLM_AIDER")
    flags = ("--yes", "--no-git", "--no-check-update", "--no-show-model-warnings", "--analytics-disable")
    command = [aider, "--model", f"openai/{backend}-m", "--openai-api-base", f"{served.base_url}/v1", *flags]
    out = run([*command, "--message", "Reply with one word: pong"], tmp_path, {"OPENAI_API_KEY": "any"})
    assert "pong" in out
