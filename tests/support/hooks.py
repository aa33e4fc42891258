"""Parts of usage hooks for tests: a log to read, a sink that keeps what it gets, settings."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import anyio
import msgspec

from ferryllm_net.config.secret import Secret
from ferryllm_net.config.settings import LoggingSettings
from ferryllm_net.config.usage_settings import HiddenUrl, HookSettings
from ferryllm_net.hooks.fault import HookError
from ferryllm_net.ledger import Row
from ferryllm_net.telemetry import Log

SECRET = "whsec-0123456789"


def log() -> tuple[Log, io.StringIO]:
    """A log and what it wrote."""
    stream = io.StringIO()
    return Log.from_settings(LoggingSettings("info", "text", False), stream, {}, now=lambda: 0.0), stream


def url_hook(port: int, **fields: Any) -> HookSettings:
    """A hook that posts to a server on ``port``."""
    hook = HookSettings("bill", HiddenUrl("http", "127.0.0.1", port, hidden=Secret("/in?key=k-1")), Secret(SECRET))
    return msgspec.structs.replace(hook, **fields)


class Kept:
    """A sink that keeps what it is given, but for the first ``fails`` times."""

    def __init__(self, fails: int = 0, *, refused: bool = False, stuck: bool = False) -> None:
        self.batches: list[list[str]] = []
        self.attempts = 0
        self.got = anyio.Event()
        self._fails = fails
        self._refused = refused
        self._stuck = stuck

    @property
    def ids(self) -> list[str]:
        return [id_ for batch in self.batches for id_ in batch]

    async def deliver(self, rows: Sequence[Row]) -> None:
        self.attempts += 1
        if self._stuck:
            await anyio.sleep_forever()
        if self.attempts <= self._fails:
            raise HookError("it is away", refused=self._refused)
        self.batches.append([row.id for row in rows])
        self.got.set()
        self.got = anyio.Event()

    async def wait(self, number: int) -> None:
        """Until so many rows have come."""
        with anyio.fail_after(10):
            while len(self.ids) < number:
                await self.got.wait()

    async def aclose(self) -> None:
        return None
