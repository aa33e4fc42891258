"""One pool on both backends: errors in words, cancelled questions, a server that was started again."""

from __future__ import annotations

import anyio
import pytest

from ferryllm_net.config.postgres_settings import PostgresSettings
from ferryllm_net.config.secret import Secret
from ferryllm_net.postgres import Connection, PostgresError, connect, open_database
from support import postgres_server
from support.processes import free_port

pytestmark = pytest.mark.anyio


async def test_questions_from_many_tasks_share_the_pool() -> None:
    server = postgres_server.shared()
    found: list[int] = []
    async with open_database(server.settings(pool=2)) as database:
        await database.execute("CREATE TABLE t (n bigint); INSERT INTO t VALUES (0)")

        async def add(connection: Connection) -> None:
            await connection.execute("UPDATE t SET n = n + 1")

        async def ask(number: int) -> None:
            await database.transaction(add)
            (row,) = await database.fetch("SELECT $1::bigint AS n", number)
            found.append(row["n"])

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(ask, number)
        assert sorted(found) == list(range(20))
        row = await database.fetch_row("SELECT n FROM t")
        assert row is not None
        assert row["n"] == 20
        assert await database.fetch_row("SELECT n FROM t WHERE n < 0") is None
        await database.copy("t", ["n"], [(n,) for n in range(5)])
        assert len(await database.fetch("SELECT n FROM t")) == 6
        used = await database.fetch("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'ferryllm'")
        assert used[0]["n"] <= 2


async def test_a_transaction_that_fails_leaves_nothing() -> None:
    async with open_database(postgres_server.shared().settings()) as database:
        await database.execute("CREATE TABLE t (n int)")

        async def half(connection: Connection) -> None:
            await connection.execute("INSERT INTO t VALUES (1)")
            raise KeyError("on the way")

        with pytest.raises(KeyError):
            await database.transaction(half)
        assert await database.fetch("SELECT n FROM t") == []


async def test_what_is_wrong_is_told_without_values() -> None:
    async with open_database(postgres_server.shared().settings()) as database:
        with pytest.raises(PostgresError, match=r'column "bogus" does not exist .SQLSTATE 42703') as caught:
            await database.execute("SELECT bogus")
        assert not caught.value.away
        await database.execute("CREATE TABLE t (n int UNIQUE, word text)")
        await database.execute("INSERT INTO t VALUES ($1, $2)", 1, "a secret")
        with pytest.raises(PostgresError, match="unique constraint") as caught:
            await database.execute("INSERT INTO t VALUES ($1, $2)", 1, "a secret")
        assert "secret" not in str(caught.value)
        assert caught.value.wrong
        with pytest.raises(PostgresError) as caught:
            await database.execute("INSERT INTO t VALUES ($1, $2)", "no number, a secret", "")
        assert "secret" not in str(caught.value)
        assert caught.value.wrong


async def test_a_cancelled_question_gives_its_connection_back() -> None:
    async with open_database(postgres_server.shared().settings(pool=1)) as database:
        for _ in range(3):
            with anyio.move_on_after(0.02) as scope:
                await database.execute("SELECT pg_sleep(60)")
            assert scope.cancelled_caught
        with pytest.raises(PostgresError, match="no answer in time") as caught:
            await database.execute("SELECT pg_sleep(60)", secs=0.02)
        assert caught.value.away
        assert (await database.fetch("SELECT 1 AS n"))[0]["n"] == 1


async def test_a_server_that_was_away_is_found_again() -> None:
    server = postgres_server.shared()
    async with open_database(server.settings()) as database:
        server.stop(hard=True)
        try:
            with pytest.raises(PostgresError) as caught:
                await database.fetch("SELECT 1 AS n")
            assert caught.value.away
        finally:
            server.start()
        await database.fetch("SELECT 1 AS n")


@pytest.mark.parametrize(
    ("url", "message", "away"),
    [
        ("postgresql://ferry:pw-secret@127.0.0.1:{free}/postgres", "Connection refused: check that it runs", True),
        ("postgresql://ferry:pw-secret@127.0.0.1:{port}/nothing", "does not exist .*make the database", False),
        ("postgresql://nobody:pw-secret@127.0.0.1:{port}/postgres", "check user and password", False),
        (
            "postgresql://ferry:pw-secret@127.0.0.1:{port}/postgres?sslmode=nonsense",
            r"check the URL in .postgres",
            False,
        ),
        ("postgresql://ferry:pw-secret@127.0.0.1:{port}/postgres?sslmode=require", "rejected SSL", None),
    ],
    ids=["port", "database", "user", "mode", "tls"],
)
async def test_why_it_does_not_open_is_said_without_the_password(url: str, message: str, away: bool | None) -> None:
    port = postgres_server.shared().port
    url = url.format(port=port, free=free_port())
    with pytest.raises(PostgresError, match=message) as caught:
        await connect(PostgresSettings(Secret(url), "db.example/x"))
    assert "db.example/x" in str(caught.value)
    assert "pw-secret" not in str(caught.value)
    assert away is None or caught.value.away is away


async def test_who_is_patient_gets_one_that_is_away_and_no_other_fault() -> None:
    there = PostgresSettings(Secret(postgres_server.shared().url()), "x")
    away = PostgresSettings(Secret(f"postgresql://ferry@127.0.0.1:{free_port()}/postgres"), "x")
    refused = PostgresSettings(Secret(postgres_server.shared().url("nothing")), "x")
    for settings, missing in ((there, None), (away, "Connection refused")):
        database = await connect(settings, patient=True)
        assert (database.missing is None) is (missing is None)
        assert missing is None or missing in str(database.missing)
        await database.aclose()
    with pytest.raises(PostgresError, match="does not exist"):
        await connect(refused, patient=True)


async def test_a_closed_one_says_so() -> None:
    database = await connect(postgres_server.shared().settings(prepared=False))
    await database.aclose()
    await database.aclose()
    with pytest.raises(PostgresError, match="closed"):
        await database.fetch("SELECT 1 AS n")


async def test_what_the_body_raises_leaves_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_database(postgres_server.shared().settings()):
            raise KeyError("mine")
