"""Rows given to a Python function that an installed package offers (group ``ferryllm.usage_hooks``)."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any

import anyio
import anyio.to_thread

from ferryllm_net.config.usage import GROUP
from ferryllm_net.config.usage_settings import HookSettings
from ferryllm_net.ledger import Row

from .fault import HookError
from .form import objects


class EntryPointSink:
    """Raises `HookError` where it can not be loaded."""

    def __init__(self, settings: HookSettings) -> None:
        name = settings.entry_point or ""
        self._name = name
        self._secs = settings.timeout_secs
        found = list(entry_points(group=GROUP, name=name))
        if not found:
            raise HookError(f"usage hook {settings.name}: no installed package has {name} in the group {GROUP}")
        try:
            self._call: Callable[[list[dict[str, Any]]], Any] = found[0].load()
        except Exception as exc:  # whatever the module does when it is imported
            what = f"{type(exc).__name__} when it was imported"
            raise HookError(f"usage hook {settings.name}: {found[0].value} did not load: {what}") from exc
        if not callable(self._call):
            raise HookError(f"usage hook {settings.name}: {found[0].value} is no function")
        called = self._call if inspect.isroutine(self._call) else self._call.__call__
        self._waits = inspect.iscoroutinefunction(called)

    async def deliver(self, rows: Sequence[Row]) -> None:
        """Returns when the function has. Raises `HookError` for whatever it raises: its type is told, and no words."""
        given = objects(rows)
        try:
            with anyio.fail_after(self._secs):
                if self._waits:
                    await self._call(given)
                else:
                    await anyio.to_thread.run_sync(self._call, given, abandon_on_cancel=True)
        except TimeoutError:
            raise HookError(f"{self._name} took longer than {self._secs:g} s") from None
        except Exception as exc:
            raise HookError(f"{self._name} raised {type(exc).__name__}") from exc

    async def aclose(self) -> None:
        """The function is its package's."""
