"""The store that the settings ask for."""

from __future__ import annotations

from pathlib import Path

from ferryllm_net.config import ResponsesSettings

from .memory import MemoryResponses
from .responses import Bounds, Responses


def open_responses(settings: ResponsesSettings) -> Responses | None:
    """The store of responses; None when it is switched off. Raises `StoreError`."""
    bounds = Bounds(settings.max_bytes, ttl_secs=settings.ttl_secs)
    if settings.store == "sqlite":
        assert settings.path is not None
        from .sqlite import SqliteResponses

        return SqliteResponses.open(Path(settings.path), bounds)
    return MemoryResponses(bounds) if settings.store == "memory" else None
