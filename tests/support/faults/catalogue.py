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


_LIST: tuple[Fault, ...] = (
    # Before a request is read.
    Fault("refuse", lambda case: [], "error", door="refuse"),
    Fault("full-queue", lambda case: [], "error", LATE, door="full"),
    Fault("slam", lambda case: [], "error", door="slam"),
    Fault("slam-reset", lambda case: [], "error", door="slam_reset"),
    # Before the head, and within it.
    Fault("close-before-head", lambda case: [Close()], "error"),
    Fault("reset-before-head", lambda case: [Reset()], "error"),
    Fault("stall-before-head", lambda case: [Stall()], "error", LATE, door="hasty"),
    Fault("close-in-head", lambda case: [Send(case.head()[:30]), Close()], "error"),
    Fault("reset-in-head", lambda case: [Send(case.head()[:30]), Reset()], "error"),
    Fault("stall-in-head", lambda case: [Send(case.head()[:30]), Stall()], "error", LATE, door="hasty"),
    Fault("no-http", lambda case: [Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Stall()], "error"),
    Fault("frames", lambda case: [Send(b"\0\0\x12\4\0\0\0\0\0" + bytes(18)), Stall()], "error", _statuses(502, 504), door="hasty"),
    Fault("bad-status", lambda case: [Send(case.sized(None, status="2x0 OK")), Close()], "error"),
    Fault("huge-status", lambda case: [Send(case.sized(None, status="99999 X")), Close()], "error"),
    Fault("huge-head", lambda case: [Send(case.head(*(f"x-{n}: {'y' * 900}" for n in range(90)))), Stall()], "error"),
    Fault("many-fields", lambda case: [Send(case.head(*(f"x-{n}: y" for n in range(200)))), Stall()], "error"),
    Fault("endless-line", lambda case: [Drip(b"HTTP/1.1 200 " + b"O" * 200_000, 10_000), Stall()], "error"),
    Fault("null-in-field", lambda case: [Send(case.sized(None, "x-request-id: a\0b")), Close()], "either"),
    Fault("return-in-field", lambda case: [Send(case.sized(None, "x-request-id: a\rset-cookie: b")), Close()], "either"),
    Fault("folded-field", lambda case: [Send(case.sized(None, "x-request-id: a\r\n set-cookie: b")), Close()], "either"),
    Fault("some-1xx", lambda case: [Send(b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" * 5 + case.chunked())], "answer"),
    Fault("many-1xx", lambda case: [Send(b"HTTP/1.1 100 Continue\r\n\r\n" * 40), Stall()], "error"),
    Fault("upgrade", lambda case: [Send(b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"), Stall()], "error"),
    # Lengths and chunks.
    Fault("length-too-long", lambda case: [Send(case.head(f"content-length: {len(case.body) + 9}") + case.body), Close()], "answer", whole="error"),
    Fault("length-too-long-reset", lambda case: [Send(case.head(f"content-length: {len(case.body) + 9}") + case.first), Reset()], "error"),
    Fault("length-too-short", lambda case: [Send(case.head(f"content-length: {len(case.body) // 2}") + case.body), Close()], "error"),
    Fault("two-lengths", lambda case: [Send(case.sized(None, "content-length: 5")), Close()], "error"),
    Fault("bad-length", lambda case: [Send(case.head("content-length: -5") + case.body), Close()], "error"),
    Fault("chunk-size", lambda case: [Send(case.head(CHUNKED) + b"zz\r\n" + case.body), Close()], "error"),
    Fault("chunk-size-huge", lambda case: [Send(case.head(CHUNKED) + b"f" * 40 + b"\r\n" + case.body), Close()], "error"),
    Fault("chunk-without-crlf", lambda case: [Send(case.head(CHUNKED) + chunked(case.first)[:-7] + b"xx5\r\n"), Close()], "error"),
    Fault("chunk-extension-huge", lambda case: [Send(case.head(CHUNKED) + b"5;" + b"x" * 40_000 + b"\r\nhello\r\n"), Stall()], "error"),
    Fault("no-last-chunk", lambda case: [Send(case.head(CHUNKED) + chunked(case.body, end=False)), Close()], "answer", whole="error"),
    Fault("cut-chunk", lambda case: [Send((case.head(CHUNKED) + chunked(case.first))[:-20]), Close()], "error"),
    Fault("cut-chunk-reset", lambda case: [Send((case.head(CHUNKED) + chunked(case.first))[:-20]), Reset()], "error"),
    Fault("cut-between-events", lambda case: [Send(case.head(CHUNKED) + chunked(_broken_off(case)))], "error"),
    Fault("http10-close", lambda case: [Send(case.head(version="HTTP/1.0") + case.body), Close()], "answer"),
    Fault("http10-cut", lambda case: [Send(case.head(version="HTTP/1.0") + case.first), Close()], "error"),
    Fault("close-delimited", lambda case: [Send(case.head("connection: close") + case.body), Close()], "answer"),
    Fault("close-delimited-cut", lambda case: [Send(case.head() + _broken_off(case)), Close()], "error"),
    # Time.
    Fault("byte-by-byte", lambda case: [Drip(case.chunked())], "answer"),
    Fault("trickle", lambda case: [Drip(case.chunked(), len(case.chunked()) // 5 + 1, 0.1)], "answer"),
    Fault("stall-in-body", lambda case: [Send(case.head(CHUNKED) + chunked(case.first, end=False)), Stall()], "error", LATE, door="hasty"),
    Fault("stall-behind-head", lambda case: [Send(case.head(CHUNKED)), Stall()], "error", LATE, door="hasty"),
    Fault("stall-behind-last-event", lambda case: [Send(case.head(CHUNKED) + chunked(case.body, end=False)), Stall()], "answer", LATE, whole="error", door="hasty"),
    # Content.
    Fault("garbage-events", lambda case: [Send(case.head(CHUNKED) + chunked(b"data: {nope\n\n" * 3))], "error"),
    Fault("garbage-in-the-middle", lambda case: [Send(case.sized(_broken_off(case) + b"data: {nope\n\n\xff\xfe"))], "error"),
    Fault("invalid-utf8", lambda case: [Send(case.sized(case.body.replace(b"Hel", b"H\xffl")))], "either"),
    Fault("page", lambda case: [Send(case.sized(PAGE).replace(case.type.encode(), b"text/html"))], "error"),
    Fault("page-called-json", lambda case: [Send(case.sized(PAGE))], "error"),
    Fault("page-502", lambda case: [Send(case.sized(PAGE, status="502 Bad Gateway").replace(case.type.encode(), b"text/html"))], "error"),
    Fault("nothing", lambda case: [Send(case.sized(b""))], "error"),
    Fault("no-content", lambda case: [Send(b"HTTP/1.1 204 No Content\r\n\r\n")], "error"),
    Fault("reset-content", lambda case: [Send(b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n")], "error"),
    Fault("not-modified", lambda case: [Send(b"HTTP/1.1 304 Not Modified\r\n\r\n")], "error"),
    Fault("error-first", lambda case: [Send(case.sized(_in_stream_error(case.dialect)))], "error", _statuses(500, 502)),
    Fault("error-in-stream", lambda case: [Send(case.sized(_broken_off(case) + _in_stream_error(case.dialect)))], "error", _statuses(500, 502)),
    Fault("double", lambda case: [Send(case.sized(case.body + case.body))], "either"),
    Fault("double-end", lambda case: [Send(case.sized(case.body + _events(case.body)[-1]))], "answer", whole="either"),
    Fault("data-behind-the-end", lambda case: [Send(case.sized(case.body + TICK))], "answer", whole="error"),
    # Codings.
    Fault("gzip", lambda case: [Send(_gzipped(case, gzip.compress(case.body)))], "answer"),
    Fault("gzip-not-said", lambda case: [Send(case.sized(gzip.compress(case.body)))], "error"),
    Fault("gzip-truncated", lambda case: [Send(_gzipped(case, gzip.compress(case.body)[:90]))], "error"),
    Fault("gzip-that-is-none", lambda case: [Send(_gzipped(case, case.body))], "error"),
    Fault("gzip-bomb", lambda case: [Send(case.sized(_BOMB, "content-encoding: gzip, gzip"))], "error"),
    Fault("unknown-coding", lambda case: [Send(case.sized(None, "content-encoding: lzma"))], "error"),
    # Connections that are used again.
    Fault("answer-then-close", lambda case: [Send(case.sized()), Close()], "answer"),
    Fault("race", lambda case: [Send(case.sized()), Race()], "answer"),
    Fault("uninvited", lambda case: [Send(case.sized() + case.sized(b'{"error":"EVIL"}'))], "answer"),
    Fault("private-fields", lambda case: [Send(case.sized(None, *PRIVATE))], "answer"),
    # TLS.
    Fault("tls-unknown-authority", lambda case: [Send(case.sized())], "error", door="tls_stranger"),
    Fault("tls-wrong-name", lambda case: [Send(case.sized())], "error", door="tls_wrong_name"),
    Fault("tls-plain-text", lambda case: [], "error", door="tls_plain_text"),
    Fault("tls-closed", lambda case: [], "error", door="tls_closed"),
    Fault("tls-silent", lambda case: [], "error", LATE, door="tls_silent"),
    Fault("tls-well", lambda case: [Send(case.chunked())], "answer", door="tls"),
    Fault("tls-cut", lambda case: [Send(case.head() + case.first), Close()], "error", door="tls"),
    Fault("tls-reset", lambda case: [Send(case.head(CHUNKED) + chunked(case.first, end=False)), Reset()], "error", door="tls"),
    Fault("tls-stall", lambda case: [Send(case.head(CHUNKED) + chunked(case.first, end=False)), Stall()], "error", LATE, door="tls_hasty"),
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
