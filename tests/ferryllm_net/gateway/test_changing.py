"""Changes at run time: what a gateway takes over, what waits for the next start, and what running exchanges keep."""

from __future__ import annotations

import anyio
import msgspec
import pytest

from ferryllm_net.config import Secret, Settings
from ferryllm_net.gateway.changing import changed
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.keys import ClientKey, KeyBook
from support.answers import DONE, ROLE, WHOLE, chunk
from support.gateways import settings
from support.wired import SSE_HEAD, answer, ask, chunked, whole, wired

pytestmark = pytest.mark.anyio


def of_server(found: Settings, **fields: object) -> Settings:
    return msgspec.structs.replace(found, server=msgspec.structs.replace(found.server, **fields))


def test_what_holds_something_open_waits_for_the_next_start() -> None:
    before = settings(1)
    responses = msgspec.structs.replace(before.responses, store="off")
    after = msgspec.structs.replace(
        of_server(before, workers=3, body_limit_bytes=1, check_providers=True), responses=responses, routes=()
    )
    now, kept = changed(before, after)
    assert set(kept) == {"server.workers", "server.body_limit_mb", "responses"}
    assert (now.server.workers, now.server.body_limit_bytes, now.responses) == (
        before.server.workers,
        before.server.body_limit_bytes,
        before.responses,
    )
    assert now.server.check_providers
    assert now.routes == ()
    assert changed(before, before) == (before, ())


async def test_a_running_stream_keeps_its_provider_and_the_next_request_has_the_new_one() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(ROLE, end=False))
        without = tuple(one for one in w.app.settings.providers if one.name != "chat")
        routes = tuple(
            msgspec.structs.replace(one, provider="msg", rewrite_model="new") if one.provider == "chat" else one
            for one in w.app.settings.routes
        )
        assert w.app.change(msgspec.structs.replace(w.app.settings, providers=without, routes=routes)) == ()
        await far.send(chunked(chunk({"content": "pong"}), chunk({}, "stop"), DONE))
        assert b"pong" in (await answer(near))[2]
        await far.aclose()
        near = await w.begin("/v1/messages", ask(stream=False))
        far, head, body = await w.provider()
        assert head.startswith(b"POST /v1/messages ")
        assert b'"new"' in body
        await far.send(whole(WHOLE["anthropic"]))
        assert (await answer(near))[0] == 200
        await w.settle()
        assert w.outcomes == ["ok", "ok"]


async def test_connections_of_a_provider_that_is_gone_are_closed() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", ask(stream=False))
        far, _, _ = await w.provider()
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
        await w.settle()
        assert w.app.pool.idle == 1
        elsewhere = tuple(msgspec.structs.replace(one, port=2) for one in w.app.settings.providers)
        w.app.change(msgspec.structs.replace(w.app.settings, providers=elsewhere))
        await w.app.pool._expire(anyio.current_time())
        assert w.app.pool.idle == 0
        assert await far.receive() == b""


async def test_another_key_is_sent_at_once_and_nothing_is_held_against_it() -> None:
    async with wired(more="[breaker]\nfailures = 1\nkey_cooldown_secs = 600") as w:
        near = await w.begin("/v1/messages", ask(stream=False))
        far, _, _ = await w.provider()
        await far.send(whole(b'{"error":{"message":"no"}}', 401, "connection: close"))
        await answer(near)
        assert (await answer(await w.begin("/v1/messages", ask(stream=False))))[0] >= 500, "its key is refused"
        w.app.provider_key("chat", Secret("sk-provider-of-tuesday"))
        near = await w.begin("/v1/messages", ask(stream=False))
        far, head, _ = await w.provider()
        assert b"sk-provider-of-tuesday" in head
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
        with pytest.raises(KeyError):
            w.app.provider_key("nobody", Secret("sk-provider-of-tuesday"))


async def test_rules_that_change_begin_anew_and_loads_go_on() -> None:
    async with wired() as w:
        before = w.app.routing
        before.loads.begin("chat", "m")
        routing = msgspec.structs.replace(w.app.settings.routing, breaker=BreakerRules(failures=3))
        w.app.change(msgspec.structs.replace(w.app.settings, routing=routing))
        assert w.app.routing is not before
        assert w.app.routing.health.rules("chat").failures == 3
        assert w.app.routing.loads.at("chat") == 1
        same = w.app.routing
        w.app.change(w.app.settings)
        assert w.app.routing is same, "what is held against somebody stays"


async def test_other_keys_open_the_gateway_at_once() -> None:
    more = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"\n'
    async with wired(more=more) as w:
        headers = (("x-api-key", "other-key-0123"),)
        w.app.change_keys(KeyBook([ClientKey("k", b"another")]))
        assert (await answer(await w.begin("/v1/messages", ask(), headers=headers)))[0] == 401
        w.app.change(w.app.settings)
        near = await w.begin("/v1/messages", ask(stream=False), headers=headers)
        far, _, _ = await w.provider()
        await far.send(whole(WHOLE["openai"]))
        assert (await answer(near))[0] == 200
