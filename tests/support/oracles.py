"""The official SDKs as judges: their own clients read what we wrote, over a transport that needs no socket."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable
from typing import Any

import anthropic
import httpx
import httpx2
import msgspec
import ollama
import openai
from anthropic.types import Message
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types
from openai.types.chat import ChatCompletion
from openai.types.responses import Response


class Google(msgspec.Struct):
    """A Gemini answer as the client gave it: one response, or those of a stream."""

    responses: list[genai_types.GenerateContentResponse]

    @property
    def model(self) -> str:
        return self.responses[-1].model_version or ""

    @property
    def parts(self) -> list[genai_types.Part]:
        """The parts of the first candidate, those of a stream one behind the other."""
        contents = [r.candidates[0].content for r in self.responses if r.candidates]
        return [part for content in contents if content is not None for part in content.parts or []]

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The answer as a client keeps it: a content to send back."""
        parts = [part.model_dump(mode="json", by_alias=True, exclude_none=True) for part in self.parts]
        return {"role": "model", "parts": parts}

    @property
    def history(self) -> list[dict[str, Any]]:
        """The answer as the client's own chats keep it: a content for each chunk of a stream."""
        contents = [r.candidates[0].content for r in self.responses if r.candidates]
        return [c.model_dump(mode="json", by_alias=True, exclude_none=True) for c in contents if c is not None]


class Ollama(msgspec.Struct):
    """An Ollama answer as the client gave it: one response, or the lines of a stream."""

    responses: list[ollama.ChatResponse]

    @property
    def model(self) -> str:
        return self.responses[-1].model or ""

    @property
    def message(self) -> ollama.Message:
        """The message, that of a stream put together as its documentation does."""
        messages = [response.message for response in self.responses]
        return ollama.Message(
            role="assistant",
            content="".join(message.content or "" for message in messages),
            thinking="".join(message.thinking or "" for message in messages) or None,
            tool_calls=[call for message in messages for call in message.tool_calls or ()] or None,
        )

    def model_dump(self, **_: Any) -> dict[str, Any]:
        """The message as a client sends it back."""
        return self.message.model_dump(mode="json", exclude_none=True)


Answer = ChatCompletion | Response | Message | Google | Ollama

_JSON = {"content-type": "application/json"}
_SSE = {"content-type": "text/event-stream; charset=utf-8"}
_NDJSON = {"content-type": "application/x-ndjson"}


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


_google_answers: list[httpx.Response] = []
"""What the one client reads next: making one takes longer than all it does here."""


@functools.cache
def _google_client() -> genai.Client:
    transport = httpx.MockTransport(lambda request: _google_answers.pop())
    options = genai_types.HttpOptions(
        base_url="http://gateway.test", httpx_client=httpx.Client(transport=transport), api_version="v1beta"
    )
    return genai.Client(api_key="test", http_options=options)


def _google(body: bytes, headers: dict[str, str], status: int = 200) -> genai.Client:
    _google_answers[:] = [httpx.Response(status, headers=headers, content=body)]
    return _google_client()


def _ollama(body: bytes, headers: dict[str, str], status: int = 200) -> ollama.Client:
    transport = httpx.MockTransport(lambda request: httpx.Response(status, headers=headers, content=body))
    return ollama.Client(host="http://gateway.test", transport=transport)


def whole(dialect: str, body: bytes) -> Any:
    """A whole answer as the official client parses it, strictly."""
    if dialect == "gemini":
        genai_types.GenerateContentResponse.model_validate_json(body)  # the client itself lets unknown fields pass
        return Google([_google(body, _JSON).models.generate_content(model="m", contents="hi")])
    if dialect == "ollama":
        return Ollama([_ollama(body, _JSON).chat("m", [{"role": "user", "content": "hi"}])])
    if dialect == "openai":
        return _openai(body, _JSON).chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    if dialect == "openai_responses":
        return _openai(body, _JSON).responses.create(model="m", input="hi")
    return _anthropic(body, _JSON).messages.create(
        model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}]
    )


def stream(dialect: str, body: bytes) -> Any:
    """A stream folded by the official client's own accumulator, where it has one. Raises what the client raises."""
    return _STREAMS[dialect](body)


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


OLD_GOOGLE = int(genai.__version__.partition(".")[0]) < 3
"""Whether this is the SDK of Python 3.10: it cuts long and non-ASCII events in the middle, so only its types judge."""


def _google_stream(body: bytes) -> Google:
    if OLD_GOOGLE:
        chunks = [event.removeprefix(b"data: ") for event in body.split(b"\r\n\r\n") if event]
        for chunk in chunks:
            if "error" in (said := json.loads(chunk)):
                raise genai_errors.APIError(said["error"]["code"], said)
        return Google([genai_types.GenerateContentResponse.model_validate_json(chunk) for chunk in chunks])
    client = _google(body, _SSE)
    return Google(list(client.models.generate_content_stream(model="m", contents="hi")))


def _ollama_stream(body: bytes) -> Ollama:
    client = _ollama(body, _NDJSON)
    return Ollama(list(client.chat("m", [{"role": "user", "content": "hi"}], stream=True)))


_STREAMS: dict[str, Callable[[bytes], Any]] = {
    "openai": _chat_stream,
    "openai_responses": _responses_stream,
    "anthropic": _messages_stream,
    "gemini": _google_stream,
    "ollama": _ollama_stream,
}


_ERRORS: dict[str, type[Exception]] = {
    "openai": openai.APIStatusError,
    "openai_responses": openai.APIStatusError,
    "anthropic": anthropic.APIStatusError,
    "gemini": genai_errors.APIError,
    "ollama": ollama.ResponseError,
}


def error(dialect: str, status: int, headers: dict[str, str], body: bytes) -> Exception:
    """The exception the official client raises for an error answer."""
    kind = _ERRORS[dialect]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if dialect == "openai":
                _openai(body, headers, status).chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hi"}]
                )
            elif dialect == "openai_responses":
                _openai(body, headers, status).responses.create(model="m", input="hi")
            elif dialect == "gemini":
                _google(body, headers, status).models.generate_content(model="m", contents="hi")
            elif dialect == "ollama":
                _ollama(body, headers, status).chat("m", [{"role": "user", "content": "hi"}])
            else:
                _anthropic(body, headers, status).messages.create(
                    model="m", max_tokens=1, messages=[{"role": "user", "content": "hi"}]
                )
    except kind as exc:
        return exc
    raise AssertionError(f"the SDK took status {status} for an answer")
