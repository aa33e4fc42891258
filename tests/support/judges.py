"""What the official clients' types and the strict mock of each provider have against a request."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ferryllm_net.mock import chat_rules, gemini_rules, messages_rules, ollama_rules, responses_rules
from ferryllm_net.mock.complaint import Complaint

from . import sdk_types

_TAKEN = {
    "anthropic": re.compile(r"^\.(temperature|top_p|top_k): unknown"),
    "openai_responses": re.compile(r"\.input_audio: unknown|'input_audio' is none of"),
}
"""What the APIs take and the SDKs' types do not know (any more), by backend."""

_RULES: dict[str, Callable[[dict[str, Any]], None]] = {
    "openai": chat_rules.check,
    "openai_responses": responses_rules.check,
    "anthropic": messages_rules.check,
    "ollama": ollama_rules.check,
}


def types(backend: str, body: dict[str, Any]) -> list[str]:
    """What the types do not allow."""
    taken = _TAKEN.get(backend)
    return [problem for problem in sdk_types.problems(backend, body) if taken is None or not taken.search(problem)]


def rules(backend: str, model: str, body: dict[str, Any]) -> list[str]:
    """What the strict mock refuses."""
    try:
        if backend == "gemini":
            gemini_rules.check(body, model)
        else:
            _RULES[backend](body)
    except Complaint as exc:
        return [f"refused: {exc}"]
    return []


def problems(backend: str, model: str, body: dict[str, Any]) -> list[str]:
    """Both."""
    return types(backend, body) + rules(backend, model, body)
