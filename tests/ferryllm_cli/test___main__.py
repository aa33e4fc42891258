"""``python -m ferryllm_cli`` is the program."""

from __future__ import annotations

import subprocess
import sys

from ferryllm_cli import exit_codes
from ferryllm_proto import __version__


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ferryllm_cli", *arguments], capture_output=True, text=True, timeout=30
    )


def test_it_is_the_program_under_its_own_name() -> None:
    done = run("--help")
    assert done.returncode == exit_codes.OK
    assert done.stdout.startswith("Usage: ferryllm ")
    assert run("--version").stdout == f"ferryllm {__version__}\n"


def test_its_exit_status_is_the_programs() -> None:
    done = run("no-such-command")
    assert done.returncode == exit_codes.USAGE
    assert "No such command" in done.stderr
