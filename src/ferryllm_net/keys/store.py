"""The port: what is asked of a store of keys, and what every store promises.

A store knows how to keep, not what a key is: it adds, finds, and edits one key or project at a time, each in a
transaction of its own, so that two processes never overwrite each other's change. What is done with keys is in
`issuing`. Every change raises the store's version, which costs so little to ask that all processes ask it every few
seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ferryllm_net.stores.responses import StoreError
from ferryllm_proto.policy.key_text import PREFIX

from .stored import Loaded, StoredKey, StoredProject

MAX_KEYS = 100_000
"""Keys that are in use: all of them are in the memory of every process. What they take there, docs/howto/keys.md says;
a store with more refuses another one."""
MAX_PROJECTS = 10_000
"""A tenth of the keys: a project of one key needs none."""
KEPT_SECS = 90 * 86_400.0
"""How long a key that is revoked or expired is loaded, so that whoever still uses it is told so; after that it is one
that nobody knows. The store itself keeps it, for reports."""


class KeyStoreError(StoreError):
    """A store could not do what was asked. The message says what and where."""


class UnknownKeyError(KeyStoreError):
    """No key or project is called so."""


class TakenError(KeyStoreError):
    """The name is another one's."""


class KeyStore(Protocol):
    """A store of keys and projects. Every method may raise `KeyStoreError`. ``now`` is Unix seconds."""

    async def version(self) -> int:
        """A number that every change raises."""

    async def load(self, now: float, since: int = 0) -> Loaded:
        """All keys of use, or those that changed after version ``since``; expired ones by `KEPT_SECS`."""

    async def add(self, key: StoredKey, now: float) -> None:
        """Keep a new key. Raises `TakenError` where one that is not revoked has its name, or any has a text of it."""

    async def edit(self, which: str, change: Callable[[StoredKey], StoredKey]) -> StoredKey:
        """Replace the key whose id or name ``which`` is by what ``change`` makes of it, which keeps its id and name.

        ``change`` may be called in another thread, and may raise. Raises `UnknownKeyError`.
        """

    async def find(self, which: str) -> StoredKey:
        """The key of this id; or else of this name, one that is not revoked before one that is.

        Raises `UnknownKeyError`.
        """

    async def keys(self, *, after: str = "", most: int = MAX_KEYS) -> Sequence[StoredKey]:
        """Keys in the order of their ids, from the one behind ``after`` on, at most ``most``; those of no use too."""

    async def projects(self) -> Sequence[StoredProject]:
        """All projects by name."""

    async def set_project(self, name: str, change: Callable[[StoredProject | None], StoredProject | None]) -> None:
        """Replace the project of this name, None where there is none, by what ``change`` makes of it; None: remove it.

        ``change`` may be called in another thread, and may raise.
        """

    async def aclose(self) -> None:
        """Give everything back. Idempotent."""


# --- what every store says -------------------------------------------------------------------------------


def no_room(what: str, count: int) -> str:
    """There are too many of ``what``, keys or projects."""
    return f"the store has {count} {what} in use, as many as it holds: take back what nobody uses"


def name_taken(name: str) -> str:
    return f"there is a key {name!r} already: name this one otherwise, or rotate that one"


def no_such_key(which: str) -> str:
    """What is said of a key that is not there, never with the text of one."""
    if which.startswith(PREFIX):
        return "no key is called so: name the key or its id, not its text"
    return f"no key is called {which[:100]!r}"
