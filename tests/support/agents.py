"""Coding agents as processes: each with a folder and a home of its own, so that nothing of this machine's user is read."""

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
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
    "qwen": "@qwen-code/qwen-code",
}
"""The npm package of each program."""

_KEPT = ("PATH", "LANG", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")


def installed(*names: str) -> pathlib.Path:
    """The folder with the programs ``names``; installs what is missing, skips where there is no Node."""
    folder = pathlib.Path(os.environ.get("FERRYLLM_CLIENTS") or ROOT / ".clients")
    programs = folder / "node_modules" / ".bin"
    missing = [PACKAGES[name] for name in names if not (programs / name).exists()]
    if missing:
        if shutil.which("npm") is None:
            pytest.skip("Node is not here: install it, or set FERRYLLM_CLIENTS to a folder with the agents")
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *missing]
        subprocess.run(command, check=True, timeout=280)
    return programs


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
