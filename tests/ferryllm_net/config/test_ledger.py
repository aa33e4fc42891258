"""`[ledger]`: whether there is one, and where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, Settings
from ferryllm_net.config.ledger_schema import Ledger
from ferryllm_net.config.ledger_settings import LedgerSettings
from ferryllm_net.config.load import load_settings

PROVIDER = '[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "http://127.0.0.1:9"\n'
KEYS = {"CLIENTS": "client-key-0123456789"}
QUOTA = """
[auth]
enabled = true
[[auth.keys]]
name = "laptop"
key_env = "CLIENTS"
daily_tokens = 1000
"""


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = folder / "ferryllm.toml"
    path.write_text(text + PROVIDER)
    return load_settings(path, {"HOME": str(folder / "home"), **KEYS, **(environ or {})})


def problems(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environ)
    return [f"{one.key}: {one.message}: {one.mend}" for one in caught.value.problems]


def warnings(folder: Path, text: str) -> list[str]:
    return [f"{one.key}: {one.message}" for one in load(folder, text).warnings]


def test_there_is_none_by_default(tmp_path: Path) -> None:
    assert load(tmp_path, "").ledger == LedgerSettings()


def test_a_table_makes_one_in_the_data_folder(tmp_path: Path) -> None:
    settings = load(tmp_path, "[ledger]\n", {"XDG_DATA_HOME": str(tmp_path / "data")}).ledger
    assert (settings.store, settings.path) == ("sqlite", str(tmp_path / "data" / "ferryllm" / "ledger.db"))
    assert settings.makes_folder
    assert settings.retention_days is None


@pytest.mark.parametrize("text", [QUOTA, '[auth]\nenabled = true\n[keys]\nstore = "sqlite"\n'])
def test_quotas_and_stores_of_keys_make_one(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text).ledger.store == "sqlite"


def test_keys_in_postgresql_have_their_ledger_there(tmp_path: Path) -> None:
    text = '[auth]\nenabled = true\n[keys]\nstore = "postgres"\n[postgres]\nurl = "postgresql://127.0.0.1/db"\n'
    assert load(tmp_path, text).ledger.store == "postgres"
    assert load(tmp_path, text + '[ledger]\nstore = "off"\n').ledger.store == "off"


def test_everything_can_be_said(tmp_path: Path) -> None:
    text = """
[ledger]
store = "sqlite"
path = "rows.db"
retention_days = 90
on_failure = "refuse"
deadline_ms = 500
fsync = true
max_waiting = 1000
"""
    expected = LedgerSettings("sqlite", str(tmp_path / "rows.db"), False, 90, "refuse", 0.5, True, 1000)
    assert load(tmp_path, text).ledger == expected


def test_the_defaults_are_those_of_the_settings() -> None:
    form, settings = Ledger(), LedgerSettings()
    assert form.deadline_ms == settings.deadline_secs * 1000
    assert (form.max_waiting, form.on_failure, form.fsync) == (
        settings.max_waiting,
        settings.on_failure,
        settings.fsync,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[ledger]\npath = "none/rows.db"\n', "ledger.path: there is no folder"),
        ('[ledger]\npath = "home"\n', "ledger.path: .* is no file"),
        ('[ledger]\npath = " "\n', "ledger.path: no file can have this name"),
        ('[ledger]\npath = "a\\u0000"\n', "ledger.path: no file can have this name"),
        ('[ledger]\nstore = "postgres"\n', r"ledger.store: there is no PostgreSQL .*add \[postgres\]"),
        ("[ledger]\nretention_days = 0\n", "ledger.retention_days"),
        ("[ledger]\nkeep = 1\n", "ledger.keep"),
    ],
)
def test_what_cannot_be_is_said(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "home").mkdir()
    (problem,) = problems(tmp_path, text)
    assert re.match(message, problem), problem


def test_a_home_is_needed_where_no_file_is_named(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "[ledger]\n", {"HOME": ""})
    assert "ledger.store: no folder for its file" in problem


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ('[ledger]\nstore = "off"\npath = "x.db"\n', 'ledger.path: not used, because store is "off"'),
        ('[ledger]\nstore = "off"\nfsync = true\n', 'ledger.fsync: not used, because store is "off"'),
        ('[ledger]\nstore = "off"\n' + QUOTA, "ledger.store: keys have quotas, and what they have used is forgotten"),
        ("[ledger]\nretention_days = 7\n" + QUOTA, "ledger.retention_days: shorter than a month"),
    ],
)
def test_what_is_of_no_use_is_said(tmp_path: Path, text: str, warning: str) -> None:
    assert any(one.startswith(warning) for one in warnings(tmp_path, text)), warnings(tmp_path, text)
