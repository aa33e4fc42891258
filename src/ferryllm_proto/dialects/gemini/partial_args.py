"""Arguments of a call that come in pieces, each with the place it belongs to (``partialArgs``).

A piece names a place by a JSON path (``$.city``, ``$.days[0].name``, ``$['a b']``) and brings a value, or more of a
string. What other dialects stream is JSON text, so the pieces are put together first.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import msgspec

from ... import ir, json
from ...errors import RemoteProtocolError
from .wire import camel

MAX_PIECES = 100_000
"""Pieces of one call, and the greatest index of an array: a place may name any."""

_STEP = re.compile(r"""\.(?P<name>[^.\[\]]+)|\[(?P<index>\d{1,6})\]|\[(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)")\]""")


class _Piece(msgspec.Struct, frozen=True, rename="camel"):
    json_path: str = "$"
    string_value: str | None = None
    number_value: int | float | None = None
    bool_value: bool | None = None
    null_value: json.Raw = json.Raw()


_piece = json.decoder(_Piece)


class PartialArguments:
    """The arguments of one call."""

    def __init__(self) -> None:
        self._value: dict[str, Any] = {}
        self._count = 0

    def add(self, raw: json.Raw) -> None:
        """Take one piece. Raises `RemoteProtocolError` for one that has no place."""
        piece = json.decode(raw, _piece)
        if piece.json_path == "$":  # in the other spelling
            fields = {camel(name): value for name, value in json.fields(raw).items()}
            piece = json.decode(json.encode(fields), _piece)
        self._count += 1
        steps = _steps(piece.json_path)
        if not steps or self._count > MAX_PIECES:
            raise RemoteProtocolError("a piece of a call's arguments has no place", kind=ir.ErrorKind.UPSTREAM)
        target: Any = self._value
        for step, after in itertools.pairwise(steps):
            target = _inner(target, step, [] if isinstance(after, int) else {})
        _set(target, steps[-1], piece)

    def update(self, args: json.Raw) -> None:
        """Take arguments that came whole."""
        found = json.loads(args)
        if isinstance(found, dict):
            self._value.update(found)

    def text(self) -> str:
        """The arguments as JSON text."""
        return json.encode(self._value).decode("utf-8", "surrogatepass")


def _steps(path: str) -> list[str | int]:
    out: list[str | int] = []
    text = path.removeprefix("$")
    at = 0
    if text and text[0] not in ".[":
        text = f".{text}"
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            return []
        index = found["index"]
        out.append(int(index) if index is not None else found["name"] or found["single"] or found["double"] or "")
        at = found.end()
    return out


def _fill(target: Any, step: str | int) -> None:
    """Make sure that ``target`` can hold ``step``."""
    if isinstance(step, int) and isinstance(target, list):
        if step > min(len(target), MAX_PIECES):
            raise RemoteProtocolError("a piece of a call's arguments is out of order", kind=ir.ErrorKind.UPSTREAM)
        if step == len(target):
            target.append(None)
    elif not (isinstance(step, str) and isinstance(target, dict)):
        raise RemoteProtocolError("a piece of a call's arguments has no place", kind=ir.ErrorKind.UPSTREAM)


def _inner(target: Any, step: str | int, empty: Any) -> Any:
    _fill(target, step)
    found = target.get(step) if isinstance(target, dict) else target[step]
    if found is None:
        found = target[step] = empty
    return found


def _set(target: Any, step: str | int, piece: _Piece) -> None:
    _fill(target, step)
    value: Any = piece.string_value
    if value is not None:
        before = target.get(step) if isinstance(target, dict) else target[step]
        value = before + value if isinstance(before, str) else value
    elif piece.number_value is not None:
        value = piece.number_value
    elif piece.bool_value is not None:
        value = piece.bool_value
    target[step] = value
