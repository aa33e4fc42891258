"""Responses in Redis: what one replica keeps, every other one finds, and they outlive all of them.

Each call is one script, over a connection of its own: a long conversation is no reason for requests to wait at the
door. How safe a response is there is the server's affair (its ``appendonly``), and so is that nothing else makes room
for new keys than the bound here (``maxmemory-policy noeviction``).
"""

from __future__ import annotations

from collections.abc import Sequence

from ferryllm_net.stores.packing import packed, unpacked
from ferryllm_net.stores.responses import Bounds, StoreError
from ferryllm_proto.responses.kept import KeptResponse

from .link import Link, RedisError, Value
from .names import Names
from .scripts import script

DEADLINE_SECS = 2.0
"""For one call: less than a client waits for its last event."""
SWEPT = 200
"""Responses that one call forgets: some milliseconds, in which the server does nothing else."""


class RedisResponses:
    """See `Responses`. ``link`` has to be running."""

    def __init__(self, link: Link, names: Names, bounds: Bounds) -> None:
        self._link = link
        self._base = names.responses("")
        self._bounds = bounds
        self._script = script("responses")

    async def get(self, owner: str, id: str, now: float) -> KeptResponse | None:  # noqa: A002
        """See `Responses`."""
        found = await self._call("get", owner, id, self._oldest(now))
        if not isinstance(found, list):
            return None
        created, provider, native, model, response, input_, output = found
        return KeptResponse(
            id,
            owner,
            float(created),
            provider.decode(),
            native == b"1",
            model.decode(),
            response,
            self._items(input_),
            self._items(output),
        )

    async def known(self, id: str, now: float) -> bool:  # noqa: A002
        """See `Responses`."""
        return await self._call("known", id) == 1

    async def find_items(self, owner: str, ids: Sequence[str], now: float) -> dict[str, bytes]:
        """See `Responses`."""
        if not ids:
            return {}
        found = await self._call("items", owner, self._oldest(now), *ids)
        assert isinstance(found, list)
        holders = {id_: self._items(input_) + self._items(output) for id_, input_, output in found[1]}
        return {item.decode(): holders[id_][place] for item, id_, place in found[0]}

    async def put(self, response: KeptResponse, now: float, ids: Sequence[str] = ()) -> None:
        """See `Responses`."""
        size = response.size
        if size > self._bounds.max_bytes:
            raise StoreError(f"a response of {size} bytes is larger than the store ({self._bounds.max_bytes})")
        await self._call(
            "put",
            response.owner,
            response.id,
            repr(response.created),
            size,
            self._bounds.max_bytes,
            self._bounds.max_count,
            response.provider,
            1 if response.native else 0,
            response.model,
            response.response,
            packed(response.input),
            packed(response.output),
            *ids,
        )

    async def delete(self, owner: str, id: str) -> bool:  # noqa: A002
        """See `Responses`."""
        return await self._call("delete", owner, id) == 1

    async def sweep(self, now: float) -> int:
        """See `Responses`."""
        total = 0
        while True:
            found = await self._call("sweep", self._oldest(now), SWEPT)
            assert isinstance(found, list)
            looked, gone = int(found[0]), int(found[1])
            total += gone
            if looked < SWEPT:
                return total

    async def aclose(self) -> None:
        """See `Responses`. The connection is closed by whoever opened it."""

    def _oldest(self, now: float) -> str:
        return repr(now - self._bounds.ttl_secs)

    def _items(self, data: bytes) -> tuple[bytes, ...]:
        try:
            return unpacked(data)
        except ValueError as exc:
            raise StoreError(f"a response in Redis cannot be read: {exc}") from None

    async def _call(self, *arguments: Value) -> object:
        try:
            return await self._link.call(self._script, [self._base], arguments, DEADLINE_SECS)
        except RedisError as exc:
            raise StoreError(str(exc)) from None
