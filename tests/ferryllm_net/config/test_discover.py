"""Which file is found, in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config.discover import find_config


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_the_option_goes_before_everything_even_if_it_does_not_exist(tmp_path: Path) -> None:
    touch(tmp_path / "ferryllm.toml")
    assert find_config("other.toml", {"FERRYLLM_CONFIG": "third.toml"}, tmp_path) == Path("other.toml")


def test_the_variable_goes_before_files(tmp_path: Path) -> None:
    touch(tmp_path / "ferryllm.toml")
    assert find_config(None, {"FERRYLLM_CONFIG": "third.toml"}, tmp_path) == Path("third.toml")


def test_the_current_folder_goes_before_the_users(tmp_path: Path) -> None:
    local = touch(tmp_path / "ferryllm.toml")
    touch(tmp_path / "xdg/ferryllm/ferryllm.toml")
    assert find_config(None, {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}, tmp_path) == local


def test_the_file_of_the_current_folder_is_named_as_a_user_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path / "ferryllm.toml")
    monkeypatch.chdir(tmp_path)
    assert find_config(None, {}, Path.cwd()) == Path("ferryllm.toml")


@pytest.mark.parametrize(
    ("variable", "folder", "platform"),
    [
        ("XDG_CONFIG_HOME", ".", "linux"),
        ("HOME", ".config", "linux"),
        ("HOME", ".config", "darwin"),
        ("HOME", "Library/Application Support", "darwin"),
        ("APPDATA", ".", "win32"),
    ],
)
def test_the_users_folder_by_platform(tmp_path: Path, variable: str, folder: str, platform: str) -> None:
    file = touch(tmp_path / "user" / folder / "ferryllm/ferryllm.toml")
    assert find_config(None, {variable: str(tmp_path / "user")}, tmp_path, platform) == file


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": "relative/is/ignored", "HOME": str(tmp_path), "FERRYLLM_CONFIG": ""}
    assert find_config(None, environ, tmp_path) is None


def test_a_folder_of_that_name_is_not_a_file(tmp_path: Path) -> None:
    (tmp_path / "ferryllm.toml").mkdir()
    assert find_config(None, {"HOME": "/\0"}, tmp_path) is None


def test_the_first_of_the_forms_counts(tmp_path: Path) -> None:
    for name in ("ferryllm.json", "ferryllm.yml", "ferryllm.yaml", "ferryllm.toml"):
        local = touch(tmp_path / name)
        assert find_config(None, {}, tmp_path) == local
