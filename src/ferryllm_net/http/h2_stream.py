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

from .connection import Host
from .engine import Event, Fault, Headers, Misuse, ResponseHead
from .exchange import Handler, run_handler
from .h2_engine import H2ServerEngine, StreamOpened
from .limits import Limits
from .request import ClientLeft, Request, RequestError, Responder, Stage

_log = logging.getLogger("ferryllm.http")


class Owner(Protocol):
    """The connection, as far as a stream needs it."""

    engine: H2ServerEngine

    def kick(self) -> None:
        """Let what the engine wants to say go out."""
        ...

    async def push(self, *, whole: bool) -> None:
        """The same, waiting while too much is under way; with ``whole`` until the system has taken it. Raises
        `ClientLeft`."""
        ...


_NO_TRAILERS: Headers = []


class StreamResponder(Responder):
    """A `Responder` whose body waits for the windows of HTTP/2."""

    def __init__(self, stream: Stream, method: str) -> None:
        super().__init__(stream, method)
        self._stream = stream

    async def flush(self) -> None:
        self._move("flush")
        if self._head is not None:
            await self._put(b"", end=False)

    async def body(self, data: bytes) -> None:
        self._move("body")
        await self._put(data, end=False)

    async def end(self, data: bytes = b"", trailers: Headers = _NO_TRAILERS) -> None:
        after = self._move("end")
        if trailers and not self._bodyless:
            await self._put(data, end=False)
            await self._stream.send_trailers(trailers)
        else:
            await self._put(data, end=True)
        # As in `Responder`: until it is out, a client that leaves still cancels the handler.
        self.stage = after

    async def _put(self, data: bytes, *, end: bool) -> None:
        head, self._head = self._head, None
        data = b"" if self._bodyless else data
        if head is not None:
            self._stream.send_head(head, bodyless=self._bodyless, end=end and not data)
            self.stage = Stage.STARTED
            if end and not data:
                await self._stream.finish()
                return
        await self._stream.send_data(data, end=end)


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

    async def send_data(self, data: bytes, *, end: bool) -> None:
        """Bytes of the answer, as the windows allow. Raises `Misuse`, `ClientLeft`."""
        self._left_to_send -= len(data)
        if self._left_to_send < 0 or (end and 0 < self._left_to_send < math.inf):
            raise Misuse("the body is not as long as content-length says")
        owner, engine = self._owner, self._owner.engine
        start, size = 0, len(data)
        while start < size or end:
            room = engine.window(self.id)
            if not engine.writable(self.id):
                raise await self._gone()
            if not room and start < size:
                await self._wait_for_window()
                continue
            stop = min(size, start + room)
            last = end and stop == size
            engine.send_data(self.id, data if stop - start == size else data[start:stop], end=last)
            start = stop
            await owner.push(whole=last)
            if last:
                return
        if not size:
            await owner.push(whole=False)  # a head alone

    async def _wait_for_window(self) -> None:
        self._writing = True
        self.deadline = anyio.current_time() + self._limits.write_stall_secs
        try:
            await self._wait()
        finally:
            self._writing = False
            self.deadline = math.inf

    async def send_trailers(self, trailers: Headers) -> None:
        """Fields behind the whole body, and the end (RFC 9113 section 8.1). Raises `Misuse`, `ClientLeft`."""
        if 0 < self._left_to_send < math.inf:
            raise Misuse("the body is not as long as content-length says")
        engine = self._owner.engine
        if not engine.writable(self.id):
            raise await self._gone()
        engine.send_trailers(self.id, trailers)
        await self._owner.push(whole=True)

    async def finish(self) -> None:
        """The answer was a head alone."""
        if not self._owner.engine.failed and self._lost:
            raise await self._gone()
        await self._owner.push(whole=True)

    async def cut(self) -> None:
        self._owner.engine.reset(self.id, ErrorCodes.INTERNAL_ERROR)
        self._owner.kick()
        await anyio.lowlevel.checkpoint()

    async def write(self, data: bytes) -> None:
        raise Misuse("a stream writes heads and data, not bytes")

    def encode(self, event: Event) -> bytes:
        raise Misuse("a stream writes heads and data, not bytes")


def _refusal(fault: Fault) -> Handler:
    async def refuse(request: Request, respond: Responder) -> None:
        raise RequestError(fault.status, fault.message)

    return refuse
