"""Coding agents as processes: each with a folder and a home of its own, so that nothing of this machine's user is read.

They are installed with npm into ``.clients`` beside the checkout, or taken from the folder that ``FERRYLLM_CLIENTS``
names (the one that holds ``node_modules``).
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

PACKAGES = {
    "claude": "@anthropic-ai/claude-code@2.1.197",
    "codex": "@openai/codex@0.169.0",
    "gemini": "@google/gemini-cli@0.61.0",
    "opencode": "opencode-ai@1.18.33",
    "qwen": "@qwen-code/qwen-code@0.15.10",
}
"""The npm package of each program."""

LIBRARIES = (
    "openai@6.49.0",
    "@anthropic-ai/sdk@1.11.0",
    "@google/genai@2.32.0",
    "ollama@0.6.4",
    "ai@6.0.326",
    "@ai-sdk/openai@3.0.141",
    "@ai-sdk/anthropic@3.0.138",
    "@ai-sdk/google@3.0.141",
)
"""The npm packages that ``tests/clients/node_sdks.mjs`` uses."""

_KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")


def installed(*names: str) -> pathlib.Path:
    """The folder with the programs ``names``; installs what is missing, skips where there is no Node."""
    programs = _modules() / ".bin"
    _install([PACKAGES[name] for name in names if not (programs / name).exists()])
    return programs


def libraries() -> pathlib.Path:
    """The folder with the packages `LIBRARIES`; installs what is missing, skips where there is no Node."""
    modules = _modules()
    if shutil.which("node") is None:
        pytest.skip("Node is not here: install it")
    _install([package for package in LIBRARIES if not (modules / package.rpartition("@")[0]).exists()])
    return modules


def _modules() -> pathlib.Path:
    return pathlib.Path(os.environ.get("FERRYLLM_CLIENTS") or ROOT / ".clients") / "node_modules"


def _install(packages: list[str]) -> None:
    if not packages:
        return
    if shutil.which("npm") is None:
        pytest.skip("Node is not here: install it, or set FERRYLLM_CLIENTS to a folder with the agents")
    folder = _modules().parent
    folder.mkdir(parents=True, exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *packages]
    subprocess.run(command, check=True, timeout=280)


def run(command: list[str], folder: pathlib.Path, environ: dict[str, str], *, secs: float = 240) -> str:
    """Run an agent in ``folder``; returns what it printed."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**kept, "HOME": str(home), "TERM": "dumb", "NO_COLOR": "1", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=secs,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr
