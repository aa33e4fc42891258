"""Nano-dollars in words, by whole numbers alone: nothing is lost to a float."""

from __future__ import annotations

NANO = 1_000_000_000


def dollars(nanos: int) -> str:
    """All digits that there are, and no more: ``0.0012``."""
    whole, rest = divmod(nanos, NANO)
    return f"{whole}.{rest:09d}".rstrip("0").rstrip(".")


def short_dollars(nanos: int) -> str:
    """For tables: two digits behind the point, more where the amount is small: ``$1,234.50``, ``$0.0012``."""
    digits = 2 if nanos >= 10 * NANO or nanos == 0 else 4 if nanos >= NANO // 100 else 6
    step: int = 10 ** (9 - digits)
    whole, rest = divmod((nanos + step // 2) // step, 10**digits)
    if nanos and not whole and not rest:
        return f"${dollars(nanos)}"
    return f"${whole:,}.{rest:0{digits}d}"
