"""From what the configuration says about routing and limits to the rules that the machines decide with."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ferryllm_proto.policy import headers as fields
from ferryllm_proto.routing.affinity import AffinityRules
from ferryllm_proto.routing.balance import Balance, Target
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import ProviderBounds
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import KeyLimits
from ferryllm_proto.routing.patterns import PatternError, glob, regex
from ferryllm_proto.routing.retry import BudgetRules, RetryRules
from ferryllm_proto.routing.table import NO_OVERRIDES, Overrides

from . import limits_schema
from .problems import Path as KeyPath
from .problems import Report, nearest
from .routing_schema import Affinity, Breaker, ProviderRetry, Retry, RouteRetry, RouteTimeouts
from .routing_settings import ClientLimits, RoutingSettings
from .schema import Config, Provider, Route
from .settings import RouteSettings

_OLDER = {
    "retry_attempts": ("retry", "attempts"),
    "retry_backoff_ms": ("retry", "backoff_ms"),
    "circuit_breaker_failures": ("breaker", "failures"),
    "circuit_breaker_cooldown_secs": ("breaker", "cooldown_secs"),
    "rate_limit_per_minute": ("limits", "requests_per_minute"),
    "max_concurrent_requests": ("limits", "max_concurrency"),
}
"""Keys of `[server]` that say what a table of its own says too."""

_OLDER_OF_KEYS = {
    "per_key_rate_limit_per_minute": "requests_per_minute",
    "per_key_max_concurrent_requests": "max_concurrency",
}
"""So keys of `[auth]` for those of `[limits.key]`."""


def with_older(config: Config, report: Report) -> Config:
    """``config`` with what `[server]` and `[auth]` say in older words where it belongs."""
    changed: dict[str, dict[str, object]] = {}
    for name, (table, key) in _OLDER.items():
        there = getattr(config.server, name)
        if there is None:
            continue
        here, usual = getattr(getattr(config, table), key), _USUAL[table]
        if here != getattr(usual, key):
            report.error(("server", name), f"{table}.{key} says it too", "keep one of them")
            continue
        report.redirect((table, key), ("server", name), {})
        # 0 switches a limit off there.
        changed.setdefault(table, {})[key] = there if there or table == "retry" else None
    tables = {table: msgspec.structs.replace(getattr(config, table), **new) for table, new in changed.items()}
    # What was off there unless it was named is off here too.
    if "retry" in tables and tables["retry"].attempts is None:
        tables["retry"] = msgspec.structs.replace(tables["retry"], attempts=0)
    each = _older_of_keys(config, report)
    if each != config.limits.key:
        tables["limits"] = msgspec.structs.replace(tables.get("limits", config.limits), key=each)
    return msgspec.structs.replace(config, **tables) if tables else config


def _older_of_keys(config: Config, report: Report) -> limits_schema.KeyLimits:
    each = config.limits.key
    for name, key in _OLDER_OF_KEYS.items():
        there = getattr(config.auth, name)
        if there is None:
            continue
        if getattr(each, key) is not None:
            report.error(("auth", name), f"limits.key.{key} says it too", "keep one of them")
            continue
        report.redirect(("limits", "key", key), ("auth", name), {})
        each = msgspec.structs.replace(each, **{key: there or None})  # 0 switches it off there
    return each


_USUAL: Mapping[str, object] = {"retry": Retry(), "breaker": Breaker(), "limits": limits_schema.Limits()}


def resolve_routing(config: Config, report: Report) -> RoutingSettings:
    """What holds for all routes. Faults go to `report`."""
    common = retry_rules(config.retry, ("retry",), report, RetryRules(retries=0 if config.retry == Retry() else 2))
    return RoutingSettings(
        common,
        {
            one.name: retry_rules(one.retry, ("providers", n, "retry"), report, common)
            for n, one in enumerate(config.providers)
            if one.retry is not None
        },
        BudgetRules(percent=config.retry.budget_percent, per_minute=config.retry.budget_per_minute),
        breaker_rules(config.breaker),
        affinity_rules(config.affinity, ("affinity",), report),
        config.hints.enabled,
    )


def resolve_client_limits(config: Config, report: Report) -> ClientLimits:
    """The bounds of clients. Faults go to `report`."""
    found, each = config.limits, config.limits.key
    if found.queue and found.max_concurrency is None:
        report.warn(("limits", "queue"), "not used, because there is no max_concurrency", "set it, or leave this out")
    said = next((name for name in limits_schema.KeyLimits.__struct_fields__ if getattr(each, name) is not None), None)
    if said is not None and not config.auth.enabled:
        report.warn(("limits", "key", said), "not used, because clients have no keys", "set auth.enabled = true")
    return ClientLimits(
        KeyLimits(found.requests_per_minute, found.tokens_per_minute),
        KeyLimits(each.requests_per_minute, each.tokens_per_minute, each.max_concurrency),
        GateRules(found.max_concurrency, found.queue, found.queue_wait_secs),
        found.assumed_output_tokens,
    )


def retry_rules(
    found: Retry | ProviderRetry, path: KeyPath, report: Report, common: RetryRules | None = None
) -> RetryRules:
    """``found`` at ``path``; what it leaves out is as in ``common``."""
    usual = common or RetryRules()
    backoff, most = found.backoff_ms, found.max_backoff_ms
    total = found.total_attempts if isinstance(found, (Retry, RouteRetry)) else None
    rules = RetryRules(
        retries=usual.retries if found.attempts is None else found.attempts,
        total=usual.total if total is None else total,
        backoff=usual.backoff if backoff is None else backoff / 1000,
        max_backoff=usual.max_backoff if most is None else most / 1000,
        jitter=usual.jitter if found.jitter is None else found.jitter,
        statuses=usual.statuses if found.statuses is None else frozenset(found.statuses),
        max_retry_after=usual.max_retry_after if found.max_retry_after_secs is None else found.max_retry_after_secs,
    )
    if rules.backoff > rules.max_backoff:
        report.warn(
            (*path, "max_backoff_ms"), f"below backoff_ms, so every wait is {rules.max_backoff:g} s", "make it longer"
        )
    for n, status in enumerate(found.statuses or ()):
        if status in _CLIENTS_OWN:
            report.warn(
                (*path, "statuses", n), f"{status} is the client's own fault: another attempt gets it too", "drop it"
            )
    return rules


_CLIENTS_OWN = frozenset({400, 401, 402, 403, 404, 405, 413, 422})


def breaker_rules(found: Breaker) -> BreakerRules:
    return BreakerRules(found.failures, found.cooldown_secs, found.key_cooldown_secs, found.max_hold_secs)


def affinity_rules(found: Affinity, path: KeyPath, report: Report) -> AffinityRules | None:
    """``found`` at ``path``; None: conversations have no place."""
    if not found.enabled:
        return None
    names = (found.header,) if isinstance(found.header, str) else found.header
    for n, name in enumerate(names):
        if fields.fault(name) == "not the name of a header":
            at = (*path, "header") if isinstance(found.header, str) else (*path, "header", n)
            report.error(at, "not the name of a header", "as in x-session-id")
    # Where nobody has asked for it, equal requests spread as the weights say.
    opening = found != Affinity() if found.first_messages is None else found.first_messages
    rules = AffinityRules(opening=opening, ttl=found.ttl_secs)
    return msgspec.structs.replace(rules, headers=tuple(name.lower() for name in names)) if names else rules


def provider_bounds(provider: Provider) -> ProviderBounds | None:
    """What the gateway asks of ``provider`` at most."""
    bounds = ProviderBounds(provider.requests_per_minute, provider.tokens_per_minute, provider.max_concurrency)
    return None if bounds == ProviderBounds() else bounds


# --- one route ---


def resolve_route(
    route: Route, settings: RouteSettings, own: int | None, path: KeyPath, routing: RoutingSettings, report: Report
) -> RouteSettings:
    """``settings`` with what ``route``, at ``path``, says of its targets and in place of the common rules. ``own``
    are the further attempts that an entry of `models` asks for."""
    targets = tuple(Target(target.provider, target.model, target.weight) for target in route.targets)
    overrides = NO_OVERRIDES
    if route.retry is not None:
        rules = retry_rules(route.retry, (*path, "retry"), report, routing.retry)
        overrides = msgspec.structs.replace(overrides, retry=rules)
    elif own is not None:
        overrides = msgspec.structs.replace(overrides, retry=msgspec.structs.replace(routing.retry, retries=own))
    if route.affinity is not None:
        affinity = affinity_rules(route.affinity, (*path, "affinity"), report)
        overrides = msgspec.structs.replace(overrides, affinity=affinity or AffinityRules(enabled=False))
    if route.timeouts is not None:
        overrides = _with_times(overrides, route.timeouts)
    return msgspec.structs.replace(
        settings,
        provider=targets[0].provider if targets else settings.provider,
        targets=targets,
        balance=Balance(route.balance),
        fallbacks=tuple(Target(name) for name in route.fallback_providers),
        overrides=overrides,
    )


def _with_times(overrides: Overrides, found: RouteTimeouts) -> Overrides:
    first_byte = found.request_secs if found.first_byte_secs is None else found.first_byte_secs
    return msgspec.structs.replace(
        overrides,
        first_byte_secs=first_byte,
        request_secs=found.request_secs,
        idle_secs=found.idle_secs,
        total_secs=found.total_secs,
    )


def check_route(route: Route, path: KeyPath, names: list[str], report: Report) -> None:
    """Say what is wrong with what ``route`` matches and whom it names; ``names`` are the providers."""
    if report.accepted((*path, "match")):
        _check_match(route, path, report)
    if route.rewrite_model is not None and not route.rewrite_model.strip():
        report.error((*path, "rewrite_model"), "empty", "leave it out to keep the client's model")
    if route.targets and route.provider is not None:
        report.error(
            (*path, "provider"), "beside [[routes.targets]], which name the providers", "leave one of them out"
        )
    elif not route.targets and route.provider is None and report.accepted((*path, "provider")):
        report.error((*path, "provider"), "missing", "name a provider, or add [[routes.targets]]")
    _check_provider(route.provider, (*path, "provider"), names, report)
    asked: set[tuple[str, str | None]] = set()
    for n, target in enumerate(route.targets):
        at = (*path, "targets", n)
        _check_provider(target.provider, (*at, "provider"), names, report)
        if target.model is not None and not target.model.strip():
            report.error((*at, "model"), "empty", "leave it out to keep the route's")
        if (target.provider, target.model) in asked:
            report.error((*at, "provider"), "the same provider and model as a target before it", "give one a weight")
        asked.add((target.provider, target.model))
    if len(route.targets) < 2 and route.balance != "weighted":
        report.warn((*path, "balance"), "not used, because there is only one target", "add [[routes.targets]]")
    for n, name in enumerate(route.fallback_providers):
        at = (*path, "fallback_providers", n)
        _check_provider(name, at, names, report)
        if name in route.fallback_providers[:n]:
            report.warn(at, f'"{name}" for the second time', "leave it out")
        elif (name, None) in asked or name == route.provider:
            report.warn(at, f'"{name}" is asked before its fallbacks already', "leave it out")


def _check_match(route: Route, path: KeyPath, report: Report) -> None:
    at, match = (*path, "match"), route.match
    if not match.strip():
        report.error(at, "empty", 'write match = "*" for every model')
    elif match == "*" and route.match_type == "exact":
        report.error((*path, "match_type"), '"*" matches every model, which is not exact', "leave match_type out")
    elif route.match_type in ("glob", "regex") and match != "*":
        try:
            (glob if route.match_type == "glob" else regex)(match)
        except PatternError as fault:
            report.error(at, str(fault))
    elif "*" in match and match != "*" and route.match_type == "prefix":
        end = f'write match = "{match[:-1]}", or ' if match.find("*") == len(match) - 1 else ""
        report.error(at, f'"*" stands alone or not at all, found "{match}"', f'{end}add match_type = "glob"')


def _check_provider(name: str | None, at: KeyPath, names: list[str], report: Report) -> None:
    if name is None or name in names or not report.accepted(at):
        return
    near = nearest(name, names)
    known = ", ".join(f'"{one}"' for one in names) or "none"
    report.error(
        at,
        f'no provider is called "{name}"; there are: {known}',
        f'did you mean "{near}"?' if near else "name one of them, or add [[providers]]",
    )
