"""`ferryllm prices`: what a model costs as the gateway counts it, and where that comes from."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from . import exit_codes
from .money import dollars
from .output import print_problems, say

if TYPE_CHECKING:
    from ferryllm_net.config.usage_settings import PricesSettings
    from ferryllm_net.prices import Found
    from ferryllm_proto.routing.pricing import Price

_KINDS = {
    "input": "unknown",
    "cache_read": "as input",
    "cache_write": "as input",
    "cache_write_1h": "as cache_write",
    "output": "unknown",
    "reasoning": "as output",
}

_EPILOG = """\b
Examples:
  ferryllm prices gpt-5-mini                       at every provider of the configuration
  ferryllm prices claude-sonnet-4-5 --provider anthropic
  ferryllm prices                                  where prices come from

\b
PROVIDER is a provider of the configuration, or a seller as price_as has it. Nothing is fetched.

\b
Exit status: 0 done, 1 no price is known, 2 wrong usage, 3 configuration invalid.
"""


@click.command(epilog=_EPILOG)
@click.argument("model", required=False)
@click.option("-c", "--config", metavar="FILE", help="The file with providers and [prices]; as for `serve`.")
@click.option("--provider", metavar="PROVIDER", help="Where it is bought; without it, all that the file has.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def command(model: str | None, config: str | None, provider: str | None, as_json: bool) -> None:
    """Show what a model costs, and by which list."""
    from ferryllm_net.prices import open_prices

    settings, places = _configured(config)
    found = open_prices(settings)
    if found.fault is not None and not as_json:
        say(f"warning: no price list: {found.fault} ({found.fault.mend})")
    if model is None:
        _say_source(found, len(settings.rows), as_json)
        return
    if provider is not None:
        places = {provider: places.get(provider, (provider,))}
    if not places:
        say("error: no provider in the configuration: say --provider, as in --provider openai")
        raise SystemExit(exit_codes.FAILURE)
    prices = {name: found.table.find(model, sellers) for name, sellers in places.items()}
    known = {name: price for name, price in prices.items() if price is not None}
    if as_json:
        values = {name: None if price is None else _object(price) for name, price in prices.items()}
        click.echo(json.dumps({"model": model, "source": found.source, "providers": values}))
    elif known:
        _print(known)
    if not known:
        if not as_json:
            say(f"error: no price is known of {model} at {', '.join(places)}: add it as [[prices.models]]")
        raise SystemExit(exit_codes.FAILURE)


def _configured(config: str | None) -> tuple[PricesSettings, dict[str, tuple[str, ...]]]:
    """What the configuration says about prices, and under which names those of its providers are looked for."""
    from ferryllm_net.config import ConfigError, find_config
    from ferryllm_net.config.base_url import BaseUrlFault, parse_base_url
    from ferryllm_net.config.credentials import Credentials
    from ferryllm_net.config.parts import load_parts
    from ferryllm_net.config.prices import resolve_prices
    from ferryllm_proto.routing.sellers import sellers_of

    try:
        path = find_config(config, os.environ, Path.cwd())
        parts = load_parts(path, os.environ, ("prices", "providers"))
        settings = resolve_prices(parts.config, Credentials(os.environ, parts.base, parts.report), parts.report)
        parts.report.raise_errors()
    except ConfigError as fault:
        print_problems(fault.problems)
        raise SystemExit(exit_codes.CONFIG_INVALID) from None
    places: dict[str, tuple[str, ...]] = {}
    for provider in parts.config.providers:
        try:
            host = parse_base_url(provider.base_url).host
        except BaseUrlFault:
            host = ""
        places[provider.name] = sellers_of(provider.name, host, provider.price_as)
    return settings, places


def _say_source(found: Found, rows: int, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"source": found.source, "rows": rows}))
        return
    own = f"{rows} of the configuration, then " if rows else ""
    click.echo(f"prices: {own}{found.source or 'none'}")


def _object(price: Price) -> dict[str, object]:
    out: dict[str, object] = {}
    for kind in _KINDS:
        amount = getattr(price, kind)
        if amount is not None:
            tiers = {str(tier.above): dollars(tier.price) for tier in amount.tiers}
            out[kind] = {"dollars": dollars(amount.base), **({"above_input_tokens": tiers} if tiers else {})}
    if price.request is not None:
        out["request"] = {"dollars": dollars(price.request)}
    if price.tools:
        out["tools"] = {name: dollars(each) for name, each in price.tools.items()}
    return out


def _print(prices: dict[str, Price]) -> None:
    from .tables import print_table

    rows = []
    for name, price in prices.items():
        for kind, otherwise in _KINDS.items():
            amount = getattr(price, kind)
            if amount is None:
                rows.append([name, kind.replace("_", " "), otherwise, ""])
                continue
            rows.append([name, kind.replace("_", " "), f"${dollars(amount.base)}", "a million tokens"])
            for tier in amount.tiers:
                what = f"a million, when the input has more than {tier.above:,}"
                rows.append([name, kind.replace("_", " "), f"${dollars(tier.price)}", what])
        if price.request is not None:
            rows.append([name, "request", f"${dollars(price.request)}", "each"])
        rows.extend([name, tool, f"${dollars(each)}", "a call"] for tool, each in price.tools.items())
    print_table(["provider", "kind", "price", "for"], rows)
