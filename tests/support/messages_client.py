"""A Messages client's requests, in few words."""

from __future__ import annotations

from typing import Any

from support.rich_requests import PDF, PNG
from support.sent import Sent

OPENAI = ("openai", "openai_responses")
TOOL = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
USER = {"role": "user", "content": "hi"}


def ask(backend: str, *messages: Any, model: str | None = None, **fields: Any) -> Sent:
    body = {"model": "mine", "max_tokens": 4000, "messages": list(messages) or [USER], **fields}
    return Sent("anthropic", backend, body, model)


def use(id_: str = "toolu_1", name: str = "f", input_: Any = None) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": {} if input_ is None else input_}


def result(id_: str = "toolu_1", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, **fields}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def messages(sent: Sent) -> list[dict[str, Any]]:
    """Chat messages or Responses items without instructions."""
    body = sent.body
    found: list[dict[str, Any]] = body["messages"] if "messages" in body else body["input"]
    return [m for m in found if m.get("role") not in ("system", "developer")]


def system_text(sent: Sent) -> str:
    body = sent.body
    found = [body["instructions"]] if "instructions" in body else []
    for item in body.get("messages", body.get("input", [])):
        if item.get("role") in ("system", "developer"):
            content = item["content"]
            found += [content] if isinstance(content, str) else [part["text"] for part in content]
    return "|".join(found)


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
BYTES = {"type": "base64", "media_type": "application/pdf", "data": PDF}


def document(source: Any, **fields: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **fields}
