"""Lists of tools that come again: what was read from them, and what was made of them for a provider.

An agent sends the same dozens of tools with every turn, and to take them apart and put them together again costs as
much as a long conversation. Kept are values that nobody changes, by the bytes they were read from; whoever makes
something of a list keeps it beside that (`derived`), and has to name everything else it depends on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ir

MAX_SIZE = 256 << 10
"""Bytes of a list that is kept: agents with many MCP servers send some 150 kB."""
MAX_TOTAL = 4 << 20
"""Bytes of all lists; what is made of one is as long again for each kind of provider."""
MAX_DERIVED = 8
"""Values that are kept beside one list: the client's side, and some kinds of providers."""

_EDGE = 64
"""Bytes at both ends that tell most lists apart; the rest is only compared, because a hash of it costs ten times as
much."""

_Tools = tuple[ir.Tool, ...]
_Read = Callable[[bytes], _Tools]
_Key = tuple[_Read, int, bytes, bytes]


class _Set:
    __slots__ = ("data", "derived", "tools")

    def __init__(self, data: bytes, tools: _Tools) -> None:
        self.data = data
        self.tools = tools
        self.derived: dict[object, Any] = {}


class ToolSets:
    """The lists used last."""

    def __init__(self, limit: int = MAX_TOTAL) -> None:
        self._limit = limit
        self._size = 0
        self._sets: dict[_Key, _Set] = {}
        self._by_tools: dict[int, _Set] = {}
        """By identity: a set holds its tools, so no other object can have their place."""

    def read(self, data: bytes, read: _Read) -> _Tools:
        """The tools in ``data``: the same object as the last time where these bytes were read before.

        ``read`` is a function of a module and depends on nothing but ``data``; what it raises is raised.
        """
        if len(data) > MAX_SIZE:
            return read(data)
        key = (read, len(data), data[:_EDGE], data[-_EDGE:])
        found = self._sets.get(key)
        if found is not None and found.data == data:
            self._sets[key] = self._sets.pop(key)  # the last is the youngest
            return found.tools
        tools = read(data)
        if not tools:  # the empty tuple has no identity of its own
            return tools
        if found is not None:
            self._forget(key)
        self._sets[key] = self._by_tools[id(tools)] = _Set(data, tools)
        self._size += len(data)
        while self._size > self._limit:
            self._forget(next(iter(self._sets)))
        return tools

    def _forget(self, key: _Key) -> None:
        gone = self._sets.pop(key)
        self._size -= len(gone.data)
        del self._by_tools[id(gone.tools)]

    def derived(self, tools: _Tools) -> dict[object, Any] | None:
        """Where to look for values made of ``tools``; None where they are not kept (see `keep`)."""
        found = self._by_tools.get(id(tools))
        return None if found is None else found.derived


def keep(derived: dict[object, Any] | None, key: object, value: object) -> None:
    """Put a ``value`` that nobody will change to the others of `ToolSets.derived`."""
    if derived is not None:
        if len(derived) >= MAX_DERIVED:
            derived.clear()
        derived[key] = value


SETS = ToolSets()
"""Those of this process."""
