"""Who answers requests for which model, in words: what `check-config` shows of the routes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ferryllm_net.config import Settings
    from ferryllm_proto.routing.balance import Target
    from ferryllm_proto.routing.table import Plan, RouteTable


def table(settings: Settings) -> RouteTable:
    """The routes as the gateway looks models up in them."""
    from ferryllm_net.gateway.building import route
    from ferryllm_proto.routing.table import RouteTable

    named = frozenset(one.name for one in settings.providers) if settings.routing.hints else frozenset()
    return RouteTable(tuple(route(one) for one in settings.routes), named, settings.policies)


def described(plan: Plan) -> list[str]:
    """A route's lines: what it matches, then who is asked."""
    route = plan.route
    kind = "every model" if route.match == "*" else f'{route.match_type.value} "{route.match}"'
    if plan.hinted:
        kind += ", by the client's wish"
    lines = [kind if len(plan.targets) == 1 else f"{kind}, {route.balance.value}"]
    whole = sum(target.weight for target in plan.targets)
    for target in plan.targets:
        share = f" ({target.weight} of {whole})" if len(plan.targets) > 1 and whole > len(plan.targets) else ""
        lines.append(f"  {_named(target)}{share}")
    lines += [f"  else {_named(target)}" for target in plan.fallbacks]
    return lines


def _named(target: Target) -> str:
    return target.provider if target.model is None else f"{target.provider} as {target.model}"


def listed(settings: Settings) -> list[str]:
    """All routes, in the order of the file."""
    from ferryllm_proto.routing.table import plan_of

    return [line for route in table(settings).routes for line in described(plan_of(route))]


def found(settings: Settings, model: str) -> list[str] | None:
    """Who answers requests for ``model``; None is nobody."""
    from ferryllm_proto import RemoteProtocolError

    try:
        plan = table(settings).plan(model)
    except RemoteProtocolError as fault:
        return [str(fault)]
    return None if plan is None else described(plan)
