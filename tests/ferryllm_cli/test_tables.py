"""Tables: aligned whatever stands in them, coloured on a terminal alone."""

from __future__ import annotations

import io
import sys

import pytest

from ferryllm_cli.tables import colour, print_table


def test_columns_are_aligned_and_nothing_hangs_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "N", "X"), [("a", "10", ""), ("long", "9", "y")], right=(1,))
    assert capsys.readouterr().out == "NAME   N  X\na     10\nlong   9  y\n"


def test_wide_characters_take_two_columns_and_control_characters_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("A", "B"), [("渡し", "x"), ("\x1b[31me\u0301", "y")])
    assert capsys.readouterr().out == "A       B\n渡し    x\n?[31me\u0301  y\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert colour()
    print_table(("STATE",), [("revoked",), ("active",)])
    assert terminal.getvalue() == "\x1b[1mSTATE\x1b[0m\n\x1b[31mrevoked\x1b[0m\nactive\n"
    monkeypatch.setenv(variable, value)
    assert not colour()
