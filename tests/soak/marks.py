"""Marks: every request of the soak carries one, and its answer has to bring it back.

A mark also says how long the answer is, so the provider needs no memory and the client knows every byte of the text.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

import msgspec

from support.answers import (
    ASK,
    CREATED,
    chat,
    chat_usage,
    chat_whole,
    event,
    message_item,
    messages,
    messages_whole,
    numbered,
    response_object,
    responses_whole,
    text_block,
)
from support.faults.catalogue import Case
from support.native import gemini, gemini_whole, ollama, ollama_whole

_MARK = re.compile(rb"tk([0-9a-f]{12})n(\d+)s(\d+)tk")
_PATHS = {
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "ollama": "/api/chat",
}


class Mark(msgspec.Struct, frozen=True):
    """What one request wants to hear."""

    id: str
    pieces: int = 0
    """Further pieces of text behind the first ones."""
    size: int = 0
    """Characters of filling in each of them."""

    @property
    def word(self) -> str:
        return f"tk{self.id}n{self.pieces}s{self.size}tk"

    @property
    def parts(self) -> list[str]:
        """The text as it is streamed; it begins as the faults expect it."""
        return ["Hel", "lo \u2028é😀 ", self.word, *(f" {n}{'x' * self.size}" for n in range(self.pieces))]

    @property
    def text(self) -> str:
        return "".join(self.parts)


def mark_in(data: bytes) -> Mark:
    """The last mark in a request: before it may stand those of earlier turns. Raises ValueError where there is none."""
    found = _MARK.findall(data)
    if not found:
        raise ValueError("a request without a mark")
    return Mark(found[-1][0].decode(), int(found[-1][1]), int(found[-1][2]))


def new_mark(chance: random.Random, pieces: int = 0, size: int = 0) -> Mark:
    return Mark(f"{chance.getrandbits(48):012x}", pieces, size)


class Marked(Case, frozen=True):
    """A case whose answer repeats the mark."""

    mark: Mark

    @property
    def body(self) -> bytes:
        return streamed(self.dialect, self.mark.parts) if self.stream else whole(self.dialect, self.mark.text)


def whole(dialect: str, text: str) -> bytes:
    """A provider's whole answer."""
    if dialect == "openai":
        return chat_whole({"content": text}, usage=chat_usage())
    if dialect == "anthropic":
        return messages_whole({"type": "text", "text": text})
    if dialect == "openai_responses":
        return responses_whole(message_item(text))
    return gemini_whole({"text": text}) if dialect == "gemini" else ollama_whole({"content": text})


def streamed(dialect: str, parts: list[str]) -> bytes:
    """A provider's stream, one event a part."""
    if dialect == "openai":
        return chat(*({"content": part} for part in parts), usage=chat_usage())
    if dialect == "anthropic":
        return messages(text_block(0, *parts))
    if dialect == "gemini":
        return gemini(*({"text": part} for part in parts))
    if dialect == "ollama":
        return ollama(*({"content": part} for part in parts))
    return _responses(parts)


def _responses(parts: list[str]) -> bytes:
    item = message_item("".join(parts))
    content = item["content"][0]
    at: dict[str, Any] = {"output_index": 0, "item_id": item["id"]}
    out = [
        CREATED,
        event("response.output_item.added", output_index=0, item={**item, "status": "in_progress", "content": []}),
        event("response.content_part.added", **at, content_index=0, part={**content, "text": ""}),
        *(event("response.output_text.delta", **at, content_index=0, delta=part, logprobs=[]) for part in parts),
        event("response.output_text.done", **at, content_index=0, text=content["text"], logprobs=[]),
        event("response.content_part.done", **at, content_index=0, part=content),
        event("response.output_item.done", output_index=0, item=item),
        event("response.completed", response=response_object("completed", [item])),
    ]
    return numbered(b"".join(out))


class Question(msgspec.Struct, frozen=True):
    """One request of a client."""

    entry: str
    backend: str
    name: str
    """What the provider does with it."""
    stream: bool
    mark: Mark
    path: str
    body: bytes

    def head(self, *fields: str) -> bytes:
        own = (f"POST {self.path} HTTP/1.1", "host: 127.0.0.1", "content-type: application/json")
        return "\r\n".join([*own, f"content-length: {len(self.body)}", *fields, "", ""]).encode()


def question(
    entry: str, backend: str, name: str, mark: Mark, *, door: str = "plain", stream: bool, filling: str = ""
) -> Question:
    """A request at ``entry`` that a provider of ``backend`` answers; ``filling`` makes it long."""
    model = f"xx-{door}-yy-{backend}-yy-zz-{name}-zz"
    body: dict[str, Any] = json.loads(json.dumps(ASK[entry]).replace('"hi"', f'"{filling} {mark.word}"'))
    if entry == "gemini":
        path = f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")
    else:
        path = _PATHS[entry]
        body.update(model=model, stream=stream)
    return Question(entry, backend, name, stream, mark, path, json.dumps(body).encode())
