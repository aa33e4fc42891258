"""What one WebSocket connection remembers: its last responses, each as the items a request would have to send again.

Apart from the store of responses: this memory needs no ``store: true``, is nobody else's, and ends with its
connection.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ... import json
from . import wire
from .history import item_ids

MAX_RESPONSES = 16
"""A chain goes on from its last response; the others are for forks and lanes."""


class Budget:
    """Bytes that all connections together may remember."""

    def __init__(self, limit: int = 512 << 20) -> None:
        self.limit = limit
        self.used = 0

    def has_room(self, size: int) -> bool:
        """Whether ``size`` more bytes fit in."""
        return self.used + size <= self.limit


class Memory:
    """The last responses by id, at most ``limit`` bytes of items, the least recently used forgotten first.

    Turns of one chain share their items, so what is counted is an upper bound of what is held. ``budget`` is shared
    with other connections: where it is used up a connection makes room among its own, and what still does not fit is
    not remembered. `close` gives back what was taken.
    """

    def __init__(self, limit: int, budget: Budget | None = None) -> None:
        self.limit = limit
        self._budget = Budget(limit) if budget is None else budget
        self._items: dict[str, tuple[bytes, ...]] = {}
        self._sizes: dict[str, int] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._items)

    def find(self, id_: str) -> tuple[bytes, ...] | None:
        """The items of a conversation up to and with response ``id_``; None when it is not known (any more)."""
        items = self._items.pop(id_, None)
        if items is not None:
            self._items[id_] = items  # now the most recently used
        return items

    def find_items(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Items of these ids, those of the response used last where several have one."""
        wanted = set(ids)
        found: dict[str, bytes] = {}
        for items in reversed(self._items.values()):
            if not wanted:
                break
            known = dict(zip(item_ids(items), items, strict=True))
            found.update((id_, known[id_]) for id_ in wanted & known.keys())
            wanted -= known.keys()
        return found

    def keep(self, id_: str, items: tuple[bytes, ...]) -> None:
        """Remember ``items``; what is too large on its own is not, so that going on from it is refused clearly."""
        self._forget(id_)
        size = sum(map(len, items))
        if size > self.limit:
            return
        while self._items and not self._budget.has_room(size):
            self._forget(next(iter(self._items)))
        if not self._budget.has_room(size):
            return
        self._items[id_], self._sizes[id_] = items, size
        self._size += size
        self._budget.used += size
        while self._size > self.limit or len(self._items) > MAX_RESPONSES:
            self._forget(next(iter(self._items)))

    def _forget(self, id_: str) -> None:
        if self._items.pop(id_, None) is not None:
            size = self._sizes.pop(id_)
            self._size -= size
            self._budget.used -= size

    def close(self) -> None:
        """Forget everything: the connection has ended."""
        for id_ in list(self._items):
            self._forget(id_)


class _Reasoning(msgspec.Struct, frozen=True):
    encrypted_content: msgspec.Raw = msgspec.Raw(b"null")
    summary: msgspec.Raw = msgspec.Raw(b"[]")
    content: msgspec.Raw = msgspec.Raw(b"[]")


_reasoning_decoder = json.decoder(_Reasoning)


def replayable(output: Iterable[bytes], *, stored: bool) -> tuple[bytes, ...]:
    """Output items as input of the next turn.

    Nobody can look up reasoning of an answer that is not ``stored``: without its encrypted content its id would be
    refused (R8), so it goes without, and leaves altogether when nothing else is in it. Raises `RemoteProtocolError`.
    """
    return tuple(output) if stored else tuple(kept for item in output if (kept := _unstored(item)))


def _unstored(item: bytes) -> bytes:
    found = _bare(item)
    if found is None:
        return item
    if not any(json.kind(part) == "array" and json.items(part) for part in (found.summary, found.content)):
        return b""
    fields = json.fields(item)
    fields.pop("id", None)
    return json.encode(fields)


def unproven(items: Iterable[bytes]) -> tuple[int, ...]:
    """The places of reasoning without encrypted content. Raises `RemoteProtocolError`."""
    return tuple(n for n, item in enumerate(items) if _bare(item) is not None)


def _bare(item: bytes) -> _Reasoning | None:
    """Reasoning without encrypted content; None for any other item."""
    if json.decode(item, wire.tag_decoder).type != "reasoning":
        return None
    found = json.decode(item, _reasoning_decoder)
    return None if json.kind(found.encrypted_content) == "string" else found
