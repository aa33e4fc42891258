"""What a connection of HTTP/1.1 writes for the requests it serves, and how it ends where nobody reads that.

Apart from `Connection`, which reads.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import anyio
import anyio.lowlevel

from .engine import Event, Fault, Headers, RequestHead
from .exchange import own_fields
from .h1_engine import ServerEngine
from .host import Host, Phase
from .limits import Limits
from .request import ClientLeft, Request
from .transport import Interrupted, Transport, TransportError


class Writing:
    """The writing half of a connection: `h1_responder.H1Channel` without the body of the request."""

    __slots__ = (
        "_behind",
        "_body_done",
        "_body_read",
        "_broken",
        "_closing",
        "_drain_watch",
        "_engine",
        "_fault",
        "_head",
        "_host",
        "_life",
        "_limits",
        "_machine",
        "_piece",
        "_request",
        "_turned",
        "_unwritten",
        "_writer",
        "deadline",
        "phase",
        "transport",
    )

    def __init__(self, transport: Transport, host: Host, limits: Limits, life: anyio.CancelScope) -> None:
        self.phase = Phase.IDLE
        self.deadline = math.inf
        """On the clock of the host; past it the sweeper calls `expire`."""
        self.transport = transport
        self._host = host
        self._limits = limits
        self._piece = limits.write_piece_bytes
        self._engine = ServerEngine(limits)
        # Of the common messages: for others they do nothing, or the engine is asked.
        self._machine = self._engine.machine
        self._writer = self._machine.writer
        self._life = life
        """The scope in which the connection runs; a client that leaves takes its running handler with it."""
        self._request: Request | None = None
        self._head: RequestHead | None = None
        """Of the request that is served, where it is not one like that before it."""
        self._body_done = True
        """All of its body has come."""
        self._body_read = False
        """Somebody has begun to wait for it."""
        self._fault: Fault | None = None
        self._turned = False
        """The answer is made, and the engine is at the next request."""
        self._closing = False
        self._broken = False
        self._unwritten: bytes = b""
        self._behind = b""
        """What came with the request that handed the connection over."""
        self._drain_watch: Callable[[], None] | None = None

    def _leave(self) -> None:
        """Nobody is there to answer to."""
        self._broken = True
        if self._request is not None:
            self._request.client_left = True
        self._life.cancel()

    def encode(self, event: Event) -> bytes:
        return self._engine.send(event)

    def frame(self, data: bytes) -> bytes:
        return self._writer.frame(data) if self._engine.common else self._engine.frame(data)

    def put_answer(self, status: int, headers: Headers, body: bytes) -> bool | None:
        host = self._host
        if not self._body_done or host.draining:
            return None
        data = self._machine.answer_and_turn(status, headers, body, host.date)
        if data is None:
            data = self._machine.answer(status, headers, body, host.date)
            if data is None:
                return None
        else:
            self._turned = True
        if self._broken or self._unwritten or len(data) > self._piece:
            return self.put(data)
        try:
            return self.transport.write(data)
        except TransportError as exc:
            raise self._lost() from exc

    def put_beginning(self, status: int, headers: Headers, data: bytes) -> bool | None:
        host = self._host
        if not self._body_done or host.draining:
            return None
        out = self._machine.begin(status, headers, data, host.date)
        return None if out is None else self.put(out)

    def put_finish(self, data: bytes) -> bool | None:
        out = self._writer.finish(data)
        return None if out is None else self.put(out)

    def finish_head(self, headers: Headers) -> Headers:
        self._closing = self._must_close()
        return own_fields(headers, self._host.date, closing=self._closing)

    def _must_close(self) -> bool:
        if self._host.draining or self._fault is not None:
            return True
        if self._body_done or self._head is None:
            return False
        if self._body_read or self._engine.expects_continue:
            # A body given up half way is too large or broken. Without 100 the client may send its body or not: nobody
            # can tell what comes next.
            return True
        declared = next((value for name, value in self._head.headers if name == "content-length"), "0")
        return int(declared) > self._limits.drain_rest_bytes

    def put(self, data: bytes) -> bool:
        if self._broken:
            raise ClientLeft("the client left")
        if len(data) > self._piece or self._unwritten:
            self._unwritten += data
            return False
        try:
            return self.transport.write(data)
        except TransportError as exc:
            raise self._lost() from exc

    def _lost(self) -> ClientLeft:
        self._leave()
        return ClientLeft("the client left")

    async def drain(self) -> None:
        if self._broken:
            raise ClientLeft("the client left")
        limits, phase = self._limits, self.phase
        rest, self._unwritten = self._unwritten, b""
        self.phase = Phase.WRITE
        self._broken = True  # until all of it is out: a cancelled write leaves half a message behind
        try:
            self.deadline = self._host.clock() + limits.write_stall_secs
            await self.transport.drain()
            for start in range(0, len(rest), limits.write_piece_bytes):
                self.deadline = self._host.clock() + limits.write_stall_secs
                await self.transport.send(rest[start : start + limits.write_piece_bytes])
        except TransportError as exc:
            self._leave()
            await anyio.lowlevel.checkpoint()
            raise ClientLeft("the client left") from exc
        finally:
            self.deadline = math.inf
            self.phase = phase
        self._broken = False

    async def write(self, data: bytes) -> None:
        if not self.put(data):
            await self.drain()

    # What another protocol asks for (`request.Line`).

    def switch(self, headers: Headers) -> bytes:
        head, self._behind = self._engine.switch(headers)
        return head

    async def receive(self) -> bytes:
        if self._behind:
            data, self._behind = self._behind, b""
            return data
        while True:
            # Nobody interrupts this wait: it was meant for an earlier one.
            with contextlib.suppress(Interrupted):
                try:
                    return await self.transport.receive()
                except TransportError:
                    return b""  # a reset is an end too

    def watch_drain(self, callback: Callable[[], None]) -> None:
        self._drain_watch = callback
        if self._host.draining:
            callback()

    async def cut(self) -> None:
        self._broken = True
        self._make_visible()
        await self.transport.aclose()

    def _make_visible(self) -> None:
        """A body that ends with the connection would end cleanly by a plain close."""
        if self._head is not None and self._head.http_version == "1.0":
            self.transport.reset_on_close()
