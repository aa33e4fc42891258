"""What a gateway does with its ledger beside writing rows: old ones go, and quotas begin where they were."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from ferryllm_net.telemetry import Log
from ferryllm_proto.routing.keys import KeyBook
from ferryllm_proto.routing.quota import Quota, Unit, bounds

from .ledger import Ledger, LedgerError

PRUNE_SECS = 3600.0
"""How often old rows are forgotten: days are what is counted in."""
DAY = 86_400.0

Restore = Callable[[str, Quota, int, float], None]
"""`Door.restore`: owner, quota, what is used of it, Unix seconds."""


async def keep_for(days: float, ledger: Ledger, log: Log, now: Callable[[], float] = time.time) -> None:
    """Forget rows that are older than ``days``; runs until cancelled. ``now`` tells Unix seconds."""
    while True:
        try:
            await ledger.prune(now() - days * DAY)
        except LedgerError as exc:
            log.warn("ledger not pruned", reason=str(exc))
        await anyio.sleep(PRUNE_SECS)


async def restore_quotas(ledger: Ledger, book: KeyBook, restore: Restore, unix: float) -> None:
    """Tell ``restore`` what is used of every quota in ``book``, in the period that ``unix`` lies in. Raises
    `LedgerError`."""
    owned = [(f"key/{key.id}", quota) for key in book for quota in key.quotas]
    owned += [(f"project/{name}", quota) for name, project in book.projects.items() for quota in project.quotas]
    for since in sorted({bounds(quota, unix)[0] for _, quota in owned}):
        found = await ledger.used_by_all(since)
        for owner, quota in owned:
            used = found.get(owner)
            if used is not None and bounds(quota, unix)[0] == since:
                amounts = {Unit.REQUESTS: used.requests, Unit.TOKENS: used.tokens, Unit.COST: used.cost}
                restore(owner, quota, amounts[quota.unit], unix)
