"""The protocol package takes time, ids and chance as arguments and touches no I/O: asked of the interpreter itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ferryllm_proto

ROOT = Path(ferryllm_proto.__file__).parent

FOUNDATION = [
    "accumulate",
    "dialect",
    "errors",
    "events",
    "freeform",
    "grammar",
    "ids",
    "ir",
    "json",
    "loss",
    "opaque",
    "rules",
    "search",
    "sequence",
    "sse",
    "tools",
    "toolsets",
    "vectors",
    "written",
]

ALLOWED = {
    "__future__",
    "abc",
    "base64",
    "binascii",
    "collections",
    "datetime",
    "decimal",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "ipaddress",
    "itertools",
    "math",
    "msgspec",
    "operator",
    "re",
    "struct",
    "typing",
}
"""What the package may import: computation. An addition is a decision, not an accident."""

CLOCKS = {"now", "utcnow", "today"}
"""Methods of datetime's classes that read the clock; dates that peers write are read and written without them."""

IMPURE = {
    "_asyncio",
    "_posixsubprocess",
    "_random",
    "_ssl",
    "anyio",
    "asyncio",
    "concurrent",
    "ferryllm_cli",
    "ferryllm_net",
    "h11",
    "h2",
    "http",
    "io",
    "logging",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "secrets",
    "select",
    "selectors",
    "signal",
    "socket",
    "socketserver",
    "sqlite3",
    "ssl",
    "subprocess",
    "tempfile",
    "threading",
    "time",
    "trio",
    "urllib",
}

_PROBE = """
import sys
before = set(sys.modules)
{statement}
print(*sorted(name.partition(".")[0] for name in set(sys.modules) - before))
"""


def loaded(statement: str) -> set[str]:
    """Top-level modules an interpreter of its own loads for ``statement``, beyond its start."""
    program = _PROBE.format(statement=statement)
    # -I: no environment, no current directory; -S would hide the installed packages.
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def baseline() -> set[str]:
    """What msgspec and the interpreter's pure modules load by themselves: nothing of it is ours to answer for."""
    pure = ", ".join(sorted((ALLOWED - {"__future__", "msgspec"}) | {"collections.abc"}))
    return loaded(f"import msgspec, {pure}")


def test_the_baseline_is_what_it_claims(baseline: set[str]) -> None:
    assert {"msgspec", "hashlib"} <= baseline
    if sys.version_info < (3, 11):
        return  # there msgspec's own helpers bring asyncio along; the imports in our sources are scanned all the same
    assert not baseline & {"asyncio", "logging", "random", "ssl", "threading", "select", "subprocess"}


@pytest.mark.parametrize("statement", ["import ferryllm_proto", "import ferryllm_proto.dialects"])
def test_importing_the_package_loads_no_io_no_clock_and_no_chance(statement: str, baseline: set[str]) -> None:
    extra = loaded(statement) - baseline
    assert "ferryllm_proto" in extra
    assert not extra & IMPURE
    assert extra - {"ferryllm_proto", "_hmac"} == set()


def test_the_foundation_needs_no_other_module_of_the_package() -> None:
    statement = f"""
import types
package = types.ModuleType("ferryllm_proto")
package.__path__ = [{str(ROOT)!r}]
sys.modules["ferryllm_proto"] = package
import {", ".join("ferryllm_proto." + name for name in FOUNDATION)}
print(*("own:" + n.partition(".")[2] for n in sys.modules if n.startswith("ferryllm_proto.")))
"""
    own = {name.removeprefix("own:") for name in loaded(statement) if name.startswith("own:")}
    assert own == set(FOUNDATION)


def test_the_probe_sees_a_violation(baseline: set[str]) -> None:
    assert "logging" in (loaded("import ferryllm_proto, logging") - baseline) & IMPURE


def imports(tree: ast.Module) -> set[str]:
    """Top-level names of every absolute import, wherever it stands."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module is not None:
            found.add(node.module.partition(".")[0])
    return found


def builtins_called(tree: ast.Module) -> set[str]:
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


def methods_called(tree: ast.Module) -> set[str]:
    """The last names: ``now`` of ``datetime.datetime.now()``."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {function.attr for function in calls if isinstance(function, ast.Attribute)}


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_file_imports_computation_only_and_reads_no_clock(path: Path) -> None:
    # A module that is loaded by the interpreter's own start (time, os, io) can only be seen in the source.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert imports(tree) - ALLOWED == set()
    assert methods_called(tree) & CLOCKS == set()
    assert builtins_called(tree) & {"open", "print", "input", "__import__", "breakpoint", "eval", "exec"} == set()
