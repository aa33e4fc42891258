"""Many exchanges that are cut, cancelled and left at random, over few connections: no place and no stream is lost."""

from __future__ import annotations

import random
from typing import Literal

import anyio
import anyio.lowlevel
import pytest

from ferryllm_net.http import (
    Limits,
    Origin,
    Pool,
    Request,
    RequestHead,
    Responder,
    Server,
    UpstreamError,
    bound_port,
    open_listeners,
)

pytestmark = pytest.mark.anyio

POST = RequestHead("POST", "/", [])


class Storm:
    """What the server and the clients do, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.done = 0

    async def serve(self, request: Request, respond: Responder) -> None:
        roll = self.random.random
        await request.read()
        if roll() < 0.1:
            await respond.abort()
            return
        closes = roll() < 0.2 and request.http_version != "2"
        await respond.head(200, [("connection", "close")] if closes else [])
        for _ in range(self.random.randint(0, 4)):
            await respond.body(b"x" * self.random.choice([10, 3_000, 70_000]))
        await (respond.abort() if roll() < 0.1 else respond.end())

    async def ask(self, pool: Pool, origin: Origin) -> None:
        roll = self.random.random
        body = b"q" * self.random.choice([0, 10, 300_000])
        with anyio.move_on_after(self.random.choice([0.001, 0.005, 0.02, 60, 60])):
            try:
                async with await pool.open(origin, POST, body) as response:
                    pumps = roll() < 0.5
                    while roll() < 0.95:
                        more = await response.pump(lambda data: roll() < 0.5) if pumps else await response.receive()
                        if not more:
                            break
            except UpstreamError:
                pass
        self.done += 1


@pytest.mark.parametrize("http2", ["off", "prior_knowledge"])
@pytest.mark.parametrize("seed", [pytest.param(n, marks=pytest.mark.deep if n > 1 else ()) for n in range(30)])
async def test_nothing_is_lost_in_a_storm(seed: int, http2: Literal["off", "prior_knowledge"]) -> None:
    storm = Storm(seed)
    server = Server(storm.serve, limits=Limits(h2_resets=10_000, h2_streams=5), on_error=lambda request, exc: None)
    listeners = open_listeners("127.0.0.1", 0)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group, Pool() as pool:
            await group.start(server.serve, listeners)
            origin = Origin("http", "127.0.0.1", bound_port(listeners[0]), http2=http2, max_connections=4)
            async with anyio.create_task_group() as clients:
                for _ in range(80):
                    clients.start_soon(storm.ask, pool, origin)
            assert storm.done == 80, seed
            assert pool.active == pool.waiting == 0, seed
            assert [group._places for group in pool._groups.values()] == [pool.idle] * (http2 == "off"), seed
            for shared in pool._shared.values():
                assert not shared._dialling
                assert all(connection.reserved == 0 for connection in shared.connections), seed
            group.cancel_scope.cancel()
