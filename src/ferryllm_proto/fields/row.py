"""One row of the table of fields: where a field is, an example of it, and its fate at each kind of provider.

Apart from the table, because the table is data alone. A row can make the request that exercises it (`Row.request`), so
that every fate can be proved by a translation, and the words of the documentation are what a translation says.

The path of a field is written as the client writes it, with the kind of an object where a place holds several kinds:
``thinking(enabled).budget_tokens``, ``messages[].content[tool_result].is_error``.
"""

from __future__ import annotations

import enum
import re
from typing import Any

import msgspec

from .. import json
from ..loss import Disposition

BACKENDS = ("openai", "openai_responses", "anthropic", "gemini", "ollama")
"""The order of the marks of a row."""


class Fate(enum.Enum):
    """What becomes of a field at a provider; the values are the marks of the table."""

    MAPPED = "="
    """The provider gets it."""
    IDLE = "."
    """Nothing is lost although nothing is sent: it asks for what is so anyway, or the gateway does it."""
    DEGRADED = "~"
    DROPPED = "-"
    REFUSED = "!"

    @property
    def disposition(self) -> Disposition | None:
        """What is reported; None where nothing is lost."""
        return _DISPOSITIONS.get(self)


_DISPOSITIONS = {
    Fate.DEGRADED: Disposition.DEGRADED,
    Fate.DROPPED: Disposition.DROPPED,
    Fate.REFUSED: Disposition.REFUSED,
}

_STEP = re.compile(r"(?P<name>[^.()\[\]]+)(?:\((?P<kind>[^)]*)\)|(?P<list>\[(?P<item>[^\]]*)\]))?(?:\.|$)")


class Step(msgspec.Struct, frozen=True, gc=False):
    """One name of a path."""

    name: str
    kind: str | None = None
    """The kind of the object, or of the item of the list."""
    list: bool = False


def steps(path: str) -> tuple[Step, ...]:
    """The names of ``path`` in order; none for the empty path, which is the body."""
    return tuple(
        Step(match["name"], match["kind"] or match["item"] or None, match["list"] is not None)
        for match in _STEP.finditer(path)
    )


class Place(msgspec.Struct, frozen=True):
    """An object of a request that has fields; calling it makes a row of one of them."""

    dialect: str
    path: str
    """The object, as a pattern; "" is the body."""
    at: str
    """The same object in ``body``, with numbers."""
    body: dict[str, Any]
    """A small valid request that has it."""
    door: str | None = None
    """The path it is sent to, where the dialect has several."""

    def __call__(
        self,
        path: str,
        example: object,
        fates: str,
        *,
        newer: str | None = None,
        beside: dict[str, Any] | None = None,
        instead: object = None,
        when: str = "",
        told: str | None = None,
        extension: bool = False,
    ) -> Row:
        return Row(self, path, example, fates, newer, beside or {}, instead, when, told, extension)


class Row(msgspec.Struct, frozen=True):
    """A field and its fates."""

    place: Place
    name: str
    """The field's path below the place."""
    example: object
    """A value of it that asks for something."""
    fates: str
    """A mark for each of `BACKENDS`: see `Fate`."""
    newer: str | None = None
    """The marks for models that reason, where they differ."""
    beside: dict[str, Any] = {}
    """Other fields of the place that it needs."""
    instead: object = None
    """Another value, where it cannot be left out."""
    when: str = ""
    """The values this row is about, where the fate depends on the value."""
    told: str | None = None
    """The object below the place that is lost with the field, where reports name that."""
    extension: bool = False
    """No official SDK has it: another vendor's word, or one of the past that clients still use."""

    @property
    def path(self) -> str:
        """The whole pattern."""
        return f"{self.place.path}.{self.name}" if self.place.path else self.name

    def fate(self, backend: str, *, newer: bool = False) -> Fate:
        """What becomes of the field at a provider of the dialect ``backend``; ``newer``: its models that reason."""
        marks = self.newer if newer and self.newer is not None else self.fates
        return Fate(marks[BACKENDS.index(backend)])

    def request(self) -> tuple[dict[str, Any], str]:
        """A request with the field in it, and the path there that a report of its loss names."""
        body, path = self._made(self.example)
        if self.told is not None:
            path = f"{self.place.at}.{self.told}".strip(".")
        return body, path

    def baseline(self) -> dict[str, Any]:
        """The same request without the field, or with another value of it."""
        if self.instead is not None:
            return self._made(self.instead)[0]
        body: dict[str, Any] = _copy(self.place.body)
        _merge(_object(body, self.place.at), _copy(self.beside))
        return body

    def _made(self, value: object) -> tuple[dict[str, Any], str]:
        body: dict[str, Any] = _copy(self.place.body)
        target = _object(body, self.place.at)
        _merge(target, _copy(self.beside))
        found = [self.place.at] if self.place.at else []
        way = steps(self.name)
        for n, step in enumerate(way):
            last = n == len(way) - 1
            inner: Any = value if last else {}
            if step.kind is not None:
                inner = {"type": step.kind, **(inner if isinstance(inner, dict) else {})}
            if step.list:
                items = target.setdefault(step.name, [])
                assert isinstance(items, list), self.path
                found.append(f"{step.name}[{len(items)}]")
                items.append(_copy(inner))
                target = items[-1]
            else:
                found.append(step.name)
                known = target.get(step.name)
                if isinstance(known, dict) and isinstance(inner, dict) and not (last and step.kind is None):
                    _merge(known, _copy(inner))
                else:
                    target[step.name] = _copy(inner)
                target = target[step.name]
        return body, ".".join(found)


def _copy(value: Any) -> Any:
    return json.loads(json.encode(value))


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for name, value in more.items():
        known = into.get(name)
        if isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value)
        else:
            into[name] = value


_PLACE = re.compile(r"([^.\[\]]+)((?:\[\d+\])*)")


def _object(body: dict[str, Any], at: str) -> dict[str, Any]:
    found: Any = body
    for name, numbers in _PLACE.findall(at):
        found = found[name]
        for number in re.findall(r"\d+", numbers):
            found = found[int(number)]
    assert isinstance(found, dict), at
    into: dict[str, Any] = found
    return into
