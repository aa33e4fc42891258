"""Reading the configuration again while the gateway runs: when files change, and when it is asked to.

What is read is checked as a whole before anything of it counts, and is then handed over in one step. Where it cannot be
used everything stays as it was, and the log says what is wrong. Nothing here knows what takes the new settings: the
`App` of this process, or the workers of a parent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import anyio
import anyio.to_thread

from ferryllm_net.config import ConfigError, Problem, Settings, Severity
from ferryllm_net.config.configuration import Configuration
from ferryllm_net.config.file_stamp import FileStamp, look
from ferryllm_net.config.secret import secrets_in
from ferryllm_net.telemetry import Log

from .changes import say_changes
from .orders import Order
from .watch import Watch

SETTLE_SECS = 0.25
"""Between two looks at a file that has just changed. Editors and deployment tools write within milliseconds."""
MAX_SAID = 100
"""Problems of one configuration that are logged, a line each. `ferryllm check-config` shows all of them."""

CONFIGURATION = "configuration"
KEYS = "keys"

Count = Callable[[str, bool], None]
"""Is told what was read again, and whether it can be used."""
Complete = Callable[[Settings, Settings], "Awaitable[tuple[Settings, tuple[Problem, ...]]]"]
"""Fetches what is not in files, for new settings, given those of before; says what is missing."""
Apply = Callable[[Settings], "tuple[str, ...]"]
"""Takes new settings; names the keys whose change needs a restart."""


class Reload:
    """One process' reloading. Make it from what was loaded at the start, say who takes new settings, `run` it.

    ``watch``: whether files are looked at; a worker is told by its parent instead.
    """

    def __init__(self, configuration: Configuration, settings: Settings, log: Log, *, watch: bool = True) -> None:
        self.settings = settings
        """As they were last read: before listeners had ports."""
        self.count: Count = _uncounted
        """Is told how often something was read again."""
        self.complete: Complete | None = None
        self.apply: Apply | None = None
        self.renew: Callable[[], None] | None = None
        """Reads the listeners' certificates again."""
        self.tell: Callable[[Order], None] | None = None
        """Passes on to workers what they shall read again, in place of `apply`. What they say of it is not said here
        too."""
        self._configuration = configuration
        self._log = log
        self._watches = watch
        self._watch = Watch(settings.files)
        self._asked = Order(0)
        self._ask = anyio.Event()

    def text(self) -> str | None:
        """The configuration's file as it counts now, for workers that are started; None where there is none."""
        return self._configuration.text

    def ask(self, order: Order) -> None:
        """Let this be read again soon, whether it has changed or not."""
        self._asked |= order
        self._ask.set()

    async def run(self) -> None:
        """Do what is asked, and look at the files; runs until cancelled. With nothing to look at it has no timer."""
        while True:
            with anyio.move_on_after(self._pause()):
                await self._ask.wait()
            asked, self._asked, self._ask = self._asked, Order(0), anyio.Event()
            try:
                await (self._obey(asked) if asked else self.look())
            except Exception as exc:
                # A fault of ours must not end the gateway, which serves well with what it has.
                self.count(CONFIGURATION, False)
                self._log.error("reload failed", error=type(exc).__name__)

    async def _obey(self, asked: Order) -> None:
        if Order.FAILED in asked:
            self.count(CONFIGURATION, False)
        if Order.CERTIFICATES in asked and self.renew is not None:
            self.renew()
        if Order.CONFIGURATION in asked:
            await self._load(asked)
        elif Order.KEYS in asked:
            await self._refresh(asked)

    @property
    def _is_watching(self) -> bool:
        return self._watches and self.settings.reload.watch and bool(self._watch.paths)

    def _pause(self) -> float | None:
        """Seconds until the next look; None for none at all."""
        if not self._is_watching:
            return None
        poll = self.settings.reload.poll_secs
        return min(SETTLE_SECS, poll) if self._watch.unsettled else poll

    def _found(self) -> dict[str, FileStamp | None]:
        # In the loop itself: a stat takes some microseconds, the way to a thread and back takes a hundred.
        return {path: look(path) for path in self._watch.paths}

    async def look(self) -> None:
        """Look at the files once, and read again what has changed and come to rest."""
        found = self._found()
        changed = self._watch.see(found)
        if changed is None:
            return
        self._watch.pass_over(found)  # once, whatever comes of it
        if changed.keys_only:
            await self._refresh(Order.KEYS)
        else:
            await self._load(Order.CONFIGURATION)

    async def _load(self, order: Order) -> None:
        """All of it; where that cannot be used, at least the keys."""
        if self._configuration.path is None:  # the environment of a process does not change
            await self._refresh(order)
            return
        self._watch.pass_over(self._found())
        try:
            # In a thread: it reads files and compiles patterns, and a stream must not wait for that.
            settings = await self._completed(await anyio.to_thread.run_sync(self._configuration.load))
        except ConfigError as fault:
            self._failed(CONFIGURATION, fault.problems)
            await self._refresh(order & ~Order.CONFIGURATION | Order.KEYS | Order.FAILED)
            return
        self._watch.read(settings.files)
        needs = self._take(settings)
        self.count(CONFIGURATION, True)
        if self.tell is not None:
            self.tell(order)
            return
        self._log.info("configuration reloaded", file=settings.source, providers=len(settings.providers))
        if needs:
            self._log.warn("configuration needs a restart", keys=", ".join(needs))

    async def _refresh(self, order: Order) -> None:
        """The keys alone. With `Order.FAILED` in it the rest has just failed, which is said and counted."""
        settings, problems = await anyio.to_thread.run_sync(self._configuration.refresh, self.settings)
        self._watch.read_keys(settings.files)
        try:
            settings = await self._completed(settings)
        except ConfigError as fault:
            settings, problems = self.settings, (*problems, *fault.problems)
        if settings.providers != self.settings.providers:
            self._take(settings)
        if Order.FAILED not in order:
            if problems:
                self._failed(KEYS, problems)
            else:
                self.count(KEYS, True)
        if self.tell is not None:
            self.tell(order)

    async def _completed(self, settings: Settings) -> Settings:
        """``settings`` with what has to be fetched. Raises `ConfigError`."""
        if self.complete is None:
            return settings
        found, problems = await self.complete(settings, self.settings)
        if problems:
            raise ConfigError(problems)
        return found

    def _take(self, settings: Settings) -> tuple[str, ...]:
        # First, so that no entry can show a key that has just come.
        self._log.change(settings.logging, secrets_in(settings))
        needs = self.apply(settings) if self.apply is not None else ()
        old, self.settings = self.settings, settings
        if self.tell is None:
            say_changes(self._log, old, settings)
        known = {str(problem) for problem in old.warnings}
        self._say(problem for problem in settings.warnings if str(problem) not in known)
        return needs

    def _failed(self, what: str, problems: Iterable[Problem]) -> None:
        self.count(what, False)
        errors = [problem for problem in problems if problem.severity is Severity.ERROR]
        self._log.warn(f"{what} not reloaded", errors=len(errors), file=self.settings.source)
        self._say(errors)

    def _say(self, problems: Iterable[Problem]) -> None:
        for number, problem in enumerate(problems):
            if number == MAX_SAID:
                self._log.warn("configuration problem", problem="there are more: ferryllm check-config shows all")
                return
            self._log.warn("configuration problem", problem=str(problem))


def _uncounted(what: str, ok: bool) -> None:
    pass
