"""`ferryllm check-config`: what it says, where it says it, and with which status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ferryllm_cli import exit_codes
from ferryllm_cli.main import main
from support.planted import PROVIDER_KEY, leaks

GOOD = '[[providers]]\nname = "a"\ntype = "openai"\nbase_url = "https://x.example"\napi_key_env = "KEY"\n'


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """A runner in an empty folder, with an environment that holds one key and nothing of the real one."""
    monkeypatch.chdir(tmp_path)
    for name in ("FERRYLLM_CONFIG", "XDG_CONFIG_HOME", "APPDATA", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KEY", PROVIDER_KEY)
    return CliRunner()


def test_a_good_file_is_ok_on_standard_output(runner: CliRunner) -> None:
    Path("f.toml").write_text(GOOD)
    result = runner.invoke(main, ["check-config", "--config", "f.toml"])
    assert (result.exit_code, result.stdout, result.stderr) == (exit_codes.OK, "config ok: f.toml\n", "")


def test_every_problem_is_on_standard_error_and_the_status_is_3(runner: CliRunner) -> None:
    Path("f.toml").write_text(
        GOOD.replace('"openai"', '"opnai"').replace("KEY", "NO_SUCH_KEY") + "[server]\nlisen = 1\n"
    )
    result = runner.invoke(main, ["check-config", "-c", "f.toml"])
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert result.stdout == ""
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        ["f.toml:3", "providers[0].type"],
        ["f.toml:5", "providers[0].api_key_env"],
        ["f.toml:7", "server.lisen"],
    ]


def test_warnings_do_not_fail(runner: CliRunner) -> None:
    Path("f.toml").write_text(GOOD + '[server]\nlisten = "0.0.0.0:3000"\n')
    result = runner.invoke(main, ["check-config", "-c", "f.toml"])
    assert result.exit_code == exit_codes.OK
    assert result.stdout == "config ok: f.toml\n"
    assert result.stderr.startswith("f.toml:7: warning: server.listen: ")


def test_json_is_one_object_for_good_and_for_bad(runner: CliRunner) -> None:
    Path("f.toml").write_text(GOOD)
    good = runner.invoke(main, ["check-config", "-c", "f.toml", "--json"])
    assert json.loads(good.stdout) == {"ok": True, "config": "f.toml", "problems": []}
    Path("f.toml").write_text("x = 1")
    bad = runner.invoke(main, ["check-config", "-c", "f.toml", "--json"])
    assert bad.exit_code == exit_codes.CONFIG_INVALID
    assert bad.stderr == ""
    found = json.loads(bad.stdout)
    assert found["ok"] is False
    assert [set(problem) for problem in found["problems"]] == [
        {"severity", "file", "line", "key", "message", "mend"}
    ] * 2


def test_a_file_that_is_not_there_is_an_invalid_configuration(runner: CliRunner) -> None:
    result = runner.invoke(main, ["check-config", "-c", "none.toml"])
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert result.stderr.startswith("none.toml: no such file")


def test_without_an_option_the_file_is_found(runner: CliRunner) -> None:
    Path("ferryllm.toml").write_text(GOOD)
    assert runner.invoke(main, ["check-config"]).stdout == "config ok: ferryllm.toml\n"
    Path("other.toml").write_text(GOOD)
    result = runner.invoke(main, ["check-config"], env={"FERRYLLM_CONFIG": "other.toml"})
    assert result.stdout == "config ok: other.toml\n"


def test_without_a_file_the_environment_is_checked(runner: CliRunner) -> None:
    result = runner.invoke(main, ["check-config"], env={"ANTHROPIC_API_KEY": PROVIDER_KEY})
    assert result.stdout == "config ok: no file; from the environment: anthropic\n"
    result = runner.invoke(main, ["check-config"], env={"ANTHROPIC_API_KEY": PROVIDER_KEY + "é"})
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert result.stderr.startswith("environment: ANTHROPIC_API_KEY: ")
    assert leaks(result.output) == []


def test_without_anything_the_demo_serves(runner: CliRunner) -> None:
    result = runner.invoke(main, ["check-config"])
    assert result.exit_code == exit_codes.OK
    assert "the demo provider serves" in result.stdout


def test_a_key_in_another_programs_file_is_looked_for(runner: CliRunner) -> None:
    watch = '[[providers.key_watch]]\nfile = "~/s.json"\npath = "env.KEY"\n'
    Path("f.toml").write_text(GOOD.replace('api_key_env = "KEY"\n', watch))
    result = runner.invoke(main, ["check-config", "-c", "f.toml"])
    assert result.exit_code == exit_codes.CONFIG_INVALID
    assert result.stderr.startswith("f.toml:6: providers[0].key_watch[0].file: cannot read ")
    Path("s.json").write_text(f'{{"env": {{"KEY": "{PROVIDER_KEY}"}}}}')
    Path("s.json").chmod(0o600)
    result = runner.invoke(main, ["check-config", "-c", "f.toml"])
    assert (result.exit_code, result.output) == (exit_codes.OK, "config ok: f.toml\n")


def test_a_price_list_that_is_missing_is_said_where_costs_are_wanted(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferryllm_net.prices.package.PACKAGE", "ferryllm_no_such_package")
    Path("f.toml").write_text(GOOD)
    assert runner.invoke(main, ["check-config", "-c", "f.toml"]).stderr == ""
    Path("f.toml").write_text(GOOD + '[ledger]\npath = "ledger.db"\n')
    result = runner.invoke(main, ["check-config", "-c", "f.toml"])
    assert result.exit_code == exit_codes.OK
    assert result.stderr == (
        "f.toml: warning: prices: the package genai-prices is not installed, so costs are unknown "
        '(pip install "ferryllm[prices]")\n'
    )
