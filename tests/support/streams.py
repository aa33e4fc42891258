"""Transports without sockets, and a small scripted peer: the two ends of a wire inside one test."""

from __future__ import annotations

import anyio
import anyio.lowlevel

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


class MemoryTransport:
    """One end of `wire`. ``writes`` keeps every call of send, to see what went out together."""

    def __init__(self, incoming: _Pipe, outgoing: _Pipe) -> None:
        self.writes: list[bytes] = []
        self.closed = False
        self.peer = ("192.0.2.1", 40000)
        self._incoming = incoming
        self._outgoing = outgoing
        self._reset = False

    async def receive(self, max_bytes: int = RECEIVE_BYTES) -> bytes:
        pipe = self._incoming
        while not pipe.data and not pipe.ended and not pipe.broken and not self.closed:
            await pipe.wait()
        await anyio.lowlevel.checkpoint()
        if self.closed or pipe.broken:
            raise TransportError("connection reset by peer")
        data = bytes(pipe.data[:max_bytes])
        del pipe.data[:max_bytes]
        pipe.change()
        return data

    async def send(self, data: bytes) -> None:
        pipe = self._outgoing
        await anyio.lowlevel.checkpoint()
        self.writes.append(data)
        view = memoryview(data)
        while True:
            if self.closed or pipe.broken:
                raise TransportError("broken pipe")
            room = pipe.capacity - len(pipe.data)
            pipe.data += view[:room]
            view = view[room:]
            pipe.change()
            if not view:
                return
            await pipe.wait()

    async def send_eof(self) -> None:
        self._outgoing.ended = True
        self._outgoing.change()

    def reset_on_close(self) -> None:
        self._reset = True

    def is_quiet(self) -> bool:
        pipe = self._incoming
        return not (pipe.data or pipe.ended or pipe.broken or self.closed)

    async def aclose(self) -> None:
        if self.closed:
            return
        self.closed = True
        # What was sent can still be read, as on a socket; writing towards a closed end fails.
        self._outgoing.ended = True
        self._outgoing.broken = self._outgoing.broken or self._reset
        self._incoming.broken = True
        self._outgoing.change()
        self._incoming.change()

    # For tests alone.

    def reset(self) -> None:
        """Break both directions at once."""
        self.closed = True
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
