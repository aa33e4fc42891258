"""What faults and deaf clients cost in memory, and that it comes back."""

from __future__ import annotations

import gc
import math
import tracemalloc
from collections.abc import Iterator

import anyio
import pytest
from anyio.abc import ByteStream

from support.answers import DIALECTS
from support.faults.catalogue import CHUNKED, FAULTS, TICK, Case
from support.faults.rig import Faulty, faulty
from support.faults.steps import Hold, Send, Step
from support.wired import chunked

pytestmark = pytest.mark.anyio

DEAF = 3
A_STREAM_BYTES = 512 << 10
"""What one stream to a client that does not read may hold, apart from the system's buffers: a read of 64 KiB on its
way through the machines, a few times over."""
GROWTH_BYTES = 128 << 10
"""What rounds over all faults may leave: caches that were not full, and nothing that grows with them."""
_FLOOD = chunked(TICK * 300, end=False)
"""56 KiB: what this provider could not send yet is memory too."""


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def flood(case: Case) -> list[Step]:
    return [Send(case.head(CHUNKED)), Hold(_FLOOD, 0.0)]


def used() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


async def quiet(f: Faulty) -> None:
    """Until the gateway takes nothing any more."""
    before = -1
    with anyio.fail_after(60):
        while before != (before := len(f.provider.taken)):  # noqa: ASYNC110 - a full socket tells nobody
            await anyio.sleep(0.2)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("entry", ["openai", pytest.param("anthropic", marks=pytest.mark.deep)])
async def test_clients_that_do_not_read_cost_little_memory(entry: str) -> None:
    async with faulty() as f:
        f.provider.extra["flood"] = flood
        await f.ask(entry, "openai", "gzip")
        before = used()
        clients: list[ByteStream] = []
        for n in range(DEAF):
            clients.append(await f.connect())
            await clients[-1].send(f.question(entry, "openai", "flood", stream=True))
            await f.provider.request("flood", n + 1)
        await quiet(f)
        assert f.provider.taken, "nothing flowed"
        held = (used() - before) // DEAF
        assert held < A_STREAM_BYTES, f"{held >> 10} KiB a stream"
        for client in clients:
            await anyio.aclose_forcefully(client)
        await f.settle()
        await f.app.pool.aclose()
        assert used() - before < A_STREAM_BYTES, "streams that are over hold memory"


@pytest.mark.deep
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("traced")
async def test_faults_leave_no_memory_behind() -> None:
    async with faulty() as f:

        async def round_trip() -> None:
            limiter = anyio.CapacityLimiter(16)

            async def one(entry: str, backend: str, name: str) -> None:
                async with limiter:
                    await f.ask(entry, backend, name, door=FAULTS[name].door, secs=60)

            async with anyio.create_task_group() as group:
                for n, name in enumerate(FAULTS):
                    group.start_soon(one, DIALECTS[n % 5], DIALECTS[n // 5 % 5], name)
            await f.settle()
            assert f.app.responses is not None
            await f.app.responses.sweep(math.inf)  # what clients may go on from is kept, and not left behind
            f.provider.requests.clear()
            f._log.truncate(0)
            f._log.seek(0)

        for _ in range(5):
            await round_trip()
        before = used()
        for _ in range(20):
            await round_trip()
        grown = used() - before
        assert grown < GROWTH_BYTES, f"{grown >> 10} KiB more after 20 rounds of {len(FAULTS)} faults"
