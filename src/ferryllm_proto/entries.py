"""The doors: which path speaks which dialect and does what.

One table for authorisation, routing and errors alike, so no two of them can read a path differently.
"""

from __future__ import annotations

import enum

import msgspec

from .dialect import Headers


class Operation(enum.Enum):
    __hash__ = object.__hash__  # members are equal where they are the same: Enum's own hash is eight times as dear

    # Conversations with a provider.
    GENERATE = "generate"
    COUNT_TOKENS = "count_tokens"
    EMBED = "embed"
    COMPLETE = "complete"
    """``/v1/completions``, the text completions of before Chat."""
    COMPACT = "compact"
    """``/v1/responses/compact``."""
    FORWARD = "forward"
    """A path the configuration hands to a provider as it is: images, audio, files, batches."""
    # Answered by the gateway itself.
    MODELS = "models"
    MODEL = "model"
    SHOW = "show"
    """Ollama's ``/api/show``: what is known of one model."""
    PS = "ps"
    """Ollama's ``/api/ps``: the models that are loaded."""
    VERSION = "version"
    RESPONSE = "response"
    """``GET`` or ``DELETE /v1/responses/{id}``."""
    CANCEL = "cancel"
    INPUT_ITEMS = "input_items"
    SOCKET = "socket"
    """``GET /v1/responses`` with an upgrade: a WebSocket."""
    HEALTH = "health"
    READY = "ready"
    METRICS = "metrics"
    ROOT = "root"
    ADMIN = "admin"
    """Everything below ``/admin/``, which asks for a key of its own."""


CONVERSATIONS = frozenset(
    {
        Operation.GENERATE,
        Operation.COUNT_TOKENS,
        Operation.EMBED,
        Operation.COMPLETE,
        Operation.COMPACT,
        Operation.FORWARD,
    }
)
"""What an `Exchange` does; the rest is answered without a provider."""

OPERATION_NAMES = {operation: operation.value for operation in Operation}
"""The values by member: ``operation.value`` is a call of Python."""


class Entry(msgspec.Struct, frozen=True):
    operation: Operation
    dialect: str
    """Whose words errors are in."""
    public: bool = False
    """Answered without a key."""
    provider: str = ""
    """Who gets a request of `Operation.FORWARD`."""
    target: str = ""
    """What it is asked for: the path as the configuration writes it, and what the client has below it."""


class NoEntry(msgspec.Struct, frozen=True):
    """Nothing answers here."""

    dialect: str
    allow: tuple[str, ...] = ()
    """Methods that do exist for the path: 405; empty: 404."""


class Forward(msgspec.Struct, frozen=True):
    """Paths that go to a provider as they are."""

    path: str
    """As clients write it, from ``/v1`` on; everything below it goes too."""
    provider: str
    dialect: str = "openai"
    """Whose words errors are in."""


_POST = ("POST",)
_READ = ("GET", "HEAD")

_CHAT = Entry(Operation.GENERATE, "openai")
_RESPONSES = Entry(Operation.GENERATE, "openai_responses")
_MESSAGES = Entry(Operation.GENERATE, "anthropic")

# Paths without their leading /v1: clients disagree whether a base URL has it, so both forms and a doubled one count.
_EXACT: dict[str, dict[tuple[str, ...], Entry]] = {
    "/chat/completions": {_POST: _CHAT},
    "/responses": {_POST: _RESPONSES, _READ: Entry(Operation.SOCKET, "openai_responses")},
    "/responses/input_tokens": {_POST: Entry(Operation.COUNT_TOKENS, "openai_responses")},
    "/responses/compact": {_POST: Entry(Operation.COMPACT, "openai_responses")},
    "/messages": {_POST: _MESSAGES},
    "/messages/count_tokens": {_POST: Entry(Operation.COUNT_TOKENS, "anthropic")},
    "/completions": {_POST: Entry(Operation.COMPLETE, "openai")},
    "/embeddings": {_POST: Entry(Operation.EMBED, "openai")},
    "/models": {_READ: Entry(Operation.MODELS, "openai")},
    "/api/chat": {_POST: Entry(Operation.GENERATE, "ollama")},
    "/api/generate": {_POST: Entry(Operation.GENERATE, "ollama")},
    "/api/embed": {_POST: Entry(Operation.EMBED, "ollama")},
    "/api/embeddings": {_POST: Entry(Operation.EMBED, "ollama")},
    "/api/show": {_POST: Entry(Operation.SHOW, "ollama")},
    "/api/tags": {_READ: Entry(Operation.MODELS, "ollama")},
    "/api/ps": {_READ: Entry(Operation.PS, "ollama")},
    "/api/version": {_READ: Entry(Operation.VERSION, "ollama")},
    "/health": {_READ: Entry(Operation.HEALTH, "openai", public=True)},
    "/healthz": {_READ: Entry(Operation.HEALTH, "openai", public=True)},
    "/readyz": {_READ: Entry(Operation.READY, "openai", public=True)},
    "/metrics": {_READ: Entry(Operation.METRICS, "openai")},
    "/": {_READ: Entry(Operation.ROOT, "openai", public=True)},
}

# What stands behind the colon of Gemini's models.
_GEMINI: dict[str, Entry] = {
    "generateContent": Entry(Operation.GENERATE, "gemini"),
    "streamGenerateContent": Entry(Operation.GENERATE, "gemini"),
    "countTokens": Entry(Operation.COUNT_TOKENS, "gemini"),
    "embedContent": Entry(Operation.EMBED, "gemini"),
    "batchEmbedContents": Entry(Operation.EMBED, "gemini"),
}

_ADMIN: dict[tuple[str, ...], Entry] = {
    ("GET", "HEAD", "POST", "PATCH", "DELETE"): Entry(Operation.ADMIN, "openai", public=True)
}
"""Not below a version: it is no client's API."""

_RESPONSE: dict[tuple[str, ...], Entry] = {("GET", "DELETE"): Entry(Operation.RESPONSE, "openai_responses")}
# What stands behind the id of a stored response.
_STORED: dict[str, dict[tuple[str, ...], Entry]] = {
    "cancel": {_POST: Entry(Operation.CANCEL, "openai_responses")},
    "input_items": {_READ: Entry(Operation.INPUT_ITEMS, "openai_responses")},
}


_USUAL = {
    (method, prefix + path): entry
    for path, here in _EXACT.items()
    for methods, entry in here.items()
    for method in methods
    for prefix in ("", "/v1")
    if path not in ("/", "/models")
}
"""Request lines as nearly all clients write them: a shortcut of `find`, which knows the other ways too."""


def find(method: str, path: str, headers: Headers, forwards: tuple[Forward, ...] = ()) -> Entry | NoEntry:
    """The entry for a request line; ``path`` without its query. ``forwards`` are the configuration's, longest first."""
    usual = _USUAL.get((method, path))
    if usual is not None:
        return usual
    plain = _plain(path)
    here = _methods(plain, path, headers)
    for methods, entry in here.items():
        if method in methods:
            return entry
    version = _version(path)
    for forward in forwards:
        opened = _plain(forward.path)
        if version and version != _version(forward.path):
            continue  # /v1/files and /v1beta/files are two providers' files
        if plain == opened or plain.startswith(opened + "/"):
            target = forward.path.rstrip("/") + plain[len(opened) :]
            return Entry(Operation.FORWARD, forward.dialect, provider=forward.provider, target=target)
    if here:
        dialect = next(iter(here.values())).dialect
        return NoEntry(dialect, tuple(name for methods in here for name in methods))
    return NoEntry(_dialect_of(path, headers))


def _methods(plain: str, path: str, headers: Headers) -> dict[tuple[str, ...], Entry]:
    """What a path has, by method."""
    if path.startswith("/admin/") or path == "/admin":
        return _ADMIN
    if plain == "/models":
        return {_READ: Entry(Operation.MODELS, _dialect_of(path, headers))}
    if plain in _EXACT:
        return _EXACT[plain]
    if plain.startswith("/tunedModels/"):
        _, colon, action = plain.rpartition(":")
        return {_POST: _GEMINI[action]} if colon and action in _GEMINI else {}
    if plain.startswith("/models/") and len(plain) > len("/models/"):
        _, colon, action = plain.rpartition(":")
        if colon and action in _GEMINI:
            return {_POST: _GEMINI[action]}
        return {_READ: Entry(Operation.MODEL, _dialect_of(path, headers))}
    if plain.startswith("/responses/"):
        name, _, action = plain.removeprefix("/responses/").partition("/")
        if name:
            return _STORED.get(action, {}) if action else _RESPONSE
    return {}


def model_id(path: str) -> str:
    """The model's name in a path of `Operation.MODEL`, as it is written there."""
    return _plain(path).removeprefix("/models/")


def response_id(path: str) -> str:
    """The id of a stored response in a path of `Operation.RESPONSE` and its like."""
    return _plain(path).removeprefix("/responses/").partition("/")[0]


_VERSIONS = ("/v1/", "/v1beta/", "/v1alpha/")


def _version(path: str) -> str:
    """The version a path begins with; "" for none: some clients leave it to the base URL."""
    return next((version for version in _VERSIONS if path.startswith(version)), "")


def _plain(path: str) -> str:
    if len(path) > 1:
        path = path.rstrip("/") or "/"
    for _ in range(2):
        if version := _version(path):
            path = path[len(version) - 1 :]
    return path


def _dialect_of(path: str, headers: Headers) -> str:
    """Who asks: Anthropic's clients always say their API version, Gemini's ask under theirs or send their key header
    (M4)."""
    if path.startswith(("/v1beta/", "/v1alpha/")):
        return "gemini"
    if path.startswith("/api/"):
        return "ollama"
    names = {name.lower() for name, _ in headers}
    if "anthropic-version" in names:
        return "anthropic"
    return "gemini" if "x-goog-api-key" in names else "openai"
