"""GCRA, the generic cell rate algorithm, in whole numbers: how many of something in a time, with a burst.

A bucket is one number: when it would be empty if nothing came any more (ITU-T I.371 calls it the theoretical arrival
time). In any interval of t seconds it lets through at most ``burst + rate * t``, exactly: times are counted in
nanoseconds times the limit, so that nothing is ever divided.
"""

from __future__ import annotations

import msgspec

_NANO = 1_000_000_000


class Rate(msgspec.Struct, frozen=True):
    """``limit`` in ``period`` seconds."""

    limit: int
    """At least 1."""
    period: int = 60
    burst: int | None = None
    """How many at once after a silence; None is ``limit``."""

    @property
    def most(self) -> int:
        """How many at once."""
        return self.limit if self.burst is None else self.burst


class Taken(msgspec.Struct, frozen=True):
    """What a bucket let through, to be corrected later."""

    cost: int
    end: int
    """When it will have drained, in the bucket's own time."""
    shift: int
    """What had been given back before."""


class Standing(msgspec.Struct, frozen=True, gc=False):
    """How a bucket stands, for the headers of an answer."""

    limit: int
    remaining: int
    reset: float
    """Seconds until it is as if nothing had happened."""


class Bucket:
    """One limit of one client, provider or gateway. ``now`` is seconds of any clock; one that jumps back stands still
    for that moment and goes on from there."""

    __slots__ = ("_empty", "_seen", "_shift", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._empty: int | None = None
        self._seen = 0
        self._shift = 0

    def wait(self, cost: int, now: float) -> float | None:
        """Seconds until ``cost`` would be let through, 0 for now; None is never: it is more than the burst."""
        rate = self.rate
        if cost > rate.most:
            return None
        missing = self._level(self._time(now)) - (rate.most - cost) * self._each
        return 0.0 if missing <= 0 else -(-missing // rate.limit) / _NANO

    def take(self, cost: int, now: float) -> Taken:
        """Let ``cost`` through; whether it may is asked of `wait` before, for all limits together."""
        at = self._time(now)
        self._empty = at + self._level(at) + cost * self._each
        return Taken(cost, self._empty, self._shift)

    def settle(self, taken: Taken, cost: int, now: float) -> None:
        """It was ``cost`` in truth. More is owed; less is given back as far as it has not drained meanwhile.

        What has drained was room for others already: to give it back would let more through than the rate.
        """
        at = self._time(now)
        level = self._level(at)
        more = (cost - taken.cost) * self._each
        if more >= 0:
            self._empty = at + level + more
            return
        undrained = taken.end - (self._shift - taken.shift) - at
        back = max(min(-more, undrained, level), 0)
        self._shift += back
        self._empty = at + level - back

    def standing(self, now: float) -> Standing:
        level = self._level(self._time(now))
        room = self.rate.most * self._each - level
        return Standing(self.rate.limit, max(room // self._each, 0), -(-level // self.rate.limit) / _NANO)

    def idle(self, now: float) -> bool:
        """Whether it is as new: it can be forgotten."""
        return self._level(self._time(now)) == 0

    @property
    def _each(self) -> int:
        """How long one takes to drain."""
        return self.rate.period * _NANO

    def _level(self, at: int) -> int:
        """How long it takes to drain what is in it."""
        return 0 if self._empty is None else max(self._empty - at, 0)

    def _time(self, now: float) -> int:
        # The bucket's own time: nanoseconds times the limit, so that one drains in a whole number of them.
        at = int(now * _NANO) * self.rate.limit
        if at < self._seen and self._empty is not None:
            # The clock went back: what is in the bucket is what counts, not when it would have been empty.
            self._empty -= self._seen - at
            self._shift += self._seen - at
        self._seen = at
        return at
