"""Filters of targets in `logging.level`: the level that is taken, what is warned of, what is refused."""

from __future__ import annotations

import pytest

from ferryllm_net.config.given import Given
from ferryllm_net.config.log_filter import with_plain_level
from ferryllm_net.config.problems import Report, key_text


def taken(text: object) -> tuple[object, str]:
    report = Report(lambda path: ("f", None, key_text(path)))
    found = with_plain_level({"logging": {"level": text, "format": "json"}}, report)["logging"]
    assert isinstance(found, dict)
    assert found["format"] == "json"
    return found.get("level"), "\n".join(map(str, report.problems))


@pytest.mark.parametrize("text", ["debug", "loud", "", 7, None])
def test_what_is_no_filter_is_left_to_validation(text: object) -> None:
    assert taken(text) == (text, "")


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("ferryllm=debug", "debug"),
        ("warn,ferryllm=trace", "trace"),
        ("ferryllm=error, WARN", "error"),
        ("info,error", "error"),
    ],
)
def test_the_part_for_the_gateway_goes_before_the_one_for_all(text: str, level: str) -> None:
    assert taken(text) == (level, "")


@pytest.mark.parametrize(("text", "level"), [("ferryllm=debug,hyper=warn", "debug"), ("hyper=warn", "info")])
def test_other_targets_are_warned_of(text: str, level: str) -> None:
    found, said = taken(text)
    assert found == level
    assert (
        said == f"f: warning: logging.level: not used: hyper; the level is {level} (write ferryllm=LEVEL, or a level)"
    )


@pytest.mark.parametrize("text", ["ferryllm=loud", "debug,", "ferryllm=", "a=b=c"])
def test_a_filter_without_a_level_is_refused(text: str) -> None:
    found, said = taken(text)
    assert found is None
    assert said.startswith("f: logging.level: expected a level, or levels of targets")


def test_nothing_of_the_environment_is_quoted() -> None:
    assert taken(Given("s3cret=warn"))[1].count("s3cret") == 0


def test_a_document_without_the_table_stays() -> None:
    report = Report(lambda path: ("f", None, key_text(path)))
    assert with_plain_level({"logging": 1, "server": {}}, report) == {"logging": 1, "server": {}}
