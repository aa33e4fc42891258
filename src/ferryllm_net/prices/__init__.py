"""Prices of models: found once at start, where something needs them, and never fetched."""

from __future__ import annotations

from .opening import Found, PricesError, needed, open_prices

__all__ = ["Found", "PricesError", "needed", "open_prices"]
