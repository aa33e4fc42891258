"""What a client's request becomes on its way to a provider, through the public surface alone."""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import Translator

MODELS = {"openai": "gpt-5.4", "openai_responses": "gpt-5.4", "anthropic": "claude-opus-4-5"}
"""What the provider of a dialect is asked for unless a test says otherwise."""

NAMES = tuple(MODELS)
PAIRS = [(entry, backend) for entry in NAMES for backend in NAMES if entry != backend]


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
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.upstream = self.translator.receive_request(data, headers)
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
