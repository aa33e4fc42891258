"""Prices as LiteLLM keeps them: one object of JSON, a model's name to what a token of each kind costs.

Apart from `price_data`, because it is another's format. Names have the provider in front of them where it is not the
model's maker; prices are dollars for a single token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from .. import json
from .pricing import Amount, Price, PriceTable, Row, Tier

_table = json.decoder(dict[str, msgspec.Raw])
_entry = json.decoder(dict[str, Any])

SELLER_OF: Mapping[str, str] = {
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "azure_ai": "azure",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "moonshot": "moonshotai",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "vertex_ai": "google",
    "xai": "x-ai",
}
"""Where its word for a provider is another than ours (`sellers.SELLERS`)."""

_TIER = re.compile(r"_above_([0-9]{1,6})k_tokens$")
_NANO_A_MILLION = Decimal(10**15)
"""From dollars for a token to nano-dollars for a million."""


def read_litellm(data: bytes) -> PriceTable:
    """The table in ``data``. A model whose entry cannot be understood has no price.

    Raises `RemoteProtocolError` where it is no such object.
    """
    rows: list[Row] = []
    for name, raw in json.decode(data, _table, "prices").items():
        if name == "sample_spec" or json.kind(raw) != "object":
            continue
        row = _row(name, json.decode(raw, _entry, "prices"))
        if row is not None:
            rows.append(row)
    return PriceTable(tuple(rows))


def _row(name: str, entry: dict[str, Any]) -> Row | None:
    vendor = str(entry.get("litellm_provider", ""))
    seller = SELLER_OF.get(vendor, "google" if vendor.startswith("vertex_ai") else vendor)
    price = Price(
        input=_amount(entry, "input_cost_per_token"),
        output=_amount(entry, "output_cost_per_token"),
        cache_read=_amount(entry, "cache_read_input_token_cost"),
        cache_write=_amount(entry, "cache_creation_input_token_cost"),
        cache_write_1h=_amount(entry, "cache_creation_input_token_cost_above_1hr"),
        reasoning=_amount(entry, "output_cost_per_reasoning_token"),
    )
    if price.input is None and price.output is None:
        return None
    # Without a seller a price would be anybody's.
    return Row(name.removeprefix(vendor + "/"), price, seller or vendor or "?")


def _amount(entry: Mapping[str, Any], key: str) -> Amount | None:
    base = _nanos(entry.get(key))
    if base is None:
        return None
    tiers = []
    for name, value in entry.items():
        if name.startswith(key + "_above_") and (found := _TIER.search(name)) and (price := _nanos(value)) is not None:
            tiers.append(Tier(int(found[1]) * 1000, price))
    return Amount(base, tuple(sorted(tiers, key=lambda tier: tier.above)))


def _nanos(value: object) -> int | None:
    """Nano-dollars for a million tokens; None for what is no price."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        # The shortest text that reads as this float is what was written.
        price = Decimal(value if isinstance(value, str) else repr(value))
    except InvalidOperation:
        return None
    if not price.is_finite() or not 0 <= price <= 1:
        return None
    return int((price * _NANO_A_MILLION).to_integral_value())
