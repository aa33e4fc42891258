"""Requests of other clients to an Ollama provider, in few words; what is sent is what the client's types allow."""

from __future__ import annotations

from typing import Any

from .client_types import of_ollama
from .sent import Sent
from .to_gemini import USER

QWEN, LLAMA, OSS = "qwen3:8b", "llama3.2", "gpt-oss:20b"
"""A model that thinks, one that does not, and one that is told how much."""


def messages(*conversation: Any, model: str = QWEN, **fields: Any) -> Sent:
    body = {"model": "m", "max_tokens": 4000, "messages": list(conversation) or [USER], **fields}
    return judged(Sent("anthropic", "ollama", body, model))


def chat(*conversation: Any, model: str = QWEN, **fields: Any) -> Sent:
    return judged(Sent("openai", "ollama", {"model": "m", "messages": list(conversation) or [USER], **fields}, model))


def responses(*items: Any, model: str = QWEN, **fields: Any) -> Sent:
    return judged(Sent("openai_responses", "ollama", {"model": "m", "input": list(items) or "hi", **fields}, model))


def judged(sent: Sent) -> Sent:
    assert sent.upstream is None or of_ollama(sent.body) == []
    return sent


def roles(sent: Sent) -> list[str]:
    return [message["role"] for message in sent.body["messages"]]


def said(sent: Sent, number: int = -1) -> dict[str, Any]:
    """One of the messages."""
    found: dict[str, Any] = sent.body["messages"][number]
    return found
