"""What a model's name says beyond the table of capabilities, and ``GET /v1beta/models``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ... import ir, json
from ...opaque import family

_VERSION = re.compile(r"gemini-(\d+)(?:\.(\d+))?")
_ALIAS = re.compile(r"gemini-(?:pro|flash|flash-lite)$")
_OLD = (0, 0)
_NEWEST = (99, 0)
"""An alias (``gemini-flash-latest``) is the newest of its line."""


def _version(model: str) -> tuple[int, int]:
    name = family(model)
    found = _VERSION.match(name)
    if found is not None:
        return int(found[1]), int(found[2] or 0)
    alias = _ALIAS.match(name) and "latest" in model.lower()
    return _NEWEST if alias else _OLD


def is_gemini(model: str) -> bool:
    """Whether the name is one of Google's own; servers of this protocol have others too (Gemma, tuned models)."""
    return family(model).startswith("gemini")


def signs_thoughts(model: str) -> bool:
    """Whether the model refuses calls of its history without a thought signature: Gemini 3 and newer (B7)."""
    return _version(model) >= (3, 0)


def reads_json_schema(model: str) -> bool:
    """Whether it takes JSON Schema: all but Gemini before 2.0, which has a subset of OpenAPI's (B1)."""
    return not is_gemini(model) or not _OLD < _version(model) < (2, 0)


_METHODS = ["generateContent", "streamGenerateContent", "countTokens"]


def _entry(model: ir.Model) -> dict[str, object]:
    return {
        "name": f"models/{model.id}",
        "baseModelId": model.id,
        "version": "001",
        "displayName": model.display_name or model.id,
        "supportedGenerationMethods": _METHODS,
    }


def encode_model(model: ir.Model) -> bytes:
    """The body of ``GET /v1beta/models/{id}``."""
    return json.encode(_entry(model))


def encode_models(models: Sequence[ir.Model]) -> bytes:
    """The body of ``GET /v1beta/models``: one page that holds all."""
    return json.encode({"models": [_entry(model) for model in models]})
