"""The provider behind a measured gateway: fixed answers, as cheap as Python can send them.

A loop over selectors and a heap of timers, in a process of its own. `ferryllm mock` reads a request as a real API does
and runs on the code that is measured, so it would cost more than the gateway; this one looks at the path and at whether
a stream is asked for, and sends what was prepared.

``python -m ferryllm_net.bench.provider`` prints its base URL and ends when its standard input does, so that it never
outlives who started it.
"""

from __future__ import annotations

import heapq
import itertools
import os
import re
import selectors
import socket
import sys
import threading
import time

import msgspec

from ferryllm_proto import DIALECTS

from .answers import Script, fill, script, stamp

MAX_REQUEST = 64 << 20
"""Bytes of a request: twice what the gateway lets through by default."""
READ_BYTES = 262_144
"""At once: a long history comes in few reads."""
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\n"


_END = object()


class Behaviour(msgspec.Struct, frozen=True):
    """How the answers come."""

    chunks: int = 20
    """Deltas of text in a stream."""
    gap_ms: float = 0.0
    """Between them; 0: all at once."""
    delay_ms: float = 0.0
    """Before the head."""


class _Connection:
    """One connection: what has come of a request, what is left to send."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.held = bytearray()
        self.need = 0
        """Bytes that ``held`` must have before it is worth looking at; 0: not known."""
        self.out = bytearray()
        self.answer: Script | None = None
        self.next = 0
        """Write of the answer that comes next."""
        self.stamps: list[bytes] = []
        self.due = 0.0
        """When the last write was due: pauses count from there, so that being late does not add up."""
        self.closed = False


class Provider:
    """Answers on ``listener``; `run` is the loop."""

    def __init__(self, listener: socket.socket, behaviour: Behaviour) -> None:
        self._listener = listener
        self._behaviour = behaviour
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, _Connection]] = []
        self._order = itertools.count()
        self._running = True
        self._last_stamp = 0
        self._scripts: dict[tuple[str, bool], Script] = {}
        self._paths = {dialect.request_path.encode(): name for name, dialect in DIALECTS.items()}
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)

    def stop_with(self, sock: socket.socket) -> None:
        """End when ``sock`` has something to read, or has ended itself."""
        self._selector.register(sock, selectors.EVENT_READ, _END)

    def run(self) -> None:
        """Serve until told to stop; then everything is closed."""
        try:
            while self._running:
                wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
                for key, events in self._selector.select(wait):
                    if key.data is None:
                        self._accept()
                    elif key.data is _END:
                        self._running = False
                    elif events & selectors.EVENT_WRITE:
                        self._flush(key.data)
                    else:
                        self._read(key.data)
                now = time.monotonic()
                while self._timers and self._timers[0][0] <= now:
                    self._continue(heapq.heappop(self._timers)[2])
        finally:
            for key in list(self._selector.get_map().values()):
                if isinstance(key.data, _Connection):
                    key.data.sock.close()
            self._selector.close()
            self._listener.close()

    def _accept(self) -> None:
        try:
            sock = self._listener.accept()[0]
        except OSError:
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(sock, selectors.EVENT_READ, _Connection(sock))

    def _close(self, connection: _Connection) -> None:
        if not connection.closed:
            connection.closed = True
            self._selector.unregister(connection.sock)
            connection.sock.close()

    # --- requests ---

    def _read(self, connection: _Connection) -> None:
        try:
            data = connection.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        held = connection.held
        held += data
        if len(held) > MAX_REQUEST:
            self._close(connection)
        elif connection.answer is None and len(held) >= connection.need:
            self._understand(connection)

    def _understand(self, connection: _Connection) -> None:
        held = connection.held
        end = held.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(held[: end + 2])
        length = _LENGTH.search(head)
        if _CHUNKED.search(head):
            # What a chunked body holds does not matter but for its end, which no JSON contains.
            last = held.find(b"0\r\n\r\n", end + 4)
            if last < 0:
                return
            whole = last + 5
        else:
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(held) < whole:
                connection.need = whole
                return
        connection.need = 0
        target = head.split(b" ", 2)[1]
        body = bytes(held[end + 4 : whole])
        del held[:whole]
        answer = self._script(target, body)
        if answer is None:
            self._send(connection, _NOT_FOUND)
            return
        connection.answer, connection.next, connection.stamps = answer, 0, []
        connection.due = time.monotonic()
        if self._behaviour.delay_ms:
            self._later(connection, self._behaviour.delay_ms)
        else:
            self._continue(connection)

    def _script(self, target: bytes, body: bytes) -> Script | None:
        path = target.partition(b"?")[0]
        if path.startswith(b"/v1beta/models/"):
            dialect, stream = "gemini", path.endswith(b":streamGenerateContent")
        elif path in self._paths:
            dialect = self._paths[path]
            # Ollama streams unless it is told not to.
            stream = _STREAM.search(body) is not None or (dialect == "ollama" and b'"stream"' not in body)
        else:
            return None
        key = (dialect, stream)
        if key not in self._scripts:
            self._scripts[key] = script(dialect, stream=stream, chunks=self._behaviour.chunks)
        return self._scripts[key]

    # --- answers ---

    def _later(self, connection: _Connection, milliseconds: float) -> None:
        connection.due += milliseconds / 1000
        heapq.heappush(self._timers, (connection.due, next(self._order), connection))

    def _continue(self, connection: _Connection) -> None:
        """Send the answer as far as its next pause."""
        answer = connection.answer
        if connection.closed or answer is None:
            return
        gap = self._behaviour.gap_ms
        before = b""
        if connection.next == 0:
            before = _HEAD % answer.content_type.encode()
            if not answer.chunks:
                body = fill(answer.writes[0], [])
                connection.answer = None
                self._send(connection, before + b"content-length: %d\r\n\r\n" % len(body) + body)
                return
            before += b"transfer-encoding: chunked\r\n\r\n"
        paced = False
        while connection.next < len(answer.writes):
            write = answer.writes[connection.next]
            if write.paced:
                if gap and paced:
                    self._later(connection, gap)
                    return
                paced = True
                self._last_stamp = max(self._last_stamp + 1, time.time_ns())
                connection.stamps.append(stamp(self._last_stamp))
            data = fill(write, connection.stamps)
            connection.next += 1
            last = b"0\r\n\r\n" if connection.next == len(answer.writes) else b""
            if last:
                connection.answer = None
            if not self._send(connection, b"%s%x\r\n%s\r\n%s" % (before, len(data), data, last)):
                return
            before = b""

    def _send(self, connection: _Connection, data: bytes) -> bool:
        """Send what the socket takes and keep the rest; False when the connection is gone."""
        if connection.out:
            connection.out += data
            return True
        try:
            sent = connection.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._close(connection)
            return False
        if sent < len(data):
            connection.out += data[sent:]
            self._selector.modify(connection.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
        return True

    def _flush(self, connection: _Connection) -> None:
        try:
            sent = connection.sock.send(connection.out)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        del connection.out[:sent]
        if not connection.out:
            self._selector.modify(connection.sock, selectors.EVENT_READ, connection)


def main(arguments: list[str]) -> int:
    """``PORT`` and a `Behaviour` as JSON; used by `processes`."""
    port, behaviour = int(arguments[0]), msgspec.json.decode(arguments[1], type=Behaviour)
    listener = socket.create_server(("127.0.0.1", port), backlog=1024)
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)  # noqa: T201 - this is how the parent hears of it
    provider = Provider(listener, behaviour)
    near, far = socket.socketpair()
    # A thread, since not every system can wait for a pipe and for sockets at once.
    threading.Thread(target=_wait_for_end, args=(sys.stdin.fileno(), far), daemon=True).start()
    provider.stop_with(near)
    provider.run()
    near.close()
    return 0


def _wait_for_end(file: int, sock: socket.socket) -> None:
    while os.read(file, 4096):
        pass
    sock.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
