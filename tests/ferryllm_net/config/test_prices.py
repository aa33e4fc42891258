"""`[prices]`: amounts to the last digit, places that exist, and whose prices hold at a provider."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, Settings, load_settings
from ferryllm_proto.routing.pricing import Amount, Price, PriceTable, Row

PROVIDERS = """
[[providers]]
name = "openai"
type = "openai"
base_url = "http://127.0.0.1:1"
[[providers]]
name = "cloud"
type = "anthropic"
base_url = "https://api.anthropic.com"
[[providers]]
name = "proxy"
type = "openai"
base_url = "https://llm.example"
price_as = "openrouter"
"""


def load(text: str, folder: Path) -> Settings:
    path = folder / "f.toml"
    path.write_text(PROVIDERS + text)
    return load_settings(path, {})


def model(text: str, folder: Path) -> Row:
    (row,) = load(f'[[prices.models]]\nmodel = "m"\n{text}\n', folder).prices.rows
    return row


def faults(text: str, folder: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(f"[[prices.models]]\n{text}\n", folder)
    return str(caught.value)


def test_whose_prices_hold_is_told_by_the_host_or_said(tmp_path: Path) -> None:
    found = {provider.name: provider.sellers for provider in load("", tmp_path).providers}
    assert found == {
        "openai": ("@openai",),
        "cloud": ("@cloud", "anthropic"),
        "proxy": ("@proxy", "openrouter"),
    }


@pytest.mark.parametrize(
    ("text", "nanos"), [("0.15", 150_000_000), ('"0.15"', 150_000_000), ("3", 3 * 10**9), ("1e-3", 10**6), ("0", 0)]
)
def test_an_amount_is_exact_as_a_number_and_as_a_text(text: str, nanos: int, tmp_path: Path) -> None:
    assert model(f"input = {text}\noutput = 1", tmp_path).price.input == Amount(nanos)


def test_every_kind_has_its_amount(tmp_path: Path) -> None:
    text = "input=1\noutput=2\ncache_read=3\ncache_write=4\ncache_write_1h=5\nreasoning=6\nrequest=0.01"
    amounts = [Amount(number * 10**9) for number in range(1, 7)]
    assert model(text, tmp_path) == Row(
        "m", Price(amounts[0], amounts[1], amounts[2], amounts[3], amounts[4], amounts[5], 10_000_000)
    )


@pytest.mark.parametrize(("written", "found"), [("openai", "@openai"), ("anthropic", "anthropic"), ("openrouter",) * 2])
def test_a_place_is_a_provider_of_the_file_before_it_is_a_seller(written: str, found: str, tmp_path: Path) -> None:
    assert model(f'provider = "{written}"\ninput = 1\noutput = 1', tmp_path).provider == found


def test_a_star_stands_for_any_end(tmp_path: Path) -> None:
    (row,) = load('[[prices.models]]\nmodel = "gpt-*"\ninput = 1\noutput = 1\n', tmp_path).prices.rows
    assert (row.model, row.prefix) == ("gpt-", True)


def test_one_provider_may_have_one_price_for_everything(tmp_path: Path) -> None:
    text = '[[prices.models]]\nmodel = "*"\nprovider = "{}"\ninput = 0\noutput = 0\n'
    settings = load(text.format(load("", tmp_path).providers[0].name), tmp_path)
    (row,) = settings.prices.rows
    assert (row.model, row.prefix) == ("", True)
    assert PriceTable((row,)).find("whatever", settings.providers[0].sellers) == row.price
    assert PriceTable((row,)).find("whatever", ("another",)) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('model = "m"', "no price"),
        ('model = "*"\ninput = 1', "expected a name"),
        ('model = "a*b"\ninput = 1', "expected a name"),
        ('model = "m"\ninput = "cheap"', "expected a decimal number of dollars"),
        ('model = "m"\ninput = -1', "expected a number from 0 to 1000000"),
        ('model = "m"\ninput = "1000001"', "more than a million dollars"),
        ('model = "m"\ninput = 1\nprovider = "opneai"', 'did you mean "openai"?'),
        ('model = "m"\ninput = 1\nprovider = "zzz"', "neither a provider of this file nor a seller"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, words: str, tmp_path: Path) -> None:
    found = faults(text, tmp_path)
    assert words in found
    assert "prices.models[0]" in found


def test_half_a_price_and_a_second_one_are_warnings(tmp_path: Path) -> None:
    text = '[[prices.models]]\nmodel = "m"\ninput = 1\n[[prices.models]]\nmodel = "M"\ninput = 1\noutput = 1\n'
    found = "\n".join(map(str, load(text, tmp_path).warnings))
    assert "output of m has no price" in found
    assert "never used: models[0] is the same" in found


def test_the_file_counts_from_the_configuration_and_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text("[]")
    assert load('[prices]\nfile = "list.json"\n', tmp_path).prices.file == str(tmp_path / "list.json")
    with pytest.raises(ConfigError, match="cannot read"):
        load('[prices]\nfile = "gone.json"\n', tmp_path)


def test_a_seller_has_to_have_the_form_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "f.toml"
    path.write_text(PROVIDERS.replace('"openrouter"', '"Open Router"'))
    with pytest.raises(ConfigError, match="no name of a seller"):
        load_settings(path, {})
