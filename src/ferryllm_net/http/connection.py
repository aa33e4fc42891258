"""One client connection of the server: requests one after the other, each in the task of the connection.

The connection knows the phases, their deadlines and what happens when the client leaves; the server only sweeps.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Coroutine

import anyio
import anyio.lowlevel

from .engine import Body, EndOfMessage, Event, Fault, Headers, InformationalHead, RequestHead
from .exchange import Handler, answer_failure, bare_refusal, check_answered, check_expectation, own_fields
from .h1_engine import ServerEngine
from .h1_responder import H1Responder
from .host import Host, Phase
from .limits import Limits
from .preface import look
from .request import ClientLeft, Request, RequestError, Responder, Stage
from .transport import Interrupted, Transport, TransportError

# Names of this module: a member looked up in its class costs as much as ten look-ups in an instance.
_IDLE = Phase.IDLE
_HANDLER = Phase.HANDLER
_STARTED = Stage.STARTED
_ENDED = Stage.ENDED
_NEVER = math.inf


class Connection:
    """Serves one transport until it closes. ``run`` is the whole life."""

    def __init__(
        self, transport: Transport, handler: Handler, host: Host, limits: Limits, scheme: str, life: anyio.CancelScope
    ) -> None:
        self.phase = _IDLE
        self.handed_over: bytes | None = None
        """Set when the first bytes were HTTP/2's: those bytes. The transport is open then."""
        self._sniff = host.http2 and scheme == "http"  # over TLS the handshake has said it
        self.deadline = math.inf
        """On the clock of the host; past it the sweeper calls `expire`."""
        self.transport = transport
        self._handler = handler
        self._host = host
        self._limits = limits
        self._scheme = scheme
        self._engine = ServerEngine(limits)
        # Of the common messages: for others they do nothing, or the engine is asked.
        self._machine = self._engine.machine
        self._writer = self._machine.writer
        self._piece = limits.write_piece_bytes
        self._events: list[Event] = []  # of the body: come, not taken; a deque is 1.3 KiB while it is empty
        self._whole: bytes | None = None
        """The body, where all of it came with the head, on its way to the request."""
        self._request: Request | None = None
        self._responder: Responder | None = None
        self._life = life
        """The scope in which `run` is called; a client that leaves takes its running handler with it."""
        self._closing = False
        self._head: RequestHead | None = None
        self._body_done = True
        """All of it has come."""
        self._body_read = False
        """Somebody has begun to wait for it."""
        self._fault: Fault | None = None
        self._ended = False
        """The client has ended its direction. A half-close cannot be told from leaving before it is too late to save
        upstream work, so both count as leaving."""
        self._broken = False
        self._unwritten: bytes = b""
        self._body_since = 0.0
        self._behind = b""
        """What came with the request that handed the connection over."""
        self._drain_watch: Callable[[], None] | None = None

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

    def _leave(self) -> None:
        """Nobody is there to answer to."""
        self._broken = True
        if self._request is not None:
            self._request.client_left = True
        self._life.cancel()

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
                        if responder.stage is not _ENDED:
                            check_answered(responder)
                    except Exception as exc:
                        await answer_failure(exc, request, responder, host.report)
                    if responder.stage is _ENDED and self._body_done and not (self._broken or host.draining):
                        again = machine.renew()
                    else:
                        again = False
                    if not again:
                        self._request = self._responder = None
                        events = await self._after(responder)
                finally:
                    if not again and responder.stage is _STARTED:
                        self._make_visible()
                    self._request = self._responder = self._head = None
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
            self._events.extend(events[1:])
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
        if self._body_done and not self._host.draining and (events := self._engine.turn()) is not None:
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
            events, self._events = self._events, []
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
            self._events.extend(self._engine.receive_data(received))

    def encode(self, event: Event) -> bytes:
        return self._engine.send(event)

    def frame(self, data: bytes) -> bytes:
        return self._writer.frame(data) if self._engine.common else self._engine.frame(data)

    def put_answer(self, status: int, headers: Headers, body: bytes) -> bool | None:
        host = self._host
        if not self._body_done or host.draining:
            return None
        data = self._machine.answer(status, headers, body, host.date)
        if data is None:
            return None
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
