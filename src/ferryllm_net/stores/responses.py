"""The port: what the gateway asks of a store of responses, and what every store promises.

A store is a bounded cache with a promise: what `put` returned from is there until its time is over, until somebody
deletes it, or until newer responses need its room. Look-ups are by owner and id, so nobody finds what is another's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ferryllm_proto.responses.kept import KeptResponse


class StoreError(Exception):
    """A store could not do what was asked. The message says what and where, never what was stored."""


class Bounds(msgspec.Struct, frozen=True):
    """What a store may hold."""

    max_bytes: int
    """Of all responses together, by `KeptResponse.size`."""
    max_count: int = 1_000_000
    """Responses: a bound for the bookkeeping of very small ones, as pointers are."""
    ttl_secs: float = 2_592_000.0
    """How long a response is there, in seconds from its creation."""


class Responses(Protocol):
    """A store of responses. Every method may raise `StoreError`. ``now`` is Unix seconds."""

    async def get(self, owner: str, id: str, now: float) -> KeptResponse | None:  # noqa: A002
        """The response, if it is there and is ``owner``'s."""

    async def known(self, id: str, now: float) -> bool:  # noqa: A002
        """Whether anybody has a response of this id."""

    async def find_items(self, owner: str, ids: Sequence[str], now: float) -> dict[str, bytes]:
        """Items of ``owner``'s responses by their ids; of several of one id that of the newest response."""

    async def put(self, response: KeptResponse, now: float, ids: Sequence[str] = ()) -> None:
        """Keep ``response`` in place of one with the same owner and id; those used longest ago make room.

        ``ids`` are what its `items` can be found by, in their order.
        """

    async def delete(self, owner: str, id: str) -> bool:  # noqa: A002
        """Forget a response; whether it was there."""

    async def sweep(self, now: float) -> int:
        """Forget what is too old; how many."""

    async def aclose(self) -> None:
        """Give everything back. Idempotent."""
