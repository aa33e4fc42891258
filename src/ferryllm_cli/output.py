"""How the command line talks: data to standard output, everything else to standard error."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from . import exit_codes

if TYPE_CHECKING:
    from ferryllm_net.config import Problem


UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What writing to a full or broken output fails with."""


def give_up(exc: OSError) -> int:
    """Say that standard output could not be written; returns the exit status.

    What is still buffered has nowhere to go: Python would complain once more when it closes the stream.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    say(f"error: cannot write to standard output: {exc.strerror or exc}")
    return exit_codes.FAILURE


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
