"""The doors: which path speaks which dialect and does what.

One table for authorisation, routing and errors alike, so no two of them can read a path differently.
"""

from __future__ import annotations

import enum

import msgspec

from .dialect import Headers


class Operation(enum.Enum):
    GENERATE = "generate"
    COUNT_TOKENS = "count_tokens"
    MODELS = "models"
    MODEL = "model"
    UPGRADE = "upgrade"
    """``GET`` on the Responses path: Codex tries a WebSocket first and falls back at once when told 426."""
    HEALTH = "health"
    READY = "ready"
    ROOT = "root"


class Entry(msgspec.Struct, frozen=True):
    operation: Operation
    dialect: str
    """Whose words errors are in."""
    public: bool = False
    """Answered without a key."""


_CHAT = Entry(Operation.GENERATE, "openai")
_RESPONSES = Entry(Operation.GENERATE, "openai_responses")
_MESSAGES = Entry(Operation.GENERATE, "anthropic")
_COUNT = Entry(Operation.COUNT_TOKENS, "anthropic")

# Paths without their leading /v1: clients disagree whether a base URL has it, so both forms and a doubled one count.
_POSTS: dict[str, Entry] = {
    "/chat/completions": _CHAT,
    "/responses": _RESPONSES,
    "/messages": _MESSAGES,
    "/messages/count_tokens": _COUNT,
}
_GETS: dict[str, Entry] = {
    "/responses": Entry(Operation.UPGRADE, "openai_responses"),
    "/models": Entry(Operation.MODELS, "openai"),
    "/health": Entry(Operation.HEALTH, "openai", public=True),
    "/healthz": Entry(Operation.HEALTH, "openai", public=True),
    "/readyz": Entry(Operation.READY, "openai", public=True),
    "/": Entry(Operation.ROOT, "openai", public=True),
}


class NoEntry(msgspec.Struct, frozen=True):
    """Nothing answers here."""

    dialect: str
    allow: tuple[str, ...] = ()
    """Methods that do exist for the path: 405; empty: 404."""


def find(method: str, path: str, headers: Headers) -> Entry | NoEntry:
    """The entry for a request line; ``path`` without its query."""
    plain = _plain(path)
    if method == "POST" and plain in _POSTS:
        return _POSTS[plain]
    if method in ("GET", "HEAD"):
        if plain in _GETS:
            entry = _GETS[plain]
            return _in_shape(entry, headers) if entry.operation is Operation.MODELS else entry
        if plain.startswith("/models/") and len(plain) > len("/models/"):
            return _in_shape(Entry(Operation.MODEL, "openai"), headers)
    allow = (("POST",) if plain in _POSTS else ()) + (("GET", "HEAD") if plain in _GETS else ())
    dialect = _POSTS[plain].dialect if plain in _POSTS else _asking_dialect(headers)
    return NoEntry(dialect, allow)


def model_id(path: str) -> str:
    """The model's name in a path of `Operation.MODEL`."""
    return _plain(path).removeprefix("/models/")


def _plain(path: str) -> str:
    if len(path) > 1:
        path = path.rstrip("/") or "/"
    for _ in range(2):
        if path.startswith("/v1/"):
            path = path[3:]
    return path


def _in_shape(entry: Entry, headers: Headers) -> Entry:
    return msgspec.structs.replace(entry, dialect=_asking_dialect(headers))


def _asking_dialect(headers: Headers) -> str:
    """Anthropic's clients always say their API version; nobody else does (M4)."""
    return "anthropic" if any(name.lower() == "anthropic-version" for name, _ in headers) else "openai"
