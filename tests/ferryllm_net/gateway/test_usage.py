"""What a gateway makes of the usage of its requests: costs, hooks that hear of them, streams that are asked."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import anyio
import msgspec
import pytest

from ferryllm_net.http import Request, Responder
from support.answers import DONE, ROLE, chat_usage, chunk
from support.gateways import gateway, settings, upstream

pytestmark = pytest.mark.anyio
USAGE = chat_usage(1000, 10)
PRICES = '[[prices.models]]\nmodel = "real-chat"\nprovider = "chat"\ninput = 2\noutput = "10"\n'


class Chat:
    """A provider of Chat Completions that counts a stream only where it is asked to; and a receiver of usage."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.rows: dict[str, dict[str, Any]] = {}
        self.got = anyio.Event()

    async def __call__(self, request: Request, respond: Responder) -> None:
        data = await request.read()
        if request.target == "/usage":
            self.rows.update(
                {row["id"]: row for row in json.loads(data)["rows"]}
            )  # the end may repeat what is under way
            await respond.complete(200, [], b"")
            self.got.set()
            return
        body = json.loads(data)
        self.asked.append(body.get("stream_options"))
        counted = chunk(choices=[], usage=USAGE) if (body.get("stream_options") or {}).get("include_usage") else b""
        await respond.complete(200, [("content-type", "text/event-stream")], TEXT + counted + DONE)

    def hook(self, port: int) -> str:
        return f'[[usage.hooks]]\nurl = "http://127.0.0.1:{port}/usage"\nflush_secs = 0.01\n'


TEXT = ROLE + chunk({"content": "pong"}) + chunk({}, "stop")
SHOWN = (TEXT + DONE).replace(b'"real"', b'"chat-x"')
ASK = {"model": "chat-x", "stream": True, "messages": [{"role": "user", "content": "ping"}]}


@pytest.mark.parametrize("ledger", [False, True])
async def test_a_stream_that_passes_through_is_counted_and_its_client_sees_nothing(
    ledger: bool, tmp_path: pathlib.Path
) -> None:
    provider = Chat()
    async with upstream(provider) as port:
        more = "[usage]\npassthrough = true\n" + provider.hook(port) + PRICES
        more += f'[ledger]\npath = "{tmp_path}/ledger.db"\n' if ledger else ""
        async with gateway(port, more=more) as running:
            _, _, data = await running.ask("POST", "/v1/chat/completions", ASK)
            with anyio.fail_after(10):
                await provider.got.wait()
    assert data == SHOWN
    assert provider.asked == [{"include_usage": True}]
    (row,) = provider.rows.values()
    assert (row["model_asked"], row["provider"], row["outcome"]) == ("chat-x", "chat", "ok")
    assert (row["input_tokens"], row["output_tokens"], row["cost"]) == (1000, 10, 2_100_000)


async def test_without_permission_the_bytes_stay_and_the_usage_is_unknown() -> None:
    provider = Chat()
    async with upstream(provider) as port, gateway(port, more=provider.hook(port) + PRICES) as running:
        _, _, data = await running.ask("POST", "/v1/chat/completions", ASK)
        with anyio.fail_after(10):
            await provider.got.wait()
    assert data == SHOWN
    assert provider.asked == [None]
    (row,) = provider.rows.values()
    assert (row["input_tokens"], row["output_tokens"], row["cost"]) == (None, None, None)


async def test_a_translated_stream_is_always_counted() -> None:
    provider = Chat()
    messages = {**ASK, "max_tokens": 9}
    async with upstream(provider) as port, gateway(port, more=provider.hook(port) + PRICES) as running:
        await running.ask("POST", "/v1/messages", messages)
        with anyio.fail_after(10):
            await provider.got.wait()
            counted = b'ferryllm_hook_rows_total{hook="url-1",outcome="delivered"} 1'
            while counted not in (await running.ask("GET", "/metrics"))[2]:  # noqa: ASYNC110 - nothing tells of it
                await anyio.sleep(0.005)
    assert provider.asked == [{"include_usage": True}]
    assert [row["cost"] for row in provider.rows.values()] == [2_100_000]


async def test_prices_of_the_configuration_may_change_while_it_runs_and_the_list_may_not() -> None:
    provider = Chat()
    async with upstream(provider) as port, gateway(port, more=PRICES) as running:
        dearer = settings(port, more=PRICES.replace("input = 2", "input = 4"))
        dearer = msgspec.structs.replace(dearer, server=running.app.settings.server)
        assert running.app.change(dearer) == ()
        price = running.app.gateway.prices
        assert price is not None
        found = price.find("real-chat", running.app.gateway.providers["chat"].sellers)
        assert found is not None
        assert found.input is not None
        assert found.input.base == 4 * 10**9
        other = msgspec.structs.replace(dearer, prices=msgspec.structs.replace(dearer.prices, file="/other.json"))
        assert running.app.change(other) == ("prices.file",)
        assert running.app.settings.prices == dearer.prices
