from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.dialects.gemini import schemas
from ferryllm_proto.errors import RemoteProtocolError


def _cleaned(schema: Any) -> tuple[Any, list[str]]:
    removed: list[str] = []
    out = schemas.cleaned(json.dumps(schema).encode(), lambda place, _: removed.append(place))
    return json.loads(out), removed


def _narrowed(schema: Any) -> tuple[Any, list[str]]:
    removed: list[str] = []
    out = schemas.narrowed(json.dumps(schema).encode(), lambda place, _: removed.append(place))
    return None if out is None else json.loads(out), removed


# --- B1: what is taken out of JSON Schema ----------------------------------------------------------------


def test_b1_a_schema_that_is_fine_keeps_its_bytes() -> None:
    schema = b'{ "type":"object", "properties": {"n":{"type":"integer","minimum": 1e0}} }'
    assert schemas.cleaned(schema, lambda *_: pytest.fail("nothing is removed")) is not None
    assert schemas.cleaned(schema, lambda *_: None) == schema


def test_b1_every_removed_keyword_is_told_with_its_place() -> None:
    out, removed = _cleaned(
        {
            "$schema": "x",
            "type": "object",
            "properties": {"a": {"type": "number", "exclusiveMinimum": 1, "not": {}}},
            "patternProperties": {"^x": {"type": "string"}},
        }
    )
    assert out == {"type": "object", "properties": {"a": {"type": "number"}}}
    assert sorted(removed) == ["$schema", "patternProperties", "properties.a.exclusiveMinimum", "properties.a.not"]


def test_b1_properties_that_are_called_like_keywords_stay() -> None:
    schema = {
        "type": "object",
        "properties": {name: {"type": "string"} for name in ("properties", "not", "$schema", "propertyNames", "const")},
    }
    assert _cleaned(schema) == (schema, [])
    assert _narrowed(schema) == (schema, [])


@pytest.mark.parametrize(
    ("schema", "out"),
    [
        ({"const": "a"}, {"enum": ["a"]}),
        ({"oneOf": [{"type": "string"}]}, {"anyOf": [{"type": "string"}]}),
        ({"type": "integer", "exclusiveMinimum": 1}, {"type": "integer", "minimum": 2}),
        ({"type": "integer", "exclusiveMaximum": 9}, {"type": "integer", "maximum": 8}),
        ({"allOf": [{"type": "string"}]}, {"type": "string"}),
        (
            {"allOf": [{"required": ["a"], "properties": {"a": {}}}, {"required": ["b"], "properties": {"b": {}}}]},
            {"required": ["a", "b"], "properties": {"a": {}, "b": {}}},
        ),
    ],
)
def test_b1_what_can_be_said_in_another_way_is_no_loss(schema: Any, out: Any) -> None:
    assert _cleaned(schema) == (out, [])


@pytest.mark.parametrize(
    "schema",
    [{"allOf": [{"type": "string"}, {"type": "object"}]}, {"allOf": [True]}, {"anyOf": [{}], "oneOf": [{}]}],
)
def test_b1_what_contradicts_itself_is_told(schema: Any) -> None:
    assert len(_cleaned(schema)[1]) == 1


def test_b2_any_stays_any() -> None:
    for schema in ({}, {"type": "object", "properties": {"a": {}}}, {"anyOf": [{"type": "string"}, {"type": "null"}]}):
        assert _cleaned(schema) == (schema, [])


# --- the older form --------------------------------------------------------------------------------------


def test_b1_references_are_resolved() -> None:
    out, removed = _narrowed(
        {
            "type": "object",
            "properties": {"p": {"$ref": "#/$defs/P", "description": "who"}},
            "$defs": {"P": {"type": "object", "properties": {"n": {"type": "string"}}}},
        }
    )
    assert removed == []
    assert out["properties"]["p"] == {
        "type": "object",
        "properties": {"n": {"type": "string"}},
        "description": "who",
    }


def test_b1_a_schema_that_contains_itself_is_refused() -> None:
    schema = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/N"}},
        "$defs": {"N": {"type": "object", "properties": {"next": {"$ref": "#/$defs/N"}}}},
    }
    with pytest.raises(RemoteProtocolError, match="contains itself"):
        _narrowed(schema)


def test_b1_references_that_multiply_are_refused() -> None:
    defs: dict[str, Any] = {
        f"D{n}": {"type": "object", "properties": {key: {"$ref": f"#/$defs/D{n + 1}"} for key in "ab"}}
        for n in range(30)
    }
    defs["D30"] = {"type": "string"}
    with pytest.raises(RemoteProtocolError, match="too large"):
        _narrowed({"type": "object", "properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": defs})


@pytest.mark.parametrize(
    ("schema", "out"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"type": "string", "nullable": True}),
        ({"anyOf": [{}, {"type": "null"}]}, {}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ({"type": "string", "enum": ["a", None]}, {"type": "string", "enum": ["a"]}),
        (True, {}),
    ],
)
def test_b2_null_is_said_by_nullable_but_never_alone(schema: Any, out: Any) -> None:
    found, removed = _narrowed({"type": "object", "properties": {"a": schema}})
    assert found["properties"]["a"] == out
    assert removed == []


def test_b1_keywords_and_formats_of_json_schema_alone_are_told() -> None:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"a": {"type": "string", "format": "uri", "default": "x"}, "b": {"enum": [1]}},
    }
    out, removed = _narrowed(schema)
    assert out == {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}}
    assert sorted(removed) == [
        "additionalProperties",
        "properties.a.default",
        "properties.a.format",
        "properties.b.enum",
    ]


def test_b3_an_object_without_members_is_no_schema() -> None:
    assert _narrowed({"type": "object", "properties": {}}) == (None, [])
    assert _narrowed({}) == (None, [])


# --- Gemini's own form -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "out"),
    [
        (
            {"type": "OBJECT", "properties": {"Type": {"type": "STRING"}}},
            {"type": "object", "properties": {"Type": {"type": "string"}}},
        ),
        ({"type": "STRING", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "STRING", "nullable": False}, {"type": "string"}),
        ({"type": 6, "properties": {"a": {"type": 1}}}, {"type": "object", "properties": {"a": {"type": "string"}}}),
        ({"type": 99, "title": "x"}, {"title": "x"}),
        (
            {"type": "STRING", "format": "enum", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        ({"any_of": [{"type": "STRING"}], "nullable": True}, {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "min_items": "2"},
            {"type": "array", "items": {"type": "number"}, "minItems": 2},
        ),
        (
            {"ref": "#/defs/A", "defs": {"A": {"type": "INTEGER"}}},
            {"$ref": "#/$defs/A", "$defs": {"A": {"type": "integer"}}},
        ),
        ({"type": "TYPE_UNSPECIFIED", "example": 1, "property_ordering": ["a"]}, {"examples": [1]}),
    ],
)
def test_geminis_schemas_are_json_schema_to_others(schema: Any, out: Any) -> None:
    assert json.loads(schemas.to_json_schema(json.dumps(schema).encode())) == out


def test_json_schema_stays_as_it_is() -> None:
    schema = b'{ "type":"object","properties":{"nullable":{"type":"string"}} }'
    assert schemas.to_json_schema(schema) == schema
