"""The pages of docs/ that are made from the code. `python docs/generate.py` writes them, a test compares them."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

from ferryllm_net.config.reference import reference_page

from . import cli, compatibility, diagrams, endpoints, errors, ledger, limits, log_lines, metrics, mock, vendors

DOCS = pathlib.Path(__file__).resolve().parents[3] / "docs"

PAGES: dict[str, Callable[[], str]] = {
    "reference/cli.md": cli.page,
    "reference/compatibility.md": compatibility.page,
    "reference/configuration.md": reference_page,
    "reference/endpoints.md": endpoints.page,
    "reference/errors.md": errors.page,
    "reference/ledger.md": ledger.page,
    "reference/limits.md": limits.page,
    "reference/log-lines.md": log_lines.page,
    "reference/metrics.md": metrics.page,
    "reference/mock.md": mock.page,
    "reference/vendors.md": vendors.page,
    "explanation/diagrams.md": diagrams.page,
}
"""Path below docs/ to what makes the page."""


def write_all() -> list[str]:
    """Write every page; returns the paths of those that changed."""
    changed = []
    for name, make in PAGES.items():
        path, text = DOCS / name, make()
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            changed.append(name)
    return changed
