"""One HTTP/2 connection of the server: one task reads, one writes, each stream has its own.

The counterpart of `connection`: same handlers, same sweeper, same drain. It is loaded when the first client speaks
HTTP/2, because h2 costs 40 ms of imports.
"""

from __future__ import annotations

import contextlib
import math

import anyio
from anyio.abc import TaskGroup
from h2.errors import ErrorCodes

from .exchange import Handler
from .h2_engine import (
    ConnectionLost,
    DrainSeen,
    H2ServerEngine,
    PeerLeaves,
    StreamData,
    StreamEnded,
    StreamEvent,
    StreamLost,
    StreamOpened,
    WindowOpened,
)
from .h2_stream import Stream
from .host import Host
from .limits import Limits
from .request import ClientLeft
from .transport import Interrupted, Transport, TransportError


class H2Connection:
    """Serves one transport until it closes. ``run`` is the whole life; ``begun`` is what was read already."""

    active = 0
    """Its streams tell the server of theirs."""

    def __init__(
        self, transport: Transport, handler: Handler, host: Host, limits: Limits, scheme: str, begun: bytes = b""
    ) -> None:
        self.transport = transport
        self.engine = H2ServerEngine(limits)
        self._handler = handler
        self._host = host
        self._limits = limits
        self._scheme = scheme
        self._begun = begun
        self._streams: dict[int, Stream] = {}
        self._group: TaskGroup | None = None
        self._life = anyio.CancelScope()
        self._reading = anyio.CancelScope()
        self._read_by = math.inf
        """The deadline of a head, or of an idle connection."""
        self._frames = 0
        """How many had come when the last deadline was set."""
        self._drain_by = math.inf
        self._write_by = math.inf
        self._draining = False
        self._closing = False
        """No new stream is served: with the last one the connection ends."""
        self._broken = False
        self._out = bytearray()
        self._sending = False
        """The writer has bytes that the system does not take yet."""
        self._left = 0
        """Handed to the transport and not taken by the system."""
        self._first_by = math.inf
        self._queued = 0
        self._written = 0
        self._wake_writer: anyio.Event | None = None
        self._moved: anyio.Event | None = None

    @property
    def deadline(self) -> float:
        """On the clock of the host; past it the sweeper calls `expire`."""
        own = min(self._read_by, self._drain_by, self._write_by)
        return min((own, *(stream.deadline for stream in self._streams.values())))

    async def run(self) -> None:
        """Serve until the client closes, a limit is passed or a drain is over; closes the transport."""
        try:
            async with anyio.create_task_group() as group:
                self._group, self._life = group, group.cancel_scope
                group.start_soon(self._write)
                self.kick()
                if self._host.draining:
                    self.close_if_idle()
                with contextlib.suppress(TransportError), self._reading:
                    await self._read()
                self._read_by = math.inf
                await self._part()
                self._life.cancel()
        finally:
            with anyio.CancelScope(shield=True, deadline=self._host.clock() + self._limits.cleanup_secs):
                await self.transport.aclose()

    # --- the server's side ---

    def expire(self) -> None:
        """A deadline has passed."""
        now = self._host.clock()
        if self._write_by <= now:
            self._break()
            return
        for stream in list(self._streams.values()):
            if stream.deadline <= now:
                stream.expire()
        if self._drain_by <= now:
            self._finish_drain()
        if self._read_by <= now:
            self._read_by = math.inf
            self.engine.fail(ErrorCodes.ENHANCE_YOUR_CALM if self.engine.within_head else ErrorCodes.NO_ERROR)
            self._reading.cancel()

    def close_if_idle(self) -> None:
        """Draining begins: the client is told, and what is under way ends by itself."""
        if not self._draining:
            self._draining = True
            self._drain_by = self._host.clock() + self._limits.h2_goaway_secs
            self.engine.announce_drain()
            self.kick()

    def interrupt(self) -> None:
        """Draining is at its deadline: the handlers get their last words."""
        for stream in list(self._streams.values()):
            stream.request.interrupt()

    def kill(self) -> None:
        """Draining is over: whatever still runs is cancelled."""
        self._life.cancel()

    def _finish_drain(self) -> None:
        self._drain_by = math.inf
        if not self._closing:
            self._closing = True
            self.engine.finish_drain()
            self.kick()
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._closing and not self._streams:
            self._reading.cancel()

    # --- reading ---

    async def _read(self) -> None:
        self._first_by = self._read_by = self._host.clock() + self._limits.accept_head_secs
        stopped = bool(self._begun) and self._feed(self._begun)
        while True:
            if stopped:
                if self.engine.failed:
                    return
                # Answers to control frames are not bounded by windows: who does not read them is not read either.
                await self._drained(self._queued - self._limits.h2_backlog_bytes)
            try:
                stopped = await self.transport.pump(self._feed)
            except Interrupted:
                # Meant for a wait of HTTP/1.1, before the connection was handed over.
                stopped = False
                continue
            if not stopped:
                return

    def _feed(self, data: bytes) -> bool:
        """What one read brought; True when nothing may be read now."""
        for event in self.engine.receive_data(data, self._host.clock()):
            self._take(event)
        self.kick()
        if self.engine.failed:
            return True
        self._close_when_done()
        self._read_by = self._next_deadline(self._first_by)
        return self.crowded

    def _next_deadline(self, first_by: float) -> float:
        now = self._host.clock()
        if not self.engine.begun:
            return first_by
        if self.engine.within_head:
            # Kept while it is the same one, or a byte now and then would put it off for ever.
            before, self._frames = self._frames, self.engine.frames
            return min(self._read_by if before == self._frames else math.inf, now + self._limits.head_secs)
        return math.inf if self._streams else self._idle_by(now)

    def _idle_by(self, now: float) -> float:
        return now + self._limits.keep_alive_secs

    def _take(self, event: StreamEvent) -> None:
        kind = type(event)
        if kind is StreamData:
            assert isinstance(event, StreamData)
            if event.stream in self._streams:
                self._streams[event.stream].receive(event.data, event.size)
        elif kind is WindowOpened:
            assert isinstance(event, WindowOpened)
            for stream in self._streams.values() if event.stream == 0 else self._found(event.stream):
                stream.window_opened()
        elif isinstance(event, StreamOpened):
            self._open(event)
        elif isinstance(event, StreamEnded):
            for stream in self._found(event.stream):
                stream.end_of_body()
        elif isinstance(event, StreamLost):
            for stream in self._found(event.stream):
                stream.lose()
        elif isinstance(event, PeerLeaves):
            self._closing = True
        elif isinstance(event, DrainSeen):
            self._finish_drain()
        else:
            assert isinstance(event, ConnectionLost)

    def _found(self, stream: int) -> tuple[Stream, ...]:
        found = self._streams.get(stream)
        return () if found is None else (found,)

    def _open(self, event: StreamOpened) -> None:
        assert self._group is not None
        stream = Stream(event, self, self._host, self._limits, peer=self.transport.peer, scheme=self._scheme)
        self._streams[stream.id] = stream
        self._group.start_soon(self._serve, stream)

    async def _serve(self, stream: Stream) -> None:
        try:
            await stream.run(self._handler)
        finally:
            del self._streams[stream.id]
            self.engine.forget(stream.id)
            self.kick()
            if not self._streams and not self.engine.within_head:
                self._read_by = self._idle_by(self._host.clock())
            self._close_when_done()

    # --- writing ---

    @property
    def written(self) -> bool:
        return self._written == self._queued

    @property
    def crowded(self) -> bool:
        return self._queued - self._written > self._limits.h2_backlog_bytes

    def kick(self) -> None:
        data = self.engine.take()
        if not data or self._broken:
            return
        self._queued += len(data)
        if self._sending or len(data) > self._limits.write_piece_bytes:
            self._out += data
        else:
            # The common case costs no switch of tasks: the system takes it at once.
            try:
                if self.transport.write(data):
                    self._written += len(data)
                    return
            except TransportError:
                self._break()
                return
            self._left += len(data)
        self._sending = True
        if self._wake_writer is not None:
            self._wake_writer.set()
            self._wake_writer = None

    async def push(self, *, whole: bool) -> None:
        self.kick()
        mark = self._queued if whole else self._queued - self._limits.h2_backlog_bytes
        if self._written < mark:
            await self._drained(mark)

    async def _drained(self, mark: int) -> None:
        while self._written < mark:
            if self._broken:
                await anyio.lowlevel.checkpoint()
                raise ClientLeft("the client left")
            if self._moved is None:
                self._moved = anyio.Event()
            await self._moved.wait()

    async def _write(self) -> None:
        """The one task that sends: a stream that is cancelled within a write must not leave half a frame behind."""
        limits = self._limits
        try:
            while True:
                while not self._sending:
                    self._wake_writer = anyio.Event()
                    await self._wake_writer.wait()
                self._write_by = self._host.clock() + limits.write_stall_secs
                await self.transport.drain()
                self._wrote(self._left)
                self._left = 0
                while self._out:
                    data = bytes(self._out)
                    self._out.clear()
                    for start in range(0, len(data), limits.write_piece_bytes):
                        self._write_by = self._host.clock() + limits.write_stall_secs
                        await self.transport.send(data[start : start + limits.write_piece_bytes])
                    self._wrote(len(data))
                self._sending = False
                self._write_by = math.inf
        except TransportError:
            self._break()

    def _wrote(self, size: int) -> None:
        self._written += size
        if size and self._moved is not None:
            self._moved.set()
            self._moved = None

    def _break(self) -> None:
        """Nothing can be sent any more."""
        self._broken = True
        self._write_by = math.inf
        for stream in list(self._streams.values()):
            stream.lose()
        if self._moved is not None:
            self._moved.set()
            self._moved = None
        self._life.cancel()

    async def _part(self) -> None:
        """The last bytes, and a moment in which what still comes is thrown away: a close with unread bytes sends RST,
        which can take the reason out of the client's hands."""
        limits = self._limits
        for stream in list(self._streams.values()):
            stream.lose()
        with anyio.move_on_after(limits.h2_linger_secs), contextlib.suppress(TransportError, ClientLeft):
            await self.push(whole=True)
            await self.transport.send_eof()
            if self.engine.failed:
                left = limits.linger_bytes
                while left > 0 and (data := await self.transport.receive()):
                    left -= len(data)
