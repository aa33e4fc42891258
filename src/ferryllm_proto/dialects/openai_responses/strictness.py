"""Whether a JSON schema can be asked for strictly: every object closed, every property required (A36)."""

from __future__ import annotations

from typing import Any

from ... import json
from ...errors import RemoteProtocolError

_MAPS = ("properties", "$defs", "definitions")
_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_SINGLE = ("items", "not", "additionalProperties")


def is_strict(schema: bytes) -> bool:
    """Whether a provider that binds strictly accepts ``schema``: it refuses open objects and optional properties."""
    try:
        value = json.loads(schema)
    except RemoteProtocolError:
        return False
    return isinstance(value, dict) and _closed(value)


def _closed(schema: dict[str, Any]) -> bool:
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        if schema.get("additionalProperties") is not False:
            return False
        required = schema.get("required")
        names = set(properties) if isinstance(properties, dict) else set()
        if names - set(required if isinstance(required, list) else ()):
            return False
    return all(_closed(inner) for inner in _inner(schema))


def _inner(schema: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[Any] = [schema.get(key) for key in _SINGLE]
    for key in _MAPS:
        value = schema.get(key)
        found.extend(value.values() if isinstance(value, dict) else ())
    for key in _LISTS:
        value = schema.get(key)
        found.extend(value if isinstance(value, list) else ())
    return [value for value in found if isinstance(value, dict)]
