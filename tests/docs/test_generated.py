"""The pages that are made from the code are the ones in docs/."""

from __future__ import annotations

import pytest

from docs.generated import DOCS, PAGES
from docs.generated.diagrams import mermaid
from ferryllm_cli.main import COMMANDS
from ferryllm_proto import __version__
from ferryllm_proto.translate import State


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run: python docs/generate.py"


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
