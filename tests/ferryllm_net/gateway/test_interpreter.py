"""One exchange over wires in memory: whoever leaves, whenever; deadlines; faults of our own; nothing is left behind."""

from __future__ import annotations

import gc
import json
import weakref

import anyio
import pytest

from ferryllm_net.gateway.usual import UsualRun
from ferryllm_net.http import ClientLeft, Origin, Request, Responder, Transport
from support import grammar
from support.answers import DONE, ROLE, STREAM, WHOLE, chunk
from support.wired import SSE_HEAD, answer, ask, chunked, gone, nothing_is_left, whole, wired

pytestmark = pytest.mark.anyio

PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")


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


@pytest.mark.parametrize("usual", [True, False])
async def test_what_a_slow_client_takes_to_read_is_not_the_providers_silence(usual: bool) -> None:
    async with wired() as w:
        w.app.usual.none = not usual
        w.provider_times(idle_secs=0.0)
        near = await w.begin("/v1/messages", ask(), capacity=2000)
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, chunk({"content": "y" * 5000}), end=False))
        await anyio.wait_all_tasks_blocked()
        run = w.run
        before = anyio.current_time()
        run.wake(before - 100)  # seen by the sweeper a hundred seconds ago, in the middle of the write
        data = b""
        while b"y" * 5000 not in data:
            data += await near.receive()
        await anyio.wait_all_tasks_blocked()
        await w.sweep()
        assert w.outcomes == [], "the hundred seconds were the client's"
        if isinstance(run, UsualRun):
            assert run._flowing is not None
            deadline: float | None = run._flowing.flow.next_deadline()
        else:
            deadline = run._exchange.next_deadline()
        assert deadline is not None
        assert deadline >= before + 10, "ping or silence, both are far away"
        await far.send(chunked(STOP, DONE))
        await near.receive_until(b"message_stop")
        await nothing_is_left(w, "ok", idle=1)


async def test_a_write_to_a_client_that_is_gone_is_its_leaving_and_no_fault_of_ours() -> None:
    async with wired() as w:

        async def handle(request: Request, respond: Responder) -> None:
            def put(data: bytes) -> bool:
                raise ClientLeft("the client left")

            respond.put = put  # type: ignore[method-assign]  # the moment between the two can not be hit from outside
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


# --- memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
async def test_an_exchange_that_is_over_is_freed_without_the_collector(stream: bool) -> None:
    """It holds the request's body, and the collector of a gateway comes only after hundreds of requests."""
    async with wired() as w:
        gc.disable()
        try:
            near = await w.begin("/v1/messages", ask(stream=stream))
            far, _, _ = await w.provider()
            (running,) = w.app.running
            assert isinstance(running, UsualRun)
            alive: list[weakref.ref[object]] = [weakref.ref(running), weakref.ref(running._opened)]
            del running
            if stream:
                await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
                await anyio.wait_all_tasks_blocked()
                (going,) = w.app.running
                assert isinstance(going, UsualRun)
                assert (going._opened.body, going._opened.request.body) == (b"", b"")
                del going
            body = PONG + STOP + DONE
            await far.send(chunked(body) if stream else whole(WHOLE["openai"]))
            assert (await answer(near))[0] == 200
            await w.settle()
            await anyio.wait_all_tasks_blocked()
            assert [ref() for ref in alive] == [None, None]
        finally:
            gc.enable()
