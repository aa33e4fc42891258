"""Prices as the package genai-prices keeps them, read from the JSON of its data.

Apart from `pricing`, because it is another's format: a list of sellers, each with models that are found by clauses
(``equals``, ``starts_with``, ``ends_with``, ``contains``, ``regex``, ``or``, ``and``) and priced in dollars for a
million tokens. Prices for texts alone are read; those of sounds and pictures have no counter here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from .. import json
from .patterns import PatternError, regex
from .pricing import Amount, Price, PriceTable, Tier, nanos


class _Seller(msgspec.Struct, frozen=True):
    id: str = ""
    models: list[dict[str, Any]] = []
    fallback_model_providers: list[str] | None = None


_list = json.decoder(list[_Seller])

Test = Callable[[str], bool]

_THOUSANDS: Mapping[str, str] = {"web_searches_kcount": "web_search_requests"}
"""Prices for a thousand calls, and how `ir.Usage.server_tools` names the counter."""


class SellerTable(PriceTable):
    """A table whose models are found by clauses; the first that fits wins, as in the package."""

    def __init__(self, sellers: Mapping[str, Sequence[tuple[Test, Price]]], fallbacks: Mapping[str, Sequence[str]]):
        super().__init__()
        self._sellers = sellers
        self._fallbacks = fallbacks
        self._found: dict[tuple[str, str], Price | None] = {}

    def find(self, model: str, sellers: tuple[str, ...] = ()) -> Price | None:
        for seller in sellers:
            price = self._at(seller, model.lower())
            if price is not None:
                return price
        return None

    def _at(self, seller: str, model: str) -> Price | None:
        key = seller, model
        if key not in self._found:
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            self._found[key] = self._search(seller, model)
        return self._found[key]

    def _search(self, seller: str, model: str) -> Price | None:
        for name in (seller, *self._fallbacks.get(seller, ())):
            for test, price in self._sellers.get(name, ()):
                if test(model):
                    return price
        return None


MAX_FOUND = 4096
"""Names of models whose price is remembered: to search a seller with a thousand models costs some 200 us."""


def read_prices(data: bytes, day: str) -> SellerTable:
    """The table in ``data``, with the prices of ``day`` (``2026-11-21``).

    A model whose entry cannot be understood has no price. Raises `RemoteProtocolError` where it is no such list.
    """
    sellers: dict[str, list[tuple[Test, Price]]] = {}
    fallbacks: dict[str, tuple[str, ...]] = {}
    for entry in json.decode(data, _list, "prices"):
        rows = sellers.setdefault(entry.id, [])
        fallbacks[entry.id] = tuple(entry.fallback_model_providers or ())
        for model in entry.models:
            try:
                rows.append((_test(model["match"]), _price(_current(model["prices"], day))))
            except (KeyError, TypeError, ValueError, AttributeError, PatternError, re.error):
                continue
    return SellerTable(sellers, fallbacks)


def _test(clause: Mapping[str, Any]) -> Test:
    """Raises `ValueError` for a clause that is not known."""
    ((kind, value),) = clause.items()
    if kind in ("or", "and"):
        tests = [_test(inner) for inner in value]
        if kind == "or":
            return lambda name: any(test(name) for test in tests)
        return lambda name: all(test(name) for test in tests)
    text = str(value)
    if kind == "regex":
        return _regex(text)
    lower = text.lower()
    if kind == "equals":
        return lambda name: name == lower
    if kind == "starts_with":
        return lambda name: name.startswith(lower)
    if kind == "ends_with":
        return lambda name: name.endswith(lower)
    if kind == "contains":
        return lambda name: lower in name
    raise ValueError(f"a clause of prices is of no known kind: {kind[:40]!r}")


_NESTED = re.compile(r"[*+}]\)+[*+{]")


def _regex(text: str) -> Test:
    """Those that look around are run by `re`, which knows how: they come with the package, a handful, and names are
    cut to a length at which even a square of it is nothing."""
    try:
        return regex(text, whole=False).matches
    except PatternError:
        if _NESTED.search(text):
            raise
        pattern = re.compile(text)
        return lambda name: len(name) <= MAX_SEARCHED and pattern.search(name) is not None


MAX_SEARCHED = 200
"""Characters; the longest known name of a model has some 130."""


def _current(prices: Any, day: str) -> Mapping[str, Any]:
    """The prices of ``day``: the last that have begun. Those for hours of a day are left out: the highest count."""
    if isinstance(prices, dict):
        return prices
    found: Mapping[str, Any] | None = None
    for row in prices:
        constraint = row.get("constraint") or {}
        if "start_time" in constraint:
            continue
        if str(constraint.get("start_date", "")) <= day:
            found = row["prices"]
    if found is None:
        raise ValueError("no price has begun")
    return found


def _price(prices: Mapping[str, Any]) -> Price:
    tools = {
        counter: (nanos(_text(prices[name])) + 500) // 1000 for name, counter in _THOUSANDS.items() if name in prices
    }
    per_request = prices.get("requests_kcount")
    return Price(
        input=_amount(prices.get("input_mtok")),
        output=_amount(prices.get("output_mtok")),
        cache_read=_amount(prices.get("cache_read_mtok")),
        cache_write=_amount(prices.get("cache_write_mtok")),
        cache_write_1h=_amount(prices.get("cache_write_1h_mtok")),
        reasoning=_amount(prices.get("output_reasoning_mtok")),
        request=None if per_request is None else (nanos(_text(per_request)) + 500) // 1000,
        tools=tools,
    )


def _amount(value: Any) -> Amount | None:
    if value is None:
        return None
    if isinstance(value, dict):
        tiers = [Tier(int(tier["start"]), nanos(_text(tier["price"]))) for tier in value.get("tiers") or ()]
        return Amount(nanos(_text(value["base"])), tuple(sorted(tiers, key=lambda tier: tier.above)))
    return Amount(nanos(_text(value)))


def _text(value: Any) -> str:
    """A number as JSON has it. The shortest text that reads as this float is what was written."""
    return value if isinstance(value, str) else repr(value)
