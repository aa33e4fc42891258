"""Client keys, their store and the admin API as the gateway runs with them: a leaf, because `settings` names it."""

from __future__ import annotations

import msgspec

from ferryllm_proto.routing.keys import ClientKey, Project

from .auth_schema import KeyStoreKind
from .secret import Secret


class AuthSettings(msgspec.Struct, frozen=True):
    """The keys that open the gateway, as far as the configuration has them."""

    enabled: bool
    keys: tuple[Secret, ...]
    """Those of the environment, which have no names."""
    named: tuple[ClientKey, ...] = ()
    """Those of `[[auth.keys]]`."""
    projects: tuple[Project, ...] = ()
    """Those of `[[auth.projects]]`."""

    def accepts(self, candidate: str) -> bool:
        """Whether `candidate` is one of the keys of the environment. Every key is compared, so time tells nothing."""
        found = False
        for key in self.keys:
            found |= key.matches(candidate)
        return found


class KeysSettings(msgspec.Struct, frozen=True):
    """The store of keys."""

    store: KeyStoreKind = "off"
    path: str | None = None
    """Absolute; None without a file."""


class AdminSettings(msgspec.Struct, frozen=True):
    """The admin API; there is none without `enabled`."""

    enabled: bool = False
    digest: bytes = b""
    """SHA-256 of its key."""
