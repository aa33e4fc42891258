"""What the gateway answers itself, who may ask, and what it logs; over sockets, on both backends."""

from __future__ import annotations

import json

import pytest

from support.gateways import gateway, upstream
from support.planted import CLIENT_KEY, PROMPT, PROVIDER_KEY, TOOL_CONTENT, leaks
from support.scripted import (
    Provider,
    ask,
    chat_answer,
    read_until,
)

pytestmark = pytest.mark.anyio

# --- the gateway's own endpoints -------------------------------------------------------------------------


async def test_health_readiness_and_root() -> None:
    async with gateway(1) as running:
        for path in ("/health", "/healthz"):
            assert (await running.ask("GET", path))[::2] == (200, b"ok")
        assert (await running.ask("GET", "/readyz"))[::2] == (200, b"ready")
        assert (await running.ask("HEAD", "/"))[::2] == (200, b"")
        running.app.draining = lambda: True
        status, _, body = await running.ask("GET", "/readyz")
        assert (status, b"shutting down" in body) == (503, True)


async def test_readiness_can_ask_the_providers() -> None:
    async with gateway(1, server="check_providers = true") as running:
        status, _, body = await running.ask("GET", "/readyz")
        assert status == 503
        assert b"provider chat does not answer" in body
    async with upstream(Provider(401)) as port, gateway(port, server="check_providers = true") as running:
        assert (await running.ask("GET", "/readyz"))[0] == 200


async def test_m4_models_in_both_shapes() -> None:
    async with gateway(1) as running:
        status, _, body = await running.ask("GET", "/v1/models")
        listed = json.loads(body)
        assert status == 200
        assert listed["object"] == "list"
        assert [model["id"] for model in listed["data"]] == ["chat-*", "resp-*", "msg-*", "exact-model"]
        _, _, body = await running.ask("GET", "/v1/models?limit=1000", headers={"anthropic-version": "2023-06-01"})
        assert json.loads(body)["data"][0]["type"] == "model"
        status, _, body = await running.ask("GET", "/v1/models/chat-anything")
        assert (status, json.loads(body)["id"]) == (200, "chat-anything")
        status, _, body = await running.ask("GET", "/v1/models/none")
        assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")


async def test_wrong_paths_and_methods_and_a_websocket_without_its_upgrade() -> None:
    async with gateway(1) as running:
        assert (await running.ask("POST", "/v1/nothing", ask()))[0] == 404
        status, headers, body = await running.ask("GET", "/v1/messages")
        assert (status, headers["allow"], json.loads(body)["type"]) == (405, "POST", "error")
        assert (await running.ask("GET", "/v1/responses"))[0] == 426


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"content-type": "text/plain"}, 415),
    ],
)
async def test_a_browser_from_elsewhere_gets_nowhere(headers: dict[str, str], status: int) -> None:
    provider = Provider()
    async with upstream(provider) as port, gateway(port) as running:
        got, _, body = await running.ask("POST", "/v1/messages", ask(), headers)
        assert got == status
        assert json.loads(body)["type"] == "error"
    assert provider.requests == []


async def test_a_foreign_host_on_loopback_gets_nowhere() -> None:
    async with gateway(1) as running:
        stream = await running.connect()
        await stream.send(b"GET /v1/models HTTP/1.1\r\nhost: evil.example\r\n\r\n")
        assert (await read_until(stream, b"\r\n\r\n")).startswith(b"HTTP/1.1 403 ")
        await stream.aclose()


async def test_keys_of_the_environment_are_asked_for() -> None:
    more = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"'
    async with upstream(Provider()) as port, gateway(port, more=more) as running:
        assert (await running.ask("POST", "/v1/messages", ask()))[0] == 401
        assert (await running.ask("GET", "/v1/models"))[0] == 401
        assert (await running.ask("GET", "/health"))[0] == 200
        status, _, _ = await running.ask("POST", "/v1/messages", ask(), {"x-api-key": CLIENT_KEY})
        assert status == 200


# --- logs ------------------------------------------------------------------------------------------------


async def test_the_four_lines_are_word_for_word() -> None:
    async with upstream(Provider()) as port, gateway(port) as running:
        await running.ask("POST", "/v1/messages", ask())
        await running.logged("request completed")
        log = running.log
    assert 'incoming request entry="anthropic" model=chat-x stream=false' in log
    assert 'resolved route entry="anthropic" display_model=chat-x backend_model=real-chat provider="chat"' in log
    assert 'sending chat request provider="chat" model=real-chat stream=false' in log
    assert 'backend response ok provider="chat" status="200 OK" latency_ms=' in log
    assert 'request completed entry="anthropic" outcome="ok"' in log


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_secret_prompt_or_tool_content_is_logged_at_any_level(form: str) -> None:
    secret_answer = chat_answer(f"I heard {PROMPT}")
    failing = json.dumps({"error": {"message": f"bad {TOOL_CONTENT} with {PROVIDER_KEY}", "type": "x"}}).encode()
    more = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"'
    body = ask(text=PROMPT)
    body["messages"] += [
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": TOOL_CONTENT}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": TOOL_CONTENT}]},
    ]
    key = {"x-api-key": CLIENT_KEY}
    async with upstream(Provider(body=secret_answer)) as port, gateway(port, more=more, form=form) as running:
        assert (await running.ask("POST", "/v1/messages", body, key))[0] == 200
        await running.ask("POST", "/v1/messages", {**body, "messages": PROMPT}, key)
        await running.ask("POST", "/v1/messages", body, {"x-api-key": CLIENT_KEY + "x"})
        await running.logged("request completed")
        assert leaks(running.log) == []
    async with upstream(Provider(400, failing)) as port, gateway(port, more=more, form=form) as running:
        assert (await running.ask("POST", "/v1/messages", body, key))[0] == 400
        assert leaks(running.log) == []
