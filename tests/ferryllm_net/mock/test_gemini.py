"""The mock as a server of Gemini: what Google's own Python client does with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import pytest
from google import genai
from google.genai import errors, types

from ferryllm_net.mock import MockProvider

from .client import Client, running

pytestmark = pytest.mark.anyio

T = TypeVar("T")
MODEL = "gemini-3-flash-preview"
PATH = f"/v1beta/models/{MODEL}"
LOOK = types.FunctionDeclaration(
    name="look", parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}}
)
TOOLS: Any = [types.Tool(function_declarations=[LOOK])]


def body(prompt: str, **fields: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": prompt}]}], **fields}


async def talking(client: Client, work: Callable[[genai.Client], T], *, key: str = "any") -> T:
    def run() -> T:
        options = types.HttpOptions(base_url=client.url, retry_options=types.HttpRetryOptions(attempts=1))
        with genai.Client(api_key=key, http_options=options) as one:
            return work(one)

    return await anyio.to_thread.run_sync(run)


async def test_an_answer_whole_and_streamed() -> None:
    prompt = "ping? pong!\nmock: reasoning=hm"
    async with running() as client:
        whole = await talking(client, lambda one: one.models.generate_content(model=MODEL, contents=prompt))
        parts = await talking(
            client, lambda one: list(one.models.generate_content_stream(model=MODEL, contents=prompt))
        )
        assert whole.text == "".join(part.text or "" for part in parts) == "pong"
        assert whole.usage_metadata is not None
        assert parts[-1].usage_metadata is not None
        assert whole.usage_metadata.total_token_count == parts[-1].usage_metadata.total_token_count
        assert [request.dialect for request in client.mock.requests] == ["gemini", "gemini"]


async def test_a_tool_loop_keeps_its_signatures() -> None:
    """The mock refuses the second request where the first call comes back without the signature it had."""
    config = types.GenerateContentConfig(
        tools=TOOLS, automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True)
    )

    def work(one: genai.Client) -> str | None:
        chat = one.chats.create(model=MODEL, config=config)
        first = chat.send_message("mock: tools=2")
        calls = first.function_calls or []
        assert [call.name for call in calls] == ["look", "look"]
        answers: Any = [
            types.Part(function_response=types.FunctionResponse(id=c.id, name=c.name, response={"output": "sunny"}))
            for c in calls
        ]
        return chat.send_message(answers).text

    async with running() as client:
        assert "sunny" in (await talking(client, work) or "")
        second = client.mock.requests[1].json()
        del second["contents"][1]["parts"][0]["thoughtSignature"]
        response, refused = await client.ask("POST", f"{PATH}:generateContent", second)
        assert response.status == 400
        assert "missing a thought_signature" in json.loads(refused)["error"]["message"]


async def test_the_array_form() -> None:
    async with running() as client:
        response, data = await client.ask("POST", f"{PATH}:streamGenerateContent", body("pong"))
        assert dict(response.headers)["content-type"].startswith("application/json")
        found = json.loads(data)
        assert found[-1]["candidates"][0]["finishReason"] == "STOP"


async def test_counts_and_lists() -> None:
    async with running(MockProvider(models=["gemini-a"])) as client:
        counted = await talking(client, lambda one: one.models.count_tokens(model="gemini-a", contents="hello there"))
        assert (counted.total_tokens or 0) > 0
        names = await talking(client, lambda one: [model.name for model in one.models.list()])
        assert names == ["models/gemini-a"]
        one_ = await talking(client, lambda one: one.models.get(model="gemini-a"))
        assert one_.name == "models/gemini-a"
        with pytest.raises(errors.ClientError, match="does not exist"):
            await talking(client, lambda one: one.models.generate_content(model="other", contents="hi"))


async def test_errors_before_and_inside_a_stream() -> None:
    async with running() as client:
        for prompt, code in (("mock: error=429 retry_after=3", 429), ("mock: stream_error=overloaded after=1", 503)):
            with pytest.raises(errors.APIError) as caught:
                await talking(
                    client,
                    lambda one, said=prompt: list(one.models.generate_content_stream(model=MODEL, contents=said)),  # type: ignore[misc]
                )
            assert caught.value.code == code


@pytest.mark.parametrize("place", ["header", "query", "none"])
async def test_n5_a_key_in_the_header_or_in_the_query(place: str) -> None:
    headers = {"content-type": "application/json"} | ({"x-goog-api-key": "k"} if place == "header" else {})
    target = f"{PATH}:generateContent" + ("?key=k" if place == "query" else "")
    async with running(MockProvider(key="k")) as client:
        response, _ = await client.ask("POST", target, body("hi"), headers)
        assert response.status == (401 if place == "none" else 200)
        shown, data = await client.ask("GET", "/__mock/requests")
        assert shown.status == 200
        assert "key=k" not in data.decode()
        assert '["x-goog-api-key","k"]' not in data.decode()


async def test_what_the_api_refuses_is_refused_in_its_form() -> None:
    async with running() as client:
        response, data = await client.ask("POST", f"{PATH}:generateContent", body("hi", strict=True))
        assert response.status == 400
        error = json.loads(data)["error"]
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
        assert 'Unknown name "strict"' in error["message"]
