"""The mock as a server of Ollama: what its own Python client does with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import ollama
import pytest

from ferryllm_net.mock import MockProvider

from .client import Client, running

pytestmark = pytest.mark.anyio

T = TypeVar("T")
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
]


def chat(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": prompt}], **fields}


async def talking(client: Client, work: Callable[[ollama.Client], T]) -> T:
    def run() -> T:
        with ollama.Client(client.url) as one:
            return work(one)

    return await anyio.to_thread.run_sync(run)


async def test_a_chat_whole_and_streamed() -> None:
    async with running() as client:
        messages = [{"role": "user", "content": "ping? pong!\nmock: reasoning=hm"}]
        whole = await talking(client, lambda one: one.chat("demo", messages))
        parts = await talking(client, lambda one: list(one.chat("demo", messages, stream=True)))
        assert whole.message.content == "".join(part.message.content or "" for part in parts) == "pong"
        assert whole.message.thinking == "".join(part.message.thinking or "" for part in parts) == "hm"
        assert (parts[-1].done, parts[-1].done_reason) == (True, "stop")
        assert (whole.created_at, whole.prompt_eval_count) == (parts[0].created_at, parts[-1].prompt_eval_count)


async def test_the_thin_form_and_an_empty_prompt() -> None:
    async with running() as client:
        answer = await talking(client, lambda one: one.generate("demo", "pong"))
        assert answer.response == "pong"
        loaded = await talking(client, lambda one: one.generate("demo"))
        assert (loaded.response, loaded.done_reason) == ("", "load")
        assert client.mock.requests[0].dialect == "ollama"


async def test_a_tool_is_called_and_its_result_quoted() -> None:
    async with running() as client:
        messages: list[Any] = [{"role": "user", "content": "mock: tools=2"}]
        first = await talking(client, lambda one: one.chat("demo", messages, tools=TOOLS))
        calls = first.message.tool_calls or []
        assert [call.function.name for call in calls] == ["look", "look"]
        messages += [first.message, {"role": "tool", "content": "one"}, {"role": "tool", "content": "two"}]
        second = await talking(client, lambda one: one.chat("demo", messages, tools=TOOLS))
        assert second.message.content == "Done. The tool answered: one; two"


async def test_errors_before_and_in_the_stream() -> None:
    async with running(MockProvider(models=["demo"])) as client:
        with pytest.raises(ollama.ResponseError, match="model 'other' not found") as caught:
            await talking(client, lambda one: one.chat("other", [{"role": "user", "content": "x"}]))
        assert caught.value.status_code == 404
        status, body = await client.ask("POST", "/api/chat", chat("mock: error=context_length"))
        assert (status.status, json.loads(body)) == (400, {"error": "the input length exceeds the context length"})
        _, body = await client.ask("POST", "/api/chat", chat("mock: stream_error=rate_limit\nmock: after=1"))
        lines = [json.loads(line) for line in body.splitlines()]
        assert len(lines) == 2
        assert "Rate limit" in lines[-1]["error"]
        status, body = await client.ask("POST", "/api/chat", {"model": "demo", "messages": [{"role": "robot"}]})
        assert (status.status, json.loads(body)["error"][:13]) == (400, "invalid role:")


async def test_cards() -> None:
    async with running(MockProvider(models=["demo"])) as client:
        listed = await talking(client, lambda one: one.list())
        assert [model.model for model in listed.models] == ["demo"]
        assert (await talking(client, lambda one: one.show("demo"))).capabilities
        assert (await talking(client, lambda one: one.ps())).models[0].name == "demo"
        _, body = await client.ask("GET", "/api/version")
        assert json.loads(body)["version"]
        for method, path, sent, status in (
            ("POST", "/api/show", {"model": "other"}, 404),
            ("POST", "/api/show", {}, 400),
            ("GET", "/api/show", None, 405),
            ("POST", "/api/tags", {}, 405),
            ("GET", "/api/nothing", None, 404),
        ):
            response, body = await client.ask(method, path, sent)
            assert response.status == status
            assert isinstance(json.loads(body)["error"], str)


async def test_a_stream_has_its_type_and_no_limits_of_others() -> None:
    async with running() as client:
        response, _ = await client.ask("POST", "/api/chat", chat("pong"))
        headers = dict(response.headers)
        assert headers["content-type"] == "application/x-ndjson"
        assert not any("ratelimit" in name for name in headers)
