"""Tables for people: columns aligned, the head bold on a terminal, nothing but text elsewhere."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Sequence

import click

COLOURS = {"revoked": "red", "expired": "yellow"}
"""Cells that are shown in a colour, whatever their column."""


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> None:
    """``rows`` under ``head`` on standard output; the columns numbered ``right`` are numbers."""
    shown = [[_plain(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(_width, column)) for column in zip(*shown, strict=True)]
    fancy = colour()
    for number, row in enumerate(shown):
        cells = []
        for place, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - _width(cell))
            if fancy and number and cell in COLOURS:
                cell = click.style(cell, fg=COLOURS[cell])
            cells.append(space + cell if place in right else cell + space)
        line = "  ".join(cells).rstrip()
        click.echo(click.style(line, bold=True) if fancy and not number else line, color=fancy)


def colour() -> bool:
    """Whether standard output takes colours: a terminal, and neither NO_COLOR nor TERM=dumb."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stdout.isatty()


def _plain(text: str) -> str:
    """``text`` without what would move the cursor: names come from files that others may have written."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _width(text: str) -> int:
    """Columns of a terminal."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)
