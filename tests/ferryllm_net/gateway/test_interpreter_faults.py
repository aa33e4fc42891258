"""One exchange over wires in memory: faults of our own, and what becomes of connections to the provider."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest

from ferryllm_net.gateway import upstream as upstreams
from ferryllm_net.http import Limits, Request, Responder
from ferryllm_proto import Exchange
from ferryllm_proto.flow import Flow
from support import grammar
from support.answers import DONE, ROLE, STREAM, WHOLE, chunk
from support.gateways import gateway, upstream
from support.planted import PROMPT, leaks
from support.wired import SSE_HEAD, answer, ask, chunked, gone, nothing_is_left, post, request, whole, wired

pytestmark = pytest.mark.anyio

PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")


# --- faults of our own -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/v1/messages", "api_error"), ("/v1/chat/completions", "server_error"), ("/v1/responses", "server_error")],
)
async def test_a_snapshot_that_names_a_missing_provider_is_a_500_in_the_dialect(path: str, kind: str) -> None:
    async with wired() as w:
        whole_gateway = w.app.gateway
        w.change(providers={})
        near = await w.begin(path, {**ask(text=PROMPT), "input": PROMPT})
        status, fields, body = await answer(near)
        assert (status, fields["content-type"]) == (500, "application/json")
        assert json.loads(body)["error"]["type"] == kind
        assert leaks(body.decode()) == []
        await w.settle()
        assert [type(exc) for exc in w.rig.errors] == [KeyError]
        assert w.outcomes == ["error"]
        assert 'status="500' in w.log
        assert leaks(w.log) == []
        w.app.gateway = whole_gateway
        await post(near, path, {**ask(stream=False), "input": "hi"})
        far, _, _ = await w.provider()
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200, "the connection lives"


async def test_a_fault_when_the_provider_is_opened_is_recorded_once() -> None:
    async with wired() as w:
        w.app.upstreams.clear()
        status, _, _ = await answer(await w.begin("/v1/messages", ask()))
        assert status == 500
        await w.settle()
        assert w.outcomes == ["error"]


@pytest.mark.parametrize("usual", [True, False])
async def test_a_fault_within_a_stream_cuts_it_and_closes_the_provider(
    monkeypatch: pytest.MonkeyPatch, usual: bool
) -> None:
    async with wired() as w:
        w.app.usual.none = not usual
        near = await w.begin("/v1/messages", ask(text=PROMPT))
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
        data = await near.receive_until(b"pong")
        machine = Flow if usual else Exchange
        monkeypatch.setattr(machine, "receive", lambda self, data, now: 1 / 0)
        await far.send(chunked(PONG, end=False))
        data += await near.receive_all()
        assert not data.endswith(b"0\r\n\r\n"), "half an answer does not look whole"
        await gone(far)
        await w.settle()
        assert [type(exc) for exc in w.rig.errors] == [ZeroDivisionError]
        assert w.app.pool.idle == 0
        monkeypatch.undo()
        assert (await answer(await w.begin("/nowhere", b"")))[0] == 404


# --- connections to the provider ---------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["chat-x", "msg-x"])
async def test_a_complete_stream_leaves_its_connection_to_the_next_request(model: str) -> None:
    stream = STREAM["openai" if model == "chat-x" else "anthropic"]
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(model))
        far, _, _ = await w.provider()
        for n in range(3):
            if n:
                await post(near, "/v1/messages", ask(model))
                await request(far)
            await far.send(SSE_HEAD + chunked(stream))
            _, _, body = await answer(near)
            assert b"message_stop" in body
            await w.settle()
            assert w.app.pool.idle == 1
        assert w.upstream.dialled == 1
        assert w.outcomes == ["ok"] * 3


async def test_an_end_that_comes_late_within_reason_still_saves_the_connection() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(STREAM["openai"], end=False))
        _, _, body = await answer(near)
        assert grammar.messages(body).ended
        assert w.app.pool.idle == 0
        await far.send(b"0\r\n\r\n")
        await nothing_is_left(w, "ok", idle=1)


async def test_an_end_that_does_not_come_costs_the_connection_and_not_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstreams, "RELEASE_SECS", 0.0)
    async with wired() as w:
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(STREAM["openai"], end=False))
        status, _, body = await answer(near)
        assert (status, grammar.messages(body).ended) == (200, True)
        await gone(far)
        await nothing_is_left(w, "ok")


@pytest.mark.parametrize("cut", ["close", "reset", "garbage"])
async def test_a_cut_stream_closes_its_connection(cut: str) -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
        await near.receive_until(b"pong")
        if cut == "close":
            await far.aclose()
        elif cut == "reset":
            far.reset()
        else:
            await far.send(b"no chunk\r\n")
        data = await near.receive_until(b"0\r\n\r\n")
        assert b"event: error" in data
        await nothing_is_left(w, "truncated")
        assert w.app.pool.idle == 0


async def test_a_connection_that_died_in_the_pool_is_not_the_clients_business() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(stream=False))
        far, _, _ = await w.provider()
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
        await far.aclose()
        await post(near, "/v1/messages", ask(stream=False))
        far, _, _ = await w.provider()
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
        await w.settle()
        assert (w.upstream.dialled, w.outcomes) == (2, ["ok", "ok"])


async def test_what_a_provider_may_have_worked_on_is_not_asked_twice() -> None:
    """A kept connection that closes without a word, but not at once."""
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(stream=False))
        far, _, _ = await w.provider()
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
        w.app.pool._limits = msgspec.structs.replace(w.app.limits, pool_stale_secs=-1.0)
        await post(near, "/v1/messages", ask(stream=False))
        await far.receive_until(b"\r\n\r\n")
        await far.aclose()
        assert (await answer(near))[0] == 502
        await w.settle()
        assert (w.upstream.dialled, w.outcomes) == (1, ["ok", "error"])


async def test_a_provider_that_closes_before_its_head_is_a_502_in_the_dialect() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.aclose()
        status, _, body = await answer(near)
        assert (status, json.loads(body)["type"]) == (502, "error")
        await nothing_is_left(w, "error")


async def test_pipelined_requests_are_answered_in_their_order() -> None:
    async with wired() as w:
        near = w.rig.connect()
        for n in range(3):
            await post(near, "/v1/messages", ask(stream=False), (("x-request-id", f"id-{n}"),))
        far, _, _ = await w.provider()
        for n in range(3):
            if n:
                await request(far)
            await far.send(whole(WHOLE["openai"]))
            _, fields, _ = await answer(near)
            assert fields["x-request-id"] == f"id-{n}"
        await w.settle()
        assert w.outcomes == ["ok"] * 3


Play = Callable[[Request, Responder], Awaitable[None]]


async def test_fifty_mixed_exchanges_leave_no_task_and_no_connection_behind() -> None:
    asked = 0
    seen = [anyio.Event() for _ in range(50)]

    async def provider(request: Request, respond: Responder) -> None:
        nonlocal asked
        asked += 1
        kind, _, number = json.loads(await request.read())["messages"][-1]["content"].partition(" ")
        if kind == "whole":
            await respond.complete(200, [("content-type", "application/json")], WHOLE["openai"])
        elif kind == "refused":
            await respond.complete(429, [("content-type", "application/json")], b'{"error":{"message":"slow down"}}')
        else:
            await respond.head(200, [("content-type", "text/event-stream")])
            await respond.body(ROLE + PONG)
            if kind == "cut":
                await seen[int(number)].wait()  # a reset would overtake what the client has not got yet
                await respond.abort()
            elif kind == "stream":
                await respond.end(STOP + DONE)
            else:
                await anyio.sleep_forever()

    kinds = ["whole", "refused", "stream", "cut", "leave"]

    async def one(base: Any, kind: str, number: int) -> None:
        if kind in ("leave", "cut"):
            async with await base.begin("/v1/messages", ask(text=f"{kind} {number}")) as stream:
                data = b""
                while b"pong" not in data:
                    data += await stream.receive()
                seen[number].set()
                while kind == "cut" and b"event: error" not in data:
                    data += await stream.receive()
            return
        status, _, body = await base.ask("POST", "/v1/messages", ask(stream=kind != "whole", text=kind))
        assert status == (429 if kind == "refused" else 200)
        assert b"event: error" not in body

    with anyio.fail_after(60):
        async with upstream(provider) as port, gateway(port) as running:
            await running.ask("GET", "/health")
            before = len(anyio.get_running_tasks())
            async with anyio.create_task_group() as tasks:
                for n in range(50):
                    tasks.start_soon(one, running, kinds[n % len(kinds)], n)
            while running.log.count("request completed") < 50 or running.server.active:
                await anyio.wait_all_tasks_blocked()
            assert asked == 50
            assert running.app.running == set()
            for outcome, times in (("ok", 20), ("error", 10), ("truncated", 10), ("cancelled", 10)):
                assert running.log.count(f'outcome="{outcome}"') == times, outcome
            assert running.app.pool.idle <= 30, "cut and left streams do not come back"
            await running.app.pool.aclose()
            await running._pool.aclose()
            while len(anyio.get_running_tasks()) > before:
                await anyio.wait_all_tasks_blocked()


async def test_limits_of_the_pool_end_an_exchange_too() -> None:
    """The network's own limits stand behind the exchange's; whichever speaks first, the client hears a timeout."""
    async with wired(limits=Limits()) as w:
        one = w.app.upstreams["chat"]
        times = msgspec.structs.replace(one.timeouts, head_secs=0.01)
        w.app.upstreams["chat"] = msgspec.structs.replace(one, timeouts=times)
        status, _, body = await answer(await w.begin("/v1/messages", ask()))
        assert (status, json.loads(body)["error"]["type"]) == (504, "timeout_error")
        await nothing_is_left(w, "error")
