"""All hooks of a process: told of records, run and closed together."""

from __future__ import annotations

import json
import pathlib

import anyio
import pytest

from ferryllm_net.config.ledger_settings import LedgerSettings
from ferryllm_net.config.usage_settings import HookSettings
from ferryllm_net.hooks import HookError, open_hooks
from ferryllm_net.hooks.following import place_of
from ferryllm_net.http import Request, Responder
from ferryllm_net.ledger.sqlite import SqliteLedger
from ferryllm_proto.actions import Outcome, Record
from support.gateways import upstream
from support.hooks import log, url_hook
from support.ledgers import row

pytestmark = pytest.mark.anyio

RECORD = Record(
    "req_9", "openai", "generate", Outcome.OK, 200, 1.0, 0.1, "m", "m", None, "a", False, None, None, (), None, 1
)


class Receiver:
    """A server that keeps the ids of what is posted, and answers ``status``."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.ids: list[str] = []
        self.got = anyio.Event()

    async def __call__(self, request: Request, respond: Responder) -> None:
        rows = json.loads(await request.read())["rows"]
        if self.status == 200:
            self.ids += [one["id"] for one in rows]
        await respond.complete(self.status, [], b"")
        self.got.set()


async def test_without_hooks_there_is_nothing() -> None:
    assert await open_hooks((), log()[0]) is None


async def test_a_record_reaches_every_hook() -> None:
    receiver = Receiver()
    async with upstream(receiver) as port:
        settings = [url_hook(port, name=name, flush_secs=0.001) for name in ("one", "two")]
        hooks = await open_hooks(settings, log()[0])
        assert hooks is not None
        assert hooks.observes
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hooks.run)
            hooks.observe(RECORD)
            with anyio.fail_after(10):
                while sum(hook.delivered for hook in hooks.hooks) < 2:  # noqa: ASYNC110 - a count, no event
                    await anyio.sleep(0.001)
            tasks.cancel_scope.cancel()
        await hooks.aclose()
    assert receiver.ids == ["req_9", "req_9"]


async def test_the_end_delivers_what_still_waits() -> None:
    receiver = Receiver()
    async with upstream(receiver) as port:
        hooks = await open_hooks([url_hook(port, flush_secs=3600)], log()[0])
        assert hooks is not None
        hooks.observe(RECORD)
        await hooks.aclose()
    assert receiver.ids == ["req_9"]


async def test_rows_of_a_ledger_in_sqlite_are_read_from_it(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger.open(path)
    receiver, kept = Receiver(status=503), LedgerSettings("sqlite", str(path))
    async with upstream(receiver) as port:
        hooks = await open_hooks([url_hook(port)], log()[0], ledger, kept)
        assert hooks is not None
        assert not hooks.observes
        await ledger.put(row(id="a"))
        await hooks.aclose()
        receiver.status = 200
        again = await open_hooks([url_hook(port)], log()[0], ledger, kept)
        assert again is not None
        await again.aclose()
    assert receiver.ids == ["a"]
    assert place_of(path, "bill").read_text().strip().lstrip("0") == "1"
    await ledger.aclose()


async def test_a_hook_that_cannot_be_opened_is_said_at_the_start(tmp_path: pathlib.Path) -> None:
    with pytest.raises(HookError, match="no installed package"):
        await open_hooks([HookSettings("x", entry_point="nowhere")], log()[0])
    path = tmp_path / "ledger.db"
    ledger = SqliteLedger.open(path)
    place_of(path, "bill").mkdir()
    with pytest.raises(HookError, match="cannot remember"):
        await open_hooks([url_hook(1)], log()[0], ledger, LedgerSettings("sqlite", str(path)))
    await ledger.aclose()
