"""Client keys, and whether one of them may make a request: every bound of a key in one place.

The gateway knows a key by its digest alone. `Desk.admit` asks, in this order, whether the key is valid now, whether it
may use the model, whether its quotas and budgets and those of its project have room, and whether its limits and those
of the gateway have; what is taken is taken together or not at all, and given back or corrected by `Desk.settle`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from .. import ir, json
from .hints import ALIAS_MARK
from .limits import Charge, Demand, Exceeded, Limits, Meter, date, standings
from .patterns import Pattern, glob
from .quota import Accounts, Need, Quota, Reserved, Spent, Unit
from .rates import Rate, Standing


class KeyLimits(msgspec.Struct, frozen=True, gc=False):
    """Bounds; None is none."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    """Requests under way at one time: for the gate, see `gate`."""


NO_LIMITS = KeyLimits()


class ClientKey(msgspec.Struct, frozen=True, gc=False):  # nothing of it refers back; there may be 100,000
    id: str
    """A short name of it that may be shown and logged."""
    digest: bytes
    """SHA-256 of the key (`policy.access.key_digest`)."""
    name: str = ""
    user: str = ""
    project: str = ""
    models: tuple[str, ...] = ()
    """Globs over the names that clients ask for; none is: all."""
    providers: tuple[str, ...] = ()
    """Providers that may answer; none is: all."""
    limits: KeyLimits = NO_LIMITS
    quotas: tuple[Quota, ...] = ()
    unpriced: bool = False
    """Whether a key with a budget may use models whose price is unknown."""
    expires: float | None = None
    """Unix seconds."""
    revoked: float | None = None
    """Unix seconds."""
    lasting: bool = False
    """Whether the id stays when the text changes: what is kept for the key is then its own under the new text too."""


class Project(msgspec.Struct, frozen=True):
    """What the keys of one project share."""

    name: str
    limits: KeyLimits = NO_LIMITS
    quotas: tuple[Quota, ...] = ()


class KeyBook:
    """All keys, as they were read last. Never changed: another one takes its place."""

    def __init__(self, keys: Iterable[ClientKey] = (), projects: Iterable[Project] = ()) -> None:
        self._keys = {key.digest: key for key in keys}
        self.projects = {project.name: project for project in projects}
        # Automata are large, and most keys have the models of others: a hundred thousand keys share a few.
        known: dict[tuple[str, ...], tuple[Pattern, ...]] = {}
        self._models: dict[bytes, tuple[Pattern, ...]] = {}
        for key in self._keys.values():
            if key.models:
                patterns = known.get(key.models)
                if patterns is None:
                    patterns = known[key.models] = tuple(glob(model) for model in key.models)
                self._models[key.digest] = patterns

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[ClientKey]:
        return iter(self._keys.values())

    def find(self, digest: bytes) -> ClientKey | None:
        """The key of this digest, expired and revoked ones too."""
        key = self._keys.get(digest)
        # The dict has compared digests already, and what time it took tells of a digest, not of a key; this costs
        # nothing and needs no such argument.
        return key if key is not None and hmac.compare_digest(key.digest, digest) else None

    def allows(self, key: ClientKey, model: str) -> bool:
        patterns = self._models.get(key.digest)
        return patterns is None or any(pattern.matches(model) for pattern in patterns)


class Ask(msgspec.Struct, frozen=True):
    """What a request wants, as far as it is known before it is sent."""

    model: str
    input_tokens: int
    """Estimated."""
    output_tokens: int
    """The most it asks for, or what is assumed."""
    cost: int | None = None
    """Nano-dollars that it may cost at most; None is unknown."""

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class Admission(msgspec.Struct, frozen=True):
    """A request that may go on. Give it to `Desk.settle` or `Desk.cancel`, exactly once."""

    key: ClientKey | None
    charge: Charge
    reserved: Reserved
    standings: dict[Meter, Standing]
    """For the headers of the answer."""


class Refusal(msgspec.Struct, frozen=True):
    error: ir.Error
    standings: dict[Meter, Standing]
    reason: str
    """``key`` (none, or one that is not known), ``expired``, ``revoked``, ``browser``, ``model``, ``provider``,
    ``quota``, ``limit``, ``busy``: for the audit log and the metrics."""


class Desk:
    """Where requests are let in. ``own`` are the limits of the gateway and of keys without limits of their own."""

    def __init__(self, book: KeyBook, own: KeyLimits = NO_LIMITS, each: KeyLimits = NO_LIMITS) -> None:
        self.book = book
        self._own = own
        self._each = each
        self.limits = Limits()
        self.accounts = Accounts()

    def change(self, book: KeyBook, own: KeyLimits, each: KeyLimits) -> None:
        """Other keys and limits from now on; what was used stays used."""
        self.book, self._own, self._each = book, own, each
        self.accounts.keep({**{_owner(key): None for key in book}, **{_project(name): None for name in book.projects}})

    def admit(self, key: ClientKey | None, ask: Ask, now: float, unix: float) -> Admission | Refusal:
        """Whether the request may go on. ``key`` None is: keys are off. ``now`` is monotonic, ``unix`` Unix seconds."""
        if key is not None:
            refused = invalid(key, unix) or foreign(self.book, key, ask.model)
            if refused is not None:
                return refused
        demands = self.demands(key, ask)
        owned = self.quotas(key)
        reserved = self.accounts.reserve(
            [(owner, quota) for owner, _, quota in owned],
            Need(1, ask.tokens, ask.cost),
            unix,
            unpriced=key is not None and key.unpriced,
        )
        if type(reserved) is Spent:
            whose = next((whose for _, whose, quota in owned if quota is reserved.quota), "this key")
            return Refusal(reserved.error(whose), {}, "quota")
        assert type(reserved) is Reserved
        charge = self.limits.admit(demands, now)
        if type(charge) is Exceeded:
            self.accounts.cancel(reserved)
            return Refusal(charge.error(), self.limits.standings(demands, now), "limit")
        assert type(charge) is Charge
        return Admission(key, charge, reserved, standings(charge, now))

    def settle(self, admission: Admission, tokens: int | None, cost: int | None, now: float) -> None:
        """The request is over and took so much; None is unknown: then the estimate counts."""
        self.limits.settle(admission.charge, tokens, now)
        self.accounts.settle(admission.reserved, Need(1, tokens, cost))

    def cancel(self, admission: Admission, now: float) -> None:
        """The request did not take place: it was turned away behind the desk, or no provider was asked."""
        self.limits.cancel(admission.charge, now)
        self.accounts.cancel(admission.reserved)

    def concurrency(self, key: ClientKey | None) -> int | None:
        """How many requests of ``key`` may be under way."""
        if key is None:
            return None
        return key.limits.concurrency if key.limits.concurrency is not None else self._each.concurrency

    def counts(self, key: ClientKey | None) -> tuple[bool, bool]:
        """Whether anything limits the tokens of a request of ``key``, and its cost: else nobody need estimate them."""
        tokens = self._own.tokens_per_minute is not None
        if key is None:
            return tokens, False
        project = self.book.projects.get(key.project) if key.project else None
        limits = (key.limits, self._each) if project is None else (key.limits, self._each, project.limits)
        units = {quota.unit for _, _, quota in self.quotas(key)}
        tokens = tokens or Unit.TOKENS in units or any(one.tokens_per_minute is not None for one in limits)
        return tokens or Unit.COST in units, Unit.COST in units

    def demands(self, key: ClientKey | None, ask: Ask) -> list[Demand]:
        """Every limit in a time that the request meets, for whoever counts elsewhere."""
        out = _rates("the gateway", "gateway", self._own, NO_LIMITS, ask)
        if key is not None:
            out += _rates("this key", f"key/{key.id}", key.limits, self._each, ask)
            project = self.book.projects.get(key.project) if key.project else None
            if project is not None:
                out += _rates("this key's project", _project(project.name), project.limits, NO_LIMITS, ask)
        return out

    def quotas(self, key: ClientKey | None) -> list[tuple[str, str, Quota]]:
        """Every quota and budget that it meets: owner, the owner's name in errors, and quota."""
        if key is None:
            return []
        out = [(_owner(key), "this key", quota) for quota in key.quotas]
        project = self.book.projects.get(key.project) if key.project else None
        if project is not None:
            out += [(_project(project.name), "this key's project", quota) for quota in project.quotas]
        return out


def invalid(key: ClientKey, unix: float) -> Refusal | None:
    """Whether ``key`` is of no use any more: asked before the body is read."""
    if key.revoked is not None and unix >= key.revoked:
        error = ir.Error(
            ir.ErrorKind.AUTHENTICATION, f"this API key was revoked on {date(key.revoked)}", code="key_revoked"
        )
        return Refusal(error, {}, "revoked")
    if key.expires is not None and unix >= key.expires:
        error = ir.Error(
            ir.ErrorKind.AUTHENTICATION, f"this API key expired on {date(key.expires)}", code="key_expired"
        )
        return Refusal(error, {}, "expired")
    return None


def foreign(book: KeyBook, key: ClientKey, model: str) -> Refusal | None:
    """Whether ``key`` may not use ``model``."""
    # Routes find what stands before the mark; a glob that begins with a star would look at what is behind it.
    plain = model.partition(ALIAS_MARK)[0]
    if book.allows(key, model) and (plain == model or not plain or book.allows(key, plain)):
        return None
    shown = model if len(model) <= 100 else model[:100] + "..."
    error = ir.Error(
        ir.ErrorKind.PERMISSION,
        f"this key may not use the model {shown!r}; it may use {_listed(key.models)}",
        param="model",
        code="model_not_allowed",
    )
    return Refusal(error, {}, "model")


def ambiguous(body: bytes) -> Refusal | None:
    """Whether a provider may read another model in ``body`` than the gateway does: no key gets round its models so."""
    if not json.has_twins(body, "model"):
        return None
    error = ir.Error(ir.ErrorKind.BAD_REQUEST, "model: written twice", param="model", code="invalid_value")
    return Refusal(error, {}, "model")


def may_answer(key: ClientKey | None, providers: Sequence[str]) -> tuple[str, ...]:
    """Those of ``providers`` that may answer ``key``."""
    if key is None or not key.providers:
        return tuple(providers)
    return tuple(provider for provider in providers if provider in key.providers)


def provider_refusal() -> Refusal:
    """None of the providers of the route may answer the key."""
    error = ir.Error(
        ir.ErrorKind.PERMISSION, "this key may not use the providers that serve this model", code="provider_not_allowed"
    )
    return Refusal(error, {}, "provider")


def _owner(key: ClientKey) -> str:
    return f"key/{key.id}"


def _project(name: str) -> str:
    return f"project/{name}"


def _rates(name: str, scope: str, limits: KeyLimits, each: KeyLimits, ask: Ask) -> list[Demand]:
    out: list[Demand] = []
    requests = limits.requests_per_minute if limits.requests_per_minute is not None else each.requests_per_minute
    tokens = limits.tokens_per_minute if limits.tokens_per_minute is not None else each.tokens_per_minute
    if requests is not None:
        out.append(Demand(name, scope, Meter.REQUESTS, Rate(requests), 1))
    if tokens is not None:
        out.append(Demand(name, scope, Meter.TOKENS, Rate(tokens), ask.tokens))
    return out


def _listed(models: tuple[str, ...]) -> str:
    shown = ", ".join(models[:5])
    return f"{shown} and {len(models) - 5} more" if len(models) > 5 else shown
