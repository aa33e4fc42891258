"""How the command line talks: data to standard output, everything else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ferryllm_net.config import Problem


def say(text: str) -> None:
    """A line for the person, on standard error."""
    click.echo(text, err=True, color=colour())


def print_problems(problems: Iterable[Problem]) -> None:
    """Each problem as `file:line: key: message (mend)`, on standard error."""
    for problem in problems:
        warning = problem.severity.value == "warning"
        say(click.style(str(problem), fg="yellow" if warning else "red"))


def colour() -> bool:
    """Whether standard error takes colours: a terminal, and neither NO_COLOR nor TERM=dumb (see no-color.org)."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return sys.stderr.isatty()
