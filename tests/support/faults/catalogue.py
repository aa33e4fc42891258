"""The faults, as data: what the server does, and what a client of the gateway may get then."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable

import msgspec

from support.answers import DONE, STREAM, WHOLE, chunk
from support.wired import chunked

from .steps import Close, Drip, Hold, Race, Reset, Send, Stall, Step

CANARY = "canary.invalid"
"""Stands for the canary's address in what is sent."""
PRIVATE = (
    "set-cookie: session=stolen",
    "strict-transport-security: max-age=31536000",
    "location: http://canary.invalid/",
    "alt-svc: h3=1",
    "access-control-allow-origin: *",
    "server: secret",
)
PAGE = b"<html><head><title>Bad Gateway</title></head><body><center><h1>Bad Gateway</h1></center></body></html>"
TICK = chunk({"content": "tick"})


class Case(msgspec.Struct, frozen=True):
    """One request as its provider sees it."""

    dialect: str
    stream: bool

    @property
    def body(self) -> bytes:
        return STREAM[self.dialect] if self.stream else WHOLE[self.dialect]

    @property
    def type(self) -> str:
        if not self.stream:
            return "application/json"
        return "application/x-ndjson" if self.dialect == "ollama" else "text/event-stream"

    def head(self, *fields: str, status: str = "200 OK", version: str = "HTTP/1.1") -> bytes:
        return "\r\n".join([f"{version} {status}", f"content-type: {self.type}", *fields, "", ""]).encode()

    def sized(self, body: bytes | None = None, *fields: str, status: str = "200 OK") -> bytes:
        """A whole message with its length."""
        body = self.body if body is None else body
        return self.head(*fields, f"content-length: {len(body)}", status=status) + body

    def chunked(self, *fields: str) -> bytes:
        return self.head(*fields, CHUNKED) + chunked(self.body)

    def promising(self, more: int) -> bytes:
        """A message whose length says ``more`` bytes than there are."""
        return self.head(f"content-length: {len(self.body) + more}") + self.body

    @property
    def unended(self) -> bytes:
        """All of the answer, and no end of the message."""
        return self.head(CHUNKED) + chunked(self.body, end=False)

    @property
    def begun(self) -> bytes:
        """A message that has content and no end."""
        return self.head(CHUNKED) + chunked(self.first, end=False)

    @property
    def first(self) -> bytes:
        """As much of the answer as has content, and no end."""
        return self.body[: len(self.body) * 2 // 3]


Play = Callable[[Case], list[Step]]
CHUNKED = "transfer-encoding: chunked"


class Fault(msgspec.Struct, frozen=True):
    name: str
    play: Play
    verdict: str
    """``answer``: the client gets all of it. ``error``: it gets an error. ``either``: one of both, whole."""
    statuses: frozenset[int] = frozenset({502})
    """Of an error before the first byte."""
    whole: str = ""
    """The verdict where no stream was asked for; "" is the same."""
    door: str = "plain"
    """Which listener plays it; some faults happen before a request is read."""

    def expected(self, stream: bool) -> str:
        return self.verdict if stream or not self.whole else self.whole


def _error_body(dialect: str, status: int) -> bytes:
    words = f"status {status} of the provider"
    if dialect == "anthropic":
        kinds = {429: "rate_limit_error", 529: "overloaded_error", 401: "authentication_error"}
        return json.dumps(
            {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": words}}
        ).encode()
    if dialect == "gemini":
        names = {429: "RESOURCE_EXHAUSTED", 401: "UNAUTHENTICATED"}
        return json.dumps(
            {"error": {"code": status, "message": words, "status": names.get(status, "INTERNAL")}}
        ).encode()
    if dialect == "ollama":
        return json.dumps({"error": words}).encode()
    return json.dumps({"error": {"message": words, "type": "server_error", "param": None, "code": None}}).encode()


def _in_stream_error(dialect: str) -> bytes:
    value = _error_body(dialect, 500)
    if dialect == "ollama":
        return value + b"\n"
    if dialect == "openai_responses":
        value = b'{"type":"error","code":"server_error","message":"broken","param":null,"sequence_number":9}'
        return b"event: error\ndata: " + value + b"\n\n"
    return (b"event: error\n" if dialect == "anthropic" else b"") + b"data: " + value + b"\n\n"


def _events(data: bytes) -> list[bytes]:
    end = b"\r\n\r\n" if b"\r\n\r\n" in data else b"\n\n" if b"\n\n" in data else b"\n"
    return [event + end for event in data.split(end) if event]


def _broken_off(case: Case) -> bytes:
    """Whole events, not all of them."""
    events = _events(case.body)
    return b"".join(events[: max(1, len(events) // 2)]) if case.stream else case.first


def _statuses(*numbers: int) -> frozenset[int]:
    return frozenset(numbers)


LATE = _statuses(504)
BROKEN = _statuses(500, 502)


def _refusals() -> Iterable[Fault]:
    texts = {
        401: "Unauthorized",
        429: "Too Many Requests",
        500: "Internal Server Error",
        503: "Unavailable",
        529: "Busy",
    }
    for status, text in texts.items():
        seen = {500: _statuses(500, 502), 503: _statuses(503, 529), 529: _statuses(529, 503)}.get(
            status, _statuses(status)
        )
        for kind in ("json", "empty", "page"):

            def play(case: Case, status: int = status, text: str = text, kind: str = kind) -> list[Step]:
                body = {"json": _error_body(case.dialect, status), "empty": b"", "page": PAGE}[kind]
                plain = msgspec.structs.replace(case, stream=False)
                return [Send(plain.sized(body, "retry-after: 7", *PRIVATE, status=f"{status} {text}"))]

            yield Fault(f"status-{status}-{kind}", play, "error", seen)


def _redirects() -> Iterable[Fault]:
    for status in (301, 302, 303, 307, 308):

        def play(case: Case, status: int = status) -> list[Step]:
            return [Send(case.sized(b"moved", f"location: http://{CANARY}/v1/x", status=f"{status} Moved"))]

        yield Fault(f"redirect-{status}", play, "error")


_BOMB = gzip.compress(gzip.compress(b" " * (16 << 20)))
"""16 MiB of blanks in a few hundred bytes."""


def _gzipped(case: Case, data: bytes) -> bytes:
    return case.sized(data, "content-encoding: gzip")


_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\n\r\n"
_SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"

_LIST: tuple[Fault, ...] = (
    # Before a request is read.
    Fault("refuse", lambda c: [], "error", door="refuse"),
    Fault("full-queue", lambda c: [], "error", LATE, door="full"),
    Fault("slam", lambda c: [], "error", door="slam"),
    Fault("slam-reset", lambda c: [], "error", door="slam_reset"),
    # Before the head, and within it.
    Fault("close-before-head", lambda c: [Close()], "error"),
    Fault("reset-before-head", lambda c: [Reset()], "error"),
    Fault("stall-before-head", lambda c: [Stall()], "error", LATE, door="hasty"),
    Fault("close-in-head", lambda c: [Send(c.head()[:30]), Close()], "error"),
    Fault("reset-in-head", lambda c: [Send(c.head()[:30]), Reset()], "error"),
    Fault("stall-in-head", lambda c: [Send(c.head()[:30]), Stall()], "error", LATE, door="hasty"),
    Fault("no-http", lambda c: [Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Stall()], "error"),
    Fault("frames", lambda c: [Send(bytes(27)), Stall()], "error", _statuses(502, 504), door="hasty"),
    Fault("bad-status", lambda c: [Send(c.sized(None, status="2x0 OK")), Close()], "error"),
    Fault("huge-status", lambda c: [Send(c.sized(None, status="99999 X")), Close()], "error"),
    Fault("huge-head", lambda c: [Send(c.head(*(f"x-{n}: {'y' * 900}" for n in range(90)))), Stall()], "error"),
    Fault("many-fields", lambda c: [Send(c.head(*(f"x-{n}: y" for n in range(200)))), Stall()], "error"),
    Fault("endless-line", lambda c: [Drip(b"HTTP/1.1 200 " + b"O" * 200_000, 10_000), Stall()], "error"),
    Fault("null-in-field", lambda c: [Send(c.sized(None, "x-request-id: a\0b")), Close()], "either"),
    Fault("return-in-field", lambda c: [Send(c.sized(None, "x-request-id: a\rset-cookie: b")), Close()], "either"),
    Fault("folded-field", lambda c: [Send(c.sized(None, "x-request-id: a\r\n set-cookie: b")), Close()], "either"),
    Fault("some-1xx", lambda c: [Send(b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" * 5 + c.chunked())], "answer"),
    Fault("many-1xx", lambda c: [Send(b"HTTP/1.1 100 Continue\r\n\r\n" * 40), Stall()], "error"),
    Fault("upgrade", lambda c: [Send(_SWITCH), Stall()], "error"),
    # Lengths and chunks.
    Fault("length-too-long", lambda c: [Send(c.promising(9)), Close()], "answer", whole="error"),
    Fault("length-too-long-reset", lambda c: [Send(c.promising(9)[: -len(c.body) // 3]), Reset()], "error"),
    Fault("length-too-short", lambda c: [Send(c.promising(-len(c.body) // 2)), Close()], "error"),
    Fault("two-lengths", lambda c: [Send(c.sized(None, "content-length: 5")), Close()], "error"),
    Fault("bad-length", lambda c: [Send(c.head("content-length: -5") + c.body), Close()], "error"),
    Fault("chunk-size", lambda c: [Send(c.head(CHUNKED) + b"zz\r\n" + c.body), Close()], "error"),
    Fault("chunk-size-huge", lambda c: [Send(c.head(CHUNKED) + b"f" * 40 + b"\r\n" + c.body), Close()], "error"),
    Fault("chunk-without-crlf", lambda c: [Send(c.head(CHUNKED) + chunked(c.first)[:-7] + b"xx5"), Close()], "error"),
    Fault("chunk-extension-huge", lambda c: [Send(c.head(CHUNKED) + b"5;" + b"x" * 40_000), Stall()], "error"),
    Fault("no-last-chunk", lambda c: [Send(c.unended), Close()], "answer", whole="error"),
    Fault("cut-chunk", lambda c: [Send((c.head(CHUNKED) + chunked(c.first))[:-20]), Close()], "error"),
    Fault("cut-chunk-reset", lambda c: [Send((c.head(CHUNKED) + chunked(c.first))[:-20]), Reset()], "error"),
    Fault("cut-between-events", lambda c: [Send(c.head(CHUNKED) + chunked(_broken_off(c)))], "error"),
    Fault("http10-close", lambda c: [Send(c.head(version="HTTP/1.0") + c.body), Close()], "answer"),
    Fault("http10-cut", lambda c: [Send(c.head(version="HTTP/1.0") + c.first), Close()], "error"),
    Fault("close-delimited", lambda c: [Send(c.head("connection: close") + c.body), Close()], "answer"),
    Fault("close-delimited-cut", lambda c: [Send(c.head() + _broken_off(c)), Close()], "error"),
    # Time.
    Fault("byte-by-byte", lambda c: [Drip(c.chunked())], "answer"),
    Fault("trickle", lambda c: [Drip(c.chunked(), len(c.chunked()) // 5 + 1, 0.1)], "answer"),
    Fault("stall-in-body", lambda c: [Send(c.begun), Stall()], "error", LATE, door="hasty"),
    Fault("stall-behind-head", lambda c: [Send(c.head(CHUNKED)), Stall()], "error", LATE, door="hasty"),
    Fault("stall-behind-last-event", lambda c: [Send(c.unended), Stall()], "answer", LATE, "error", "hasty"),
    # Content.
    Fault("garbage-events", lambda c: [Send(c.head(CHUNKED) + chunked(b"data: {nope\n\n" * 3))], "error"),
    Fault("garbage-in-the-middle", lambda c: [Send(c.sized(_broken_off(c) + b"data: {nope\n\n\xff\xfe"))], "error"),
    Fault("invalid-utf8", lambda c: [Send(c.sized(c.body.replace(b"Hel", b"H\xffl")))], "either"),
    Fault("page", lambda c: [Send(c.sized(PAGE).replace(c.type.encode(), b"text/html"))], "error"),
    Fault("page-called-json", lambda c: [Send(c.sized(PAGE))], "error"),
    Fault("page-502", lambda c: [Send(_BAD_GATEWAY + PAGE), Close()], "error"),
    Fault("nothing", lambda c: [Send(c.sized(b""))], "error"),
    Fault("no-content", lambda c: [Send(b"HTTP/1.1 204 No Content\r\n\r\n")], "error"),
    Fault("reset-content", lambda c: [Send(b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n")], "error"),
    Fault("not-modified", lambda c: [Send(b"HTTP/1.1 304 Not Modified\r\n\r\n")], "error"),
    Fault("error-first", lambda c: [Send(c.sized(_in_stream_error(c.dialect)))], "error", BROKEN),
    Fault("error-in-stream", lambda c: [Send(c.sized(_broken_off(c) + _in_stream_error(c.dialect)))], "error", BROKEN),
    Fault("double", lambda c: [Send(c.sized(c.body + c.body))], "either"),
    Fault("double-end", lambda c: [Send(c.sized(c.body + _events(c.body)[-1]))], "answer", whole="either"),
    Fault("data-behind-the-end", lambda c: [Send(c.sized(c.body + TICK))], "answer", whole="error"),
    # Codings.
    Fault("gzip", lambda c: [Send(_gzipped(c, gzip.compress(c.body)))], "answer"),
    Fault("gzip-not-said", lambda c: [Send(c.sized(gzip.compress(c.body)))], "error"),
    Fault("gzip-truncated", lambda c: [Send(_gzipped(c, gzip.compress(c.body)[:90]))], "error"),
    Fault("gzip-that-is-none", lambda c: [Send(_gzipped(c, c.body))], "error"),
    Fault("gzip-bomb", lambda c: [Send(c.sized(_BOMB, "content-encoding: gzip, gzip"))], "error"),
    Fault("unknown-coding", lambda c: [Send(c.sized(None, "content-encoding: lzma"))], "error"),
    # Connections that are used again.
    Fault("answer-then-close", lambda c: [Send(c.sized()), Close()], "answer"),
    Fault("race", lambda c: [Send(c.sized()), Race()], "answer"),
    Fault("uninvited", lambda c: [Send(c.sized() + c.sized(b'{"error":"EVIL"}'))], "answer"),
    Fault("private-fields", lambda c: [Send(c.sized(None, *PRIVATE))], "answer"),
    # TLS.
    Fault("tls-unknown-authority", lambda c: [Send(c.sized())], "error", door="tls_stranger"),
    Fault("tls-wrong-name", lambda c: [Send(c.sized())], "error", door="tls_wrong_name"),
    Fault("tls-plain-text", lambda c: [], "error", door="tls_plain_text"),
    Fault("tls-closed", lambda c: [], "error", door="tls_closed"),
    Fault("tls-silent", lambda c: [], "error", LATE, door="tls_silent"),
    Fault("tls-well", lambda c: [Send(c.chunked())], "answer", door="tls"),
    Fault("tls-cut", lambda c: [Send(c.head() + c.first), Close()], "error", door="tls"),
    Fault("tls-reset", lambda c: [Send(c.begun), Reset()], "error", door="tls"),
    Fault("tls-stall", lambda c: [Send(c.begun), Stall()], "error", LATE, door="tls_hasty"),
)  # fmt: skip

FAULTS: dict[str, Fault] = {fault.name: fault for fault in (*_LIST, *_refusals(), *_redirects())}
DOORS = tuple(dict.fromkeys(fault.door for fault in FAULTS.values()))
HASTY = frozenset({"hasty", "tls_hasty", "full", "tls_silent"})
"""Doors whose providers have short deadlines."""


def bystander(case: Case) -> list[Step]:
    """A healthy stream of OpenAI's that goes on until the test lets go."""
    end = chunk({}, "stop") + DONE
    return [
        Send(case.head(CHUNKED) + chunked(chunk({"role": "assistant", "content": ""}), end=False)),
        Hold(chunked(TICK, end=False), 0.02),
        Send(chunked(end)),
    ]
