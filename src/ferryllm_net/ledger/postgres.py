"""The ledger in PostgreSQL, which many replicas share.

One task writes, in groups, each in one statement: what comes while the server commits one group is the next one. A row
has a number of its own, so that a group whose commit nobody heard of is written again without being counted twice.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from typing import Any

import anyio
import msgspec

from ferryllm_net.postgres import Connection, Database, Found, PostgresError, migrate, version
from ferryllm_proto.routing.quota import Unit

from . import questions
from .groups import RETRY_SECS, Group, Groups
from .ledger import CLOSE_SECS, EVERYTHING, MAX_GROUPS, MAX_PAGE, By, Filter, LedgerError, Page, Totals, Used
from .postgres_tables import INSERT, PRUNE, SCHEMA, STEP, WORDS
from .row import Row

REPORT_SECS = 120.0
"""For a question over all rows."""
PAUSE_SECS = 0.05
"""Between the steps of `prune`."""

Numbered = tuple[Row, int]
"""A row and the number that makes it this one: random, as replicas know nothing of each other."""


class PostgresLedger:
    """See `Ledger`. `PostgresLedger.open` makes one; rows are written while `run` runs, and by `aclose`."""

    def __init__(self, database: Database, *, max_waiting: int = 10_000, made: bool = True) -> None:
        self._database = database
        self._made = made
        """Whether the tables are there: a database that was away at the start gets them before its first row."""
        self._woken = anyio.Event()
        self._groups: Groups[Numbered] = Groups(max_waiting, self._wake)
        self._numbers = random.SystemRandom()

    @classmethod
    async def open(cls, database: Database, *, max_waiting: int = 10_000, writing: bool = True) -> PostgresLedger:
        """The ledger in ``database``, which is somebody else's to close. Without ``writing`` its tables have to be
        there. Raises `LedgerError`."""
        made = database.missing is None
        try:
            if not writing:
                await _look(database)
            elif made:
                await migrate(database, SCHEMA)
        except PostgresError as exc:
            raise LedgerError(str(exc)) from None
        return cls(database, max_waiting=max_waiting, made=made)

    # --- writing ---

    async def put(self, row: Row) -> None:
        """See `Ledger`."""
        await self._groups.add((row, self._numbers.getrandbits(63)), wait=True).wait()

    def post(self, row: Row) -> None:
        """See `Ledger`."""
        with contextlib.suppress(LedgerError):  # counted as lost
            self._groups.add((row, self._numbers.getrandbits(63)), wait=False)

    @property
    def waiting(self) -> int:
        """See `Ledger`."""
        return self._groups.waiting

    @property
    def lost(self) -> int:
        """See `Ledger`."""
        return self._groups.lost

    @property
    def failing(self) -> bool:
        """See `Ledger`."""
        return self._groups.failing is not None

    def _wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """See `Ledger`."""
        groups = self._groups
        while True:
            if groups.failing:
                await anyio.sleep(RETRY_SECS)
            group = groups.take()
            if group is not None:
                await self._write(group)
                continue
            self._woken = anyio.Event()
            if not groups.waiting:  # else a row came after the look, and woke the event before this one
                await self._woken.wait()

    async def _write(self, group: Group[Numbered]) -> bool:
        try:
            try:
                lost = await self._insert(group.rows)
            except PostgresError as exc:
                if not exc.away:
                    raise
                # A connection of the pool whose server was started again says so only now; another one is good.
                lost = await self._insert(group.rows)
        except PostgresError as exc:
            told = self._groups.failed(group, LedgerError(str(exc)))
        except BaseException:  # cancelled: whether it has been written is not known, so it is written again
            for one in self._groups.failed(group, LedgerError("the ledger is being closed")):
                one.tell()
            raise
        else:
            self._groups.done(group, lost)
            told = [group]
        for one in told:
            one.tell()
        return group.error is None

    async def _insert(self, rows: Sequence[Numbered]) -> int:
        """Returns how many of ``rows`` no table would ever take."""
        if not self._made:
            await migrate(self._database, SCHEMA)
            self._made = True
        try:
            columns = zip(*((number, *msgspec.structs.astuple(row)) for row, number in rows), strict=True)
            await self._database.execute(INSERT, *columns)
        except PostgresError as exc:
            if not exc.wrong:
                raise
            # `row_of` lets none through. If one comes all the same, it takes no other with it, and is not kept forever.
            if len(rows) == 1:
                return 1
            return sum([await self._insert([row]) for row in rows])
        return 0

    # --- questions ---

    async def used(self, owner: str, unit: Unit, since: float) -> int:
        """See `Ledger`."""
        asked = questions.used(owner, unit, since, WORDS)
        return sum([int((await self._ask(one))[0][0]) for one in asked])

    async def used_by_all(self, since: float) -> dict[str, Used]:
        """See `Ledger`."""
        return questions.read_used_by_all([await self._ask(one) for one in questions.used_by_all(since, WORDS)])

    async def totals(
        self, where: Filter = EVERYTHING, by: Sequence[By] = (), *, offset: int = 0, limit: int = MAX_GROUPS
    ) -> list[Totals]:
        """See `Ledger`."""
        lines = await self._ask(questions.totals(where, by, offset, limit, WORDS))
        names = await self._ask(questions.names(where, WORDS)) if By.KEY in by else []
        return questions.read_totals(lines, by, dict(names))

    async def rows(
        self, where: Filter = EVERYTHING, *, after: str | None = None, limit: int = MAX_PAGE, newest: bool = False
    ) -> Page:
        """See `Ledger`."""
        return questions.read_page(await self._ask(questions.rows(where, after, limit, newest, WORDS)), limit)

    async def prune(self, before: float) -> int:
        """See `Ledger`."""

        async def step(connection: Connection) -> int:
            gone: int = await connection.fetchval(PRUNE, before)
            return gone

        forgotten = 0
        while True:
            try:
                gone = await self._database.transaction(step)
            except PostgresError as exc:
                raise LedgerError(str(exc)) from None
            forgotten += gone
            if gone < STEP:
                return forgotten
            await anyio.sleep(PAUSE_SECS)

    async def _ask(self, asked: questions.Question) -> list[list[Any]]:
        if self._groups.closed:
            raise LedgerError("the ledger is closed")
        try:
            found: list[Found] = await self._database.fetch(asked.query, *asked.values, secs=REPORT_SECS)
        except PostgresError as exc:
            raise LedgerError(str(exc)) from None
        return [list(line.values()) for line in found]

    # --- the end ---

    async def aclose(self) -> None:
        """See `Ledger`."""
        if self._groups.closed:
            return
        self._groups.close()
        with anyio.move_on_after(CLOSE_SECS, shield=True):
            while (group := self._groups.take()) is not None:
                if not await self._write(group):
                    return


async def _look(database: Database) -> None:
    """Raises `LedgerError` where tables are missing, or are not those that are asked here."""
    if await database.fetch_row("SELECT 1 FROM pg_class WHERE oid = to_regclass('ferryllm_requests')") is None:
        raise LedgerError(f"PostgreSQL at {database.place} has no ledger yet: start the gateway once")
    there = await version(database, SCHEMA)
    if there < len(SCHEMA.steps):
        raise LedgerError(
            f"the ledger in PostgreSQL at {database.place} was written by an older ferryllm (its tables are version "
            f"{there}, expected {len(SCHEMA.steps)}): start the gateway once, it brings them up to date"
        )
