"""The pages that are made from the code are the ones in docs/."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from docs.generated import DOCS, PAGES
from docs.generated.diagrams import mermaid
from docs.pages import ROOT
from ferryllm_cli.main import COMMANDS
from ferryllm_proto import __version__
from ferryllm_proto.translate import State


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run: python docs/generate.py"


def test_every_line_of_the_log_has_its_row() -> None:
    page = PAGES["reference/log-lines.md"]()
    found: set[str] = set()
    for path in (ROOT / "src").rglob("*.py"):
        found |= set(messages(ast.parse(path.read_text())))
    assert len(found) > 40
    assert {message for message in found if f"| `{message}` |" not in page} == set()


def messages(tree: ast.AST) -> Iterator[str]:
    """The texts in it that a call makes an entry of the log."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        first, called = node.args[0], node.func
        if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
            continue
        if isinstance(called, ast.Name) and called.id == "Note":
            yield first.value
        if isinstance(called, ast.Attribute) and called.attr in ("debug", "info", "warn", "error", "note"):
            owner = called.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if name in ("log", "_log") and "%s" not in first.value:  # else it is the standard library's
                yield first.value


def test_every_command_has_a_section() -> None:
    page = PAGES["reference/cli.md"]()
    assert all(f"## `ferryllm {name}`" in page for name in COMMANDS)


def test_a_diagram_joins_what_leads_the_same_way_and_ends_where_nothing_leads_on() -> None:
    edges = [
        (State.REQUEST, "b", State.HEAD),
        (State.REQUEST, "a", State.HEAD),
        (State.REQUEST, "a", State.HEAD),
        (State.HEAD, "c", State.HEAD),
        (State.HEAD, "d", State.DONE),
    ]
    lines = mermaid(edges, State).splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> request"]
    assert "    request --> head: a, b" in lines
    assert "    head --> head: c" in lines
    assert "    done --> [*]" in lines
    assert "    head --> [*]" not in lines


def test_readme_and_changelog_name_the_version_of_the_code() -> None:
    root = DOCS.parent
    assert f"Version {__version__}," in (root / "README.md").read_text()
    assert f"\n## {__version__} " in (root / "CHANGELOG.md").read_text()
