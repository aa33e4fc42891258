"""The sweeper of a gateway: it runs while something runs, and an idle gateway never wakes."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.gateway import app as module
from ferryllm_net.http import Request, Responder
from support.answers import DONE, ROLE, chunk
from support.gateways import gateway, upstream

pytestmark = pytest.mark.anyio


async def test_without_a_running_exchange_no_timer_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    gates = [anyio.Event(), anyio.Event()]
    asked = iter(gates)

    async def provider(request: Request, respond: Responder) -> None:
        await request.read()
        await respond.head(200, [("content-type", "text/event-stream")])
        await respond.body(ROLE)
        await next(asked).wait()
        await respond.end(chunk({}, "stop") + DONE)

    monkeypatch.setattr(module, "SWEEP_SECS", 0.001)
    ask = {"model": "chat-x", "max_tokens": 5, "stream": True, "messages": [{"role": "user", "content": "hi"}]}
    with anyio.fail_after(20):
        async with upstream(provider) as port, gateway(port) as running:
            app = running.app
            for go in gates:
                await anyio.wait_all_tasks_blocked()
                assert app._quiet is not None, "it waits for an exchange, not for a time"
                assert not app.log.held, "a line goes out at once"
                stream = await running.begin("/v1/messages", ask)
                while b"message_start" not in await stream.receive():
                    pass
                assert app._quiet is None
                while not app.log.held:
                    await anyio.lowlevel.checkpoint()
                go.set()
                while app.running or app._quiet is None:
                    await anyio.lowlevel.checkpoint()
                await stream.aclose()
            assert running.log.count("request completed") == 2


async def test_lines_of_a_gateway_that_ends_are_not_lost() -> None:
    async with gateway(1) as running:
        running.app.log.held = True  # as while something runs
        running.app.log.info("last words")
        assert "last words" not in running.log
    assert "last words" in running.log
