"""An upstream whose side of the wire the test plays by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

import anyio

from ferryllm_net.http import Limits, Origin, Pool, RequestHead, Timeouts, Transport, UpstreamResponse
from support.streams import MemoryTransport, wire

ORIGIN = Origin("http", "upstream.test", 8000)
OK = b"HTTP/1.1 200 OK\r\n"
FULL = OK + b"content-length: 2\r\n\r\nok"


class Upstream:
    """Dialled by a `Pool` (``Pool(dial=upstream.dial)``); `accept` gives the far end of the next connection."""

    def __init__(self, capacity: int = 1 << 20) -> None:
        self.dialled = 0
        self._capacity = capacity
        self._send, self._receive = anyio.create_memory_object_stream[MemoryTransport](16)

    async def dial(self, origin: Origin) -> Transport:
        self.dialled += 1
        near, far = wire(self._capacity)
        await self._send.send(far)
        return near

    async def accept(self) -> MemoryTransport:
        return await self._receive.receive()

    def close(self) -> None:
        self._send.close()
        self._receive.close()


async def answer(far: MemoryTransport, data: bytes, *, close: bool = False) -> bytes:
    """Read one request without body or with all of its head's bytes, then write ``data``. Answers with the head."""
    head = await far.receive_until(b"\r\n\r\n")
    if data:  # the other side may be gone already
        await far.send(data)
    if close:
        await far.aclose()
    return head


def head(method: str = "GET", *fields: tuple[str, str]) -> RequestHead:
    return RequestHead(method, "/v1/x", list(fields))


class Fed:
    """Given to a pump: keeps what it is fed, and ends the pump at once when ``stop``."""

    def __init__(self, *, stop: bool = False) -> None:
        self.pieces: list[bytes] = []
        self.stop = stop

    def __call__(self, data: bytes) -> bool:
        self.pieces.append(data)
        return self.stop


class Bench:
    """A pool and the upstream it dials."""

    def __init__(self, upstream: Upstream, pool: Pool) -> None:
        self.upstream = upstream
        self.pool = pool

    async def ask(
        self,
        request: RequestHead | None = None,
        body: bytes = b"",
        *,
        reply: Awaitable[object],
        timeouts: Timeouts | None = None,
    ) -> UpstreamResponse:
        """Open an exchange while ``reply`` plays the other side."""
        responses: list[UpstreamResponse] = []
        errors: list[Exception] = []

        async def play() -> None:
            await reply

        async with anyio.create_task_group() as group:
            group.start_soon(play)
            try:
                responses.append(await self.pool.open(ORIGIN, request or head(), body, timeouts=timeouts))
            except Exception as exc:
                errors.append(exc)
        if errors:
            raise errors[0]
        return responses[0]

    async def reply(self, data: bytes, *, close: bool = False) -> None:
        """Accept the next connection and answer its first request."""
        await answer(await self.upstream.accept(), data, close=close)


@asynccontextmanager
async def bench(limits: Limits | None = None, capacity: int = 1 << 20) -> AsyncIterator[Bench]:
    """``async with bench() as b``; the block has 20 s."""
    upstream = Upstream(capacity)
    try:
        with anyio.fail_after(20):
            async with Pool(limits=limits, dial=upstream.dial) as pool:
                yield Bench(upstream, pool)
    finally:
        upstream.close()
