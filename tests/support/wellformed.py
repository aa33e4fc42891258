"""What every answer of the gateway has to be, whoever asked: errors in the words of the client's dialect, with the
fields its clients read, and nothing of the provider's that is not theirs to see."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

FORBIDDEN = frozenset(
    {
        "set-cookie",
        "strict-transport-security",
        "location",
        "alt-svc",
        "server",
        "via",
        "access-control-allow-origin",
        "proxy-authenticate",
        "www-authenticate",
        "keep-alive",
        "upgrade",
        "trailer",
    }
)
"""Headers of a provider that no client may get."""


def check_error(dialect: str, status: int, body: bytes) -> str:
    """The words of an error answer. Raises AssertionError where a client of ``dialect`` could not read it."""
    assert 400 <= status <= 599, f"an error with status {status}"
    value = json.loads(body)
    if dialect == "gemini" and isinstance(value, list):
        (value,) = value  # clients that stream without alt=sse read an array
    assert isinstance(value, dict), f"{dialect}: an error is an object, found {type(value).__name__}"
    message = _ERRORS[dialect](value)
    assert isinstance(message, str), f"{dialect}: the message is {type(message).__name__}"
    assert message, f"{dialect}: an empty message"
    assert "<html" not in message.lower(), f"{dialect}: a page as message"
    return message


def _openai(value: dict[str, Any]) -> Any:
    error = value["error"]
    assert isinstance(error["type"], str)
    assert error["type"]
    return error["message"]


def _anthropic(value: dict[str, Any]) -> Any:
    assert value["type"] == "error", "an error without its type"
    return _openai(value)


def _gemini(value: dict[str, Any]) -> Any:
    error = value["error"]
    assert isinstance(error["code"], int)
    assert isinstance(error["status"], str)
    return error["message"]


def _ollama(value: dict[str, Any]) -> Any:
    return value["error"]


_ERRORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "openai": _openai,
    "openai_responses": _openai,
    "anthropic": _anthropic,
    "gemini": _gemini,
    "ollama": _ollama,
}


def check_headers(headers: Iterable[tuple[str, str]]) -> None:
    """Raises AssertionError for a header no client may get, and for one that would break the message."""
    for name, value in headers:
        assert name.lower() not in FORBIDDEN, f"the provider's {name} reached the client"
        assert not set(value) & {"\r", "\n", "\0"}, f"a line break in {name}"
