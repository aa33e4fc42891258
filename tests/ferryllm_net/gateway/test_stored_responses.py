"""Responses that a provider keeps are asked of it; the gateway's own survive its end; stores may fail."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from ferryllm_net.gateway.stored_responses import page
from ferryllm_net.http import Request, Responder
from ferryllm_net.stores import StoreError
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.responses.kept import KeptResponse
from support.gateways import gateway, upstream
from support.planted import CLIENT_KEY, PROVIDER_KEY

pytestmark = pytest.mark.anyio

AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"\n'
MINE = {"authorization": f"Bearer {CLIENT_KEY}"}
YOURS = {"authorization": "Bearer other-key-0123"}
RESPONSE: dict[str, Any] = {
    "id": "resp_9",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "real-resp",
    "output": [],
    "store": True,
}
JSON = ("content-type", "application/json")
CHAT = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "pong"}}],
}


class Provider:
    """A provider of Responses that keeps them, of which a Chat provider is the other half."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []
        self.gone = False

    async def __call__(self, request: Request, respond: Responder) -> None:
        body = await request.read()
        if request.path.endswith("/chat/completions"):
            await respond.complete(200, [JSON], json.dumps(CHAT).encode())
            return
        self.asked.append((request.method, request.target, request.header("authorization")))
        if request.path == "/v1/responses":
            answer = {**RESPONSE, "status": "queued" if json.loads(body).get("background") else "completed"}
            await respond.complete(200, [JSON], json.dumps(answer).encode())
        elif self.gone:
            error = {"message": "Response with id 'resp_9' not found.", "type": "invalid_request_error"}
            await respond.complete(404, [JSON], json.dumps({"error": error}).encode())
        elif request.method == "DELETE":
            self.gone = True
            await respond.complete(200, [JSON], b'{"id":"resp_9","object":"response","deleted":true}')
        elif "stream=true" in request.query:
            event = json.dumps({"type": "response.completed", "response": RESPONSE})
            await respond.head(200, [("content-type", "text/event-stream")])
            await respond.body(f"event: response.completed\ndata: {event}\n\n".encode())
            await respond.end()
        elif request.path.endswith("/input_items"):
            await respond.complete(200, [JSON, ("set-cookie", "a=b")], b'{"object":"list","data":[]}')
        else:
            await respond.complete(200, [JSON], json.dumps(RESPONSE).encode())


async def test_what_a_provider_keeps_is_asked_of_it() -> None:
    provider = Provider()
    async with upstream(provider) as port, gateway(port, more=AUTH) as running:
        made = {"model": "resp-x", "input": "hi", "background": True}
        status, _, body = await running.ask("POST", "/v1/responses", made, MINE)
        assert (status, json.loads(body)["status"]) == (200, "queued")
        status, headers, body = await running.ask("GET", "/v1/responses/resp_9?include%5B%5D=x", None, MINE)
        assert (status, json.loads(body)) == (200, {**RESPONSE, "model": "resp-x"})
        assert headers["x-request-id"]
        status, headers, body = await running.ask("GET", "/v1/responses/resp_9/input_items?limit=3", None, MINE)
        assert (status, json.loads(body)["object"]) == (200, "list")
        assert "set-cookie" not in headers
        status, headers, body = await running.ask("GET", "/v1/responses/resp_9?stream=true", None, MINE)
        assert headers["content-type"] == "text/event-stream"
        assert b'"model": "resp-x"' in body
        assert (await running.ask("POST", "/v1/responses/resp_9/cancel", None, MINE))[0] == 200
        assert (await running.ask("DELETE", "/v1/responses/resp_9", None, MINE))[0] == 200
        assert (await running.ask("GET", "/v1/responses/resp_9", None, MINE))[0] == 404
    assert [(method, target) for method, target, _ in provider.asked] == [
        ("POST", "/v1/responses"),
        ("GET", "/v1/responses/resp_9?include%5B%5D=x"),
        ("GET", "/v1/responses/resp_9/input_items?limit=3"),
        ("GET", "/v1/responses/resp_9?stream=true"),
        ("POST", "/v1/responses/resp_9/cancel"),
        ("DELETE", "/v1/responses/resp_9"),
    ], "the deleted one is not asked for again"
    assert {key for _, _, key in provider.asked} == {f"Bearer {PROVIDER_KEY}"}


async def test_another_keys_response_at_the_same_provider_is_not_reached() -> None:
    provider = Provider()
    async with upstream(provider) as port, gateway(port, more=AUTH) as running:
        await running.ask("POST", "/v1/responses", {"model": "resp-x", "input": "hi"}, MINE)
        for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
            status, _, body = await running.ask(method, f"/v1/responses/resp_9{path}", None, YOURS)
            assert status == 404
            assert json.loads(body)["error"]["message"] == "Response with id 'resp_9' not found."
        more = {"model": "resp-x", "input": "hi", "previous_response_id": "resp_9"}
        assert (await running.ask("POST", "/v1/responses", more, YOURS))[0] == 400
        assert (await running.ask("POST", "/v1/responses", more, MINE))[0] == 200
        assert (await running.ask("GET", "/v1/responses/resp_9"))[0] == 401
    assert len(provider.asked) == 2


async def test_the_key_in_a_query_stays_here() -> None:
    provider = Provider()
    key = MINE["authorization"].removeprefix("Bearer ")
    async with upstream(provider) as port, gateway(port, more=AUTH) as running:
        await running.ask("POST", f"/v1/responses?key={key}", {"model": "resp-x", "input": "hi"})
        assert (await running.ask("GET", f"/v1/responses/resp_9?limit=1&%6bey={key}&key={key}"))[0] == 200
    assert [target for _, target, _ in provider.asked] == ["/v1/responses", "/v1/responses/resp_9?limit=1"]


async def test_a_response_the_provider_has_forgotten_is_said_in_its_words() -> None:
    provider = Provider()
    async with upstream(provider) as port, gateway(port) as running:
        await running.ask("POST", "/v1/responses", {"model": "resp-x", "input": "hi"})
        provider.gone = True
        status, _, body = await running.ask("GET", "/v1/responses/resp_9")
        assert (status, json.loads(body)["error"]["type"]) == (404, "invalid_request_error")


async def test_a_provider_that_is_gone_is_a_502() -> None:
    async with gateway(1) as running:  # nothing listens there
        assert running.app.responses is not None
        await running.app.responses.put(KeptResponse("resp_9", "", time.time(), "resp", native=True), time.time())
        status, _, body = await running.ask("GET", "/v1/responses/resp_9")
        assert (status, "provider resp" in json.loads(body)["error"]["message"]) == (502, True)


async def test_a_provider_that_is_configured_no_more_is_named() -> None:
    async with gateway(1) as running:
        assert running.app.responses is not None
        await running.app.responses.put(KeptResponse("resp_9", "", time.time(), "old", native=True), time.time())
        status, _, body = await running.ask("GET", "/v1/responses/resp_9")
        assert (status, "provider old" in json.loads(body)["error"]["message"]) == (404, True)


SQLITE = '[responses]\nstore = "sqlite"\npath = "{path}"\n'


async def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    more = SQLITE.format(path=tmp_path / "responses.db")
    async with upstream(Provider()) as port:
        async with gateway(port, more=more) as running:
            _, _, body = await running.ask("POST", "/v1/responses", {"model": "chat-x", "input": "hi"})
            made = json.loads(body)
            assert made["store"] is True
        async with gateway(port, more=more) as running:
            status, _, again = await running.ask("GET", f"/v1/responses/{made['id']}")
            assert (status, again) == (200, body)
            goes_on = {"model": "chat-x", "input": "more", "previous_response_id": made["id"]}
            assert (await running.ask("POST", "/v1/responses", goes_on))[0] == 200


async def test_without_a_store_there_is_nothing_and_the_answer_says_how_to_get_one() -> None:
    async with upstream(Provider()) as port, gateway(port, more='[responses]\nstore = "off"\n') as running:
        _, _, body = await running.ask("POST", "/v1/responses", {"model": "chat-x", "input": "hi"})
        made = json.loads(body)
        assert made["store"] is False
        status, _, body = await running.ask("GET", f"/v1/responses/{made['id']}")
        assert status == 404
        assert "[responses]" in json.loads(body)["error"]["message"]


class Broken:
    """A store whose disk is full."""

    async def get(self, *_: object) -> None:
        raise StoreError("disk full")

    known = put = delete = sweep = get

    async def aclose(self) -> None:
        return


@pytest.mark.parametrize("stream", [True, False])
async def test_a_broken_store_costs_no_answer_and_is_said(stream: bool) -> None:
    async with upstream(Provider()) as port, gateway(port) as running:
        running.app.responses = Broken()  # type: ignore[assignment]  # it raises before it returns anything
        made = {"model": "chat-x", "input": "hi", "stream": stream}
        status, _, body = await running.ask("POST", "/v1/responses", made)
        assert status == 200
        assert b"pong" in body
        last = json.loads(body.strip().rpartition(b"data: ")[2])["response"] if stream else json.loads(body)
        assert last["store"] is False
        assert (await running.ask("POST", "/v1/responses", {"model": "resp-x", "input": "hi"}))[0] == 200
        assert (await running.ask("GET", "/v1/responses/resp_1"))[0] == 500
        goes_on = {"model": "chat-x", "input": "more", "previous_response_id": "resp_1"}
        assert (await running.ask("POST", "/v1/responses", goes_on))[0] == 500
        await running.logged("responses store failed", 4)
        assert "disk full" in running.log


async def test_a_file_that_cannot_be_the_store_ends_the_start(tmp_path: Path) -> None:
    await anyio.Path(tmp_path / "r.db").write_bytes(b"no database" * 100)
    with pytest.raises(BaseException) as caught:
        async with gateway(1, more=SQLITE.format(path=tmp_path / "r.db")):
            pass
    assert "StoreError" in repr(caught.value)


# --- pages -----------------------------------------------------------------------------------------------

ITEMS = tuple(b'{"type":"message","id":"msg_%d","role":"user","status":"completed","content":[]}' % n for n in range(5))
KEPT = KeptResponse("resp_1", "", 1.0, "chat", input=ITEMS)


@pytest.mark.parametrize(
    ("query", "ids", "more"),
    [
        ("", [4, 3, 2, 1, 0], False),
        ("limit=2", [4, 3], True),
        ("limit=2&after=msg_3", [2, 1], True),
        ("limit=2&after=msg_1", [0], False),
        ("order=asc&limit=3", [0, 1, 2], True),
        ("order=asc&after=msg_2", [3, 4], False),
        ("after=msg_0", [], False),
    ],
)
def test_pages_follow_each_other(query: str, ids: list[int], more: bool) -> None:
    found = json.loads(page(KEPT, query))
    names = [f"msg_{n}" for n in ids]
    assert [item["id"] for item in found["data"]] == names
    assert found["has_more"] is more
    assert (found["first_id"], found["last_id"]) == ((names[0], names[-1]) if names else (None, None))


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=%C2%B2", "limit"),
        ("order=up", "order"),
        ("after=msg_9", "after"),
    ],
)
def test_queries_that_mean_no_page_are_refused(query: str, param: str) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        page(KEPT, query)
    assert caught.value.error.param == param
