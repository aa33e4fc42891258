"""A key that made no request is told from one that nobody knows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ferryllm_cli import exit_codes
from ferryllm_cli.main import main
from ferryllm_net.ledger.sqlite import SqliteLedger
from support.ledgers import NOON, row

CONFIG = """
[ledger]
path = "l.db"
[auth]
enabled = true
api_keys_env = "NOT_SET"
[[auth.keys]]
name = "night-job"
key_env = "NOT_SET_EITHER"
[keys]
store = "sqlite"
path = "keys.db"
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FERRYLLM_CONFIG", raising=False)
    Path("ferryllm.toml").write_text(CONFIG)

    async def work() -> None:
        ledger = SqliteLedger.open(Path("l.db"))
        await ledger.put(row(time=NOON - 10_000 * 86_400, key="k1", key_name="gone"))
        await ledger.aclose()

    asyncio.run(work())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.mark.parametrize("key", ["gone", "k1", "night-job", "env-1", ""])
def test_a_key_of_the_ledger_or_the_configuration_has_made_no_request(key: str) -> None:
    result = run("usage", "--key", key)
    assert (result.exit_code, result.stdout.startswith("no requests since")) == (exit_codes.OK, True)


def test_a_key_of_the_store_is_known_by_both_its_names() -> None:
    assert run("keys", "create", "--name", "ci").exit_code == exit_codes.OK
    id_ = run("keys", "list").stdout.split("ci", 1)[1].split()[0]
    for key in ("ci", id_):
        assert run("usage", "--key", key).exit_code == exit_codes.OK


@pytest.mark.parametrize("form", [(), ("--json",), ("--csv",)])
def test_a_key_that_nobody_knows_is_said(form: tuple[str, ...]) -> None:
    for _ in range(2):  # with no store yet, and with one
        result = run("usage", "--key", "lptop", *form)
        assert (result.exit_code, result.stdout) == (exit_codes.FAILURE, "")
        assert result.stderr.startswith("error: no key has the name or id 'lptop'")
        run("keys", "create", "--name", "laptop")


def test_asking_makes_no_store() -> None:
    run("usage", "--key", "lptop")
    assert not Path("keys.db").exists()


def test_a_configuration_that_is_wrong_is_said() -> None:
    Path("ferryllm.toml").write_text(CONFIG.replace('store = "sqlite"', 'store = "sqlit"'))
    result = run("usage", "--key", "lptop")
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert "keys.store" in result.stderr
