"""What clients of Ollama find here: the calls of its command line and of its Python client, without its server."""

from __future__ import annotations

import json
from typing import Any

import anyio
import ollama
import pytest

from ferryllm_net.gateway import endpoints
from support.planted import CLIENT_KEY
from support.streams import MemoryTransport
from support.wired import SSE_HEAD, Wired, answer, chunked, post, request, whole, wired

pytestmark = pytest.mark.anyio

AUTH = '[auth]\nenabled = true\napi_keys_env = "CLIENT_KEYS"'
LOCAL = """
[[providers]]
name = "local"
type = "ollama"
base_url = "http://127.0.0.1:1/v1"
[[routes]]
match = "local-"
provider = "local"
rewrite_model = "qwen3:8b"
"""
CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 5, "model": "real-chat"}


async def ask(
    w: Wired, method: str, path: str, body: bytes = b"", fields: tuple[str, ...] = ()
) -> tuple[int, dict[str, str], bytes]:
    near = w.rig.connect()
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", "connection: close", *fields]
    if body:
        lines.append(f"content-length: {len(body)}")
    await near.send("\r\n".join([*lines, "", ""]).encode() + body)
    return await answer(near)


async def test_n6_the_command_lines_first_calls() -> None:
    async with wired(more=LOCAL) as w:
        near = w.rig.connect()
        await near.send(b"HEAD / HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        assert (await near.receive_all()).startswith(b"HTTP/1.1 200 ")
        status, fields, body = await ask(w, "GET", "/api/version")
        assert (status, fields["content-type"]) == (200, "application/json")
        assert json.loads(body)["version"]
        status, _, body = await ask(w, "GET", "/api/tags")
        names = [model.model for model in ollama.ListResponse(**json.loads(body)).models]
        assert (status, names) == (200, ["local-*", "chat-*", "resp-*", "msg-*", "exact-model"])
        status, _, body = await ask(w, "GET", "/api/ps")
        assert [model.name for model in ollama.ProcessResponse(**json.loads(body)).models] == names
        assert w.upstream.dialled == 0


@pytest.mark.parametrize("field", ["model", "name"])
async def test_n6_a_models_card(field: str) -> None:
    async with wired() as w:
        status, fields, body = await ask(w, "POST", "/api/show", json.dumps({field: "chat-x"}).encode())
        assert (status, fields["content-type"]) == (200, "application/json")
        assert "tools" in (ollama.ShowResponse(**json.loads(body)).capabilities or [])


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"model":"strange"}', 404, "strange"),
        (b"{}", 400, "model"),
        (b"no json", 400, "JSON"),
        (b'{"model":"' + b"x" * (1 << 17) + b'"}', 413, "larger"),
    ],
)
async def test_a_card_that_is_not_there(body: bytes, status: int, words: str) -> None:
    async with wired() as w:
        found, _, said = await ask(w, "POST", "/api/show", body)
        assert found == status
        assert words in json.loads(said)["error"]


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/show"), ("GET", "/api/ps"), ("GET", "/api/tags"), ("GET", "/api/version")]
)
async def test_keys_are_asked_for_in_ollamas_words(method: str, path: str) -> None:
    async with wired(more=AUTH) as w:
        body = b'{"model":"chat-x"}' if method == "POST" else b""
        status, _, said = await ask(w, method, path, body)
        assert status == 401
        assert isinstance(json.loads(said)["error"], str)
        assert (await ask(w, method, path, body, (f"authorization: Bearer {CLIENT_KEY}",)))[0] == 200


async def test_an_empty_prompt_is_answered_here() -> None:
    async with wired() as w:
        near = await w.begin("/api/generate", {"model": "chat-x"})
        status, fields, body = await answer(near)
        assert (status, fields["content-type"]) == (200, "application/json")
        assert ollama.GenerateResponse(**json.loads(body)).done_reason == "load"
        await near.aclose()
        await w.settle()
        assert w.outcomes == ["ok"]
        assert w.upstream.dialled == 0


async def test_a_chat_with_a_provider_of_another_dialect() -> None:
    async with wired() as w:
        near = await w.begin("/api/chat", {"model": "chat-x", "messages": [{"role": "user", "content": "hi"}]})
        far, _, sent = await w.provider()
        assert json.loads(sent)["stream"] is True
        choices: list[Any] = [
            [{"index": 0, "delta": {"role": "assistant", "content": "Hel"}}],
            [{"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}],
        ]
        data = [b"data: %b\n\n" % json.dumps({**CHUNK, "choices": one}).encode() for one in choices]
        await far.send(SSE_HEAD + chunked(*data, b"data: [DONE]\n\n"))
        status, fields, body = await answer(near)
        assert (status, fields["content-type"]) == (200, "application/x-ndjson")
        parts = [ollama.ChatResponse(**json.loads(line)) for line in body.splitlines()]
        assert "".join(part.message.content or "" for part in parts) == "Hello"
        assert (parts[-1].done, parts[-1].done_reason, parts[0].model) == (True, "stop", "chat-x")


NDJSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n"
LINES = (
    b'{"model":"qwen3:8b","created_at":"2026-11-21T06:39:02Z","message":{"role":"assistant","content":"a"},"done":false}\n'
    b'{"model":"qwen3:8b","created_at":"2026-11-21T06:39:02Z","message":{"role":"assistant","content":""},"done":true,'
    b'"done_reason":"stop","prompt_eval_count":3,"eval_count":4}\n'
)


async def test_a_provider_of_ollama_gets_and_gives_the_bytes_themselves() -> None:
    async with wired(more=LOCAL) as w:
        near = await w.begin("/api/chat", b'{ "model":"local-x" , "messages":[], "new":1e3}')
        far, head, sent = await w.provider()
        assert head.startswith(b"POST /api/chat HTTP/1.1\r\n")
        assert sent == b'{ "model":"qwen3:8b" , "messages":[], "new":1e3}'
        await far.send(NDJSON + chunked(LINES[:50], LINES[50:]))
        status, fields, body = await answer(near)
        assert (status, fields["content-type"]) == (200, "application/x-ndjson")
        assert body == LINES.replace(b"qwen3:8b", b"local-x")


async def test_other_clients_reach_a_provider_of_ollama() -> None:
    async with wired(more=LOCAL) as w:
        message = {"role": "user", "content": "hi"}
        near = await w.begin("/v1/messages", {"model": "local-x", "max_tokens": 9, "messages": [message]})
        far, head, sent = await w.provider()
        assert head.startswith(b"POST /api/chat HTTP/1.1\r\n")
        assert json.loads(sent) == {
            "model": "qwen3:8b",
            "messages": [message],
            "options": {"num_predict": 9},
            "stream": False,
        }
        await far.send(whole(LINES.splitlines()[1].replace(b'"content":""', b'"content":"ab"')))
        status, _, body = await answer(near)
        value = json.loads(body)
        assert (status, value["content"], value["stop_reason"]) == (200, [{"type": "text", "text": "ab"}], "end_turn")
        assert value["usage"]["output_tokens"] == 4


async def test_t1_a_stream_that_is_cut_ends_with_an_error_line() -> None:
    async with wired(more=LOCAL) as w:
        near = await w.begin("/api/chat", {"model": "local-x", "messages": [{"role": "user", "content": "hi"}]})
        far, _, _ = await w.provider()
        await far.send(NDJSON + chunked(LINES[:-30]))
        _, _, body = await answer(near)
        first, last = body.splitlines()
        assert json.loads(first)["message"]["content"] == "a"
        assert json.loads(last).keys() == {"error"}
        await near.aclose()
        await w.settle()
        assert w.outcomes == ["truncated"]


async def test_a_provider_is_asked_for_its_models_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "CHECK_SECS", 5.0)
    asked: set[bytes] = set()

    async def reply(far: MemoryTransport) -> None:
        head, _ = await request(far)
        asked.add(head.split(b" ")[1])
        await far.send(whole(b"{}"))

    async with wired(server="check_providers = true", more=LOCAL) as w, anyio.create_task_group() as tasks:
        near = w.rig.connect()
        await near.send(b"GET /readyz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        for _ in range(4):
            tasks.start_soon(reply, await w.upstream.accept())
        assert (await answer(near))[0] == 200
    assert asked == {b"/api/tags", b"/v1/models"}


async def test_other_methods_are_refused_in_ollamas_words() -> None:
    async with wired() as w:
        near = w.rig.connect()
        await post(near, "/api/tags", {})
        status, fields, body = await answer(near)
        assert (status, fields["allow"]) == (405, "get, head")
        assert isinstance(json.loads(body)["error"], str)
