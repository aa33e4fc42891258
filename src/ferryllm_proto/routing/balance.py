"""Which of several targets a request goes to, among those that are healthy: one function for each way to choose.

What is known of the targets (requests under way, how soon they answer) is kept here; health is the breaker's.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence

import msgspec

from .recent import Recent


class Target(msgspec.Struct, frozen=True, gc=False):
    """A place that can answer: a provider, and what it shall be asked for."""

    provider: str
    model: str | None = None
    """The provider's name of the model; None is the client's own."""
    weight: int = 1
    """Its share among the targets of a route, at least 1."""


class Balance(enum.Enum):
    WEIGHTED = "weighted"
    """By chance, in proportion to the weights."""
    ROUND_ROBIN = "round_robin"
    """In turns, each as often as its weight, spread evenly."""
    LEAST_LATENCY = "least_latency"
    """The one whose answers begin soonest."""
    LEAST_BUSY = "least_busy"
    """The one with the fewest requests under way."""
    COST = "cost"
    """The cheapest for this request; those without a price come last."""


class Candidate(msgspec.Struct, frozen=True):
    target: Target
    model: str
    """What the provider will be asked for: the target's model or the client's."""
    cost: int | None = None
    """Nano-dollars this request may cost there; None is unknown."""


LATENCY_SHARE = 0.3
"""How much one measurement moves the mean: the last five or so count."""
LATENCY_HALF_LIFE = 30.0
"""Seconds after which a measurement is worth half: a target that was slow is tried again when nobody asks it."""
MAX_MEASURED = 4096
"""Pairs of provider and model whose latency is remembered."""
MAX_ROUNDS = 1024
"""Groups of targets whose turns are remembered: routes of the configuration, and of those before a reload."""


class Loads:
    """What is known of each pair of provider and model. Report every attempt: `begin`, then `end`."""

    def __init__(self) -> None:
        self._under_way: dict[tuple[str, str], int] = {}
        self._at: dict[str, int] = {}
        """The same by provider."""
        self._latency: Recent[tuple[str, str], tuple[float, float]] = Recent(MAX_MEASURED)
        """Mean, and when it was last measured."""

    def begin(self, provider: str, model: str) -> None:
        key = provider, model
        self._under_way[key] = self._under_way.get(key, 0) + 1
        self._at[provider] = self._at.get(provider, 0) + 1

    def end(self, provider: str, model: str) -> None:
        key = provider, model
        left = self._under_way.get(key, 0)
        if not left:
            return
        # What is 0 is forgotten: names of models come from clients.
        if left > 1:
            self._under_way[key] = left - 1
        else:
            del self._under_way[key]
        if self._at[provider] > 1:
            self._at[provider] -= 1
        else:
            del self._at[provider]

    def measure(self, provider: str, model: str, secs: float, now: float) -> None:
        """An answer began ``secs`` after its request, or a provider said nothing for so long."""
        key = provider, model
        known = self._latency.get(key)
        mean = secs if known is None else known[0] + LATENCY_SHARE * (secs - known[0])
        self._latency.put(key, (max(mean, 0.0), now))

    def under_way(self, provider: str, model: str) -> int:
        return self._under_way.get((provider, model), 0)

    def at(self, provider: str) -> int:
        """Requests under way at ``provider``, whatever their model."""
        return self._at.get(provider, 0)

    def latency(self, provider: str, model: str, now: float) -> float:
        """Seconds to expect; the less the longer nothing was measured, and 0 without any measurement."""
        known = self._latency.peek((provider, model))
        if known is None:
            return 0.0
        mean, at = known
        return mean * math.pow(0.5, max(now - at, 0.0) / LATENCY_HALF_LIFE)


class Balancer:
    """Chooses. ``loads`` is shared with whoever reports attempts."""

    def __init__(self, loads: Loads | None = None) -> None:
        self.loads = Loads() if loads is None else loads
        self._rounds: Recent[tuple[Target, ...], dict[Target, int]] = Recent(MAX_ROUNDS)

    def choose(
        self, way: Balance, group: tuple[Target, ...], candidates: Sequence[Candidate], now: float, chance: float
    ) -> int:
        """The index of one of ``candidates``, at least one; ``chance`` is a random number in [0, 1).

        ``group`` are all targets of the route: turns are counted for it, whoever of it is healthy now.
        """
        assert candidates
        if len(candidates) == 1:
            return 0
        if way is Balance.WEIGHTED:
            return weighted([candidate.target.weight for candidate in candidates], chance)
        if way is Balance.ROUND_ROBIN:
            return self._turn(group, candidates)
        return _least([_SCORES[way](self.loads, candidate, now) for candidate in candidates], candidates, chance)

    def _turn(self, group: tuple[Target, ...], candidates: Sequence[Candidate]) -> int:
        """Each healthy target gains its weight; the richest pays all of it (as nginx spreads its weights)."""
        purse = self._rounds.get(group)
        if purse is None:
            purse = {}
            self._rounds.put(group, purse)
        best, total = 0, 0
        for at, candidate in enumerate(candidates):
            target = candidate.target
            total += target.weight
            purse[target] = purse.get(target, 0) + target.weight
            if purse[target] > purse[candidates[best].target]:
                best = at
        purse[candidates[best].target] -= total
        return best


def weighted(weights: Sequence[int], chance: float) -> int:
    """The index whose part of the whole ``chance``, a number in [0, 1), falls into."""
    at = chance * sum(weights)
    for index, weight in enumerate(weights):
        at -= weight
        if at < 0:
            return index
    return len(weights) - 1


def _least(scores: Sequence[float], candidates: Sequence[Candidate], chance: float) -> int:
    """The lowest score; among equals by weight and chance, so that a new target is not asked by everybody at once."""
    lowest = min(scores)
    best = [at for at, score in enumerate(scores) if score == lowest]
    return best[weighted([candidates[at].target.weight for at in best], chance)]


def _latency(loads: Loads, candidate: Candidate, now: float) -> float:
    # Times what is under way: otherwise the fastest gets everything until it is the slowest (Finagle's peak EWMA).
    provider, model = candidate.target.provider, candidate.model
    waiting = loads.under_way(provider, model) + 1
    return loads.latency(provider, model, now) * waiting / candidate.target.weight


def _busy(loads: Loads, candidate: Candidate, now: float) -> float:
    return loads.under_way(candidate.target.provider, candidate.model) / candidate.target.weight


def _cost(loads: Loads, candidate: Candidate, now: float) -> float:
    return float("inf") if candidate.cost is None else float(candidate.cost)


_SCORES: dict[Balance, Callable[[Loads, Candidate, float], float]] = {
    Balance.LEAST_LATENCY: _latency,
    Balance.LEAST_BUSY: _busy,
    Balance.COST: _cost,
}
"""Not in it: what looks at no state of the targets."""
