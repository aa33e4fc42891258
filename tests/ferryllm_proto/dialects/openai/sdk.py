"""The official SDK as judge of streams we write: its own SSE reader, types and accumulator."""

from __future__ import annotations

import httpx
from openai import OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk, ParsedChatCompletion


def read(stream: bytes) -> tuple[list[ChatCompletionChunk], ParsedChatCompletion[None]]:
    """Every chunk as the SDK hands it out, strictly validated, and the SDK's own sum of them.

    Raises what the SDK raises: ``openai.APIError`` for an error in the stream.
    """

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with httpx.Client(transport=httpx.MockTransport(answer)) as http:
        client = OpenAI(api_key="k", base_url="http://127.0.0.1/v1", http_client=http, max_retries=0)
        chunks = list(client.chat.completions.create(model="m", messages=[], stream=True))
    state = ChatCompletionStreamState()
    for chunk in chunks:
        ChatCompletionChunk.model_validate_json(chunk.model_dump_json(exclude_unset=True), strict=True)
        state.handle_chunk(chunk)
    return chunks, state.get_final_completion()
