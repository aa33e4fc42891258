"""One request on an HTTP/2 connection: its body, its answer, its deadlines, in a task of its own.

Apart from the connection, which knows the transport and all streams; this is `request.Channel` for one of them.
"""

from __future__ import annotations

import logging
import math
from typing import Protocol

import anyio
import anyio.lowlevel
from h2.errors import ErrorCodes

from .engine import Event, Fault, Headers, Misuse, ResponseHead
from .exchange import Handler, run_handler
from .h2_engine import H2ServerEngine, StreamOpened
from .host import Host
from .limits import Limits
from .request import ClientLeft, Request, RequestError, Responder, Stage

_log = logging.getLogger("ferryllm.http")


class Owner(Protocol):
    """The connection, as far as a stream needs it."""

    engine: H2ServerEngine

    def kick(self) -> None:
        """Let what the engine wants to say go out."""
        ...

    @property
    def written(self) -> bool:
        """The system has taken everything."""
        ...

    @property
    def crowded(self) -> bool:
        """Too much is under way: `push` would wait."""
        ...

    async def push(self, *, whole: bool) -> None:
        """The same, waiting while too much is under way; with ``whole`` until the system has taken it. Raises
        `ClientLeft`."""
        ...


class StreamResponder(Responder):
    """A `Responder` whose body waits for the windows of HTTP/2."""

    _channel: Stream

    async def flush(self) -> None:
        self._move("flush")
        if self._head is not None:
            self._send_head(end=False)
            await self._channel.drain()

    def put(self, data: bytes) -> bool:
        self._move("body")
        if self._head is not None:
            self._send_head(end=False)
        return self._channel.put(b"" if self._bodyless else data)

    def put_end(self, data: bytes, trailers: Headers) -> bool:
        after = self._move("end")
        data = b"" if self._bodyless else data
        fields = [] if self._bodyless else trailers
        if self._head is not None and not data and not fields:
            self._send_head(end=True)
        else:
            if self._head is not None:
                self._send_head(end=False)
            self._channel.put_last(data, fields)
        self._after = after
        if not self._channel.put_finish():
            return False
        self._settle()
        return True

    async def drain(self) -> None:
        if self._after is None:
            await self._channel.drain()
        else:
            await self._channel.finish()
            self._settle()

    def _send_head(self, *, end: bool) -> None:
        head, self._head = self._head, None
        assert head is not None
        self._channel.send_head(head, bodyless=self._bodyless, end=end)
        self.stage = Stage.STARTED


class Stream:
    """Serves one request. ``run`` is the whole life; the connection tells what comes for it."""

    def __init__(
        self, opened: StreamOpened, owner: Owner, host: Host, limits: Limits, *, peer: tuple[str, int], scheme: str
    ) -> None:
        self.id = opened.stream
        self.deadline = math.inf
        """Past it the sweeper calls `expire`."""
        self.request = Request(opened.head, self, peer=peer, scheme=scheme, body_limit=limits.body_bytes)
        self._responder = StreamResponder(self, opened.head.method)
        self._fault = opened.fault
        self._owner = owner
        self._host = host
        self._limits = limits
        self._scope = anyio.CancelScope()
        self._lost = False
        self._body_done = opened.ended
        self._body_read = False
        self._body_since = 0.0
        self._pieces: list[bytes] = []
        self._held = 0
        """What the pieces took of the window."""
        self._unreturned = 0
        self._expired = False
        self._writing = False
        self._wake: anyio.Event | None = None
        self._left_to_send = math.inf
        """Of the declared length."""
        self._unsent: bytes | memoryview = b""
        """What no window was open for."""
        self._last = False
        """Nothing comes behind it but `_trailers`."""
        self._trailers: Headers = []

    async def run(self, handler: Handler) -> None:
        """Serve the request and close the stream. Does not raise but for cancellation."""
        self._host.begin_exchange()
        engine = self._owner.engine
        try:
            with self._scope:
                try:
                    served = handler if self._fault is None else _refusal(self._fault)
                    await run_handler(served, self.request, self._responder, self._host.report)
                except ClientLeft:
                    pass
                except Exception:
                    # A bug of ours must not take the other streams with it.
                    _log.exception("a stream failed")
        finally:
            if self._responder.stage is not Stage.ENDED:
                engine.reset(self.id, ErrorCodes.INTERNAL_ERROR)
            elif not self._body_done:
                engine.reset(self.id, ErrorCodes.NO_ERROR)
            self.deadline = math.inf
            self._host.end_exchange()

    # What the connection tells.

    def receive(self, data: bytes, size: int) -> None:
        """Bytes of the body; ``size`` of the window they took."""
        if data:
            self._pieces.append(data)
        self._held += size
        self._notify()

    def end_of_body(self) -> None:
        """The request is complete."""
        self._body_done = True
        self._notify()

    def window_opened(self) -> None:
        """More of the answer may go out."""
        if self._writing:
            self._notify()

    def lose(self) -> None:
        """Nobody is there to answer to. With the answer out the handler may finish what it does."""
        self._lost = True
        if not self._responder.ended:
            self.request.client_left = True
            self._scope.cancel()
        self._notify()

    def expire(self) -> None:
        """The deadline has passed."""
        self.deadline = math.inf
        if self._writing:
            # A window that stays shut (CVE-2019-9511, CVE-2019-9517, CVE-2026-49975): what waits for it is let go.
            self._owner.engine.reset(self.id, ErrorCodes.CANCEL)
            self._owner.kick()
            self.lose()
        else:
            self._expired = True
            self._notify()

    def _notify(self) -> None:
        if self._wake is not None:
            self._wake.set()
            self._wake = None

    async def _wait(self) -> None:
        # One event for reader and writer, which look again for themselves.
        if self._wake is None:
            self._wake = anyio.Event()
        await self._wake.wait()

    async def _gone(self) -> ClientLeft:
        self.lose()
        await anyio.lowlevel.checkpoint()  # where it is shielded, our caller goes on
        return ClientLeft("the client left")

    # What the request asks for (`request.Channel`).

    def whole_body(self, limit: int) -> bytes | None:
        return None  # `body_data` gives windows back; with all of it there it does not wait either

    async def body_data(self, received: int) -> bytes | None:
        limits, now = self._limits, anyio.current_time()
        if not self._body_read:
            self._body_read = True
            self._body_since = now
            self._begin_body()
        floor = limits.body_floor_after_secs + received / limits.body_floor_bytes_per_sec
        latest = self._body_since + max(limits.body_idle_secs, floor)
        self.deadline = min(now + limits.body_idle_secs, latest)
        try:
            while not self._pieces:
                if self._body_done:
                    return None
                if self._lost:
                    raise await self._gone()
                if self._expired:
                    raise RequestError(408, "the body of the request did not arrive in time")
                await self._wait()
        finally:
            self.deadline = math.inf
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._give_back()
        return data

    def _begin_body(self) -> None:
        if self._body_done:
            return
        engine, limits = self._owner.engine, self._limits
        if not self._pieces and self.request.header("expect") is not None:
            engine.send_head(self.id, 100, [])
        engine.give_back(self.id, limits.h2_body_window_bytes - limits.h2_stream_window_bytes)
        self._owner.kick()

    def _give_back(self) -> None:
        self._unreturned += self._held
        self._held = 0
        # Half of the smaller window, so that an update is rare and the client never waits for one.
        if not self._body_done and self._unreturned * 2 >= self._limits.h2_stream_window_bytes:
            self._owner.engine.give_back(self.id, self._unreturned)
            self._unreturned = 0
            self._owner.kick()

    def finish_head(self, headers: Headers) -> Headers:
        if any(name.lower() == "date" for name, _ in headers):
            return headers
        return [*headers, ("date", self._host.date)]

    def send_head(self, head: ResponseHead, *, bodyless: bool, end: bool) -> None:
        """Hand the head over; it goes out with what follows. Raises `Misuse`."""
        declared = next((value for name, value in head.headers if name.lower() == "content-length"), None)
        if declared is not None and not bodyless:
            self._left_to_send = int(declared)
            if end and self._left_to_send:
                raise Misuse(f"a body of {declared} bytes was declared, none is sent")
        engine = self._owner.engine
        if engine.writable(self.id):
            engine.send_head(self.id, head.status, self.finish_head(head.headers), end=end)

    def put(self, data: bytes) -> bool:
        """Bytes of the answer, as far as the windows allow; the rest waits for `drain`. Raises `Misuse`,
        `ClientLeft`."""
        self._left_to_send -= len(data)
        if self._left_to_send < 0:
            raise Misuse("the body is longer than content-length says")
        if self._lost:
            raise ClientLeft("the client left")
        self._unsent = b"".join((self._unsent, data)) if self._unsent else data
        done = self._send()
        self._owner.kick()
        return done and not self._owner.crowded

    def put_last(self, data: bytes, trailers: Headers) -> None:
        """The same for the end of the answer; call `finish` next."""
        if 0 < self._left_to_send - len(data) < math.inf:
            raise Misuse("the body is shorter than content-length says")
        self._last, self._trailers = True, trailers
        self.put(data)

    def _send(self) -> bool:
        """As much as the window and the backlog take; whether that was all."""
        engine, data = self._owner.engine, self._unsent
        start, size, most = 0, len(data), self._limits.h2_backlog_bytes
        while start < size:
            room = engine.window(self.id) if start < most else 0
            if not room:
                self._unsent = memoryview(data)[start:]
                return False
            stop = min(size, start + room)
            last = self._last and stop == size and not self._trailers
            engine.send_data(self.id, data if stop - start == size else data[start:stop], end=last)
            start = stop
        self._unsent = b""
        if self._last and engine.writable(self.id):
            if self._trailers:
                engine.send_trailers(self.id, self._trailers)
            elif not size:
                engine.send_data(self.id, b"", end=True)
        return True

    async def drain(self) -> None:
        until = math.inf
        while self._unsent:
            await self._owner.push(whole=False)
            if not self._owner.engine.writable(self.id):
                raise await self._gone()
            if not self._owner.engine.window(self.id):
                # Not put off by whatever else wakes us: bytes of a body that nobody reads now and then.
                until = min(until, anyio.current_time() + self._limits.write_stall_secs)
                await self._wait_for_window(until)
                continue
            until = math.inf
            self._send()
        await self._owner.push(whole=False)

    async def _wait_for_window(self, until: float) -> None:
        self._writing = True
        self.deadline = until
        try:
            await self._wait()
        finally:
            self._writing = False
            self.deadline = math.inf

    def put_finish(self) -> bool:
        """Whether the system has taken the whole answer."""
        self._owner.kick()
        return not (self._unsent or self._lost or self._owner.engine.failed) and self._owner.written

    async def finish(self) -> None:
        """Returns when the system has taken the whole answer."""
        if not self._owner.engine.failed and self._lost:
            raise await self._gone()
        await self.drain()
        await self._owner.push(whole=True)

    async def cut(self) -> None:
        self._owner.engine.reset(self.id, ErrorCodes.INTERNAL_ERROR)
        self._owner.kick()
        await anyio.lowlevel.checkpoint()

    def encode(self, event: Event) -> bytes:
        raise Misuse("a stream writes heads and data, not bytes")

    def frame(self, data: bytes) -> bytes:
        return data


def _refusal(fault: Fault) -> Handler:
    async def refuse(request: Request, respond: Responder) -> None:
        raise RequestError(fault.status, fault.message)

    return refuse
