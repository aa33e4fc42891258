"""Histogram: counts of durations in buckets that grow with the value, so that millions of them cost a few kilobytes.

The buckets are those of HdrHistogram in its simplest form: every power of two is cut into 128 equal parts, so a value
is known to better than one part in 128. A library for it would be a compiled dependency for forty lines.
"""

from __future__ import annotations

import math

import msgspec

PARTS_BITS = 7
"""Of every power of two there are 2**7 buckets: an error below 0.8 %, where two runs differ by more."""
_PARTS = 1 << PARTS_BITS

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


class Summary(msgspec.Struct, frozen=True):
    """What is told of a histogram, in its unit."""

    count: int
    min: float
    mean: float
    p50: float
    p90: float
    p95: float
    p99: float
    p999: float
    max: float


class Histogram:
    """Whole numbers from 0 on. `record` them, then ask for `quantile` or `summary`; `merge` joins two."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0
        self.max = 0
        self.min = 0
        self._counts: dict[int, int] = {}

    def record(self, value: int) -> None:
        """Count one value; what is below 0 (two clocks that disagree) counts as 0."""
        value = max(value, 0)
        shift = max(value.bit_length() - PARTS_BITS - 1, 0)
        index = (shift << PARTS_BITS) + (value >> shift)
        self._counts[index] = self._counts.get(index, 0) + 1
        self.max = max(self.max, value)
        self.min = value if self.count == 0 else min(self.min, value)
        self.count += 1
        self.total += value

    def merge(self, other: Histogram) -> None:
        """Count everything that ``other`` has counted."""
        if other.count == 0:
            return
        for index, count in other._counts.items():
            self._counts[index] = self._counts.get(index, 0) + count
        self.min = other.min if self.count == 0 else min(self.min, other.min)
        self.max = max(self.max, other.max)
        self.count += other.count
        self.total += other.total

    def quantile(self, q: float) -> int:
        """The smallest value that at least the share ``q`` of all is not above, rounded up to its bucket's end.

        Never above the largest value. 0 without values. ``q`` is from 0 to 1.
        """
        if self.count == 0:
            return 0
        rank = max(1, math.ceil(q * self.count - 1e-9))
        seen = 0
        for index in sorted(self._counts):
            seen += self._counts[index]
            if seen >= rank:
                return max(self.min, min(self.max, _last(index)))
        return self.max

    def summary(self, unit: float = 1.0) -> Summary | None:
        """All of it, each value divided by ``unit``; None without values."""
        if self.count == 0:
            return None
        quantiles = {name: self.quantile(q) / unit for name, q in QUANTILES.items()}
        return Summary(
            count=self.count,
            min=self.min / unit,
            mean=self.total / self.count / unit,
            max=self.max / unit,
            **quantiles,
        )


def _last(index: int) -> int:
    """The largest value of a bucket."""
    shift = max((index >> PARTS_BITS) - 1, 0)
    part = index - (shift << PARTS_BITS)
    return ((part + 1) << shift) - 1
