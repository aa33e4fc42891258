"""The store in memory counts exactly what it holds."""

from __future__ import annotations

import pytest

from ferryllm_net.stores import Bounds, MemoryResponses
from ferryllm_proto.responses.kept import KeptResponse

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0


def made(n: int, size: int = 100) -> KeptResponse:
    return KeptResponse(f"resp_{n}", "me", NOW, "chat", response=b"x" * size)


async def test_the_count_of_bytes_follows_what_comes_and_goes() -> None:
    store = MemoryResponses(Bounds(max_bytes=1 << 20, ttl_secs=10))
    for n in range(5):
        await store.put(made(n, n * 10), NOW)
    await store.put(made(3, 7), NOW)
    assert store.size == sum(made(n, n * 10).size for n in (0, 1, 2, 4)) + made(3, 7).size
    assert await store.delete("me", "resp_3")
    assert await store.get("me", "resp_4", NOW + 10) is None, "too old"
    assert store.size == sum(made(n, n * 10).size for n in (0, 1, 2))
    assert await store.sweep(NOW + 10) == 3
    assert (store.size, len(store)) == (0, 0)
    assert not await store.known("resp_0", NOW)
    await store.aclose()


async def test_the_count_of_responses_is_bounded_too() -> None:
    store = MemoryResponses(Bounds(max_bytes=1 << 20, max_count=3))
    for n in range(10):
        await store.put(made(n), NOW)
    assert len(store) == 3
    assert [n for n in range(10) if await store.known(f"resp_{n}", NOW)] == [7, 8, 9]
