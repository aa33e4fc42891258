"""Many changes to one JSON text at once: members and items replaced, removed, added, every other byte left as it was.

`json.splice` replaces one value that is there; policies also remove and add, in arrays and deep in an object, and do
several of it to the same body. The changes are gathered in a tree in the shape of the text, so that each container is
walked once and no change can miss because of one before it. Where an object has a member twice, which JSON does not
forbid, a change is made to each of them: providers differ in which of them they read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from . import json

Path = tuple[str | int, ...]
"""Names of members and indices of items, from the outermost; () is the whole text."""

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SPACE = re.compile(rb"[ \t\r\n]*")
_SCALAR = re.compile(rb"[^ \t\r\n,\]}]+")
_NESTED = re.compile(_STRING.pattern + rb"|[\[\]{}]", re.DOTALL)
_BEHIND = (b",", b"}", b"]", b"")


class _Change:
    """What happens to one value, and to the values within it."""

    __slots__ = ("children", "items", "made", "removed", "value")

    def __init__(self) -> None:
        self.value: bytes | None = None
        self.removed = False
        self.made = False
        """Whether it is to be there although it is not yet."""
        self.children: dict[str | int, _Change] = {}
        self.items: list[bytes] = []
        """Added behind the last item."""


class Splices:
    """Changes to ``data``, which has to be valid JSON: this walks, it does not validate.

    The value of a change is JSON text. A change within a value that is replaced or removed is lost with it.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._root = _Change()

    def replace(self, path: Path, value: bytes) -> None:
        """Put ``value`` where ``path`` is; nothing happens where it is not."""
        self._at(path).value = value

    def remove(self, path: Path) -> None:
        """Take out the member or the item at ``path``, with its comma; nothing happens where it is not."""
        self._at(path).removed = True

    def put(self, path: tuple[str, ...], value: bytes) -> None:
        """Set the member at ``path``: replaced where it is, else added behind the last one.

        Objects on the way that are missing, or are no objects (``null``), are made.
        """
        for depth in range(1, len(path)):
            self._at(path[:depth]).made = True
        self.put_in(path[:-1], path[-1], value)

    def put_in(self, path: Path, name: str, value: bytes) -> None:
        """Set the member ``name`` of the object at ``path``, which has to be there."""
        change = self._at((*path, name))
        change.value, change.made = value, True

    def append(self, path: Path, item: bytes) -> None:
        """Add ``item`` behind the last one of the array at ``path``; nothing happens where there is no array."""
        self._at(path).items.append(item)

    def done(self) -> bytes:
        """The text with all changes made."""
        edits = list(_edits(self._data, *span(self._data), self._root))
        if not edits:
            return self._data
        out, at = [], 0
        for start, end, text in edits:
            out += [self._data[at:start], text]
            at = end
        out.append(self._data[at:])
        return b"".join(out)

    def _at(self, path: Path) -> _Change:
        change = self._root
        for part in path:
            change = change.children.setdefault(part, _Change())
        return change


_Edit = tuple[int, int, bytes]


def _edits(data: bytes, start: int, end: int, change: _Change) -> Iterator[_Edit]:
    """The edits of the value in ``data[start:end]``, from front to back."""
    if change.value is not None:
        yield start, end, change.value
        return
    opening = data[start : start + 1]
    if opening == b"{":
        yield from _in_object(data, start, end, change)
    elif opening == b"[":
        yield from _in_array(data, start, end, change)
    elif change.made and _added(change):
        yield start, end, _made(change)


def _in_object(data: bytes, start: int, end: int, change: _Change) -> Iterator[_Edit]:
    spans: list[tuple[int, int]] = []
    gone: list[bool] = []
    inner: list[list[_Edit]] = []
    missing = _added(change)
    for name, key, value, behind in members(data, start, end):
        spans.append((key, behind))
        own = change.children.get(name)
        missing.pop(name, None)
        gone.append(own is not None and own.removed)
        inner.append(list(_edits(data, value, behind, own)) if own is not None else [])
    added = [json.encode_str(name) + b":" + _made(one) for name, one in missing.items()]
    yield from _in_row(data, start, spans, gone, inner, added)


def _in_array(data: bytes, start: int, end: int, change: _Change) -> Iterator[_Edit]:
    spans = items(data, start, end)
    found = [change.children.get(n) for n in range(len(spans))]
    inner = [list(_edits(data, *one, own)) if own is not None else [] for one, own in zip(spans, found, strict=True)]
    yield from _in_row(data, start, spans, [one is not None and one.removed for one in found], inner, change.items)


def _in_row(
    data: bytes,
    start: int,
    spans: list[tuple[int, int]],
    gone: list[bool],
    inner: list[list[_Edit]],
    added: list[bytes],
) -> Iterator[_Edit]:
    """The edits of a row of entries with commas between them."""
    kept = False
    for n, (first, behind) in enumerate(spans):
        if not gone[n]:
            kept = True
            yield from inner[n]
        elif kept:  # with the comma before it
            yield spans[n - 1][1], behind, b""
        else:  # nothing stays before it: with the comma behind it
            yield first, spans[n + 1][0] if n + 1 < len(spans) else behind, b""
    if added:
        place = spans[-1][1] if spans else start + 1
        yield place, place, (b"," if kept else b"") + b",".join(added)


def _made(change: _Change) -> bytes:
    """The JSON text of a value that was not there."""
    if change.value is not None:
        return change.value
    inner = (json.encode_str(name) + b":" + _made(one) for name, one in _added(change).items())
    return b"{" + b",".join(inner) + b"}"


def _added(change: _Change) -> dict[str, _Change]:
    """The members that are set whether or not they are there."""
    return {name: one for name, one in change.children.items() if one.made and isinstance(name, str)}


# --- walking ---------------------------------------------------------------------------------------------


def span(data: bytes) -> tuple[int, int]:
    """Where the whole value of ``data`` stands, without the space around it."""
    return _skip(data, 0), len(data.rstrip(b" \t\r\n"))


def find(data: bytes, path: Path) -> tuple[int, int] | None:
    """The span of the value at ``path``, or None; the last of a member that is there twice, as decoders do."""
    start, end = span(data)
    for part in path:
        found: tuple[int, int] | None = None
        if isinstance(part, int):
            entries = items(data, start, end) if data[start : start + 1] == b"[" else []
            if -len(entries) <= part < len(entries):
                found = entries[part]
        elif data[start : start + 1] == b"{":
            for name, _, value, behind in members(data, start, end):
                if name == part:
                    found = value, behind
        if found is None:
            return None
        start, end = found
    return start, end


def members(data: bytes, start: int, end: int) -> Iterable[tuple[str, int, int, int]]:
    """Name, start of the key, start of the value and its end, for each member of the object ``data[start:end]``."""
    guesses = {name: bytes(raw) for name, raw in json.fields(data[start:end]).items()}
    out: list[tuple[str, int, int, int]] = []
    at = _skip(data, start + 1)
    while data[at : at + 1] == b'"':
        key = _STRING.match(data, at)
        assert key is not None
        quoted = key[0]
        name = quoted[1:-1].decode() if b"\\" not in quoted else str(json.loads(quoted))
        value = _skip(data, _skip(data, key.end()) + 1)  # over the colon
        behind = _value_end(data, value, guesses.get(name))
        out.append((name, at, value, behind))
        at = _skip(data, behind)
        if data[at : at + 1] != b",":
            break
        at = _skip(data, at + 1)
    return out


def items(data: bytes, start: int, end: int) -> list[tuple[int, int]]:
    """The spans of the items of the array ``data[start:end]``."""
    out: list[tuple[int, int]] = []
    at = _skip(data, start + 1)
    for raw in json.items(data[start:end]):
        behind = _value_end(data, at, bytes(raw))
        out.append((at, behind))
        at = _skip(data, _skip(data, behind) + 1)  # over the comma
    return out


def _skip(data: bytes, at: int) -> int:
    match = _SPACE.match(data, at)
    assert match is not None
    return match.end()


def _value_end(data: bytes, start: int, guess: bytes | None) -> int:
    """Where the value that begins at ``start`` ends; ``guess`` is a decoder's idea of it."""
    if guess is not None and data.startswith(guess, start):
        # JSON text that begins with a whole value is that value, except for numbers: 12 begins with 1.
        end = start + len(guess)
        behind = _skip(data, end)
        if data[behind : behind + 1] in _BEHIND:
            return end
    first = data[start : start + 1]
    if first == b'"':
        text = _STRING.match(data, start)
        assert text is not None
        return text.end()
    if first not in (b"{", b"["):
        scalar = _SCALAR.match(data, start)
        assert scalar is not None
        return scalar.end()
    depth = 0
    for token in _NESTED.finditer(data, start):
        char = token[0][:1]
        if char in b"{[":
            depth += 1
        elif char in b"}]":
            depth -= 1
            if depth == 0:
                return token.end()
    raise AssertionError("not valid JSON")
