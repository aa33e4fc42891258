"""Transports without sockets, and a small scripted peer: the two ends of a wire inside one test."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from ferryllm_net.http.pulled_transport import Kicked, PulledTransport
from ferryllm_net.http.transport import RECEIVE_BYTES, TransportError


class _Pipe:
    """Bytes one way, at most ``capacity`` of them not read yet."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.data = bytearray()
        self.ended = False
        self.broken = False
        self._changed = anyio.Event()

    def change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def wait(self) -> None:
        await self._changed.wait()


class MemoryTransport(PulledTransport):
    """One end of `wire`. ``writes`` keeps every call of send and write, to see what went out together."""

    secure = False
    protocol = None
    ragged_end = False

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.peer = ("192.0.2.1", 40000)
        self._incoming = incoming
        self._outgoing = outgoing
        self._unsent = bytearray()
        self._reset = False
        self._kicked = False
        self._most = RECEIVE_BYTES

    @property
    def closed(self) -> bool:
        return self._closed

    async def receive(self, max_bytes: int = RECEIVE_BYTES) -> bytes:
        self._most = max_bytes
        try:
            return await super().receive()
        finally:
            self._most = RECEIVE_BYTES

    async def _read(self) -> bytes:
        pipe = self._incoming
        while not (pipe.data or pipe.ended or pipe.broken or self._closed):
            self._kicked = False
            await pipe.wait()
            if self._kicked:
                raise Kicked
        await anyio.lowlevel.checkpoint()
        if self._closed:
            raise Kicked
        data = self._read_now()
        assert data is not None
        return data

    def _read_now(self) -> bytes | None:
        pipe = self._incoming
        if pipe.broken:
            raise TransportError("connection reset by peer")
        if not pipe.data and not pipe.ended:
            return None
        data = bytes(pipe.data[: self._most])
        del pipe.data[: self._most]
        pipe.change()
        return data

    def _kick_reader(self) -> None:
        self._kicked = True
        self._incoming.change()

    def _kick_writer(self) -> None:
        self._outgoing.change()

    def write(self, data: bytes) -> bool:
        self._check_open()
        self.writes.append(data)
        self._unsent += data
        return self._fill()

    async def drain(self) -> None:
        self._draining = True
        try:
            while not self._fill():
                self._check_drain()
                await self._outgoing.wait()
                self._check_open()
        finally:
            self._draining = self._drain_interrupted = False

    async def send(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        if not self.write(data):
            await self.drain()

    def _fill(self) -> bool:
        pipe = self._outgoing
        room = pipe.capacity - len(pipe.data)
        if self._unsent and room > 0:
            pipe.data += self._unsent[:room]
            del self._unsent[:room]
            pipe.change()
        return not self._unsent

    def _check_open(self) -> None:
        if self._closed or self._outgoing.broken:
            raise TransportError("broken pipe")

    async def send_eof(self) -> None:
        self._outgoing.ended = True
        self._outgoing.change()

    def reset_on_close(self) -> None:
        self._reset = True

    def is_quiet(self) -> bool:
        pipe = self._incoming
        return not (self._pieces or pipe.data or pipe.ended or pipe.broken or self._closed)

    async def aclose(self) -> None:
        if not self._close():
            return
        # What was sent can still be read, as on a socket; writing towards a closed end fails.
        self._outgoing.ended = True
        self._outgoing.broken = self._outgoing.broken or self._reset
        self._incoming.broken = True
        self._outgoing.change()
        self._incoming.change()

    # For tests alone.

    def reset(self) -> None:
        """Break both directions at once."""
        self._close()
        self._outgoing.broken = self._incoming.broken = True
        self._outgoing.change()
        self._incoming.change()

    async def receive_until(self, end: bytes) -> bytes:
        """Bytes up to and including ``end``; what follows stays."""
        pipe = self._incoming
        while end not in pipe.data:
            if pipe.ended or pipe.broken:
                raise AssertionError(f"the wire ended before {end!r}: {bytes(pipe.data)!r}")
            await pipe.wait()
        stop = pipe.data.index(end) + len(end)
        data = bytes(pipe.data[:stop])
        del pipe.data[:stop]
        pipe.change()
        return data

    async def receive_all(self) -> bytes:
        """Everything up to the end."""
        data = b""
        while piece := await self.receive():
            data += piece
        return data


def wire(capacity: int = 1 << 20) -> tuple[MemoryTransport, MemoryTransport]:
    """Two ends, ``capacity`` bytes between them each way."""
    there, back = _Pipe(capacity), _Pipe(capacity)
    return MemoryTransport(back, there), MemoryTransport(there, back)
