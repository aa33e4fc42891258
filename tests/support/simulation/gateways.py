"""Configurations by chance."""

from __future__ import annotations

import random

from ferryllm_proto import DIALECTS, Gateway, Provider, Route, RouteTable
from ferryllm_proto.entries import Forward
from ferryllm_proto.loss import LossPolicy
from ferryllm_proto.policy.access import AccessRules, key_digest
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.keys import ClientKey, KeyBook
from ferryllm_proto.routing.retry import RetryRules

KEY = "fk-simulated-0123456789"
NAMES = tuple(DIALECTS)


def make(rng: random.Random) -> Gateway:
    """A gateway with a provider of every dialect, reached by models that begin with its name."""
    providers = {
        f"p-{name}": Provider(
            f"p-{name}",
            name,
            first_byte_secs=rng.choice((0.0, 0.5, 5.0, 300.0, 300.0, 300.0, 300.0)),
            request_secs=rng.choice((0.5, 30.0, 600.0, 600.0, 600.0)),
            idle_secs=rng.choice((0.0, 0.5, 5.0, 120.0, 120.0, 120.0, 120.0)),
            total_secs=rng.choice((None, None, None, None, 0.7, 20.0, 1000.0)),
            keeps_responses=rng.random() < 0.5,
        )
        for name in NAMES
    }
    routes = tuple(
        Route(
            f"{name}-",
            f"p-{name}",
            rewrite_model=rng.choice((None, "real")),
            loss_policy=rng.choice(tuple(LossPolicy)),
            fallbacks=tuple(Target(f"p-{rng.choice(NAMES)}") for _ in range(rng.choice((0, 0, 0, 1, 2)))),
        )
        for name in NAMES
    )
    if rng.random() < 0.2:
        routes = (*routes, Route("*", "p-openai"))
    return Gateway(
        RouteTable(routes),
        providers,
        AccessRules(loopback=rng.random() < 0.8),
        body_limit=rng.choice((2_000, 32 << 20, 32 << 20, 32 << 20, 32 << 20, 32 << 20)),
        hold_secs=rng.choice((0.0, 0.3, 1.0)),
        forwards=(Forward("/v1/files", "p-openai"),),
        keeps_responses=rng.random() < 0.6,
        ping_secs=rng.choice((0.4, 4.0, 15.0)),
        retry=RetryRules(retries=rng.choice((0, 0, 1, 2)), backoff=rng.choice((0.0, 0.2))),
        keys=KeyBook((ClientKey("k1", key_digest(KEY)),)) if rng.random() < 0.3 else None,
    )
