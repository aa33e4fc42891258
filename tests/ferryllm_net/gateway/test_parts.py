"""The optional parts of a process: opened as the settings ask, closed in reverse whatever becomes of them."""

from __future__ import annotations

import io
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest

from ferryllm_net.config import ResponsesSettings
from ferryllm_net.config.telemetry_settings import FileSettings, RequestLogSettings
from ferryllm_net.gateway import App
from ferryllm_net.gateway.parts import Parts
from ferryllm_net.ledger.row import row_of
from ferryllm_net.postgres import PostgresError
from ferryllm_net.telemetry import Log
from ferryllm_proto import ir
from ferryllm_proto.actions import Outcome, Record
from support.gateways import settings
from support.processes import free_port

pytestmark = pytest.mark.anyio


def logging() -> tuple[Log, io.StringIO]:
    out = io.StringIO()
    return Log(out, now=lambda: 0.0), out


async def test_the_store_of_responses_is_opened_where_there_is_one() -> None:
    log, _ = logging()
    parts = Parts()
    await parts.open(settings(1), log)
    assert parts.responses is not None
    await parts.aclose(log)
    without = Parts()
    await without.open(msgspec.structs.replace(settings(1), responses=ResponsesSettings(store="off")), log)
    assert without.responses is None


async def test_the_last_that_was_opened_is_closed_first_and_each_once() -> None:
    closed: list[str] = []

    def closing(name: str) -> Callable[[], Awaitable[None]]:
        async def aclose() -> None:
            closed.append(name)

        return aclose

    parts = Parts()
    for name in ("connection", "store", "hook"):
        parts.keep(name, closing(name))
    await parts.aclose()
    await parts.aclose()
    assert closed == ["hook", "store", "connection"]


async def test_one_that_fails_or_hangs_keeps_no_other_from_closing() -> None:
    closed: list[str] = []

    async def well() -> None:
        closed.append("first")

    async def fails() -> None:
        raise ConnectionError("redis://user:secret@host")

    log, out = logging()
    parts = Parts()
    parts.keep("first", well)
    parts.keep("redis", fails)
    parts.keep("ledger", anyio.sleep_forever, 0.01)
    with anyio.fail_after(10):
        await parts.aclose(log)
    assert closed == ["first"]
    assert 'not closed part="ledger" after_secs=0.01' in out.getvalue()
    assert 'not closed part="redis" error="ConnectionError"' in out.getvalue()
    assert "secret" not in out.getvalue()


async def test_a_cancellation_does_not_keep_them_from_closing() -> None:
    closed: list[str] = []

    async def slowly() -> None:
        await anyio.lowlevel.checkpoint()
        closed.append("it")

    parts = Parts()
    parts.keep("it", slowly)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await parts.aclose()
    assert closed == ["it"]


async def test_quotas_that_come_while_it_runs_begin_with_what_the_ledger_knows(tmp_path: Path) -> None:
    ledger = f'[ledger]\nstore = "sqlite"\npath = "{tmp_path}/ledger.db"\n'
    key = '[auth]\nenabled = true\n[[auth.keys]]\nname = "ci"\nkey_env = "PROVIDER_KEY"\n'
    log, _ = logging()
    parts = Parts()
    before = settings(1, more=ledger + key)
    await parts.open(before, log)
    assert parts.ledger is not None
    app = App(before, log, parts=parts)
    (client,) = app.book
    usage = ir.Usage(40, output=2)
    record = Record(
        "r", "openai", "generate", Outcome.OK, 200, 1.0, None, "m", "m", "m", "p", False, usage, None, (), None, 1
    )
    await parts.ledger.put(row_of(msgspec.structs.replace(record, created=time.time(), key=client)))
    async with anyio.create_task_group() as tasks:
        parts.start(app, tasks)
        book = app.book
        app.change(settings(1, more=ledger + key + "total_tokens = 100\n"))
        parts.remember(app, book)
        (client,) = app.book
        with anyio.fail_after(5):
            while app.desk.accounts.used("key/ci", client.quotas[0], time.time()) != 42:  # noqa: ASYNC110 - a thread reads the ledger
                await anyio.sleep(0.005)
        tasks.cancel_scope.cancel()
    await parts.aclose(log)


async def test_a_file_that_can_not_be_opened_leaves_the_old_one(tmp_path: Path) -> None:
    log, out = logging()
    parts = Parts()
    there = FileSettings(str(tmp_path / "audit.jsonl"), None, 1)
    nowhere = FileSettings(str(tmp_path / "none" / "x"), None, 1)
    await parts.open(msgspec.structs.replace(settings(1), audit=there), log)
    kept = parts.audit
    of_requests = RequestLogSettings(nowhere, 1.0, False, frozenset(), 1, frozenset(), (), ())
    parts.reloaded(msgspec.structs.replace(settings(1), audit=nowhere, request_log=of_requests), log, ("audit",))
    assert (parts.audit, parts.request_log) == (kept, None)
    assert kept is not None
    assert kept.settings == there
    await parts.aclose(log)
    reason = 'reason="No such file or directory"'
    assert [line.split("log file not changed ")[1] for line in out.getvalue().splitlines()] == [
        f'log="audit" {reason}',
        f'log="requests" {reason}',
    ]
    with open(there.path) as file:  # noqa: ASYNC230 - nothing else runs
        assert len(file.readlines()) == 3  # start, reload, stop


AWAY = '[postgres]\nurl = "postgresql://ferry@127.0.0.1:{port}/x"\n[ledger]\nstore = "postgres"\n'
KEPT = '[keys]\nstore = "sqlite"\npath = "{folder}/keys.db"\n'
QUOTA = '[auth]\nenabled = true\n[[auth.keys]]\nname = "ci"\nkey_env = "PROVIDER_KEY"\ndaily_requests = 1\n'


async def test_a_ledger_that_is_away_keeps_nobody_waiting() -> None:
    log, out = logging()
    parts = Parts()
    found = settings(1, more=AWAY.format(port=free_port()))
    await parts.open(found, log)
    await parts.restore(App(found, log, parts=parts))
    assert parts.ledger is not None
    await parts.aclose(log)
    assert "ledger is away, rows wait for it" in out.getvalue()


@pytest.mark.parametrize("more", ['on_failure = "refuse"\n', QUOTA, '[keys]\nstore = "postgres"\n', KEPT])
async def test_who_needs_more_than_rows_does_not_begin_without_it(more: str, tmp_path: Path) -> None:
    log, _ = logging()
    parts = Parts()
    with pytest.raises(PostgresError, match="cannot be reached"):
        await parts.open(settings(1, more=AWAY.format(port=free_port()) + more.format(folder=tmp_path)), log)
    await parts.aclose(log)
