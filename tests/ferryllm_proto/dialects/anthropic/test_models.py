"""The models list."""

from __future__ import annotations

import json

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import DIALECT


def test_m4_the_list_has_anthropics_shape() -> None:
    listed = json.loads(DIALECT.encode_models([ir.Model("a", created=86400, display_name="A"), ir.Model("b")]))
    assert listed == {
        "data": [
            {
                "type": "model",
                "id": "a",
                "display_name": "A",
                "created_at": "1970-01-02T00:00:00Z",
                "lifecycle": "active",
            },
            {
                "type": "model",
                "id": "b",
                "display_name": "b",
                "created_at": "1970-01-01T00:00:00Z",
                "lifecycle": "active",
            },
        ],
        "has_more": False,
        "first_id": "a",
        "last_id": "b",
    }
    assert json.loads(DIALECT.encode_models([]))["first_id"] is None
    assert json.loads(DIALECT.encode_model(ir.Model("a")))["id"] == "a"
