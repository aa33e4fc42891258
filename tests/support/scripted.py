"""A provider of Chat Completions that a test plays: a fixed answer, or a stream whose pieces come when it says so."""

from __future__ import annotations

import json
from typing import Any

import anyio

from ferryllm_net.http import Request, Responder

JSON = ("content-type", "application/json")
SSE = ("content-type", "text/event-stream")


def chat_answer(text: str = "pong") -> bytes:
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "real-chat-2026",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
        }
    ).encode()


def chat_chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "real-chat-2026", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


ROLE, PONG = chat_chunk({"role": "assistant", "content": ""}), chat_chunk({"content": "pong"})
STOP = chat_chunk({}, "stop")
DONE = b"data: [DONE]\n\n"


def ask(model: str = "chat-x", *, stream: bool = False, text: str = "hi") -> dict[str, Any]:
    return {"model": model, "max_tokens": 50, "stream": stream, "messages": [{"role": "user", "content": text}]}


class Provider:
    """Answers a fixed body and keeps what it was asked."""

    def __init__(
        self, status: int = 200, body: bytes | None = None, headers: list[tuple[str, str]] | None = None
    ) -> None:
        self.status = status
        self.body = chat_answer() if body is None else body
        self.headers = headers or [JSON]
        self.requests: list[tuple[Request, bytes]] = []

    async def __call__(self, request: Request, respond: Responder) -> None:
        self.requests.append((request, await request.read()))
        await respond.complete(self.status, self.headers, self.body)


class Stream:
    """Streams what it is told to, piece by piece, each when the test says so."""

    def __init__(self, *pieces: bytes, abort: bool = False) -> None:
        self.pieces = pieces
        self.abort = abort
        self.go = anyio.Semaphore(0)
        self.asked = anyio.Event()
        self.left = anyio.Event()

    async def __call__(self, request: Request, respond: Responder) -> None:
        try:
            await request.read()
            self.asked.set()
            for n, piece in enumerate(self.pieces):
                await self.go.acquire()
                if n == 0:
                    await respond.head(200, [SSE])
                await respond.body(piece)
            await self.go.acquire()
            await (respond.abort() if self.abort else respond.end())
        finally:
            if request.client_left:
                self.left.set()


async def read_until(stream: anyio.abc.SocketStream, mark: bytes) -> bytes:
    data = b""
    with anyio.fail_after(10):
        while mark not in data:
            data += await stream.receive()
    return data


async def read_all(stream: anyio.abc.SocketStream) -> bytes:
    data = b""
    with anyio.fail_after(10):
        try:
            while True:
                data += await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return data


def unchunked(data: bytes) -> bytes:
    """The body of a chunked answer, which has to end well."""
    body, rest = b"", data.partition(b"\r\n\r\n")[2]
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return body
        body, rest = body + rest[:length], rest[length + 2 :]
