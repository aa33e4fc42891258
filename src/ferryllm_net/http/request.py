"""What a handler sees: the request that came and the responder to answer it with.

Apart from the connection, which knows sockets and deadlines; these two know one message each.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Protocol

import msgspec

from ferryllm_proto.http1 import Shape

from .decompress import CodingError, Inflater, codings_of
from .engine import END, EndOfMessage, Event, Headers, Misuse, RequestHead, ResponseHead


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

    def whole_body(self, limit: int) -> bytes | None:
        """The body, where all of it has come, nothing of it was taken and it has at most ``limit`` bytes; None where
        `body_data` is needed."""
        ...

    async def body_data(self, received: int) -> bytes | None:
        """The next bytes of the request's body, None at its end; ``received`` counts those before. Raises
        `RequestError`."""
        ...

    def put(self, data: bytes) -> bool:
        """Write without waiting: True, or False when `drain` is due before more. Raises `ClientLeft`."""
        ...

    async def drain(self) -> None:
        """Returns when the system has taken all of it. Raises `ClientLeft`."""
        ...

    def encode(self, event: Event) -> bytes: ...

    def frame(self, data: bytes) -> bytes:
        """`encode` of a piece of the body."""
        ...

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


class Request(msgspec.Struct, eq=False):
    """One request of a client. A struct, because no code of Python runs to make one."""

    _head: RequestHead
    _channel: Channel
    peer: tuple[str, int]
    scheme: str
    body_limit: int
    """Bytes of the body, where its reader does not say how many he takes."""
    shape: Shape | None = None
    """Shared by requests of one connection whose heads differ in content-length alone, so that what was found out
    from one head need not be found again; None where the next head may be any."""
    _body: bytes | None = None
    """Where all of it came with the head, until it is taken."""
    via: tuple[str, int] | None = None
    """The proxy that named ``peer`` and ``scheme``, when one did: ``peer`` is then somebody's word, so that an address
    of loopback in it does not mean this machine."""
    client_left: bool = False
    """The handler was cancelled because the client closed, broke or stalled the connection."""
    draining: bool = False
    """The server is going down and its grace has passed: say the last words now."""
    _first: dict[str, str] | None = None
    _taken: bool = False
    _drain_callbacks: tuple[Callable[[], None], ...] = ()

    @property
    def method(self) -> str:
        return self._head.method

    @property
    def target(self) -> str:
        """As it stood on the wire."""
        return self._head.target

    @property
    def path(self) -> str:
        """Without query, percent escapes as they came."""
        path = target = self._head.target
        if "?" in target or target[:1] != "/":
            path = target.partition("?")[0]
            if not path.startswith(("/", "*")):
                # Absolute form; the guard has seen that its host is the Host field's.
                path = "/" + path.partition("://")[2].partition("/")[2]
        return path

    @property
    def query(self) -> str:
        """Behind the question mark; empty where there is none."""
        return self._head.target.partition("?")[2]

    @property
    def headers(self) -> Headers:
        """Not to be changed: the next request may have the same."""
        return self._head.headers

    @property
    def http_version(self) -> str:
        return self._head.http_version

    @property
    def resource(self) -> str:
        """Path and query: the absolute form of a target (RFC 9112 section 3.2.2) means the same, and one reader of
        paths is enough."""
        query = self.query
        return f"{self.path}?{query}" if query else self.path

    def header(self, name: str) -> str | None:
        """The first value of a field, by its name in lower case."""
        first = self._first
        return (self.fields() if first is None else first).get(name)

    def fields(self) -> dict[str, str]:
        """The first value of each field, by its name in lower case. Not to be changed."""
        first = self._first
        if first is None:
            # Some ten look-ups a request: the search of a list costs more than this by then.
            first = self._first = dict(reversed(self.headers))
        return first

    def values(self, name: str) -> list[str]:
        """All values of a field, by its name in lower case."""
        return [value for key, value in self.headers if key == name]

    def whole(self, limit: int | None = None) -> bytes | None:
        """`read` without waiting, where the body came with the head and has no coding; None where `read` is needed."""
        data, shape = self._body, self.shape
        if data is None and self._taken:
            return None
        if self.header("content-encoding") is not None if shape is None else shape.coded:
            return None
        bound = self.body_limit if limit is None else limit
        if data is None:
            data = self._channel.whole_body(bound)
            self._taken = data is not None
        elif len(data) > bound:
            return None
        else:
            # Who has the body has read the head, and an answer may flow for long.
            self._taken, self._body, self._first = True, None, None
        return data

    async def read(self, limit: int | None = None) -> bytes:
        """The whole body with its content codings undone; at most ``limit`` bytes (default: `Limits.body_bytes`), both
        as sent and as decoded. Once.

        Raises `RequestError`: 413 too large, 415 unknown coding, 400 broken framing or coding, 408 too slow.
        """
        if self._taken:
            raise Misuse("the body of this request has been read")
        self._taken = True
        bound = self.body_limit if limit is None else limit
        declared = self.header("content-length")
        if declared is not None and int(declared) > bound:
            raise _too_large(bound)
        pieces: list[bytes] = []
        received = size = 0
        try:
            inflater = Inflater(codings_of(self.values("content-encoding")))
            data, self._body = self._body, None
            while data or (data := await self._channel.body_data(received)) is not None:
                received += len(data)
                if received > bound:
                    raise _too_large(bound)
                for piece in inflater.feed(data):
                    size += len(piece)
                    if size > bound:
                        raise _too_large(bound)
                    pieces.append(piece)
                data = None
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
            self._drain_callbacks += (callback,)

    def forget_callbacks(self) -> None:
        """Its handler has ended: nobody is to be told any more, and what the callbacks hold is free.

        They hold what holds the request, body included; a cycle would stay until the collector looks, which is rare.
        """
        self._drain_callbacks = ()

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

    __hash__ = object.__hash__  # that of enum is a call of Python, and the table is asked several times a request

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


# Names of this module: a member looked up in its class costs as much as ten look-ups in an instance.
_EMPTY = Stage.EMPTY
_STARTED = Stage.STARTED
_ENDED = Stage.ENDED
_CUT = Stage.CUT
_NO_TRAILERS: Headers = []
_NAME_OF = itemgetter(0)
_TRANSFER_ENCODING = len("transfer-encoding")
_CONTENT_LENGTH = len("content-length")


class Responder(msgspec.Struct, eq=False, dict=True):
    """The answer to one request, written by its handler.

    Every call is one write and returns when the system has taken it. When the client leaves, the handler is cancelled.
    Raises `Misuse` for calls out of order and for what is not a well-formed message.
    """

    _channel: Channel
    _method: str
    _line: Line | None = None
    stage: Stage = _EMPTY
    always: Sequence[tuple[str, str]] = ()
    """Fields that every head gets beside its own."""
    _head: ResponseHead | None = None
    _bodyless: bool = False
    _after: Stage | None = None
    """What the answer is once its end has been taken."""

    @property
    def started(self) -> bool:
        """The head is on the wire and cannot be changed any more."""
        return self.stage not in (_EMPTY, Stage.HELD)

    @property
    def ended(self) -> bool:
        """The answer is complete or cut."""
        return self.stage in (_ENDED, _CUT)

    # Without waiting: what a relay calls where bytes arrive. False says that `drain` is due before anything else.

    def begin(self, status: int, headers: Headers) -> None:
        """`head`, at once."""
        after = self._move("head")
        if not 200 <= status <= 599:
            raise Misuse(f"{status} is not the status of an answer")
        if _TRANSFER_ENCODING in map(len, map(_NAME_OF, headers)):
            for name, _ in headers:
                if name.lower() == "transfer-encoding":
                    raise Misuse("transfer-encoding is set by the server alone")
        # The fields are checked when they are encoded; a head that fails there was never sent.
        self._head = ResponseHead(status, [*headers, *self.always] if self.always else headers)
        self._bodyless = self._method == "HEAD" or status in (204, 304)
        self.stage = after

    def put(self, data: bytes) -> bool:
        """`body`, as far as the system takes it now. Raises `ClientLeft`."""
        if self._head is not None:
            return self._put_first(data)
        if self.stage is not _STARTED:
            self._move("body")
        if self._bodyless or not data:
            return True
        return self._channel.put(self._channel.frame(data))

    def _put_first(self, data: bytes) -> bool:
        """`put` with the head that was held for it."""
        self._move("body")
        data = self._release() + self._encode(data)
        return not data or self._channel.put(data)

    def put_end(self, data: bytes, trailers: Headers) -> bool:
        """`end`, as far as the system takes it now. Raises `ClientLeft`."""
        after = self._move("end")
        last = END if self._bodyless or not trailers else EndOfMessage(trailers)
        out = self._release() + self._encode(data) + self._channel.encode(last)
        self._after = after
        if out and not self._channel.put(out):
            return False
        self._settle()
        return True

    def put_complete(self, status: int, headers: Headers, body: bytes) -> bool:
        """`complete`, as far as the system takes it now. Raises `ClientLeft`."""
        fields = [pair for pair in headers if len(pair[0]) != _CONTENT_LENGTH or pair[0].lower() != "content-length"]
        if status not in (204, 304):
            fields.append(("content-length", str(len(body))))
        self.begin(status, fields)
        return self.put_end(body, _NO_TRAILERS)

    async def drain(self) -> None:
        """Returns when the client has taken what was put. Raises `ClientLeft`."""
        await self._channel.drain()
        self._settle()

    def _settle(self) -> None:
        # Only now: until it is out, a client that leaves still cancels the handler.
        if self._after is not None:
            self.stage, self._after = self._after, None

    # The same for those who may wait.

    async def head(self, status: int, headers: Headers) -> None:
        """Status and fields. Held back until the first bytes of the body (one write), `flush` or `end`; until then it
        may be replaced. Without a content-length the body is chunked (HTTP/1.1) or ends with the connection (1.0)."""
        self.begin(status, headers)

    async def flush(self) -> None:
        """Write a head that is held; nothing when it is out."""
        self._move("flush")
        if self._head is not None and not self._channel.put(self._release()):
            await self.drain()

    async def body(self, data: bytes) -> None:
        """Write bytes of the body now, with the head when it is still held."""
        if not self.put(data):
            await self.drain()

    async def end(self, data: bytes = b"", trailers: Headers | None = None) -> None:
        """Write the last bytes and the end of the message; ``trailers`` where its framing has a place for them (chunked
        HTTP/1.1, HTTP/2), else they are left out."""
        if not self.put_end(data, trailers or _NO_TRAILERS):
            await self.drain()

    async def complete(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer in one write, with its content-length."""
        if not self.put_complete(status, headers, body):
            await self.drain()

    async def switch(self, headers: Headers) -> Line:
        """Answer 101 with ``headers``: the connection is the caller's until the handler returns, then it closes."""
        line = self._own_line()
        if line is None:
            raise Misuse("this connection can not be handed over")
        after = self._move("switch")
        head = line.switch(headers)
        self.stage = after
        await line.write(head)
        return line

    async def abort(self) -> None:
        """Cut the connection: the client sees a broken message, never a clean end."""
        before, self.stage = self.stage, self._move("abort")
        if self.stage is not before:
            await self._channel.cut()

    def _own_line(self) -> Line | None:
        return self._line

    def _move(self, call: str) -> Stage:
        after = MOVES.get((self.stage, call))
        if after is None:
            raise Misuse(f"{call}() when the answer is {self.stage.value}")
        return after

    def _release(self) -> bytes:
        """The bytes of a head that was held."""
        if self._head is None:
            return b""
        head, self._head = self._head, None
        data = self._channel.encode(ResponseHead(head.status, self._channel.finish_head(head.headers)))
        self.stage = _STARTED
        return data

    def _encode(self, data: bytes) -> bytes:
        return self._channel.frame(data) if data and not self._bodyless else b""
