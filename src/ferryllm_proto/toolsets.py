"""Lists of tools and system prompts that come again: what was read from them, and what was made of them for a provider.

An agent sends the same dozens of tools with every turn, and to take them apart and put them together again costs as
much as a long conversation; so does its system prompt, of which a digest is made. Kept are values that nobody changes,
by the bytes they were read from; whoever makes something of a list keeps it beside that (`derived`), and has to name
everything else it depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from . import ir

MAX_SIZE = 256 << 10
"""Bytes of a list that is kept: agents with many MCP servers send some 150 kB."""
MAX_TOTAL = 4 << 20
"""Bytes of all lists, and of all prompts; what is made of one is as long again for each kind of provider."""
MIN_PROMPT = 1024
"""Bytes of a system prompt that is kept: a shorter one costs no more than the looking."""
MAX_DERIVED = 8
"""Values that are kept beside one list: the client's side, and some kinds of providers."""

_EDGE = 64
"""Bytes at both ends that tell most lists apart; the rest is only compared, because a hash of it costs ten times as
much."""

T = TypeVar("T", bound="tuple[object, ...]")
_Key = tuple[Callable[[bytes], T], int, bytes, bytes]


class _Set(Generic[T]):
    __slots__ = ("data", "derived", "items")

    def __init__(self, data: bytes, items: T) -> None:
        self.data = data
        self.items = items
        self.derived: dict[object, Any] = {}


class Sets(Generic[T]):
    """The lists used last."""

    def __init__(self, limit: int = MAX_TOTAL) -> None:
        self._limit = limit
        self._size = 0
        self._sets: dict[_Key[T], _Set[T]] = {}
        self._by_items: dict[int, _Set[T]] = {}
        """By identity: a set holds its items, so no other object can have their place."""

    def read(self, data: bytes, read: Callable[[bytes], T]) -> T:
        """What is in ``data``: the same object as the last time where these bytes were read before.

        ``read`` is a function of a module and depends on nothing but ``data``; what it raises is raised.
        """
        if len(data) > MAX_SIZE:
            return read(data)
        key = (read, len(data), data[:_EDGE], data[-_EDGE:])
        found = self._sets.get(key)
        if found is not None and found.data == data:
            self._sets[key] = self._sets.pop(key)  # the last is the youngest
            return found.items
        items = read(data)
        if not items:  # the empty tuple has no identity of its own
            return items
        if found is not None:
            self._forget(key)
        self._sets[key] = self._by_items[id(items)] = _Set(data, items)
        self._size += len(data)
        while self._size > self._limit:
            self._forget(next(iter(self._sets)))
        return items

    def _forget(self, key: _Key[T]) -> None:
        gone = self._sets.pop(key)
        self._size -= len(gone.data)
        del self._by_items[id(gone.items)]

    def derived(self, items: T) -> dict[object, Any] | None:
        """Where to look for values made of ``items``; None where they are not kept (see `keep`)."""
        found = self._by_items.get(id(items))
        return None if found is None else found.derived


def keep(derived: dict[object, Any] | None, key: object, value: object) -> None:
    """Put a ``value`` that nobody will change to the others of `ToolSets.derived`."""
    if derived is not None:
        if len(derived) >= MAX_DERIVED:
            derived.clear()
        derived[key] = value


class ToolSets(Sets["tuple[ir.Tool, ...]"]):
    """Lists of tools."""


SETS = ToolSets()
"""Those of this process."""
PROMPTS: Sets[tuple[ir.Text, ...]] = Sets()
"""Its system prompts."""
