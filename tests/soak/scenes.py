"""What clients do that ask and wait: plain, large, slow and many requests, faulty providers, WebSockets.

Each scene is one unit of load; it raises `Wrong` for what the gateway must not do. `departures` has the clients that
leave, `abuses` those that break the protocol.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Awaitable, Callable

import anyio
from anyio.abc import ByteStream

from ferryllm_net.http import TransportError
from support.answers import DIALECTS
from support.faults.catalogue import FAULTS
from support.sockets import SocketClient

from . import abuses, clients, departures
from .clients import GONE, WAYS, Cut, Http2, Slow
from .world import World, Wrong, deadline

Scene = Callable[[World, random.Random], Awaitable[None]]

_FILLING = "the quick brown fox jumps over the lazy dog \\u00e9 "
_HTTP1 = ("h1", "h1-tls", "h1-unix")


async def plain(world: World, chance: random.Random) -> None:
    """A short request, whole or streamed."""
    await world.ask(chance.choice(WAYS), world.question(chance, "echo", pieces=chance.randrange(12), size=30))


async def paced(world: World, chance: random.Random) -> None:
    """A stream that takes its time."""
    await world.ask(chance.choice(WAYS), world.question(chance, "paced", pieces=20, size=40, stream=True))


async def shared(world: World, chance: random.Random) -> None:
    """Over a connection of HTTP/2 to the provider."""
    asked = world.question(chance, "echo", pieces=chance.randrange(20), size=60, door="h2")
    await world.ask(chance.choice(WAYS), asked)


async def large(world: World, chance: random.Random) -> None:
    """A body of up to a megabyte."""
    filling = _FILLING * chance.randrange(500, 20_000)
    await world.ask(chance.choice(WAYS), world.question(chance, "echo", pieces=3, filling=filling))


async def slow(world: World, chance: random.Random) -> None:
    """A long answer to a client that reads slowly, for a second or two."""
    asked = world.question(chance, "echo", pieces=150, size=2000, stream=True)
    await world.ask(chance.choice(_HTTP1), asked, slow=Slow(4096, 0.05, 1.5), fresh=True)


async def many(world: World, chance: random.Random) -> None:
    """Several at once over one connection."""
    way = chance.choice(("h2", "h2-tls"))
    asked = [world.question(chance, chance.choice(("echo", "paced")), pieces=8, size=20) for _ in range(6)]
    with deadline(f"{way} with {len(asked)} streams"):
        async with world.connection(way) as connection:
            assert isinstance(connection, Http2)
            world.requests += len(asked)
            replies = await connection.ask_all(asked)
    for one, reply in zip(asked, replies, strict=True):
        world.note(one, reply, None, way)


async def fault(world: World, chance: random.Random) -> None:
    """A provider that fails in one of the ways of the catalogue."""
    found = FAULTS[chance.choice(_FAULTS)]
    asked = world.question(chance, found.name, pieces=2, size=10, door=found.door)
    await world.ask(chance.choice(WAYS), asked, found)


async def kept(world: World, chance: random.Random) -> None:
    """A connection that rests between its requests, and is closed by the gateway in the end."""
    way = chance.choice(("h1", "h1-tls"))
    with deadline(f"{way}, kept"):
        async with world.connection(way, fresh=True) as connection:
            assert isinstance(connection, clients.Http1)
            for _ in range(2):
                world.requests += 1
                asked = world.question(chance, "echo")
                world.note(asked, await connection.ask(asked), None, way)
                await anyio.sleep(chance.uniform(0.1, 1.0))
            await abuses.wait_closed(connection.stream, abuses.AFTER_KEEP_ALIVE_SECS, "an idle connection")
            connection.kept = False


class _Line:
    """A stream of anyio's as the client for WebSockets wants it."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream

    async def send(self, data: bytes) -> None:
        try:
            await self.stream.send(data)
        except GONE as exc:
            raise TransportError(str(exc)) from exc

    async def receive(self) -> bytes:
        try:
            return await self.stream.receive()
        except GONE:
            return b""


async def websocket(world: World, chance: random.Random) -> None:
    """Some turns over a WebSocket; the client may go within the last."""
    way = chance.choice(_HTTP1)
    stream = await clients.connect(world.places, way)
    try:
        with deadline(f"{way}, WebSocket"):
            client = await SocketClient(_Line(stream)).open("/v1/responses")  # type: ignore[arg-type] # all it uses
            for _ in range(chance.randrange(1, 4)):
                asked = world.question(chance, "echo", pieces=4, size=20, entry="openai_responses", stream=True)
                world.requests += 1
                body = json.loads(asked.body)
                del body["stream"]
                await client.send({"type": "response.create", "store": False, **body})
                if chance.random() < 0.1:
                    world.ends["left a WebSocket"] += 1
                    return
                said = await client.until("response.completed", "response.failed", "error")
                text = "".join(one["delta"] for one in said if one["type"] == "response.output_text.delta")
                if said[-1]["type"] != "response.completed" or text != asked.mark.text:
                    raise Wrong(f"a turn over a WebSocket ended with {said[-1]['type']}, {len(text)} characters")
                world.ends["turn"] += 1
    except (Cut, AssertionError) as exc:
        raise Wrong(f"WebSocket over {way}: {exc}") from exc
    finally:
        await clients.leave(stream, hard=chance.random() < 0.5)


async def models(world: World, chance: random.Random) -> None:
    """What the gateway answers by itself, one request after the other without waiting for the first."""
    with deadline("models"):
        async with world.connection("h1", fresh=True) as connection:
            assert isinstance(connection, clients.Http1)
            with contextlib.suppress(*GONE):
                await connection.stream.send(b"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n" * 3)
            for _ in range(3):
                reply = await connection.read()
                if reply.status != 200 or not reply.whole or b"xx-plain" not in reply.body:
                    raise Wrong(f"/v1/models answered {reply.status}")
                world.requests += 1
                world.ends["models"] += 1


_FAULTS = sorted(FAULTS)
SCENES: dict[str, tuple[Scene, int]] = {
    "plain": (plain, 40),
    "paced": (paced, 10),
    "shared": (shared, 8),
    "large": (large, 4),
    "slow": (slow, 2),
    "many": (many, 6),
    "fault": (fault, 25),
    "kept": (kept, 2),
    "websocket": (websocket, 5),
    "models": (models, 3),
    "leaving": (departures.leaving, 12),
    "leaving a stream": (departures.leaving_stream, 4),
    "bad": (abuses.bad, 8),
    "stalling": (abuses.stalling, 2),
    "deaf": (abuses.deaf, 1),
}
"""Each with its weight."""
ENTRIES = DIALECTS
