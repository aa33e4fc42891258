"""Prices at the start, and those of each new day."""

from __future__ import annotations

import json
import pathlib

import anyio
import pytest

from ferryllm_net.config.usage_settings import PricesSettings
from ferryllm_net.prices import keeping
from ferryllm_net.prices.keeping import DAY_SECS, find_prices, keep_prices
from ferryllm_proto.routing.pricing import Amount, Price, PriceTable, Row
from support.hooks import log

pytestmark = pytest.mark.anyio
ROW = Row("m", Price(input=Amount(7)))


async def test_the_log_says_which_list_holds(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps([{"id": "a", "models": []}]))
    logger, text = log()
    assert (await find_prices(PricesSettings(str(path), (ROW,)), logger)).find("m") == ROW.price
    assert "prices found" in text.getvalue()
    assert str(path) in text.getvalue()


async def test_without_a_list_the_log_warns_with_a_mend(tmp_path: pathlib.Path) -> None:
    logger, text = log()
    table = await find_prices(PricesSettings(str(tmp_path / "gone"), (ROW,)), logger)
    assert table.find("m") == ROW.price
    assert "only own prices are known" in text.getvalue()
    assert "prices.file" in text.getvalue()


async def test_each_day_has_its_prices_and_a_list_that_is_gone_changes_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "LATE_SECS", 0)
    path = tmp_path / "list.json"
    path.write_text("[]")
    found: list[PriceTable] = []
    looked = 0
    scope = anyio.CancelScope()

    def clock() -> float:
        """A millisecond before midnight, three times; then it is enough."""
        nonlocal looked
        looked += 1
        if looked == 3:
            scope.cancel()
        return DAY_SECS - 0.001

    def take(table: PriceTable) -> None:
        found.append(table)
        path.unlink()

    with scope:
        await keep_prices(lambda: PricesSettings(str(path)), take, clock)
    assert (looked, len(found)) == (3, 1)
