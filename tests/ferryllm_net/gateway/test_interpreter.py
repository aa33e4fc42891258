"""One exchange over wires in memory: whoever leaves, whenever; deadlines; faults of our own; nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import msgspec
import pytest

from ferryllm_net.gateway import interpreter
from ferryllm_net.http import ClientLeft, Limits, Origin, Request, Responder, Transport
from support import grammar
from support.answers import DONE, ROLE, STREAM, WHOLE, chunk
from support.gateways import gateway, upstream
from support.planted import PROMPT, leaks
from support.streams import MemoryTransport
from support.wired import SSE_HEAD, Wired, answer, chunked, post, request, whole, wired

pytestmark = pytest.mark.anyio

PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")


def ask(model: str = "chat-x", *, stream: bool = True, text: str = "hi") -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": text}]}


async def nothing_is_left(w: Wired, outcome: str, *, idle: int = 0) -> None:
    """One record, and no exchange, task or upstream connection of it lives on."""
    await w.settle()
    assert w.outcomes == [outcome]
    assert w.app.pool.idle == idle
    assert w.rig.errors == []


async def gone(far: MemoryTransport) -> None:
    """The gateway has closed its connection to the provider."""
    with anyio.fail_after(5):
        while await far.receive():
            pass


# --- a client that leaves ----------------------------------------------------------------------------------


async def test_t11_leaving_within_its_own_body_asks_no_provider() -> None:
    async with wired() as w:
        near = w.rig.connect()
        head = b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        await near.send(head + b'content-length: 500\r\n\r\n{"model":"chat-x"')
        await anyio.wait_all_tasks_blocked()
        assert len(w.app.running) == 1
        await near.aclose()
        await nothing_is_left(w, "cancelled")
        assert w.upstream.dialled == 0


async def test_t11_leaving_while_the_provider_is_dialled_ends_the_dialling() -> None:
    dialling, ended = anyio.Event(), anyio.Event()

    async def dial(origin: Origin) -> Transport:
        dialling.set()
        try:
            await anyio.sleep_forever()
            raise AssertionError
        finally:
            ended.set()

    async with wired(dial=dial) as w:
        near = await w.begin("/v1/messages", ask())
        await dialling.wait()
        await near.aclose()
        await nothing_is_left(w, "cancelled")
        assert ended.is_set()


async def test_t11_leaving_while_the_request_is_sent_to_the_provider() -> None:
    async with wired() as w:
        w.upstream._capacity = 10
        near = await w.begin("/v1/messages", ask())
        far = await w.upstream.accept()
        await anyio.wait_all_tasks_blocked()
        await near.aclose()
        await gone(far)
        await nothing_is_left(w, "cancelled")


@pytest.mark.parametrize("stream", [True, False])
async def test_t11_leaving_before_the_providers_head(stream: bool) -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(stream=stream))
        far, _, _ = await w.provider()
        await anyio.wait_all_tasks_blocked()
        await near.aclose()
        await gone(far)
        await nothing_is_left(w, "cancelled")


@pytest.mark.parametrize("model", ["chat-x", "msg-x"])
async def test_t11_leaving_behind_the_head_before_any_content(model: str) -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(model))
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD)
        await anyio.wait_all_tasks_blocked()
        await near.aclose()
        await gone(far)
        await nothing_is_left(w, "cancelled")


async def test_t11_leaving_within_a_stream() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
        await near.receive_until(b"pong")
        await near.aclose()
        await gone(far)
        await nothing_is_left(w, "cancelled")


@pytest.mark.parametrize("leave", ["close", "reset"])
async def test_t11_leaving_without_having_read_what_was_sent(leave: str) -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(), capacity=2000)
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, *[chunk({"content": "y" * 5000})] * 20, end=False))
        await anyio.wait_all_tasks_blocked()
        assert len(w.app.running) == 1, "the write waits for its reader"
        if leave == "close":
            await near.aclose()
        else:
            near.reset()
        await gone(far)
        await nothing_is_left(w, "cancelled")


@pytest.mark.parametrize("stream", [True, False])
async def test_t11_leaving_before_the_last_bytes_are_out(stream: bool) -> None:
    """The provider is done and the exchange decided; what the client did not get was not a good answer."""
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(stream=stream), capacity=300)
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(STREAM["openai"]) if stream else whole(WHOLE["openai"]))
        await anyio.wait_all_tasks_blocked()
        assert w.outcomes == []
        await near.aclose()
        await nothing_is_left(w, "cancelled", idle=1)


async def test_a_client_that_does_not_read_holds_the_provider_back() -> None:
    async with wired() as w:
        w.upstream._capacity = 4000
        near = await w.begin("/v1/messages", ask(), capacity=2000)
        far, _, _ = await w.provider()
        pieces = [chunk({"content": f"{n:05}" * 200}) for n in range(50)]
        sent: list[int] = []

        async def feed() -> None:
            await far.send(SSE_HEAD + chunked(ROLE, end=False))
            for n, piece in enumerate(pieces):
                await far.send(chunked(piece, end=False))
                sent.append(n)
            await far.send(chunked(STOP, DONE))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed)
            await anyio.wait_all_tasks_blocked()
            assert len(sent) < 25, "the provider runs ahead of a client that does not read"
            status, _, body = await answer(near)
        assert status == 200
        assert grammar.messages(body).text == "".join(f"{n:05}" * 200 for n in range(50))
        await nothing_is_left(w, "ok", idle=1)


async def test_what_a_slow_client_takes_to_read_is_not_the_providers_silence() -> None:
    async with wired() as w:
        w.provider_times(idle_secs=0.0)
        near = await w.begin("/v1/messages", ask(), capacity=2000)
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, chunk({"content": "y" * 5000}), end=False))
        await anyio.wait_all_tasks_blocked()
        (run,) = w.app.running
        before = anyio.current_time()
        run.wake(before - 100)  # seen by the sweeper a hundred seconds ago, in the middle of the write
        data = b""
        while b"y" * 5000 not in data:
            data += await near.receive()
        await anyio.wait_all_tasks_blocked()
        await w.sweep()
        assert w.outcomes == [], "the hundred seconds were the client's"
        deadline = run._exchange.next_deadline()
        assert deadline is not None
        assert deadline >= before + 10, "ping or silence, both are far away"
        await far.send(chunked(STOP, DONE))
        await near.receive_until(b"message_stop")
        await nothing_is_left(w, "ok", idle=1)


async def test_a_write_to_a_client_that_is_gone_is_its_leaving_and_no_fault_of_ours() -> None:
    async with wired() as w:

        async def handle(request: Request, respond: Responder) -> None:
            async def body(data: bytes) -> None:
                raise ClientLeft("the client left")

            respond.body = body  # type: ignore[method-assign]  # the moment between the two can not be hit from outside
            await w.app.handle(request, respond)

        w.rig.server._handler = handle
        await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
        await gone(far)
        await nothing_is_left(w, "cancelled")


# --- deadlines ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_t7_a_held_head_goes_out_at_its_deadline_and_the_stream_goes_on(path: str) -> None:
    async with wired() as w:
        w.change(hold_secs=0.0)
        near = await w.begin(path, ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, end=False))
        await anyio.wait_all_tasks_blocked()
        assert near.is_quiet(), "the head waits for content"
        await w.sweep()
        assert not near.is_quiet()
        await far.send(chunked(PONG, STOP, DONE))
        status, _, body = await answer(near)
        assert status == 200
        assert grammar.validate("anthropic" if "messages" in path else "openai", body).text == "pong"
        await nothing_is_left(w, "ok", idle=1)


async def test_s16_silence_is_filled_with_signs_of_life_and_the_stream_goes_on() -> None:
    async with wired() as w:
        w.change(ping_secs=0.0)
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
        await near.receive_until(b"pong")
        for _ in range(3):
            await w.sweep()
            await near.receive_until(b"ping")
        for text in "abc":
            await far.send(chunked(chunk({"content": text}), end=False))
            await near.receive_until(f'"text":"{text}"'.encode())
            await w.sweep()
        await far.send(chunked(STOP, DONE))
        await near.receive_until(b"message_stop")
        await nothing_is_left(w, "ok", idle=1)


async def test_pings_reach_the_providers_bytes_at_any_place() -> None:
    """The wait is broken off between any two bytes, and none of them is lost or doubled."""
    raw = chunked(*[piece + b"\n\n" for piece in STREAM["openai"].split(b"\n\n")[:-1]])
    async with wired() as w:
        w.change(ping_secs=0.0, hold_secs=0.0)
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD)
        for start in range(0, len(raw), 37):
            await far.send(raw[start : start + 37])
            await w.sweep()
        _, _, body = await answer(near)
        seen = grammar.messages(body)
        assert (seen.text, seen.ended) == ("Hello \u2028é😀", True)
        await nothing_is_left(w, "ok", idle=1)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_provider_that_sends_no_head_is_a_504_in_the_dialect(stream: bool) -> None:
    async with wired() as w:
        w.provider_times(first_byte_secs=0.0, request_secs=0.0)
        near = await w.begin("/v1/messages", ask(stream=stream))
        far, _, _ = await w.provider()
        await w.sweep()
        status, _, body = await answer(near)
        assert (status, json.loads(body)["error"]["type"]) == (504, "timeout_error")
        await gone(far)
        await nothing_is_left(w, "error")


@pytest.mark.parametrize(("limit", "words"), [("idle_secs", b"fell silent for"), ("total_secs", b"was not done in")])
async def test_a_stream_that_takes_too_long_ends_with_the_dialects_error(limit: str, words: bytes) -> None:
    async with wired() as w:
        w.provider_times(**{limit: 0.0 if limit == "idle_secs" else 1e-9})
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
        data = await near.receive_until(b"pong")
        await w.sweep()
        data += await near.receive_until(b"0\r\n\r\n")
        assert b"event: error" in data
        assert words in data
        await gone(far)
        await nothing_is_left(w, "error")


async def test_nothing_is_due_before_its_time() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await w.sweep()
        await far.send(SSE_HEAD + chunked(ROLE, end=False))
        await anyio.wait_all_tasks_blocked()
        await w.sweep()
        assert near.is_quiet()
        await far.send(chunked(PONG, STOP, DONE))
        assert (await answer(near))[0] == 200
        await nothing_is_left(w, "ok", idle=1)


async def test_the_sweeper_looks_at_deadlines_by_itself() -> None:
    async with wired() as w, anyio.create_task_group() as tasks:
        tasks.start_soon(w.app.sweep)
        w.provider_times(first_byte_secs=0.0)
        near = await w.begin("/v1/messages", ask())
        assert (await answer(near))[0] == 504
        tasks.cancel_scope.cancel()


# --- the gateway goes down ---------------------------------------------------------------------------------


async def test_stopping_within_the_clients_body_is_an_error_status_in_the_dialect() -> None:
    async with wired() as w:
        near = w.rig.connect()
        await near.send(b"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 50\r\n\r\n{")
        await anyio.wait_all_tasks_blocked()
        w.rig.server.start_drain(0)
        status, fields, body = await answer(near)
        assert (status, fields["connection"], fields["retry-after"]) == (529, "close", "1")
        assert json.loads(body)["error"]["type"] == "overloaded_error"
        await nothing_is_left(w, "error")


async def test_stopping_while_a_provider_is_awaited() -> None:
    async with wired() as w:
        near = await w.begin("/v1/chat/completions", ask())
        far, _, _ = await w.provider()
        await anyio.wait_all_tasks_blocked()
        w.rig.server.start_drain(0)
        status, _, body = await answer(near)
        assert status == 503
        assert "shutting down" in json.loads(body)["error"]["message"]
        await gone(far)
        await nothing_is_left(w, "error")


async def test_stopping_while_a_write_waits_for_its_reader_lets_the_event_finish() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(), capacity=2000)
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, chunk({"content": "y" * 5000}), end=False))
        await anyio.wait_all_tasks_blocked()
        w.rig.server.start_drain(0)
        await anyio.wait_all_tasks_blocked()
        status, _, body = await answer(near)
        seen = grammar.messages(body)
        assert (status, seen.text, seen.failed, seen.ended) == (200, "y" * 5000, True, False)
        await gone(far)
        await nothing_is_left(w, "error")


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


async def test_a_fault_within_a_stream_cuts_it_and_closes_the_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(text=PROMPT))
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
        data = await near.receive_until(b"pong")
        (run,) = w.app.running
        monkeypatch.setattr(run._exchange, "receive", lambda event, now: 1 / 0)
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
    monkeypatch.setattr(interpreter, "RELEASE_SECS", 0.0)
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

    async def provider(request: Request, respond: Responder) -> None:
        nonlocal asked
        asked += 1
        kind = json.loads(await request.read())["messages"][-1]["content"]
        if kind == "whole":
            await respond.complete(200, [("content-type", "application/json")], WHOLE["openai"])
        elif kind == "refused":
            await respond.complete(429, [("content-type", "application/json")], b'{"error":{"message":"slow down"}}')
        else:
            await respond.head(200, [("content-type", "text/event-stream")])
            await respond.body(ROLE + PONG)
            if kind == "cut":
                await respond.abort()
            elif kind == "stream":
                await respond.end(STOP + DONE)
            else:
                await anyio.sleep_forever()

    kinds = ["whole", "refused", "stream", "cut", "leave"]

    async def one(base: Any, kind: str) -> None:
        if kind == "leave":
            async with await base.begin("/v1/messages", ask(text=kind)) as stream:
                data = b""
                while b"pong" not in data:
                    data += await stream.receive()
            return
        status, _, body = await base.ask("POST", "/v1/messages", ask(stream=kind != "whole", text=kind))
        assert status == (429 if kind == "refused" else 200)
        assert (b"event: error" in body) == (kind == "cut")

    with anyio.fail_after(60):
        async with upstream(provider) as port, gateway(port) as running:
            await running.ask("GET", "/health")
            before = len(anyio.get_running_tasks())
            async with anyio.create_task_group() as tasks:
                for n in range(50):
                    tasks.start_soon(one, running, kinds[n % len(kinds)])
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
