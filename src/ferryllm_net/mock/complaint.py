"""What a strict provider refuses, and the reading of JSON values that all rules share; pure.

The rules look at the JSON as it came and not at what our own decoders make of it: so they are a second opinion.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ferryllm_proto import ir

Json = Any  # a value of any JSON type; every use is behind a check of its type


class Complaint(Exception):
    """A request the provider would refuse, with 400 unless ``error_kind`` says otherwise, in the provider's words."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        error_kind: ir.ErrorKind = ir.ErrorKind.BAD_REQUEST,
    ) -> None:
        super().__init__(message)
        self.error = ir.Error(error_kind, message, param=param, code=code)


def words(text: str) -> frozenset[str]:
    """The words of ``text``."""
    return frozenset(text.split())


def kind(value: Json) -> str:
    """The JSON type of a value, in the words of the providers' messages."""
    if value is None:
        return "null"
    return _KINDS.get(type(value), "object")


_KINDS = {bool: "boolean", int: "integer", float: "decimal", str: "string", list: "array", dict: "object"}


# --- in OpenAI's words, for both of its APIs -------------------------------------------------------------


def missing(path: str) -> Complaint:
    """A field that has to be there."""
    return Complaint(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")


def typed(value: Json, path: str, *kinds: str) -> Json:
    """``value``, which is of one of ``kinds``; a missing one is None and of none of them."""
    found = kind(value)
    if found in kinds or (found == "integer" and "decimal" in kinds):
        return value
    expected = " or ".join(("an " if k[0] in "aeiou" else "a ") + k for k in kinds)
    raise Complaint(
        f"Invalid type for '{path}': expected {expected}, but got {'null' if found == 'null' else found} instead.",
        param=path,
        code="invalid_type",
    )


def listed(value: Json, path: str, *, least: int = 0, most: int | None = None) -> list[Json]:
    """``value``, an array of ``least`` to ``most`` items."""
    items: list[Json] = typed(value, path, "array")
    if len(items) < least:
        raise Complaint(
            f"Invalid '{path}': empty array. Expected an array with minimum length {least}, but got an empty array "
            "instead.",
            param=path,
            code="empty_array",
        )
    if most is not None and len(items) > most:
        raise Complaint(
            f"Invalid '{path}': array too long. Expected an array with maximum length {most}, but got an array with "
            f"length {len(items)} instead.",
            param=path,
            code="array_above_max_length",
        )
    return items


def one_of(value: Json, path: str, allowed: Collection[str]) -> str:
    """``value``, one of ``allowed``."""
    if not isinstance(value, str) or value not in allowed:
        supported = ", ".join(f"'{word}'" for word in allowed)
        found = f"'{value[:40]}'" if isinstance(value, str) else kind(value)
        raise Complaint(f"Invalid value: {found}. Supported values are: {supported}.", param=path, code="invalid_value")
    return value


def short(value: Json, path: str, most: int) -> str:
    """``value``, a string of at most ``most`` characters."""
    text: str = typed(value, path, "string")
    if len(text) > most:
        raise Complaint(
            f"Invalid '{path}': string too long. Expected a string with maximum length {most}, but got a string with "
            f"length {len(text)} instead.",
            param=path,
            code="string_above_max_length",
        )
    return text


def known(body: dict[str, Json], names: Collection[str]) -> None:
    """No field of the body but ``names``."""
    for name in body:
        if name not in names:
            raise Complaint(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")


def within(body: dict[str, Json], name: str, least: float, most: float | None = None, *, sort: str = "decimal") -> None:
    """A number of the body in its range; absent and null are fine. ``sort`` is integer or decimal."""
    value = body.get(name)
    if value is None:
        return
    typed(value, name, sort)
    side, bound = ("below minimum", least) if value < least else ("above maximum", most)
    if value < least or (most is not None and value > most):
        sign = ">=" if value < least else "<="
        raise Complaint(
            f"Invalid '{name}': {sort} {side} value. Expected a value {sign} {bound}, but got {value} instead.",
            param=name,
            code=f"{sort}_{'below_min' if value < least else 'above_max'}_value",
        )


def function_schema(schema: Json, name: str, path: str) -> None:
    """The parameters of a function: absent, null, or the schema of an object."""
    if schema is None or schema == {}:
        return
    found = typed(schema, path, "object").get("type")
    if found != "object":
        raise Complaint(
            f"Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"', got 'type: "
            f'"{found}"\'.',
            param=path,
            code="invalid_function_parameters",
        )
