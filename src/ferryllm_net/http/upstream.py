"""One upstream connection of HTTP/1.1: the exchange that runs over it, its deadlines and what counts as a cut.

Apart from the pool, which knows reuse, and from the answer that is handed out, which is the same for HTTP/2. Deadlines
are fields that the pool's sweeper looks at: no read pays for a timer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

from .engine import Body, EndOfMessage, Event, Fault, Headers, InformationalHead, ResponseHead
from .faults import Clock, UpstreamError, UpstreamFault
from .h1_engine import ClientEngine
from .limits import Limits, Timeouts
from .origin import Origin
from .prepared import PreparedHead
from .transport import Feed, Interrupted, Transport, TransportError

if TYPE_CHECKING:
    from .places import Group

# Of a body that are sent without a task beside them that listens: what a socket of Linux holds at most (`tcp_wmem`), so
# that an upstream that reads as fast as we write does not keep a turn of the loop for itself.
_AT_ONCE_BYTES = 4 * 1024 * 1024


_HEAD = UpstreamFault.TIMEOUT_HEAD
_TIMEOUTS = Timeouts()
_NO_TRAILERS: Headers = []


class Keeper(Protocol):
    """The pool, as far as a connection needs it."""

    def give_back(self, connection: UpstreamConnection) -> bool:
        """Keep it for another exchange; False, and nothing has changed, when it has to be closed."""
        ...

    def drop(self, connection: UpstreamConnection) -> None:
        """It is going to be closed."""
        ...


class UpstreamConnection:
    """A dialled transport with its engine; serves one exchange after the other."""

    __slots__ = (
        "_ended",
        "_engine",
        "_eof",
        "_failure",
        "_feed",
        "_keeper",
        "_limits",
        "_machine",
        "_piece",
        "_reader",
        "_rest",
        "_sending",
        "_stopped",
        "_timeouts",
        "_unsent",
        "_wanted",
        "answered",
        "clock",
        "group",
        "idle_since",
        "origin",
        "over",
        "reused",
        "trailers",
        "transport",
    )

    def __init__(
        self, transport: Transport, origin: Origin, limits: Limits, keeper: Keeper, group: Group | None = None
    ) -> None:
        self.origin = origin
        self.group = group
        """Where the keeper keeps it."""
        self.clock = Clock()
        self.reused = False
        self.idle_since = 0.0
        self.answered = False
        """A byte of the current answer has come: from here on nothing may be repeated."""
        self.over = False
        """The answer is complete and handed out."""
        self.trailers: Headers = _NO_TRAILERS
        self.transport = transport
        self._keeper = keeper
        self._limits = limits
        self._piece = limits.write_piece_bytes
        self._engine = ClientEngine(limits)
        # Those of the common messages, which have nothing to say of others: two calls less each.
        self._machine = self._engine.machine
        self._reader = self._machine.responses
        self._timeouts = _TIMEOUTS
        # The engine has framed all of the request; the upstream has not got all of it.
        self._unsent = False
        self._sending = False
        self._ended = False
        """The engine has seen the end of the answer."""
        self._eof = False
        self._stopped = False
        self._rest = b""
        """Of the body: read and not handed out."""
        self._failure: UpstreamError | None = None
        """Raised when the rest is handed out."""
        self._feed: Feed | None = None
        self._wanted = False
        """The caller asked for the interruption."""

    # --- for the pool ---

    active = 1
    """Exchanges that run, while one does."""

    def renew(self) -> bool:
        """Make it ready for another exchange; False where the last one has not ended so that one may follow. What
        comes from then on, `is_reusable` sees."""
        if self._unsent or not (self._machine.renew() or self._engine.renew()):
            return False
        self.reused = True
        self.answered = self.over = self._ended = self._wanted = False
        if self.trailers:
            self.trailers = _NO_TRAILERS
        return True

    def is_reusable(self) -> bool:
        """Asked behind the end of an answer: nothing uninvited waits on it. A second answer that nobody asked for would
        go to the next client."""
        return self.transport.is_quiet()

    def sweep(self, now: float) -> None:
        """End the wait that is late."""
        if self.clock.passed(now):
            self.transport.interrupt()

    async def aclose(self) -> None:
        """Close now; shielded, bounded, never raises."""
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + self._limits.cleanup_secs):
            await self.transport.aclose()

    # --- the request ---

    async def exchange(
        self, request: PreparedHead, body: bytes, timeouts: Timeouts, now: float, total_at: float
    ) -> ResponseHead:
        """Send a request; the head of its answer. ``now`` and ``total_at`` on anyio's clock.

        Raises `UpstreamError`. An upstream that answers before it has read all of the body is heard.
        """
        self._timeouts = timeouts
        clock, transport, size, step = self.clock, self.transport, len(body), self._piece
        clock.total_at = total_at
        # The bytes are made once, by `prepare`; the engine only has to know what it reads an answer to.
        if self._engine.common:
            self._machine.announce(request.plain)
        else:
            self._engine.announce(request.plain)
        rest: bytes | None = None
        try:
            # With the head in one write: to copy a piece costs less than a call that wakes the peer up for a head.
            taken = transport.write(request.head_bytes(size) + body[:step])
            if not taken or step < size:
                rest = self._write_on(body, taken)
        except TransportError as exc:
            self._unsent = True
            clock.start(_HEAD, timeouts.head_secs, now)
            return await self._read_head(self._closed(f"while the request was sent: {exc}"))
        if rest is not None:
            del body
            return await self._upload(rest)
        # `Clock.start`, without the call.
        clock.kind, clock.secs, clock.due = _HEAD, timeouts.head_secs, now + timeouts.head_secs
        clock.late = clock.stirred = False
        clock.waiting = True
        try:
            data = await transport.receive()
        except (Interrupted, TransportError) as exc:
            return await self._read_head(None, exc)
        finally:
            clock.waiting = False
        whole = self._reader.receive_whole(data)
        if whole is None:
            return self._head_in(data, None) or await self._read_head(None)
        self.answered = self._ended = True
        head, self._rest = whole
        return head  # type: ignore[return-value]  # of an answer

    def _write_on(self, body: bytes, taken: bool) -> bytes | None:
        """Write what follows the first piece of ``body``, as far as the system takes it at once; what is left of it,
        None where the system has got all."""
        at = step = self._piece
        while taken and at < len(body) and at < _AT_ONCE_BYTES:
            taken = self.transport.write(body[at : at + step])
            at += step
        return None if taken and at >= len(body) else body[at:]

    async def _upload(self, rest: bytes) -> ResponseHead:
        """Send what the system did not take at once, while the answer is listened for: a refusal may come long before
        the end of a large body, from an upstream that reads no more of it."""
        found: list[ResponseHead] = []
        failed: list[UpstreamError] = []
        sent = anyio.Event()
        async with anyio.create_task_group() as group:

            async def send() -> None:
                try:
                    await self._send(rest)
                except UpstreamError as exc:
                    # What it said before it closed is worth more than that it closed.
                    failed.append(exc)
                    if exc.kind is not UpstreamFault.CLOSED:
                        group.cancel_scope.cancel()
                sent.set()

            group.start_soon(send)
            refused: UpstreamError | None = None
            interrupted = False
            try:
                found.append(await self._read_head(None))
                self.clock.listen(self._timeouts.idle_secs)
                if found[0].status < 300:
                    # It goes on reading, and might wait for the rest before it says more.
                    self.clock.waiting = True
                    await sent.wait()
            except UpstreamError as exc:
                refused = exc
            except Interrupted:
                interrupted = True  # not raised within the group, which would wrap it
            finally:
                self.clock.waiting = False
            group.cancel_scope.cancel()
        if interrupted:
            raise Interrupted
        self._unsent = not sent.is_set() or bool(failed)
        self._sending = False
        if found and not (failed and failed[0].kind is not UpstreamFault.CLOSED):
            return found[0]
        error = failed[0] if failed else refused
        assert error is not None
        raise error

    async def _send(self, rest: bytes) -> None:
        transport, step, secs = self.transport, self._limits.write_piece_bytes, self._timeouts.idle_secs
        start = 0
        self._sending = True
        try:
            while True:
                self.clock.start(_HEAD, secs, anyio.current_time())
                while True:
                    try:
                        await transport.drain()
                        break
                    except Interrupted:
                        self._raise_if_late()
                if start >= len(rest):
                    break
                transport.write(rest[start : start + step])
                start += step
        except TransportError as exc:
            raise self._closed(f"while the request was sent: {exc}") from exc
        self._sending = False
        self.clock.start(_HEAD, self._timeouts.head_secs, anyio.current_time())

    # --- the answer ---

    async def _read_head(
        self, refused: UpstreamError | None, failure: Interrupted | TransportError | None = None
    ) -> ResponseHead:
        """``failure`` is what the first read came to, where it has been tried."""
        clock = self.clock
        clock.waiting = True
        try:
            while True:
                try:
                    if failure is not None:
                        raise failure
                    data = await self.transport.receive()
                except Interrupted:
                    failure = None
                    self._pass_interruption()
                    continue
                except TransportError as exc:
                    when = "within its answer" if self.answered else "before any byte of its answer"
                    raise refused or self._closed(f"{when}: {exc}") from exc
                head = self._head_in(data, refused)
                if head is not None:
                    return head
        finally:
            clock.waiting = False

    def _head_in(self, data: bytes, refused: UpstreamError | None) -> ResponseHead | None:
        """The head that ``data``, what one read brought, ends; None where more has to come."""
        if data:
            self.answered = True
            events = self._engine.receive_data(data)
        else:
            self._eof = True
            events = self._engine.receive_eof()
            if not events or not self.answered:
                raise refused or self._closed("before any byte of its answer")
        while events:
            event = events.pop(0)
            if type(event) is ResponseHead:
                if events:
                    self._rest = self._bytes_of(events)
                return event
            if type(event) is Fault:
                raise self._fault_error(event)
            assert type(event) is InformationalHead
        return None

    async def receive(self) -> bytes:
        """What the next read brought of the body, b"" at its end. Raises `UpstreamError`, `Interrupted`."""
        while True:
            rest = self._rest
            if rest:
                self._rest = b""
                self.over = self._ended
                return rest
            if self._failure is not None:
                raise self._failure
            if self._ended:
                self.over = True
                return b""
            clock = self.clock
            clock.listen(self._timeouts.idle_secs)
            clock.waiting = True
            try:
                self._rest = self._take(await self.transport.receive())
            except Interrupted:
                self._pass_interruption()
            except TransportError as exc:
                raise self._closed(f"within its answer: {exc}") from exc
            finally:
                clock.waiting = False

    async def pump(self, feed: Feed) -> bool:
        """See `UpstreamResponse.pump`."""
        rest = self._rest
        if rest:
            self._rest = b""
            if feed(rest):
                self.over = self._ended
                return True
            rest = b""  # the wait may be long
        clock = self.clock
        while not self._ended and self._failure is None:
            self._feed = feed
            clock.listen(self._timeouts.idle_secs)
            self._stopped = False
            clock.waiting = True
            try:
                if await self.transport.pump(self._take_in):
                    if self._stopped:
                        self.over = self._ended
                        return True
                    continue
                last = self._take(b"")
            except Interrupted:
                self._pass_interruption()
                continue
            except TransportError as exc:
                raise self._closed(f"within its answer: {exc}") from exc
            finally:
                clock.waiting = False
                self._feed = None
            if last and feed(last):
                self.over = self._ended
                return True
        if self._failure is not None:
            raise self._failure
        self.over = True
        return False

    def whole(self) -> bytes | None:
        """See `Source.whole`. An answer with trailers goes the long way."""
        if not self._ended or self._failure is not None or self.trailers:
            return None
        rest = self._rest
        if not self._keeper.give_back(self):
            return None
        self._rest = b""
        return rest

    def interrupt(self) -> None:
        """End the wait of `receive` or `pump` with `Interrupted`."""
        self._wanted = True
        self.transport.interrupt()

    def finish(self) -> bool:
        """The answer was read to its end: give the connection back. False when it has to be closed."""
        return self._keeper.give_back(self)

    async def abandon(self) -> None:
        """Nobody wants the rest of the answer."""
        self._keeper.drop(self)
        await self.aclose()

    def _take_in(self, data: bytes) -> bool:
        self.clock.stirred = True
        found = self._reader.receive_body(data)
        if found is not None:
            body, self._ended = found
        else:
            body = self._bytes_of(self._engine.receive_data(data))
        feed = self._feed
        if body and feed is not None and feed(body):
            self._stopped = True
            return True
        return self._ended or self._failure is not None

    def _take(self, data: bytes) -> bytes:
        """The body's bytes in what one read brought; b"" is the end of the connection."""
        if data:
            found = self._reader.receive_body(data)
            if found is None:
                return self._bytes_of(self._engine.receive_data(data))
            self._ended = found[1]
            return found[0]
        self._eof = True
        rest = self._bytes_of(self._engine.receive_eof())
        if self._ended and self.transport.ragged_end:
            # RFC 9112 section 9.8: whoever stands between can end a connection, but not say so within TLS.
            self._ended = False
            self._failure = self._closed("within its answer: without the TLS alert that ends it")
        return rest

    def _bytes_of(self, events: list[Event]) -> bytes:
        """A fault is kept until the bytes before it are handed out."""
        data: list[bytes] = []
        for event in events:
            if type(event) is Body:
                data.append(event.data)
            elif type(event) is EndOfMessage:
                self._ended = True
                self.trailers = event.trailers
            elif type(event) is Fault:
                self._failure = self._fault_error(event)
        return data[0] if len(data) == 1 else b"".join(data)

    # --- what goes wrong ---

    def _raise_if_late(self) -> None:
        if self.clock.late:
            raise self.clock.fault(self.origin.authority, sending=self._sending)

    def _pass_interruption(self) -> None:
        """Raise what the interruption was for; nothing for one that came too late for an earlier wait."""
        self._raise_if_late()
        if self._wanted:
            self._wanted = False
            raise Interrupted

    def _closed(self, when: str) -> UpstreamError:
        return UpstreamError(UpstreamFault.CLOSED, f"upstream {self.origin.authority} closed the connection {when}")

    def _fault_error(self, fault: Fault) -> UpstreamError:
        """An end before the end is a close, everything else is the protocol."""
        if self._eof:
            return self._closed("within its answer")
        text = f"upstream {self.origin.authority} broke the protocol: {fault.message}"
        return UpstreamError(UpstreamFault.PROTOCOL, text)
