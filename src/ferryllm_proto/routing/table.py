"""The routes: from the client's name of a model to a provider and its name of the model."""

from __future__ import annotations

import enum
import re

import msgspec

from ..loss import LossPolicy


class MatchType(enum.Enum):
    EXACT = "exact"
    PREFIX = "prefix"


class Route(msgspec.Struct, frozen=True):
    match: str
    """A model's name, the beginning of one, or ``*``."""
    provider: str
    """Name of a provider."""
    match_type: MatchType = MatchType.PREFIX
    rewrite_model: str | None = None
    """What the provider shall be asked for; None is the client's own name."""
    loss_policy: LossPolicy = LossPolicy.REPORT
    """What becomes of a request that cannot be carried whole."""


_VARIANT = re.compile(r"\[[0-9]+[mMkK]\]$")


class RouteTable:
    """Exact matches first, then the longest prefix, then ``*``; among equals the first in the file."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self.routes = routes
        self._exact: dict[str, Route] = {}
        prefixes: list[Route] = []
        self._any: Route | None = None
        for route in routes:
            if route.match == "*":
                self._any = self._any or route
            elif route.match_type is MatchType.EXACT:
                self._exact.setdefault(route.match, route)
            else:
                prefixes.append(route)
        self._prefixes = sorted(prefixes, key=lambda route: -len(route.match))

    def resolve(self, model: str) -> Route | None:
        """The route of ``model``, or None.

        Claude Code marks its long-context variants with a suffix such as ``[1m]``; it counts only where a route
        names it (M3).
        """
        found = self._lookup(model)
        if found is None or found is self._any:
            plain = _VARIANT.sub("", model)
            if plain != model:
                found = self._lookup(plain)
        return found

    def _lookup(self, model: str) -> Route | None:
        exact = self._exact.get(model)
        if exact is not None:
            return exact
        for route in self._prefixes:
            if model.startswith(route.match):
                return route
        return self._any

    def names(self) -> tuple[str, ...]:
        """What a models list can show: exact names, and prefixes as they are written."""
        seen: dict[str, None] = {}
        for route in self.routes:
            seen.setdefault(route.match, None)
        return tuple(seen)
