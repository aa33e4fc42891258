"""Responses in this process's memory: fast, bounded, and gone with the process."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence

from ferryllm_proto.responses.kept import KeptResponse

from .responses import Bounds, StoreError


class MemoryResponses:
    """See `Responses`. Items that turns of one conversation share are held once and counted in each."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._all: dict[tuple[str, str], KeptResponse] = {}
        self._used: dict[str, OrderedDict[str, None]] = {}
        """The ids of each owner's responses, the one used longest ago first."""
        self._sizes: Counter[str] = Counter()
        """What each owner's responses take."""
        self._ids: Counter[str] = Counter()
        self._items: dict[tuple[str, str], dict[str, int]] = {}
        """By owner and id of an item: the ids of the responses that have it, the newest last, and its place there."""
        self._named: dict[tuple[str, str], tuple[str, ...]] = {}
        """By owner and id of a response: the ids of its items."""
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._all)

    @property
    def size(self) -> int:
        """What all responses take together."""
        return self._bytes

    async def get(self, owner: str, id: str, now: float) -> KeptResponse | None:  # noqa: A002
        """See `Responses`."""
        response = self._all.get((owner, id))
        if response is None:
            return None
        if self._is_old(response, now):
            self._forget((owner, id))
            return None
        self._used[owner].move_to_end(id)
        return response

    async def known(self, id: str, now: float) -> bool:  # noqa: A002
        """See `Responses`."""
        return self._ids[id] > 0

    async def find_items(self, owner: str, ids: Sequence[str], now: float) -> dict[str, bytes]:
        """See `Responses`."""
        found: dict[str, bytes] = {}
        used: dict[str, tuple[bytes, ...]] = {}
        for id_ in ids:
            for key, place in reversed(self._items.get((owner, id_), {}).items()):
                if key not in used:
                    if self._is_old(self._all[owner, key], now):
                        continue
                    used[key] = self._all[owner, key].items
                    self._used[owner].move_to_end(key)
                found[id_] = used[key][place]
                break
        return found

    async def put(self, response: KeptResponse, now: float, ids: Sequence[str] = ()) -> None:
        """See `Responses`."""
        key = (response.owner, response.id)
        if response.size > self._bounds.max_bytes:
            raise StoreError(f"a response of {response.size} bytes is larger than the store ({self._bounds.max_bytes})")
        if key in self._all:
            self._forget(key)
        self._all[key] = response
        self._used.setdefault(response.owner, OrderedDict())[response.id] = None
        self._sizes[response.owner] += response.size
        self._ids[response.id] += 1
        self._bytes += response.size
        self._named[key] = tuple(ids)
        for place, id_ in enumerate(ids):
            self._items.setdefault((response.owner, id_), {})[response.id] = place
        while self._bytes > self._bounds.max_bytes or len(self._all) > self._bounds.max_count:
            self._make_room(key)

    async def delete(self, owner: str, id: str) -> bool:  # noqa: A002
        """See `Responses`."""
        if (owner, id) not in self._all:
            return False
        self._forget((owner, id))
        return True

    async def sweep(self, now: float) -> int:
        """See `Responses`."""
        old = [key for key, response in self._all.items() if self._is_old(response, now)]
        for key in old:
            self._forget(key)
        return len(old)

    def _make_room(self, new: tuple[str, str]) -> None:
        """Forget what was used longest ago by whoever has most: one key can not push out what others keep."""
        owner = max(self._sizes, key=self._sizes.__getitem__)
        oldest = next(iter(self._used[owner]))
        if (owner, oldest) == new:  # the new one alone is more than all of anybody else's
            others = [other for other in self._sizes if other != owner]
            owner = max(others, key=self._sizes.__getitem__)
            oldest = next(iter(self._used[owner]))
        self._forget((owner, oldest))

    async def aclose(self) -> None:
        """See `Responses`."""
        self._all.clear()
        self._used.clear()
        self._sizes.clear()
        self._ids.clear()
        self._items.clear()
        self._named.clear()
        self._bytes = 0

    def _is_old(self, response: KeptResponse, now: float) -> bool:
        return now >= response.created + self._bounds.ttl_secs

    def _forget(self, key: tuple[str, str]) -> None:
        response = self._all.pop(key)
        self._bytes -= response.size
        self._sizes[response.owner] -= response.size
        del self._used[response.owner][response.id]
        if not self._used[response.owner]:
            del self._used[response.owner], self._sizes[response.owner]
        self._ids[response.id] -= 1
        if not self._ids[response.id]:
            del self._ids[response.id]
        for id_ in dict.fromkeys(self._named.pop(key)):
            holders = self._items[response.owner, id_]
            del holders[response.id]
            if not holders:
                del self._items[response.owner, id_]
