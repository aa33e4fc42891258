"""Retry, fallback, targets and breakers end to end: a client, a gateway and the test as providers, in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from ferryllm_proto.routing.choice import ProviderBounds
from support.answers import DONE, ROLE, STREAM, WHOLE, chunk
from support.streams import MemoryTransport
from support.wired import SSE_HEAD, Wired, answer, ask, chunked, post, whole, wired

pytestmark = pytest.mark.anyio

PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")
FAST = "[retry]\nattempts = {}\nbackoff_ms = 0\n"
DOWN = whole(b'{"error":{"message":"down"}}', 503, "connection: close")


def route(match: str, more: str) -> str:
    return f'[[routes]]\nmatch = "{match}"\n{more}\n'


FALLBACK = route("model", 'provider = "chat"\nfallback_providers = ["msg"]')


@asynccontextmanager
async def relay(more: str) -> AsyncIterator[Wired]:
    """A gateway with ``more`` in its file; nothing that is lent stays lent."""
    async with wired(more=more) as w:
        yield w
        await w.settle()
        assert w.app.routing.loads.at("chat") == w.app.routing.loads.at("msg") == w.app.routing.loads.at("resp") == 0
        assert w.rig.errors == []


async def served(w: Wired) -> tuple[MemoryTransport, str, dict[str, Any]]:
    """The next new connection to a provider: its end, and the path and body of the request on it."""
    far, head, body = await w.provider()
    return far, head.split(b" ")[1].decode(), json.loads(body)


def lines(w: Wired, words: str) -> list[str]:
    return [line for line in w.log.splitlines() if words in line]


async def test_a_provider_that_fails_once_is_asked_again_with_the_same_request() -> None:
    async with relay(FAST.format(1)) as w:
        near = await w.begin("/v1/messages", ask(stream=False))
        far, _, first = await served(w)
        await far.send(DOWN)
        far, _, second = await served(w)
        assert second == first
        await far.send(whole(WHOLE["openai"]))
        status, _, body = await answer(near)
        assert (status, json.loads(body)["type"]) == (200, "message")
        await w.settle()
        assert len(lines(w, "attempt failed")) == 1
        assert w.outcomes == ["ok"]


async def test_a_provider_may_have_further_attempts_of_its_own() -> None:
    own = '[[providers]]\nname = "own"\ntype = "openai"\nbase_url = "http://127.0.0.1:9"\n'
    async with relay(own + "retry = { attempts = 1, backoff_ms = 0 }\n" + route("model", 'provider = "own"')) as w:
        near = await w.begin("/v1/messages", ask("model", stream=False))
        for _ in range(2):
            far, _, _ = await served(w)
            await far.send(DOWN)
        status, _, _ = await answer(near)
        assert status == 529
        await w.settle()
        assert len(lines(w, "attempt failed")) == 2


async def test_without_further_attempts_the_first_failure_is_the_answer() -> None:
    async with relay("") as w:
        near = await w.begin("/v1/messages", ask(stream=False))
        far, _, _ = await served(w)
        await far.send(DOWN)
        status, _, _ = await answer(near)
        assert status == 529, "what Anthropic calls it"
        await w.settle()
        assert w.outcomes == ["error"]


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_what_the_client_did_wrong_is_tried_nowhere_else(status: int) -> None:
    async with relay(FAST.format(3) + FALLBACK) as w:
        near = await w.begin("/v1/messages", ask("model", stream=False))
        far, _, _ = await served(w)
        await far.send(whole(b'{"error":{"message":"no"}}', status))
        assert (await answer(near))[0] == status
        assert w.upstream.dialled == 1


async def test_a_fallback_of_another_protocol_gets_the_clients_own_words_afresh() -> None:
    async with relay(FALLBACK) as w:
        near = await w.begin("/v1/messages", ask("model"))
        far, path, _ = await served(w)
        assert path == "/v1/chat/completions"
        await far.send(DOWN)
        far, path, body = await served(w)
        assert path == "/v1/messages"
        assert body == {**ask("model")}, "the same protocol on both sides: nothing of the first translation is left"
        await far.send(SSE_HEAD + chunked(STREAM["anthropic"]))
        status, _, data = await answer(near)
        assert status == 200
        assert data == STREAM["anthropic"]
        await w.settle()
        assert w.outcomes == ["ok"]
        (done,) = lines(w, "request completed")
        assert 'provider="msg"' in done


async def test_a_stream_that_breaks_before_its_first_content_goes_on_elsewhere() -> None:
    async with relay(FALLBACK) as w:
        near = await w.begin("/v1/messages", ask("model"))
        far, _, _ = await served(w)
        await far.send(SSE_HEAD + chunked(ROLE, end=False))
        await far.aclose()
        far, _, _ = await served(w)
        await far.send(SSE_HEAD + chunked(STREAM["anthropic"]))
        status, _, data = await answer(near)
        assert (status, data) == (200, STREAM["anthropic"]), "nothing of the first one reached the client"


async def test_a_stream_that_breaks_after_its_first_content_is_not_begun_again() -> None:
    async with relay(FAST.format(3) + FALLBACK) as w:
        near = await w.begin("/v1/messages", ask("model"))
        far, _, _ = await served(w)
        await far.send(SSE_HEAD + chunked(ROLE, PONG, end=False))
        data = await near.receive_until(b"pong")
        await far.aclose()
        data += await near.receive_until(b"0\r\n\r\n")
        assert data.count(b"pong") == 1
        await w.settle()
        assert w.upstream.dialled == 1
        assert w.outcomes == ["truncated"]


async def test_a_provider_that_cannot_be_reached_is_passed_by() -> None:
    async with relay(FALLBACK) as w:
        near = await w.begin("/v1/chat/completions", ask("model", stream=False))
        far, _, _ = await served(w)
        await far.aclose()
        far, path, _ = await served(w)
        assert path == "/v1/messages"
        await far.send(whole(WHOLE["anthropic"]))
        assert (await answer(near))[0] == 200


async def test_the_wait_before_another_attempt_ends_when_the_client_leaves() -> None:
    async with relay("[retry]\nattempts = 3\nbackoff_ms = 60000\nmax_backoff_ms = 60000\njitter = 0") as w:
        near = await w.begin("/v1/messages", ask(stream=False))
        far, _, _ = await served(w)
        await far.send(DOWN)
        await w.log_has("attempt failed")
        await near.aclose()
        await w.settle()
        assert w.outcomes == ["cancelled"]


async def test_the_wait_before_another_attempt_ends_when_the_gateway_stops() -> None:
    async with relay("[retry]\nattempts = 3\nbackoff_ms = 60000\nmax_backoff_ms = 60000\njitter = 0") as w:
        near = await w.begin("/v1/messages", ask(stream=False))
        far, _, _ = await served(w)
        await far.send(DOWN)
        await w.log_has("attempt failed")
        w.rig.server.start_drain(0)
        assert (await answer(near))[0] >= 500
        await w.settle()


async def test_an_open_breaker_keeps_requests_away_and_says_so() -> None:
    async with relay("[breaker]\nfailures = 2\ncooldown_secs = 600") as w:
        for _ in range(2):
            near = await w.begin("/v1/messages", ask(stream=False))
            far, _, _ = await served(w)
            await far.send(DOWN)
            assert (await answer(near))[0] == 529
            await far.aclose()
            await w.settle()
        dialled = w.upstream.dialled
        status, fields, body = await answer(await w.begin("/v1/messages", ask(stream=False)))
        assert status == 529
        assert int(fields["retry-after"]) > 500
        assert "left alone" in json.loads(body)["error"]["message"]
        assert w.upstream.dialled == dialled
        assert lines(w, "provider circuit open")
        near = await w.begin("/v1/messages", ask("msg-x", stream=False))
        far, _, _ = await served(w)
        await far.send(whole(WHOLE["anthropic"]))
        assert (await answer(near))[0] == 200, "the others are not concerned"


async def test_targets_share_the_requests_in_turns() -> None:
    targets = (
        'balance = "round_robin"\n[[routes.targets]]\nprovider = "chat"\nmodel = "one"\nweight = 2\n'
        '[[routes.targets]]\nprovider = "msg"\nmodel = "two"'
    )
    async with relay("[affinity]\nenabled = false\n" + route("shared", targets)) as w:
        asked = []
        for _ in range(6):
            near = await w.begin("/v1/messages", ask("shared", stream=False))
            far, path, body = await served(w)
            asked.append(body["model"])
            await far.send(whole(WHOLE["openai" if "chat" in path else "anthropic"]))
            assert (await answer(near))[0] == 200
            await near.aclose()
            await far.aclose()
            await w.settle()
        assert sorted(asked) == ["one"] * 4 + ["two"] * 2
        assert asked[:3] == asked[3:]


async def test_a_session_stays_where_it_was_answered() -> None:
    targets = (
        'balance = "round_robin"\n[[routes.targets]]\nprovider = "chat"\nmodel = "one"\n'
        '[[routes.targets]]\nprovider = "msg"\nmodel = "two"'
    )
    async with relay(route("shared", targets)) as w:
        places: dict[str, set[str]] = {}
        for n in range(8):
            session = f"s{n % 2}"
            near = await w.begin("/v1/messages", ask("shared", stream=False), headers=(("x-session-id", session),))
            far, path, body = await served(w)
            places.setdefault(session, set()).add(body["model"])
            await far.send(whole(WHOLE["openai" if "chat" in path else "anthropic"]))
            assert (await answer(near))[0] == 200
            await near.aclose()
            await far.aclose()
            await w.settle()
        assert [len(found) for found in places.values()] == [1, 1]
        assert places["s0"] != places["s1"], "two sessions begin in turns"


async def test_a_provider_at_its_bound_is_passed_over() -> None:
    async with wired(more=FALLBACK) as w:
        w.app.routing.bounds = {"chat": ProviderBounds(concurrency=1)}
        first = await w.begin("/v1/messages", ask("model"))
        far, path, _ = await served(w)
        assert path == "/v1/chat/completions"
        second = await w.begin("/v1/messages", ask("model", stream=False))
        other, path, _ = await served(w)
        assert path == "/v1/messages"
        await other.send(whole(WHOLE["anthropic"]))
        assert (await answer(second))[0] == 200
        await far.send(SSE_HEAD + chunked(ROLE, PONG, STOP, DONE))
        assert (await answer(first))[0] == 200
        await w.settle()


async def test_a_client_may_name_the_provider() -> None:
    async with relay("") as w:
        near = await w.begin(
            "/v1/messages", ask("exact-other", stream=False), headers=(("x-ferryllm-provider", "chat"),)
        )
        far, path, body = await served(w)
        assert (path, body["model"]) == ("/v1/chat/completions", "exact-other")
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
        near = await w.begin("/v1/messages", ask("exact-other"), headers=(("x-ferryllm-provider", "nobody"),))
        status, _, data = await answer(near)
        assert (status, b"nobody" in data) == (404, True)


async def test_what_the_provider_may_take_follows_the_route() -> None:
    async with relay(route("quick", 'provider = "chat"\ntimeouts = { request_secs = 86000 }')) as w:
        await post(near := w.rig.connect(), "/v1/messages", ask("quick", stream=False))
        far, _, _ = await served(w)
        run = w.interpreter
        deadline = run._exchange.next_deadline()
        assert deadline is not None
        assert deadline - w.app.clock() > 80_000
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
