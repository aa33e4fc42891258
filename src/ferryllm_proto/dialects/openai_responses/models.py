"""Models lists in OpenAI's shape."""

from __future__ import annotations

from collections.abc import Sequence

from ... import ir, json


def _entry(model: ir.Model) -> dict[str, object]:
    return {"id": model.id, "object": "model", "created": model.created, "owned_by": model.owner}


def encode_models(models: Sequence[ir.Model]) -> bytes:
    """The body of ``GET /v1/models``."""
    return json.encode({"object": "list", "data": [_entry(model) for model in models]})


def encode_model(model: ir.Model) -> bytes:
    """The body of ``GET /v1/models/{id}``."""
    return json.encode(_entry(model))
