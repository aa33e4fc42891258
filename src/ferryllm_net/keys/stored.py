"""What a store keeps of a key and of a project: never the text of a key, only its digest.

A key is one thing with a name, an owner and bounds; it has one text, or several while an old one is still good beside
the one that replaced it. The machines know texts alone, so `client_keys` makes one `ClientKey` of each: all have the
key's id, so they share its limits and quotas.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

import msgspec

from ferryllm_proto.routing.keys import ClientKey, Project

from .bounds import NO_BOUNDS, Bounds, limits, quotas


class State(enum.Enum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Terms(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What a key may do and whose it is: everything of it that can be changed."""

    user: str = ""
    project: str = ""
    models: tuple[str, ...] = ()
    """Globs over the names that clients ask for; none is: all."""
    providers: tuple[str, ...] = ()
    """Names of providers; none is: all."""
    bounds: Bounds = NO_BOUNDS
    unpriced: bool = False
    """Whether a key with a budget may use models whose price is unknown."""


NO_TERMS = Terms()


class TermsReader:
    """Reads terms; most keys have the terms of others, and share them in memory too."""

    def __init__(self) -> None:
        self._known: dict[str, Terms] = {}

    def read(self, written: str) -> Terms:
        terms = self._known.get(written)
        if terms is None:
            terms = self._known[written] = msgspec.json.decode(written, type=Terms)
        return terms


class KeyText(msgspec.Struct, frozen=True, gc=False):
    """One text of a key."""

    digest: bytes
    """SHA-256 of it. A slow hash is for what people think up; 256 random bits nobody tries out, and a slow hash of
    every request's key would only be a way to keep the gateway busy."""
    shown: str
    """Its beginning (`key_text.shown`)."""
    created: float
    """Unix seconds."""
    ends: float | None = None
    """Unix seconds; for one that another has replaced."""


class StoredKey(msgspec.Struct, frozen=True, gc=False):
    id: str
    name: str
    created: float
    """Unix seconds, as all times here."""
    terms: Terms
    texts: tuple[KeyText, ...]
    """The newest first."""
    expires: float | None = None
    revoked: float | None = None

    def state(self, now: float) -> State:
        if self.revoked is not None and now >= self.revoked:
            return State.REVOKED
        return State.EXPIRED if self.expires is not None and now >= self.expires else State.ACTIVE


class StoredProject(msgspec.Struct, frozen=True):
    name: str
    created: float
    bounds: Bounds = NO_BOUNDS


class Loaded(msgspec.Struct, frozen=True):
    """What a store has, or what changed in it."""

    version: int
    """Of the store at that moment."""
    keys: tuple[StoredKey, ...]
    projects: tuple[StoredProject, ...]
    """All of them, whatever changed: they are few."""


def in_order(texts: Iterable[KeyText]) -> tuple[KeyText, ...]:
    """``texts`` of one key as `StoredKey` has them: the one without an end first, then the newest."""
    return tuple(sorted(texts, key=lambda text: (text.ends is None, text.created), reverse=True))


def client_keys(key: StoredKey) -> list[ClientKey]:
    """One for each text of ``key``."""
    terms = key.terms
    rates, most = limits(terms.bounds), quotas(terms.bounds)
    return [
        ClientKey(
            key.id,
            text.digest,
            key.name,
            terms.user,
            terms.project,
            terms.models,
            terms.providers,
            rates,
            most,
            terms.unpriced,
            _first(key.expires, text.ends),
            key.revoked,
        )
        for text in key.texts
    ]


def project(stored: StoredProject) -> Project:
    """``stored`` as the machines know it."""
    return Project(stored.name, limits(stored.bounds), quotas(stored.bounds))


def _first(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
