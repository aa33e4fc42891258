"""What clients were told, judged and put together: shared by the rules of answers."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto.grammar import Seen
from ferryllm_proto.translate import State

from . import grammar, oracles
from .answers import (
    CREATED,
    DIALECTS,
    ROLE,
    Told,
    chunk,
    event,
    message_item,
    message_start,
    response_object,
    through,
)
from .native import (
    gemini_chunk,
    gemini_usage,
    ollama_line,
)

ALL = [(entry, backend) for entry in DIALECTS for backend in DIALECTS]

TORN = {
    "openai": ROLE + chunk({"content": "par"}),
    "anthropic": message_start()
    + event("content_block_start", index=0, content_block={"type": "text", "text": ""})
    + event("content_block_delta", index=0, delta={"type": "text_delta", "text": "par"}),
    "openai_responses": CREATED
    + event("response.output_item.added", output_index=0, item={**message_item(), "status": "in_progress"})
    + event("response.output_text.delta", output_index=0, item_id="msg_1", content_index=0, delta="par"),
    "gemini": gemini_chunk({"text": "par"}, usage=gemini_usage(10, 1)),
    "ollama": ollama_line({"content": "par"}),
}
"""Streams that stop in the middle of their text."""
OPENING = {
    "openai": ROLE,
    "anthropic": message_start() + event("ping"),
    "openai_responses": CREATED + event("response.in_progress", response=response_object("in_progress")),
    "gemini": gemini_chunk({"text": ""}, usage=gemini_usage(10, 0)),
    "ollama": ollama_line(),
}
"""Streams that stop before anything was said."""


def failed(entry: str, told: Told, status: int = 200) -> Seen:
    assert told.state is State.FAILED
    assert told.status == status
    seen = grammar.validate(entry, told.body)
    assert seen.failed
    assert not seen.ended
    return seen


def last_of(entry: str, told: Told) -> Any:
    """The JSON of the last event."""
    if entry == "gemini":
        return json.loads(told.body.split(b"\r\n\r\n")[-2].removeprefix(b"data: "))
    if entry == "ollama":
        return json.loads(told.body.splitlines()[-1])
    return json.loads(grammar.frames(told.body)[-1][1])


OTHERS = {name: [other for other in DIALECTS if other != name] for name in DIALECTS}
FG = {
    "tools": {
        "openai": [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
            for name in ("f", "g", "h")
        ],
        "anthropic": [{"name": name, "input_schema": {"type": "object"}} for name in ("f", "g", "h")],
        "openai_responses": [
            {"type": "function", "name": name, "parameters": {"type": "object"}} for name in ("f", "g", "h")
        ],
        "gemini": [
            {
                "functionDeclarations": [
                    {"name": name, "parametersJsonSchema": {"type": "object"}} for name in ("f", "g", "h")
                ]
            }
        ],
        "ollama": [
            {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
            for name in ("f", "g", "h")
        ],
    }
}


def well(entry: str, told: Told) -> Seen:
    assert told.state is State.DONE, told.error
    seen = grammar.validate(entry, told.body)
    assert seen.ended
    return seen


def streamed(entry: str, backend: str, data: bytes, **fields: Any) -> Seen:
    """What the grammar saw; the SDK has put it together too."""
    told = through(entry, backend, data, tools=FG["tools"][entry], **fields)
    seen = well(entry, told)
    try:
        oracles.stream(entry, told.body)
    except Exception as exc:
        if "FinishReason" not in type(exc).__name__:  # a helper's way to say that an answer was cut
            raise
    return seen


def called(seen: Seen) -> list[tuple[str, Any]]:
    return [(name, json.loads(args or "{}")) for name, args in seen.tools]


def names(told: Told) -> list[str]:
    return [name for name, _ in grammar.frames(told.body)]
