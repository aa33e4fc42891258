"""A gateway with a ledger of each kind: which rows its requests leave, and quotas that outlive it."""

from __future__ import annotations

import pathlib
import time
from urllib.parse import urlsplit

import pytest

from ferryllm_net.admission import MemoryDoor
from ferryllm_net.ledger import Row
from ferryllm_net.mock import serve_mock
from ferryllm_proto.routing.quota import Period, Quota, Unit
from support import postgres_server
from support.gateways import Running, gateway
from support.ledgers import KINDS
from support.planted import PROVIDER_KEY

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS)]

SECRET = "a secret of the prompt"
AUTH = """
[auth]
enabled = true
[[auth.projects]]
name = "ships"
daily_tokens = 1000000
[[auth.keys]]
name = "laptop"
key_env = "PROVIDER_KEY"
user = "ann"
project = "ships"
daily_requests = 3
"""


def table(kind: str, folder: pathlib.Path) -> str:
    """The configuration of an empty ledger."""
    prices = folder / "prices.json"
    prices.write_text("{}")  # the real list takes longer to read than all of the test
    text = f'[prices]\nfile = "{prices}"\n'
    if kind == "sqlite":
        return f'{text}[ledger]\npath = "{folder}/ledger.db"\n'
    return f'{text}[postgres]\nurl = "{postgres_server.shared().place()}"\n[ledger]\nstore = "postgres"\n'


async def ask(running: Running, *, model: str = "chat-a", word: str = "text=ok", stream: bool = False) -> int:
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": f"mock: {word}\n{SECRET}"}]}
    headers = {"authorization": f"Bearer {PROVIDER_KEY}"}
    status, _, _ = await running.ask("POST", "/v1/chat/completions", body, headers)
    return status


async def rows(running: Running) -> tuple[Row, ...]:
    assert running.app.ledger is not None
    return (await running.app.ledger.rows()).rows


async def test_every_request_leaves_its_row(kind: str, tmp_path: pathlib.Path) -> None:
    async with serve_mock() as url:
        port = urlsplit(url).port
        assert port is not None
        async with gateway(port, more=table(kind, tmp_path) + AUTH) as running:
            assert await ask(running) == 200
            assert await ask(running, model="msg-a", stream=True) == 200
            assert await ask(running, word="error=400") == 400
            assert await ask(running) == 402
            assert await ask(running, model="no route") in (402, 404)
            found = await rows(running)
            assert running.app.ledger is not None
            (total,) = await running.app.ledger.totals()
        whole, stream, failed, refused, unknown = found
        for one in found:
            assert (one.key_name, one.user, one.project, one.entry) == ("laptop", "ann", "ships", "openai")
            assert SECRET not in repr(one)
        assert (whole.outcome, whole.status, whole.provider, whole.stream) == ("ok", 200, "chat", False)
        assert (whole.model_asked, whole.model_resolved, whole.route) == ("chat-a", "real-chat", "chat-")
        assert whole.output_tokens is not None
        assert whole.model_reported == "real-chat"
        assert (stream.outcome, stream.provider, stream.stream, stream.finish) == ("ok", "msg", True, "end")
        assert (failed.outcome, failed.status, failed.error_kind) == ("error", 400, "bad_request")
        assert (refused.refused, refused.attempts, refused.output_tokens) == ("quota", 0, None)
        assert unknown.model_asked == "no route"
        assert (total.requests, total.refused) == (5, 2)


async def test_quotas_outlive_the_gateway(kind: str, tmp_path: pathlib.Path) -> None:
    more = table(kind, tmp_path) + AUTH
    async with serve_mock() as url:
        port = urlsplit(url).port
        assert port is not None
        async with gateway(port, more=more) as running:
            assert [await ask(running) for _ in range(2)] == [200, 200]
        async with gateway(port, more=more) as running:
            assert [await ask(running) for _ in range(2)] == [200, 402]


async def test_what_nobody_told_is_used_after_a_start_as_before(kind: str, tmp_path: pathlib.Path) -> None:
    more, quota = table(kind, tmp_path) + AUTH, Quota(Unit.TOKENS, Period.DAY, 1_000_000)

    def used(running: Running) -> int:
        assert isinstance(running.app.door, MemoryDoor)
        return running.app.door.desk.accounts.used("project/ships", quota, time.time())

    async with serve_mock() as url:
        port = urlsplit(url).port
        assert port is not None
        async with gateway(port, more=more) as running:
            # A stream of the client's own protocol passes as it is, so nobody asks for its usage.
            assert await ask(running, stream=True) == 200
            assert [one.model_reported for one in await rows(running)] == ["real-chat"]
            (row,) = await rows(running)
            before = used(running)
        async with gateway(port, more=more) as running:
            assert (row.output_tokens, used(running)) == (None, before)
    assert before > 100
