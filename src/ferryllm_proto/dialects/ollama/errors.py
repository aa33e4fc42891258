"""Errors: what an Ollama server reports, and what a client of one is told: ``{"error": "text"}`` and a status.

The text is all there is, so what kind of error it is stands in the words. Source: server/routes.go and
api/types.go of the Ollama project; the texts are those of its versions up to 0.20.
"""

from __future__ import annotations

import math
import re

from ... import ir, json, statuses
from ...dialect import ClientHead, Headers
from ...error_text import page, spoken, trimmed, unframed
from ...errors import RemoteProtocolError
from . import wire
from .wire import NAME, given

_KIND_OF_STATUS = statuses.KINDS | {500: ir.ErrorKind.SERVER}

_WORDS: tuple[tuple[re.Pattern[str], ir.ErrorKind], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (
            r"context (?:length|window|size)|exceed(?:s|ed)? (?:the )?(?:available )?context|prompt is too long",
            ir.ErrorKind.CONTEXT_LENGTH,
        ),
        (r"^model .{0,300} not found|try pulling it first|no such model", ir.ErrorKind.NOT_FOUND),
        (r"does not support|is not supported|invalid|must be|is required|cannot unmarshal", ir.ErrorKind.BAD_REQUEST),
        (r"server busy|maximum pending requests|server is overloaded", ir.ErrorKind.OVERLOADED),
        (r"unauthorized|sign ?in", ir.ErrorKind.AUTHENTICATION),
        (r"rate limit|too many requests|usage limit", ir.ErrorKind.RATE_LIMIT),
    )
)
"""What an error is that came without a status, inside a stream; the first that fits."""

_VAGUE = frozenset({ir.ErrorKind.BAD_REQUEST, ir.ErrorKind.SERVER, ir.ErrorKind.TOO_LARGE})
"""Kinds that a full context hides behind: the runner's errors are 400 or 500 with the words of the engine."""


# --- from a provider -------------------------------------------------------------------------------------


def decode(status: int, headers: Headers, body: bytes) -> ir.Error:
    """An error answer with an HTTP status; ``body`` may be anything."""
    body = unframed(body)
    found = _said(body)
    message = found[0] if found is not None else spoken(body) or page(body)
    kind = _KIND_OF_STATUS.get(status)
    if kind is None:
        kind = ir.ErrorKind.BAD_REQUEST if 400 <= status < 500 else ir.ErrorKind.UPSTREAM
    if kind in _VAGUE and _WORDS[0][0].search(message or ""):
        kind = ir.ErrorKind.CONTEXT_LENGTH
    return _error(kind, message or f"the provider answered with status {status}", status, headers, body, found)


def in_band(body: bytes) -> ir.Error:
    """The line of a stream, or the body of a good answer, that is an error."""
    found = _said(body)
    message, status = found if found is not None else (spoken(body), None)
    kind = _KIND_OF_STATUS.get(status or 0) or _kind_of(message)
    return _error(kind, message or "the provider reported an error", status, (), body, found)


def has_error(raw: json.Raw) -> bool:
    """Whether an ``error`` field says that there is one."""
    return bytes(raw) not in (b"", b"null", b'""', b"{}", b"false")


def raised(error: ir.Error) -> RemoteProtocolError:
    """``error`` as the exception the one-shot functions raise."""
    exc = RemoteProtocolError(error.message, kind=error.kind, code=error.code)
    exc.error = error
    return exc


def _kind_of(message: str) -> ir.ErrorKind:
    return next((kind for words, kind in _WORDS if words.search(message)), ir.ErrorKind.UPSTREAM)


def _error(
    kind: ir.ErrorKind,
    message: str,
    status: int | None,
    headers: Headers,
    body: bytes,
    found: tuple[str, int | None] | None,
) -> ir.Error:
    return ir.Error(
        kind,
        trimmed(message),
        status=status,
        code="context_length_exceeded" if kind is ir.ErrorKind.CONTEXT_LENGTH else None,
        retry_after=statuses.retry_after(headers),
        dialect=NAME,
        raw=body if found is not None else None,
    )


def _said(body: bytes) -> tuple[str, int | None] | None:
    """Message and status of an error object, of this door or of the server's other ones; None for anything else."""
    if body.lstrip()[:1] != b"{":
        return None
    try:
        found = json.decode(json.mend_utf8(body), wire.error_body)
        inner = given(found.error)
        if inner is None:
            message = _text(given(found.message))
        elif json.kind(inner) == "object":
            message = _text(given(json.decode(inner, wire.error_body).message)) or inner.decode("utf-8", "replace")
        else:
            message = _text(inner)
    except RemoteProtocolError:
        return None
    status = found.status_code
    return (message, status if status is not None and 400 <= status < 600 else None) if message else None


def _text(data: bytes | None) -> str:
    if data is None:
        return ""
    try:
        return json.decode(data, wire.string)
    except RemoteProtocolError:
        return data.decode("utf-8", "replace")


# --- to a client -----------------------------------------------------------------------------------------


def encode(error: ir.Error) -> tuple[ClientHead, bytes]:
    """Status, headers and body for a client; a body of this dialect is relayed as it is (E1)."""
    headers = [("content-type", "application/json; charset=utf-8")]
    if error.retry_after is not None:
        headers.append(("retry-after", str(math.ceil(error.retry_after))))
    status = error.http_status
    # 529 is Anthropic's own; a server of this dialect that has too much to do says 503.
    return ClientHead(503 if status == 529 else status, tuple(headers)), body(error)


def body(error: ir.Error) -> bytes:
    """The error object."""
    if error.dialect == NAME and error.raw is not None and _is_ours(error.raw):
        return error.raw
    return b'{"error":%b}' % json.encode_str(error.message)


def _is_ours(raw: bytes) -> bool:
    """Whether an error has the form clients read: a text."""
    try:
        inner = given(json.decode(raw, wire.error_body).error)
    except RemoteProtocolError:
        return False
    return inner is not None and json.kind(inner) == "string"


def line(error: ir.Error) -> bytes:
    """The same inside a stream: its last line."""
    return json.one_line(body(error)) + b"\n"
