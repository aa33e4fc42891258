"""What the gateway answers itself: each path, who may ask, and when it is ready."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from ferryllm_net.gateway import endpoints
from ferryllm_net.http import Origin, Transport
from ferryllm_proto.routing.breaker import BreakerRules, Permit, Verdict
from support.planted import CLIENT_KEY, PROVIDER_KEY, leaks
from support.streams import MemoryTransport, wire
from support.wired import Wired, answer, request, whole, wired

pytestmark = pytest.mark.anyio

AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"'
ANTHROPIC = {"anthropic-version": "2023-06-01"}


async def ask(
    w: Wired, path: str, fields: dict[str, str] | None = None, method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    near = w.rig.connect()
    lines = "".join(f"{name}: {value}\r\n" for name, value in {"host": "127.0.0.1", **(fields or {})}.items())
    await near.send(f"{method} {path} HTTP/1.1\r\n{lines}connection: close\r\n\r\n".encode())
    if method != "HEAD":
        return await answer(near)
    head, _, body = (await near.receive_all()).decode().partition("\r\n\r\n")
    lines_ = head.split("\r\n")
    return int(lines_[0].split(" ")[1]), dict(line.split(": ", 1) for line in lines_[1:]), body.encode()


@pytest.mark.parametrize(
    ("path", "body"),
    [("/health", b"ok"), ("/healthz", b"ok"), ("/readyz", b"ready"), ("/", b"ferryllm\n"), ("/health?x=1", b"ok")],
)
async def test_the_public_paths(path: str, body: bytes) -> None:
    async with wired(more=AUTH) as w:
        status, fields, found = await ask(w, path)
        assert (status, found) == (200, body)
        assert fields["content-type"] == "text/plain; charset=utf-8"
        status, fields, found = await ask(w, path, method="HEAD")
        assert (status, found, fields["content-length"]) == (200, b"", str(len(body)))
        assert w.outcomes == [], "nothing was exchanged"


@pytest.mark.parametrize("path", ["/health", "/readyz", "/", "/v1/models", "/v1/models/chat-x"])
async def test_other_methods_are_a_405_in_json(path: str) -> None:
    async with wired() as w:
        status, fields, body = await ask(w, path, method="DELETE")
        assert status == 405
        assert json.loads(body)["error"]["message"]
        assert fields.get("allow", "get, head") == "get, head"


@pytest.mark.parametrize("path", ["/v1/models", "/models", "/v1/models/chat-x", "/v1/responses"])
async def test_keys_are_asked_for_where_something_is_told(path: str) -> None:
    async with wired(more=AUTH) as w:
        for fields in ({}, {"x-api-key": "wrong"}, {"authorization": "Basic x"}, {"x-api-key": CLIENT_KEY[:-1]}):
            status, _, body = await ask(w, path, fields)
            assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
            status, _, body = await ask(w, path, {**fields, **ANTHROPIC})
            if "models" in path:
                assert json.loads(body)["error"]["type"] == "authentication_error"
        for fields in ({"x-api-key": CLIENT_KEY}, {"authorization": f"Bearer {CLIENT_KEY}"}):
            assert (await ask(w, path, fields))[0] in (200, 426)


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
    ],
)
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/chat-x", "/v1/responses"])
async def test_a_page_from_elsewhere_is_told_nothing(path: str, fields: dict[str, str]) -> None:
    async with wired() as w:
        status, got, body = await ask(w, path, fields)
        assert (status, json.loads(body)["error"]["code"]) == (403, "forbidden")
        assert "access-control-allow-origin" not in got


@pytest.mark.parametrize("host", ["localhost", "localhost:3000", "[::1]:3000", "127.0.0.1:3000", "a.localhost"])
async def test_names_of_this_machine_are_no_strangers(host: str) -> None:
    async with wired() as w:
        assert (await ask(w, "/v1/models", {"host": host}))[0] == 200


async def test_m4_models_are_the_routes_in_the_shape_of_the_asking_client() -> None:
    async with wired() as w:
        status, fields, body = await ask(w, "/v1/models?limit=5", {"x-request-id": "mine"})
        listed = json.loads(body)
        assert (status, fields["content-type"], fields["x-request-id"]) == (200, "application/json", "mine")
        assert [model["id"] for model in listed["data"]] == ["chat-*", "resp-*", "msg-*", "exact-model"]
        assert {model["object"] for model in listed["data"]} == {"model"}
        assert "request-id" not in fields
        _, fields, body = await ask(w, "/v1/models", {**ANTHROPIC, "x-request-id": "mine"})
        assert [model["type"] for model in json.loads(body)["data"]] == ["model"] * 4
        assert (fields["request-id"], fields["x-request-id"]) == ("mine", "mine")


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/models/chat-x", "chat-x"),
        ("/v1/models/chat-a%2Fb", "chat-a/b"),
        ("/v1/models/chat-a/b", "chat-a/b"),
        ("/v1/models/chat-%F0%9F%98%80", "chat-😀"),
        ("/models/exact-model", "exact-model"),
    ],
)
async def test_one_model_by_its_name(path: str, name: str) -> None:
    async with wired() as w:
        for fields in ({}, ANTHROPIC):
            status, _, body = await ask(w, path, fields)
            assert (status, json.loads(body)["id"]) == (200, name)


@pytest.mark.parametrize(
    "path", ["/v1/models/none", "/v1/models/exact-model-2", "/v1/models/%ff%00%0d%0a", "/v1/models/*"]
)
async def test_an_unknown_model_is_a_404_in_the_shape_of_the_asking_client(path: str) -> None:
    async with wired() as w:
        status, _, body = await ask(w, path)
        assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")
        status, fields, body = await ask(w, path, {**ANTHROPIC, "x-request-id": "mine"})
        assert (status, json.loads(body)["error"]["type"]) == (404, "not_found_error")
        assert (fields["request-id"], fields["x-request-id"]) == ("mine", "mine")


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/v1/responses?x=1"])
async def test_without_an_upgrade_the_websocket_says_what_it_is(path: str) -> None:
    async with wired() as w:
        status, fields, body = await ask(w, path)
        # The second word answers the one of our request.
        assert (status, fields["upgrade"], fields["connection"]) == (426, "websocket", "upgrade, close")
        assert json.loads(body)["error"]["code"] == "upgrade_required"


async def test_without_an_upgrade_the_connection_of_the_websocket_stays() -> None:
    async with wired() as w:
        near = w.rig.connect()
        for _ in range(2):
            await near.send(b"GET /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            status, fields, _body = await answer(near)
            assert (status, fields["connection"]) == (426, "upgrade")


async def test_head_answers_have_no_body() -> None:
    async with wired() as w:
        for path, wanted in (("/v1/models", 200), ("/v1/models/none", 404), ("/v1/responses", 426)):
            status, fields, body = await ask(w, path, method="HEAD")
            assert (status, body) == (wanted, b"")
            assert int(fields["content-length"]) > 10


# --- readiness ---------------------------------------------------------------------------------------------


async def test_what_is_missing_is_told_and_all_of_it() -> None:
    async with wired() as w:
        w.app.listening = False
        w.app.draining = lambda: True
        w.app.settings = type(w.app.settings)(**{**_fields(w.app.settings), "providers": ()})
        status, fields, body = await ask(w, "/readyz")
        assert (status, fields["retry-after"]) == (503, "1")
        assert body.decode().splitlines() == [
            "not ready",
            "- no providers are configured",
            "- the listener is not active",
            "- the gateway is shutting down",
        ]


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


async def test_a_drain_is_seen_on_connections_that_live() -> None:
    async with wired() as w:
        near = await w.begin("/v1/messages", {"model": "msg-x", "max_tokens": 1, "messages": []})
        await w.provider()
        other = w.rig.connect()
        await other.send(b"GET /readyz HTTP/1.1\r\n")
        await anyio.wait_all_tasks_blocked()
        w.rig.server.start_drain(30)
        await other.send(b"host: 127.0.0.1\r\n\r\n")
        status, fields, body = await answer(other)
        assert (status, fields["connection"]) == (503, "close")
        assert b"shutting down" in body
        await near.aclose()


async def test_a_refused_key_is_told_and_takes_the_gateway_out_when_no_other_is_left() -> None:
    async with wired(more="[breaker]\nfailures = 3") as w:
        health, now = w.app.routing.health, 100.0
        w.app.clock = lambda: now
        told = []
        for provider in w.app.gateway.providers.values():
            permit = health.enter(provider.name, "m", provider.key_id, now)
            assert isinstance(permit, Permit)
            health.settle(permit, Verdict.KEY, now)
            told.append(f"- provider {provider.name} refuses the gateway's key")
            status, _, body = await ask(w, "/readyz")
            first, *lines = body.decode().splitlines()
            assert lines == told
            assert (status, first) == ((503, "not ready") if len(told) == 3 else (200, "ready"))
        now += BreakerRules().key_cooldown
        assert (await ask(w, "/readyz"))[::2] == (200, b"ready"), "a request has to try the key again"


async def test_providers_are_asked_only_where_it_is_wanted() -> None:
    async with wired() as w:
        assert (await ask(w, "/readyz"))[0] == 200
        assert w.upstream.dialled == 0


class Far:
    """Three providers, told apart by nothing but their order; ``dial`` gives each a connection."""

    def __init__(self) -> None:
        self.ends: list[MemoryTransport] = []
        self.closed = 0

    async def dial(self, origin: Origin) -> Transport:
        near, far = wire()
        self.ends.append(far)
        return near

    async def play(self, *replies: bytes | None) -> None:
        """Answer each provider; None leaves it silent."""
        while len(self.ends) < len(replies):
            await anyio.lowlevel.checkpoint()
        for far, reply in zip(self.ends, replies, strict=True):
            head, _ = await request(far)
            assert head.startswith(b"GET /v1/models HTTP/1.1\r\n")
            assert PROVIDER_KEY.encode() in head
            if reply is not None:
                await far.send(reply)


@pytest.mark.parametrize("status", [200, 401, 404, 500])
async def test_a_provider_that_answers_at_all_is_there(status: int) -> None:
    far = Far()
    async with wired(server="check_providers = true", dial=far.dial) as w, anyio.create_task_group() as tasks:
        tasks.start_soon(far.play, *[whole(b"{}", status)] * 3)
        assert (await ask(w, "/readyz"))[::2] == (200, b"ready")
        assert len(far.ends) == 3
        for end in far.ends:
            assert await end.receive() == b"", "nothing stays open"


async def test_one_provider_that_hangs_is_named_and_bounds_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "CHECK_SECS", 0.2)
    far = Far()
    async with wired(server="check_providers = true", dial=far.dial) as w, anyio.create_task_group() as tasks:
        tasks.start_soon(far.play, whole(b"{}"), None, whole(b"{}"))
        with anyio.fail_after(5):
            status, _, body = await ask(w, "/readyz")
        assert status == 503
        (line,) = body.decode().splitlines()[1:]
        assert "does not answer: it took longer than 0.2 s" in line
        assert leaks(body.decode()) == []


async def test_providers_are_asked_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """All three hang, and the answer takes as long as one of them: three seconds are the bound of them together."""
    assert endpoints.CHECK_SECS == 3.0
    monkeypatch.setattr(endpoints, "CHECK_SECS", 0.3)
    far = Far()
    async with wired(server="check_providers = true", dial=far.dial) as w, anyio.create_task_group() as tasks:
        tasks.start_soon(far.play, None, None, None)
        begun = anyio.current_time()
        status, _, body = await ask(w, "/readyz")
        assert anyio.current_time() - begun < 0.85
        assert (status, body.count(b"does not answer")) == (503, 3)


async def test_a_provider_that_cannot_be_dialled_in_time_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "CHECK_SECS", 0.05)

    async def dial(origin: Origin) -> Transport:
        await anyio.sleep_forever()
        raise AssertionError

    async with wired(server="check_providers = true", dial=dial) as w:
        status, _, body = await ask(w, "/readyz")
        assert (status, body.count(b"it took longer than 0.05 s")) == (503, 3)


async def test_who_asks_and_leaves_ends_the_asking() -> None:
    far = Far()
    async with wired(server="check_providers = true", dial=far.dial) as w:
        near = w.rig.connect()
        await near.send(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        await far.play(None, None, None)
        await near.aclose()
        for end in far.ends:
            assert await end.receive() == b""
        await w.settle()


async def test_g4_metrics_count_requests_and_ask_for_a_key() -> None:
    async with wired(more=AUTH) as w:
        assert (await ask(w, "/metrics"))[0] == 401
    async with wired() as w:
        status, fields, body = await ask(w, "/metrics")
        assert (status, fields["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert b"# TYPE ferryllm_losses_total counter" in body
    async with wired(more="[metrics]\nenabled = false") as w:
        status, _, body = await ask(w, "/metrics")
        assert (status, "metrics" in json.loads(body)["error"]["message"]) == (404, True)
