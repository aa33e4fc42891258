"""The whole gateway over HTTP/2: the same answers as over HTTP/1.1, and one cancelled request ends alone."""

from __future__ import annotations

import ssl
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from ferryllm_net.http import Request, Responder, StreamTransport
from support.answers import DONE, ROLE, chunk
from support.gateways import gateway, upstream
from support.h2_client import H2Client

pytestmark = pytest.mark.anyio

PONG, STOP = chunk({"content": "pong"}), chunk({}, "stop")
ASK: dict[str, Any] = {
    "model": "chat-x",
    "max_tokens": 5,
    "stream": True,
    "messages": [{"role": "user", "content": "hi"}],
}


async def provider(request: Request, respond: Responder) -> None:
    await request.read()
    await respond.head(200, [("content-type", "text/event-stream")])
    await respond.body(ROLE + PONG)
    await respond.end(STOP + DONE)


def client(*, http2: bool) -> httpx.AsyncClient:
    return httpx.AsyncClient(http1=not http2, http2=http2, verify=ssl.create_default_context(), trust_env=False)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_stream_is_the_same_over_both_versions(path: str) -> None:
    async with upstream(provider) as port, gateway(port) as running:
        said = []
        for http2 in (False, True):
            async with client(http2=http2) as asking:
                answer = await asking.post(
                    f"http://127.0.0.1:{running.port}{path}", json=ASK, headers={"x-request-id": "req_same"}
                )
            assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert answer.status_code == 200
            assert "pong" in answer.text
            # Whether a short stream goes out in one piece, with its length and late losses in its head, is a matter of
            # the provider's pace.
            framing = ("date", "connection", "content-length", "transfer-encoding", "x-ferryllm-loss")
            headers = {name: value for name, value in answer.headers.items() if name not in framing}
            said.append((headers, _without_ids(answer.text)))
        assert said[0][0] == said[1][0]
        assert said[0][1] == said[1][1]


def _without_ids(text: str) -> list[str]:
    return [line.partition('"id"')[0] for line in text.splitlines()]


async def test_errors_are_in_the_dialect_of_the_path() -> None:
    async with gateway(1) as running, client(http2=True) as asking:
        base = f"http://127.0.0.1:{running.port}"
        answer = await asking.post(f"{base}/v1/messages", content=b"{broken")
        assert (answer.status_code, answer.json()["type"]) == (400, "error")
        assert (await asking.get(f"{base}/nowhere")).status_code == 404
        assert (await asking.get(f"{base}/v1/responses")).status_code == 426, "a WebSocket needs HTTP/1.1"


async def test_a_cancelled_stream_closes_its_upstream_and_no_other() -> None:
    left, may_end = anyio.Event(), anyio.Event()

    async def slow(request: Request, respond: Responder) -> None:
        cancelled = b"cancel me" in await request.read()
        await respond.head(200, [("content-type", "text/event-stream")])
        await respond.body(ROLE + PONG)
        try:
            await may_end.wait()
            await respond.end(STOP + DONE)
        finally:
            if cancelled and request.client_left:
                left.set()

    with anyio.fail_after(20):
        async with upstream(slow) as port, gateway(port) as running:
            wire = StreamTransport(await anyio.connect_tcp("127.0.0.1", running.port))
            asking = await H2Client(wire).start()
            asking.authority = "127.0.0.1"
            streams = []
            for words in ("cancel me", "keep me"):
                body = httpx.Request("POST", "http://a", json={**ASK, "messages": [{"role": "user", "content": words}]})
                stream = asking.open("/v1/chat/completions", method="POST", ended=False)
                await asking.upload(stream, body.content)
                streams.append(stream)
            while any(b"pong" not in asking.answers[stream].body for stream in streams):
                await asking.pump()
            asking.h2.reset_stream(streams[0])
            await asking.flush()
            await left.wait()
            may_end.set()
            kept = await asking.answer(streams[1])
            assert kept.ended
            assert b"[DONE]" in kept.body
            await wire.aclose()
            while "cancelled" not in running.log:
                await anyio.lowlevel.checkpoint()
        assert running.log.count("request completed") == 2
