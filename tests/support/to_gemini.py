"""Requests of other clients to a Gemini provider, in few words; what is sent is what Google's types allow."""

from __future__ import annotations

from typing import Any

from .client_types import of_google
from .rich_requests import PNG
from .sent import Sent

NEW, OLD, OLDEST = "gemini-3-pro-preview", "gemini-2.5-flash", "gemini-1.5-pro"
DUMMY = "skip_thought_signature_validator"
USER = {"role": "user", "content": "hi"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}


def messages(*conversation: Any, model: str = NEW, **fields: Any) -> Sent:
    body = {"model": "m", "max_tokens": 4000, "messages": list(conversation) or [USER], **fields}
    return judged(Sent("anthropic", "gemini", body, model))


def chat(*conversation: Any, model: str = NEW, **fields: Any) -> Sent:
    return judged(Sent("openai", "gemini", {"model": "m", "messages": list(conversation) or [USER], **fields}, model))


def responses(*items: Any, model: str = NEW, **fields: Any) -> Sent:
    return judged(Sent("openai_responses", "gemini", {"model": "m", "input": list(items) or "hi", **fields}, model))


def judged(sent: Sent) -> Sent:
    assert sent.upstream is None or of_google(sent.body) == []
    return sent


def used(id_: str = "toolu_1", name: str = "f", **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": arguments}


def result(id_: str = "toolu_1", content: Any = "x", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, "content": content, **fields}


def called(id_: str, arguments: str = "{}", name: str = "f") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def round_of(*blocks: Any, calls: tuple[Any, ...] = (used(),)) -> list[Any]:
    return [USER, {"role": "assistant", "content": list(calls)}, {"role": "user", "content": list(blocks)}]


def roles(sent: Sent) -> list[str]:
    return [content["role"] for content in sent.body["contents"]]


def parts(sent: Sent, content: int = -1) -> list[Any]:
    found: list[Any] = sent.body["contents"][content]["parts"]
    return found


def declared(sent: Sent) -> list[Any]:
    """The functions."""
    found: list[Any] = sent.body["tools"][0]["functionDeclarations"]
    return found
