"""Pass-through: bytes of the same dialect on both sides, watched and not changed.

Complete events leave at once; an event that is cut by the end of a read waits for its rest, so that an error can be
put behind whole events when the provider is lost in the middle of one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from . import ir, json
from .dialect import Headers, Scanner, StreamDecoder
from .errors import RemoteProtocolError
from .events import PREAMBLE, Start, StreamFailed
from .loss import Loss, pairs
from .sse import MAX_EVENT_SIZE, FrameDecoder

_FORWARDED = frozenset(
    {
        "retry-after",
        "retry-after-ms",
        "x-should-retry",
        "openai-processing-ms",
        "openai-version",
        "openai-model",
        "x-models-etag",
        "x-reasoning-included",
        "anthropic-organization-id",
    }
)
LOSS_HEADER = "x-ferryllm-loss"
"""What tells a client of losses: a field of the head, or behind a stream a trailer of the same name."""

_FORWARDED_PREFIXES = ("x-ratelimit-", "anthropic-ratelimit-", "x-codex-")


def client_headers(headers: Headers) -> list[tuple[str, str]]:
    """The provider's headers a client may see: an allow list, so no cookies, CORS or transport headers leave.

    The provider's request id is renamed: the names clients look for belong to the gateway's own id (E11).
    """
    return [(shown, headers[at][1]) for at, shown in places(next(zip(*headers), ()))[1]]  # noqa: B905 - pairs


_UPSTREAM_ID = "x-upstream-request-id"


@functools.lru_cache(maxsize=128)  # a provider sends its fields in the same few orders; more have few gateways
def places(names: tuple[str, ...]) -> tuple[int | None, tuple[tuple[int, str], ...]]:
    """Where in a head with these ``names`` its type is, and the fields a client may see, with their names for it."""
    kind: int | None = None
    out: list[tuple[int, str]] = []
    for at, name in enumerate(names):
        lower = name.lower()
        if lower == "content-type":
            kind = at if kind is None else kind
        elif lower in _FORWARDED or lower.startswith(_FORWARDED_PREFIXES):
            out.append((at, lower))
        elif lower in ("x-request-id", "request-id") and all(shown != _UPSTREAM_ID for _, shown in out):
            out.append((at, _UPSTREAM_ID))
    return kind, tuple(out)


def loss_header(losses: Iterable[Loss]) -> str:
    """``disposition path`` pairs for the client, in one line of at most `MAX_LOSS_HEADER` characters; "" without
    losses."""
    return ", ".join(pairs(losses))


def answer_headers(
    own: Sequence[tuple[str, str]], upstream: Headers, losses: Sequence[Loss]
) -> tuple[tuple[str, str], ...]:
    """The headers of an answer: ``own`` first, then what a client may see of the provider's, then the losses."""
    shown = places(next(zip(*upstream), ()))[1]  # noqa: B905 - pairs
    if not shown and not losses:
        return tuple(own)
    theirs = [(name, upstream[at][1]) for at, name in shown]
    if theirs and len(own) > 1:  # an error says itself when to come back
        given = {name.lower() for name, _ in own}
        theirs = [header for header in theirs if header[0] not in given]
    if losses and (lost := loss_header(losses)):
        return (*own, *theirs, (LOSS_HEADER, lost))
    return (*own, *theirs)


def passed_headers(upstream: Headers, default: str, losses: Sequence[Loss]) -> tuple[tuple[str, str], ...]:
    """The same for an answer that passes through: its type is what the provider says, or else ``default``."""
    kind, shown = places(next(zip(*upstream), ()))  # noqa: B905 - pairs
    own = ("content-type", default) if kind is None else upstream[kind]
    if not shown and not losses:
        return (own,)
    return answer_headers([own], upstream, losses)


MAX_WHOLE = 1 << 20
"""Bytes of a whole body that are held until it is complete: it may be an error with a good status, or half an answer.
No error is longer, and hardly an answer."""


class Relay:
    """The bytes of one answer on their way through.

    ``decoder`` reads a stream along until it has content: up to there an error of the provider can still become a
    true status (T7), afterwards the bytes are nobody's business but the scanner's.
    """

    __slots__ = (
        "_decoder",
        "_ends",
        "_last",
        "_model",
        "_seen",
        "_size",
        "_started",
        "_tail",
        "begun",
        "failure",
        "last_shown",
        "scanner",
        "stream",
        "torn",
    )

    def __init__(
        self,
        scanner: Scanner,
        *,
        stream: bool,
        decoder: StreamDecoder | None = None,
        event_ends: tuple[bytes, ...] = (b"\n\n", b"\r\n\r\n", b"\r\r"),
    ) -> None:
        self.scanner = scanner
        self._ends = event_ends
        self.stream = stream
        self.begun = stream and decoder is None
        """Whether something came that a client can see."""
        self.failure: ir.Error | None = None
        """The error the provider began with."""
        self.torn = False
        """Whether the provider ended inside an event, or inside a whole answer."""
        self.last_shown = b""
        """The last byte the client got that is no blank; b"" before the first."""
        self._decoder = decoder
        self._seen = 0
        self._started = False
        """Whether the decoder found an answer, content or not."""
        self._model: str | None = None
        self._tail: list[bytes] = []
        self._size = 0
        self._last = b""

    @property
    def model(self) -> str | None:
        """The provider's word for the model that answered: of a stream from its first event on, else at the end."""
        return self._model or self.scanner.model

    def _look(self, data: bytes) -> None:
        if not self.stream:
            self._seen += len(data)
            self.begun = self._seen > MAX_WHOLE
            return
        assert self._decoder is not None  # else it had begun
        for event in self._decoder.receive_data(data):
            kind = type(event)
            if kind is StreamFailed:
                error: ir.Error = event.error  # type: ignore[union-attr]  # its type was just compared
                no_stream = not self._started and error.code == "invalid_json"
                if error.dialect is not None or error.kind is ir.ErrorKind.TRUNCATED or no_stream:
                    self.failure = error
                else:  # what is not understood here may be understood there
                    self.begun = True
                return
            self._started = True
            if kind is Start:
                self._model = event.model or None  # type: ignore[union-attr]  # its type was just compared
            if kind not in PREAMBLE:
                self.begun = True
                return

    def receive_data(self, data: bytes) -> bytes:
        """Bytes for the client."""
        if self.begun and self.stream and not self._tail:
            out = self.scanner.receive_data(data)
            if out.endswith(self._ends):  # the usual read: whole events
                self.last_shown = out[-8:].rstrip()[-1:] or out.rstrip()[-1:] or self.last_shown
                return out
            return self._cut(out)
        if not self.begun:
            self._look(data)
        data = self.scanner.receive_data(data)
        if not data:
            return data
        if not self.stream:
            self.last_shown = data.rstrip()[-1:] or self.last_shown
            return data
        return self._cut(data)

    def _cut(self, data: bytes) -> bytes:
        """Whole events of what was held and ``data``; the rest is held."""
        if not data:
            return data
        if data.endswith(self._ends):
            return self._released(data)
        # Two bytes of the tail are enough to see an end that the reads have cut in two.
        seam = self._last + data
        cut = max(seam.rfind(end) + len(end) if end in seam else 0 for end in self._ends) - len(self._last)
        if cut <= 0:
            self._hold(data)
            return self._released(b"") if self._size > MAX_EVENT_SIZE else b""
        out = self._released(data[:cut])
        self._hold(data[cut:])
        return out

    def _hold(self, data: bytes) -> None:
        self._tail.append(data)
        self._size += len(data)
        self._last = (self._last + data)[-3:]

    def _released(self, data: bytes) -> bytes:
        if self._tail:
            data = b"".join([*self._tail, data])
            self._tail, self._size = [], 0
        self._last = b""
        self.last_shown = data.rstrip()[-1:] or self.last_shown
        return data

    def receive_eof(self) -> bytes:
        """What was held; the last event may lack its blank line. Then, behind whole events, what is missing (T3)."""
        if self.stream and not self.begun and self._decoder is not None:
            for event in self._decoder.receive_eof():
                if type(event) is StreamFailed and event.error.dialect is not None:
                    self.failure = event.error
                elif type(event) is Start:
                    self._model = event.model or None
        if not self.stream:
            rest = self.scanner.receive_eof()
            self.last_shown = rest[-1:].strip() or rest.rstrip()[-1:] or self.last_shown
            self.torn = self.last_shown != b"}"
            return rest
        shown = self.last_shown
        rest = self._released(self.scanner.receive_eof())
        self.torn = _is_torn(rest)
        if self.torn:
            self.last_shown = shown
        missing = self.scanner.missing_end
        if self.torn or not rest:
            return missing or rest
        if not rest.endswith(self._ends) and (missing or not self.scanner.complete):
            rest += self._ends[0]  # something of ours will follow
        return rest + missing


def _is_torn(rest: bytes) -> bool:
    """Whether ``rest``, which no end of an event follows, is less than an event."""
    frames = FrameDecoder()
    try:
        found = [frame.data for frame in (*frames.receive_data(rest), *frames.receive_eof())]
        for data in found or [rest]:
            value = data.strip(b"[], \t\r\n")  # the values of an array have commas between them
            if value and not data.startswith(b"[DONE]"):
                json.loads(b"[%b]" % value)
    except RemoteProtocolError:
        return not rest.lstrip().startswith(b":")
    return False
