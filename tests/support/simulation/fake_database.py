"""A database in memory on the virtual clock that stalls, goes away and comes back, behind PostgreSQL's ledger."""

from __future__ import annotations

import random

import anyio

from ferryllm_net.ledger import Row
from ferryllm_net.ledger.postgres import PostgresLedger
from ferryllm_net.postgres import Database, PostgresError
from ferryllm_net.postgres.database import ANSWER_SECS

TROUBLES = ("slow", "stalled", "away", "torn")


class FakeDatabase(Database):
    """``mode`` is ``well``, ``slow``, ``stalled`` (answers nobody), ``away``, or ``torn``: gone behind each commit."""

    def __init__(self, rng: random.Random) -> None:
        self.missing = None
        self.rng = rng
        self.mode = "well"
        self.written: dict[object, Row] = {}
        """Rows by their numbers, as the table's constraint has it."""
        self.unheard = 0
        """Rows of commits that nobody heard of, each time."""

    async def execute(self, query: str, *args: object, secs: float = ANSWER_SECS) -> str:
        away = PostgresError("the database is away", away=True)
        try:
            with anyio.fail_after(secs):
                await anyio.sleep(0.002)
                if self.mode == "slow":
                    await anyio.sleep(self.rng.choice((0.1, 0.9, 1.5, 4.0)))
                while self.mode == "stalled":  # noqa: ASYNC110 - virtual time costs nothing
                    await anyio.sleep(0.2)
        except TimeoutError:
            raise away from None
        if self.mode == "away":
            raise away
        columns = [list(column) for column in args if isinstance(column, (list, tuple))]
        for number, *values in zip(*columns, strict=True):
            self.written.setdefault(number, Row(*values))
        if self.mode == "torn":
            self.unheard += len(columns[0])
            raise away
        return "INSERT"

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.written.values()]


def ledger(database: FakeDatabase, max_waiting: int) -> PostgresLedger:
    """The ledger in it."""
    return PostgresLedger(database, max_waiting=max_waiting)
