"""The routes: from the client's name of a model to the targets that may answer and their names of the model."""

from __future__ import annotations

import enum

import msgspec

from .. import ir
from ..errors import RemoteProtocolError
from ..loss import LossPolicy
from ..policy.route import NO_POLICIES, RoutePolicies
from .affinity import AffinityRules
from .balance import Balance, Target
from .hints import MODEL_PREFIX, split_model
from .names import plainer
from .patterns import Pattern, glob, regex
from .retry import RetryRules


class MatchType(enum.Enum):
    EXACT = "exact"
    PREFIX = "prefix"
    GLOB = "glob"
    """``*`` is any characters, ``?`` one."""
    REGEX = "regex"
    """Has to fit the whole name; what it may contain is in `patterns`."""


class Overrides(msgspec.Struct, frozen=True):
    """What holds for one route in place of what holds for all. None is: as elsewhere. Times are seconds."""

    retry: RetryRules | None = None
    affinity: AffinityRules | None = None
    first_byte_secs: float | None = None
    request_secs: float | None = None
    idle_secs: float | None = None
    total_secs: float | None = None


NO_OVERRIDES = Overrides()


class Route(msgspec.Struct, frozen=True):
    match: str
    """A model's name, the beginning of one, a pattern, or ``*``."""
    provider: str
    """Name of a provider."""
    match_type: MatchType = MatchType.PREFIX
    rewrite_model: str | None = None
    """What the provider shall be asked for; None is the client's own name."""
    loss_policy: LossPolicy = LossPolicy.REPORT
    """What becomes of a request that cannot be carried whole."""
    policies: RoutePolicies = NO_POLICIES
    """What is done to requests and answers on the way."""
    targets: tuple[Target, ...] = ()
    """Those that share the requests; none is ``provider`` alone. ``provider`` is the first of them."""
    balance: Balance = Balance.WEIGHTED
    fallbacks: tuple[Target, ...] = ()
    """Asked in this order when no target answers. One without a model gets the route's ``rewrite_model``."""
    overrides: Overrides = NO_OVERRIDES

    def at(self, target: Target) -> Route:
        """This route with ``target`` as the one that answers."""
        if target.provider == self.provider and target.model == self.rewrite_model:
            return self
        return msgspec.structs.replace(self, provider=target.provider, rewrite_model=target.model)


class Plan(msgspec.Struct, frozen=True):
    """Who may answer a request."""

    route: Route
    targets: tuple[Target, ...]
    """At least one."""
    fallbacks: tuple[Target, ...] = ()
    hinted: bool = False
    """The client named the provider: there is one target, and nobody stands in for it."""
    alone: bool = False
    """There is one target, and no route of the table counts who is busy: while nothing is held against anybody there is
    nothing to choose, and nothing to tell."""


def plan_of(route: Route, *, counted: bool = True) -> Plan:
    """The targets of ``route`` with the names they are asked for. ``counted``: routes beside it count who is busy."""
    targets = route.targets or (Target(route.provider, route.rewrite_model),)
    alone = len(targets) == 1 and not counted
    return Plan(route, _named(targets, route.rewrite_model), _named(route.fallbacks, route.rewrite_model), alone=alone)


def _named(targets: tuple[Target, ...], model: str | None) -> tuple[Target, ...]:
    if model is None:
        return targets
    return tuple(msgspec.structs.replace(target, model=model) if target.model is None else target for target in targets)


MAX_KEPT = 1024
"""Names whose plans are kept; so many has no gateway in use."""
MAX_KEPT_NAME = 200
"""Characters of such a name: longer ones are no names, and clients may send any."""


class RouteTable:
    """Exact matches first; then prefixes and globs, those with more characters of their own first; then regular
    expressions in the order of the file; then ``*``. Among equals the first in the file.

    ``providers`` are those a client may name by a hint (see `hints`); none switches hints off. ``policies`` hold for
    a model that only a hint brings to a provider. Raises `patterns.PatternError` for a pattern that cannot be used.
    """

    def __init__(
        self,
        routes: tuple[Route, ...],
        providers: frozenset[str] = frozenset(),
        policies: RoutePolicies = NO_POLICIES,
    ) -> None:
        self.routes = routes
        self._policies = policies
        self._providers = providers
        self._counted = any(len(route.targets) > 1 for route in routes)
        self._plans = {id(route): plan_of(route, counted=self._counted) for route in routes}
        # By identity: they live as long as this table, and the hash of a route costs more than finding it.
        self._exact: dict[str, Route] = {}
        self._any: Route | None = None
        ranked: list[tuple[int, Pattern | None, Route]] = []
        last: list[tuple[Pattern, Route]] = []
        for route in routes:
            if route.match == "*" and route.match_type is not MatchType.EXACT:
                self._any = self._any or route
            elif route.match_type is MatchType.EXACT:
                self._exact.setdefault(route.match, route)
            elif route.match_type is MatchType.REGEX:
                last.append((regex(route.match), route))
            elif route.match_type is MatchType.GLOB:
                ranked.append((len(route.match) - route.match.count("*"), glob(route.match), route))
            else:
                ranked.append((len(route.match), None, route))
        self._ranked = [(pattern, route) for _, pattern, route in sorted(ranked, key=lambda row: -row[0])]
        self._last = last
        self._found: dict[str, Plan] = {}
        """What came of names before: clients send the same few."""

    def resolve(self, model: str) -> Route | None:
        """The route of ``model``, or None.

        Names as some clients write them count only where a route names them: Claude Code's ``[1m]`` for a long
        context, the desktop program's ``--ferryllm-...``, a date at the end (M3).
        """
        found = self._lookup(model)
        if found is None or found is self._any:
            for plain in plainer(model):
                better = self._lookup(plain)
                if better is not None and better is not self._any:
                    return better
        return found

    def plan(self, model: str, hint: str | None = None) -> Plan | None:
        """Who may answer a request for ``model``; None is nobody.

        ``hint`` is the provider that the client asks for (`hints.read_hint`). A route that renames the model decides
        alone. Raises `RemoteProtocolError` where a hint names no provider.
        """
        if hint is None:
            found = self._found.get(model)
            if found is None:
                found = self._plan(model, None)
                if found is not None and len(model) <= MAX_KEPT_NAME:
                    if len(self._found) >= MAX_KEPT:
                        self._found.clear()
                    self._found[model] = found
            return found
        return self._plan(model, hint)

    def _plan(self, model: str, hint: str | None) -> Plan | None:
        if self._providers:
            named = split_model(model) if model.startswith(MODEL_PREFIX) else None
            if named is not None and model not in self._exact:
                return self._pinned(*named, self.resolve(named[1]))
            if hint is not None:
                route = self.resolve(model)
                if route is None or not _renames(route):
                    return self._pinned(hint, None, route)
        found = self.resolve(model)
        return None if found is None else self._plans[id(found)]

    @property
    def alone(self) -> bool:
        """Whether a plan of one target is `Plan.alone`."""
        return not self._counted

    def _pinned(self, provider: str, model: str | None, route: Route | None) -> Plan:
        if provider not in self._providers:
            shown = provider if len(provider) <= 100 else provider[:100] + "..."
            raise RemoteProtocolError(
                f"the request asks for provider {shown!r}, which this gateway does not have",
                kind=ir.ErrorKind.NOT_FOUND,
                code="provider_not_found",
            )
        if route is None:
            route = Route("*", provider, rewrite_model=model, policies=self._policies)
        else:
            # Everything else the route says holds whoever answers.
            route = msgspec.structs.replace(
                route, provider=provider, rewrite_model=model, targets=(), fallbacks=(), balance=Balance.WEIGHTED
            )
        return Plan(route, (Target(provider, model),), hinted=True, alone=self.alone)

    def _lookup(self, model: str) -> Route | None:
        exact = self._exact.get(model)
        if exact is not None:
            return exact
        for pattern, route in self._ranked:
            if model.startswith(route.match) if pattern is None else pattern.matches(model):
                return route
        for pattern, route in self._last:
            if pattern.matches(model):
                return route
        return self._any

    def names(self) -> tuple[str, ...]:
        """What a models list can show: exact names, and beginnings and patterns as they are written."""
        seen: dict[str, None] = {}
        for route in self.routes:
            seen.setdefault(route.match, None)
        return tuple(seen)


def _renames(route: Route) -> bool:
    return route.rewrite_model is not None or any(target.model is not None for target in route.targets)
