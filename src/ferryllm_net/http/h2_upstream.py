"""An HTTP/2 connection to an upstream that many exchanges share: one task reads, one writes.

Loaded when a provider is configured for HTTP/2, because h2 costs 40 ms of imports.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import anyio
from h2.errors import ErrorCodes

from .faults import UpstreamFault
from .h2_client_engine import (
    Alive,
    AnswerEnded,
    AnswerEvent,
    H2ClientEngine,
    LinkLost,
    RoomMade,
    ServerLeaves,
    StreamGone,
)
from .h2_exchange import H2Exchange
from .limits import Limits, Timeouts
from .origin import Origin
from .transport import Interrupted, Transport, TransportError


class H2Upstream:
    """Serves exchanges over one transport until it closes. ``run`` is the whole life. ``on_change`` is called when
    there may be more room, or none ever; ``on_rest`` when no exchange runs any more."""

    def __init__(
        self,
        transport: Transport,
        origin: Origin,
        limits: Limits,
        on_change: Callable[[], None],
        on_rest: Callable[[H2Upstream], None],
    ) -> None:
        self.origin = origin
        self.engine = H2ClientEngine(limits)
        self.idle_since = 0.0
        self.reserved = 0
        """Rooms that were promised to somebody who has not taken them yet."""
        self.closed = False
        self._transport = transport
        self._limits = limits
        self._on_change = on_change
        self._on_rest = on_rest
        self._exchanges: dict[int, H2Exchange] = {}
        self._served = 0
        self._blocked = False
        self._wake_writer: anyio.Event | None = None
        self._unblocked: anyio.Event | None = None
        self._stalled_at = math.inf
        self._heard = False
        self._ask_at = math.inf
        self._asked = False
        self._life = anyio.CancelScope()

    @property
    def room(self) -> int:
        """Exchanges that may begin now."""
        return 0 if self.closed else self.engine.room - self.reserved

    @property
    def active(self) -> int:
        """Exchanges that run."""
        return len(self._exchanges)

    @property
    def busy(self) -> bool:
        """An exchange runs or is about to."""
        return bool(self._exchanges) or self.reserved > 0

    @property
    def blocked(self) -> bool:
        return self._blocked

    async def run(self, clock: Callable[[], float]) -> None:
        """Until the connection ends, or `close`; closes the transport."""
        try:
            async with anyio.create_task_group() as group:
                self._life = group.cancel_scope
                group.start_soon(self._write)
                self.kick()
                try:
                    reason = await self._read(clock)
                except TransportError as exc:
                    reason = str(exc)
                self._lose(UpstreamFault.CLOSED, f"closed the connection: {reason}")
                group.cancel_scope.cancel()
        finally:
            self._lose(UpstreamFault.CLOSED, "the connection is closed")
            with anyio.CancelScope(shield=True, deadline=anyio.current_time() + self._limits.cleanup_secs):
                await self._transport.aclose()

    def begin(self, timeouts: Timeouts, total_at: float) -> H2Exchange:
        """A new exchange, for whoever found `room`; its stream is opened by `H2Exchange.exchange`."""
        return H2Exchange(self, self._limits, timeouts, total_at, reused=self._served > 0)

    def adopt(self, exchange: H2Exchange) -> None:
        """Its stream is open: what comes for it is told to it."""
        self._served += 1
        self._exchanges[exchange.stream] = exchange

    def close(self) -> None:
        """End it: GOAWAY, as far as it goes out at once."""
        if not self.closed:
            self.engine.fail()
            self.kick()
            self._lose(UpstreamFault.CLOSED, "the connection was closed by this side")
            self._life.cancel()

    def sweep(self, now: float) -> None:
        """Look whether the connection lives: a write that stalls, a silence while streams run."""
        limits = self._limits
        for exchange in list(self._exchanges.values()):
            exchange.sweep(now)
        if now >= self._stalled_at:
            self._break("it takes nothing")
        elif self._heard or not self._exchanges:
            self._heard = self._asked = False
            self._ask_at = now + limits.h2_ping_secs
        elif now >= self._ask_at:
            if self._asked:
                self._break("it does not answer")
            else:
                self._asked = True
                self._ask_at = now + limits.h2_ping_secs
                self.engine.ping()
                self.kick()

    def forget(self, exchange: H2Exchange) -> None:
        if self._exchanges.pop(exchange.stream, None) is not None:
            if not self._exchanges:
                self._on_rest(self)
                if self.engine.leaving:
                    self.close()
            self._on_change()

    # --- reading ---

    async def _read(self, clock: Callable[[], float]) -> str:
        """Answers with the reason of the end."""

        def take(data: bytes) -> bool:
            self._heard = True
            for event in self.engine.receive_data(data, clock()):
                self._tell(event)
            self.kick()
            return self.engine.failed or self._flooded()

        while not self.engine.failed and not (self.engine.leaving and not self._exchanges):
            if self._flooded():
                self._unblocked = anyio.Event()
                await self._unblocked.wait()
            try:
                if not await self._transport.pump(take):
                    return "it ended it"
            except Interrupted:
                continue
        return "it is to be used no more"

    def _flooded(self) -> bool:
        """Frames are not read while so much that answers them is not taken. Less has to be read: a server may wait for
        us to read before it reads."""
        return self._blocked and self.engine.backlog > self._limits.h2_backlog_bytes

    def _tell(self, event: AnswerEvent) -> None:
        if isinstance(event, LinkLost):
            self.kick()
            self._lose(UpstreamFault.PROTOCOL, f"broke the protocol of HTTP/2: {event.reason}")
        elif isinstance(event, RoomMade):
            exchange = self._exchanges.get(event.stream)
            if exchange is not None:
                exchange.go_on()
            elif not event.stream:
                self._let_go_on()
        elif isinstance(event, ServerLeaves):
            self._on_change()
        elif not isinstance(event, Alive):
            exchange = self._exchanges.get(event.stream)
            if exchange is not None:
                exchange.take(event)
            if isinstance(event, (AnswerEnded, StreamGone)):
                self._on_change()

    def _let_go_on(self) -> None:
        for exchange in list(self._exchanges.values()):
            exchange.go_on()
        self._on_change()

    # --- writing ---

    def kick(self) -> None:
        if self._blocked or self.closed:
            return
        data = self.engine.take()
        if data:
            try:
                taken = self._transport.write(data)
            except TransportError:
                self._break("it cannot be written to")
                return
            if not taken:
                self._blocked = True
                self._stalled_at = anyio.current_time() + self._limits.h2_upload_secs
                if self._wake_writer is not None:
                    self._wake_writer.set()

    async def _write(self) -> None:
        """Wait for the system where it did not take all; a stream that is cancelled must not leave half a frame."""
        while True:
            if not self._blocked:
                self._wake_writer = anyio.Event()
                await self._wake_writer.wait()
            try:
                await self._transport.drain()
            except Interrupted:
                continue
            except TransportError as exc:
                self._break(str(exc))
                return
            self._blocked, self._stalled_at = False, math.inf
            self.kick()
            if not self._blocked:
                if self._unblocked is not None:
                    self._unblocked.set()
                self._let_go_on()

    # --- the end ---

    def _break(self, reason: str) -> None:
        self.engine.fail(ErrorCodes.NO_ERROR)
        self._lose(UpstreamFault.CLOSED, f"closed the connection: {reason}")
        self._life.cancel()

    def _lose(self, kind: UpstreamFault, what: str) -> None:
        """Nothing can be said or heard any more."""
        if not self.closed:
            self.closed = True
            exchanges, self._exchanges = self._exchanges, {}
            for exchange in exchanges.values():
                exchange.lose(kind, what)
            self._on_rest(self)
            self._on_change()
