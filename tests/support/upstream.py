"""An upstream whose side of the wire the test plays by hand."""

from __future__ import annotations

import anyio

from ferryllm_net.http import Origin, Transport
from support.streams import MemoryTransport, wire

ORIGIN = Origin("http", "upstream.test", 8000)


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
    await far.send(data)
    if close:
        await far.aclose()
    return head
