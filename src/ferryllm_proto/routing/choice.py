"""Which target is asked next: what health, bounds of providers, affinity and balance say, put together.

`Routing` is the state that all requests of a process share. A request asks `choose` before each attempt and tells how
the attempt went: `answered` or `failed`, and then, whatever happened, `ended`.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence

import msgspec

from .. import ir
from .affinity import Pins, settle_on
from .balance import Balance, Balancer, Candidate, Loads, Target
from .breaker import BreakerRules, Change, Health, Permit, Verdict
from .limits import Charge, Demand, Exceeded, Limits, Meter
from .rates import Rate
from .retry import BudgetRules, RetryBudget
from .table import Plan


class ProviderBounds(msgspec.Struct, frozen=True):
    """What the gateway asks of one provider at most; None is: no bound. A target beyond it is passed over."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None


class Errand(msgspec.Struct, frozen=True):
    """What of a request matters for the choice."""

    plan: Plan
    model: str
    """The client's name of it."""
    session: bytes | None = None
    """What stands for its session (`affinity.session_of`)."""
    session_ttl: float = 3600.0
    """Seconds."""
    keys: Mapping[str, str] = {}
    """Provider to a name of its key that says nothing of it; absent is "": a provider without a key."""
    allowed: Collection[str] | None = None
    """Providers that may answer; None is all."""
    costs: Mapping[Target, int] = {}
    """Nano-dollars this request may cost there; absent is unknown."""
    tokens: int = 0
    """What it is estimated to take."""
    full: Mapping[str, PassedOver] | None = None
    """Where bounds of providers are counted for many processes: those that had no room for this request. None: each
    process counts for itself."""


class Choice(msgspec.Struct, frozen=True):
    target: Target
    model: str
    """What the provider is asked for."""
    permit: Permit
    kept: bool = False
    """The session was there before."""
    fallback: bool = False
    charge: Charge | None = None
    """What it took of the provider's limits."""


class Why(enum.Enum):
    """Why a target is not asked now."""

    CIRCUIT = "circuit"
    KEY = "key"
    LIMIT = "limit"
    FULL = "full"
    SIZE = "size"
    """The request is larger than the provider's limit of tokens."""
    STORE = "store"
    """Whoever counts for many processes can not be asked."""


class Closed(msgspec.Struct, frozen=True):
    """A target that is not asked now."""

    why: Why
    retry_after: float
    """Seconds; infinity is never."""


class PassedOver(msgspec.Struct, frozen=True):
    """A provider that had no room."""

    why: Why
    until: float
    """On the clock of ``now``; infinity is never."""


class Booking(msgspec.Struct, frozen=True):
    """A place at a provider, counted for many processes. It is given back once, by `actions.GiveBack`."""

    provider: str
    charge: Charge


class Nobody(msgspec.Struct, frozen=True):
    """No target is left."""

    error: ir.Error
    tried: bool
    """There were attempts: the last one's error says more than this one."""


class Routing:
    """Health, loads, sessions and the retry budget of one process."""

    def __init__(
        self,
        breaker: BreakerRules,
        breakers: dict[str, BreakerRules] | None = None,
        budget: BudgetRules | None = None,
        bounds: Mapping[str, ProviderBounds] | None = None,
    ) -> None:
        self.bounds = bounds or {}
        """By provider; those without an entry have none."""
        self.limits = Limits()
        self.health = Health(breaker, breakers)
        self.loads = Loads()
        self.pins = Pins()
        self.budget = RetryBudget(budget or BudgetRules())
        self._balancer = Balancer(self.loads)

    def renewed(self, other: Routing) -> Routing:
        """``other``, whose breakers and retry budget begin anew by their own rules, with the loads, limits and sessions
        of this one."""
        other.limits, other.loads, other.pins, other._balancer = self.limits, self.loads, self.pins, self._balancer
        return other

    def choose(self, errand: Errand, tried: Collection[Target], now: float, chance: float) -> Choice | Nobody:
        """The target to ask now, and the permit to ask it; ``chance`` is a random number in [0, 1)."""
        plan = errand.plan
        healthy = self._healthy(errand, plan.targets, tried, now)
        if healthy:
            at, kept = self._pick(errand, healthy, now, chance)
            found = healthy[at]
            return self._enter(errand, found.target, found.model, now, kept=kept)
        spare = self._healthy(errand, plan.fallbacks, tried, now)
        if spare:
            return self._enter(errand, spare[0].target, spare[0].model, now, fallback=True)
        return self._nobody(errand, tried, now)

    def others(self, errand: Errand, tried: Collection[Target], now: float) -> bool:
        """Whether `choose` would find a target."""
        plan = errand.plan
        return bool(
            self._healthy(errand, plan.targets, tried, now) or self._healthy(errand, plan.fallbacks, tried, now)
        )

    def again(self, errand: Errand, choice: Choice, now: float) -> Choice | Closed:
        """The same target once more, unless it is not to be asked any more."""
        closed = self._closed(errand, choice.target, choice.model, now)
        if closed is not None:
            return closed
        return self._enter(errand, choice.target, choice.model, now, kept=choice.kept, fallback=choice.fallback)

    def answered(self, errand: Errand, choice: Choice, secs: float, now: float) -> tuple[Change, ...]:
        """The first content is there, ``secs`` after the request was sent."""
        target = choice.target
        self.loads.measure(target.provider, choice.model, secs, now)
        if errand.session is not None:
            self.pins.pin(errand.session, target, now, errand.session_ttl)
        return self.health.settle(choice.permit, Verdict.SUCCESS, now)

    def failed(
        self,
        errand: Errand,
        choice: Choice,
        verdict: Verdict,
        now: float,
        *,
        retry_after: float | None = None,
        silent: float | None = None,
    ) -> tuple[Change, ...]:
        """No content came. ``retry_after`` is what the provider asked for, ``silent`` how long it said nothing."""
        target = choice.target
        if silent is not None:
            self.loads.measure(target.provider, choice.model, silent, now)
        if errand.session is not None and verdict is not Verdict.NOTHING:
            self.pins.unpin(errand.session, target)
        return self.health.settle(choice.permit, verdict, now, retry_after)

    def broke(self, choice: Choice, now: float) -> tuple[Change, ...]:
        """The answer broke off after `answered` was told."""
        return self.health.fail(choice.permit, now)

    def ended(self, choice: Choice, now: float, tokens: int | None = None) -> None:
        """Nothing of the attempt is left; it took ``tokens``, where that is known."""
        self.loads.end(choice.target.provider, choice.model)
        if choice.charge is not None:
            self.limits.settle(choice.charge, tokens, now)

    def _healthy(
        self, errand: Errand, targets: Sequence[Target], tried: Collection[Target], now: float
    ) -> list[Candidate]:
        out = []
        for target in targets:
            if target in tried or (errand.allowed is not None and target.provider not in errand.allowed):
                continue
            model = target.model or errand.model
            if self._closed(errand, target, model, now) is None:
                out.append(Candidate(target, model, errand.costs.get(target)))
        return out

    def _closed(self, errand: Errand, target: Target, model: str, now: float) -> Closed | None:
        provider = target.provider
        blocked = self.health.blocked(provider, model, errand.keys.get(provider, ""), now)
        if blocked is not None:
            return Closed(Why.KEY if blocked.key else Why.CIRCUIT, blocked.retry_after)
        bounds = self.bounds.get(provider)
        if bounds is None:
            return None
        if errand.full is not None:
            known = errand.full.get(provider)
            return None if known is None else Closed(known.why, max(known.until - now, 0.0))
        if bounds.concurrency is not None and self.loads.at(provider) >= bounds.concurrency:
            return FULL
        found = self.limits.exceeded(demands(provider, bounds, errand.tokens), now)
        return None if found is None else closed_by(found)

    def _pick(self, errand: Errand, healthy: list[Candidate], now: float, chance: float) -> tuple[int, bool]:
        targets = [candidate.target for candidate in healthy]
        if errand.session is not None:
            pinned = self.pins.find(errand.session, now)
            if pinned in targets:
                return targets.index(pinned), True
            if errand.plan.route.balance is Balance.WEIGHTED:
                return settle_on(errand.session, targets), False
        way = errand.plan.route.balance
        return self._balancer.choose(way, errand.plan.targets, healthy, now, chance), False

    def _enter(
        self, errand: Errand, target: Target, model: str, now: float, *, kept: bool = False, fallback: bool = False
    ) -> Choice:
        provider = target.provider
        permit = self.health.enter(provider, model, errand.keys.get(provider, ""), now)
        assert type(permit) is Permit  # it was found to be open at this very moment
        self.loads.begin(provider, model)
        bounds = self.bounds.get(provider)
        charge = None
        if bounds is not None and errand.full is None:
            charge = self.limits.charge(demands(provider, bounds, errand.tokens), now)
        return Choice(target, model, permit, kept, fallback, charge)

    def _nobody(self, errand: Errand, tried: Collection[Target], now: float) -> Nobody:
        soonest: Closed | None = None
        for target in (*errand.plan.targets, *errand.plan.fallbacks):
            if target in tried or (errand.allowed is not None and target.provider not in errand.allowed):
                continue
            closed = self._closed(errand, target, target.model or errand.model, now)
            if closed is not None and (soonest is None or closed.retry_after < soonest.retry_after):
                soonest = closed
        return Nobody(_UNASKED if soonest is None else _error(soonest), bool(tried))


FULL = Closed(Why.FULL, 1.0)
"""Nobody knows how long the others will stay."""

_UNASKED = ir.Error(ir.ErrorKind.UPSTREAM, "no provider of this model is left to ask")

_ERRORS: dict[Why, ir.Error] = {
    Why.CIRCUIT: ir.Error(
        ir.ErrorKind.OVERLOADED,
        "the providers of this model have failed too often and are left alone for a while",
        code="circuit_open",
    ),
    # Not a 401: the client's own key is good.
    Why.KEY: ir.Error(
        ir.ErrorKind.UPSTREAM,
        "the provider refuses the gateway's key for this model; whoever runs the gateway has to mend it",
        code="provider_key_refused",
    ),
    Why.LIMIT: ir.Error(
        ir.ErrorKind.RATE_LIMIT,
        "the gateway has reached the limits it keeps for the providers of this model",
        code="rate_limit_exceeded",
    ),
    Why.FULL: ir.Error(
        ir.ErrorKind.RATE_LIMIT,
        "the providers of this model have as many requests under way as the gateway lets them have",
        code="concurrency_limit_exceeded",
    ),
    Why.SIZE: ir.Error(
        ir.ErrorKind.TOO_LARGE,
        "the request may take more tokens than the gateway asks of the providers of this model in a minute: make it "
        "smaller, or lower the most tokens it asks for",
        code="request_exceeds_limit",
    ),
    Why.STORE: ir.Error(
        ir.ErrorKind.OVERLOADED,
        "the gateway cannot reach the store that counts the limits of this model's providers, and asks none without it",
        code="limits_unavailable",
    ),
}


def _error(closed: Closed) -> ir.Error:
    error = _ERRORS[closed.why]
    return error if closed.why is Why.SIZE else msgspec.structs.replace(error, retry_after=closed.retry_after)


def closed_by(found: Exceeded) -> Closed:
    """How a target is closed by a limit that is in the way."""
    return Closed(Why.SIZE, float("inf")) if found.retry_after is None else Closed(Why.LIMIT, found.retry_after)


def demands(provider: str, bounds: ProviderBounds, tokens: int) -> list[Demand]:
    """What a request that may take ``tokens`` wants of the limits of ``provider`` in a time."""
    out: list[Demand] = []
    name, scope = f"provider {provider}", f"provider/{provider}"
    if bounds.requests_per_minute is not None:
        out.append(Demand(name, scope, Meter.REQUESTS, Rate(bounds.requests_per_minute), 1))
    if bounds.tokens_per_minute is not None:
        out.append(Demand(name, scope, Meter.TOKENS, Rate(bounds.tokens_per_minute), tokens))
    return out
