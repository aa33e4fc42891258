"""Checks a request's JSON against the pydantic types of Google's and Ollama's clients, unknown keys included.

Google's types forbid what they do not know. Ollama's let it pass, so the keys are looked at here.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import ollama
import pydantic
from google.genai import types as google

_GOOGLE: dict[str, type[pydantic.BaseModel]] = {
    "contents": google.Content,
    "systemInstruction": google.Content,
    "tools": google.Tool,
    "toolConfig": google.ToolConfig,
    "safetySettings": google.SafetySetting,
    "generationConfig": google.GenerationConfig,
}
_PLAIN = {"cachedContent": str, "labels": dict, "serviceTier": str, "store": bool}
"""Fields of a body that the SDK makes itself."""


def of_google(body: dict[str, Any]) -> list[str]:
    """What is wrong with a body for ``:generateContent``."""
    found = [".contents: missing"] if not isinstance(body.get("contents"), list) else []
    for name, value in body.items():
        if name in _PLAIN:
            found += [] if isinstance(value, _PLAIN[name]) else [f".{name}: not a {_PLAIN[name].__name__}"]
        elif name in _GOOGLE:
            many = name in ("contents", "tools", "safetySettings")
            for n, one in enumerate(value if many and isinstance(value, list) else [value]):
                found += _validated(_GOOGLE[name], one, f".{name}[{n}]" if many else f".{name}")
        else:
            found.append(f".{name}: unknown")
    return found


def of_ollama(body: dict[str, Any]) -> list[str]:
    """What is wrong with a body for ``/api/chat``."""
    found = [] if isinstance(body.get("messages"), list) else [".messages: missing"]
    # Newer than the client's types: wire.md 6.
    found += _unknown(body, ollama._types.ChatRequest.model_fields, "", ("truncate", "shift"))
    found += _validated(ollama._types.ChatRequest, body, "")
    for n, message in enumerate(body.get("messages") or []):
        at = f".messages[{n}]"
        # The client turns its own type of images into the texts that are sent.
        pictures = {"images": [{"value": one} for one in message["images"]]} if "images" in message else {}
        found += _validated(ollama.Message, {**message, **pictures}, at)
        found += _unknown(message, ollama.Message.model_fields, at, ("tool_call_id",))
        for m, call in enumerate(message.get("tool_calls") or []):
            found += _unknown(call, ("id", "type", "function"), f"{at}.tool_calls[{m}]")
            found += _unknown(call["function"], ("index", "name", "arguments"), f"{at}.tool_calls[{m}].function")
    for n, tool in enumerate(body.get("tools") or []):
        found += _unknown(tool, ("type", "function"), f".tools[{n}]")
        found += _unknown(tool["function"], ("name", "description", "parameters"), f".tools[{n}].function")
    found += _unknown(body.get("options") or {}, ollama.Options.model_fields, ".options", ("min_p",))
    return found


def _unknown(value: dict[str, Any], known: Iterable[str], path: str, more: tuple[str, ...] = ()) -> list[str]:
    return [f"{path}.{name}: unknown" for name in value if name not in {*known, *more}]


def _validated(type_: type[pydantic.BaseModel], value: Any, path: str) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # an unknown word of an enum is only a warning
            type_.model_validate(value)
    except pydantic.ValidationError as exc:
        return [f"{path}.{'.'.join(str(step) for step in one['loc'])}: {one['msg']}" for one in exc.errors()]
    except (AttributeError, UserWarning) as exc:  # a number where the type has words
        return [f"{path}: {exc}"]
    return []


CHECKS: dict[str, Callable[[dict[str, Any]], list[str]]] = {"gemini": of_google, "ollama": of_ollama}
