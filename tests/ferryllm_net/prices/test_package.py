"""The list of the package, taken out of it without importing it."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

from ferryllm_net.prices import PricesError
from ferryllm_net.prices.package import read_package, version
from ferryllm_proto.routing.price_data import read_prices
from ferryllm_proto.routing.pricing import Price

HEAD = "import datetime\nfrom decimal import Decimal\nfrom .types import *\n__all__ = ('providers',)\n"
SMALL = (
    HEAD
    + """
providers: list[Provider] = [
    Provider(
        id='one', name='One', fallback_model_providers=['two'], extractors=[UsageExtractor(root='usage')],
        models=[
            ModelInfo(
                id='m', name='M', match=ClauseOr(or_=[ClauseEquals(equals='m'), ClauseStartsWith(starts_with='m-')]),
                prices=[
                    ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('1'))),
                    ConditionalPrice(
                        constraint=StartDateConstraint(start_date=datetime.date(2026, 10, 14)),
                        prices=ModelPrice(
                            input_mtok=TieredPrices(base=Decimal('0.1'), tiers=[Tier(start=1000, price=Decimal('0.5'))])
                        ),
                    ),
                    ConditionalPrice(
                        constraint=TimeOfDateConstraint(start_time=datetime.time(16), end_time=datetime.time(1)),
                        prices=ModelPrice(input_mtok=Decimal('9')),
                    ),
                ],
            ),
        ],
    ),
]
"""
)


def install(folder: pathlib.Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of that name before the installed one."""
    package = folder / "genai_prices"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('nobody imports this')")
    (package / "data.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))


def test_a_list_is_read_as_the_json_it_was_made_from(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, SMALL, monkeypatch)
    data = read_package()
    assert json.loads(data)[0] | {"models": []} == {"id": "one", "fallback_model_providers": ["two"], "models": []}
    before = read_prices(data, "2026-10-13").find("m-1", ("one",))
    after = read_prices(data, "2026-10-14").find("m", ("one",))
    assert isinstance(before, Price)
    assert isinstance(after, Price)
    assert before.input is not None
    assert after.input is not None
    assert (before.input.at(5), before.input.at(5000)) == (10**9, 10**9)
    assert (after.input.at(5), after.input.at(5000)) == (10**8, 5 * 10**8)


@pytest.mark.parametrize("text", [HEAD + "providers = 5\n", HEAD, "this is no Python", HEAD + "import os\n"])
def test_another_form_is_an_error_with_a_way_out(
    text: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, text, monkeypatch)
    with pytest.raises(PricesError, match="genai-prices") as caught:
        read_package()
    assert "prices.file" in caught.value.mend


def test_a_package_that_is_not_there_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PricesError, match="not installed") as caught:
        read_package()
    assert "ferryllm[prices]" in caught.value.mend


def test_the_installed_list_has_prices_and_brings_nothing_with_it() -> None:
    pytest.importorskip("genai_prices", exc_type=ImportError)
    assert version() is not None
    code = (
        "import sys; from ferryllm_net.prices.package import read_package; "
        "from ferryllm_proto.routing.price_data import read_prices; t = read_prices(read_package(), '2026-11-21'); "
        "p = t.find('gpt-4o', ('openai',)); assert p.input.base == 2_500_000_000 and p.output.base == 10_000_000_000; "
        "c = t.find('claude-sonnet-4-5-20250929', ('anthropic',)); assert c.cache_read.base == 300_000_000; "
        "assert not {'pydantic', 'genai_prices', 'httpx'} & sys.modules.keys(), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(filter(None, sys.path))})
