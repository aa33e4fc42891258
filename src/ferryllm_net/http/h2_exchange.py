"""One exchange on an HTTP/2 connection of ours: its request out, its answer in, its deadlines.

The counterpart of `upstream.UpstreamConnection` for a stream; `response.UpstreamResponse` reads from either. Apart from
the connection, which knows the transport and all streams.
"""

from __future__ import annotations

from typing import Protocol

import anyio

from .engine import Headers, ResponseHead
from .faults import Clock, UpstreamError, UpstreamFault
from .h2_client_engine import (
    AnswerBegun,
    AnswerData,
    AnswerEnded,
    AnswerEvent,
    AnswerInterim,
    H2ClientEngine,
    StreamGone,
)
from .limits import Limits, Timeouts
from .origin import Origin
from .prepared import PreparedHead
from .transport import Feed, Interrupted


class Owner(Protocol):
    """The connection, as far as an exchange needs it."""

    engine: H2ClientEngine
    origin: Origin

    def kick(self) -> None:
        """Let what the engine wants to say go out."""
        ...

    @property
    def blocked(self) -> bool:
        """The system has not taken what was written: nothing more of a body now. `H2Exchange.go_on` tells the end."""
        ...

    def adopt(self, exchange: H2Exchange) -> None:
        """Its stream is open."""
        ...

    def forget(self, exchange: H2Exchange) -> None:
        """It is over."""
        ...


class H2Exchange:
    """Sends a request on a stream of its own and keeps what comes for it until it is read."""

    def __init__(self, owner: Owner, limits: Limits, timeouts: Timeouts, total_at: float, *, reused: bool) -> None:
        self.origin = owner.origin
        self.reused = reused
        self.over = False
        self.trailers: Headers = []
        self.clock = Clock()
        self.clock.total_at = total_at
        self.answered = False
        """A byte of the answer has come: from here on nothing may be repeated."""
        self.untouched = False
        """The server has done nothing for it: it may be sent again."""
        self.lost = False
        """It ended with its connection."""
        self.stream = 0
        self._bodiless = False
        self._owner = owner
        self._limits = limits
        self._timeouts = timeouts
        self._head: ResponseHead | None = None
        self._interim = 0
        self._pieces: list[bytes] = []
        self._held = 0
        """What the pieces took of the window."""
        self._unreturned = 0
        self._declared: int | None = None
        """What is still to come of a body with a content-length."""
        self._ended = False
        self._failure: UpstreamError | None = None
        self._feed: Feed | None = None
        self._stopped = False
        self._raised: Exception | None = None
        """What ``feed`` raised."""
        self._sending = False
        self._wanted = False
        self._wake: anyio.Event | None = None

    # --- what the caller does ---

    async def exchange(self, request: PreparedHead, body: bytes, now: float) -> ResponseHead:
        """Send a request and return the head of its answer. Raises `UpstreamError`."""
        owner = self._owner
        secs = self._timeouts.head_secs
        has_body = bool(body) or request.method in ("POST", "PUT", "PATCH")
        length = len(body) if has_body else None
        self._bodiless = request.method == "HEAD"
        self.stream = owner.engine.open(request, self.origin.authority, self.origin.scheme, length)
        owner.adopt(self)
        start = self._send_some(body, 0)
        owner.kick()
        if start < len(body):
            await self._upload(body, start)
            now = anyio.current_time()
        self.clock.start(UpstreamFault.TIMEOUT_HEAD, secs, now)
        while self._head is None:
            if self._failure is not None:
                raise self._failure
            await self._wait()
        self.clock.listen(self._timeouts.idle_secs)
        return self._head

    async def _upload(self, body: bytes, start: int) -> None:
        """The rest of a body, as the windows allow; an answer that refuses it ends it."""
        secs = self._timeouts.idle_secs
        self._sending = True
        while start < len(body) and self._failure is None and not self._refused():
            self.clock.start(UpstreamFault.TIMEOUT_HEAD, secs, anyio.current_time())
            await self._wait()
            start = self._send_some(body, start)
            self._owner.kick()
        self._sending = False

    def _refused(self) -> bool:
        return self._ended or (self._head is not None and self._head.status >= 300)

    def _send_some(self, body: bytes, start: int) -> int:
        owner, engine, size = self._owner, self._owner.engine, len(body)
        while start < size and not owner.blocked:
            room = engine.window(self.stream)
            if not room:
                break
            stop = min(size, start + room)
            engine.send_data(self.stream, body[start:stop], end=stop == size)
            start = stop
            if stop < size:
                owner.kick()
        return start

    async def receive(self) -> bytes:
        while True:
            if self._pieces:
                data = self._take()
                self.over = self._ended
                return data
            if self._failure is not None:
                raise self._failure
            if self._ended:
                self.over = True
                return b""
            self.clock.listen(self._timeouts.idle_secs)
            await self._wait()

    async def pump(self, feed: Feed) -> bool:
        while True:
            if self._pieces and feed(self._take()):
                self.over = self._ended
                return True
            if self._failure is not None:
                raise self._failure
            if self._ended:
                self.over = True
                return False
            self.clock.listen(self._timeouts.idle_secs)
            self._feed, self._stopped = feed, False
            try:
                await self._wait()
            finally:
                self._feed = None
            if self._raised is not None:
                raised, self._raised = self._raised, None
                raise raised
            if self._stopped:
                # What came behind the piece at which it stopped is still to be read.
                self.over = self._ended and not self._pieces
                return True

    def whole(self) -> bytes | None:
        if not self._ended or self._failure is not None:
            return None
        data = self._take() if self._pieces else b""
        self.over = True
        self._close()
        return data

    def interrupt(self) -> None:
        self._wanted = True
        self._notify()

    def finish(self) -> bool:
        self._close()
        return True

    async def abandon(self) -> None:
        self._close()

    def _close(self) -> None:
        # After a complete answer too, where the request was not sent to its end (RFC 9113 section 8.1).
        self._owner.engine.reset(self.stream)
        self._owner.kick()
        self._owner.forget(self)

    # --- what the connection tells ---

    def sweep(self, now: float) -> None:
        """End the wait that is late."""
        if self.clock.passed(now):
            self._notify()

    def go_on(self) -> None:
        """More of the request may go out."""
        if self._sending:
            self._notify()

    def take(self, event: AnswerEvent) -> None:
        """What came for this stream."""
        kind = type(event)
        if kind is AnswerData:
            assert isinstance(event, AnswerData)
            self._arrive(event)
            return
        self.answered = self.answered or kind is not StreamGone
        if kind is AnswerBegun:
            assert isinstance(event, AnswerBegun)
            self._head = event.head
            lengths = [value for name, value in event.head.headers if name == "content-length"]
            if lengths and not self._bodiless and event.head.status not in (204, 304) and lengths[0].isdigit():
                self._declared = int(lengths[0])
        elif kind is AnswerInterim:
            self._interim += 1
            if self._interim > self._limits.interim_responses:
                self._owner.engine.reset(self.stream)
                what = f"broke the protocol: more than {self._limits.interim_responses} interim (1xx) answers"
                self.fail(UpstreamFault.PROTOCOL, what)
            return
        elif isinstance(event, AnswerEnded):
            self.trailers = event.trailers
            self._ended = True
            if self._declared:
                self.fail(UpstreamFault.PROTOCOL, "broke the protocol: its body is shorter than content-length says")
        elif isinstance(event, StreamGone):
            self.untouched = event.untouched and not self.answered
            kind_ = UpstreamFault.PROTOCOL if event.reason.startswith("broke") else UpstreamFault.CLOSED
            self.fail(kind_, event.reason)
        self._notify()

    def fail(self, kind: UpstreamFault, what: str) -> None:
        """Nothing comes any more; what came is still read."""
        if self._failure is None and not (self._ended and kind is UpstreamFault.CLOSED):
            self._failure = UpstreamError(kind, f"upstream {self.origin.authority} {what}")
        self._notify()

    def lose(self, kind: UpstreamFault, what: str) -> None:
        """The connection is gone."""
        self.lost = True
        self.fail(kind, what)

    def _arrive(self, event: AnswerData) -> None:
        self.clock.stirred = True
        if self._declared is not None:
            self._declared -= len(event.data)
        feed = self._feed
        if feed is None or self._stopped or self._raised is not None or not event.data:
            self._held += event.size
            if event.data:
                self._pieces.append(event.data)
                self._notify()
            else:
                self._give_back()
            return
        try:
            self._stopped = feed(event.data)
        except Exception as exc:
            self._raised = exc
        self._held += event.size
        self._give_back()
        if self._stopped or self._raised is not None:
            self._notify()

    # --- inside ---

    def _take(self) -> bytes:
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._give_back()
        self._owner.kick()
        return data

    def _give_back(self) -> None:
        self._unreturned += self._held
        self._held = 0
        # Half of the window, so that an update is rare and the server never waits for one.
        if self._unreturned * 2 >= self._limits.h2_answer_window_bytes and not self._ended:
            self._owner.engine.give_back(self.stream, self._unreturned)
            self._unreturned = 0

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None

    async def _wait(self) -> None:
        """Until something comes. Raises `UpstreamError` when that is late, `Interrupted`."""
        clock = self.clock
        if self._wanted:
            self._wanted = False
            raise Interrupted
        self._wake = anyio.Event()
        clock.waiting = True
        try:
            await self._wake.wait()
        finally:
            clock.waiting = False
            self._wake = None
        if clock.late and not self._pieces and not self._ended:
            raise clock.fault(self.origin.authority, sending=self._sending)
