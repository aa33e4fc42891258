"""The parameters of a function as the server's decoder takes them.

It reads them into types of its own and refuses a request over one field of the wrong kind, also where JSON schema
allows it (``true`` as the schema of anything, a list of types at the top). Schemas that it takes keep their bytes.
"""

from __future__ import annotations

from ... import json, schemas
from ...json import Raw

_KINDS = {
    "type": ("string", "array"),
    "description": ("string", "null"),
    "enum": ("array", "null"),
    "required": ("array", "null"),
    "anyOf": ("array", "null"),
    "properties": ("object", "null"),
}
"""What a member may be; of any other kind it is left out. Not in it: what the server does not look at."""

_ANYTHING = json.raw(b"{}")
_OBJECT = json.raw(b'"object"')


def readable(schema: bytes | None) -> bytes:
    """``schema`` without what the server cannot read."""
    found = schemas.with_properties(None if schema is None else schemas.mended(schema, _mend))
    fields = json.fields(found)
    if "type" in fields and json.kind(fields["type"]) != "string":  # at the top it is one word
        return json.encode({**fields, "type": _OBJECT})
    return found


def _mend(fields: schemas.Fields) -> schemas.Fields:
    kept = {name: value for name, value in fields.items() if name not in _KINDS or json.kind(value) in _KINDS[name]}
    changed = len(kept) < len(fields)
    members = kept.get("properties")
    if members is not None and json.kind(members) == "object":
        found = json.fields(members)
        if any(json.kind(value) != "object" for value in found.values()):
            kept["properties"] = json.raw(json.encode({name: _schema(value) for name, value in found.items()}))
            changed = True
    choices = kept.get("anyOf")
    if choices is not None and json.kind(choices) == "array":
        items = json.items(choices)
        if any(json.kind(value) != "object" for value in items):
            kept["anyOf"] = json.raw(json.encode([_schema(value) for value in items]))
            changed = True
    return kept if changed else fields


def _schema(value: Raw) -> Raw:
    """A schema that is an object; one that is ``true``, or nothing a schema can be, allows anything."""
    return value if json.kind(value) == "object" else _ANYTHING
