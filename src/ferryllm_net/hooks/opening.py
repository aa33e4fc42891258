"""The usage hooks that the settings ask for, opened, run and closed together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio

from ferryllm_net.config.ledger_settings import LedgerSettings
from ferryllm_net.config.usage_settings import HookSettings
from ferryllm_net.ledger import Ledger, LedgerError, row_of
from ferryllm_net.telemetry import Log
from ferryllm_proto.actions import Record

from .fault import HookError
from .hook import Hook, Sink, Source
from .waiting import Waiting

if TYPE_CHECKING:
    from ferryllm_net.http import Pool

    from .following import Numbered

DRAIN_SECS = 5.0
"""How long the end waits for receivers: half of what service managers give a program that ends."""


class Hooks:
    """All hooks of one process. `observe` every record, run `run` beside the server, `aclose` at the end."""

    def __init__(self, hooks: Sequence[Hook], waiting: Sequence[Waiting], pool: Pool | None) -> None:
        self.hooks = tuple(hooks)
        self._waiting = tuple(waiting)
        self._pool = pool
        self.observes = bool(waiting)
        """Whether `observe` does anything: what is read from the ledger need not be told."""

    def observe(self, record: Record) -> None:
        """A request is over. Never waits."""
        row = row_of(record)
        for waiting in self._waiting:
            waiting.add(row)

    def count_with(self, count: Callable[..., None]) -> None:
        """Count what becomes of deliveries by ``count`` (`Metrics.count`)."""
        for hook in self.hooks:
            hook.count = functools.partial(_count, count, hook.name)

    async def run(self) -> None:
        """Deliver; runs until cancelled."""
        async with anyio.create_task_group() as tasks:
            if self._pool is not None:
                tasks.start_soon(self._pool.sweep)
            for hook in self.hooks:
                tasks.start_soon(hook.run)

    async def aclose(self) -> None:
        """Deliver what waits, if that takes no longer than `DRAIN_SECS`, and close."""
        with anyio.move_on_after(DRAIN_SECS, shield=True):
            async with anyio.create_task_group() as tasks:
                if self._pool is not None:
                    tasks.start_soon(self._pool.sweep)
                async with anyio.create_task_group() as flushes:
                    for hook in self.hooks:
                        flushes.start_soon(hook.flush)
                tasks.cancel_scope.cancel()
        for hook in self.hooks:
            await hook.aclose()
        if self._pool is not None:
            await self._pool.aclose()


def _count(count: Callable[..., None], hook: str, event: str, outcome: str, number: int) -> None:
    count(event, number, hook=hook, outcome=outcome)


async def open_hooks(
    settings: Sequence[HookSettings], log: Log, ledger: Ledger | None = None, kept: LedgerSettings | None = None
) -> Hooks | None:
    """The hooks; None where there are none. ``ledger`` is the one of ``kept``, where there is one: rows of one in
    SQLite are read from it. Raises `HookError`, `LedgerError`."""
    if not settings:
        return None
    pool = None
    if any(one.url is not None for one in settings):
        from .url import hook_pool

        pool = hook_pool()
    hooks: list[Hook] = []
    waiting: list[Waiting] = []
    for one in settings:
        sink = _sink(one, pool)
        source: Source
        if ledger is not None and kept is not None and kept.store == "sqlite" and kept.path is not None:
            source = await _follow(one, ledger, Path(kept.path))
        else:
            source = Waiting(one.queue, one.flush_secs)
            waiting.append(source)
        hooks.append(Hook(one.name, source, sink, log, batch=one.batch, retries=one.retries))
    return Hooks(hooks, waiting, pool)


def _sink(settings: HookSettings, pool: Pool | None) -> Sink:
    if settings.command:
        from .command import CommandSink

        return CommandSink(settings)
    if settings.entry_point is not None:
        from .entry_point import EntryPointSink

        return EntryPointSink(settings)
    from .url import UrlSink

    assert pool is not None
    return UrlSink(settings, pool)


async def _follow(settings: HookSettings, ledger: Ledger, path: Path) -> Source:
    from .following import Following, place_of

    source = Following(cast("Numbered", ledger), place_of(path, settings.name), settings.flush_secs)
    try:
        await source.begin()
    except (OSError, LedgerError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise HookError(f"usage hook {settings.name} cannot remember what it has delivered: {reason}") from None
    return source
