"""A document against the Structs of `schema`, field by field, so that no finding hides another.

msgspec stops at the first fault, which is right for a request and wrong for a file that a person edits: here
each field is converted alone, and the result is a Config in which refused values stand as defaults. Whoever goes
on to check how values fit together asks `Report.accepted` first.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import inspect

from .given import Given
from .problems import Path, Report, key_text, nearest
from .schema import Config

_S = TypeVar("_S", bound=msgspec.Struct)

MAX_SHOWN = 60
"""Longest value that a message quotes, in characters; a longer one is described by its type."""


def validate(document: Mapping[str, object], report: Report) -> Config:
    """The document as a Config; everything wrong with single fields goes to `report`.

    Required texts that are missing or refused are "" in the result.
    """
    return _table(document, Config, (), report)


def _table(found: Mapping[str, object], kind: type[_S], path: Path, report: Report) -> _S:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, object] = {}
    for key, value in found.items():
        if key in fields:
            values[key] = _field(value, fields[key], (*path, key), report)
        else:
            report.error((*path, key), *_unknown(key, value, kind, path))
    for key, field in fields.items():
        if field.required and key not in values:
            report.error((*path, key), "missing", f"add {key} = {example(field)}")
        if values.get(key, _REFUSED) is _REFUSED:
            values.pop(key, None)
            if field.required:
                values[key] = ""
    return kind(**values)


class _Refused:
    """Stands for a value that was reported, until the default takes its place."""


_REFUSED = _Refused()


def _field(value: object, field: msgspec.structs.FieldInfo, path: Path, report: Report) -> object:
    info = inspect.type_info(field.type)
    inner = _inner(info)
    if isinstance(value, Given):
        value = _read(value, inner)
    if isinstance(inner, inspect.StructType):
        if isinstance(value, Mapping):
            return _table(value, inner.cls, path, report)
        report.error(path, f"expected a table, found {_described(value)}", f"write it as [{_header(path)}]")
        return _REFUSED
    if isinstance(inner, inspect.VarTupleType) and isinstance(inner.item_type, inspect.StructType):
        return _tables(value, inner.item_type.cls, path, report)
    if isinstance(inner, inspect.DictType) and isinstance(inner.value_type, inspect.StructType):
        return _named_tables(value, inner.value_type.cls, path, report)
    try:
        return msgspec.convert(_plain(value), field.type, strict=not isinstance(value, _Lax))
    except msgspec.ValidationError:
        report.error(path, *_mismatch(value, field, info))
        return _REFUSED


class _Lax(Given):
    """A text from the environment for a field that is no text."""

    __slots__ = ()


def _read(text: Given, inner: inspect.Type) -> object:
    """``text`` as the field wants it: arrays and tables as JSON, or items with commas between them."""
    if isinstance(inner, (inspect.StructType, inspect.DictType, inspect.VarTupleType)):
        decoded = _decoded(text)
        if decoded is text and isinstance(inner, inspect.VarTupleType):
            return [Given(item.strip()) for item in text.split(",") if item.strip()]
        return decoded
    return text if isinstance(inner, (inspect.StrType, inspect.LiteralType, inspect.AnyType)) else _Lax(text.strip())


def _decoded(value: object) -> object:
    """A text from the environment that is an array or a table in JSON as what it is; anything else as it is."""
    if isinstance(value, Given) and value.lstrip().startswith(("{", "[")):
        try:
            return msgspec.json.decode(str(value))
        except msgspec.DecodeError:
            return value
    return value


def _plain(value: object) -> object:
    """``value`` without the marks of where it came from."""
    if isinstance(value, Given):
        return str(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _named_tables(value: object, kind: type[_S], path: Path, report: Report) -> object:
    if not isinstance(value, Mapping):
        report.error(path, f"expected a table, found {_described(value)}", f"write [{_header(path)}.NAME] for each")
        return _REFUSED
    tables = {}
    for name, item in ((name, _decoded(item)) for name, item in value.items()):
        if isinstance(item, Mapping):
            tables[name] = _table(item, kind, (*path, name), report)
        else:
            report.error((*path, name), f"expected a table, found {_described(item)}", f"write [{_header(path)}.NAME]")
    return tables


def _tables(value: object, kind: type[_S], path: Path, report: Report) -> object:
    header = f"[[{_header(path)}]]"
    if isinstance(value, Mapping):
        # The most frequent slip with arrays of tables; its content is checked all the same.
        report.error(path, f"expected an array of tables, found one table [{_header(path)}]", f"write {header}")
        return (_table(value, kind, (*path, 0), report),)
    if not isinstance(value, list):
        report.error(path, f"expected an array of tables, found {_described(value)}", f"write {header} for each")
        return _REFUSED
    tables = []
    for index, item in enumerate(map(_decoded, value)):
        if isinstance(item, Mapping):
            tables.append(_table(item, kind, (*path, index), report))
        else:
            report.error((*path, index), f"expected a table, found {_described(item)}", f"write {header} for each")
    return tuple(tables)


def _header(path: Path) -> str:
    """`path` as the header of a table says it: which of several it is, its place tells."""
    return key_text(tuple(part for part in path if isinstance(part, str)))


def _mismatch(value: object, field: msgspec.structs.FieldInfo, info: inspect.Type) -> tuple[str, str]:
    wanted = expected(field)
    if extra(info).get("secret"):
        return f"expected {wanted}, found {_kind(value)}", "put the key between quotes"
    message = f"expected {wanted}, found {_described(value)}"
    choices = _choices(field.type)
    if isinstance(value, Given):
        return message, ""  # nothing is quoted of what may be a secret
    if isinstance(_inner(info), inspect.DictType):
        return message, ""
    if isinstance(_inner(info), inspect.VarTupleType):
        if isinstance(value, str):
            return message, f'write {field.encode_name} = ["{value}"]' if not choices or value in choices else ""
        if not choices:
            return message, ""
        wrong = next((item for item in value if item not in choices), None) if isinstance(value, list) else None
        near = nearest(wrong, choices) if isinstance(wrong, str) else None
        found = message if wrong is None else f"expected {wanted}, found {_described(wrong)} in it"
        return found, f'did you mean "{near}"?' if near else ""
    if choices and isinstance(value, str):
        near = nearest(value, choices)
        return message, f'did you mean "{near}"?' if near else ""
    if isinstance(_inner(info), inspect.BoolType) and isinstance(value, str):
        return message, f"write {field.encode_name} = {value.lower()}" if value.lower() in ("true", "false") else ""
    if isinstance(_inner(info), (inspect.IntType, inspect.FloatType)) and isinstance(value, str):
        return message, f"write {field.encode_name} = {value}, without quotes" if value.isdecimal() else ""
    if isinstance(_inner(info), inspect.StrType) and isinstance(value, (int, float)):
        return message, "put the value between quotes"
    return message, ""


def _unknown(key: str, value: object, kind: type[msgspec.Struct], path: Path) -> tuple[str, str]:
    what = "unknown table" if isinstance(value, Mapping) or _is_tables(value) else "unknown key"
    known = kind.__struct_encode_fields__
    near = nearest(key, known)
    if near is not None:
        return what, f"did you mean {near}?"
    home = _homes(key)
    if home:
        return what, f"it belongs to {home}"
    return what, f"known here: {', '.join(known)}"


def _homes(key: str) -> str:
    """The tables that do know `key`, for a key that stands in the wrong one."""
    homes = [header for header, kind in tables() if key in kind.__struct_encode_fields__]
    return " or ".join(homes)


def is_table(info: inspect.Type) -> bool:
    """Whether a field is a table, an array of tables, or a table of them."""
    info = _inner(info)
    if isinstance(info, inspect.VarTupleType):
        info = info.item_type
    elif isinstance(info, inspect.DictType):
        info = info.value_type
    return isinstance(info, inspect.StructType)


def tables(kind: type[msgspec.Struct] = Config, within: str = "") -> Iterator[tuple[str, type[msgspec.Struct]]]:
    """Every table of the file with its header as one writes it, those inside others after them."""
    for field in msgspec.structs.fields(kind):
        info = _inner(inspect.type_info(field.type))
        name = within + field.encode_name
        header = f"[{name}]"
        if isinstance(info, inspect.VarTupleType):
            header, info = f"[{header}]", info.item_type
        elif isinstance(info, inspect.DictType):
            name += ".NAME"
            header, info = f"[{name}]", info.value_type
        if isinstance(info, inspect.StructType):
            yield header, info.cls
            yield from tables(info.cls, name + ".")


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _inner(info: inspect.Type) -> inspect.Type:
    """The type without its annotations and without `| None`, which TOML cannot say."""
    if isinstance(info, inspect.Metadata):
        return _inner(info.type)
    if isinstance(info, inspect.UnionType):
        return _inner(next(part for part in info.types if not isinstance(part, inspect.NoneType)))
    return info


def extra(info: inspect.Type) -> Mapping[str, object]:
    """What the schema says about a field beyond its type: unit, secret, the words for its default."""
    if isinstance(info, inspect.Metadata):
        return {"description": (info.extra_json_schema or {}).get("description", ""), **(info.extra or {})}
    if isinstance(info, inspect.UnionType):
        return extra(next(part for part in info.types if not isinstance(part, inspect.NoneType)))
    return {}


def _choices(annotation: object) -> tuple[str, ...]:
    """The values of a Literal within `annotation`, in their own order (msgspec's view of the type sorts them)."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return next(filter(None, map(_choices, get_args(annotation))), ())


def expected(field: msgspec.structs.FieldInfo) -> str:
    """The type of a field in words: "a number above 0, up to 86400". Numbers in the schema have both bounds."""
    inner = _inner(inspect.type_info(field.type))
    if isinstance(inner, inspect.BoolType):
        return "true or false"
    if isinstance(inner, inspect.VarTupleType) and not _choices(field.type):
        return "an array of " + _items(inner.item_type)
    if isinstance(inner, inspect.DictType):
        return "a table of texts"
    if isinstance(inner, inspect.AnyType):
        return "any value"
    if isinstance(inner, inspect.VarTupleType):
        return "an array of " + (", ".join(f'"{choice}"' for choice in _choices(field.type)) or "texts")
    if isinstance(inner, inspect.LiteralType):
        return "one of " + ", ".join(f'"{choice}"' for choice in _choices(field.type))
    if isinstance(inner, (inspect.IntType, inspect.FloatType)):
        noun = "a whole number" if isinstance(inner, inspect.IntType) else "a number"
        if inner.gt is not None:
            return f"{noun} above {inner.gt:g}, up to {inner.le:.0f}"
        return f"{noun} from {inner.ge:g} to {inner.le:.0f}"
    return "a text or an array of texts" if _may_be_array(inspect.type_info(field.type)) else "a text"


def _items(info: inspect.Type) -> str:
    """What an array holds, in words: "texts", or "whole numbers from 400 to 599"."""
    inner = _inner(info)
    return f"whole numbers from {inner.ge:g} to {inner.le:.0f}" if isinstance(inner, inspect.IntType) else "texts"


def _may_be_array(info: inspect.Type) -> bool:
    if isinstance(info, inspect.Metadata):
        info = info.type
    return isinstance(info, inspect.UnionType) and any(isinstance(one, inspect.VarTupleType) for one in info.types)


def example(field: msgspec.structs.FieldInfo) -> str:
    """What a value of this required field may look like, as TOML."""
    choices = _choices(field.type)
    return f'"{choices[0]}"' if choices else '"..."'


def _kind(value: object) -> str:
    for kind, name in _KINDS:
        if isinstance(value, kind):
            return name
    return "a value of another kind"


_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "a truth value"),  # before int, whose subclass it is
    (int, "a whole number"),
    (float, "a number"),
    (str, "a text"),
    (Mapping, "a table"),
    (list, "an array"),
    (datetime.datetime, "a date"),
    (datetime.date, "a date"),
    (datetime.time, "a time"),
)


def _described(value: object) -> str:
    """A value as a message shows it: small plain values as written, everything else by its kind."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**15):
        return str(value)
    if isinstance(value, str) and not isinstance(value, Given) and len(value) <= MAX_SHOWN and value.isprintable():
        return f'"{value}"'
    return _kind(value)
