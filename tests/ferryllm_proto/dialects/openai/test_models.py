"""Models lists as OpenAI's SDK reads them."""

from __future__ import annotations

import json

from openai.types import Model

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import DIALECT


def test_m4_models_in_openai_shape() -> None:
    body = json.loads(DIALECT.encode_models([ir.Model("a/b", "me", 5), ir.Model("c")]))
    assert body["object"] == "list"
    first, second = (Model.model_validate(entry, strict=True) for entry in body["data"])
    assert (first.id, first.owned_by, first.created, first.object) == ("a/b", "me", 5, "model")
    assert second.owned_by == "ferryllm"
    assert json.loads(DIALECT.encode_model(ir.Model("c")))["id"] == "c"
