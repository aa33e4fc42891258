"""The fields an official SDK's types allow in a request, as paths of the table of fields.

Kinds of objects are told by their ``type`` (in lists of messages by their ``role``): ``tools[function].strict`` is in a
list, ``thinking(enabled).budget_tokens`` is in a field. What the table decides is not looked into any further.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, Union

import pydantic
import typing_extensions as te

Decided = Callable[[str], bool]
_LISTS = (list, Sequence, Iterable, te.get_origin(Sequence[int]), te.get_origin(Iterable[int]))
_MAPPINGS = (dict, Mapping)
_TAGS = ("type", "role")


class Fields:
    """Walks the types of one SDK. ``untagged`` are lists whose items are one kind of object, whatever their role."""

    def __init__(self, decided: Decided, *, untagged: tuple[str, ...] = (), alias: Callable[[str], str] = str) -> None:
        self._decided = decided
        self._untagged = untagged
        self._alias = alias
        self.seen: set[str] = set()
        """Every path that was come by."""
        self.undecided: set[str] = set()
        """Paths of single values that no row decides."""

    def walk(self, kind: Any, path: str = "", above: frozenset[Any] = frozenset()) -> None:
        """Look at a value of the type ``kind`` at ``path``."""
        if path:
            self.seen.add(path)
            if self._decided(path):
                return
        found = [one for one in _members(kind) if one is not type(None)]
        if any(_is_object(one) for one in found):  # a mapping beside it is the same object without its type
            found = [one for one in found if te.get_origin(one) not in _MAPPINGS]
        objects = [one for one in found if _is_object(one)]
        values = 0
        for one in found:
            if _is_object(one):
                if one not in above:
                    self._object(one, path, above | {one}, alone=len(objects) == 1)
            elif te.get_origin(one) in _LISTS or "SequenceNotStr" in str(one):
                self._list(te.get_args(one)[0] if te.get_args(one) else str, path, above)
            else:
                values += 1
        if values:
            self.undecided.add(path)

    def _list(self, inner: Any, path: str, above: frozenset[Any]) -> None:
        self.seen.add(f"{path}[]")
        if self._decided(f"{path}[]"):
            return
        members = _members(inner)
        if any(_is_object(one) for one in members):
            self.walk(inner, f"{path}[]", above)
        else:
            self.undecided.add(path)

    def _object(self, kind: Any, path: str, above: frozenset[Any], *, alone: bool) -> None:
        fields = _fields(kind, self._alias)
        tag = _tag(fields) if path not in self._untagged else None
        listed = path.endswith("[]")
        if tag is None or not path or (alone and not listed):
            names = [path]
        else:
            names = [f"{path[:-2]}[{word}]" if listed else f"{path}({word})" for word in tag[1]]
        for name in names:
            if name != path:
                self.seen.add(name)
                if self._decided(name):
                    continue
            inner = [(field, value) for field, value in fields.items() if tag is None or field != tag[0]]
            if not inner:
                self.undecided.add(name)
            for field, value in inner:
                self.walk(value, f"{name}.{field}" if name else field, above)


def _members(kind: Any) -> list[Any]:
    origin = te.get_origin(kind)
    if origin in (te.Annotated, te.Required, te.NotRequired):
        return _members(te.get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [member for one in te.get_args(kind) for member in _members(one)]
    if isinstance(kind, te.TypeAliasType):
        return _members(kind.__value__)
    return [kind]


def _is_object(kind: Any) -> bool:
    return te.is_typeddict(kind) or (isinstance(kind, type) and issubclass(kind, pydantic.BaseModel))


def _fields(kind: Any, alias: Callable[[str], str]) -> dict[str, Any]:
    if te.is_typeddict(kind):
        return te.get_type_hints(kind, include_extras=True)
    return {alias(name): field.annotation for name, field in kind.model_fields.items()}


def _tag(fields: dict[str, Any]) -> tuple[str, list[str]] | None:
    """What tells the kind of an object, and its words for it."""
    for name in _TAGS:
        if name in fields and (words := sorted(_words(fields[name]))):
            return name, words
    return None


def _words(kind: Any) -> Iterator[str]:
    for one in _members(kind):
        if te.get_origin(one) is Literal:
            yield from (str(word) for word in te.get_args(one) if word is not None)
        elif isinstance(one, type) and issubclass(one, enum.Enum):
            return
