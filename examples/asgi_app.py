"""An ASGI application, without a framework, that answers clients of all five protocols from one provider.

    UPSTREAM=http://127.0.0.1:8080 uvicorn --app-dir examples asgi_app:app

The path says which protocol a client speaks: `/v1/chat/completions`, `/v1/responses`, `/v1/messages`,
`/v1beta/models/{model}:generateContent` and `:streamGenerateContent`, `/api/chat`. The provider here speaks Chat
Completions; `backend` names another protocol.

`application` takes any HTTP client that can be written as `Send` below; the one at the end is the standard library's,
in a thread, so that the example needs nothing more.
"""

import os
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any

import anyio.to_thread

from ferryllm_proto import DIALECTS, Translator, UpstreamRequest, ir
from ferryllm_proto.entries import NoEntry, Operation, find

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
Answer = tuple[int, list[tuple[str, str]], AsyncIterator[bytes]]
Send = Callable[[UpstreamRequest], Awaitable[Answer]]


def application(upstream: Send, *, backend: str = "openai") -> App:
    """The ASGI callable. ``upstream`` sends a request and answers with status, headers and the body's chunks."""

    async def app(
        scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
        found = find(scope["method"], scope["path"], headers)
        if isinstance(found, NoEntry) or found.operation is not Operation.GENERATE:
            error = ir.Error(ir.ErrorKind.NOT_FOUND, "nothing answers at this path")
            refused, text = DIALECTS[found.dialect].encode_error(error)
            await send({"type": "http.response.start", "status": refused.status, "headers": raw(refused.headers)})
            await send({"type": "http.response.body", "body": text, "more_body": False})
            return
        talk = Translator(entry=found.dialect, backend=backend, now=time.time(), seed=time.time_ns())
        # Gemini's clients name the model in the path, and for Ollama's it decides the form of the answer.
        request = talk.receive_request(body, headers, path=f"{scope['path']}?{scope['query_string'].decode('latin-1')}")
        begun = False

        async def pass_on(data: bytes, *, last: bool = False) -> None:
            """Send the head as soon as it is decided, then what there is."""
            nonlocal begun
            if talk.head is None:
                return
            if not begun:
                begun = True
                head = raw(talk.head.headers)
                await send({"type": "http.response.start", "status": talk.head.status, "headers": head})
            if data or last:
                await send({"type": "http.response.body", "body": data, "more_body": not last})

        if request is not None:  # None: refused, and the answer is ready
            status, fields, chunks = await upstream(request)
            talk.receive_response_head(status, fields)
            async for chunk in chunks:
                await pass_on(talk.receive_data(chunk))
        await pass_on(talk.receive_eof(), last=True)

    return app


def raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def with_urllib(base_url: str) -> Send:
    """A client of the standard library. Its reads block, so they run in a thread."""

    async def send(request: UpstreamRequest) -> Answer:
        query = f"?{request.query}" if request.query else ""
        wanted = urllib.request.Request(
            base_url + request.path + query, request.body, dict(request.headers), method=request.method
        )

        def open_() -> Any:
            try:
                return urllib.request.urlopen(wanted, timeout=300)
            except urllib.error.HTTPError as answer:  # an answer like any other
                return answer

        response = await anyio.to_thread.run_sync(open_)

        async def chunks() -> AsyncIterator[bytes]:
            with response:
                while data := await anyio.to_thread.run_sync(response.read1, 65536):
                    yield data

        return response.status, list(response.headers.items()), chunks()

    return send


app = application(with_urllib(os.environ.get("UPSTREAM", "http://127.0.0.1:8080")))
