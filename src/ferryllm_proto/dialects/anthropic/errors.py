"""Errors: what a provider of Messages reports, whatever its shape, and what a client of Messages is told.

Source: API reference, "Errors"; the other shapes are those of proxies and of servers that speak Messages besides their
own protocol.
"""

from __future__ import annotations

import math
import re

from ... import ir, json, sse, statuses
from ...dialect import ClientHead, Headers
from ...error_text import page, trimmed, unframed
from ...errors import RemoteProtocolError
from . import wire
from .wire import NAME, given

_KIND_OF_TYPE: dict[str, ir.ErrorKind] = {
    "invalid_request_error": ir.ErrorKind.BAD_REQUEST,
    "authentication_error": ir.ErrorKind.AUTHENTICATION,
    "billing_error": ir.ErrorKind.BILLING,
    "permission_error": ir.ErrorKind.PERMISSION,
    "not_found_error": ir.ErrorKind.NOT_FOUND,
    "conflict_error": ir.ErrorKind.CONFLICT,
    "request_too_large": ir.ErrorKind.TOO_LARGE,
    "rate_limit_error": ir.ErrorKind.RATE_LIMIT,
    "api_error": ir.ErrorKind.SERVER,
    "overloaded_error": ir.ErrorKind.OVERLOADED,
    "timeout_error": ir.ErrorKind.TIMEOUT,
    "exceed_context_size_error": ir.ErrorKind.CONTEXT_LENGTH,  # llama.cpp
}

_KIND_OF_STATUS = statuses.KINDS | {500: ir.ErrorKind.SERVER}

_STATUS_OF_TYPE: dict[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "conflict_error": 409,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status an error inside a stream would have had (T8)."""

_TYPE_OF_KIND: dict[ir.ErrorKind, str] = {
    ir.ErrorKind.BAD_REQUEST: "invalid_request_error",
    ir.ErrorKind.CONTEXT_LENGTH: "invalid_request_error",
    ir.ErrorKind.AUTHENTICATION: "authentication_error",
    ir.ErrorKind.BILLING: "billing_error",
    ir.ErrorKind.PERMISSION: "permission_error",
    ir.ErrorKind.NOT_FOUND: "not_found_error",
    ir.ErrorKind.METHOD: "invalid_request_error",
    ir.ErrorKind.CONFLICT: "conflict_error",
    ir.ErrorKind.TOO_LARGE: "request_too_large",
    ir.ErrorKind.MEDIA_TYPE: "invalid_request_error",
    ir.ErrorKind.RATE_LIMIT: "rate_limit_error",
    ir.ErrorKind.SERVER: "api_error",
    ir.ErrorKind.UPSTREAM: "api_error",
    ir.ErrorKind.TRUNCATED: "api_error",
    ir.ErrorKind.OVERLOADED: "overloaded_error",
    ir.ErrorKind.TIMEOUT: "timeout_error",
}

_OVERFLOW = re.compile(
    r"prompt is too long|exceed(?:s|ed)? (?:the )?(?:available )?context"
    r"|context (?:window|length|limit) (?:is )?exceeded|maximum context length",
    re.IGNORECASE,
)


# --- from a provider -------------------------------------------------------------------------------------


def decode(status: int, headers: Headers, body: bytes) -> ir.Error:
    """An error answer with an HTTP status; ``body`` may be anything."""
    body = unframed(body)
    found = _members(body)
    type_, message = _said(found) if found is not None else (None, None)
    if message is None:
        message = page(body) if found is None else None
    kind = _KIND_OF_TYPE.get(type_ or "") or _kind_of_status(status)
    if status == 529:
        kind = ir.ErrorKind.OVERLOADED
    return _error(kind, type_, message or f"the provider answered with status {status}", status, headers, body, found)


def in_band(raw: bytes) -> ir.Error:
    """The ``error`` object of a stream event or of a 200 body; ``raw`` is the whole event."""
    found = _members(raw)
    type_, message = _said(found) if found is not None else (None, None)
    kind = _KIND_OF_TYPE.get(type_ or "", ir.ErrorKind.UPSTREAM)
    status = _STATUS_OF_TYPE.get(type_ or "")
    return _error(kind, type_, message or "the provider reported an error", status, (), raw, found)


def says_error(raw: bytes) -> bool:
    """Whether a body without content has the words of an error in one of the places where servers put them."""
    found = _members(raw)
    return found is not None and _said(found)[1] is not None


def raised(error: ir.Error) -> RemoteProtocolError:
    """``error`` as the exception the one-shot functions raise."""
    exc = RemoteProtocolError(error.message, kind=error.kind, param=error.param, code=error.code)
    exc.error = error
    return exc


def _error(
    kind: ir.ErrorKind,
    type_: str | None,
    message: str,
    status: int | None,
    headers: Headers,
    body: bytes,
    found: dict[str, json.Raw] | None,
) -> ir.Error:
    if kind is ir.ErrorKind.BAD_REQUEST and _OVERFLOW.search(message):
        kind = ir.ErrorKind.CONTEXT_LENGTH
    return ir.Error(
        kind,
        trimmed(message),
        status=status,
        code="context_length_exceeded" if kind is ir.ErrorKind.CONTEXT_LENGTH else None,
        type=type_,
        retry_after=statuses.retry_after(headers),
        dialect=NAME,
        raw=body if found is not None else None,
    )


def _kind_of_status(status: int) -> ir.ErrorKind:
    known = _KIND_OF_STATUS.get(status)
    if known is not None:
        return known
    return ir.ErrorKind.BAD_REQUEST if 400 <= status < 500 else ir.ErrorKind.UPSTREAM


def _members(body: bytes) -> dict[str, json.Raw] | None:
    """The members of a JSON object; None for anything else."""
    if body.lstrip()[:1] != b"{":
        return None
    try:
        return json.fields(json.mend_utf8(body))
    except RemoteProtocolError:
        return None


def _said(found: dict[str, json.Raw]) -> tuple[str | None, str | None]:
    """Type and message, wherever this provider puts them."""
    inner = given(found.get("error", wire.ABSENT))
    if inner is not None and json.kind(inner) == "object":
        try:
            error = json.decode(inner, wire.error_body)
            return error.type, error.message
        except RemoteProtocolError:
            return None, _text(json.fields(inner).get("message"))
    if inner is not None:
        return None, _text(inner)
    for name in ("message", "detail", "error_message"):
        text = _text(found.get(name))
        if text is not None:
            return None, text
    return None, None


def _text(raw: json.Raw | bytes | None) -> str | None:
    if raw is None:
        return None
    data = bytes(raw)
    try:
        return json.decode(data, wire.string)
    except RemoteProtocolError:
        return None if data in (b"null", b"") else data.decode("utf-8", "replace")


# --- to a client -----------------------------------------------------------------------------------------


def encode(error: ir.Error, request_id: str | None) -> tuple[ClientHead, bytes]:
    """Status, headers and body for a client; a body of this dialect is relayed as it is (E1)."""
    headers = [("content-type", "application/json")]
    if request_id is not None:
        headers.append(("request-id", request_id))
    if error.retry_after is not None:
        headers.append(("retry-after", str(math.ceil(error.retry_after))))
        if error.retry_after != math.ceil(error.retry_after):
            headers.append(("retry-after-ms", str(round(error.retry_after * 1000))))
    head = ClientHead(_status(error), tuple(headers))
    if error.dialect == NAME and error.raw is not None and _is_ours(error.raw):
        return head, error.raw
    return head, body(error, request_id)


def _is_ours(raw: bytes) -> bool:
    """Whether an error has the form clients of this dialect read; llama.cpp's, and a proxy's, has not."""
    found = _members(raw)
    if found is None or bytes(found.get("type", wire.ABSENT)) != b'"error"':
        return False
    type_, message = _said(found)
    return type_ is not None and message is not None


def body(error: ir.Error, request_id: str | None = None) -> bytes:
    """The error object: ``{"type": "error", "error": {...}}``."""
    inner = b'{"type":"error","error":{"type":%b,"message":%b}' % (
        json.encode_str(_TYPE_OF_KIND[error.kind]),
        json.encode_str(_message(error)),
    )
    return inner + (b"}" if request_id is None else b',"request_id":%b}' % json.encode_str(request_id))


def event(error: ir.Error) -> bytes:
    """The same inside a stream: its last event."""
    return sse.encode("error", body(error))


def _status(error: ir.Error) -> int:
    if error.kind is ir.ErrorKind.OVERLOADED:
        return 529  # what clients of this dialect know an overload by (E2)
    return error.http_status


_TOO_LONG = re.compile(r"prompt is too long|input length and `max_tokens` exceed context limit", re.IGNORECASE)
_NUMBER = r"(\d[\d,_]*)"
_LIMIT_FIRST = re.compile(rf"(?:maximum context length is|limit is|limit of) {_NUMBER}\D{{1,200}}?{_NUMBER}", re.I)
_ASKED_FIRST = re.compile(rf"\(?{_NUMBER} tokens\)? exceeds\D{{1,100}}?{_NUMBER}", re.IGNORECASE)


def _message(error: ir.Error) -> str:
    """The message; an overflow begins with the words by which Claude Code starts to compact (E5)."""
    if error.kind is not ir.ErrorKind.CONTEXT_LENGTH or _TOO_LONG.search(error.message):
        return error.message
    numbers = ""
    if match := _LIMIT_FIRST.search(error.message):
        numbers = f": {_digits(match[2])} tokens > {_digits(match[1])} maximum"
    elif match := _ASKED_FIRST.search(error.message):
        numbers = f": {_digits(match[1])} tokens > {_digits(match[2])} maximum"
    return f"prompt is too long{numbers} ({error.message})"


def _digits(number: str) -> str:
    return number.replace(",", "").replace("_", "")
