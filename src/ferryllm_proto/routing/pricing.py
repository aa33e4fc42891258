"""What requests cost: prices as data, whole numbers of nano-dollars, and nothing invented.

Prices are nano-dollars for a million tokens, so that the cheapest on offer are still whole numbers, and one request is
rounded once. A count that is unknown, or a kind of token without a price, makes the cost unknown and never 0.
"""

from __future__ import annotations

import re

import msgspec

from .. import ir
from .names import VARIANT

_MILLION = 1_000_000
NANO = 1_000_000_000
"""Nano-dollars in a dollar."""


class Tier(msgspec.Struct, frozen=True):
    """Another price for the whole request when its input is longer than ``above`` tokens."""

    above: int
    price: int


class Amount(msgspec.Struct, frozen=True):
    """A price: nano-dollars for a million tokens."""

    base: int
    tiers: tuple[Tier, ...] = ()
    """By ``above``, the lowest first."""

    def at(self, tokens: int) -> int:
        """For a request with so many input tokens, cached ones included."""
        price = self.base
        for tier in self.tiers:
            if tokens > tier.above:
                price = tier.price
        return price


class Price(msgspec.Struct, frozen=True):
    """What one model costs. None is: no price of its own; what is used in its place stands at each."""

    input: Amount | None = None
    output: Amount | None = None
    cache_read: Amount | None = None
    """None: as ``input``."""
    cache_write: Amount | None = None
    """Into the cache for the provider's usual time. None: as ``input``, as providers do that cache by themselves."""
    cache_write_1h: Amount | None = None
    """Into the cache for an hour. None: as ``cache_write`` where that is None too, else unknown."""
    reasoning: Amount | None = None
    """None: as ``output``."""
    request: int | None = None
    """Nano-dollars for a request. None: nothing."""
    tools: dict[str, int] = {}
    """Nano-dollars for a call of a server tool, by the provider's name of the counter (`ir.Usage.server_tools`)."""


class Cost(msgspec.Struct, frozen=True):
    """Nano-dollars."""

    total: int | None
    """None is unknown."""
    known: int
    """The sum of what is known: the total is at least this."""
    unknown: tuple[str, ...] = ()
    """What was used and has no price, or may have been used and was not counted."""


UNKNOWN = Cost(None, 0, ("price",))


def cost_of(price: Price | None, usage: ir.Usage | None) -> Cost:
    """What ``usage`` costs. Cached tokens are charged once: ``usage.input`` does not contain them."""
    if price is None:
        return UNKNOWN
    if usage is None:
        return Cost(None, price.request or 0, ("usage",))
    size = usage.input_total or 0
    write = usage.cache_write or 0
    write_1h = min(usage.cache_write_1h or 0, write)
    output = usage.output
    thought = min(usage.reasoning or 0, output or 0) if price.reasoning is not None else 0
    hour = price.cache_write_1h or (price.input if price.cache_write is None else None)
    rows: tuple[tuple[str, int | None, Amount | None], ...] = (
        ("input", usage.input, price.input),
        ("cache_read", usage.cache_read or 0, price.cache_read or price.input),
        ("cache_write", write - write_1h, price.cache_write or price.input),
        ("cache_write_1h", write_1h, hour),
        ("output", None if output is None else output - thought, price.output),
        ("reasoning", thought, price.reasoning),
    )
    parts, unknown = 0, []
    for name, count, amount in rows:
        if count is None:
            unknown.append(name)
        elif count > 0:
            if amount is None:
                unknown.append(name)
            else:
                parts += count * amount.at(size)
    known = (parts + _MILLION // 2) // _MILLION + (price.request or 0)
    for tool, calls in (usage.server_tools or {}).items():
        each = price.tools.get(tool)
        if each is not None:
            known += calls * each
        elif calls:
            unknown.append(tool)
    return Cost(None if unknown else known, known, tuple(unknown))


def estimate(price: Price | None, input_tokens: int, output_tokens: int) -> int | None:
    """What a request may cost at most: nothing of it cached, all of its output written. None is unknown."""
    return cost_of(price, ir.Usage(input=input_tokens, output=output_tokens)).total


_DECIMAL = re.compile(r"(\d{1,18})(?:\.(\d{1,24}))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)


def nanos(text: str) -> int:
    """Dollars, written as a decimal number, in nano-dollars; what is finer is rounded. Raises `ValueError`."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise ValueError(f"a price has to be a decimal number of dollars, as in 0.15, not {text[:40]!r}")
    digits, shift = found[1] + (found[2] or ""), 9 - len(found[2] or "") + int(found[3] or 0)
    unit: int = 10 ** abs(shift)
    if shift >= 0:
        return int(digits) * unit
    return (int(digits) + unit // 2) // unit


# --- finding a price ---


class Row(msgspec.Struct, frozen=True):
    """The price of one model at one seller."""

    model: str
    """The name by which the provider is asked, or the beginning of it where ``prefix``."""
    price: Price
    provider: str = ""
    """Whose: the name of a provider of the configuration, or of a seller as in `sellers`; "" is anybody's."""
    prefix: bool = False
    aliases: tuple[str, ...] = ()
    """Other names of it."""


_DATED = re.compile(r"(?:-20[0-9]{6}|-20[0-9]{2}-[0-9]{2}-[0-9]{2}|@20[0-9]{6}|-latest|:latest)$")


class PriceTable:
    """Prices by seller and model; ``rows`` go before ``base``, whose own rows are asked only when none of these fits.

    Among the rows a seller's own go before anybody's, whole names before beginnings, longer beginnings before shorter.
    """

    def __init__(self, rows: tuple[Row, ...] = (), base: PriceTable | None = None) -> None:
        self.base = base
        self._exact: dict[tuple[str, str], Price] = {}
        self._prefixes: dict[str, list[tuple[str, Price]]] = {}
        for row in rows:
            for name in (row.model, *row.aliases):
                if row.prefix:
                    self._prefixes.setdefault(row.provider, []).append((name.lower(), row.price))
                else:
                    self._exact.setdefault((row.provider, name.lower()), row.price)
        for found in self._prefixes.values():
            found.sort(key=lambda pair: -len(pair[0]))

    def find(self, model: str, sellers: tuple[str, ...] = ()) -> Price | None:
        """The price of ``model`` as one of ``sellers`` sells it, the most telling first; None is unknown."""
        names = _names(model)
        for seller in (*sellers, ""):
            for name in names:
                price = self._exact.get((seller, name))
                if price is not None:
                    return price
            for begin, price in self._prefixes.get(seller, ()):
                if any(name.startswith(begin) for name in names):
                    return price
        return None if self.base is None else self.base.find(model, sellers)


def _names(model: str) -> tuple[str, ...]:
    """``model`` and how else it is called, the most exact first: without a variant, a date, the folder in front."""
    out = [model.lower()]
    for pattern in (VARIANT, _DATED):
        out.extend([pattern.sub("", name) for name in out])
    out.extend([name.rpartition("/")[2] for name in out])
    return tuple(dict.fromkeys(name for name in out if name))
