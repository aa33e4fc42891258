"""The prices that the settings ask for, and where they came from."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec

from ferryllm_net.config import Settings
from ferryllm_net.config.usage_settings import PricesSettings
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.routing.litellm_prices import read_litellm
from ferryllm_proto.routing.price_data import read_prices
from ferryllm_proto.routing.pricing import PriceTable

from .fault import PricesError
from .package import EXTRA, read_package, version

MAX_FILE = 64 << 20
"""Bytes of a list in a file; LiteLLM's has 3.2 MB, that of genai-prices 1.6 MB."""

__all__ = ["MAX_FILE", "Found", "PricesError", "needed", "open_prices"]


class Found(msgspec.Struct, frozen=True):
    """Prices."""

    table: PriceTable
    source: str | None
    """The list behind the rows of the configuration, in words; None: there is none."""
    fault: PricesError | None = None
    """Why there is none."""


def needed(settings: Settings) -> bool:
    """Whether anything asks what requests cost: who only passes bytes on pays nothing for it."""
    ledger = getattr(settings, "ledger", None)
    kept = ledger is not None and getattr(ledger, "store", "off") != "off"
    by_cost = any(getattr(route, "balance", None) == "cost" for route in settings.routes)
    priced = bool(settings.prices.rows) or settings.prices.file is not None
    return kept or by_cost or priced or bool(settings.hooks) or settings.auth.enabled


def open_prices(settings: PricesSettings, *, now: float | None = None) -> Found:
    """The prices, as of the day of ``now`` (Unix seconds; the clock's). Takes some 40 ms: run it in a thread.

    Never raises for a list that is not there: then the prices of the configuration alone hold.
    """
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    try:
        if settings.file is not None:
            table, source = _from_file(Path(settings.file), day)
        else:
            table, source = read_prices(read_package(), day), f"genai-prices {version()}"
    except RemoteProtocolError as exc:
        fault = PricesError(f"genai-prices {version()} cannot be read: {exc}", EXTRA)
        return Found(PriceTable(settings.rows), None, fault)
    except PricesError as exc:
        return Found(PriceTable(settings.rows), None, exc)
    return Found(PriceTable(settings.rows, table), source)


def _from_file(path: Path, day: str) -> tuple[PriceTable, str]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as exc:
        raise PricesError(f"{path} cannot be read: {exc.strerror or exc}", "check prices.file") from None
    if len(data) > MAX_FILE:
        raise PricesError(f"{path} is larger than {MAX_FILE} bytes", "check prices.file")
    try:
        if data.lstrip()[:1] == b"{":
            return read_litellm(data), f"{path} (LiteLLM)"
        return read_prices(data, day), f"{path} (genai-prices)"
    except RemoteProtocolError as exc:
        mend = "expected the JSON list of genai-prices, or the JSON object of LiteLLM"
        raise PricesError(f"{path} is no list of prices: {exc}", mend) from None
