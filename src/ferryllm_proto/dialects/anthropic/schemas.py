"""JSON schemas as the API takes them. What needs no change keeps its bytes, order and spelling."""

from __future__ import annotations

from typing import Any

from ... import json

_MAPS = ("properties", "$defs", "definitions", "patternProperties")
"""Keywords whose members are schemas; the members' names are data and may look like keywords."""
_SCHEMAS = ("items", "additionalProperties", "contains", "not", "if", "then", "else", "anyOf", "oneOf", "allOf")
"""Keywords that hold a schema or a list of schemas. Not in it: ``enum``, ``const``, ``default``, which are data."""


def object_schema(schema: bytes | None) -> Any:
    """A tool's schema: an object that says so (A8)."""
    if schema is None:
        return {"type": "object", "properties": {}}
    fields = json.fields(schema, "schema")
    if not fields.keys() & {"type", "$ref", "anyOf", "oneOf", "allOf"}:
        return {"type": "object", **fields}
    return json.raw(schema)


def closed_schema(schema: bytes) -> tuple[Any, bool]:
    """A schema for structured output: every object in it forbids what it does not name (B16).

    Returns the schema and whether something had to be added.
    """
    root = json.loads(schema, "schema")
    changed = False
    # A list in place of recursion: a schema may be nested as deeply as the decoder lets it be.
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(node)
        if not isinstance(node, dict):
            continue
        type_ = node.get("type")
        if (
            type_ == "object" or (isinstance(type_, list) and "object" in type_)
        ) and "additionalProperties" not in node:
            node["additionalProperties"] = False
            changed = True
        for name in _MAPS:
            inner = node.get(name)
            if isinstance(inner, dict):
                waiting.extend(inner.values())
        waiting.extend(node[name] for name in _SCHEMAS if name in node)
    return (root, True) if changed else (json.raw(schema), False)
