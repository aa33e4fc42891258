"""Usual requests in trouble: what they share with others stays whole, and both ways come to the same."""

from __future__ import annotations

import json
from typing import Literal

import anyio
import pytest

from ferryllm_net.config import LoggingSettings
from ferryllm_net.gateway.usual import UsualRun
from ferryllm_proto.inputs import DeadlinePassed
from support.answers import ROLE, STREAM, WHOLE, chunk
from support.streams import MemoryTransport
from support.wired import SSE_HEAD, Wired, answer, ask, chunked, nothing_is_left, post, request, whole, wired

pytestmark = pytest.mark.anyio

GOOD = whole(WHOLE["openai"])
ROUTE = '[[routes]]\nmatch = "model"\nprovider = "chat"\n'
WAYS = {
    "retry": "[retry]\nattempts = 2\nbackoff_ms = 0\n" + ROUTE,
    "fallback": ROUTE + 'fallback_providers = ["msg"]\n',
}
ODD = {
    "error": whole(b'{"error":{"message":"no","type":"server_error"}}'),
    "error of a stream": whole(b'data: {"error":{"message":"no","type":"server_error"}}\n\n'),
    "stream of nothing": whole(b"data: hello\n\ndata: [DONE]\n\n"),
    "page": whole(b"<html>bad gateway</html>"),
    "nothing": whole(b""),
    "blanks": whole(b"  \n"),
    "half": whole(WHOLE["openai"][:-3]),
    "bytes": whole(WHOLE["openai"][:20] + b"\xff" + WHOLE["openai"][20:]),
    "unavailable": whole(b"{}", 503),
    "moved": whole(b"", 302, "location: /x"),
}


async def serve(w: Wired, first: MemoryTransport, asked: list[str]) -> None:
    """Answer whatever comes, on the first connection or on new ones."""

    async def go_on(far: MemoryTransport) -> None:
        while True:
            head, _ = await request(far)
            asked.append(head.split(b" ")[1].decode())
            await far.send(whole(WHOLE["anthropic"]) if asked[-1] == "/v1/messages" else GOOD)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(go_on, first)
        while True:
            far, head, _ = await w.provider()
            asked.append(head.split(b" ")[1].decode())
            await far.send(whole(WHOLE["anthropic"]) if asked[-1] == "/v1/messages" else GOOD)
            tasks.start_soon(go_on, far)


async def after(usual: bool, odd: bytes, more: str) -> tuple[object, ...]:
    """What comes of a request whose first provider answers with ``odd``: for the client, of whom, and in the log."""
    async with wired(more=more) as w:
        w.app.usual.none = not usual
        near = await w.begin("/v1/messages", ask("model", stream=False))
        far, _, _ = await w.provider()
        await far.send(odd)
        asked: list[str] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, w, far, asked)
            status, _, body = await answer(near)
            tasks.cancel_scope.cancel()
        await w.settle()
        assert w.rig.errors == []
        said = [line.partition("INFO ")[2] or line.partition("WARN ")[2] for line in w.log.splitlines()]
        kept = [line.partition(" request_id=")[0].partition(" latency_ms=")[0] for line in said]
        return status, json.loads(body).get("content") or json.loads(body)["error"]["type"], asked, kept


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("way", WAYS)
async def test_what_follows_an_odd_answer_is_the_same(way: str, odd: str) -> None:
    usual = await after(True, ODD[odd], WAYS[way])
    assert usual == await after(False, ODD[odd], WAYS[way])


@pytest.mark.parametrize("usual", [True, False])
async def test_what_became_of_a_provider_in_the_middle_of_its_answer_is_said(usual: bool) -> None:
    async with wired() as w:
        w.app.usual.none = not usual
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, chunk({"content": "pong"}), end=False))
        data = await near.receive_until(b"pong")
        await far.send(b"this is no chunk\r\n")
        data += await near.receive_until(b"event: error")
        await nothing_is_left(w, "truncated")
        (said,) = [line for line in w.log.splitlines() if "provider failed" in line]
        assert "broke the protocol" in said


async def test_a_client_that_reads_slowly_wakes_nobody_else_at_its_deadline() -> None:
    async with wired() as w:
        slow = await w.begin("/v1/messages", ask(stream=False), capacity=320)
        far, _, _ = await w.provider()
        (run,) = w.app.running
        assert isinstance(run, UsualRun)
        await far.send(GOOD)
        await anyio.wait_all_tasks_blocked()
        assert w.outcomes == [], "its answer is not all out"
        other = w.rig.connect()
        await post(other, "/v1/messages", ask(stream=False))
        await request(far)  # over the same connection
        run.wake(anyio.current_time() + 10_000)
        run._stop()
        await anyio.wait_all_tasks_blocked()
        await far.send(GOOD)
        for near in (other, slow):
            assert (await answer(near))[0] == 200
        await w.settle()
        assert w.outcomes == ["ok", "ok"]
        assert w.rig.errors == []


@pytest.mark.parametrize("usual", [True, False])
async def test_an_answer_that_comes_in_the_turn_of_its_deadline_is_an_answer(usual: bool) -> None:
    async with wired() as w:
        w.app.usual.none = not usual
        near = await w.begin("/v1/messages", ask(stream=False))
        far, _, _ = await w.provider()
        (run,) = w.app.running
        assert isinstance(run, UsualRun) is usual
        run._woken = DeadlinePassed()  # type: ignore[attr-defined]  # as `wake` does, when it comes a moment too late
        await far.send(GOOD)
        assert (await answer(near))[0] == 200
        await nothing_is_left(w, "ok", idle=1)


async def test_a_good_answer_in_times_of_trouble_is_told_to_the_breaker() -> None:
    more = (
        '[[providers]]\nname = "own"\ntype = "openai"\nbase_url = "http://127.0.0.1:9"\nbreaker = { failures = 2 }\n'
        '[[routes]]\nmatch = "model"\nprovider = "own"\n'
    )
    async with wired(more=more) as w:
        pairs = []
        for _ in range(5):
            near = await w.begin("/v1/messages", ask("model", stream=False))
            far, _, _ = await w.provider()
            pairs.append((near, far))
        assert all(isinstance(run, UsualRun) for run in w.app.running)
        # Never two failures in a row.
        for n, (near, far) in enumerate(pairs):
            await far.send(GOOD if n % 2 else whole(b"{}", 500, "connection: close"))
            assert (await answer(near))[0] == (200 if n % 2 else 500)
            await anyio.wait_all_tasks_blocked()
        near = await w.begin("/v1/messages", ask("model", stream=False))
        far = pairs[3][1]  # the connection that was given back last
        with anyio.fail_after(5):
            await request(far)
        await far.send(GOOD)
        assert (await answer(near))[0] == 200


@pytest.mark.parametrize("usual", [True, False])
async def test_a_client_that_leaves_within_a_whole_answer_has_used_what_it_used(usual: bool) -> None:
    async with wired() as w:
        w.app.usual.none = not usual
        near = await w.begin("/v1/messages", ask(stream=False), capacity=320)
        far, _, _ = await w.provider()
        await far.send(GOOD)
        await anyio.wait_all_tasks_blocked()
        await near.aclose()
        await nothing_is_left(w, "cancelled", idle=1)
        (done,) = [line for line in w.log.splitlines() if "request completed" in line]
        assert 'status="200 OK"' in done
        assert "input_tokens=" in done
        assert "output_tokens=" in done


@pytest.mark.parametrize("form", ["text", "json"])
async def test_each_request_pays_once_into_the_retry_budget(form: Literal["text", "json"]) -> None:
    async with wired() as w:
        w.app.log.change(LoggingSettings(level="info", format=form, ansi=None), ())
        paid: list[int] = []
        original = w.app.routing.budget.request
        w.app.routing.budget.request = lambda: (paid.append(1), original())[1]  # type: ignore[method-assign,func-returns-value]
        near, far = w.rig.connect(), None
        for _ in range(3):
            await post(near, "/v1/messages", ask(stream=False))
            if far is None:
                far, _, _ = await w.provider()
            else:
                await request(far)
            (run,) = w.app.running
            assert isinstance(run, UsualRun)
            await far.send(GOOD)
            assert (await answer(near))[0] == 200
            await w.settle()
        assert len(paid) == 3
        w.app.log.flush()
        lines = [line for line in w.log.splitlines() if "request completed" in line]
        assert len(lines) == 3
        if form == "json":
            assert [json.loads(line)["outcome"] for line in lines] == ["ok"] * 3


@pytest.mark.parametrize("stream", [True, False])
async def test_how_long_a_client_takes_to_read_is_no_latency(stream: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async with wired() as w:
        now = [100.0]
        w.app.clock = lambda: now[0]
        near = await w.begin("/v1/messages", ask(stream=stream), capacity=320)
        far, _, _ = await w.provider()
        good = SSE_HEAD + chunked(STREAM["openai"]) if stream else GOOD
        await far.send(good)
        await anyio.wait_all_tasks_blocked()
        now[0] = 800.0
        assert (await answer(near))[0] == 200
        await nothing_is_left(w, "ok", idle=1)
        (done,) = [line for line in w.log.splitlines() if "request completed" in line]
        assert " latency_ms=0 " in done
