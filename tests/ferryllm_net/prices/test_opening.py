"""Prices as the settings ask for them: rows before the list, the list from the package or a file."""

from __future__ import annotations

import json
import pathlib

import pytest

from ferryllm_net.config.usage_settings import PricesSettings
from ferryllm_net.prices import PricesError, needed, open_prices, opening
from ferryllm_proto.routing.pricing import Amount, Price, Row
from support.gateways import settings

NOW = 1_795_000_000.0
GENAI = [{"id": "openai", "models": [{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": 2}}]}]
LITELLM = {"m": {"litellm_provider": "openai", "input_cost_per_token": 3e-06}}


@pytest.mark.parametrize(("content", "base", "form"), [(GENAI, 2, "genai-prices"), (LITELLM, 3, "LiteLLM")])
def test_a_file_is_read_in_both_forms(content: object, base: int, form: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(content))
    found = open_prices(PricesSettings(str(path)), now=NOW)
    assert found.source == f"{path} ({form})"
    price = found.table.find("m", ("@a", "openai"))
    assert price is not None
    assert price.input == Amount(base * 10**9)


def test_rows_of_the_configuration_go_first(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(json.dumps(GENAI))
    own = Row("m", Price(input=Amount(7)), "@mine")
    table = open_prices(PricesSettings(str(path), (own,)), now=NOW).table
    assert table.find("m", ("@mine", "openai")) == own.price
    assert table.find("m", ("@other", "openai")) != own.price


@pytest.mark.parametrize("content", ["5", "nonsense", "{", '[{"models": 5}]'])
def test_a_file_that_is_no_list_leaves_the_rows(content: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "prices.json"
    path.write_text(content)
    found = open_prices(PricesSettings(str(path), (Row("m", Price(input=Amount(7))),)), now=NOW)
    assert found.source is None
    assert found.fault is not None
    assert str(path) in str(found.fault)
    assert found.table.find("m") == Price(input=Amount(7))


def test_a_file_that_is_gone_or_too_long_is_a_fault(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_FILE", 10)
    path = tmp_path / "prices.json"
    gone = open_prices(PricesSettings(str(path)), now=NOW).fault
    path.write_text(json.dumps(GENAI))
    long = open_prices(PricesSettings(str(path)), now=NOW).fault
    assert "cannot be read" in str(gone)
    assert "larger than 10 bytes" in str(long)


def test_without_the_package_there_are_the_rows_and_a_way_to_mend_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> bytes:
        raise PricesError("not installed", "pip install it")

    monkeypatch.setattr(opening, "read_package", missing)
    found = open_prices(PricesSettings(), now=NOW)
    assert (found.source, found.fault and found.fault.mend) == (None, "pip install it")
    assert found.table.find("gpt-4o", ("openai",)) is None


def test_nobody_reads_prices_who_asks_for_none() -> None:
    assert not needed(settings(1))
    assert needed(settings(1, more='[[prices.models]]\nmodel = "m"\ninput = 1\noutput = 1\n'))
    assert needed(settings(1, more='[[usage.hooks]]\ncommand = ["cat"]\n'))
