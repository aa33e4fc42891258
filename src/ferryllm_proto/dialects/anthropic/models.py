"""``GET /v1/models`` in Anthropic's shape. What models can do is in `ferryllm_proto.capabilities`."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from ... import ir, json


def _entry(model: ir.Model) -> dict[str, object]:
    created = datetime.datetime.fromtimestamp(model.created, tz=datetime.timezone.utc)
    return {
        "type": "model",
        "id": model.id,
        "display_name": model.display_name or model.id,
        "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "lifecycle": "active",
    }


def encode_model(model: ir.Model) -> bytes:
    """The body of ``GET /v1/models/{id}``."""
    return json.encode(_entry(model))


def encode_models(models: Sequence[ir.Model]) -> bytes:
    """The body of ``GET /v1/models``: one page that holds all."""
    return json.encode(
        {
            "data": [_entry(model) for model in models],
            "has_more": False,
            "first_id": models[0].id if models else None,
            "last_id": models[-1].id if models else None,
        }
    )
