"""What a stream loses behind its head, on the wire: a trailer over both versions of HTTP (translation.md G4)."""

from __future__ import annotations

import json
from typing import Any

import anyio
import httpx
import pytest

from ferryllm_net.http import Request, Responder, StreamTransport
from support.answers import DONE, ROLE, chunk, messages, text_block
from support.gateways import gateway, upstream
from support.h2_client import H2Client

pytestmark = pytest.mark.anyio

RAN = [{"index": 0, "type": "python", "arguments": "{}", "output": "1"}]
CHAT = (ROLE + chunk({"content": "pong"}), chunk({"executed_tools": RAN}) + chunk({}, "stop") + DONE)
_SAID = messages(text_block(0, "pong"), stop="pause_turn")
_CUT = _SAID.index(b"event: content_block_stop")
MESSAGES = (_SAID[:_CUT], _SAID[_CUT:])

ENTRIES: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/chat/completions": ("msg-x", {"messages": [{"role": "user", "content": "hi"}]}),
    "/v1/responses": ("chat-x", {"input": "hi", "store": False}),
    "/v1/messages": ("chat-x", {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}),
    "/v1beta/models/chat-x:streamGenerateContent?alt=sse": ("", {"contents": [{"parts": [{"text": "hi"}]}]}),
    "/api/chat": ("chat-x", {"messages": [{"role": "user", "content": "hi"}]}),
}


class Provider:
    """Says the rest of its answer once the client has the first half."""

    def __init__(self) -> None:
        self.go = anyio.Event()

    async def __call__(self, request: Request, respond: Responder) -> None:
        await request.read()
        begun, rest = MESSAGES if request.path == "/v1/messages" else CHAT
        await respond.head(200, [("content-type", "text/event-stream")])
        await respond.body(begun)
        await self.go.wait()
        await respond.end(rest)


def asking(path: str) -> bytes:
    model, fields = ENTRIES[path]
    return json.dumps({"model": model, "stream": True, **fields} if model else fields).encode()


def check(path: str, body: bytes, lost: str) -> None:
    word = "stop_reason" if path == "/v1/chat/completions" else "executed_tools"
    assert word in lost
    assert (f": x-ferryllm-loss: {lost}\n\n".encode() in body) is (path.startswith("/v1/"))
    if path == "/api/chat":
        assert json.loads(body.splitlines()[-1])["ferryllm_loss"] == lost.split(", ")


def unchunked(data: bytes) -> tuple[bytes, bytes]:
    """A chunked body without its framing, and its trailers; fails for one that is not whole."""
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        if not (length := int(size, 16)):
            break
        body, data = body + data[:length], data[length + 2 :]
    assert data.endswith(b"\r\n\r\n")
    return body, data


@pytest.mark.parametrize("path", ENTRIES)
async def test_g4_a_chunked_stream_ends_with_what_it_lost(path: str) -> None:
    provider = Provider()
    with anyio.fail_after(20):
        async with upstream(provider) as port, gateway(port) as running:
            wire = await running.begin(path, json.loads(asking(path)), (("te", "trailers"),))
            data = await wire.receive()
            while b"pong" not in data:
                data += await wire.receive()
            head, _, body = data.partition(b"\r\n\r\n")
            assert b"x-ferryllm-loss" not in head.lower()
            provider.go.set()
            while b"x-ferryllm-loss: " not in body.rpartition(b"\r\n0\r\n")[2] or not body.endswith(b"\r\n\r\n"):
                body += await wire.receive()
            await wire.aclose()
            whole, trailers = unchunked(body)
            name, _, value = trailers.decode().strip().partition(": ")
            assert name == "x-ferryllm-loss"
            check(path, whole, value)


@pytest.mark.parametrize("path", ENTRIES)
async def test_g4_a_stream_of_http_2_ends_with_what_it_lost(path: str) -> None:
    provider = Provider()
    with anyio.fail_after(20):
        async with upstream(provider) as port, gateway(port) as running:
            wire = StreamTransport(await anyio.connect_tcp("127.0.0.1", running.port))
            client = await H2Client(wire).start()
            client.authority = "127.0.0.1"
            stream = client.open(
                path, ("content-type", "application/json"), ("te", "trailers"), method="POST", ended=False
            )
            await client.upload(stream, asking(path))
            while b"pong" not in client.answers[stream].body:
                await client.pump()
            provider.go.set()
            answer = await client.answer(stream)
            await wire.aclose()
            assert "x-ferryllm-loss" not in answer.fields
            check(path, answer.body, answer.trailers["x-ferryllm-loss"])


async def test_g4_a_client_that_knows_no_trailers_reads_on() -> None:
    """Two streams over one connection of a client that passes trailers over."""
    provider = Provider()
    provider.go.set()
    path = "/api/chat"
    with anyio.fail_after(20):
        async with upstream(provider) as port, gateway(port) as running, httpx.AsyncClient(trust_env=False) as client:
            for _ in range(2):
                answer = await client.post(
                    running.base_url + path, content=asking(path), headers={"content-type": "application/json"}
                )
                assert json.loads(answer.text.splitlines()[-1])["done"] is True
