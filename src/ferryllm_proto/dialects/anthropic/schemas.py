"""JSON schemas as the API takes them. What needs no change keeps its bytes, order and spelling."""

from __future__ import annotations

from typing import Any

from ... import json, schemas


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
    out = schemas.closed(schema)
    return json.raw(out), out != schema
