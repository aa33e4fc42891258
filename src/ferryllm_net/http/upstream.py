"""One upstream connection and the answer that comes over it.

Apart from the pool: this knows one exchange at a time, its deadlines and what counts as a cut; the pool knows reuse.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

import anyio

from .decompress import CodingError, Inflater, codings_of
from .engine import Body, EndOfMessage, Event, Fault, Headers, InformationalHead, RequestHead, ResponseHead
from .h11_engine import ClientEngine
from .limits import Limits, Timeouts
from .origin import Origin
from .transport import Transport, TransportError

# Up to this size a request's body is joined with its head into one write; above it the copy costs more than the call.
_JOIN_BYTES = 64 * 1024


class UpstreamFault(enum.Enum):
    """What went wrong on the way to or from an upstream."""

    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT_CONNECT = "timeout_connect"
    TIMEOUT_HEAD = "timeout_head"
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_TOTAL = "timeout_total"
    CLOSED = "closed"
    PROTOCOL = "protocol"


class UpstreamError(Exception):
    """An upstream exchange failed. ``message`` names host and cause, never a header, a key or a body."""

    def __init__(self, kind: UpstreamFault, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class UpstreamConnection:
    """A dialled transport with its engine; serves one exchange after the other."""

    def __init__(self, transport: Transport, origin: Origin, limits: Limits) -> None:
        self.origin = origin
        self.reused = False
        self.idle_since = 0.0
        self.answered = False
        """A byte of the current answer has come: from here on nothing may be repeated."""
        self._transport = transport
        self._limits = limits
        self._engine = ClientEngine(limits)
        # The engine has framed all of the request; the upstream has not got all of it.
        self._unsent = False

    def is_reusable(self) -> bool:
        """The exchange ended well, both sides keep the connection and nothing uninvited waits on it: a second answer
        that nobody asked for would go to the next client."""
        engine = self._engine
        return not self._unsent and engine.reusable and not engine.held and self._transport.is_quiet()

    async def aclose(self) -> None:
        """Close now; shielded, bounded, never raises."""
        with anyio.CancelScope(shield=True, deadline=anyio.current_time() + self._limits.cleanup_secs):
            await self._transport.aclose()

    def next_message(self) -> None:
        self.reused, self.answered = True, False
        self._engine.next_message()

    async def exchange(
        self, head: RequestHead, body: bytes, timeouts: Timeouts, total_at: float
    ) -> tuple[ResponseHead, list[Event]]:
        """Send a request and read up to the head of its answer; the events behind it come along.

        Raises `UpstreamError`. An upstream that answers before it has read all of the body is heard.
        """
        refused: UpstreamError | None = None
        try:
            await self._send(head, body, timeouts, total_at)
        except UpstreamError as exc:
            if exc.kind is not UpstreamFault.CLOSED:
                raise
            refused, self._unsent = exc, True
        head_at = anyio.current_time() + timeouts.head_secs
        while True:
            try:
                events = await self._receive(UpstreamFault.TIMEOUT_HEAD, timeouts.head_secs, head_at, total_at)
            except UpstreamError as exc:
                raise refused or exc from None
            for index, event in enumerate(events):
                if type(event) is ResponseHead:
                    return event, events[index + 1 :]
                if type(event) is Fault:
                    if not self.answered:
                        raise refused or self._closed("before any byte of its answer")
                    raise self.fault_error(event)
                assert type(event) is InformationalHead

    async def receive(self, timeouts: Timeouts, total_at: float) -> list[Event]:
        """The events of the next read of an answer's body, never empty."""
        idle_at = anyio.current_time() + timeouts.idle_secs
        while True:
            events = await self._receive(UpstreamFault.TIMEOUT_IDLE, timeouts.idle_secs, idle_at, total_at)
            if events:
                return events

    async def _send(self, head: RequestHead, body: bytes, timeouts: Timeouts, total_at: float) -> None:
        engine = self._engine
        first = engine.send(head)
        rest = engine.send(Body(body)) if body else b""
        rest += engine.send(EndOfMessage())
        if len(rest) <= _JOIN_BYTES:
            first, rest = first + rest, b""
        step = self._limits.write_piece_bytes
        pieces = [first, *(rest[start : start + step] for start in range(0, len(rest), step))]
        for piece in pieces:
            stall_at = anyio.current_time() + timeouts.idle_secs
            try:
                with anyio.fail_after(min(stall_at, total_at) - anyio.current_time()):
                    await self._transport.send(piece)
            except TimeoutError:
                raise self._timeout(
                    UpstreamFault.TIMEOUT_HEAD,
                    f"did not take the request for {timeouts.idle_secs:g} s",
                    total_at < stall_at,
                ) from None
            except TransportError as exc:
                raise self._closed(f"while the request was sent: {exc}") from exc

    async def _receive(self, kind: UpstreamFault, secs: float, until: float, total_at: float) -> list[Event]:
        try:
            with anyio.fail_after(min(until, total_at) - anyio.current_time()):
                data = await self._transport.receive()
        except TimeoutError:
            what = "no answer" if kind is UpstreamFault.TIMEOUT_HEAD else "no byte of its answer"
            raise self._timeout(kind, f"sent {what} for {secs:g} s", total_at < until) from None
        except TransportError as exc:
            when = "within its answer" if self.answered else "before any byte of its answer"
            raise self._closed(f"{when}: {exc}") from exc
        if not data:
            return self._engine.receive_eof()
        self.answered = True
        return self._engine.receive_data(data)

    def _timeout(self, kind: UpstreamFault, message: str, total: bool) -> UpstreamError:
        if total:
            return self._error(UpstreamFault.TIMEOUT_TOTAL, "did not finish within the total time")
        return self._error(kind, message)

    def _closed(self, when: str) -> UpstreamError:
        return self._error(UpstreamFault.CLOSED, f"closed the connection {when}")

    def _error(self, kind: UpstreamFault, message: str) -> UpstreamError:
        return UpstreamError(kind, f"upstream {self.origin.authority} {message}")

    def fault_error(self, fault: Fault) -> UpstreamError:
        """A fault within the body: an end before the end is a close, everything else is the protocol."""
        if self._engine.ended:
            return self._closed("within its answer")
        return self._error(UpstreamFault.PROTOCOL, f"broke the protocol: {fault.message}")

    def coding_error(self, error: CodingError) -> UpstreamError:
        return self._error(UpstreamFault.PROTOCOL, f"sent a body that cannot be decoded: {error.message}")


class Keeper(Protocol):
    """Takes connections back; the pool, as far as an answer needs it."""

    async def give_back(self, connection: UpstreamConnection) -> None: ...


class UpstreamResponse:
    """An answer: its head, then its body by `receive`. Close it always (``async with`` or ``finally``)."""

    def __init__(
        self,
        connection: UpstreamConnection,
        keeper: Keeper,
        head: ResponseHead,
        events: list[Event],
        timeouts: Timeouts,
        total_at: float,
        *,
        has_body: bool,
    ) -> None:
        self.status = head.status
        self.http_version = head.http_version
        self.headers: Headers = head.headers
        """As received; without content-encoding and content-length when a coding is undone here."""
        self.reused = connection.reused
        """The connection had served before."""
        self.ended = False
        """The last byte has been handed out."""
        self._connection: UpstreamConnection | None = connection
        self._keeper = keeper
        self._timeouts = timeouts
        self._total_at = total_at
        self._events = events
        self._message_over = False
        self._inflater = Inflater([])
        self._pieces: Iterator[bytes] = iter(())
        codings = codings_of([value for name, value in head.headers if name == "content-encoding"])
        if codings and has_body:
            try:
                self._inflater = Inflater(codings)
            except CodingError as exc:
                raise connection.coding_error(exc) from exc
            if self._inflater:
                gone = ("content-encoding", "content-length")
                self.headers = [pair for pair in head.headers if pair[0] not in gone]

    async def __aenter__(self) -> UpstreamResponse:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def header(self, name: str) -> str | None:
        """The first value of a field, by its name in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    async def receive(self) -> bytes:
        """What the next read brought, b"" at the end of the message. Raises `UpstreamError`, also for an answer that
        stops before its end.

        A cancelled call has taken nothing and the next one goes on, so that a wait can be broken off to do something
        else; whoever wants no more of the answer closes it.
        """
        try:
            return await self._next()
        except Exception:
            # What is still on the way must not reach anybody.
            await self.aclose()
            raise

    async def read(self, limit: int) -> bytes:
        """The whole rest. Raises `UpstreamError` (PROTOCOL) above ``limit`` bytes."""
        pieces: list[bytes] = []
        size = 0
        while data := await self.receive():
            size += len(data)
            if size > limit:
                await self.aclose()
                raise UpstreamError(UpstreamFault.PROTOCOL, f"the upstream's answer is larger than {limit} bytes")
            pieces.append(data)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def aclose(self) -> None:
        """Give the connection back when the answer was read to its end, else close it. Idempotent, shielded."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    async def _next(self) -> bytes:
        while not self.ended:
            piece = self._decoded()
            if piece:
                return piece
            if self._message_over:
                self._finish()
                break
            connection = self._connection
            if connection is None:
                raise UpstreamError(UpstreamFault.CLOSED, "the answer was closed by its reader")
            events = self._events or await connection.receive(self._timeouts, self._total_at)
            self._events = []
            data = self._take(events, connection)
            if self._inflater:
                self._pieces = self._inflater.feed(data)
            elif data:
                if self._message_over:
                    self.ended = True
                    await self._release()
                return data
        await self._release()
        return b""

    def _take(self, events: list[Event], connection: UpstreamConnection) -> bytes:
        """The bytes of the events of one read; a fault is kept until they are handed out."""
        data: list[bytes] = []
        for index, event in enumerate(events):
            if type(event) is Body:
                data.append(event.data)
            elif type(event) is EndOfMessage:
                self._message_over = True
            elif type(event) is Fault:
                if not data:
                    raise connection.fault_error(event)
                self._events = events[index:]
        return data[0] if len(data) == 1 else b"".join(data)

    def _decoded(self) -> bytes:
        try:
            return next(self._pieces, b"")
        except CodingError as exc:
            raise self._coding_error(exc) from exc

    def _finish(self) -> None:
        try:
            self._inflater.finish()
        except CodingError as exc:
            raise self._coding_error(exc) from exc
        self.ended = True

    def _coding_error(self, exc: CodingError) -> UpstreamError:
        if self._connection is not None:
            return self._connection.coding_error(exc)
        return UpstreamError(UpstreamFault.PROTOCOL, exc.message)

    async def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._keeper.give_back(connection)


NEVER = math.inf
"""A total deadline that does not exist."""
