"""Schemas: Gemini's own form of them to JSON Schema, and JSON Schema to what the API takes (translation.md B1 to B3).

What needs no change keeps its bytes, its order and its spelling of numbers. The names of properties are data: one that
is called like a keyword is none.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import json, schemas
from ...errors import RemoteProtocolError
from ...json import Raw
from .wire import camel

Fields = dict[str, Raw]
Removed = Callable[[str, str], None]
"""Told of each keyword that was taken out: its place in the schema, and why."""

MAX_DEPTH = 64
"""Levels that are looked at; the API itself refuses schemas of a tenth of that."""

_NULL = json.raw(b'{"type":"null"}')
_NUMBERS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})


# --- Gemini's form to JSON Schema ------------------------------------------------------------------------


def to_json_schema(schema: bytes) -> bytes:
    """``schema`` in Gemini's form (an OpenAPI subset with types in capitals) as JSON Schema.

    One that is plain JSON Schema already stays as it is.
    """
    return bytes(_plain(json.raw(schema), 0))


def _plain(node: Raw, depth: int) -> Raw:
    if json.kind(node) != "object" or depth > MAX_DEPTH:
        return node
    fields = json.fields(node)
    out: Fields = {}
    changed = False
    for name, value in fields.items():
        new_name, new = _plain_member(name, value, depth)
        changed = changed or new_name != name or new is not value
        if new_name:
            out[new_name] = new
    if bytes(out.get("nullable", _NULL)) in (b"true", b"false"):
        changed = True
        nullable = bytes(out.pop("nullable")) == b"true"
        if nullable:
            out = _with_null(out)
    return json.raw(json.encode(out)) if changed else node


_RENAMED = {"defs": "$defs", "ref": "$ref", "example": "examples", "propertyOrdering": ""}


_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")
"""By their numbers, from 1 on."""


def _plain_member(name: str, value: Raw, depth: int) -> tuple[str, Raw]:
    key = camel(name)
    key = _RENAMED.get(key, key)
    if not key:
        return key, value
    kind = json.kind(value)
    if key == "type" and kind == "string":
        word = str(json.loads(value))
        if word == "TYPE_UNSPECIFIED":
            return "", value
        return key, value if word.islower() else json.raw(json.encode_str(word.lower()))
    if key == "type" and kind == "number":  # enums may be numbers in protojson
        number = json.loads(value)
        known = isinstance(number, int) and 0 < number <= len(_TYPES)
        return (key, json.raw(json.encode_str(_TYPES[number - 1]))) if known else ("", value)
    if key in ("properties", "$defs") and kind == "object":
        members = json.fields(value)
        found = {inner: _plain(member, depth + 1) for inner, member in members.items()}
        same = all(found[inner] is member for inner, member in members.items())
        return key, value if same else json.raw(json.encode(found))
    if key in ("items", "additionalProperties"):
        return key, _plain(value, depth + 1)
    if key in ("anyOf", "prefixItems", "oneOf", "allOf") and kind == "array":
        items = json.items(value)
        new = [_plain(item, depth + 1) for item in items]
        return key, value if all(a is b for a, b in zip(items, new, strict=True)) else json.raw(json.encode(new))
    if key in _NUMBERS and kind == "string":  # 64-bit numbers are strings in protojson
        text = bytes(value)[1:-1]
        return key, json.raw(text) if text.isdigit() and not (text[:1] == b"0" and len(text) > 1) else value
    if key == "examples" and camel(name) == "example":
        return key, json.raw(json.encode([value]))
    if key == "$ref" and name == "ref" and kind == "string":
        return key, json.raw(json.encode_str(str(json.loads(value)).replace("#/defs/", "#/$defs/")))
    if key == "format" and bytes(value) == b'"enum"':
        return "", value
    return key if key in _KNOWN else name, value


_KNOWN = frozenset(
    {
        "anyOf",
        "additionalProperties",
        "maxItems",
        "maxLength",
        "maxProperties",
        "minItems",
        "minLength",
        "minProperties",
        "prefixItems",
        "$defs",
        "$ref",
        "examples",
    }
)


def _with_null(fields: Fields) -> Fields:
    """A schema that also allows null."""
    type_ = fields.get("type")
    if type_ is not None and json.kind(type_) == "string":
        enum = fields.get("enum")
        out = {**fields, "type": json.raw(json.encode([type_, "null"]))}
        if enum is not None and json.kind(enum) == "array":
            out["enum"] = json.raw(json.encode([*json.items(enum), None]))
        return out
    inner = fields.get("anyOf")
    if inner is not None and json.kind(inner) == "array":
        return {**fields, "anyOf": json.raw(json.encode([*json.items(inner), _NULL]))}
    return fields  # an untyped schema allows null as it is


# --- JSON Schema to what the API takes -------------------------------------------------------------------


_GONE = {
    "$schema": "the API does not say which draft it reads",
    "$id": "the API has no names of schemas",
    "$comment": "the API has no comments",
    "not": "the API has no negation",
    "if": "the API has no conditions",
    "then": "the API has no conditions",
    "else": "the API has no conditions",
    "patternProperties": "the API has no patterns of names",
    "propertyNames": "the API has no rules for names",
    "dependentSchemas": "the API has no conditions",
    "dependentRequired": "the API has no conditions",
    "dependencies": "the API has no conditions",
    "unevaluatedProperties": "the API does not evaluate it",
    "unevaluatedItems": "the API does not evaluate it",
    "contains": "the API has no such rule for arrays",
    "minContains": "the API has no such rule for arrays",
    "maxContains": "the API has no such rule for arrays",
    "exclusiveMinimum": "the API has inclusive bounds alone",
    "exclusiveMaximum": "the API has inclusive bounds alone",
    "multipleOf": "the API has no such rule for numbers",
    "examples": "the API has no examples",
    "readOnly": "the API has no such mark",
    "writeOnly": "the API has no such mark",
    "deprecated": "the API has no such mark",
    "contentEncoding": "the API has no such mark",
    "contentMediaType": "the API has no such mark",
    "uniqueItems": "the API has no such rule for arrays",
}
"""Keywords ``parametersJsonSchema`` and ``responseJsonSchema`` do not take. Not in it: what is said in another way."""


def cleaned(schema: bytes, removed: Removed) -> bytes:
    """``schema`` without what ``parametersJsonSchema`` does not take; ``removed`` is told of every keyword."""
    return bytes(_cleaned(json.raw(schema), "", removed, 0))


def _cleaned(node: Raw, place: str, removed: Removed, depth: int) -> Raw:
    if json.kind(node) != "object" or depth > MAX_DEPTH:
        return node
    fields = json.fields(node)
    out: Fields = {}
    changed = False
    for name, value in fields.items():
        here = f"{place}.{name}" if place else name
        if name in _GONE:
            changed = True
            bound = _inclusive(name, value, fields)
            if bound is not None:
                out.setdefault(bound[0], bound[1])
            else:
                removed(here, _GONE[name])
            continue
        new = _cleaned_member(name, value, here, removed, depth)
        changed = changed or new is not value
        out[name] = new
    if "const" in out:
        changed = True
        value = out.pop("const")
        out.setdefault("enum", json.raw(b"[%b]" % bytes(value)))
    if "oneOf" in out:
        changed = True
        value = out.pop("oneOf")
        if "anyOf" in out:
            removed(f"{place}.oneOf" if place else "oneOf", "the API takes one list of choices")
        else:
            out["anyOf"] = value
    if "allOf" in out:
        changed = True
        out = _joined(out, place, removed)
    return json.raw(json.encode(out)) if changed else node


def _cleaned_member(name: str, value: Raw, place: str, removed: Removed, depth: int) -> Raw:
    kind = json.kind(value)
    if name in schemas.MAPS and kind == "object":
        members = json.fields(value)
        found = {key: _cleaned(member, f"{place}.{key}", removed, depth + 1) for key, member in members.items()}
        same = all(found[key] is member for key, member in members.items())
        return value if same else json.raw(json.encode(found))
    if name in schemas.INNER:
        if kind == "array":
            items = json.items(value)
            new = [_cleaned(item, f"{place}[{n}]", removed, depth + 1) for n, item in enumerate(items)]
            return value if all(a is b for a, b in zip(items, new, strict=True)) else json.raw(json.encode(new))
        return _cleaned(value, place, removed, depth + 1)
    return value


def _inclusive(name: str, value: Raw, fields: Fields) -> tuple[str, Raw] | None:
    """An exclusive bound of integers as the inclusive one it is the same as."""
    if name not in ("exclusiveMinimum", "exclusiveMaximum") or bytes(fields.get("type", _NULL)) != b'"integer"':
        return None
    word = "minimum" if name == "exclusiveMinimum" else "maximum"
    bound = json.loads(value)
    if word in fields or not isinstance(bound, int) or isinstance(bound, bool):
        return None
    return word, json.raw(json.encode(bound + (1 if word == "minimum" else -1)))


def _joined(fields: Fields, place: str, removed: Removed) -> Fields:
    """The schemas of ``allOf`` as part of the one they stand in, where no keyword says two things."""
    value = fields.pop("allOf")
    items = json.items(value) if json.kind(value) == "array" else []
    if not items or any(json.kind(item) != "object" for item in items):
        removed(f"{place}.allOf" if place else "allOf", "the API does not combine schemas")
        return fields
    out = dict(fields)
    for item in items:
        for name, inner in json.fields(item).items():
            before = out.get(name)
            if before is None or bytes(before) == bytes(inner):
                out[name] = inner
            elif name in ("properties", "$defs") and not json.fields(before).keys() & json.fields(inner).keys():
                out[name] = json.raw(json.encode({**json.fields(before), **json.fields(inner)}))
            elif name == "required" and json.kind(before) == json.kind(inner) == "array":
                out[name] = json.raw(json.encode([*json.items(before), *json.items(inner)]))
            else:
                removed(f"{place}.allOf" if place else "allOf", "the API does not combine schemas")
                return fields
    return out


# --- JSON Schema to Gemini's form ------------------------------------------------------------------------

_SUBSET = frozenset(
    {
        "type",
        "format",
        "title",
        "description",
        "nullable",
        "enum",
        "items",
        "minItems",
        "maxItems",
        "properties",
        "required",
        "propertyOrdering",
        "minProperties",
        "maxProperties",
        "minLength",
        "maxLength",
        "pattern",
        "anyOf",
        "minimum",
        "maximum",
    }
)

_FORMATS = {
    "string": ("enum", "date-time"),
    "number": ("float", "double"),
    "integer": ("int32", "int64"),
}

MAX_EXPANDED = 10_000
"""Schema objects that may come out of resolving references: two references in each of twenty would make a million."""


def narrowed(schema: bytes, removed: Removed) -> bytes | None:
    """``schema`` in Gemini's form, for models older than ``parametersJsonSchema``; None for an object without members.

    References are resolved. Raises `RemoteProtocolError` for a schema that contains itself.
    """
    cleaned_ = cleaned(schema, removed)
    root = json.fields(cleaned_) if json.kind(cleaned_) == "object" else {}
    out = _Narrowing(root, removed).node(json.raw(cleaned_), "", ())
    fields = json.fields(out)
    if not fields.get("properties") or bytes(fields["properties"]) == b"{}":
        return None
    return json.encode({"type": "object", **fields})


class _Narrowing:
    def __init__(self, root: Fields, removed: Removed) -> None:
        self._removed = removed
        self._count = 0
        self._known: dict[str, Raw] = {}
        for key in ("$defs", "definitions"):
            found = root.get(key)
            if found is not None and json.kind(found) == "object":
                self._known.update({f"#/{key}/{name}": node for name, node in json.fields(found).items()})

    def node(self, node: Raw, place: str, above: tuple[str, ...]) -> Raw:
        self._count += 1
        if self._count > MAX_EXPANDED or len(above) > MAX_DEPTH:
            raise RemoteProtocolError(f"the schema is too large without its references (at {place or 'its root'})")
        if json.kind(node) != "object":
            return json.raw(b"{}")  # true: anything
        fields = json.fields(node)
        if "$ref" in fields:
            return self._resolved(fields, place, above)
        nullable = self._take_null(fields)
        out: dict[str, object] = {}
        for name, value in fields.items():
            here = f"{place}.{name}" if place else name
            if name in ("$defs", "definitions"):
                continue
            if name not in _SUBSET:
                self._removed(here, "this model's schemas have no such keyword")
                continue
            kept = self._member(name, value, fields, here, above)
            if kept is not None:
                out[name] = kept
        if nullable and out.keys() - {"description", "title"}:
            out["nullable"] = True
        return json.raw(json.encode(out))

    def _resolved(self, fields: Fields, place: str, above: tuple[str, ...]) -> Raw:
        name = str(json.loads(fields["$ref"]))
        if name in above:
            raise RemoteProtocolError(f"the schema contains itself ({name}): this model's schemas can not")
        target = self._known.get(name)
        if target is None or json.kind(target) != "object":
            self._removed(f"{place}.$ref" if place else "$ref", "it refers to nothing in this schema")
            return json.raw(b"{}")
        beside = {key: value for key, value in fields.items() if key != "$ref"}
        return self.node(json.raw(json.encode({**json.fields(target), **beside})), place, (*above, name))

    def _take_null(self, fields: Fields) -> bool:
        """Say null with ``nullable`` instead of a type of its own (B2)."""
        type_, choices = fields.get("type"), fields.get("anyOf")
        if type_ is not None and json.kind(type_) == "array":
            words = [word for word in json.items(type_) if bytes(word) != b'"null"']
            nullable = len(words) < len(json.items(type_))
            if len(words) == 1:
                fields["type"] = words[0]
            else:
                del fields["type"]
                if words:
                    fields["anyOf"] = json.raw(json.encode([{"type": word} for word in words]))
            return nullable
        if choices is not None and json.kind(choices) == "array":
            items = json.items(choices)
            left = [item for item in items if b"".join(bytes(item).split()) != b'{"type":"null"}']
            if len(left) == len(items):
                return False
            if len(left) == 1 and json.kind(left[0]) == "object":
                del fields["anyOf"]
                for name, value in json.fields(left[0]).items():
                    fields.setdefault(name, value)
            else:
                fields["anyOf"] = json.raw(json.encode(left))
            return True
        return False

    def _member(self, name: str, value: Raw, fields: Fields, place: str, above: tuple[str, ...]) -> object:
        kind = json.kind(value)
        if name == "properties" and kind == "object":
            return {key: self.node(item, f"{place}.{key}", (*above, "")) for key, item in json.fields(value).items()}
        if name == "items":
            return self.node(value, place, (*above, ""))
        if name == "anyOf" and kind == "array":
            return [self.node(item, f"{place}[{n}]", (*above, "")) for n, item in enumerate(json.items(value))]
        if name == "enum" and kind == "array":
            items = [item for item in json.items(value) if bytes(item) != b"null"]
            if any(json.kind(item) != "string" for item in items):
                self._removed(place, "this model's enums are of strings alone")
                return None
            return items
        if name == "format":
            type_ = json.loads(fields["type"]) if "type" in fields else None
            if not isinstance(type_, str) or json.loads(value) not in _FORMATS.get(type_, ()):
                self._removed(place, "this model's schemas do not have this format")
                return None
        return value
