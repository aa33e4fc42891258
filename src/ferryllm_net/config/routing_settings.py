"""What the gateway runs with of routing, resilience and limits: values of ferryllm_proto, a part of `settings`."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ferryllm_proto.routing.affinity import AffinityRules
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import NO_LIMITS, KeyLimits
from ferryllm_proto.routing.retry import BudgetRules, RetryRules


class RoutingSettings(msgspec.Struct, frozen=True):
    """What holds for every route and provider that says nothing else."""

    retry: RetryRules = RetryRules()
    retries: Mapping[str, RetryRules] = {}
    """Of single providers, on routes that have none of their own."""
    budget: BudgetRules = BudgetRules()
    breaker: BreakerRules = BreakerRules()
    affinity: AffinityRules | None = None
    """None: conversations have no place."""
    hints: bool = False
    """Whether clients may name a provider."""


class ClientLimits(msgspec.Struct, frozen=True):
    """Bounds for clients."""

    own: KeyLimits = NO_LIMITS
    """Of all together: ``concurrency`` is the gate's."""
    each: KeyLimits = NO_LIMITS
    """Of each key that has none of its own."""
    gate: GateRules = GateRules()
    assumed_output: int = 1024
    """Tokens of output where a request names no bound."""
