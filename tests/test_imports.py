"""The rooms of the house: who may import whom, as pyproject.toml says it, asked of import-linter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent

CONTRACTS = [
    "cli -> net -> proto, never back",
    "dialects do not know each other",
    "proto does no I/O",
    "asyncio and trio in backends alone",
]


def test_import_contracts_are_kept() -> None:
    # In a process of its own: import-linter changes sys.path and configures logging.
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    report = done.stdout + done.stderr
    assert done.returncode == 0, report
    for contract in CONTRACTS:
        assert f"{contract} KEPT" in report
    assert f"{len(CONTRACTS)} kept, 0 broken" in report


def test_the_http_package_loads_no_backend() -> None:
    program = """
import sys
import ferryllm_net.http
print(*sorted(name for name in ("asyncio", "h2", "trio", "uvloop") if name in sys.modules))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.strip() == "", "each is loaded when the first connection needs it"
