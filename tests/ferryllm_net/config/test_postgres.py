"""`[postgres]`: its URL, and a name for messages that has no password in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError
from ferryllm_net.config.load import load_settings
from ferryllm_net.config.postgres_settings import PostgresSettings

PROVIDER = '[[providers]]\nname = "p"\ntype = "openai"\nbase_url = "http://127.0.0.1:9"\n'
PASSWORD = "pw-secret"


def load(folder: Path, text: str) -> tuple[PostgresSettings | None, list[str]]:
    """The settings, or None; and every problem in words."""
    path = folder / "ferryllm.toml"
    path.write_text(text + PROVIDER)
    try:
        settings = load_settings(path, {"URL": f"postgresql://ferry:{PASSWORD}@db.example:6000/rows?sslmode=require"})
    except ConfigError as fault:
        return None, [f"{one.key}: {one.message}: {one.mend}" for one in fault.problems]
    return settings.postgres, [f"{one.key}: {one.message}: {one.mend}" for one in settings.warnings]


def test_there_is_none_without_a_url(tmp_path: Path) -> None:
    assert load(tmp_path, "") == (None, [])
    assert load(tmp_path, "[postgres]\n") == (None, [])
    found, (warning,) = load(tmp_path, "[postgres]\npool = 2\n")
    assert found is None
    assert warning.startswith("postgres: not used, because it has no url")


def test_a_url_from_a_variable(tmp_path: Path) -> None:
    found, problems = load(tmp_path, '[postgres]\nurl_env = "URL"\npool = 2\nprepared = false\n')
    assert problems == []
    assert found is not None
    assert (found.place, found.pool, found.prepared) == ("db.example:6000/rows", 2, False)
    assert PASSWORD in found.url.reveal()
    assert PASSWORD not in repr(found)


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgres://127.0.0.1/rows", "127.0.0.1/rows"),
        ("postgresql://a:b@[::1]:5433/rows", "[::1]:5433/rows"),
        ("postgresql:///rows?host=/run/postgresql", "/run/postgresql/rows"),
        ("postgresql://a@one:1,two:2/rows", "one:1,two:2/rows"),
        ("postgresql://127.0.0.1?dbname=rows", "127.0.0.1/rows"),
    ],
)
def test_its_place_is_named_as_people_write_it(tmp_path: Path, url: str, place: str) -> None:
    found, problems = load(tmp_path, f'[postgres]\nurl = "{url}"\n')
    assert problems == []
    assert found is not None
    assert found.place == place


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://a:pw-secret@127.0.0.1/rows", "expected a URL of postgresql"),
        ("postgresql://a:pw-secret@127.0.0.1", "no database in the URL"),
        ("postgresql:///rows", "no host in the URL"),
        ("postgresql://a:pw-secret@[::1/rows", "not a URL"),
        ("pw-secret", "expected a URL of postgresql"),
    ],
)
def test_what_is_no_url_is_said_without_it(tmp_path: Path, url: str, message: str) -> None:
    found, (problem,) = load(tmp_path, f'[postgres]\nurl = "{url}"\n')
    assert found is None
    assert problem.startswith(f"postgres.url: {message}")
    assert PASSWORD not in problem


def test_a_password_on_its_way_through_the_clear_is_warned_of(tmp_path: Path) -> None:
    found, (warning,) = load(tmp_path, '[postgres]\nurl = "postgresql://a:pw-secret@db.example/rows"\n')
    assert found is not None
    assert "may travel to db.example unencrypted" in warning
    assert load(tmp_path, '[postgres]\nurl = "postgresql://a:pw-secret@127.0.0.1/rows"\n')[1] == []


@pytest.mark.parametrize(
    ("missing", "backend", "named"),
    [
        ("asyncpg", "asyncio", ["asyncpg"]),
        ("trio_asyncio", "asyncio", []),
        ("trio_asyncio", "trio", ["trio-asyncio"]),
    ],
)
def test_what_it_needs_and_is_not_installed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, backend: str, named: list[str]
) -> None:
    def find(name: str) -> object:
        return None if name == missing else object()

    monkeypatch.setattr("ferryllm_net.config.postgres.importlib.util.find_spec", find)
    _, problems = load(tmp_path, f'[server]\nbackend = "{backend}"\n[postgres]\nurl_env = "URL"\n')
    expected = 'postgres: the package {} is not installed: pip install "ferryllm[postgres]"'
    assert problems == [expected.format(name) for name in named]
