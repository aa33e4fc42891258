"""Schemas of functions: untouched where the server takes them, readable where it would not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_net.mock.ollama_rules import check
from ferryllm_proto.dialects.ollama.schemas import readable

GOOD = [
    b'{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]}}}',
    b'{"type": "object", "properties": {"b": {"type": ["string","null"]}, "a": {"enum": [1.0]}}, "required": ["b"]}',
    b'{"type":"object","properties":{},"additionalProperties":false,"$defs":{"x":true}}',
    b'{"type":"object","properties":{"type":{"type":"string"},"properties":{"type":"object","properties":{}}}}',
]


@pytest.mark.parametrize("schema", GOOD)
def test_g10_what_is_taken_keeps_its_bytes(schema: bytes) -> None:
    assert readable(schema) == schema


@pytest.mark.parametrize(
    ("schema", "found"),
    [
        (None, {"type": "object", "properties": {}}),
        ({}, {"type": "object", "properties": {}}),
        ({"type": ["object", "null"], "properties": {}}, {"type": "object", "properties": {}}),
        ({"type": 6, "properties": {"a": {"type": 1}}}, {"type": "object", "properties": {"a": {}}}),
        (
            {"type": "object", "properties": {"a": True, "b": None}},
            {"type": "object", "properties": {"a": {}, "b": {}}},
        ),
        (
            {"type": "object", "properties": {"a": {"anyOf": [True, {"enum": "x"}], "description": 3}}},
            {"type": "object", "properties": {"a": {"anyOf": [{}, {}]}}},
        ),
        ({"type": "object", "properties": [], "required": "a"}, {"type": "object", "properties": {}}),
    ],
)
def test_what_the_server_cannot_read_is_left_out(schema: Any, found: Any) -> None:
    mended = json.loads(readable(None if schema is None else json.dumps(schema).encode()))
    assert mended == found
    check({"model": "m", "tools": [{"type": "function", "function": {"name": "f", "parameters": mended}}]})
