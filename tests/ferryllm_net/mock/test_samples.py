"""Values made up for schemas."""

from __future__ import annotations

import pytest

from ferryllm_net.mock.samples import MAX_DEPTH, fill, properties, sample
from ferryllm_proto import json


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}, {"a": "demo"}),
        ({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}}, {"a": 1, "b": True}),
        ({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["b", "c"]}, {"b": "demo", "c": "demo"}),
        ({"type": "object"}, {}),
        ({"enum": ["x", "y"]}, "x"),
        ({"const": 4}, 4),
        ({"type": "number", "minimum": 2.5}, 2.5),
        ({"type": "integer", "exclusiveMinimum": 0}, 1),
        ({"type": "array", "items": {"type": "integer"}}, []),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"type": ["null", "string"]}, "demo"),
        ({"type": ["null"]}, None),
        ({"type": "null"}, None),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 1),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"enum": ["deep"]}}}, "deep"),
        ({"$ref": "#/nowhere/at~1all"}, None),
        ({"type": "what"}, "demo"),
        ({}, "demo"),
    ],
)
def test_a_value_fits_its_schema(schema: object, value: object) -> None:
    assert json.loads(sample(json.encode(schema))) == value


def test_schemas_that_refer_to_themselves_end() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert sample(json.encode(schema)).count("next") <= MAX_DEPTH


def test_no_schema_and_a_broken_one_are_survived() -> None:
    for schema in (None, b"{", b"7", b"[]"):
        assert properties(schema) == {}
        json.loads(sample(schema))
        assert json.loads(fill(schema, {"a": 1})) == {"a": 1}
    assert properties(b'{"properties": 3}') == {}


def test_fill_adds_what_is_required_besides() -> None:
    schema = json.encode(
        {
            "type": "object",
            "properties": {"cmd": {"type": "string"}, "why": {"type": "string"}, "how": {"type": "string"}},
            "required": ["cmd", "why"],
        }
    )
    assert json.loads(fill(schema, {"cmd": "ls"})) == {"cmd": "ls", "why": "demo"}
