"""Clients that break the protocol, take their time, or do not read: refused in good form, and never for ever."""

from __future__ import annotations

import contextlib
import random

import anyio
from anyio.abc import ByteStream

from support.faults.rig import parse
from support.wellformed import check_error

from . import clients
from .clients import GONE
from .process import BODY_SECS, HEAD_SECS, KEEP_ALIVE_SECS, WRITE_SECS
from .world import World, Wrong, deadline

SLACK_SECS = 8.0
"""A deadline may pass so much later: the machine may be busy, and the gateway looks twice a second."""
AFTER_KEEP_ALIVE_SECS = KEEP_ALIVE_SECS + SLACK_SECS
_POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"

BAD: dict[str, tuple[bytes, frozenset[int]]] = {
    "both lengths": (
        _POST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        frozenset({400}),
    ),
    "two lengths": (_POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\n", frozenset({400})),
    "bare line feeds": (b"GET /v1/models HTTP/1.1\nhost: 127.0.0.1\n\n", frozenset({400})),
    "a folded field": (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: a\r\n b\r\n\r\n", frozenset({400})),
    "a blank before the colon": (b"GET / HTTP/1.1\r\nhost : 127.0.0.1\r\n\r\n", frozenset({400})),
    "no host": (b"GET /v1/models HTTP/1.1\r\n\r\n", frozenset({400})),
    "a bad chunk": (_POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n", frozenset({400})),
    "a huge head": (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: " + b"y" * 80_000 + b"\r\n\r\n", frozenset({400, 431})),
    "many fields": (b"GET / HTTP/1.1\r\nhost: 127.0.0.1\r\n" + b"x: y\r\n" * 300 + b"\r\n", frozenset({400, 431})),
    "a body too large": (_POST + b"content-length: 99999999\r\n\r\n", frozenset({413})),
    "no JSON": (_POST + b"content-length: 4\r\n\r\n{{{{", frozenset({400})),
    "no model": (_POST + b"content-length: 2\r\n\r\n{}", frozenset({400})),
    "an unknown model": (_POST + b'content-length: 32\r\n\r\n{"model":"nobody","messages":[]}', frozenset({400, 404})),
    "no such path": (b"GET /nowhere HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", frozenset({404})),
    "another host": (b"GET /v1/models HTTP/1.1\r\nhost: evil.test\r\n\r\n", frozenset({400, 403, 421})),
}
"""Bytes of a client over HTTP/1.1, and the status they get."""
_FRAMES: dict[str, bytes] = {
    "a frame of no size": b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\1\1\0\0\0\0\0x",
    "data before a head": b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\1\0\0\0\0\0\1x",
    "a bad block": b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff",
    "many pings": b"\0\0\0\x04\0\0\0\0\0" + b"\0\0\x08\x06\0\0\0\0\0" * 300 + b"\0" * 2400,
}
"""What follows the preface of HTTP/2; the connection has to end."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


async def bad(world: World, chance: random.Random) -> None:
    """What the protocol forbids, over HTTP/1.1 or as frames."""
    if chance.random() < 0.25:
        await _bad_frames(world, chance)
        return
    name = chance.choice(sorted(BAD))
    data, statuses = BAD[name]
    with deadline(f"bad request, {name}"):
        stream = await clients.connect(world.places, "h1")
        try:
            with contextlib.suppress(*GONE):
                await stream.send(data)
            connection = clients.Http1(stream)
            reply = await connection.read()
        finally:
            await clients.leave(stream, hard=False)
    world.requests += 1
    world.ends[f"refused, {reply.status}"] += 1
    if reply.status not in statuses:
        raise Wrong(f"{name}: status {reply.status}, expected {sorted(statuses)}: {reply.body[:200]!r}")
    try:
        check_error("openai", reply.status, reply.body)
    except Exception as exc:
        raise Wrong(f"{name}: {type(exc).__name__}: {exc}: {reply.body[:200]!r}") from exc


async def _bad_frames(world: World, chance: random.Random) -> None:
    name = chance.choice(sorted(_FRAMES))
    world.ends["bad frames"] += 1
    with deadline(f"frames, {name}"):
        stream = await clients.connect(world.places, "h2")
        try:
            with contextlib.suppress(*GONE):
                await stream.send(_PREFACE + _FRAMES[name])
            await wait_closed(stream, SLACK_SECS, name)
        finally:
            await clients.leave(stream, hard=False)


async def stalling(world: World, chance: random.Random) -> None:
    """A client that stops within its handshake, its head or its body."""
    phase = chance.choice(("handshake", "nothing", "head", "body"))
    world.ends[f"stalled, {phase}"] += 1
    secs = (BODY_SECS if phase == "body" else HEAD_SECS) + SLACK_SECS
    stream = await anyio.connect_tcp("127.0.0.1", world.places.secure if phase == "handshake" else world.places.plain)
    try:
        asked = world.question(chance, "echo", filling="x" * 5000)
        with contextlib.suppress(*GONE):
            if phase == "handshake":
                await stream.send(b"\x16\x03\x01\x02\x00\x01")
            elif phase == "head":
                await stream.send(asked.head()[:40])
            elif phase == "body":
                await stream.send(asked.head() + asked.body[:1000])
        said = await wait_closed(stream, secs, f"a client that stalls, {phase}")
    finally:
        await clients.leave(stream, hard=False)
    if phase == "body":
        reply = parse(said)
        if reply.status != 408:
            raise Wrong(f"a body that stalls: status {reply.status}")
        check_error(asked.entry, reply.status, reply.body)


async def deaf(world: World, chance: random.Random) -> None:
    """A client that never reads an answer without end: it is cut, and so is its provider."""
    world.ends["deaf"] += 1
    asked = world.question(chance, "flood", entry="openai", backend="openai", stream=True)
    stream = await clients.connect(world.places, chance.choice(("h1", "h1-tls")))
    try:
        world.requests += 1
        world.provider.watch(asked.mark.id)
        await stream.send(asked.head() + asked.body)
        request = await world.provider.seen(asked.mark.id, SLACK_SECS)
        if request is None:
            raise Wrong(f"deaf: the request did not reach its provider within {SLACK_SECS:g} s")
        with anyio.move_on_after(WRITE_SECS + 2 * SLACK_SECS):
            await request.gone.wait()
        if request.gone_at is None:
            raise Wrong(f"a client that does not read holds its provider for {WRITE_SECS + 2 * SLACK_SECS:g} s")
    finally:
        await clients.leave(stream, hard=False)


async def wait_closed(stream: ByteStream, secs: float, what: str) -> bytes:
    """What comes up to the end of the connection. Raises `Wrong` when it does not end."""
    said = bytearray()
    with anyio.move_on_after(secs) as scope, contextlib.suppress(*GONE):
        while True:
            said += await stream.receive()
    if scope.cancelled_caught:
        raise Wrong(f"{what} is open after {secs:g} s")
    return bytes(said)
