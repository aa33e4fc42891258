"""Progress: a line that changes on a terminal, lines elsewhere, nothing where nothing is wanted."""

from __future__ import annotations

import io

import pytest

from ferryllm_cli.bench_progress import CLEAR, Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(progress: Progress) -> None:
    progress("gateway: warm-up", 0.0)
    for step in range(21):
        progress("gateway", step / 20)
    progress("", 1.0)
    progress.close()


def test_a_terminal_has_one_line_and_none_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    told(Progress.to(out, quiet=False))
    assert "\n" not in out.getvalue()
    assert f"{CLEAR} 50% gateway" in out.getvalue()
    assert out.getvalue().endswith(CLEAR)


@pytest.mark.parametrize("terminal", [True, False])
def test_elsewhere_each_tenth_is_a_line(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal() if terminal else io.StringIO()
    told(Progress.to(out, quiet=False))
    lines = out.getvalue().splitlines()
    assert lines == ["0% gateway: warm-up", *(f"{tenth * 10}% gateway" for tenth in range(11))]
    assert CLEAR not in out.getvalue()


def test_quiet_is_quiet() -> None:
    out = Terminal()
    told(Progress.to(out, quiet=True))
    assert out.getvalue() == ""
