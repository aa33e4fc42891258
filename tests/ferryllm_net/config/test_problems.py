"""Problems: their one-line form, their order, key paths and near words."""

from __future__ import annotations

import pytest

from ferryllm_net.config.problems import ConfigError, Path, Problem, Report, Severity, key_text, nearest


def locate(path: Path) -> tuple[str, int | None, str]:
    return "f.toml", {"a": 3, "b": 1}.get(str(path[0])), key_text(path)


def test_a_problem_reads_file_line_key_message_mend() -> None:
    problem = Problem(Severity.ERROR, "f.toml", 7, "server.listen", "bad", "write another")
    assert str(problem) == "f.toml:7: server.listen: bad (write another)"


def test_what_is_not_known_is_left_out_of_the_line() -> None:
    assert str(Problem(Severity.ERROR, "f.toml", None, "", "no such file", "")) == "f.toml: no such file"


def test_a_warning_says_that_it_is_one() -> None:
    problem = Problem(Severity.WARNING, "f.toml", 1, "k", "odd", "")
    assert str(problem) == "f.toml:1: warning: k: odd"


def test_key_text_counts_from_zero() -> None:
    assert key_text(("providers", 1, "base_url")) == "providers[1].base_url"
    assert key_text(("server",)) == "server"


def test_problems_come_in_the_order_of_the_file() -> None:
    report = Report(locate)
    report.error(("a",), "third")
    report.warn(("b",), "second")
    report.error(("c",), "first")
    assert [problem.message for problem in report.problems] == ["first", "second", "third"]


def test_only_refused_places_are_not_accepted() -> None:
    report = Report(locate)
    report.error(("a",), "bad")
    report.warn(("b",), "odd")
    assert not report.accepted(("a",))
    assert report.accepted(("b",))
    assert report.accepted(("a", "x"))


def test_errors_are_raised_together_with_the_warnings() -> None:
    report = Report(locate)
    report.error(("a",), "bad")
    report.warn(("b",), "odd")
    with pytest.raises(ConfigError) as caught:
        report.raise_errors()
    assert [problem.message for problem in caught.value.problems] == ["odd", "bad"]
    assert "f.toml:3: a: bad" in str(caught.value)


def test_warnings_alone_raise_nothing() -> None:
    report = Report(locate)
    report.warn(("b",), "odd")
    report.raise_errors()
    assert [problem.message for problem in report.warnings] == ["odd"]


@pytest.mark.parametrize(
    ("word", "near"),
    [("lisen", "listen"), ("Base-URL", "base_url"), ("baseurl", "base_url"), ("entirely_else", None)],
)
def test_nearest_finds_slips_and_nothing_else(word: str, near: str | None) -> None:
    assert nearest(word, ["listen", "base_url", "name"]) == near


def test_a_part_is_refused_by_what_is_refused_in_it_where_the_user_wrote_it() -> None:
    report = Report(lambda path: ("f", None, key_text(path)))
    report.redirect(("providers", 1), ("models", "m"), {"base_url": "endpoint"})
    report.error(("providers", 1, "base_url"), "no")
    report.warn(("providers", 0, "type"), "odd")
    assert report.refused_within(("providers", 1))
    assert not report.refused_within(("providers", 0))
    assert not report.refused_within(("providers", 10))
