"""The mock's clients: raw HTTP, and the official SDKs in a worker thread."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import anthropic
import anyio
import anyio.to_thread
import openai

from ferryllm_net.http import Origin, Pool, RequestHead, UpstreamResponse, parse_url
from ferryllm_net.mock import MockProvider, serve_mock

T = TypeVar("T")
PATHS = {"openai": "/v1/chat/completions", "openai_responses": "/v1/responses", "anthropic": "/v1/messages"}


def asked(dialect: str, prompt: str, **fields: Any) -> dict[str, Any]:
    """The smallest request of a dialect."""
    if dialect == "openai_responses":
        return {"model": "demo", "input": prompt, **fields}
    limit = {"max_tokens": 500} if dialect == "anthropic" else {}
    return {"model": "demo", "messages": [{"role": "user", "content": prompt}], **limit, **fields}


class Client:
    """The mock's client: raw HTTP of our own pool, and the SDKs in a worker thread."""

    def __init__(self, url: str, pool: Pool, mock: MockProvider) -> None:
        self.url = url
        self.mock = mock
        self._pool = pool
        self._origin: Origin = parse_url(url)[0]

    async def open(
        self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None
    ) -> UpstreamResponse:
        given = {"content-type": "application/json", "anthropic-version": "2023-06-01"} if headers is None else headers
        if headers is None and not target.startswith("/v1/messages"):
            del given["anthropic-version"]
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return await self._pool.open(self._origin, RequestHead(method, target, list(given.items())), data)

    async def ask(
        self, method: str, target: str, body: object = None, headers: dict[str, str] | None = None
    ) -> tuple[UpstreamResponse, bytes]:
        async with await self.open(method, target, body, headers) as response:
            return response, await response.read(1 << 20)

    async def say(self, dialect: str, prompt: str, **fields: Any) -> tuple[UpstreamResponse, bytes]:
        return await self.ask("POST", PATHS[dialect], asked(dialect, prompt, **fields))

    async def openai(self, work: Callable[[openai.OpenAI], T]) -> T:
        def run() -> T:
            with openai.OpenAI(
                base_url=f"{self.url}/v1", api_key="any", max_retries=0, _strict_response_validation=True
            ) as client:
                return work(client)

        return await anyio.to_thread.run_sync(run)

    async def anthropic(self, work: Callable[[anthropic.Anthropic], T]) -> T:
        def run() -> T:
            with anthropic.Anthropic(
                base_url=self.url, api_key="any", max_retries=0, _strict_response_validation=True
            ) as client:
                return work(client)

        return await anyio.to_thread.run_sync(run)


@asynccontextmanager
async def running(mock: MockProvider | None = None) -> AsyncIterator[Client]:
    mock = mock or MockProvider(now=lambda: 1_760_000_000.0)
    with anyio.fail_after(30):
        async with serve_mock(mock) as url, Pool() as pool:
            yield Client(url, pool, mock)
