"""The port: what the gateway and the reports ask of a ledger, and what every ledger promises.

A row that `put` returned for is there whatever happens to the process, until it is older than what is kept. Rows are
only added; nothing changes one.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

import msgspec

from ferryllm_net.stores.responses import StoreError
from ferryllm_proto.routing.quota import Unit

from .row import Row


class LedgerError(StoreError):
    """A ledger could not do what was asked. The message says what, where and what to do; nothing of a row."""


class Filter(msgspec.Struct, frozen=True):
    """Which rows: those that fit everything that is not None."""

    since: float | None = None
    """Unix seconds; the first moment that counts."""
    until: float | None = None
    """Unix seconds; the first moment that does not count any more."""
    key: str | None = None
    """Id or name of a key; "" is: without one. So for the others that may be missing."""
    user: str | None = None
    project: str | None = None
    model: str | None = None
    """As it was asked for, resolved or reported: any of the three."""
    provider: str | None = None
    outcome: str | None = None
    """``ok``, ``error``, ``truncated``, ``cancelled``."""


EVERYTHING = Filter()


class By(enum.Enum):
    """What totals are made for. Days and months are of the calendar, in UTC moved by ``offset``."""

    KEY = "key"
    USER = "user"
    PROJECT = "project"
    MODEL = "model"
    """As it was resolved; where no provider was asked, as it was asked for."""
    PROVIDER = "provider"
    DAY = "day"
    """``2026-11-21``"""
    MONTH = "month"
    """``2026-11``"""


class Sum(msgspec.Struct, frozen=True):
    """A sum over rows of which some may not know."""

    known: int
    unknown: int
    """Rows that asked a provider and do not know. Those that failed before any content came are not among them:
    a provider counts nothing there."""


class Totals(msgspec.Struct, frozen=True):
    """The rows of one group together."""

    group: tuple[str, ...]
    """What they have in common, one text for each `By` that was asked for; "" is: none."""
    requests: int
    errors: int
    """Those that asked a provider and whose outcome is ``error`` or ``truncated``; ``cancelled`` is the client's
    doing."""
    refused: int
    """Those that failed before a provider was asked: by key, limit, quota, or because they cannot be understood."""
    input_tokens: Sum
    output_tokens: Sum
    cache_read_tokens: Sum
    cache_write_tokens: Sum
    reasoning_tokens: Sum
    cost: Sum
    """Nano-dollars: ``known`` is all that is known, also of rows whose cost as a whole is not."""
    name: str | None = None
    """With `By.KEY`: what the key was called, in the newest of its rows."""


class Used(msgspec.Struct, frozen=True):
    """What somebody has used, as quotas count it: requests that asked a provider, their tokens (cached ones and all)
    and nano-dollars as far as they are known."""

    requests: int
    tokens: int
    cost: int


class Page(msgspec.Struct, frozen=True):
    rows: tuple[Row, ...]
    after: str | None
    """For the next page; None: there is none."""


MAX_GROUPS = 10_000
"""Of `Ledger.totals`: a table that anybody reads has fewer, and models' names come from clients."""
MAX_PAGE = 1_000
"""Rows of a page: about half a megabyte."""


class Ledger(Protocol):
    """A ledger. Every asynchronous method may raise `LedgerError`. Times are Unix seconds."""

    async def run(self) -> None:
        """What it does beside requests; runs until cancelled. A ledger that is only asked needs none."""

    async def put(self, row: Row) -> None:
        """Write ``row``; returns when it is durable. `LedgerError`: it is not yet. Then the row still waits and is
        written as soon as that can be, unless so many wait already that the oldest are given up (`lost`).

        A caller that waits no longer changes nothing: the row is written."""

    def post(self, row: Row) -> None:
        """Write ``row`` some time soon; nobody hears of a failure but through `waiting` and `lost`."""

    @property
    def waiting(self) -> int:
        """Rows that are not written yet."""

    @property
    def lost(self) -> int:
        """Rows given up since the start."""

    @property
    def failing(self) -> bool:
        """Whether the last attempt to write failed: rows wait until one succeeds."""

    async def used(self, owner: str, unit: Unit, since: float) -> int:
        """What ``owner`` (``key/ID``, ``project/NAME``, as quotas call them) has used since then, see `Used`. From 0 on
        also what forgotten rows have used."""

    async def used_by_all(self, since: float) -> dict[str, Used]:
        """The same for every owner that has used anything, in one pass."""

    async def totals(
        self, where: Filter = EVERYTHING, by: Sequence[By] = (), *, offset: int = 0, limit: int = MAX_GROUPS
    ) -> list[Totals]:
        """Sums for each group of rows, in the order of ``group``; with no ``by`` one for all of them, also when there
        are none. ``offset``: seconds that local time is before UTC."""

    async def rows(
        self, where: Filter = EVERYTHING, *, after: str | None = None, limit: int = MAX_PAGE, newest: bool = False
    ) -> Page:
        """At most ``limit`` rows, the oldest first or the newest; ``after`` is that of the page before."""

    async def prune(self, before: float) -> int:
        """Forget the rows of before then, in steps between which others get their turn; how many."""

    async def aclose(self) -> None:
        """Write what waits, if that takes no longer than `CLOSE_SECS`, and give everything back. Idempotent."""


CLOSE_SECS = 5.0
"""How long the end waits for rows that nobody waits for: half of what service managers give a program that ends."""
