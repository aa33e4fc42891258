"""The keys of a running gateway: read at the start, and again whenever the store says that something changed.

Every process polls its store's version, a look at one number; only what changed since is read. While the store cannot
be asked the keys stay as they were read last: better an hour of old limits than nobody let in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import anyio
import anyio.to_thread
import msgspec

from ferryllm_net.config.auth_settings import AuthSettings
from ferryllm_net.telemetry import Log
from ferryllm_proto.routing.keys import ClientKey, KeyBook
from ferryllm_proto.routing.quota import Quota

from .opening import book
from .store import KeyStore, KeyStoreError
from .stored import Loaded, StoredProject, client_keys, project

POLL_SECS = 2.0
"""A key that is revoked elsewhere is refused everywhere within five seconds: one look may fail or be late."""
SLOW_SECS = 2.0
"""How long a look at the version may take, with the five seconds in mind. What it takes to read is the store's."""


class LiveKeys:
    """Keys of a store and of the configuration, as one book. `start` it, set `apply` and run `watch` beside the
    server, `aclose` it."""

    def __init__(
        self,
        store: KeyStore,
        settings: AuthSettings,
        log: Log,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.store = store
        self._settings = settings
        self.apply: Callable[[KeyBook], None] = _nobody
        """Gets every new book, in the event loop."""
        self.failed: Callable[[], object] = tuple
        """Hears of every time that the store could not be read."""
        self._log = log
        self._clock = clock
        self._turn = anyio.Lock()
        self._version = 0
        self._keys: dict[str, list[ClientKey]] = {}
        """By the id of the key, one for each text."""
        self._projects: tuple[StoredProject, ...] = ()
        self._failing = False

    async def start(self) -> KeyBook:
        """Read all keys. Raises `KeyStoreError`."""
        await self.refresh()
        return self.book()

    def book(self) -> KeyBook:
        """All keys as they were read last."""
        known = (one for texts in self._keys.values() for one in texts)
        return book(self._settings, known, map(project, self._projects))

    def renewed(self, settings: AuthSettings) -> KeyBook:
        """All keys, with those of a configuration that was read anew; these count from now on."""
        self._settings = settings
        return self.book()

    async def refresh(self) -> bool:
        """Read what changed, if anything did; whether it did. Raises `KeyStoreError`."""
        async with self._turn:
            try:
                with anyio.fail_after(SLOW_SECS):
                    version = await self.store.version()
            except TimeoutError:
                raise KeyStoreError(f"no answer within {SLOW_SECS:g} s") from None
            if version == self._version:
                return False
            # A version that fell is that of another file, put in this one's place: nothing known of it is true.
            since = self._version if version > self._version else 0
            loaded = await self.store.load(self._clock(), since)
            # What was read has to count: whoever leaves now, or is late, must leave no revoked key behind.
            with anyio.CancelScope(shield=True):
                self._take(loaded, whole=not since)
                settings = None
                while settings is not self._settings:  # a configuration that was read anew meanwhile counts too
                    settings = self._settings
                    # In a thread: of 100,000 keys it takes 40 ms, which nobody's stream should stand still for.
                    made = await anyio.to_thread.run_sync(self.book)
                self.apply(made)
            return True

    async def watch(self, *, every: float = POLL_SECS) -> None:
        """Look for changes until cancelled."""
        while True:
            await anyio.sleep(every)
            try:
                changed = await self.refresh()
            except KeyStoreError as exc:
                self._fail(str(exc))
            else:
                if self._failing:
                    self._log.info("key store is back")
                self._failing = False
                if changed:
                    self._log.debug("keys read again", keys=len(self._keys))

    async def aclose(self) -> None:
        """Close the store."""
        await self.store.aclose()

    def _take(self, loaded: Loaded, *, whole: bool) -> None:
        if whole:
            self._keys = {}
        for key in loaded.keys:
            self._keys[key.id] = client_keys(key)
        self._projects = loaded.projects
        self._version = loaded.version

    def _fail(self, reason: str) -> None:
        self.failed()
        if not self._failing:  # once, not every two seconds
            self._log.warn("key store failed: keys stay as they were read last", reason=reason)
        self._failing = True


def gained(before: KeyBook, after: KeyBook) -> KeyBook:
    """The quotas of ``after`` whose like their owners did not have in ``before``: nothing is counted of these yet, and
    the ledger may know what was used. A quota that is only raised or lowered goes on with its count."""
    had = {key.id: key.quotas for key in before if key.quotas}
    keys = [
        msgspec.structs.replace(key, quotas=new)
        for key in after
        # Nearly always the very same tuple: there may be 100,000.
        if key.quotas and had.get(key.id) is not key.quotas and (new := _new(had.get(key.id, ()), key.quotas))
    ]
    shared = {name: one.quotas for name, one in before.projects.items()}
    projects = [
        msgspec.structs.replace(one, quotas=new)
        for name, one in after.projects.items()
        if (new := _new(shared.get(name, ()), one.quotas))
    ]
    return KeyBook(keys, projects)


def _new(had: Sequence[Quota], has: Sequence[Quota]) -> tuple[Quota, ...]:
    """Those of ``has`` that count something else than any of ``had``."""
    kinds = {(quota.unit, quota.period, quota.offset) for quota in had}
    return tuple(quota for quota in has if (quota.unit, quota.period, quota.offset) not in kinds)


def _nobody(book: KeyBook) -> None:
    """There is no gateway yet."""
