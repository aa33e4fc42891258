"""A Responses answer that outlives its exchange: what stores hold, and what the exchange gives and gets.

Apart from the machines because stores, which do I/O, know this and nothing else of them.
"""

from __future__ import annotations

import msgspec

ITEM_COST = 250
"""Bytes that a store needs to find an item by its id, about."""


class KeptResponse(msgspec.Struct, frozen=True):
    """One response, or where to find it. Its key is owner and id together."""

    id: str
    owner: str
    """Whose it is (`policy.access.owner`): look-ups are by owner and id, never by id alone."""
    created: float
    """Unix seconds."""
    provider: str
    """Name of the provider that answered."""
    native: bool = False
    """The provider keeps the response; here is only where it is."""
    model: str = ""
    """The client's name of the model."""
    response: bytes = b""
    """The response object as the client got it; empty when ``native``."""
    input: tuple[bytes, ...] = ()
    """The items it answers, those of earlier turns included."""
    output: tuple[bytes, ...] = ()
    """Its output items."""

    @property
    def items(self) -> tuple[bytes, ...]:
        """What stands before the input of a request that goes on from here."""
        return self.input + self.output

    @property
    def size(self) -> int:
        """Bytes it takes, about: what stores count against their bound."""
        items = self.items
        return 500 + len(self.response) + sum(map(len, items)) + ITEM_COST * len(items)
