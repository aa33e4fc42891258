"""What a client's request becomes on its way to a provider, through the public surface alone."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import Translator

MODELS = {
    "openai": "gpt-5.4",
    "openai_responses": "gpt-5.4",
    "anthropic": "claude-opus-4-5",
    "gemini": "gemini-3-pro-preview",
    "ollama": "qwen3:8b",
}
"""What the provider of a dialect is asked for unless a test says otherwise."""

NAMES = tuple(MODELS)
PAIRS = [(entry, backend) for entry in NAMES for backend in NAMES if entry != backend]

GEMINI_PATH = "/v1beta/models/mine:generateContent"


def door(entry: str, body: dict[str, Any] | bytes) -> tuple[bytes, str | None]:
    """A client's body as bytes, and the path it is sent to; None is the dialect's usual one.

    Gemini's clients say the model and the stream in the path: they are taken out of ``body``.
    """
    if isinstance(body, bytes):
        return body, GEMINI_PATH if entry == "gemini" else None
    if entry != "gemini":
        return json.dumps(body).encode(), None
    fields = {name: value for name, value in body.items() if name not in ("model", "stream")}
    method = "streamGenerateContent?alt=sse" if body.get("stream") else "generateContent"
    return json.dumps(fields).encode(), f"/v1beta/models/{body.get('model', 'mine')}:{method}"


def spoken(body: dict[str, Any]) -> list[Any]:
    """The conversation in a body of any dialect."""
    found: list[Any] = next(body[name] for name in ("messages", "input", "contents") if name in body)
    return found


class Sent:
    """One request: what the provider gets, or why it gets nothing."""

    def __init__(
        self,
        entry: str,
        backend: str,
        body: dict[str, Any] | bytes,
        model: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.translator = Translator(entry=entry, backend=backend, model=model or MODELS[backend])
        data, path = door(entry, body)
        self.upstream = self.translator.receive_request(data, headers, path)
        self.raw = b"" if self.upstream is None else self.upstream.body
        self.losses = [f"{loss.disposition.value} {loss.path}" for loss in self.translator.losses]

    @property
    def body(self) -> dict[str, Any]:
        """What the provider gets."""
        error = self.translator.error
        assert self.upstream is not None, f"refused: {error.message if error is not None else ''}"
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def refused(self) -> str:
        """The field that was named in the refusal; "" when the request was sent."""
        error = self.translator.error
        if error is None:
            return ""
        assert self.translator.head is not None
        assert self.translator.head.status == 400
        return error.param or "?"

    @property
    def refusal(self) -> dict[str, Any]:
        """The body of the refusal as the client sees it."""
        found: dict[str, Any] = json.loads(self.translator.receive_eof())
        return found

    def lost(self, part: str) -> bool:
        """Whether a loss at a path that contains ``part`` was reported."""
        return any(part in loss for loss in self.losses)
