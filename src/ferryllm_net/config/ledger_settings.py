"""What `[ledger]` comes to: a leaf, because `settings` names it and everything imports that."""

from __future__ import annotations

from typing import Literal

import msgspec


class LedgerSettings(msgspec.Struct, frozen=True):
    """Where rows are kept, and what is done when they can not be."""

    store: Literal["sqlite", "postgres", "off"] = "off"
    path: str | None = None
    """Absolute; for sqlite."""
    makes_folder: bool = False
    """Whether the folder of ``path`` is the gateway's own, to be made."""
    retention_days: float | None = None
    """None keeps them for ever."""
    on_failure: Literal["continue", "refuse"] = "continue"
    deadline_secs: float = 2.0
    fsync: bool = False
    max_waiting: int = 10_000
