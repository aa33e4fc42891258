"""What all scenes of a soak share: the gateway, its provider, kept connections, the counts."""

from __future__ import annotations

import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import msgspec

from support.answers import DIALECTS
from support.faults.catalogue import Fault
from support.faults.rig import Reply

from . import clients
from .clients import Cut, Http1, Http2, Slow
from .marks import Question, new_mark, question
from .process import Gateway
from .provider import Marking
from .verdict import judge

PATIENCE_SECS = 30.0
"""No wait of a scene is longer, whatever happens: far above every deadline of the gateway, on a shared machine."""
FRESH_SECS = 1.5
"""A kept connection is used again for so long: well before the gateway closes it."""
KEPT = 8
"""Connections of one way that are kept."""


class Wrong(AssertionError):
    """What the gateway did and must not do."""


class Problem(msgspec.Struct):
    """One broken promise."""

    secs: float
    scene: str
    words: str


class World:
    def __init__(self, gateway: Gateway, provider: Marking) -> None:
        self.gateway = gateway
        self.places = gateway.places
        self.provider = provider
        self.requests = 0
        self.scenes: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        """How answers ended, in words."""
        self.problems: list[Problem] = []
        self.left_secs: list[float] = []
        """From a client's going to the end of its provider's connection."""
        self.slowest_secs = 0.0
        self._kept: dict[str, list[Http1 | Http2]] = defaultdict(list)

    def question(
        self,
        chance: random.Random,
        name: str,
        *,
        pieces: int = 0,
        size: int = 0,
        door: str = "plain",
        entry: str | None = None,
        backend: str | None = None,
        stream: bool | None = None,
        filling: str = "",
    ) -> Question:
        """What is not said is left to chance."""
        return question(
            entry or chance.choice(DIALECTS),
            backend or chance.choice(DIALECTS),
            name,
            new_mark(chance, pieces, size),
            door=door,
            stream=chance.random() < 0.5 if stream is None else stream,
            filling=filling,
        )

    async def ask(
        self, way: str, asked: Question, fault: Fault | None = None, *, slow: Slow | None = None, fresh: bool = False
    ) -> Reply:
        """Ask and judge; over a kept connection where there is one and none has to be ``fresh``."""
        with deadline(f"{way} {asked.entry} to {asked.backend} {asked.name} stream={asked.stream}"):
            async with self.connection(way, fresh=fresh) as connection:
                self.requests += 1
                if isinstance(connection, Http1):
                    reply = await connection.ask(asked, slow)
                else:
                    reply = await connection.ask(asked)
        self.note(asked, reply, fault, way)
        return reply

    def note(self, asked: Question, reply: Reply, fault: Fault | None, way: str) -> None:
        """Judge an answer."""
        try:
            self.ends[judge(asked, reply, fault)] += 1
        except Exception as exc:
            what = f"{way}: {asked.name} at {asked.entry} to {asked.backend}, stream={asked.stream}: "
            raise Wrong(f"{what}{type(exc).__name__}: {exc}") from exc
        self.slowest_secs = max(self.slowest_secs, reply.secs)

    @asynccontextmanager
    async def connection(self, way: str, *, fresh: bool = False) -> AsyncIterator[Http1 | Http2]:
        """A connection, kept afterwards where it may be."""
        kept = self._kept[way]
        one: Http1 | Http2 | None = None
        while kept and not fresh and one is None:
            one = kept.pop()
            if anyio.current_time() - one.used_at > FRESH_SECS:
                await one.aclose()
                one = None
        if one is None:
            opened = clients.open_http2 if way.startswith("h2") else clients.open_http1
            one = await opened(self.places, way)
        good = False
        try:
            yield one
            good = one.kept
        finally:
            if good and len(kept) < KEPT:
                kept.append(one)
            else:
                await one.aclose()

    async def aclose(self) -> None:
        for kept in self._kept.values():
            while kept:
                await kept.pop().aclose()


@contextlib.contextmanager
def deadline(what: str) -> Iterator[None]:
    """Raises `Wrong` when the block takes too long, and for a connection that ended where it must not."""
    try:
        with anyio.fail_after(PATIENCE_SECS):
            yield
    except TimeoutError:
        raise Wrong(f"{what}: no end within {PATIENCE_SECS:g} s") from None
    except Cut as exc:
        raise Wrong(f"{what}: the connection ended {exc}") from exc
