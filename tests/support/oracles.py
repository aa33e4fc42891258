"""The official SDKs as judges: their own clients read what we wrote, over a transport that needs no socket."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
from anthropic.types import Message
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

Answer = ChatCompletion | Response | Message

_JSON = {"content-type": "application/json"}
_SSE = {"content-type": "text/event-stream; charset=utf-8"}


def _transport(body: bytes, headers: dict[str, str], status: int = 200) -> httpx2.Client:
    return httpx2.Client(
        transport=httpx2.MockTransport(lambda request: httpx2.Response(status, headers=headers, content=body))
    )


def _openai(body: bytes, headers: dict[str, str], status: int = 200) -> openai.OpenAI:
    http = _transport(body, headers, status)
    return openai.OpenAI(
        api_key="test",
        base_url="http://gateway.test/v1",
        max_retries=0,
        http_client=http,
        _strict_response_validation=True,
    )


def _anthropic(body: bytes, headers: dict[str, str], status: int = 200) -> anthropic.Anthropic:
    http = _transport(body, headers, status)
    return anthropic.Anthropic(
        api_key="test",
        base_url="http://gateway.test",
        max_retries=0,
        http_client=http,
        _strict_response_validation=True,
    )


def whole(dialect: str, body: bytes) -> ChatCompletion | Response | Message:
    """A whole answer as the official client parses it, strictly."""
    if dialect == "openai":
        return _openai(body, _JSON).chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    if dialect == "openai_responses":
        return _openai(body, _JSON).responses.create(model="m", input="hi")
    return _anthropic(body, _JSON).messages.create(
        model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}]
    )


def stream(dialect: str, body: bytes) -> ChatCompletion | Response | Message:
    """A stream folded by the official client's own accumulator. Raises what the client raises."""
    folded: Answer = _STREAMS[dialect](body)
    return folded


def _chat_stream(body: bytes) -> ChatCompletion:
    client = _openai(body, _SSE)
    with client.chat.completions.stream(model="m", messages=[{"role": "user", "content": "hi"}]) as events:
        for _ in events:
            pass
        return events.get_final_completion()


def _responses_stream(body: bytes) -> Response:
    client = _openai(body, _SSE)
    last: Response | None = None
    with client.responses.stream(model="m", input="hi") as events:
        for event in events:  # the helper's own get_final_response knows no incomplete answers
            if event.type in ("response.completed", "response.incomplete"):
                last = event.response
    assert last is not None
    return last


def _messages_stream(body: bytes) -> Message:
    client = _anthropic(body, _SSE)
    with client.messages.stream(model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}]) as events:
        for _ in events:
            pass
        return events.get_final_message()


_STREAMS: dict[str, Callable[[bytes], Any]] = {
    "openai": _chat_stream,
    "openai_responses": _responses_stream,
    "anthropic": _messages_stream,
}


def error(dialect: str, status: int, headers: dict[str, str], body: bytes) -> Exception:
    """The exception the official client raises for an error answer."""
    client_error = {"openai": openai.APIStatusError, "openai_responses": openai.APIStatusError}
    kind = client_error.get(dialect, anthropic.APIStatusError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if dialect == "openai":
                _openai(body, headers, status).chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hi"}]
                )
            elif dialect == "openai_responses":
                _openai(body, headers, status).responses.create(model="m", input="hi")
            else:
                _anthropic(body, headers, status).messages.create(
                    model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}]
                )
    except kind as exc:
        return exc
    raise AssertionError(f"the SDK took status {status} for an answer")
