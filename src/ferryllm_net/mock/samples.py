"""A value that fits a JSON schema, as a script without a model can make one; pure.

Understood are types, enum, const, properties, required, items, anyOf and friends, and local references: what tools and
structured outputs are written in. What is not understood becomes a string.
"""

from __future__ import annotations

from typing import Any

from ferryllm_proto import RemoteProtocolError, json

MAX_DEPTH = 12
"""Below it everything is null: schemas may refer to themselves."""

_Schema = dict[str, Any]  # JSON: any value may stand anywhere


def sample(schema: bytes | None, word: str = "demo") -> str:
    """JSON text of a value for ``schema``; ``word`` is what its strings say."""
    try:
        root = json.loads(schema) if schema else {}
    except RemoteProtocolError:
        root = {}
    return json.encode(_value(root, root, word, 0)).decode()


def properties(schema: bytes | None) -> dict[str, Any]:
    """The properties of an object's schema; none where it cannot be read."""
    try:
        found = json.loads(schema).get("properties") if schema else None
    except (RemoteProtocolError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def fill(schema: bytes | None, known: dict[str, Any]) -> str:
    """JSON text of an object with the ``known`` members and made-up ones for what ``schema`` requires besides."""
    try:
        root = json.loads(schema) if schema else {}
    except RemoteProtocolError:
        root = {}
    made = _value(root, root, "demo", 0)
    return json.encode({**(made if isinstance(made, dict) else {}), **known}).decode()


def _value(schema: object, root: object, word: str, depth: int) -> object:
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    if isinstance(reference := schema.get("$ref"), str):
        return _value(_resolve(reference, root), root, word, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    for name in ("anyOf", "oneOf", "allOf"):
        if isinstance(choices := schema.get(name), list) and choices:
            return _value(choices[0], root, word, depth + 1)
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "object" or "properties" in schema:
        return _object(schema, root, word, depth)
    if kind == "array":
        least = schema.get("minItems")
        count = min(least, 10) if isinstance(least, int) else 0
        return [_value(schema.get("items", {}), root, word, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        return _number(schema)
    return {"boolean": True, "null": None}.get(str(kind), word)


def _object(schema: _Schema, root: object, word: str, depth: int) -> _Schema:
    members = schema.get("properties")
    required = schema.get("required")
    if not isinstance(members, dict):
        return {}
    # Without a list of what is required, all of it: an empty object would show nothing.
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else list(members)
    return {name: _value(members.get(name, {}), root, word, depth + 1) for name in names}


def _number(schema: _Schema) -> int | float:
    for name, shift in (("minimum", 0), ("exclusiveMinimum", 1)):
        least = schema.get(name)
        if isinstance(least, (int, float)) and not isinstance(least, bool):
            return least + shift
    return 1


def _resolve(reference: str, root: object) -> object:
    found = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        if name:
            found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found
