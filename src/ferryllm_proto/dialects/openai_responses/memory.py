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


class Memory:
    """The last responses by id, at most ``limit`` bytes of items, the least recently used forgotten first.

    Turns of one chain share their items, so what is counted is an upper bound of what is held.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
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
        self._items[id_], self._sizes[id_] = items, size
        self._size += size
        while self._size > self.limit or len(self._items) > MAX_RESPONSES:
            self._forget(next(iter(self._items)))

    def _forget(self, id_: str) -> None:
        if self._items.pop(id_, None) is not None:
            self._size -= self._sizes.pop(id_)


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
