"""Database: a pool of connections to one PostgreSQL server, for asyncio and trio alike."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio

from ferryllm_net.stores.responses import StoreError

from .bridge import Bridge, open_bridge

if TYPE_CHECKING:
    from ferryllm_net.config.postgres_settings import PostgresSettings

T = TypeVar("T")
Found = Mapping[str, Any]
"""One row of an answer, by the names of its columns."""

CONNECT_SECS = 5.0
"""For one connection, as for a provider's."""
ANSWER_SECS = 10.0
"""For a free connection and what is done with it: questions of this gateway take milliseconds, and reports over a whole
ledger ask for more."""
IDLE_SECS = 300.0
"""A connection that nobody needs is closed after that: each costs the server a process."""
CLOSE_SECS = 2.0
"""For saying goodbye; then connections are dropped."""


class PostgresError(StoreError):
    """The database could not do what was asked. The message says what and where, never the password."""

    def __init__(self, message: str, *, away: bool = False, wrong: bool = False) -> None:
        super().__init__(message)
        self.away = away
        """Whether the server could not be reached, or went away meanwhile: the same may succeed later. Whether it has
        been done is not known."""
        self.wrong = wrong
        """Whether a value is none that its column takes: the same never succeeds."""


class Connection(Protocol):
    """What asyncpg's connection has that is used here: it comes without types."""

    async def execute(self, query: str, *args: object) -> str:
        """Run one statement, or without ``args`` several; returns the tag of the last, as in ``UPDATE 3``."""

    async def fetch(self, query: str, *args: object) -> list[Found]:
        """All rows of the answer."""

    async def fetchrow(self, query: str, *args: object) -> Found | None:
        """The first row."""

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row."""

    async def executemany(self, command: str, args: Iterable[Sequence[object]]) -> None:
        """Run one statement for each of ``args``, all or none."""

    async def copy_records_to_table(
        self, table_name: str, *, records: Iterable[Sequence[object]], columns: Sequence[str] | None = None
    ) -> str:
        """Add rows by COPY, all or none."""

    def transaction(self) -> contextlib.AbstractAsyncContextManager[object]:
        """A transaction as long as it is open."""


Work = Callable[[Connection], Coroutine[Any, Any, T]]
"""A function that asyncio runs: it awaits what it calls of its connection, and nothing else."""


class Database:
    """`connect` makes one. Methods may be called from any task, and raise `PostgresError`. ``secs`` is for all
    of a call."""

    def __init__(self, bridge: Bridge, pool: Any, place: str, missing: PostgresError | None = None) -> None:
        self._bridge = bridge
        self._pool = pool
        self.place = place
        """Host and name of the database, for messages."""
        self.missing = missing
        """Why it was not there at the start, where that was allowed."""
        self._closed = False

    async def run(self, work: Work[T], *, secs: float = ANSWER_SECS) -> T:
        """What ``work`` returns, done with a connection of its own and outside of any transaction."""

        async def acquired() -> T:
            async with self._pool.acquire() as connection:
                return await work(connection)

        import asyncpg  # type: ignore[import-untyped]  # it comes without types

        if self._closed:
            raise PostgresError(f"the connection to PostgreSQL at {self.place} is closed")
        try:
            with anyio.fail_after(secs):
                return await self._bridge.call(acquired)
        except _faults(asyncpg) as exc:
            raise _fault(exc, self.place) from None

    async def transaction(self, work: Work[T], *, secs: float = ANSWER_SECS) -> T:
        """The same within a transaction, which an exception rolls back."""

        async def within(connection: Connection) -> T:
            async with connection.transaction():
                return await work(connection)

        return await self.run(within, secs=secs)

    async def execute(self, query: str, *args: object, secs: float = ANSWER_SECS) -> str:
        """See `Connection.execute`."""
        return await self.run(lambda connection: connection.execute(query, *args), secs=secs)

    async def fetch(self, query: str, *args: object, secs: float = ANSWER_SECS) -> list[Found]:
        """See `Connection.fetch`."""
        return await self.run(lambda connection: connection.fetch(query, *args), secs=secs)

    async def fetch_row(self, query: str, *args: object, secs: float = ANSWER_SECS) -> Found | None:
        """See `Connection.fetchrow`."""
        return await self.run(lambda connection: connection.fetchrow(query, *args), secs=secs)

    async def copy(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, secs: float = ANSWER_SECS
    ) -> str:
        """See `Connection.copy_records_to_table`."""
        return await self.run(
            lambda connection: connection.copy_records_to_table(table, records=rows, columns=columns), secs=secs
        )

    async def aclose(self) -> None:
        """Give all connections back. Idempotent."""
        if self._closed:
            return
        self._closed = True
        with anyio.move_on_after(CLOSE_SECS, shield=True):
            await self._bridge.call(self._pool.close)
        self._pool.terminate()
        await _close(self._bridge)


async def connect(settings: PostgresSettings, *, patient: bool = False) -> Database:
    """A database that answers; close it at the end. With ``patient`` one, too, that cannot be reached now and may be
    some time. Raises `PostgresError`: it is not there, it refuses, asyncpg is not installed."""
    try:
        import asyncpg
    except ImportError:
        raise PostgresError('asyncpg is not installed: pip install "ferryllm[postgres]"') from None
    bridge = await open_bridge()
    try:
        with anyio.fail_after(ANSWER_SECS):
            pool, missing = await bridge.call(_connect, settings, patient)
    except _faults(asyncpg, ValueError) as exc:
        await _close(bridge)
        raise _fault(exc, settings.place) from None
    except BaseException:
        await _close(bridge)
        raise
    return Database(bridge, pool, settings.place, missing)


@contextlib.asynccontextmanager
async def open_database(settings: PostgresSettings) -> AsyncIterator[Database]:
    """The same, closed behind the body."""
    database = await connect(settings)
    try:
        yield database
    finally:
        await database.aclose()


async def _close(bridge: Bridge) -> None:
    with anyio.move_on_after(CLOSE_SECS, shield=True):
        await bridge.aclose()


async def _connect(settings: PostgresSettings, patient: bool) -> tuple[Any, PostgresError | None]:
    import asyncpg

    pool = await asyncpg.create_pool(
        settings.url.reveal(),
        min_size=0,
        max_size=settings.pool,
        timeout=CONNECT_SECS,
        max_inactive_connection_lifetime=IDLE_SECS,
        reset=_reset,
        server_settings={"application_name": "ferryllm"},
        **({} if settings.prepared else {"statement_cache_size": 0}),
    )
    try:
        async with pool.acquire() as connection:
            await connection.execute("SELECT 1")
    except _faults(asyncpg) as exc:
        fault = _fault(exc, settings.place)
        if patient and fault.away:
            return pool, fault
        pool.terminate()
        raise
    except BaseException:
        pool.terminate()
        raise
    return pool, None


async def _reset(connection: Any) -> None:
    """Before a connection goes back. asyncpg's own way asks the server each time to forget settings, cursors and locks:
    nobody here leaves any beyond a transaction."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")


def _faults(asyncpg: Any, *others: type[Exception]) -> tuple[type[Exception], ...]:
    """What a call may raise that is not ours. A TimeoutError is an OSError."""
    return (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, *others)


_AWAY = ("08", "53", "57P")
"""How the SQLSTATEs begin of connections that fail, resources that are used up, a server that goes down or comes up."""
_WRONG = ("22", "23")
"""Values out of range or of no type, values that a constraint forbids."""
_MENDS = {
    "28": "check user and password of the URL in [postgres], and pg_hba.conf of the server",
    "3D": "make the database (createdb), or name another one in the URL in [postgres]",
    "42501": "give the user of the URL the right to CREATE in its schema",
    "53300": "make [postgres] pool smaller, or max_connections of the server larger",
}


def _fault(exc: Exception, place: str) -> PostgresError:
    state = getattr(exc, "sqlstate", None)
    if isinstance(state, str):
        # The message alone: what is behind it quotes values, and what is said of data does itself.
        told = exc.args[0] if exc.args and not state.startswith("22") else type(exc).__name__
        message = str(told).splitlines()[0]
        mend = next((mend for begin, mend in _MENDS.items() if state.startswith(begin)), None)
        text = f"PostgreSQL at {place}: {message} (SQLSTATE {state})"
        return PostgresError(
            f"{text}: {mend}" if mend else text, away=state.startswith(_AWAY), wrong=state.startswith(_WRONG)
        )
    if isinstance(exc, TimeoutError):
        return PostgresError(f"PostgreSQL at {place}: no answer in time", away=True)
    if isinstance(exc, OSError):
        # Of several addresses asyncio joins the reasons, without a number.
        reason = os.strerror(exc.errno) if exc.errno else str(exc) or type(exc).__name__
        return PostgresError(
            f"PostgreSQL at {place} cannot be reached: {reason}: check that it runs, and the URL in [postgres]",
            away=True,
        )
    if isinstance(exc, ValueError):  # of a URL, or of an argument: what it says may quote either
        text = f"PostgreSQL at {place}: {type(exc).__name__}: check the URL in [postgres]"
        return PostgresError(text, wrong=type(exc).__name__ == "DataError")
    return PostgresError(f"PostgreSQL at {place}: {str(exc).splitlines()[0][:200]}", away=True)
