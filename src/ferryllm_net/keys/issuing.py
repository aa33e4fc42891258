"""What is done with keys: made, replaced, changed, taken back. The same for the command line and the admin API.

The text of a key exists here alone, between its making and the one time it is shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import msgspec

from ferryllm_net.config.secret import Secret
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.policy.key_text import PREFIX, key_text, shown
from ferryllm_proto.routing.patterns import PatternError, glob

from .bounds import Bounds
from .store import KeyStore, KeyStoreError, TakenError, UnknownKeyError
from .stored import NO_TERMS, KeyText, State, StoredKey, StoredProject, Terms

MAX_NAME = 100
"""Characters of the name of a key, user or project: they stand in lists and log lines."""
MAX_LISTED = 100
"""Models or providers of one key; more of them are better said as a glob."""
MAX_TEXTS = 4
"""Texts of one key at a time: the newest and those whose grace runs; the oldest goes when one more comes."""
ID_PREFIX = "key_"


class RefusedError(KeyStoreError):
    """What was asked for can not be. ``field`` is what of it, the message what was found and expected."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class Issued(msgspec.Struct, frozen=True):
    """A key that has a new text."""

    key: StoredKey
    text: Secret
    """To be shown once: nothing keeps it."""


async def create(
    store: KeyStore, name: str, terms: Terms = NO_TERMS, *, now: float, expires: float | None = None
) -> Issued:
    """Make a key; ``expires`` is Unix seconds. Raises `RefusedError`, `TakenError`, `KeyStoreError`."""
    check_name("name", name)
    check_terms(terms)
    check_end(expires, now)
    text = Secret(key_text(secrets.randbits(256)))
    id_ = ID_PREFIX + secrets.token_hex(6)  # in a store of 100,000 keys two are the same once in 50,000 stores
    key = StoredKey(id_, name, now, terms, (_digested(text, now),), expires)
    await store.add(key, now)
    return Issued(key, text)


async def rotate(store: KeyStore, which: str, *, now: float, grace_secs: float = 0.0) -> Issued:
    """Give a key a new text; the one it had is good for another ``grace_secs`` seconds. Id, limits and use stay.

    Raises `UnknownKeyError`, `RefusedError`, `KeyStoreError`.
    """
    text = Secret(key_text(secrets.randbits(256)))

    def change(key: StoredKey) -> StoredKey:
        _check_active(key, now)
        old = [
            msgspec.structs.replace(one, ends=min(now + grace_secs, one.ends or now + grace_secs))
            for one in key.texts
            if grace_secs > 0 and (one.ends is None or one.ends > now)
        ]
        return msgspec.structs.replace(key, texts=(_digested(text, now), *old[: MAX_TEXTS - 1]))

    return Issued(await store.edit(which, change), text)


async def revoke(store: KeyStore, which: str, *, now: float) -> StoredKey:
    """Take a key back, with all its texts. One that is revoked already stays as it is.

    Raises `UnknownKeyError`, `KeyStoreError`.
    """

    def change(key: StoredKey) -> StoredKey:
        return key if key.revoked is not None else msgspec.structs.replace(key, revoked=now)

    return await store.edit(which, change)


async def change_terms(
    store: KeyStore,
    which: str,
    change: Callable[[Terms], Terms],
    *,
    now: float,
    expires: float | msgspec.UnsetType | None = msgspec.UNSET,
) -> StoredKey:
    """Give a key other terms, and another end where ``expires`` is said; its text stays.

    Raises `UnknownKeyError`, `RefusedError`, `KeyStoreError`.
    """
    if expires is not msgspec.UNSET:
        check_end(expires, now)

    def both(key: StoredKey) -> StoredKey:
        if key.revoked is not None:
            raise RefusedError("key", f"{key.name} was revoked, and that stays so: make another key")
        terms = change(key.terms)
        check_terms(terms)
        end = key.expires if expires is msgspec.UNSET else expires
        return msgspec.structs.replace(key, terms=terms, expires=end)

    return await store.edit(which, both)


async def create_project(store: KeyStore, name: str, bounds: Bounds, *, now: float) -> StoredProject:
    """Make a project. Raises `RefusedError`, `TakenError`, `KeyStoreError`."""
    check_name("project", name)
    _check_project(bounds)
    project = StoredProject(name, now, bounds)

    def change(found: StoredProject | None) -> StoredProject:
        if found is not None:
            raise TakenError(f"there is a project {name!r} already: change its limits instead")
        return project

    await store.set_project(name, change)
    return project


async def change_project(store: KeyStore, name: str, change: Callable[[Bounds], Bounds]) -> StoredProject:
    """Give a project other bounds. Raises `UnknownKeyError`, `RefusedError`, `KeyStoreError`."""
    out: list[StoredProject] = []

    def both(found: StoredProject | None) -> StoredProject:
        if found is None:
            raise UnknownKeyError(f"no project is called {name[:100]!r}, or it has no limits")
        after = change(found.bounds)
        _check_project(after)
        out.append(msgspec.structs.replace(found, bounds=after))
        return out[-1]

    await store.set_project(name, both)
    return out[-1]


async def remove_project(store: KeyStore, name: str) -> None:
    """Remove a project: its keys go on, without common bounds. Raises `UnknownKeyError`, `KeyStoreError`."""

    def change(found: StoredProject | None) -> None:
        if found is None:
            raise UnknownKeyError(f"no project is called {name[:100]!r}, or it has no limits")

    await store.set_project(name, change)


# --- what is refused -------------------------------------------------------------------------------------


def check_name(field: str, name: str) -> None:
    """Raises `RefusedError` where ``name`` can not be the name of a key, user or project."""
    if not name or name != name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise RefusedError(field, f"expected a name of 1 to {MAX_NAME} characters, without spaces around it")
    if name.startswith((PREFIX, ID_PREFIX)):
        # Not quoted: it may be a key.
        raise RefusedError(field, f"a name may not begin with {PREFIX} or {ID_PREFIX}, as keys and their ids do")


def check_terms(terms: Terms) -> None:
    """Raises `RefusedError` for what of ``terms`` can not be."""
    for field, name in (("user", terms.user), ("project", terms.project)):
        if name:
            check_name(field, name)
    check_models(terms.models)
    _check_list("providers", terms.providers)


def check_models(models: Sequence[str]) -> None:
    """Raises `RefusedError` for what is no list of globs."""
    _check_list("models", models)
    for model in models:
        try:
            glob(model)
        except PatternError as exc:
            raise RefusedError("models", f"{model!r}: {exc}") from None


def check_end(expires: float | None, now: float) -> None:
    """Raises `RefusedError` for an end that is past."""
    if expires is not None and expires <= now:
        raise RefusedError("expires", "the key would be expired already: name a time to come")


def _check_project(bounds: Bounds) -> None:
    if bounds.max_concurrency is not None:
        what = "a project has no bound of requests at one time: give its keys one, or bound requests a minute"
        raise RefusedError("max_concurrency", what)


def _check_list(field: str, names: Sequence[str]) -> None:
    if len(names) > MAX_LISTED:
        raise RefusedError(field, f"{len(names)} of them, expected at most {MAX_LISTED}: use globs, or several keys")
    for name in names:
        if not name.strip() or not name.isprintable() or len(name) > 512:
            raise RefusedError(field, "expected names of 1 to 512 characters")


def _check_active(key: StoredKey, now: float) -> None:
    state = key.state(now)
    if state is State.REVOKED:
        raise RefusedError("key", f"{key.name} was revoked, and that stays so: make another key")
    if state is State.EXPIRED:
        raise RefusedError("key", f"{key.name} is expired: give it another end first")


def _digested(text: Secret, now: float) -> KeyText:
    raw = text.reveal()
    return KeyText(key_digest(raw), shown(raw), now)
