"""What every store of responses promises, asked of each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from ferryllm_net.stores import Bounds, MemoryResponses, Responses, StoreError
from ferryllm_net.stores.sqlite import SqliteResponses
from ferryllm_proto.responses.kept import KeptResponse
from support import redis_server

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
BOUNDS = Bounds(max_bytes=100_000, max_count=50, ttl_secs=100.0)
ONE = KeptResponse(
    id="resp_1",
    owner="me",
    created=NOW,
    provider="chat",
    model="m",
    response=b'{"id":"resp_1","output":[ {"a" : 1.0} ]}',
    input=(b'{"role":"user","content":"\\ud83d  1.50"}', b"{}"),
    output=(b'{"a" : 1.0}',),
)
POINTER = KeptResponse("resp_2", "me", NOW, "resp", native=True, model="n")


@pytest.fixture(params=["memory", "sqlite", "redis"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def opened(kind: str, folder: Path, bounds: Bounds = BOUNDS) -> AsyncIterator[Responses]:
    if kind == "redis":
        from ferryllm_net.redis.names import Names
        from ferryllm_net.redis.responses import RedisResponses

        settings = redis_server.shared().settings()
        async with redis_server.linked(settings) as link:
            yield RedisResponses(link, Names(settings.prefix), bounds)
        return
    store: Responses = (
        MemoryResponses(bounds) if kind == "memory" else SqliteResponses.open(folder / "responses.db", bounds)
    )
    try:
        yield store
    finally:
        await store.aclose()
        await store.aclose()


def made(n: int, *, owner: str = "me", created: float = NOW, bytes_: int = 0) -> KeptResponse:
    return msgspec.structs.replace(ONE, id=f"resp_{n}", owner=owner, created=created, response=b"x" * bytes_)


async def test_what_is_kept_comes_back_byte_for_byte(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        await store.put(ONE, NOW)
        await store.put(POINTER, NOW)
        assert await store.get("me", "resp_1", NOW) == ONE
        assert await store.get("me", "resp_2", NOW) == POINTER
        assert await store.get("me", "resp_3", NOW) is None


async def test_nobody_finds_what_is_anothers(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        await store.put(ONE, NOW)
        assert await store.get("you", "resp_1", NOW) is None
        assert await store.get("", "resp_1", NOW) is None
        assert not await store.delete("you", "resp_1")
        assert await store.known("resp_1", NOW)
        assert not await store.known("resp_9", NOW)
        yours = made(1, owner="you")
        await store.put(yours, NOW)
        assert await store.get("me", "resp_1", NOW) == ONE
        assert await store.get("you", "resp_1", NOW) == yours
        assert await store.delete("me", "resp_1")
        assert await store.get("you", "resp_1", NOW) == yours


async def test_a_second_response_of_the_same_name_takes_the_place_of_the_first(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        await store.put(ONE, NOW)
        later = msgspec.structs.replace(ONE, response=b"{}")
        await store.put(later, NOW)
        assert await store.get("me", "resp_1", NOW) == later
        assert await store.delete("me", "resp_1")
        assert not await store.delete("me", "resp_1")
        assert await store.get("me", "resp_1", NOW) is None
        assert not await store.known("resp_1", NOW)


async def test_what_is_too_old_is_not_found_and_then_forgotten(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        await store.put(made(1), NOW)
        await store.put(made(2, created=NOW + 50), NOW)
        assert await store.get("me", "resp_1", NOW + 99.9) is not None
        assert await store.get("me", "resp_1", NOW + 100) is None
        await store.put(made(1), NOW)
        assert await store.sweep(NOW + 99.9) == 0
        assert await store.sweep(NOW + 100) == 1
        assert await store.get("me", "resp_1", NOW) is None
        assert await store.get("me", "resp_2", NOW + 100) is not None


async def test_those_used_longest_ago_make_room(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        for n in range(9):
            await store.put(made(n, bytes_=9_500), NOW)
        assert await store.get("me", "resp_0", NOW) is not None  # now the one used last
        await store.put(made(9, bytes_=9_500), NOW)
        await store.put(made(10, bytes_=9_500), NOW)
        assert await store.get("me", "resp_1", NOW) is None
        assert await store.get("me", "resp_0", NOW) is not None
        assert await store.get("me", "resp_10", NOW) is not None


async def test_the_bounds_hold_whatever_comes(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        for n in range(120):
            await store.put(made(n, bytes_=3_000 if n % 3 else 0), NOW)
        kept = [one for n in range(120) if (one := await store.get("me", f"resp_{n}", NOW)) is not None]
        assert sum(one.size for one in kept) <= BOUNDS.max_bytes
        assert 10 < len(kept) <= BOUNDS.max_count
        assert kept[-1].id == "resp_119"


async def test_what_is_larger_than_the_store_is_refused_and_costs_nobody_his_place(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        await store.put(ONE, NOW)
        with pytest.raises(StoreError, match="larger than the store"):
            await store.put(made(2, bytes_=200_000), NOW)
        assert await store.get("me", "resp_1", NOW) == ONE


async def test_items_that_turns_share_are_held_once_in_memory() -> None:
    store = MemoryResponses(BOUNDS)
    await store.put(ONE, NOW)
    first = await store.get("me", "resp_1", NOW)
    assert first is not None
    assert first.items[0] is ONE.input[0]
    assert len(store) == 1
    assert store.size == ONE.size


# --- items by their ids ----------------------------------------------------------------------------------

IDS = ("msg_1", "", "fc_1")


async def test_items_are_found_by_their_ids(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        await store.put(ONE, NOW, IDS)
        assert await store.find_items("me", ["fc_1", "msg_9", "msg_1"], NOW) == {
            "msg_1": ONE.input[0],
            "fc_1": ONE.output[0],
        }
        assert await store.find_items("you", ["fc_1"], NOW) == {}
        assert await store.find_items("me", [], NOW) == {}


async def test_the_newest_of_two_items_of_one_id_is_found_and_then_the_other(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        await store.put(ONE, NOW, IDS)
        later = msgspec.structs.replace(ONE, id="resp_2", output=(b'{"later":1}',))
        await store.put(later, NOW, IDS)
        assert await store.find_items("me", ["fc_1"], NOW) == {"fc_1": b'{"later":1}'}
        await store.put(msgspec.structs.replace(later, input=(), output=()), NOW)
        assert await store.find_items("me", ["fc_1"], NOW) == {"fc_1": ONE.output[0]}
        await store.put(later, NOW, IDS)
        await store.delete("me", "resp_2")
        assert await store.find_items("me", ["fc_1"], NOW) == {"fc_1": ONE.output[0]}
        await store.delete("me", "resp_1")
        assert await store.find_items("me", ["fc_1", "msg_1"], NOW) == {}


async def test_items_are_too_old_when_their_response_is(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        await store.put(msgspec.structs.replace(ONE, created=NOW + 50), NOW, ["msg_1"])
        await store.put(msgspec.structs.replace(ONE, id="resp_2"), NOW, IDS)
        assert set(await store.find_items("me", ["msg_1", "fc_1"], NOW + 99)) == {"msg_1", "fc_1"}
        assert set(await store.find_items("me", ["msg_1", "fc_1"], NOW + 100)) == {"msg_1"}
        await store.sweep(NOW + 150)
        assert await store.find_items("me", ["msg_1", "fc_1"], NOW) == {}


async def test_a_response_whose_items_are_used_is_used(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path) as store:
        for n in range(9):
            await store.put(made(n, bytes_=9_500), NOW, [f"msg_{n}"])
        assert await store.find_items("me", ["msg_0"], NOW)
        for n in (9, 10):
            await store.put(made(n, bytes_=9_500), NOW, [f"msg_{n}"])
        assert set(await store.find_items("me", ["msg_0", "msg_1", "msg_10"], NOW)) == {"msg_0", "msg_10"}
