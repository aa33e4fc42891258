"""Clients that leave, in every phase of a request: nothing of it may live on."""

from __future__ import annotations

import contextlib
import random

import anyio
from h2.errors import ErrorCodes

from . import clients
from .clients import GONE, Http2, leave
from .world import World, Wrong, deadline

CLOSED_SECS = 10.0
"""By then the provider's connection has to be gone. The promise is 100 ms, and tests/faults measures it; here the
machine may be busy, so this only finds what never ends. The times are reported."""
_HTTP1 = ("h1", "h1-tls", "h1-unix")
PHASES = ("connected", "handshake", "head", "body", "silent", "endless", "flood")


async def leaving(world: World, chance: random.Random) -> None:
    """Over HTTP/1.1, with a close or a reset."""
    phase = chance.choice(PHASES)
    hard = chance.random() < 0.5
    world.ends[f"left, {phase}"] += 1
    if phase == "handshake":
        bare = await anyio.connect_tcp("127.0.0.1", world.places.secure)
        with contextlib.suppress(*GONE):
            await bare.send(b"\x16\x03\x01\x02\x00\x01")
        await leave(bare, hard=hard)
        return
    with deadline(f"leaving while {phase}"):
        stream = await clients.connect(world.places, chance.choice(_HTTP1))
        try:
            if phase == "connected":
                return
            reaches = phase in ("silent", "endless", "flood")
            # What has no end is written in the words of one dialect.
            asked = world.question(
                chance, phase if reaches else "echo", backend="openai", stream=True, filling="x" * 5000
            )
            data = asked.head() + asked.body
            if not reaches:
                end = len(asked.head()) // 2 if phase == "head" else len(data) // 2
                with contextlib.suppress(*GONE):
                    await stream.send(data[:end])
                    await anyio.sleep(chance.random() * 0.05)
                return
            world.requests += 1
            world.provider.watch(asked.mark.id)
            await stream.send(data)
            request = await world.provider.seen(asked.mark.id, CLOSED_SECS)
            if request is None:
                raise Wrong(f"{phase}: the request did not reach its provider within {CLOSED_SECS:g} s")
            if phase == "endless":
                await _read_until_content(stream)
            elif phase == "flood":
                await anyio.sleep(0.3)
        finally:
            left_at = anyio.current_time()
            await leave(stream, hard=hard)
        await _await_gone(world, request, left_at, phase)


async def leaving_stream(world: World, chance: random.Random) -> None:
    """One stream of HTTP/2 is reset; another one of its connection goes on."""
    way = chance.choice(("h2", "h2-tls"))
    phase = chance.choice(("silent", "endless"))
    world.ends[f"reset, {phase}"] += 1
    with deadline(f"{way}, a stream reset while {phase}"):
        async with world.connection(way, fresh=True) as connection:
            assert isinstance(connection, Http2)
            other = world.question(chance, "paced", pieces=10, size=10, stream=True)
            asked = world.question(chance, phase, backend="openai", stream=True)
            world.requests += 2
            world.provider.watch(asked.mark.id)
            number = await connection.begin(other)
            going = await connection.begin(asked)
            request = await world.provider.seen(asked.mark.id, CLOSED_SECS)
            if request is None:
                raise Wrong(f"{phase}: the request did not reach its provider within {CLOSED_SECS:g} s")
            left_at = anyio.current_time()
            connection.client.h2.reset_stream(going, ErrorCodes.CANCEL)
            connection.client.answers.pop(going)
            await connection.client.flush()
            world.note(other, await connection.finish(number), None, way)
            await _await_gone(world, request, left_at, phase)


async def _read_until_content(stream: anyio.abc.ByteStream) -> None:
    data = b""
    try:
        while b"tick" not in data:
            data += await stream.receive()
    except GONE:
        raise Wrong(f"an endless answer ended after {len(data)} bytes") from None


async def _await_gone(world: World, request: object, left_at: float, phase: str) -> None:
    from support.faults.provider import Request

    assert isinstance(request, Request)
    with anyio.move_on_after(CLOSED_SECS):
        await request.gone.wait()
    if request.gone_at is None:
        raise Wrong(f"{phase}: the provider's connection is open {CLOSED_SECS:g} s after its client left")
    world.left_secs.append(max(0.0, request.gone_at - left_at))
