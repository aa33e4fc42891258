"""A dict of bounded size that forgets what was used longest ago.

Its keys derive from what clients send (names of models, sessions), so without a bound they would be a way to fill the
memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """``limit`` is how many entries it keeps."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries: dict[K, V] = {}
        """To look at alone; it stays the same object."""

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[K]:
        """The keys, the one used longest ago first."""
        return iter(self.entries)

    def get(self, key: K) -> V | None:
        """The value, which counts as used now; None is: not there."""
        value = self.entries.pop(key, None)
        if value is not None:
            self.entries[key] = value
        return value

    def peek(self, key: K) -> V | None:
        """The value, without a use of it."""
        return self.entries.get(key)

    def put(self, key: K, value: V) -> None:
        self.entries.pop(key, None)
        self.entries[key] = value
        if len(self.entries) > self.limit:
            del self.entries[next(iter(self.entries))]

    def drop(self, key: K) -> None:
        self.entries.pop(key, None)
