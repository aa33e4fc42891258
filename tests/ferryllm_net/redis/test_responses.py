"""What is special about responses in Redis; what all stores promise is in tests/ferryllm_net/stores."""

from __future__ import annotations

import pytest

from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.redis.link import Link
from ferryllm_net.redis.names import Names
from ferryllm_net.redis.responses import SWEPT, RedisResponses
from ferryllm_net.stores import Bounds, StoreError
from ferryllm_proto.responses.kept import KeptResponse
from support.redis_server import RedisServer, linked

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0


def made(n: int, owner: str = "me") -> KeptResponse:
    return KeptResponse(f"resp_{n}", owner, NOW, "chat", response=b"{}", input=(b"\xff\x00", b"{}"), output=(b"x",))


async def test_what_one_gateway_keeps_another_finds(redis: RedisServer) -> None:
    settings = redis.settings()
    bounds = Bounds(1 << 20, ttl_secs=100)
    async with linked(settings) as one, linked(settings) as other:
        first, second = (RedisResponses(link, Names(settings.prefix), bounds) for link in (one, other))
        await first.put(made(1), NOW, ["a", "b", "c"])
        assert await second.get("me", "resp_1", NOW) == made(1)
        assert await second.find_items("me", ["c", "a"], NOW) == {"a": b"\xff\x00", "c": b"x"}
        assert await second.delete("me", "resp_1")
        assert await first.get("me", "resp_1", NOW) is None


async def test_nothing_stays_behind_what_was_forgotten(redis: RedisServer) -> None:
    settings = redis.settings()
    async with linked(settings) as link:
        store = RedisResponses(link, Names(settings.prefix), Bounds(1 << 30, ttl_secs=100))
        for n in range(SWEPT + 30):
            await store.put(made(n, f"owner {n % 3}: 5:x"), NOW, [f"item_{n}", "shared", ""])
        assert await store.sweep(NOW + 99) == 0
        assert await store.sweep(NOW + 100) == SWEPT + 30
        left = await link.command(b"KEYS", f"{{{settings.prefix}}}:responses:*")
        assert left == [f"{{{settings.prefix}}}:responses:totals".encode()]
        totals = await link.command(b"HMGET", left[0], b"bytes", b"count")
        assert totals == [b"0", b"0"]


async def test_a_server_that_is_away_is_a_fault_of_the_store() -> None:
    link = Link(RedisSettings("127.0.0.1", 1, deadline_secs=0.01))
    link._tried.set()
    store = RedisResponses(link, Names("p"), Bounds(1 << 20))
    with pytest.raises(StoreError, match="is away"):
        await store.get("me", "resp_1", NOW)
    assert await store.find_items("me", [], NOW) == {}


async def test_what_somebody_else_wrote_is_a_fault_and_not_shown(redis: RedisServer) -> None:
    settings = redis.settings()
    async with linked(settings) as link:
        store = RedisResponses(link, Names(settings.prefix), Bounds(1 << 20))
        await store.put(made(1), NOW)
        await link.command(b"HSET", Names(settings.prefix).responses("one:2:meresp_1"), b"input", b"secret")
        with pytest.raises(StoreError, match="cannot be read") as caught:
            await store.get("me", "resp_1", NOW)
        assert "secret" not in str(caught.value)
