"""Models lists."""

from __future__ import annotations

from ferryllm_proto import ir, json
from ferryllm_proto.dialects.openai_responses import DIALECT


def test_models() -> None:
    model = {"id": "a", "object": "model", "created": 1, "owned_by": "ferryllm"}
    assert json.loads(DIALECT.encode_model(ir.Model("a", created=1))) == model
    assert json.loads(DIALECT.encode_models([ir.Model("a", created=1)])) == {"object": "list", "data": [model]}
