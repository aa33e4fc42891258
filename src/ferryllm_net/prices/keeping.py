"""Prices of a gateway that runs: found at its start, and again each day, because lists say which day they hold from."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import anyio.to_thread

from ferryllm_net.config.usage_settings import PricesSettings
from ferryllm_net.telemetry import Log
from ferryllm_proto.routing.pricing import PriceTable

from .opening import Found, open_prices

DAY_SECS = 86_400
LATE_SECS = 60
"""Behind midnight (UTC): clocks differ, and a minute of yesterday's prices is nothing."""


async def find_prices(settings: PricesSettings, log: Log) -> PriceTable:
    """The prices of today; without a list a warning, and those of the configuration alone."""
    found: Found = await anyio.to_thread.run_sync(open_prices, settings)
    if found.fault is not None:
        log.warn(
            "no price list, so only own prices are known",
            own=len(settings.rows),
            reason=str(found.fault),
            mend=found.fault.mend,
        )
    else:
        log.info("prices found", source=found.source, own=len(settings.rows))
    return found.table


async def keep_prices(
    settings: Callable[[], PricesSettings],
    take: Callable[[PriceTable], None],
    clock: Callable[[], float] = time.time,
) -> None:
    """Give ``take`` the prices of each new day; runs until cancelled. ``settings`` tells those that hold then."""
    while True:
        await anyio.sleep(DAY_SECS - clock() % DAY_SECS + LATE_SECS)
        found = await anyio.to_thread.run_sync(open_prices, settings())
        if found.fault is None:  # else the old ones are better than none
            take(found.table)
