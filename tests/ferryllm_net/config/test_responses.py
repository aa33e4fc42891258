"""Where responses are kept has to be a place that can be written, and one that is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ResponsesSettings
from ferryllm_net.config.problems import Report, key_text
from ferryllm_net.config.responses import resolve_responses
from ferryllm_net.config.schema import Responses


def resolved(config: Responses, base: Path) -> tuple[ResponsesSettings, str]:
    report = Report(lambda path: ("f", None, key_text(path)))
    settings = resolve_responses(config, base, report)
    return settings, "\n".join(map(str, report.problems))


def test_the_defaults_are_those_of_the_settings(tmp_path: Path) -> None:
    assert resolved(Responses(), tmp_path) == (ResponsesSettings(), "")


def test_a_relative_path_counts_from_the_file(tmp_path: Path) -> None:
    settings, text = resolved(Responses("sqlite", "r.db", 60, 1), tmp_path)
    assert settings == ResponsesSettings("sqlite", str(tmp_path / "r.db"), 60, 1 << 20)
    assert text == ""


@pytest.mark.parametrize("path", [None, "", " "])
def test_a_file_has_to_be_named(tmp_path: Path, path: str | None) -> None:
    assert (
        'responses.path: missing: sqlite keeps responses in a file (add path = "responses.db")'
        in resolved(Responses("sqlite", path), tmp_path)[1]
    )


def test_a_place_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "there is no folder" in resolved(Responses("sqlite", "nowhere/r.db"), tmp_path)[1]
    assert "is no file" in resolved(Responses("sqlite", "."), tmp_path)[1]
    assert "responses.path" in resolved(Responses("sqlite", "a\0b"), tmp_path)[1]
    assert "responses.path" in resolved(Responses("sqlite", "file/r.db"), tmp_path)[1]


def test_a_path_without_use_is_a_warning(tmp_path: Path) -> None:
    settings, text = resolved(Responses("memory", "r.db"), tmp_path)
    assert settings.path is None
    assert 'warning: responses.path: not used, because store is "memory"' in text
