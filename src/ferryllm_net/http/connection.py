"""One client connection of the server: requests one after the other, each in the task of the connection.

The connection knows the phases, their deadlines and what happens when the client leaves; the server only sweeps.
"""

from __future__ import annotations

import math
from collections.abc import Coroutine

import anyio
import anyio.lowlevel

from .engine import Body, EndOfMessage, Event, Fault, InformationalHead, RequestHead
from .exchange import Handler, answer_failure, bare_refusal, check_answered, check_expectation
from .h1_responder import H1Responder
from .host import Host, Phase
from .limits import Limits
from .preface import look
from .request import ClientLeft, Request, RequestError, Responder, Stage
from .transport import Interrupted, Transport, TransportError
from .writing import Writing

# Names of this module: a member looked up in its class costs as much as ten look-ups in an instance.
_IDLE = Phase.IDLE
_HANDLER = Phase.HANDLER
_STARTED = Stage.STARTED
_ENDED = Stage.ENDED
_NEVER = math.inf


class Connection(Writing):
    """Serves one transport until it closes. ``run`` is the whole life."""

    __slots__ = (
        "_body_since",
        "_ended",
        "_events",
        "_handler",
        "_responder",
        "_scheme",
        "_sniff",
        "_whole",
        "handed_over",
    )

    def __init__(
        self, transport: Transport, handler: Handler, host: Host, limits: Limits, scheme: str, life: anyio.CancelScope
    ) -> None:
        super().__init__(transport, host, limits, life)
        self.handed_over: bytes | None = None
        """Set when the first bytes were HTTP/2's: those bytes. The transport is open then."""
        self._sniff = host.http2 and scheme == "http"  # over TLS the handshake has said it
        self._handler = handler
        self._scheme = scheme
        self._events: list[Event] | None = None
        """Of the body: come, not taken."""
        self._whole: bytes | None = None
        """The body, where all of it came with the head, on its way to the request."""
        self._responder: Responder | None = None
        self._ended = False
        """The client has ended its direction. A half-close cannot be told from leaving before it is too late to save
        upstream work, so both count as leaving."""
        self._body_since = 0.0

    @property
    def active(self) -> int:
        """Exchanges that run now."""
        return 0 if self._head is None and self._responder is None else 1

    def run(self) -> Coroutine[None, None, None]:
        """Serve until the client closes, a limit is passed or an answer ends the connection; closes the transport. To
        be awaited at once."""
        attended = self.transport.watch(self._client_ended)
        return self._serve_attended() if attended else self._serve(closes=True)

    async def _serve_attended(self) -> None:
        """With somebody beside it who sees the client leave while nobody reads."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self.transport.attend)
                await self._serve(closes=False)
                group.cancel_scope.cancel()
        finally:
            await self._close()

    async def _close(self) -> None:
        self.phase, self.deadline = Phase.CLOSED, math.inf
        if self.handed_over is None:
            with anyio.CancelScope(shield=True, deadline=self._host.clock() + self._limits.cleanup_secs):
                await self.transport.aclose()

    def expire(self) -> None:
        """The deadline has passed."""
        self.deadline = math.inf
        if self.phase is Phase.WRITE:
            self._leave()
        else:
            self.transport.interrupt()

    def close_if_idle(self) -> None:
        """Draining begins: between requests there is nothing to wait for."""
        if self.phase is _IDLE:
            self.transport.interrupt()
        elif self._drain_watch is not None:
            self._drain_watch()

    def interrupt(self) -> None:
        """Draining is at its deadline: the handler gets its last words."""
        if self._request is not None:
            self._request.interrupt()

    def kill(self) -> None:
        """Draining is over: whatever still runs is cancelled."""
        self._life.cancel()

    def _client_ended(self) -> None:
        self._ended = True
        # With the answer out the handler may finish what it does; a cut of our own is not the client's.
        if self._responder is not None and not self._responder.ended:
            self._leave()

    async def _serve(self, *, closes: bool) -> None:
        """One request after the other. All in one coroutine, because each costs every request and every stream."""
        host, limits, transport, engine = self._host, self._limits, self.transport, self._engine
        machine, handler = engine.machine, self._handler
        reader, clock, body_limit, keep_secs = machine.requests, host.clock, limits.body_bytes, limits.keep_alive_secs
        latest = clock() + limits.accept_head_secs
        self.deadline = latest
        events: list[Event] | None = []
        head: RequestHead
        again = False  # a request has been served, and nothing has come behind it
        try:
            while True:
                if again:
                    if host.draining:
                        return
                    try:
                        data = await transport.receive()
                    except Interrupted:
                        if self._is_meant():
                            return
                        continue
                    if not data:
                        return
                    whole = reader.receive_whole(data)
                    if whole is not None:
                        # One message, and nothing behind it.
                        head, body = whole  # type: ignore[assignment]  # of a request
                        self.deadline = _NEVER
                    else:
                        events = engine.receive_data(data)
                        if not events:
                            self._begin_head(latest)
                        body, again = None, False
                    del data, whole  # nothing is held of a request whose answer flows
                if not again:
                    found = None if events is None else await self._next_head(events, latest)
                    if found is None:
                        return
                    self._head = head = found
                    events, latest = None, _NEVER
                    body, self._whole = self._whole, None
                    handler = self._handler if engine.common else self._handle_uncommon
                self.phase = _HANDLER
                request = Request(head, self, transport.peer, self._scheme, body_limit, reader.shape, body)
                responder = H1Responder(self, head.method)
                del body
                self._request, self._responder = request, responder
                if self._ended:
                    self._leave()
                try:
                    try:
                        await handler(request, responder)
                        again = responder.stage is _ENDED
                        if not again:
                            check_answered(responder)
                    except Exception as exc:
                        again = False
                        await answer_failure(exc, request, responder, host.report)
                    if not (again and self._turned) or self._broken or host.draining:
                        again = False
                        self._request = self._responder = None
                        events = await self._after(responder)
                        again = events == [] and engine.common and not reader.buffer
                finally:
                    if not again and responder.stage is _STARTED:
                        self._make_visible()
                    self._request = self._responder = self._head = None
                    self._turned = False
                del head, request, responder
                self.phase = _IDLE
                self.deadline = clock() + keep_secs
        except (TransportError, ClientLeft):
            return
        finally:
            if closes:
                await self._close()

    async def _handle_uncommon(self, request: Request, responder: Responder) -> None:
        """The fast gear takes no request that expects anything."""
        check_expectation(request)
        await self._handler(request, responder)

    async def _next_head(self, events: list[Event], latest: float) -> RequestHead | None:
        """The next request, which ``events`` may have begun; None when there is none to serve."""
        engine, host = self._engine, self._host
        if not events and engine.within_head:
            self._begin_head(latest)
        while not events:
            if host.draining and self.phase is _IDLE:
                return None
            try:
                data = await self.transport.receive()
                if self._sniff and data:
                    self._sniff = False
                    self._begin_head(latest)
                    self.handed_over, data = await look(data, self._receive)
            except Interrupted:
                if not self._is_meant():
                    continue
                if self.phase is Phase.HEAD:
                    await self._refuse(Fault(408, "the head of the request did not arrive in time"))
                return None
            if not data:
                return None
            events = engine.receive_data(data)
            if not events and self.phase is _IDLE:
                self._begin_head(latest)
        self.deadline = math.inf
        return await self._begin(events)

    async def _begin(self, events: list[Event]) -> RequestHead | None:
        """The head among ``events``; the others are kept for the handler."""
        head = events[0]
        if type(head) is not RequestHead:
            if type(head) is Fault:
                await self._refuse(head)
            return None
        size = len(events)
        self._body_read = False
        if size < 4 and type(events[-1]) is EndOfMessage:
            self._body_done = True
            # Between head and end there are bodies alone.
            self._whole = events[1].data if size == 3 else b""  # type: ignore[union-attr]
        else:
            self._body_done = False
            self._events = events[1:]
        return head

    async def _receive(self) -> bytes:
        """Raises `Interrupted` when the deadline has passed or a drain begins between requests."""
        while True:
            try:
                return await self.transport.receive()
            except Interrupted:
                if self._is_meant():
                    raise

    def _is_meant(self) -> bool:
        """Whether an interruption is for this wait: not one that came too late for an earlier one."""
        # `expire` takes the deadline away.
        return self.deadline == math.inf or (self._host.draining and self.phase is _IDLE)

    def _begin_head(self, latest: float) -> None:
        self.phase = Phase.HEAD
        self.deadline = min(self._host.clock() + self._limits.head_secs, latest)

    async def _after(self, responder: Responder) -> list[Event] | None:
        """Between an answer and the next request, which is begun where it may follow."""
        if responder.stage is not _ENDED or self._broken:
            return None
        if not self._body_done and not self._closing:
            await self._drain_rest()
        if self._body_done and not self._host.draining:
            events = [] if self._turned else self._engine.turn()
            if events is not None:
                return events
        if not self._body_done or not self.transport.is_quiet():
            await self._linger()
        return None

    async def _drain_rest(self) -> None:
        """Read away a small rest of a body that the handler did not want, so that the connection can stay."""
        left = self._limits.drain_rest_bytes
        self.phase = Phase.LINGER
        self.deadline = self._host.clock() + self._limits.linger_secs
        try:
            while left > 0:
                data = await self._next_body()
                if data is None:
                    break
                left -= len(data)
        except (RequestError, Interrupted):
            pass
        self.deadline = math.inf

    async def _linger(self) -> None:
        """Throw away what still comes for a moment: a close with unread bytes sends RST, which can take the answer out
        of the client's hands before it has read it."""
        self.phase = Phase.LINGER
        self.deadline = self._host.clock() + self._limits.linger_secs
        left = self._limits.linger_bytes
        await self.transport.send_eof()
        try:
            while left > 0 and (data := await self._receive()):
                left -= len(data)
        except Interrupted:
            pass

    async def _refuse(self, fault: Fault) -> None:
        """Answer what is not a request; nothing after it can be trusted, so the connection ends."""
        reason = "Refused" if fault.status != 408 else "Request Timeout"
        await self.write(bare_refusal(fault.status, reason, fault.message))
        await self._linger()

    # What the request and the responder ask for (`request.Channel`).

    def whole_body(self, limit: int) -> bytes | None:
        return None  # the request has got it

    async def body_data(self, received: int) -> bytes | None:
        if self._body_done:
            return None
        now = self._host.clock()
        if not self._body_read:
            self._body_read = True
            self._body_since = now
            if self._engine.expects_continue:
                await self.write(self._engine.send(InformationalHead(100, [])))
        limits = self._limits
        floor = limits.body_floor_after_secs + received / limits.body_floor_bytes_per_sec
        latest = self._body_since + max(limits.body_idle_secs, floor)
        self.phase = Phase.BODY
        self.deadline = min(now + limits.body_idle_secs, latest)
        try:
            return await self._next_body()
        except Interrupted:
            self._fault = Fault(408, "the body of the request did not arrive in time")
            raise RequestError(408, self._fault.message) from None
        finally:
            self.phase, self.deadline = _HANDLER, math.inf

    async def _next_body(self) -> bytes | None:
        if self._fault is not None:
            raise RequestError(self._fault.status, self._fault.message)
        if self._body_done:
            return None
        while True:
            data: list[bytes] = []
            events, self._events = self._events or (), None
            for event in events:
                if type(event) is Body:
                    data.append(event.data)
                elif type(event) is EndOfMessage:
                    self._body_done = True
                elif type(event) is Fault:
                    self._fault = event
            if data:
                return b"".join(data)
            if self._body_done:
                return None
            if self._fault is not None:
                raise RequestError(self._fault.status, self._fault.message)
            received = await self._receive()
            if not received:
                # The transport has told `_client_ended`, which cancels the handler; this is where it is shielded.
                await anyio.lowlevel.checkpoint()
                raise ClientLeft("the client left within the body of its request")
            self._events = self._engine.receive_data(received)
