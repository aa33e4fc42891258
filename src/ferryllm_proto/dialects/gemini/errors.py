"""Errors: what a provider of this protocol reports, whatever its shape, and what a client of it is told.

Source: google.rpc.Status as the API returns it; proxies and the JSON-array form wrap it in an array.
"""

from __future__ import annotations

import math
import re

import msgspec

from ... import ir, json, statuses
from ...dialect import ClientHead, Headers
from ...error_text import page, spoken, trimmed, unframed
from ...errors import RemoteProtocolError
from . import wire
from .wire import NAME, given

_K = ir.ErrorKind

_KIND_OF_WORD: dict[str, ir.ErrorKind] = {
    "INVALID_ARGUMENT": _K.BAD_REQUEST,
    "FAILED_PRECONDITION": _K.BAD_REQUEST,
    "OUT_OF_RANGE": _K.BAD_REQUEST,
    "UNAUTHENTICATED": _K.AUTHENTICATION,
    "PERMISSION_DENIED": _K.PERMISSION,
    "NOT_FOUND": _K.NOT_FOUND,
    "ALREADY_EXISTS": _K.CONFLICT,
    "ABORTED": _K.CONFLICT,
    "RESOURCE_EXHAUSTED": _K.RATE_LIMIT,
    "INTERNAL": _K.SERVER,
    "UNKNOWN": _K.SERVER,
    "DATA_LOSS": _K.SERVER,
    "UNIMPLEMENTED": _K.BAD_REQUEST,
    "UNAVAILABLE": _K.OVERLOADED,
    "DEADLINE_EXCEEDED": _K.TIMEOUT,
    "CANCELLED": _K.UPSTREAM,
}

_KIND_OF_STATUS = statuses.KINDS | {499: _K.UPSTREAM, 500: _K.SERVER}

_WORD_OF_KIND: dict[ir.ErrorKind, str] = {
    _K.BAD_REQUEST: "INVALID_ARGUMENT",
    _K.CONTEXT_LENGTH: "INVALID_ARGUMENT",
    _K.AUTHENTICATION: "UNAUTHENTICATED",
    _K.BILLING: "RESOURCE_EXHAUSTED",
    _K.PERMISSION: "PERMISSION_DENIED",
    _K.NOT_FOUND: "NOT_FOUND",
    _K.METHOD: "UNIMPLEMENTED",
    _K.CONFLICT: "ABORTED",
    _K.TOO_LARGE: "INVALID_ARGUMENT",
    _K.MEDIA_TYPE: "INVALID_ARGUMENT",
    _K.RATE_LIMIT: "RESOURCE_EXHAUSTED",
    _K.SERVER: "INTERNAL",
    _K.UPSTREAM: "INTERNAL",
    _K.TRUNCATED: "INTERNAL",
    _K.OVERLOADED: "UNAVAILABLE",
    _K.TIMEOUT: "DEADLINE_EXCEEDED",
}

_OVERFLOW = re.compile(
    r"input token count.{0,40}exceeds|exceeds the maximum number of tokens|prompt is too long"
    r"|maximum context length|context (?:window|length|limit) (?:is )?exceeded",
    re.IGNORECASE,
)
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)


class _Body(msgspec.Struct, frozen=True):
    code: json.Raw = wire.ABSENT
    message: json.Raw = wire.ABSENT
    status: json.Raw = wire.ABSENT
    details: json.Raw = wire.ABSENT


class _Detail(msgspec.Struct, frozen=True):
    reason: json.Raw = wire.ABSENT
    retryDelay: json.Raw = wire.ABSENT
    retry_delay: json.Raw = wire.ABSENT


_body = json.decoder(_Body)
_detail = json.decoder(_Detail)


class _Said(msgspec.Struct, frozen=True):
    """An error as its body has it; what is absent is None."""

    message: str | None = None
    code: int | None = None
    word: str | None = None
    reasons: tuple[str, ...] = ()
    delay: float | None = None


_NOTHING = _Said()


# --- from a provider -------------------------------------------------------------------------------------


def decode(status: int, headers: Headers, body: bytes) -> ir.Error:
    """An error answer with an HTTP status; ``body`` may be anything."""
    body = unframed(body)
    said = _read(body)
    message = (said.message or spoken(body)) if said is not None else spoken(body) or page(body)
    return _error(
        said or _NOTHING, status, message or f"the provider answered with status {status}", headers, body, said
    )


def in_band(raw: bytes) -> ir.Error:
    """The error in a chunk of a stream or in a body with status 200; ``raw`` is the whole object."""
    said = _read(raw)
    known = said or _NOTHING
    status = known.code if known.code is not None and 400 <= known.code <= 599 else None
    return _error(known, status, known.message or spoken(raw) or "the provider reported an error", (), raw, said)


def says_error(raw: json.Raw) -> bool:
    """Whether the value of an ``error`` member reports one."""
    data = given(raw)
    return data is not None and data not in (b"{}", b'""', b"false", b"[]", b"0")


def raised(error: ir.Error) -> RemoteProtocolError:
    """``error`` as the exception the one-shot functions raise."""
    exc = RemoteProtocolError(error.message, kind=error.kind, param=error.param, code=error.code)
    exc.error = error
    return exc


def _error(
    known: _Said, status: int | None, message: str, headers: Headers, body: bytes, said: _Said | None
) -> ir.Error:
    kind = _KIND_OF_WORD.get(known.word or "")
    if kind is None:
        kind = _kind_of_status(status) if status is not None else _K.UPSTREAM
    if "API_KEY_INVALID" in known.reasons or (kind is _K.BAD_REQUEST and "API key" in message):
        kind = _K.AUTHENTICATION  # the API says 400 to a wrong key
    elif kind is _K.BAD_REQUEST and _OVERFLOW.search(message):
        kind = _K.CONTEXT_LENGTH
    code = "context_length_exceeded" if kind is _K.CONTEXT_LENGTH else known.reasons[0] if known.reasons else None
    delay = statuses.retry_after(headers)
    return ir.Error(
        kind,
        trimmed(message),
        status=status,
        code=code,
        type=known.word,
        retry_after=delay if delay is not None else known.delay,
        dialect=NAME,
        raw=body if said is not None else None,
    )


def _kind_of_status(status: int) -> ir.ErrorKind:
    known = _KIND_OF_STATUS.get(status)
    if known is not None:
        return known
    return _K.BAD_REQUEST if 400 <= status < 500 else _K.UPSTREAM


def _read(body: bytes) -> _Said | None:
    """What the error object says; None for a body that holds none."""
    data = json.mend_utf8(body).strip()
    try:
        if data[:1] == b"[":
            items = json.items(data)
            data = bytes(items[0]) if items else b""
        if data[:1] != b"{":
            return None
        found = json.fields(data)
        if "error" not in found and json.kind(found.get("response", wire.ABSENT)) == "object":
            found = json.fields(found["response"])
        inner = given(found.get("error", wire.ABSENT))
        if inner is None:
            inner = data  # some proxies leave the envelope out
        if json.kind(inner) != "object":
            return _Said(_text(json.raw(inner)))
        error = json.decode(inner, _body)
    except RemoteProtocolError:
        return None
    reasons, delay = _details(error.details)
    try:
        code = json.loads(error.code) if given(error.code) is not None else None
    except RemoteProtocolError:
        code = None  # a number without measure
    return _Said(
        _text(error.message),
        code if isinstance(code, int) and not isinstance(code, bool) else None,
        _text(error.status),
        reasons,
        delay,
    )


def _details(raw: json.Raw) -> tuple[tuple[str, ...], float | None]:
    """Reasons and the time to wait, out of the typed details."""
    reasons: list[str] = []
    delay: float | None = None
    data = given(raw)
    if data is None or json.kind(data) != "array":
        return (), None
    for item in json.items(data):
        try:
            detail = json.decode(item, _detail)
        except RemoteProtocolError:
            continue
        reason = _text(detail.reason)
        if reason:
            reasons.append(reason)
        wait = _text(detail.retryDelay) or _text(detail.retry_delay) or ""
        match = _DELAY.fullmatch(wait)
        if match is not None:
            delay = float(match[1])
    return tuple(reasons), delay


def _text(raw: json.Raw | None) -> str | None:
    data = given(raw) if raw is not None else None
    if data is None:
        return None
    value = json.loads(data)
    return value if isinstance(value, str) else data.decode("utf-8", "replace")


# --- to a client -----------------------------------------------------------------------------------------


def encode(error: ir.Error, request_id: str | None) -> tuple[ClientHead, bytes]:
    """Status, headers and body for a client; a body of this dialect is relayed as it is (E1)."""
    headers = [("content-type", "application/json; charset=UTF-8")]
    if request_id is not None:
        headers.append(("x-request-id", request_id))
    if error.retry_after is not None:
        headers.append(("retry-after", str(math.ceil(error.retry_after))))
    head = ClientHead(_status(error), tuple(headers))
    if error.dialect == NAME and error.raw is not None and _is_ours(error.raw):
        return head, error.raw
    return head, body(error)


def _status(error: ir.Error) -> int:
    # 529 is Anthropic's own; a server of this protocol that has too much to do says 503.
    return 503 if error.http_status == 529 else error.http_status


def _is_ours(raw: bytes) -> bool:
    """Whether an error has the form clients of this dialect read."""
    said = _read(raw)
    return said is not None and said.message is not None and said.word is not None


def body(error: ir.Error) -> bytes:
    """The error object: ``{"error": {"code", "message", "status"}}``; it is the same inside a stream."""
    inner: dict[str, object] = {
        "code": _status(error),
        "message": error.message,
        "status": _WORD_OF_KIND[error.kind],
    }
    if error.retry_after is not None:
        # No header says it in this protocol: this is where its clients look.
        delay = f"{error.retry_after:.3f}".rstrip("0").rstrip(".") + "s"
        inner["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}]
    return json.encode({"error": inner})
