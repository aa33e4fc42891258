"""The answer of an upstream as it is handed out: its head, its body decoded, its trailers.

Apart from the connections, because it is the same over HTTP/1.1 and HTTP/2.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from operator import itemgetter, not_
from types import TracebackType
from typing import Protocol

import msgspec

from .decompress import CodingError, Inflater, codings_of
from .engine import Headers, ResponseHead
from .faults import UpstreamError, UpstreamFault
from .limits import Limits
from .origin import Origin
from .transport import Feed, Interrupted

_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"})
"""Fields of one connection (RFC 9110 section 7.6.1): nobody behind us has it."""
_CODED = ("content-encoding", "content-length")
_NOTABLE = _HOP | {"content-encoding"}
_NAME_OF = itemgetter(0)
_BODILESS = (204, 304)


class Source(Protocol):
    """One exchange over one connection, whose head has been read."""

    origin: Origin
    reused: bool
    over: bool
    """The body has been handed out to its end."""
    trailers: Headers

    async def receive(self) -> bytes:
        """The next bytes of the body, b"" at the end. Raises `UpstreamError`, `Interrupted`."""
        ...

    async def pump(self, feed: Feed) -> bool:
        """As `UpstreamResponse.pump`, without decoding."""
        ...

    def interrupt(self) -> None:
        """End the wait of the two above with `Interrupted`."""
        ...

    def whole(self) -> bytes | None:
        """The rest of the body, where all of it is there, with `finish`; None, and nothing has changed, elsewhere."""
        ...

    def finish(self) -> bool:
        """All was read; False when `abandon` is needed."""
        ...

    async def abandon(self) -> None:
        """The rest is not wanted. Never raises."""
        ...


class UpstreamResponse(msgspec.Struct, eq=False):
    """An answer: its head, then its body by `receive` or `pump`. Close it always (``async with`` or ``finally``).

    `response_of` makes one.
    """

    status: int
    headers: Headers
    """As received, without those of one connection; without content-encoding and content-length when a coding is undone
    here."""
    http_version: str
    reused: bool
    """The connection had served before."""
    _source: Source | None
    _decoding: _Decoding | None = None
    ended: bool = False
    """The last byte has been handed out."""
    trailers: Headers = []
    """Fields behind the body, once it has ended."""

    def _look_at_fields(self, limits: Limits, method: str) -> None:
        received = self.headers
        names = [*map(_NAME_OF, received)]
        kept = [*compress(received, map(not_, map(_HOP.__contains__, names)))]
        if "connection" in names:
            listed = {
                part.strip().lower() for name, value in received if name == "connection" for part in value.split(",")
            }
            kept = [pair for pair in kept if pair[0] not in listed]
        self.headers = kept
        # RFC 9112 section 6.3: what has no body has nothing to decode.
        if "content-encoding" in names and method != "HEAD" and self.status not in _BODILESS:
            codings = codings_of([value for name, value in kept if name == "content-encoding"])
            try:
                inflater = Inflater(codings)
            except CodingError as exc:
                raise self._coding_error(exc) from exc
            if inflater:
                self._decoding = _Decoding(inflater, limits)
                self.headers = [pair for pair in kept if pair[0] not in _CODED]

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

    def whole(self) -> bytes | None:
        """`read` without waiting, where all of the body is there, has no coding and leaves its connection to the next:
        that is given back. None, and nothing has changed, where `read` is needed."""
        source = self._source
        if source is None:
            return b"" if self.ended else None
        if self._decoding is not None:
            return None
        data = source.whole()
        if data is not None:
            self.ended = True
            self._source = None
            self.trailers = source.trailers
        return data

    async def receive(self) -> bytes:
        """What the next read brought, b"" at the end of the message. Raises `UpstreamError`, also for an answer that
        stops before its end, and `Interrupted`.

        A cancelled call has taken nothing and the next one goes on, so that a wait can be broken off to do something
        else; whoever wants no more of the answer closes it.
        """
        if self.ended:
            return b""
        try:
            if self._decoding is not None:
                return await self._receive_decoded(self._decoding)
            source = self._open()
            data = await source.receive()
            if source.over:
                await self._end(source)
            return data
        except Interrupted:
            raise
        except Exception:
            # What is still on the way must not reach anybody.
            await self.aclose()
            raise

    async def pump(self, feed: Feed) -> bool:
        """Call ``feed`` with the body's bytes of each read, within the call that read them, until it answers True (then
        True is returned, and what is left waits for the next `pump` or `receive`) or the body ends (False).

        The connection is given back with the last byte. Raises like `receive`, and what ``feed`` raises.
        """
        if self.ended:
            return False
        try:
            if self._decoding is not None:
                return await self._pump_decoded(feed, self._decoding)
            source = self._open()
            stopped = await source.pump(feed)
            if source.over:
                await self._end(source)
            return stopped
        except Interrupted:
            raise
        except Exception:
            await self.aclose()
            raise

    def interrupt(self) -> None:
        """End the wait of `receive` or `pump`, or of the next one that has to wait, with `Interrupted`; they can be
        called again."""
        if self._source is not None:
            self._source.interrupt()

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
        """Close the connection, or the stream, unless the answer was read to its end. Idempotent, shielded."""
        source, self._source = self._source, None
        if source is not None:
            await source.abandon()

    def _open(self) -> Source:
        if self._source is None:
            raise UpstreamError(UpstreamFault.CLOSED, "the answer was closed by its reader")
        return self._source

    async def _end(self, source: Source) -> None:
        self.ended = True
        self._source = None
        self.trailers = source.trailers
        if not source.finish():
            await source.abandon()

    # --- codings ---

    async def _receive_decoded(self, decoding: _Decoding) -> bytes:
        while True:
            piece = self._next_piece(decoding)
            if piece:
                return piece
            source = self._open()
            if source.over:
                await self._end_decoded(source, decoding)
                return b""
            decoding.take(await source.receive())

    async def _pump_decoded(self, feed: Feed, decoding: _Decoding) -> bool:
        def take(data: bytes) -> bool:
            decoding.take(data)
            return self._hand_out(feed, decoding)

        while not self._hand_out(feed, decoding):
            source = self._open()
            if source.over:
                await self._end_decoded(source, decoding)
                return False
            if await source.pump(take):
                return True
        return True

    def _hand_out(self, feed: Feed, decoding: _Decoding) -> bool:
        while piece := self._next_piece(decoding):
            if feed(piece):
                return True
        return False

    def _next_piece(self, decoding: _Decoding) -> bytes:
        try:
            return next(decoding.pieces, b"")
        except CodingError as exc:
            raise self._coding_error(exc) from exc

    async def _end_decoded(self, source: Source, decoding: _Decoding) -> None:
        try:
            decoding.inflater.finish()
        except CodingError as exc:
            raise self._coding_error(exc) from exc
        await self._end(source)

    def _coding_error(self, exc: CodingError) -> UpstreamError:
        assert self._source is not None
        what = f"upstream {self._source.origin.authority} sent a body that cannot be decoded: {exc.message}"
        return UpstreamError(UpstreamFault.PROTOCOL, what)


def response_of(source: Source, head: ResponseHead, limits: Limits, method: str) -> UpstreamResponse:
    """The answer with ``head``, whose body ``source`` gives; ``method`` of the request. Raises `UpstreamError`."""
    headers = head.headers
    if _NOTABLE.isdisjoint(map(_NAME_OF, headers)):
        # The list is copied: the next answer of the connection may have the same head.
        return UpstreamResponse(head.status, headers.copy(), head.http_version, source.reused, source)
    response = UpstreamResponse(head.status, headers, head.http_version, source.reused, source)
    response._look_at_fields(limits, method)
    return response


class _Decoding:
    """A body whose coding is undone, and how much larger that may make it."""

    __slots__ = ("_coded", "_limits", "_plain", "inflater", "pieces")

    def __init__(self, inflater: Inflater, limits: Limits) -> None:
        self.inflater = inflater
        self.pieces: Iterator[bytes] = iter(())
        """Of what was taken, decoded as they are asked for. Raises `CodingError`."""
        self._limits = limits
        self._coded = self._plain = 0
        """Bytes of the body, as they came and as they are."""

    def take(self, data: bytes) -> None:
        self.pieces = self._inflate(data)

    def _inflate(self, data: bytes) -> Iterator[bytes]:
        limits = self._limits
        self._coded += len(data)
        for piece in self.inflater.feed(data):
            self._plain += len(piece)
            if self._plain > max(limits.inflate_bytes, limits.inflate_ratio * self._coded):
                raise CodingError(400, f"it is more than {limits.inflate_ratio} times its size")
            yield piece
