"""`ferryllm keys`: what it does to the store, what it says and where, with which status."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from click.testing import CliRunner, Result

from ferryllm_cli import exit_codes
from ferryllm_cli.key_options import BOUNDS
from ferryllm_cli.main import main
from ferryllm_net.config.ledger_settings import LedgerSettings
from ferryllm_net.keys.bounds import NAMES
from ferryllm_net.ledger import Row, open_ledger
from ferryllm_proto.policy.key_text import is_mistyped

CONFIG = '[auth]\nenabled = true\n[keys]\nstore = "sqlite"\n'


class Shell:
    """A shell in an empty folder, with a configuration whose providers' secrets are not there."""

    def __init__(self) -> None:
        self.runner = CliRunner()

    def run(self, *arguments: str) -> Result:
        return self.runner.invoke(main, ["keys", *arguments])

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == exit_codes.OK, result.output
        return result.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    for name in ("FERRYLLM_CONFIG", "XDG_CONFIG_HOME", "STATE_DIRECTORY", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    Path("ferryllm.toml").write_text(
        CONFIG + '[[providers]]\nname = "a"\ntype = "openai"\nbase_url = "http://x"\napi_key_env = "NOT_SET"\n'
    )
    return Shell()


def test_a_new_key_is_the_only_thing_on_standard_output(shell: Shell) -> None:
    result = shell.run("create", "--name", "ci")
    assert result.exit_code == exit_codes.OK
    assert not is_mistyped(result.stdout.strip())
    assert result.stdout.count("\n") == 1
    assert result.stderr.startswith("key ci (key_")
    assert "shown this once" in result.stderr
    assert Path("data/ferryllm/keys.db").is_file()


def test_all_that_a_key_may_do_is_an_option(shell: Shell) -> None:
    made = shell.json(
        *("create", "--name", "ci", "--user", "ada", "--project", "web", "--model", "gpt-*", "--model", "o1"),
        *("--provider", "a", "--rpm", "60", "--tpm", "100k", "--concurrency", "4", "--daily-cost", "$2.50"),
        *("--monthly-tokens", "1_000_000", "--total-requests", "0", "--expires", "2999-01-01", "--unpriced"),
    )
    assert made["limits"] == {
        "requests_per_minute": 60,
        "tokens_per_minute": 100_000,
        "max_concurrency": 4,
        "daily_cost": 2.5,
        "monthly_tokens": 1_000_000,
        "total_requests": 0,
    }
    assert (made["models"], made["providers"], made["unpriced"]) == (["gpt-*", "o1"], ["a"], True)
    assert (made["user"], made["project"], made["expires"]) == ("ada", "web", "2999-01-01T00:00:00Z")
    assert {name for _, name, _ in BOUNDS} == set(NAMES)


def test_the_list_is_aligned_and_has_no_key_in_it(shell: Shell) -> None:
    key = shell.ok("create", "--name", "ci", "--daily-cost", "5").strip()
    shell.ok("create", "--name", "a-long-name", "--user", "ada")
    table = shell.ok("list")
    head, *rows = table.splitlines()
    assert head.split() == ["NAME", "ID", "KEY", "USER", "PROJECT", "STATE", "EXPIRES", "MODELS", "LIMITS"]
    assert [row.split()[0] for row in rows] == ["ci", "a-long-name"]
    assert {row.index("key_") for row in rows} == {head.index("ID")}
    assert rows[0].endswith("all     $5.00 a day")
    assert key[:7] in table
    assert key[:8] not in table
    assert "\x1b" not in table


def test_an_empty_list_says_how_to_begin(shell: Shell) -> None:
    result = shell.run("list")
    assert (result.exit_code, result.stdout) == (exit_codes.OK, "")
    assert "ferryllm keys create --name" in result.stderr
    assert shell.json("list") == []


def test_lists_are_narrowed(shell: Shell) -> None:
    shell.ok("create", "--name", "one", "--user", "ada", "--project", "web")
    shell.ok("create", "--name", "two", "--user", "bob")
    shell.run("revoke", "two")
    assert [key["name"] for key in shell.json("list")] == ["one"]
    assert [key["name"] for key in shell.json("list", "--all")] == ["one", "two"]
    assert [key["name"] for key in shell.json("list", "--all", "--user", "bob")] == ["two"]
    assert shell.json("list", "--project", "api") == []


def test_a_key_is_shown_by_name_and_by_id(shell: Shell) -> None:
    made = shell.json("create", "--name", "ci", "--rpm", "5", "--expires", "2999-01-01")
    by_name = shell.ok("show", "ci")
    assert shell.ok("show", made["id"]) == by_name
    lines = dict(line.split(maxsplit=1) for line in by_name.splitlines())
    assert (lines["limits"], lines["models"], lines["expires"]) == (
        "5 requests a minute",
        "all",
        "2999-01-01T00:00:00Z",
    )
    shown = shell.json("show", "ci")
    assert shown.pop("used") == {}
    assert {name: value for name, value in made.items() if name != "key"} == shown


def test_where_there_is_a_ledger_what_was_used_is_shown(shell: Shell) -> None:
    made = shell.json("create", "--name", "ci", "--daily-cost", "5", "--total-tokens", "100", "--rpm", "3")
    shell.ok("create", "--name", "other")
    anyio.run(_use, str(Path("data/ferryllm/ledger.db").absolute()), made["id"])
    assert shell.json("show", "ci")["used"] == {"daily_cost": 0.25, "total_tokens": 30}
    assert "used" in shell.ok("show", "ci")
    assert "$0.25 of $5.00 a day, 30 of 100 tokens in all" in shell.ok("show", "ci")
    head, first, second = shell.ok("list").splitlines()
    assert head.endswith("USED")
    assert first.endswith("$0.25 of $5.00 a day, 30 of 100 tokens in all")
    assert second.endswith("-")
    assert [key["used"] for key in shell.json("list")] == [{"daily_cost": 0.25, "total_tokens": 30}, {}]
    Path("data/ferryllm/ledger.db").write_text("no database" * 100)
    result = shell.run("show", "ci")
    assert result.exit_code == exit_codes.OK
    assert "note: what the keys have used is not known" in result.stderr


async def _use(path: str, key: str) -> None:
    """A request of ``key`` in the ledger at ``path``."""
    ledger = await open_ledger(LedgerSettings(store="sqlite", path=path))
    assert ledger is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ledger.run)
        row = Row("req_1", time.time(), "openai", "generate", "ok", 5, 1, key, provider="a", status=200)
        await ledger.put(msgspec.structs.replace(row, input_tokens=10, output_tokens=20, cost=250_000_000))
        tasks.cancel_scope.cancel()
    await ledger.aclose()


def test_a_rotated_key_has_a_new_text_and_the_old_one_for_its_grace(shell: Shell) -> None:
    first = shell.ok("create", "--name", "ci").strip()
    second = shell.ok("rotate", "ci", "--grace", "24h").strip()
    assert second != first
    assert not is_mistyped(second)
    texts = shell.json("show", "ci")["texts"]
    assert [text["shown"] for text in texts] == [second[:7], first[:7]]
    assert "good until" in shell.ok("show", "ci")
    shell.ok("rotate", "ci")
    assert len(shell.json("show", "ci")["texts"]) == 1


def test_limits_change_alone_what_is_named(shell: Shell) -> None:
    shell.ok("create", "--name", "ci", "--rpm", "5", "--daily-cost", "1", "--model", "a", "--user", "ada")
    given = ("--rpm", "none", "--tpm", "7", "--model", "b", "--project", "web", "--expires", "30d", "--unpriced")
    found = shell.json("limits", "ci", *given)
    assert found["limits"] == {"tokens_per_minute": 7, "daily_cost": 1.0}
    assert (found["models"], found["user"], found["project"]) == (["b"], "ada", "web")
    assert (found["unpriced"], found["expires"] is None) == (True, False)
    found = shell.json("limits", "ci", "--model", "none", "--user", "none", "--expires", "none", "--priced")
    assert (found["models"], found["user"], found["expires"], found["unpriced"]) == ([], "", None, False)
    assert shell.ok("limits", "ci") == shell.ok("show", "ci")


def test_revoking_goes_on_after_what_is_not_there(shell: Shell) -> None:
    shell.ok("create", "--name", "one")
    shell.ok("create", "--name", "two")
    result = shell.run("revoke", "one", "none", "two")
    assert result.exit_code == exit_codes.FAILURE
    assert "error: no key is called 'none'" in result.stderr
    assert shell.json("list") == []
    assert {key["state"] for key in shell.json("list", "--all")} == {"revoked"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "none"), "error: no key is called 'none'"),
        (("rotate", "fy-abcdefgh12345"), "error: no key is called so: name the key or its id"),
        (("create", "--name", " x"), "error: expected a name of 1 to 100 characters"),
        (("create", "--name", "x", "--expires", "2020-01-01"), "error: the key would be expired already"),
        (("create", "--name", "x", "--model", ""), "error: expected names of 1 to 512 characters"),
        (("projects", "limits", "none", "--rpm", "1"), "error: no project is called 'none'"),
    ],
)
def test_what_can_not_be_done_is_a_sentence(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    result = shell.run(*arguments)
    assert (result.exit_code, result.stdout) == (exit_codes.FAILURE, "")
    assert said in result.stderr
    assert "abcdefgh" not in result.output


def test_a_name_that_is_taken_names_the_way_out(shell: Shell) -> None:
    shell.ok("create", "--name", "ci")
    result = shell.run("create", "--name", "ci")
    assert result.exit_code == exit_codes.FAILURE
    assert "rotate that one" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create",), "Missing option '--name'"),
        (("create", "--name", "x", "--rpm", "0"), "whole number from 1 on"),
        (("create", "--name", "x", "--rpm", "1.5"), "whole number from 1 on"),
        (("create", "--name", "x", "--daily-cost", "much"), "expected dollars"),
        (("create", "--name", "x", "--expires", "soon"), "as in 30d"),
        (("rotate", "x", "--grace", "long"), "24h"),
        (("projects", "create", "x", "--concurrency", "1"), "No such option"),
    ],
)
def test_wrong_usage_is_told_with_an_example(shell: Shell, arguments: tuple[str, ...], said: str) -> None:
    result = shell.run(*arguments)
    assert result.exit_code == exit_codes.USAGE
    assert said in result.stderr


def test_without_a_store_the_mend_is_said(shell: Shell) -> None:
    Path("ferryllm.toml").write_text("[auth]\nenabled = true\n")
    result = shell.run("list")
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert 'add [keys] with store = "sqlite" to ferryllm.toml' in result.stderr
    Path("ferryllm.toml").unlink()
    result = shell.run("list")
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert "FERRYLLM_KEYS__STORE=sqlite" in result.stderr


def test_the_environment_alone_names_a_store(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("ferryllm.toml").unlink()
    monkeypatch.setenv("FERRYLLM_KEYS__STORE", "sqlite")
    result = shell.run("create", "--name", "ci")
    assert result.exit_code == exit_codes.OK
    assert "FERRYLLM_KEYS__STORE: nobody is asked for a key" in result.stderr


def test_a_configuration_that_is_wrong_there_is_reported(shell: Shell) -> None:
    Path("ferryllm.toml").write_text('[keys]\nstore = "sqlight"\n')
    result = shell.run("list")
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert "ferryllm.toml:2: keys.store" in result.stderr


def test_a_provider_that_the_configuration_does_not_have_may_be_a_slip(shell: Shell) -> None:
    assert "note" not in shell.run("create", "--name", "one", "--provider", "a").stderr
    result = shell.run("create", "--name", "two", "--provider", "aa")
    assert result.exit_code == exit_codes.OK
    assert "note: the configuration has no provider aa; did you mean a?" in result.stderr


def test_projects_are_made_listed_changed_and_removed(shell: Shell) -> None:
    assert "gives it some" in shell.run("projects", "list").stderr
    assert shell.ok("projects", "create", "web", "--monthly-cost", "50") == "project web: $50.00 a month\n"
    shell.ok("create", "--name", "ci", "--project", "web")
    assert shell.ok("projects", "list") == "NAME  KEYS  LIMITS\nweb      1  $50.00 a month\n"
    assert shell.json("projects", "limits", "web", "--tpm", "7", "--monthly-cost", "none")["limits"] == {
        "tokens_per_minute": 7
    }
    assert [(one["name"], one["keys"]) for one in shell.json("projects", "list")] == [("web", 1)]
    result = shell.run("create", "--name", "other", "--project", "wen")
    assert "note: the project wen has no limits; did you mean web?" in result.stderr
    assert "its keys go on" in shell.run("projects", "remove", "web").stderr
    assert shell.json("projects", "list") == []


def test_help_teaches_by_example(shell: Shell) -> None:
    text = shell.ok("--help")
    for word in ("ferryllm keys create --name laptop", "--daily-cost 5 --expires 30d", "Exit status"):
        assert word in text
    for name in ("create", "list", "show", "rotate", "revoke", "limits", "projects"):
        assert name in text
        assert "Usage: main keys" in shell.ok(name, "--help")
