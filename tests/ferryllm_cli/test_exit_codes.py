"""Exit statuses are a promise to scripts: told apart, and as the help says."""

from __future__ import annotations

from click.testing import CliRunner

from ferryllm_cli import exit_codes
from ferryllm_cli.main import main

STATUSES = {name: value for name, value in vars(exit_codes).items() if name.isupper()}


def test_each_status_says_one_thing() -> None:
    assert STATUSES == {"OK": 0, "FAILURE": 1, "USAGE": 2, "CONFIG_INVALID": 3, "LOSSY": 4, "ADDRESS_IN_USE": 5}


def test_the_help_of_serve_tells_them() -> None:
    text = " ".join(CliRunner().invoke(main, ["serve", "--help"]).output.split())
    assert "Exit status: 0 stopped, 1 failed, 2 wrong usage, 3 configuration invalid, 5 address in use." in text
