"""`ferryllm prices`: what a model costs where, and by which list."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ferryllm_cli import exit_codes
from ferryllm_cli.main import main

CONFIG = """
[prices]
file = "list.json"
[[prices.models]]
model = "gpt-*"
provider = "mine"
input = 0.15
output = "0.6"
[[providers]]
name = "cloud"
type = "openai"
base_url = "https://api.openai.com"
api_key_env = "NOT_SET"
[[providers]]
name = "mine"
type = "openai"
base_url = "http://127.0.0.1:8000"
"""
TIERED = {"base": 3, "tiers": [{"start": 200000, "price": 6}]}
PRICES = {"input_mtok": TIERED, "output_mtok": 10, "requests_kcount": 5, "web_searches_kcount": 10}
LIST = [{"id": "openai", "models": [{"id": "m", "match": {"starts_with": "gpt-"}, "prices": PRICES}]}]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("FERRYLLM_CONFIG", "XDG_CONFIG_HOME", "APPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    Path("ferryllm.toml").write_text(CONFIG)
    Path("list.json").write_text(json.dumps(LIST))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["prices", *arguments])


def test_every_provider_has_its_own_price() -> None:
    found = json.loads(run("gpt-5", "--json").stdout)
    assert found["source"].endswith("list.json (genai-prices)")
    assert found["providers"]["mine"] == {"input": {"dollars": "0.15"}, "output": {"dollars": "0.6"}}
    assert found["providers"]["cloud"] == {
        "input": {"dollars": "3", "above_input_tokens": {"200000": "6"}},
        "output": {"dollars": "10"},
        "request": {"dollars": "0.005"},
        "tools": {"web_search_requests": "0.01"},
    }


def test_a_table_says_what_holds_where_nothing_is_said() -> None:
    result = run("gpt-5", "--provider", "mine")
    assert result.exit_code == exit_codes.OK
    lines = [line.split("  ") for line in result.stdout.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in lines]
    assert cells[1] == ["mine", "input", "$0.15", "a million tokens"]
    assert cells[2] == ["mine", "cache read", "as input"]
    assert "when the input has more than 200,000" in run("gpt-5").stdout


def test_a_seller_that_no_provider_is_can_be_asked_for() -> None:
    assert list(json.loads(run("gpt-5", "--provider", "openai", "--json").stdout)["providers"]) == ["openai"]


def test_a_price_nobody_knows_is_a_failure_with_a_mend() -> None:
    result = run("llama-9")
    assert result.exit_code == exit_codes.FAILURE
    assert "no price is known of llama-9 at cloud, mine" in result.stderr


def test_without_a_model_it_says_where_prices_come_from() -> None:
    assert run().stdout.startswith("prices: 1 of the configuration, then ")
    assert json.loads(run("--json").stdout)["rows"] == 1


def test_a_list_that_cannot_be_read_is_a_warning() -> None:
    Path("list.json").write_text("nonsense")
    result = run("gpt-5", "--provider", "mine")
    assert result.exit_code == exit_codes.OK
    assert "warning: no price list" in result.stderr


def test_without_providers_one_has_to_be_said() -> None:
    Path("ferryllm.toml").write_text("")
    result = run("gpt-5")
    assert result.exit_code == exit_codes.FAILURE
    assert "--provider" in result.stderr


def test_a_wrong_table_is_a_fault_of_the_configuration() -> None:
    Path("ferryllm.toml").write_text('[[prices.models]]\nmodel = "m"\n')
    assert run("m").exit_code == exit_codes.CONFIG_INVALID
