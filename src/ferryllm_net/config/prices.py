"""What the configuration says about prices: amounts read exactly, names of providers found, the list's file checked."""

from __future__ import annotations

import re

import msgspec

from ferryllm_proto.routing.pricing import Amount, Price, Row, nanos
from ferryllm_proto.routing.sellers import OWN, SELLERS

from .credentials import Credentials
from .prices_schema import ModelPrice
from .problems import Path as KeyPath
from .problems import Report, nearest
from .schema import Config
from .usage_settings import PricesSettings

_AMOUNTS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")
_SELLER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""The names that lists have. It keeps what is no name out of messages and files."""
MAX_DOLLARS = 1_000_000 * 10**9
"""Nano-dollars for a million tokens, as the schema has it for numbers: a price above is a slip of the point."""


def resolve_prices(config: Config, credentials: Credentials, report: Report) -> PricesSettings:
    """What `[prices]` means. Faults go to `report`."""
    for index, provider in enumerate(config.providers):
        at: KeyPath = ("providers", index, "price_as")
        if provider.price_as is not None and report.accepted(at) and _SELLER.fullmatch(provider.price_as) is None:
            report.error(at, "no name of a seller: small letters, digits, and -._ between them", 'as in "openai"')
    file = config.prices.file
    path: KeyPath = ("prices", "file")
    found = None if file is None or not report.accepted(path) else credentials.readable(file, path)
    rows = [
        _row(model, ("prices", "models", index), config, report) for index, model in enumerate(config.prices.models)
    ]
    _check_twice(config.prices.models, report)
    return PricesSettings(None if found is None else str(found), tuple(row for row in rows if row is not None))


def _row(found: ModelPrice, path: KeyPath, config: Config, report: Report) -> Row | None:
    name, star = found.model.removesuffix("*"), found.model.endswith("*")
    # A price for everything everywhere would stand before every list; for one provider it is what a server costs.
    everything = found.model == "*" and found.provider is not None
    if report.accepted((*path, "model")) and not everything and (not name.strip() or "*" in name):
        mend = 'as in "gpt-5" or "gpt-5*"; "*" alone where provider is named'
        report.error((*path, "model"), "expected a name, with a * at its end or none", mend)
        return None
    seller = _seller(found, path, config, report)
    amounts = {key: _amount(getattr(found, key), (*path, key), report) for key in _AMOUNTS}
    request = _nanos(found.request, (*path, "request"), report)
    if request is None and not any(amounts.values()):
        if all(report.accepted((*path, key)) for key in (*_AMOUNTS, "request")):
            report.error(path, "no price", "add input and output, in dollars for a million tokens")
        return None
    for key in ("input", "output"):
        if amounts[key] is None and report.accepted((*path, key)):
            what = f"missing: {key} of {found.model} has no price, so what it costs is unknown"
            report.warn((*path, key), what, f"add {key}")
    return Row(name, msgspec.structs.replace(Price(request=request), **amounts), seller, star)


def _seller(found: ModelPrice, path: KeyPath, config: Config, report: Report) -> str:
    if found.provider is None:
        return ""
    own = {provider.name for provider in config.providers}
    if found.provider in own:
        return OWN + found.provider
    sellers = {*SELLERS, *(provider.price_as for provider in config.providers if provider.price_as)}
    if found.provider in sellers:
        return found.provider
    if report.accepted((*path, "provider")):
        near = nearest(found.provider, sorted(own | sellers))
        report.error(
            (*path, "provider"),
            "neither a provider of this file nor a seller that one of them has as price_as",
            f'did you mean "{near}"?' if near else "name a provider, or leave it out",
        )
    return ""


def _amount(value: float | str | None, path: KeyPath, report: Report) -> Amount | None:
    found = _nanos(value, path, report)
    return None if found is None else Amount(found)


def _nanos(value: float | str | None, path: KeyPath, report: Report) -> int | None:
    if value is None or not report.accepted(path):
        return None
    try:
        # The shortest text that reads as this float is what was written.
        found = nanos(value.strip() if isinstance(value, str) else repr(value))
    except ValueError:
        report.error(path, "expected a decimal number of dollars", 'as in 0.15, or "0.15"')
        return None
    if found > MAX_DOLLARS:
        report.error(path, "more than a million dollars", "prices are dollars for a million tokens")
        return None
    return found


def _check_twice(models: tuple[ModelPrice, ...], report: Report) -> None:
    first: dict[tuple[str, str | None], int] = {}
    for index, model in enumerate(models):
        key = model.model.lower(), model.provider
        if key in first and model.model:
            mend = "say everything about one model in one table"
            report.warn(("prices", "models", index), f"never used: models[{first[key]}] is the same", mend)
        first.setdefault(key, index)
