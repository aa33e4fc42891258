"""Usual requests leave nothing different from others: what client, provider, log and metrics see is compared."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

import anyio
import pytest

from ferryllm_net.gateway.app import App
from ferryllm_net.gateway.usual import UsualRun
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.usual import Opened
from support.answers import ASK, STREAM, WHOLE
from support.planted import PROVIDER_KEY
from support.streams import MemoryTransport
from support.wired import SSE_HEAD, Wired, answer, chunked, gone, nothing_is_left, post, request, whole, wired

pytestmark = pytest.mark.anyio

PATHS = {
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "gemini": "/v1beta/models/{}:generateContent",
    "ollama": "/api/chat",
}
MODELS = {"chat-x": "openai", "msg-x": "anthropic", "resp-x": "openai_responses"}
"""Who answers which model, as the support's settings have it."""
ENTRIES = [name for name in DIALECTS if name != "openai_responses"]
OFF = '[responses]\nstore = "off"\n'


class Counted:
    """Ids that are the same in every run."""

    def __init__(self) -> None:
        self._last = 0

    def take(self) -> str:
        self._last += 1
        return f"req_{self._last:024x}"

    def seed(self) -> int:
        return 7


@pytest.fixture(autouse=True)
def _no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_760_000_000.0)


def still(app: App) -> None:
    """Nothing differs from run to run any more."""
    app.ids = Counted()  # type: ignore[assignment]  # has all that is asked of them
    app.clock = lambda: 5.0


def asked(entry: str, model: str, **more: Any) -> tuple[str, bytes]:
    own = {} if entry == "gemini" else {"model": model, "stream": False}
    return PATHS[entry].format(model), json.dumps({**own, **ASK[entry], **more}).encode()


class Providers:
    """One connection to each provider, kept as long as it lives."""

    def __init__(self, w: Wired) -> None:
        self._w = w
        self._open: MemoryTransport | None = None

    async def serve(self, *pieces: bytes) -> bytes:
        """Answer the next request, piece by piece; what it was."""
        if self._open is None:
            self._open, head, body = await self._w.provider()
        else:
            head, body = await request(self._open)
        for n, piece in enumerate(pieces):
            if n:
                await anyio.wait_all_tasks_blocked()
            await self._open.send(piece)
        return head + body


Fields = tuple[tuple[str, str], ...]


Reply = bytes | tuple[bytes, ...]
"""At once, or in pieces."""


async def seen(
    usual: bool, model: str, entry: str, replies: Sequence[Reply], fields_of: Callable[[int], Fields], **more: Any
) -> list[Any]:
    """All that anybody sees of requests that get ``replies``, one after the other on one connection."""
    found: list[Any] = []
    async with wired(more=OFF) as w:
        still(w.app)
        runs: list[object] = []
        begin = w.app.begin
        w.app.begin = lambda run: (runs.append(run), begin(run))[1]  # type: ignore[method-assign,func-returns-value]
        if not usual:
            w.app.usual.none = True
        near, providers = w.rig.connect(), Providers(w)
        path, body = asked(entry, model, **more)
        for n, reply in enumerate(replies):
            await post(near, path, body, fields_of(n))
            found.append(await providers.serve(*([reply] if isinstance(reply, bytes) else reply)))
            status, fields, data = await answer(near)
            del fields["date"]
            if more.get("stream"):  # an answer that is all there is not cut into pieces
                assert fields.pop("transfer-encoding", "chunked") == "chunked"
                fields.pop("content-length", None)
            found.append((status, fields, data))
            await w.settle()
        w.app.log.flush()
        found += [w.log.splitlines(), (await w.app.metrics.scrape())[0].decode().splitlines()]
        assert any(isinstance(run, UsualRun) for run in runs) is usual
        assert w.app.pool.idle == 1
        assert w.rig.errors == []
    return found


async def compare(
    model: str, entry: str, replies: Sequence[Reply], fields_of: Callable[[int], Fields] = lambda n: (), **more: Any
) -> list[Any]:
    """See both ways, and that they are the same; returns what was seen. ``fields_of`` gives each request more."""
    usual = await seen(True, model, entry, replies, fields_of, **more)
    other = await seen(False, model, entry, replies, fields_of, **more)
    for one, two in zip(usual[:-2], other[:-2], strict=True):
        assert one == two
    for lines in (-2, -1):
        # Of the metrics those of the process itself are its own.
        one, two = ([line for line in found[lines] if "process" not in line] for found in (usual, other))
        assert [line for line in one if line not in two] == [line for line in two if line not in one]
        assert len(one) == len(two)
    return usual


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("entry", ENTRIES)
async def test_whole_answers_are_the_same(entry: str, model: str) -> None:
    backend = MODELS[model]
    replies = [whole(WHOLE[backend])] * 3 + [
        whole(b'{"error":{"message":"no"}}'),
        whole(b'{"error":{"message":"no"}}', 400),
        whole(b"<html>", 200),
        whole(WHOLE[backend], 201),
        whole(WHOLE[backend], 200, "x-request-id: theirs", "x-ratelimit-limit-requests: 5"),
    ]
    await compare(model, entry, replies)


@pytest.mark.parametrize("model", MODELS)
async def test_streams_are_the_same(model: str) -> None:
    replies = [SSE_HEAD + chunked(STREAM[MODELS[model]])] * 2
    await compare(model, "anthropic", replies, stream=True)


@pytest.mark.parametrize(("entry", "model"), [("anthropic", "chat-x"), ("anthropic", "msg-x"), ("ollama", "resp-x")])
async def test_streams_in_pieces_are_the_same(entry: str, model: str) -> None:
    data = STREAM[MODELS[model]]
    size = len(data) // 2
    good = tuple(chunked(data[at : at + size], end=False) for at in range(0, len(data), size))
    end = b"0\r\n\r\n"
    replies = [(SSE_HEAD, *good, end), (SSE_HEAD + good[0], *good[1:-1], good[-1] + end), (SSE_HEAD, good[0], end)]
    await compare(model, entry, replies, stream=True)


@pytest.mark.parametrize("model", MODELS)
async def test_whole_answers_in_pieces_are_the_same(model: str) -> None:
    reply = whole(WHOLE[MODELS[model]])
    await compare(model, "anthropic", [(reply[:at], reply[at:]) for at in (30, len(reply) - 1)])


TRACED: dict[str, Callable[[int], Fields]] = {
    "another trace each": lambda n: (("traceparent", f"00-{n:032x}-{n:016x}-01"),),
    "another id each": lambda n: (("x-request-id", f"mine-{n}"),),
    "one id": lambda n: (("x-request-id", "mine"),),
    "an id in quotes": lambda n: (("x-request-id", '"a\\b"'),),
    "a secret as id": lambda n: (("x-request-id", PROVIDER_KEY),),
    "no id": lambda n: (("x-request-id", "a b"),),
}


@pytest.mark.parametrize("kind", TRACED)
async def test_heads_that_differ_from_request_to_request_are_usual_too(kind: str) -> None:
    usual = await compare("chat-x", "anthropic", [whole(WHOLE["openai"])] * 3, TRACED[kind])
    assert PROVIDER_KEY not in "\n".join(usual[-2])


async def test_losses_are_told() -> None:
    replies = [whole(WHOLE["openai"])] * 2
    more: dict[str, Any] = {"metadata": {"user_id": "u"}, "top_k": 3}
    usual = await compare("chat-x", "anthropic", replies, **more)
    assert "translation losses" in "\n".join(usual[-2])


# --- what is not usual any more, when it is under way ----------------------------------------------------


async def begun(w: Wired, *, capacity: int = 1 << 20) -> tuple[MemoryTransport, MemoryTransport]:
    """A usual request that waits for its provider: the ends of the client and of the provider."""
    path, body = asked("anthropic", "chat-x")
    near = await w.begin(path, body, capacity=capacity)
    far, _, _ = await w.provider()
    (run,) = w.app.running
    assert isinstance(run, UsualRun)
    assert not run.answering
    return near, far


async def test_a_provider_that_stays_silent_is_left_at_its_deadline() -> None:
    async with wired() as w:
        w.provider_times(request_secs=0.0)
        near, far = await begun(w)
        await w.sweep()
        await gone(far)
        status, _, body = await answer(near)
        assert (status, json.loads(body)["error"]["type"]) == (504, "timeout_error")
        await nothing_is_left(w, "error")


async def test_before_its_deadline_nobody_is_woken() -> None:
    async with wired() as w:
        near, far = await begun(w)
        await w.sweep()
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
        await nothing_is_left(w, "ok", idle=1)


async def test_a_client_that_leaves_takes_its_provider_along() -> None:
    async with wired() as w:
        near, far = await begun(w)
        await near.aclose()
        await gone(far)
        await nothing_is_left(w, "cancelled")


async def test_a_provider_that_closes_is_an_error() -> None:
    async with wired() as w:
        near, far = await begun(w)
        await far.aclose()
        assert (await answer(near))[0] == 502
        await nothing_is_left(w, "error")


async def test_an_answer_in_two_reads_is_an_answer() -> None:
    async with wired() as w:
        near, far = await begun(w)
        reply = whole(WHOLE["openai"])
        await far.send(reply[:-20])
        await anyio.wait_all_tasks_blocked()
        await far.send(reply[-20:])
        status, _, body = await answer(near)
        assert (status, json.loads(body)["type"]) == (200, "message")
        await nothing_is_left(w, "ok", idle=1)


async def test_a_gateway_that_stops_says_so() -> None:
    async with wired() as w:
        near, far = await begun(w)
        w.rig.server.start_drain(0.0)
        assert (await answer(near))[0] == 529
        await gone(far)
        await nothing_is_left(w, "error")


async def test_a_client_that_reads_slowly_has_its_answer_before_it_is_recorded() -> None:
    async with wired() as w:
        near, far = await begun(w, capacity=320)
        await far.send(whole(WHOLE["openai"]))
        await anyio.wait_all_tasks_blocked()
        assert w.outcomes == []
        assert (await answer(near))[0] == 200
        await nothing_is_left(w, "ok", idle=1)


async def test_a_client_that_leaves_within_its_answer_is_recorded_as_gone() -> None:
    async with wired() as w:
        near, far = await begun(w, capacity=320)
        await far.send(whole(WHOLE["openai"]))
        await anyio.wait_all_tasks_blocked()
        await near.aclose()
        await nothing_is_left(w, "cancelled", idle=1)


async def test_a_fallback_takes_over() -> None:
    more = '[[routes]]\nmatch = "model"\nprovider = "chat"\nfallback_providers = ["msg"]\n'
    async with wired(more=more) as w:
        near = await w.begin(*asked("anthropic", "model"))
        far, _, _ = await w.provider()
        (run,) = w.app.running
        assert isinstance(run, UsualRun)
        await far.send(whole(b'{"error":{"message":"down"}}', 503, "connection: close"))
        far, head, _ = await w.provider()
        assert head.startswith(b"POST /v1/messages ")
        await far.send(whole(WHOLE["anthropic"]))
        assert (await answer(near))[0] == 200
        await nothing_is_left(w, "ok", idle=1)
        assert "attempts=2" in w.log


async def test_another_configuration_holds_from_the_next_request_on() -> None:
    async with wired() as w:
        path, body = asked("anthropic", "chat-x")
        near = w.rig.connect()
        await post(near, path, body)
        far, _, _ = await w.provider()
        w.change(body_limit=10)
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
        await post(near, path, body)
        assert (await answer(near))[0] == 413


async def test_a_fault_of_ours_is_told_to_client_and_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wired() as w:
        near, far = await begun(w)
        monkeypatch.setattr(Opened, "finish", None)
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 500
        await w.settle()
        assert w.outcomes == ["error"]
        assert len(w.rig.errors) == 1
