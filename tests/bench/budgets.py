"""The budgets: what each scenario may cost, in a file that says for which Python it was measured."""

from __future__ import annotations

import pathlib
import platform
import sys

import msgspec
import tomli

FILE = pathlib.Path(__file__).with_name("budgets.toml")

_HEAD = """\
# Instructions of one run of each scenario (tests/bench/scenarios.py), as measured; `scripts/test --deep` fails above
# `tolerance` times that. They differ with the version of Python and the processor, so elsewhere they are not compared.
# Written by: scripts/bench --write-budgets

"""


class Budgets(msgspec.Struct, frozen=True):
    python: str
    """Major and minor version."""
    machine: str
    tolerance: float
    instructions: dict[str, float]


def here() -> tuple[str, str]:
    """The Python and the machine of this process."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}", platform.machine()


def read(file: pathlib.Path = FILE) -> Budgets:
    return msgspec.convert(tomli.loads(file.read_text()), Budgets)


def write(costs: dict[str, float], tolerance: float, file: pathlib.Path = FILE) -> None:
    """Write what was measured; names not measured now keep what they had, unless that was on another Python."""
    python, machine = here()
    kept: dict[str, float] = {}
    if file.exists() and ((old := read(file)).python, old.machine) == (python, machine):
        kept = dict(old.instructions)
    lines = [f'python = "{python}"', f'machine = "{machine}"', f"tolerance = {tolerance}", "", "[instructions]"]
    lines += [f'"{name}" = {round(cost)}' for name, cost in (kept | costs).items()]
    file.write_text(_HEAD + "\n".join(lines) + "\n")
