"""JSON schemas of tools and of structured output, mended where a provider is strict about their form.

Every node that needs no change keeps its bytes, its order and its spelling of numbers: prompts are cached by their
bytes (translation.md G7, G10). Shared, because several dialects have the same provider behind them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from . import json
from .errors import RemoteProtocolError

MAPS = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
"""Keywords whose members are schemas; the members' names are data and may look like keywords."""
INNER = (
    "items",
    "prefixItems",
    "additionalProperties",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "anyOf",
    "oneOf",
    "allOf",
)
"""Keywords that hold a schema or a list of schemas. Not in it: ``enum``, ``const``, ``default``, which are data."""

MAX_DEPTH = 64
"""Levels that are looked at: each costs a pass over what is in it. OpenAI binds schemas of at most ten."""

_OPEN = frozenset({"type", "$ref", "anyOf", "oneOf", "allOf"})
"""With one of these a schema says itself what it is."""

Fields = dict[str, json.Raw]
Mend = Callable[[Fields], Fields]
"""Gets one schema object and returns it, or another in its place."""


def mended(schema: bytes, mend: Mend) -> bytes:
    """``schema`` with ``mend`` applied to every schema object in it down to `MAX_DEPTH`, the innermost first."""
    return bytes(_mended(json.raw(schema), mend, 0))


def _mended(node: json.Raw, mend: Mend, depth: int) -> json.Raw:
    kind = json.kind(node)
    if depth > MAX_DEPTH:
        return node
    if kind == "array":
        items = json.items(node)
        new = [_mended(item, mend, depth + 1) for item in items]
        return node if all(a is b for a, b in zip(items, new, strict=True)) else json.raw(json.encode(new))
    if kind != "object":
        return node
    fields = json.fields(node)
    changes: Fields = {}
    for name in MAPS:
        value = fields.get(name)
        if value is None or json.kind(value) != "object":
            continue
        members = json.fields(value)
        found = {key: _mended(member, mend, depth + 1) for key, member in members.items()}
        if any(found[key] is not member for key, member in members.items()):
            changes[name] = json.raw(json.encode(found))
    for name in INNER:
        value = fields.get(name)
        if value is not None and (one := _mended(value, mend, depth + 1)) is not value:
            changes[name] = one
    inner = {name: changes.get(name, value) for name, value in fields.items()} if changes else fields
    out = mend(inner)
    return node if out is fields else json.raw(json.encode(out))


def is_object(fields: Fields) -> bool:
    """Whether a schema is one of objects: ``"object"``, or a list of types with it."""
    type_ = fields.get("type")
    return type_ is not None and b'"object"' in bytes(type_)


MAX_KEPT = 4096
"""Bytes of a schema whose mended form is kept for the next request."""


def with_properties(schema: bytes | None) -> bytes:
    """A function's parameters as OpenAI's servers want them: an object that says so, ``properties`` on every object.

    Nested ones and items of arrays too (A8). None is a function without parameters.
    """
    if schema is None:
        return b'{"type":"object","properties":{}}'
    return _kept(schema) if len(schema) <= MAX_KEPT else _propertied(schema)


def _propertied(schema: bytes) -> bytes:
    out = mended(schema, _with_properties)
    fields = json.fields(out)
    if _OPEN.isdisjoint(fields):
        typed = {"type": json.raw(b'"object"'), **fields}
        return json.encode(typed if "properties" in fields else {**typed, "properties": {}})
    return schema if out == schema else out


# An agent sends the same dozens of tools with every turn, and to look through them costs more than all the rest of the
# request. At most 2 MiB and their mended forms.
_kept = functools.lru_cache(maxsize=512)(_propertied)


def _with_properties(fields: Fields) -> Fields:
    if not is_object(fields) or "properties" in fields or not _OPEN.isdisjoint(fields.keys() - {"type"}):
        return fields
    return {**fields, "properties": json.raw(b"{}")}


def closed(schema: bytes) -> bytes:
    """``schema`` with every object in it forbidding what it does not name (B16)."""
    return mended(schema, _closed)


def _closed(fields: Fields) -> Fields:
    if not is_object(fields) or "additionalProperties" in fields:
        return fields
    return {**fields, "additionalProperties": json.raw(b"false")}


def is_strict(schema: bytes) -> bool:
    """Whether OpenAI accepts ``schema`` as a binding one: every object closed, every property required (A36)."""
    try:
        value = json.loads(schema)
        return isinstance(value, dict) and _is_strict(value)
    except (RemoteProtocolError, RecursionError):
        return False


def _is_strict(node: Any) -> bool:
    if isinstance(node, list):
        return all(_is_strict(item) for item in node)
    if not isinstance(node, dict):
        return True
    properties, type_ = node.get("properties"), node.get("type")
    if properties is not None or type_ == "object" or (isinstance(type_, list) and "object" in type_):
        names = set(properties) if isinstance(properties, dict) else set()
        required = node.get("required")
        if node.get("additionalProperties") is not False:
            return False
        if names - {name for name in (required if isinstance(required, list) else ()) if isinstance(name, str)}:
            return False
    maps = [value for name in MAPS if isinstance(value := node.get(name), dict)]
    return all(_is_strict(inner) for value in maps for inner in value.values()) and all(
        _is_strict(node[name]) for name in INNER if name in node
    )
