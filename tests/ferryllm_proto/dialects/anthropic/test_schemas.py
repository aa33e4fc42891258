"""Schemas as the API takes them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.dialects.anthropic import schemas
from ferryllm_proto.json import encode

OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}
CLOSED = {**OPEN, "additionalProperties": False}


def closed(schema: Any) -> tuple[Any, bool]:
    out, changed = schemas.closed_schema(json.dumps(schema).encode())
    return json.loads(encode(out)), changed


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        (OPEN, CLOSED),
        ({"type": ["object", "null"]}, {"type": ["object", "null"], "additionalProperties": False}),
        ({"anyOf": [OPEN, {"type": "null"}]}, {"anyOf": [CLOSED, {"type": "null"}]}),
        ({"type": "array", "items": OPEN}, {"type": "array", "items": CLOSED}),
        ({"$ref": "#/$defs/x", "$defs": {"x": OPEN}}, {"$ref": "#/$defs/x", "$defs": {"x": CLOSED}}),
    ],
)
def test_b16_every_object_is_closed(schema: Any, wanted: Any) -> None:
    assert closed(schema) == (wanted, True)


@pytest.mark.parametrize(
    "schema",
    [
        CLOSED,
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"enum": [{"type": "object"}], "default": {"type": "object"}},
        {**CLOSED, "properties": {"type": {"type": "string"}, "properties": {"type": "string"}}},
        True,
    ],
)
def test_b16_nothing_else_is_touched(schema: Any) -> None:
    raw = json.dumps(schema, indent=1).encode()
    out, changed = schemas.closed_schema(raw)
    assert (encode(out), changed) == (raw, False)


def test_b16_deep_schemas_do_no_harm() -> None:
    deep = b'{"type":"array","items":' * 300 + b"{}" + b"}" * 300
    assert schemas.closed_schema(deep)[1] is False


def test_a8_tools_have_objects() -> None:
    assert schemas.object_schema(None) == {"type": "object", "properties": {}}
    assert json.loads(encode(schemas.object_schema(b'{"properties":{"z":1.50}}'))) == {
        "type": "object",
        "properties": {"z": 1.5},
    }
    assert encode(schemas.object_schema(b'{ "type":"object" }')) == b'{ "type":"object" }'
