"""The optional parts of one process: connections to services, stores, what hears of requests.

Opened here in the order in which they need each other, handed to the `App`, closed in reverse. A part is imported by
the function that opens it, and only where the settings ask for it: what nobody configured costs no start and no memory.
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc

from ferryllm_net.config import Settings
from ferryllm_net.stores import Responses, open_responses
from ferryllm_net.telemetry import Log

from . import gauges

if TYPE_CHECKING:
    from ferryllm_net.admin import Admin
    from ferryllm_net.admission import Door
    from ferryllm_net.config.telemetry_settings import FileSettings, RequestLogSettings
    from ferryllm_net.hooks import Hooks
    from ferryllm_net.keys.live import LiveKeys
    from ferryllm_net.ledger import Ledger
    from ferryllm_net.postgres import Database
    from ferryllm_net.redis.shared import Shared
    from ferryllm_net.telemetry.audit import Audit
    from ferryllm_net.telemetry.request_log import RequestLog
    from ferryllm_proto.routing.keys import Desk, KeyBook
    from ferryllm_proto.routing.pricing import PriceTable

    from .app import App

CLOSE_SECS = 2.0
"""How long a part may take to close, where it does not say so itself: what keeps files needs milliseconds."""


LINES_SECS = 5.0
"""The same for files of lines, which wait for a slow disk themselves."""


class Parts:
    """What the settings ask for beyond the gateway itself; None is: not asked for.

    `open`, then `start` once there is an `App`, `aclose` at the end.
    """

    def __init__(self) -> None:
        self.database: Database | None = None
        """That of `[postgres]`, where something is kept in it."""
        self.redis: Shared | None = None
        self.responses: Responses | None = None
        self.ledger: Ledger | None = None
        self.keys: LiveKeys | None = None
        """Those of the store; None where there are only those of the settings."""
        self.admin: Admin | None = None
        self.make_door: Callable[[Desk], Door] | None = None
        """Makes the door in front of exchanges, where it is not the one of this process alone."""
        self.prices: PriceTable | None = None
        """What requests cost; None: nobody wants to know."""
        self.hooks: Hooks | None = None
        self.audit: Audit | None = None
        self.request_log: RequestLog | None = None
        self._count_lost: Callable[[str, int], object] | None = None
        self._open: list[tuple[str, Callable[[], Awaitable[None]], float]] = []
        self._tasks: anyio.abc.TaskGroup | None = None
        """Once started."""

    async def open(self, settings: Settings, log: Log) -> None:
        """Open everything, or raise what one of them raises (`StoreError`, ...) with what was opened still to be
        closed."""
        await self._connect(settings, log)
        if settings.needs_prices:
            from ferryllm_net.prices.keeping import find_prices

            self.prices = await find_prices(settings.prices, log)
        await self._open_stores(settings, log)
        await self._open_listeners(settings, log)

    async def _connect(self, settings: Settings, log: Log) -> None:
        """Connections that other parts use: Redis, PostgreSQL."""
        if settings.redis is not None:
            from ferryllm_net.redis.shared import Shared

            self.redis = Shared(settings, log)
            self.make_door = self.redis.door
        if settings.postgres is not None and "postgres" in (settings.ledger.store, settings.keys.store):
            from ferryllm_net.postgres import connect

            self.database = await connect(settings.postgres, patient=_may_wait(settings))
            self.keep("postgres", self.database.aclose, 2 * CLOSE_SECS)
            if self.database.missing is not None:
                log.warn("ledger is away, rows wait for it", reason=str(self.database.missing))

    async def _open_stores(self, settings: Settings, log: Log) -> None:
        """What keeps something: responses, keys, the ledger."""
        if self.redis is not None and settings.responses.store == "redis":
            self.responses = self.redis.responses(settings.responses)
        else:
            self.responses = open_responses(settings.responses)
        if self.responses is not None:
            self.keep("responses store", self.responses.aclose)
        if settings.ledger.store != "off":
            from ferryllm_net.ledger.ledger import CLOSE_SECS as LEDGER_SECS
            from ferryllm_net.ledger.opening import open_ledger

            self.ledger = await open_ledger(settings.ledger, self.database)
            if self.ledger is not None:
                self.keep("ledger", self.ledger.aclose, LEDGER_SECS)
                if self.redis is not None:
                    self.redis.used = self.ledger.used
        if settings.keys.store != "off":
            await self._open_keys(settings, log)

    async def _open_keys(self, settings: Settings, log: Log) -> None:
        from ferryllm_net.keys.live import LiveKeys
        from ferryllm_net.keys.opening import open_keys

        self.keys = LiveKeys(await open_keys(settings.keys, self.database), settings.auth, log)
        self.keep("key store", self.keys.aclose)
        await self.keys.start()
        if settings.admin.enabled:
            from ferryllm_net.admin import Admin

            self.admin = Admin(
                self.keys.store,
                settings.admin.digest,
                self.keys.refresh,
                log,
                audit=lambda: self.audit,
                ledger=lambda: self.ledger,
            )

    async def _open_listeners(self, settings: Settings, log: Log) -> None:
        """What hears of requests: usage hooks, the audit log, the log of requests."""
        self.keep("audit log", self._close_audit, LINES_SECS)
        self.keep("request log", self._close_request_log, LINES_SECS)
        if settings.audit is not None:
            self._open_audit(settings.audit, log)
            assert self.audit is not None
            self.audit.tell("gateway.start")
        if settings.request_log is not None:
            self._open_request_log(settings.request_log, log)
        if settings.hooks:
            from ferryllm_net.hooks import DRAIN_SECS, open_hooks

            self.hooks = await open_hooks(settings.hooks, log, self.ledger, settings.ledger)
            if self.hooks is not None:
                self.keep("usage hooks", self.hooks.aclose, DRAIN_SECS + CLOSE_SECS)

    def _open_audit(self, settings: FileSettings, log: Log) -> None:
        from ferryllm_net.telemetry.audit import Audit

        self.audit = Audit(settings, functools.partial(self._lost, log, "audit"))

    async def _close_audit(self) -> None:
        if self.audit is not None:
            await self.audit.aclose()

    def _open_request_log(self, settings: RequestLogSettings, log: Log) -> None:
        from ferryllm_net.telemetry.request_log import RequestLog

        lost = functools.partial(self._lost, log, "requests")
        self.request_log = RequestLog(settings, lost, chance=random.random, secrets=lambda: log.secrets)

    async def _close_request_log(self) -> None:
        if self.request_log is not None:
            await self.request_log.aclose()

    def reloaded(self, settings: Settings, log: Log, changed: tuple[str, ...]) -> None:
        """The configuration was read again, and ``changed`` is different: write that down, in the audit log of before
        and in that of now, and go on with its files. One that can not be opened leaves the old one in its place."""
        if self.audit is not None:
            self.audit.tell("config.reload", changed=changed)
        try:
            if self._change_audit(settings.audit, log) and self.audit is not None:
                self.audit.tell("config.reload", changed=changed)
        except OSError as exc:
            log.warn("log file not changed", log="audit", reason=exc.strerror or type(exc).__name__)
        try:
            self._change_request_log(settings.request_log, log)
        except OSError as exc:
            log.warn("log file not changed", log="requests", reason=exc.strerror or type(exc).__name__)

    def _change_audit(self, settings: FileSettings | None, log: Log) -> bool:
        """Whether it is another one now."""
        old = self.audit
        if settings == (None if old is None else old.settings):
            return False
        if settings is None:
            assert old is not None
            self.audit = None
            self._close_soon(old.leave)
        elif old is None:
            self._open_audit(settings, log)
        else:
            self._close_soon(old.move(settings).aclose)
        return True

    def _change_request_log(self, settings: RequestLogSettings | None, log: Log) -> None:
        old = self.request_log
        if settings == (None if old is None else old.settings):
            return
        if settings is None:
            assert old is not None
            self.request_log = None
            self._close_soon(old.aclose)
        elif old is None:
            self._open_request_log(settings, log)
        elif (file := old.move(settings)) is not None:
            self._close_soon(file.aclose)

    def _close_soon(self, aclose: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """What waits in a file is written first, and the disk may be slow."""
        if self._tasks is not None:
            self._tasks.start_soon(aclose)

    def _lost(self, log: Log, which: str, count: int, reason: str) -> None:
        log.warn("log entries lost", log=which, entries=count, reason=reason)
        if self._count_lost is not None:
            self._count_lost(which, count)

    def _change_keys(self, app: App, book: KeyBook) -> None:
        """Let other clients in."""
        before = app.book
        app.change_keys(book)
        self.remember(app, before)

    def remember(self, app: App, before: KeyBook) -> None:
        """The keys were those of ``before``: quotas that are new begin with what the ledger knows."""
        if self.ledger is None or self._tasks is None:
            return
        from ferryllm_net.keys.live import gained

        new = gained(before, app.book)
        if len(new) or new.projects:
            self._tasks.start_soon(self._restore_new, app, new)

    async def _restore_new(self, app: App, book: KeyBook) -> None:
        from ferryllm_net.ledger.ledger import LedgerError
        from ferryllm_net.ledger.upkeep import restore_quotas

        assert self.ledger is not None
        try:
            await restore_quotas(self.ledger, book, app.door.restore, time.time())
        except LedgerError as exc:
            app.log.warn("new quotas begin at nothing", reason=str(exc))

    async def restore(self, app: App) -> None:
        """Let quotas begin where they were, before anybody is let in. Raises `LedgerError`."""
        if self.ledger is not None:
            from ferryllm_net.ledger.upkeep import restore_quotas

            book = app.book if self.keys is None else self.keys.book()
            await restore_quotas(self.ledger, book, app.door.restore, time.time())

    def start(self, app: App, tasks: anyio.abc.TaskGroup) -> None:
        """Begin what they do beside requests (looking for new keys, forgetting what is old). It is cancelled once the
        server has drained; what must still be said or written then is for their `aclose`."""
        self._tasks = tasks
        tasks.start_soon(app.sweep_responses)
        tasks.start_soon(gauges.tell_workers, app)
        self._count_lost = lambda which, count: app.metrics.count("log_lost", count, log=which)
        if self.redis is not None:
            self.redis.start(app, tasks)
        if self.prices is not None:
            from ferryllm_net.prices.keeping import keep_prices

            tasks.start_soon(keep_prices, lambda: app.settings.prices, app.change_prices)
        if self.hooks is not None:
            self.hooks.count_with(app.metrics.count)
            tasks.start_soon(self.hooks.run)
            if self.hooks.observes:
                app.observers.append(self.hooks.observe)
        if self.keys is not None:
            self.keys.apply = functools.partial(self._change_keys, app)
            self.keys.failed = lambda: app.metrics.count("store_failures", store="keys")
            tasks.start_soon(self.keys.watch)
        if self.ledger is not None:
            from ferryllm_net.ledger.upkeep import keep_for

            tasks.start_soon(self.ledger.run)
            days = app.settings.ledger.retention_days
            if days is not None:
                tasks.start_soon(keep_for, days, self.ledger, app.log)

    def keep(self, name: str, aclose: Callable[[], Awaitable[None]], secs: float = CLOSE_SECS) -> None:
        """Close this one at the end, in ``secs`` at most. ``name`` is what the log calls it."""
        self._open.append((name, aclose, secs))

    async def aclose(self, log: Log | None = None) -> None:
        """Close all, the last one first, whatever becomes of the others. Idempotent."""
        while self._open:
            name, aclose, secs = self._open.pop()
            with anyio.CancelScope(shield=True), anyio.move_on_after(secs) as scope:
                try:
                    await aclose()
                except Exception as exc:
                    # The type alone: a driver's words may quote the URL it was given.
                    if log is not None:
                        log.warn("not closed", part=name, error=type(exc).__name__)
            if scope.cancelled_caught and log is not None:
                log.warn("not closed", part=name, after_secs=secs)


def _may_wait(settings: Settings) -> bool:
    """Whether a gateway may begin without its database: where nothing but rows needs it. Keys that nobody has read let
    nobody in, and quotas that begin at nothing let everybody spend them twice."""
    auth = settings.auth
    quotas = any(key.quotas for key in auth.named) or any(project.quotas for project in auth.projects)
    return settings.ledger.on_failure == "continue" and settings.keys.store == "off" and not quotas
