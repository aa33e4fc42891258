"""Objects and schemas as Gemini's API reads them: known names in either spelling, and a subset of OpenAPI. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection

from .complaint import Complaint, Json, kind, words

MAX_DEPTH = 32

_SNAKE = re.compile(r"_+([a-z0-9])")

_KEYWORDS = words(
    "type format title description nullable default enum items minItems maxItems properties required propertyOrdering"
    " minProperties maxProperties minLength maxLength pattern example anyOf minimum maximum additionalProperties defs"
    " ref"
)
_TYPES = words("STRING NUMBER INTEGER BOOLEAN ARRAY OBJECT NULL TYPE_UNSPECIFIED")


def camel(name: str) -> str:
    """A name in camelCase."""
    return _SNAKE.sub(lambda m: m[1].upper(), name) if "_" in name else name


def unknown_name(name: str, path: str) -> Complaint:
    """A field the API does not have."""
    at = f" at '{path}'" if path else ""
    return Complaint(f'Invalid JSON payload received. Unknown name "{name[:60]}"{at}: Cannot find field.')


def fields(value: dict[str, Json], path: str, known: Collection[str]) -> dict[str, Json]:
    """The members that are not null, their names in camelCase. Raises `Complaint` for an unknown one."""
    out: dict[str, Json] = {}
    for name, item in value.items():
        key = camel(name)
        if key not in known:
            raise unknown_name(name, path)
        if item is not None:
            out[key] = item
    return out


def check_schema(schema: Json, path: str, *, outermost: bool = False, depth: int = 0) -> None:
    """A schema in the API's own form; ``outermost``: the parameters of a function."""
    if not isinstance(schema, dict):
        raise Complaint(f"Invalid value at '{path}': expected an object, but got {kind(schema)}")
    if depth > MAX_DEPTH:
        raise Complaint(
            f"A schema in GenerationConfig in the request exceeds the maximum allowed nesting depth: {path}"
        )
    found = fields(schema, path, _KEYWORDS)
    type_ = found.get("type")
    if isinstance(type_, list):
        raise Complaint(
            f"Invalid JSON payload received. Proto field is not repeating, cannot start list at '{path}.type'."
        )
    if isinstance(type_, str) and type_.upper() not in _TYPES:
        raise Complaint(
            f"Invalid value at '{path}.type' (type.googleapis.com/google.ai.generativelanguage.v1beta.Type)"
        )
    word = type_.upper() if isinstance(type_, str) else ""
    if outermost and word not in ("OBJECT", ""):  # "": an enum's number
        raise Complaint(f"* GenerateContentRequest.{path}: parameters schema should be of type OBJECT.\n")
    if word == "ARRAY" and "items" not in found:
        raise Complaint(f"* GenerateContentRequest.{path}.items: missing field.\n")
    for value in _listed(found, "enum", path):
        if not isinstance(value, str):
            raise Complaint(f"Invalid value at '{path}.enum' (TYPE_STRING), {str(value)[:20]}")
    if found.keys() == {"nullable"}:
        raise Complaint(f"* GenerateContentRequest.{path}: nullable without a type\n")
    _inner(found, path, depth)


def _listed(found: dict[str, Json], name: str, path: str) -> list[Json]:
    value = found.get(name, [])
    if not isinstance(value, list):
        raise Complaint(f"Invalid value at '{path}.{name}': expected an array, but got {kind(value)}")
    return value


def _inner(found: dict[str, Json], path: str, depth: int) -> None:
    properties = found.get("properties")
    if properties is not None:
        if not isinstance(properties, dict):
            raise Complaint(f"Invalid value at '{path}.properties' (Map)")
        for name, inner in properties.items():
            check_schema(inner, f"{path}.properties[{name[:40]}]", depth=depth + 1)
        for name in _listed(found, "required", path):
            if not isinstance(name, str) or name not in properties:
                raise Complaint(
                    f"* GenerateContentRequest.{path}.required: property is not defined: {str(name)[:40]}\n"
                )
    if "items" in found:
        check_schema(found["items"], f"{path}.items", depth=depth + 1)
    for n, inner in enumerate(_listed(found, "anyOf", path)):
        check_schema(inner, f"{path}.any_of[{n}]", depth=depth + 1)
