from __future__ import annotations

import json

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini import DIALECT, models


@pytest.mark.parametrize(
    ("model", "signs", "reads"),
    [
        ("gemini-3-pro-preview", True, True),
        ("google/gemini-3.1-flash", True, True),
        ("gemini-flash-latest", True, True),
        ("gemini-2.5-pro", False, True),
        ("gemini-2.0-flash-001", False, True),
        ("gemini-1.5-pro-002", False, False),
        ("gemma-3-27b-it", False, True),
        ("gemini-pro", False, True),
    ],
)
def test_what_a_name_says(model: str, signs: bool, reads: bool) -> None:
    assert models.signs_thoughts(model) is signs
    assert models.reads_json_schema(model) is reads


def test_m4_the_list_has_geminis_shape() -> None:
    body = json.loads(DIALECT.encode_models([ir.Model("a/b", display_name="B")]))
    (entry,) = body["models"]
    assert (entry["name"], entry["displayName"]) == ("models/a/b", "B")
    assert "generateContent" in entry["supportedGenerationMethods"]
    assert json.loads(DIALECT.encode_model(ir.Model("a/b", display_name="B"))) == entry
