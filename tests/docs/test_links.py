"""Links between pages lead somewhere, and every page can be reached."""

from __future__ import annotations

import pathlib
import re

import pytest

from docs.pages import PAGES, ROOT, blocks

_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def prose(page: pathlib.Path) -> str:
    """The page without its fenced blocks."""
    text = page.read_text()
    for block in blocks(page):
        text = text.replace(block.text, "")
    return text


def anchors(page: pathlib.Path) -> set[str]:
    """The names that headings get: lower case, punctuation away, blanks to dashes."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def links(page: pathlib.Path) -> list[tuple[str, pathlib.Path, str]]:
    """Each link to a file: as written, the file, the anchor."""
    found = []
    for target in _LINK.findall(prose(page)):
        if "://" not in target:
            path, _, anchor = target.partition("#")
            found.append((target, (page.parent / path).resolve() if path else page, anchor))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_a_file_and_a_heading(page: pathlib.Path) -> None:
    for written, path, anchor in links(page):
        assert path.exists(), f"{written} leads nowhere"
        if anchor:
            assert anchor in anchors(path), f"{written}: no such heading; there are {sorted(anchors(path))}"


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[pathlib.Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            ahead.extend(path for _, path, _ in links(page))
    assert set(PAGES) <= seen, sorted(str(page.relative_to(ROOT)) for page in set(PAGES) - seen)
