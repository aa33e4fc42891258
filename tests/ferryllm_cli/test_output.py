"""Talk goes to standard error, coloured only for those who want it."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

from ferryllm_cli.output import colour, print_problems
from ferryllm_net.config import Problem, Severity

PROBLEMS = (
    Problem(Severity.WARNING, "f", 1, "a", "odd", "mend it"),
    Problem(Severity.ERROR, "f", 2, "b", "bad", ""),
)


def terminal(monkeypatch: pytest.MonkeyPatch, is_one: bool) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("TERM", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_one)


def test_problems_go_to_standard_error_one_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal(monkeypatch, False)
    print_problems(PROBLEMS)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "f:1: warning: a: odd (mend it)\nf:2: b: bad\n")


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    terminal(monkeypatch, True)
    print_problems(PROBLEMS)
    err = capsys.readouterr().err
    assert "\x1b[33mf:1: warning" in err
    assert "\x1b[31mf:2: b" in err


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    terminal(monkeypatch, True)
    assert colour()
    monkeypatch.setenv(variable, value)
    assert not colour()


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["mock", "--directives"]])
def test_a_full_disk_is_a_sentence_and_a_status(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ferryllm_cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write to standard output: ")
    assert "Traceback" not in done.stderr
