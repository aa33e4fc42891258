"""WebSocket mode of Responses: turns are ordinary exchanges, one after the other, on a connection that lives on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio
import pytest
from wsproto.events import CloseConnection, Ping

from ferryllm_net.gateway.socket import turn_headers
from ferryllm_net.http import Limits, Request, Responder, StreamTransport
from ferryllm_proto.dialects.openai_responses import DIALECT
from support.gateways import Running, gateway, upstream
from support.planted import CLIENT_KEY, leaks
from support.sockets import PING, TEXT, SocketClient, frame, handshake
from support.streams import MemoryTransport
from support.wired import SSE_HEAD, Wired, answer, chunked, whole, wired

pytestmark = pytest.mark.anyio

Fields: TypeAlias = Mapping[str, str | None]
NONE: Fields = {}
AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"\n'


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real-chat", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


PONG, STOP = chunk({"role": "assistant", "content": "pong"}), chunk({}, "stop")


def create(text: str = "ping", model: str = "chat-x", **fields: Any) -> dict[str, Any]:
    return {"type": "response.create", "model": model, "input": text, "store": False, **fields}


def roles(body: bytes) -> list[str]:
    return [message["role"] for message in json.loads(body)["messages"]]


async def opened(w: Wired, path: str = "/v1/responses", fields: Fields = NONE, capacity: int = 1 << 20) -> SocketClient:
    return await SocketClient(w.rig.connect(capacity)).open(path, fields)


async def refused(w: Wired, fields: Fields) -> tuple[int, dict[str, str], Any]:
    near = w.rig.connect()
    await near.send(handshake("/v1/responses", fields))
    status, got, body = await answer(near)
    return status, got, json.loads(body)


async def pong(far: MemoryTransport) -> None:
    """Answer as a provider that does not keep its connection: the next turn comes over a new one."""
    await far.send(SSE_HEAD + chunked(PONG, STOP, b"data: [DONE]\n\n"))
    await far.aclose()


async def turn(w: Wired, client: SocketClient, message: dict[str, Any]) -> tuple[list[Any], bytes]:
    """A turn that the chat provider answers with pong: the events, and the body it got."""
    await client.send(message)
    far, _, body = await w.provider()
    await pong(far)
    return await client.until("response.completed", "response.failed", "error"), body


async def running_done(w: Wired) -> None:
    """Until no turn runs; connections may stay."""
    with anyio.fail_after(10):
        while w.app.running:
            await anyio.wait_all_tasks_blocked()


# --- the upgrade -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/v1/v1/responses", "/v1/responses?x=1"])
async def test_every_form_of_the_path_is_a_websocket(path: str) -> None:
    async with wired() as w:
        client = await opened(w, path, {"X-Request-Id": "mine"})
        assert "x-request-id: mine" in client.head.lower()
        events, _ = await turn(w, client, create())
        assert events[-1]["type"] == "response.completed"
        assert "request_id=mine.1" in w.log


@pytest.mark.parametrize("fields", [{"Upgrade": None}, {"Connection": None}, {"Upgrade": "h2c"}])
async def test_without_an_upgrade_it_is_426(fields: dict[str, str | None]) -> None:
    async with wired() as w:
        status, got, body = await refused(w, fields)
        assert (status, got["upgrade"], body["error"]["code"]) == (426, "websocket", "upgrade_required")
        assert "sec-websocket-version" not in got


async def test_a_wrong_handshake_is_refused_in_the_dialect() -> None:
    async with wired() as w:
        status, got, body = await refused(w, {"Sec-WebSocket-Version": "8"})
        assert (status, got["sec-websocket-version"], body["error"]["code"]) == (426, "13", "upgrade_required")
        status, _, body = await refused(w, {"Sec-WebSocket-Key": "x"})
        assert (status, body["error"]["code"]) == (400, "invalid_handshake")


async def test_r14_a_bad_key_is_401_at_the_upgrade() -> None:
    async with wired(more=AUTH) as w:
        for fields in ({}, {"Authorization": "Bearer wrong"}, {"X-Api-Key": "wrong"}):
            status, _, body = await refused(w, fields)
            assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        for path, fields in (
            ("/v1/responses", {"Authorization": f"Bearer {CLIENT_KEY}"}),
            (f"/v1/responses?key={CLIENT_KEY}", {}),
        ):
            client = await opened(w, path, fields)
            events, body = await turn(w, client, create())
            assert events[-1]["type"] == "response.completed"
            assert CLIENT_KEY.encode() not in body
        assert not leaks(w.log)


@pytest.mark.parametrize(
    "fields", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": "evil.example"}]
)
async def test_a_page_from_elsewhere_gets_no_websocket(fields: dict[str, str]) -> None:
    async with wired() as w:
        assert (await refused(w, fields))[0] == 403


def test_turns_carry_the_headers_of_the_upgrade_without_those_of_the_handshake() -> None:
    given = [
        ("host", "x"),
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "k"),
        ("sec-websocket-extensions", "permessage-deflate"),
        ("content-encoding", "gzip"),
        ("authorization", "Bearer k"),
        ("openai-beta", "responses_websockets=2026-02-06, other=v1"),
        ("session_id", "s"),
    ]
    assert turn_headers(given) == [
        ("host", "x"),
        ("authorization", "Bearer k"),
        ("openai-beta", "other=v1"),
        ("session_id", "s"),
        ("content-type", "application/json"),
    ]
    assert turn_headers([("openai-beta", "responses_websockets=2026-02-06")]) == [("content-type", "application/json")]


# --- turns -----------------------------------------------------------------------------------------------


async def test_the_events_of_a_turn_are_those_of_the_stream() -> None:
    async with wired() as w:
        client = await opened(w)
        events, body = await turn(w, client, create(stream_id="a", user="u"))
        assert roles(body) == ["user"]
        grammar = DIALECT.grammar()
        for event in events:
            assert event.pop("stream_id") == "a"
            event.pop("ferryllm_loss", None)
            grammar.receive_data(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        grammar.receive_eof()
        assert (grammar.problems, grammar.seen.text) == ([], "pong")
        await running_done(w)
        assert w.outcomes == ["ok"]


async def test_r10_turns_go_on_from_each_other_though_nothing_is_stored() -> None:
    async with wired() as w:
        client = await opened(w)
        await client.send(create(input=[{"role": "developer", "content": "be good"}], generate=False))
        warm = (await client.until("response.completed"))[-1]["response"]["id"]
        assert w.upstream.dialled == 0
        events, body = await turn(w, client, create("one", previous_response_id=warm))
        assert roles(body) == ["system", "user"] or roles(body) == ["developer", "user"]
        first = events[-1]["response"]
        assert first["previous_response_id"] == warm
        _, body = await turn(w, client, create("two", previous_response_id=first["id"]))
        assert roles(body)[1:] == ["user", "assistant", "user"]


async def test_refusals_and_errors_of_the_provider_are_in_band() -> None:
    async with wired() as w:
        client = await opened(w)
        for message, status, code in (
            ("{", 400, "invalid_json"),
            (create(model="nobody", stream_id="a"), 404, "model_not_found"),
            (create(previous_response_id="resp_gone"), 400, "previous_response_not_found"),
        ):
            await client.send(message)
            error = await client.json()
            assert (error["type"], error["status"], error["error"]["code"]) == ("error", status, code)
        await client.send(create())
        far, _, _ = await w.provider()
        await far.send(whole(b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}', 429, "retry-after: 7"))
        await far.aclose()
        error = await client.json()
        assert (error["status"], error["headers"]["retry-after"]) == (429, "7")
        assert (await turn(w, client, create()))[0][-1]["type"] == "response.completed"


async def test_a_provider_that_dies_fails_the_turn_and_not_the_connection() -> None:
    async with wired() as w:
        client = await opened(w)
        await client.send(create())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(PONG, end=False))
        assert (await client.until("response.output_text.delta"))[-1]["delta"] == "pong"
        await far.aclose()
        failed = (await client.until("response.failed"))[-1]
        assert failed["response"]["status"] == "failed"
        assert (await turn(w, client, create()))[0][-1]["type"] == "response.completed"
        await running_done(w)
        assert w.outcomes == ["truncated", "ok"]


async def test_turns_run_one_after_the_other() -> None:
    async with wired() as w:
        client = await opened(w)
        for n in range(3):
            await client.send(create(str(n), stream_id=str(n)))
        for n in range(3):
            far, _, body = await w.provider()
            await anyio.wait_all_tasks_blocked()
            assert len(w.app.running) == 1
            assert json.loads(body)["messages"][-1]["content"] == str(n)
            await pong(far)
            events = await client.until("response.completed")
            assert {event["stream_id"] for event in events} == {str(n)}


async def test_too_many_turns_and_steering_are_refused_while_one_runs() -> None:
    async with wired() as w:
        client = await opened(w)
        await client.send(create())
        far, _, _ = await w.provider()
        await client.send({"type": "response.steer", "previous_response_id": "resp_1", "input": "left"})
        assert (await client.json())["error"]["code"] == "steering_not_supported"
        for _ in range(17):
            await client.send(create())
        assert (await client.json())["error"]["code"] == "too_many_pending_responses"
        await pong(far)
        assert (await client.until("response.completed"))[-1]["type"] == "response.completed"


async def test_a_large_message_is_refused_as_a_body_would_be() -> None:
    async with wired(server="body_limit_mb = 1") as w:
        client = await opened(w)
        await client.send(create("x" * (1 << 20)))
        assert (await client.closed())[0] == 1009


async def test_pings_are_answered_while_a_turn_runs_and_silence_gets_one() -> None:
    async with wired() as w:
        client = await opened(w)
        await client.send(create())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(PONG, end=False))
        await client.until("response.output_text.delta")
        await client.transport.send(frame(PING, b"x"))
        assert type(await client.event()).__name__ == "Pong"
        w.change(ping_secs=0.0)
        w.interpreter._exchange._ping_at = 0.0  # due
        await w.sweep()
        assert await client.event() == Ping(payload=b"")


async def test_a_client_that_closes_cancels_its_turn() -> None:
    async with wired() as w:
        client = await opened(w)
        await client.send(create())
        far, _, _ = await w.provider()
        await client.say(CloseConnection(1000))
        assert isinstance(await client.event(), CloseConnection)
        assert await far.receive() == b""
        await w.settle()
        assert w.outcomes == ["cancelled"]


async def test_a_client_that_is_gone_cancels_its_turn() -> None:
    async with wired() as w:
        client = await opened(w)
        await client.send(create())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(PONG, end=False))
        await client.until("response.output_text.delta")
        await client.transport.aclose()
        assert await far.receive() == b""
        await w.settle()
        assert w.outcomes == ["cancelled"]


async def test_a_client_that_does_not_read_holds_the_provider() -> None:
    async with wired() as w:
        client = await opened(w, capacity=5000)
        await client.send(create())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD)
        text = chunk({"content": "x" * 10_000})

        async def flood() -> None:
            for _ in range(300):
                await far.send(chunked(text, end=False))
            await far.send(chunked(STOP, b"data: [DONE]\n\n"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood)
            await anyio.wait_all_tasks_blocked()
            held = sum(map(len, far.writes))
            assert held < 2_000_000, "the wire to the gateway is full, and the gateway holds no more"
            events = await client.until("response.completed")
        assert sum(len(event.get("delta", "")) for event in events) == 3_000_000


async def test_draining_ends_the_connection_after_the_turn() -> None:
    async with wired() as w:
        idle, busy = await opened(w), await opened(w)
        await busy.send(create())
        await busy.send(create("waits"))
        far, _, _ = await w.provider()
        w.rig.server.start_drain(5)
        assert (await idle.closed())[0] == 1001
        await pong(far)
        assert (await busy.until("response.completed"))[-1]["type"] == "response.completed"
        assert (await busy.closed())[0] == 1001
        await w.rig.server.wait_closed()
        assert w.outcomes == ["ok"]


async def test_a_turn_that_outlasts_the_grace_fails_with_words() -> None:
    async with wired(limits=Limits(drain_secs=0)) as w:
        client = await opened(w)
        await client.send(create())
        far, _, _ = await w.provider()
        await far.send(SSE_HEAD + chunked(PONG, end=False))
        await client.until("response.output_text.delta")
        w.rig.server.start_drain(0)
        failed = (await client.until("response.failed"))[-1]
        assert "shutting down" in failed["response"]["error"]["message"]
        assert (await client.closed())[0] == 1001


async def test_a_fault_of_ours_is_told_recorded_and_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise KeyError("a bug")

    async with wired() as w:
        client = await opened(w)
        monkeypatch.setattr(w.app.upstreams["chat"].__class__, "open", broken)
        await client.send(create())
        error = await client.json()
        assert (error["type"], error["status"]) == ("error", 500)
        assert (await client.closed())[0] == 1011
        await w.settle()
        assert [type(exc) for exc in w.rig.errors] == [KeyError]
        assert w.outcomes == ["error"]


async def test_messages_that_come_with_the_upgrade_are_turns() -> None:
    async with wired() as w:
        client = SocketClient(w.rig.connect())
        await client.transport.send(handshake("/v1/responses") + frame(TEXT, json.dumps(create()).encode()))
        await client.accepted()
        far, _, _ = await w.provider()
        await pong(far)
        assert (await client.until("response.completed"))[-1]["type"] == "response.completed"


# --- over sockets, in front of a native provider ---------------------------------------------------------


@asynccontextmanager
async def native(*, more: str = "") -> AsyncIterator[tuple[Running, SocketClient, list[tuple[Request, Any]]]]:
    """A gateway in front of a provider of Responses."""
    seen: list[tuple[Request, Any]] = []

    async def provider(request: Request, respond: Responder) -> None:
        seen.append((request, json.loads(await request.read())))
        await respond.head(200, [("content-type", "text/event-stream")])
        response = {"id": f"resp_{len(seen)}", "object": "response", "model": "real-resp"}
        content = [{"type": "output_text", "text": "pong", "annotations": []}]
        item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
        begun, done = {"status": "in_progress", "output": []}, {"status": "completed", "output": [item]}
        events: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": {**response, **begun}}),
            ("response.odd.event", {"number": 1.0}),
            ("response.output_item.done", {"output_index": 0, "item": item}),
            ("response.completed", {"response": {**response, **done}}),
        ]
        for n, (type_, fields) in enumerate(events):
            data = json.dumps({"type": type_, "sequence_number": n, **fields})
            await respond.body(f"event: {type_}\ndata: {data}\n\n".encode())
        await respond.end()

    async with upstream(provider) as port, gateway(port, more=more) as running, await running.connect() as stream:
        client = SocketClient(StreamTransport(stream))
        await client.open("/v1/responses", {"OpenAI-Beta": "responses_websockets=2026-02-06"})
        yield running, client, seen


async def test_g1_a_native_provider_gets_the_clients_fields_and_its_events_pass() -> None:
    async with native() as (running, client, seen):
        await client.send('{"type":"response.create","model":"resp-x","store":false,"odd":1.50,"input":"one"}')
        events = await client.until("response.completed")
        assert events[1] == {"type": "response.odd.event", "sequence_number": 1, "number": 1.0}
        assert events[-1]["response"]["model"] == "resp-x"
        request, body = seen[0]
        assert (request.method, request.path, body["model"], body["odd"]) == ("POST", "/v1/responses", "real-resp", 1.5)
        assert request.header("openai-beta") is None
        assert body["stream"] is True
        await client.send(create("two", "resp-x", previous_response_id=events[-1]["response"]["id"]))
        await client.until("response.completed")
        assert [item["role"] for item in seen[1][1]["input"]] == ["user", "assistant", "user"]
        assert "previous_response_id" not in seen[1][1]
        await client.say(CloseConnection(1000))
        assert isinstance(await client.event(), CloseConnection)
        await running.logged("websocket closed")
