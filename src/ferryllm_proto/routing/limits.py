"""Limits of requests and tokens in a time: which of them a request meets, all of them or none.

A request is charged when it is admitted: one request, and the tokens it is estimated to take. At its end the tokens are
corrected to what it took. What a dialect's clients are told of it in headers is here too, so that the names of the
numbers and the numbers cannot part.
"""

from __future__ import annotations

import datetime
import enum
import math
from collections.abc import Mapping, Sequence

import msgspec

from .. import ir
from .rates import Bucket, Rate, Standing, Taken
from .recent import Recent


class Meter(enum.Enum):
    REQUESTS = "requests"
    TOKENS = "tokens"


class Demand(msgspec.Struct, frozen=True):
    """What a request wants of one limit."""

    name: str
    """Whose limit, in the words of an error: ``this key``, ``provider x``, ``the gateway``."""
    scope: str
    """Whose limit, as it is counted: equal scopes share a bucket."""
    meter: Meter
    rate: Rate
    cost: int


class Charge(msgspec.Struct, frozen=True):
    """What was taken. Give it to `Limits.settle` or to `Limits.cancel`, once."""

    parts: tuple[tuple[Demand, Bucket, Taken], ...]


class Exceeded(msgspec.Struct, frozen=True):
    """The limit that is in the way the longest."""

    demand: Demand
    retry_after: float | None
    """Seconds; None: the request is larger than the limit and never gets through."""

    def error(self) -> ir.Error:
        """In words that help."""
        demand, limit = self.demand, self.demand.rate
        span = "a minute" if limit.period == 60 else f"in {limit.period} s"
        if self.retry_after is None:
            return ir.Error(
                ir.ErrorKind.TOO_LARGE,
                f"the request may take {demand.cost} {demand.meter.value}, more than the {limit.most} that "
                f"{demand.name} has at once: make it smaller, or lower the most tokens it asks for",
                code="request_exceeds_limit",
            )
        return ir.Error(
            ir.ErrorKind.RATE_LIMIT,
            f"{demand.name} has reached its limit of {limit.limit} {demand.meter.value} {span}; there is room again "
            f"in {_shown(self.retry_after)} s",
            code="rate_limit_exceeded",
            retry_after=self.retry_after,
        )


MAX_BUCKETS = 65_536
"""Buckets in use: keys and providers, so a bound that is only there for what nobody thought of."""


class Limits:
    """All buckets. ``now`` is seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._buckets: Recent[tuple[str, Meter], Bucket] = Recent(MAX_BUCKETS)

    def exceeded(self, demands: Sequence[Demand], now: float) -> Exceeded | None:
        """The limit that is in the way of ``demands``, if any; nothing is charged."""
        worst: Exceeded | None = None
        for demand in demands:
            secs = self._bucket(demand, now).wait(demand.cost, now)
            if secs is None:
                return Exceeded(demand, None)
            if secs > 0 and (worst is None or worst.retry_after is None or secs > worst.retry_after):
                worst = Exceeded(demand, secs)
        return worst

    def admit(self, demands: Sequence[Demand], now: float) -> Charge | Exceeded:
        """Charge all ``demands``, or none of them."""
        found = self.exceeded(demands, now)
        return self.charge(demands, now) if found is None else found

    def charge(self, demands: Sequence[Demand], now: float) -> Charge:
        """Charge ``demands``, which are known to fit."""
        parts = []
        for demand in demands:
            bucket = self._bucket(demand, now)
            parts.append((demand, bucket, bucket.take(demand.cost, now)))
        return Charge(tuple(parts))

    def standings(self, demands: Sequence[Demand], now: float) -> dict[Meter, Standing]:
        """How the limits stand that ``demands`` meet, without charging anything."""
        return _tightest([(demand, self._bucket(demand, now)) for demand in demands], now)

    def settle(self, charge: Charge, tokens: int | None, now: float) -> None:
        """The request took ``tokens``; None is unknown: the estimate stays."""
        if tokens is None:
            return
        for demand, bucket, taken in charge.parts:
            if demand.meter is Meter.TOKENS:
                bucket.settle(taken, tokens, now)

    def cancel(self, charge: Charge, now: float) -> None:
        """The request did not take place."""
        for _, bucket, taken in charge.parts:
            bucket.settle(taken, 0, now)

    def _bucket(self, demand: Demand, now: float) -> Bucket:
        key = demand.scope, demand.meter
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = Bucket(demand.rate)
            self._buckets.put(key, bucket)
        elif bucket.rate != demand.rate:
            # The configuration changed: what was used is used under the new limit too.
            used = bucket.rate.most - bucket.standing(now).remaining
            bucket = Bucket(demand.rate)
            bucket.take(min(used, demand.rate.most), now)
            self._buckets.put(key, bucket)
        return bucket


def standings(charge: Charge, now: float) -> dict[Meter, Standing]:
    """How the limits stand that ``charge`` has met."""
    return _tightest([(demand, bucket) for demand, bucket, _ in charge.parts], now)


def _tightest(met: Sequence[tuple[Demand, Bucket]], now: float) -> dict[Meter, Standing]:
    """For each meter the limit with the least left: the one a client runs into first."""
    out: dict[Meter, Standing] = {}
    for demand, bucket in met:
        found = bucket.standing(now)
        known = out.get(demand.meter)
        if known is None or found.remaining < known.remaining:
            out[demand.meter] = found
    return out


def limit_headers(dialect: str, found: Mapping[Meter, Standing], unix: float) -> tuple[tuple[str, str], ...]:
    """Headers of an answer, in the names that clients of ``dialect`` read; ``unix`` is Unix seconds.

    Gemini's and Ollama's protocols have none: there an error tells the wait, and nothing else.
    """
    out: list[tuple[str, str]] = []
    for meter, standing in found.items():
        if dialect in ("openai", "openai_responses"):
            out.append((f"x-ratelimit-limit-{meter.value}", str(standing.limit)))
            out.append((f"x-ratelimit-remaining-{meter.value}", str(standing.remaining)))
            out.append((f"x-ratelimit-reset-{meter.value}", span(standing.reset)))
        elif dialect == "anthropic":
            out.append((f"anthropic-ratelimit-{meter.value}-limit", str(standing.limit)))
            out.append((f"anthropic-ratelimit-{meter.value}-remaining", str(standing.remaining)))
            out.append((f"anthropic-ratelimit-{meter.value}-reset", date(unix + standing.reset)))
    return tuple(out)


def span(secs: float) -> str:
    """``secs`` as OpenAI writes it: ``120ms``, ``1.5s``, ``6m0s``, ``1h0m0s``. Rounded up to a millisecond."""
    millis = max(math.ceil(secs * 1000 - 1e-6), 0)
    if millis < 1000:
        return f"{millis}ms"
    minutes, rest = divmod(millis, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


def date(unix: float) -> str:
    """RFC 3339 in whole seconds, rounded up, as Anthropic writes it."""
    found = datetime.datetime.fromtimestamp(math.ceil(unix), datetime.timezone.utc)
    return found.strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(secs: float) -> str:
    """Rounded up, so that nobody who believes it comes too early."""
    return f"{math.ceil(secs * 10) / 10:g}" if secs < 60 else str(math.ceil(secs))
