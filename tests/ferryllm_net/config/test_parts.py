"""Tables of a configuration without the rest of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError
from ferryllm_net.config.parts import load_parts


def test_what_is_wrong_elsewhere_keeps_nobody_out(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text('nonsense = 1\n[keys]\nstore = "sqlite"\n[server]\nlisten = "${NO}"\n[[providers]]\nname = 1\n')
    parts = load_parts(file, {}, ("keys",))
    assert parts.config.keys.store == "sqlite"
    assert parts.report.problems == ()
    assert parts.base == tmp_path


def test_what_is_wrong_there_is_said_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "f.toml"
    file.write_text('[keys]\nstore = "sqlite"\nfile = "x"\n')
    parts = load_parts(file, {"FERRYLLM_KEYS__STORE": "x"}, ("keys",))
    with pytest.raises(ConfigError) as caught:
        parts.report.raise_errors()
    assert [(one.file, one.line) for one in caught.value.problems] == [("environment", None), (str(file), 3)]


def test_the_environment_is_enough() -> None:
    parts = load_parts(None, {"FERRYLLM_KEYS__STORE": "sqlite", "FERRYLLM_SERVER__WORKERS": "0"}, ("keys",))
    assert parts.config.keys.store == "sqlite"
    assert parts.report.problems == ()
    assert parts.base == Path.cwd()


@pytest.mark.parametrize("text", ["[keys", None])
def test_what_is_no_file_is_a_fault(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "f.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=r"f\.toml"):
        load_parts(file, {}, ("keys",))
