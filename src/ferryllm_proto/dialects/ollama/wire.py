"""The JSON of Ollama's API as types. They know nothing.

Source: docs/api.md and api/types.go of the Ollama project, types of the official Python client. Requests are decoded
with `json.decode_known`, so that unknown fields are found on every level; answers tolerate what they do not know.
"""

from __future__ import annotations

import msgspec

from ... import json
from ...json import Raw

NAME = "ollama"
CHAT_PATH = "/api/chat"
GENERATE_PATH = "/api/generate"

ABSENT = Raw()


def given(raw: Raw) -> bytes | None:
    """The bytes of a value; None where it is absent or null, which is the same to Ollama."""
    data = bytes(raw)
    return None if data in (b"", b"null") else data


def is_generate(path: str | None) -> bool:
    """Whether a client's or provider's path is that of the thin form, ``/api/generate``."""
    return path is not None and path.partition("?")[0].rstrip("/").endswith("/generate")


# --- requests --------------------------------------------------------------------------------------------


class ChatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str = ""
    messages: Raw = ABSENT
    tools: Raw = ABSENT
    format: Raw = ABSENT
    options: Raw = ABSENT
    stream: bool | None = None
    think: Raw = ABSENT
    logprobs: bool | None = None
    top_logprobs: int | None = None
    truncate: bool | None = None
    # Not here: keep_alive, shift, which go to ``ext`` like unknown fields.


class GenerateRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: str = ""
    prompt: str | None = None
    system: str | None = None
    images: Raw = ABSENT
    format: Raw = ABSENT
    options: Raw = ABSENT
    stream: bool | None = None
    think: Raw = ABSENT
    logprobs: bool | None = None
    top_logprobs: int | None = None
    truncate: bool | None = None
    # Not here: suffix, template, raw, context, width, height, steps, keep_alive, which go to ``ext``.


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str
    content: str | None = None
    thinking: str | None = None
    images: Raw = ABSENT
    tool_calls: Raw = ABSENT
    tool_name: str | None = None
    tool_call_id: str | None = None


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str | None = None
    function: Raw = ABSENT


class CallFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: Raw = ABSENT


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str = "function"
    function: Raw = ABSENT


class ToolFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: Raw = ABSENT


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Those options the representation has; all others are kept under their names."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    num_predict: int | None = None
    stop: list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


class Peek(msgspec.Struct, frozen=True):
    """What routing has to know."""

    model: str = ""
    stream: bool | None = None


class LoadRequest(msgspec.Struct, frozen=True):
    """What tells a request that only loads a model from one that is to be answered."""

    model: str = ""
    prompt: Raw = ABSENT
    messages: Raw = ABSENT
    keep_alive: Raw = ABSENT


class ShowRequest(msgspec.Struct, frozen=True):
    """``name`` is what older clients call it."""

    model: str | None = None
    name: str | None = None


peek = json.decoder(Peek)
load_request = json.decoder(LoadRequest)
show_request = json.decoder(ShowRequest)
chat_request = json.decoder(ChatRequest)
generate_request = json.decoder(GenerateRequest)
message = json.decoder(Message)
call = json.decoder(Call)
call_function = json.decoder(CallFunction)
tool = json.decoder(Tool)
tool_function = json.decoder(ToolFunction)
options = json.decoder(Options)
string = json.decoder(str)
boolean = json.decoder(bool)
strings = json.decoder(list[str])


# --- answers ---------------------------------------------------------------------------------------------


class AnswerFunction(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: Raw = ABSENT


class AnswerCall(msgspec.Struct, frozen=True):
    id: str | None = None
    function: AnswerFunction | None = None


class AnswerMessage(msgspec.Struct, frozen=True):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[AnswerCall] | None = None


class Line(msgspec.Struct, frozen=True):
    """A line of a stream, or a whole answer; of either form."""

    model: str | None = None
    created_at: str | None = None
    message: AnswerMessage | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: int | float | None = None
    eval_count: int | float | None = None
    logprobs: Raw = ABSENT
    error: Raw = ABSENT


line = json.decoder(Line)


class ErrorBody(msgspec.Struct, frozen=True):
    """An error: a string here, an object on the server's other doors."""

    error: Raw = ABSENT
    message: Raw = ABSENT
    status_code: int | None = None
    """Ollama's cloud says it inside a stream."""


error_body = json.decoder(ErrorBody)
