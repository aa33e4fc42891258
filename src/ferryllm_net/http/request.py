"""What a handler sees: the request that came and the responder to answer it with.

Apart from the connection, which knows sockets and deadlines; these two know one message each.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from .decompress import CodingError, Inflater, codings_of
from .engine import Body, EndOfMessage, Event, Headers, Misuse, RequestHead, ResponseHead


class RequestError(Exception):
    """The request cannot be served as it stands. ``status`` and ``message`` are fit for the client; the gateway dresses
    them in its dialect, and the server answers for a handler that lets it pass."""

    def __init__(self, status: int, message: str, headers: Headers | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers: Headers = headers or []


class ClientLeft(Exception):
    """A write to a client that is gone, seen only where the cancellation of the handler is shielded off."""


class Channel(Protocol):
    """What a request and its responder need of their connection."""

    async def body_data(self, received: int) -> bytes | None:
        """The next bytes of the request's body, None at its end; ``received`` counts those before. Raises
        `RequestError`."""
        ...

    async def write(self, data: bytes) -> None: ...

    def encode(self, event: Event) -> bytes: ...

    def finish_head(self, headers: Headers) -> Headers:
        """Fields of the connection itself added."""
        ...

    async def cut(self) -> None: ...


class Line(Protocol):
    """A connection that can be handed over to another protocol, and its bytes from then on."""

    def switch(self, headers: Headers) -> bytes:
        """The head of the 101 that ends HTTP here."""
        ...

    async def receive(self) -> bytes:
        """At least one byte of the client, or b"" at the end. May be cancelled without losing any."""
        ...

    async def write(self, data: bytes) -> None:
        """One writer at a time. Raises `ClientLeft`; a write that was cancelled leaves nothing to write to."""
        ...

    def watch_drain(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the server begins to drain, at once when it has begun."""
        ...


class Request:
    """One request of a client."""

    def __init__(
        self, head: RequestHead, channel: Channel, *, peer: tuple[str, int], scheme: str, body_limit: int
    ) -> None:
        self.method = head.method
        self.target = head.target
        """As it stood on the wire."""
        path, _, self.query = head.target.partition("?")
        if not path.startswith(("/", "*")):
            # Absolute form; the guard has seen that its host is the Host field's.
            path = "/" + path.partition("://")[2].partition("/")[2]
        self.path = path
        """Without query, percent escapes as they came."""
        self.headers = head.headers
        self.http_version = head.http_version
        self.peer = peer
        self.scheme = scheme
        self.client_left = False
        """The handler was cancelled because the client closed, broke or stalled the connection."""
        self.draining = False
        """The server is going down and its grace has passed: say the last words now."""
        self._channel = channel
        self._body_limit = body_limit
        self._taken = False
        self._drain_callbacks: list[Callable[[], None]] = []

    def header(self, name: str) -> str | None:
        """The first value of a field, by its name in lower case."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    def values(self, name: str) -> list[str]:
        """All values of a field, by its name in lower case."""
        return [value for key, value in self.headers if key == name]

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body with its content codings undone; at most ``limit`` bytes (default: `Limits.body_bytes`), both
        as sent and as decoded. Once.

        Raises `RequestError`: 413 too large, 415 unknown coding, 400 broken framing or coding, 408 too slow.
        """
        if self._taken:
            raise Misuse("the body of this request has been read")
        self._taken = True
        bound = self._body_limit if limit is None else limit
        declared = self.header("content-length")
        if declared is not None and int(declared) > bound:
            raise _too_large(bound)
        pieces: list[bytes] = []
        received = size = 0
        try:
            inflater = Inflater(codings_of(self.values("content-encoding")))
            while (data := await self._channel.body_data(received)) is not None:
                received += len(data)
                if received > bound:
                    raise _too_large(bound)
                for piece in inflater.feed(data):
                    size += len(piece)
                    if size > bound:
                        raise _too_large(bound)
                    pieces.append(piece)
            inflater.finish()
        except CodingError as exc:
            # RFC 9110 section 12.5.3: a 415 for a coding says which ones are read.
            headers = [("accept-encoding", "zstd, gzip, deflate")] if exc.status == 415 else []
            raise RequestError(exc.status, exc.message, headers) from exc
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def on_drain(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when `draining` turns true, at once when it is: cancel a scope there, then end the
        answer."""
        if self.draining:
            callback()
        else:
            self._drain_callbacks.append(callback)

    def interrupt(self) -> None:
        """The server's side of `on_drain`."""
        if not self.draining:
            self.draining = True
            for callback in self._drain_callbacks:
                callback()


def _too_large(bound: int) -> RequestError:
    return RequestError(413, f"the request body is larger than {bound} bytes")


class Stage(enum.Enum):
    """How far an answer is."""

    EMPTY = "empty"
    HELD = "held"
    STARTED = "started"
    ENDED = "ended"
    CUT = "cut"
    SWITCHED = "switched"
    """Answered with 101: what follows is another protocol's."""


# What each call makes of the answer. Absent, hence misuse: a body before a head, a second head once one is out,
# anything but abort() after the end.
MOVES: dict[tuple[Stage, str], Stage] = {
    (Stage.EMPTY, "head"): Stage.HELD,
    (Stage.HELD, "head"): Stage.HELD,
    (Stage.HELD, "flush"): Stage.STARTED,
    (Stage.STARTED, "flush"): Stage.STARTED,
    (Stage.HELD, "body"): Stage.STARTED,
    (Stage.STARTED, "body"): Stage.STARTED,
    (Stage.HELD, "end"): Stage.ENDED,
    (Stage.STARTED, "end"): Stage.ENDED,
    (Stage.EMPTY, "switch"): Stage.SWITCHED,
    (Stage.EMPTY, "abort"): Stage.CUT,
    (Stage.HELD, "abort"): Stage.CUT,
    (Stage.STARTED, "abort"): Stage.CUT,
    (Stage.ENDED, "abort"): Stage.ENDED,
    (Stage.CUT, "abort"): Stage.CUT,
    (Stage.SWITCHED, "abort"): Stage.CUT,
}


_NO_TRAILERS: Headers = []


class Responder:
    """The answer to one request, written by its handler.

    Every call is one write and returns when the system has taken it. When the client leaves, the handler is cancelled.
    Raises `Misuse` for calls out of order and for what is not a well-formed message.
    """

    def __init__(self, channel: Channel, method: str, line: Line | None = None) -> None:
        self.stage = Stage.EMPTY
        self._line = line
        self._channel = channel
        self._method = method
        self._head: ResponseHead | None = None
        self._bodyless = False
        self.always: Headers = []
        """Fields that every head gets beside its own."""

    @property
    def started(self) -> bool:
        """The head is on the wire and cannot be changed any more."""
        return self.stage not in (Stage.EMPTY, Stage.HELD)

    @property
    def ended(self) -> bool:
        """The answer is complete or cut."""
        return self.stage in (Stage.ENDED, Stage.CUT)

    async def head(self, status: int, headers: Headers) -> None:
        """Status and fields. Held back until the first bytes of the body (one write), `flush` or `end`; until then it
        may be replaced. Without a content-length the body is chunked (HTTP/1.1) or ends with the connection (1.0)."""
        self._set_head(status, headers)

    async def flush(self) -> None:
        """Write a head that is held; nothing when it is out."""
        self._move("flush")
        if self._head is not None:
            await self._channel.write(self._release())

    async def body(self, data: bytes) -> None:
        """Write bytes of the body now, with the head when it is still held."""
        self._move("body")
        out = self._release() + self._encode(data)
        if out:
            await self._channel.write(out)

    async def end(self, data: bytes = b"", trailers: Headers = _NO_TRAILERS) -> None:
        """Write the last bytes and the end of the message; ``trailers`` only where the framing has room for them."""
        after = self._move("end")
        last = EndOfMessage(trailers if not self._bodyless else _NO_TRAILERS)
        out = self._release() + self._encode(data) + self._channel.encode(last)
        if out:
            await self._channel.write(out)
        # Only now: until it is out, a client that leaves still cancels the handler.
        self.stage = after

    async def complete(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer in one write, with its content-length."""
        headers = [pair for pair in headers if pair[0].lower() != "content-length"]
        if status not in (204, 304):
            headers.append(("content-length", str(len(body))))
        self._set_head(status, headers)
        await self.end(body)

    async def switch(self, headers: Headers) -> Line:
        """Answer 101 with ``headers``: the connection is the caller's until the handler returns, then it closes."""
        if self._line is None:
            raise Misuse("this connection can not be handed over")
        after = self._move("switch")
        head = self._line.switch(headers)
        self.stage = after
        await self._line.write(head)
        return self._line

    async def abort(self) -> None:
        """Cut the connection: the client sees a broken message, never a clean end."""
        before, self.stage = self.stage, self._move("abort")
        if self.stage is not before:
            await self._channel.cut()

    def _move(self, call: str) -> Stage:
        after = MOVES.get((self.stage, call))
        if after is None:
            raise Misuse(f"{call}() when the answer is {self.stage.value}")
        return after

    def _set_head(self, status: int, headers: Headers) -> None:
        after = self._move("head")
        if not 200 <= status <= 599:
            raise Misuse(f"{status} is not the status of an answer")
        for name, _ in headers:
            if name.lower() == "transfer-encoding":
                raise Misuse("transfer-encoding is set by the server alone")
        # The fields are checked when they are encoded; a head that fails there was never sent.
        self._head = ResponseHead(status, [*headers, *self.always] if self.always else headers)
        self._bodyless = self._method == "HEAD" or status in (204, 304)
        self.stage = after

    def _release(self) -> bytes:
        """The bytes of a head that was held."""
        if self._head is None:
            return b""
        head, self._head = self._head, None
        data = self._channel.encode(ResponseHead(head.status, self._channel.finish_head(head.headers)))
        self.stage = Stage.STARTED
        return data

    def _encode(self, data: bytes) -> bytes:
        return self._channel.encode(Body(data)) if data and not self._bodyless else b""
