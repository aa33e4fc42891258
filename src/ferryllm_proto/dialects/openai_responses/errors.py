"""Errors of the Responses API: status and body to `ir.Error` and back, and the error inside a stream.

The shape is Chat's (``{"error": {message, type, param, code}}``); vendors bend it in a dozen ways (wire.md 2.5).
"""

from __future__ import annotations

import re

import msgspec

from ... import ir, json, statuses
from ...dialect import ClientHead, Headers
from ...error_text import MAX_MESSAGE, page, trimmed, unframed
from ...errors import RemoteProtocolError
from . import wire

_K = ir.ErrorKind

_BY_CODE: dict[str, ir.ErrorKind] = {
    "context_length_exceeded": _K.CONTEXT_LENGTH,
    "string_above_max_length": _K.CONTEXT_LENGTH,
    "model_max_prompt_tokens_exceeded": _K.CONTEXT_LENGTH,
    "exceed_context_size_error": _K.CONTEXT_LENGTH,
    "invalid_api_key": _K.AUTHENTICATION,
    "authentication_error": _K.AUTHENTICATION,
    "insufficient_quota": _K.BILLING,
    "billing_hard_limit_reached": _K.BILLING,
    "usage_not_included": _K.BILLING,
    "permission_error": _K.PERMISSION,
    "model_not_found": _K.NOT_FOUND,
    "not_found_error": _K.NOT_FOUND,
    "rate_limit_exceeded": _K.RATE_LIMIT,
    "rate_limit_error": _K.RATE_LIMIT,
    "server_is_overloaded": _K.OVERLOADED,
    "slow_down": _K.OVERLOADED,
    "overloaded": _K.OVERLOADED,
    "overloaded_error": _K.OVERLOADED,
    "timeout": _K.TIMEOUT,
    "stream_incomplete": _K.TRUNCATED,
    "server_error": _K.SERVER,
    "internal_error": _K.SERVER,
    "api_error": _K.SERVER,
    "invalid_prompt": _K.BAD_REQUEST,
    "invalid_request_error": _K.BAD_REQUEST,
    "invalid_value": _K.BAD_REQUEST,
}
"""Kinds by the words of ``code`` and ``type``; a word that is not in it leaves the decision to the status."""

_CONTEXT = re.compile(
    r"context.?length|context window|maximum context|prompt is too long|available context size"
    r"|input token count.*exceeds|too many (?:input )?tokens",
    re.IGNORECASE,
)

_WORDS: dict[ir.ErrorKind, tuple[str, str | None]] = {
    _K.BAD_REQUEST: ("invalid_request_error", None),
    _K.CONTEXT_LENGTH: ("invalid_request_error", "context_length_exceeded"),
    _K.AUTHENTICATION: ("invalid_request_error", "invalid_api_key"),
    _K.BILLING: ("insufficient_quota", "insufficient_quota"),
    _K.PERMISSION: ("permission_error", "permission_denied"),
    _K.NOT_FOUND: ("invalid_request_error", "not_found"),
    _K.METHOD: ("invalid_request_error", "method_not_allowed"),
    _K.CONFLICT: ("invalid_request_error", "conflict"),
    _K.TOO_LARGE: ("invalid_request_error", "request_too_large"),
    _K.MEDIA_TYPE: ("invalid_request_error", "unsupported_media_type"),
    _K.RATE_LIMIT: ("rate_limit_error", "rate_limit_exceeded"),
    _K.SERVER: ("server_error", "server_error"),
    _K.UPSTREAM: ("server_error", "upstream_error"),
    _K.TRUNCATED: ("server_error", "stream_incomplete"),
    _K.OVERLOADED: ("server_error", "server_is_overloaded"),
    _K.TIMEOUT: ("server_error", "timeout"),
}
"""``type`` and ``code`` by kind; every kind is in it. Codex reads the codes of context, quota, rate and overload."""

_STREAM_CODES: dict[ir.ErrorKind, str] = {
    _K.BAD_REQUEST: "invalid_prompt",
    _K.CONTEXT_LENGTH: "context_length_exceeded",
    _K.BILLING: "insufficient_quota",
    _K.RATE_LIMIT: "rate_limit_exceeded",
    _K.OVERLOADED: "server_is_overloaded",
}
"""Codes of ``response.failed`` that clients act on; any other kind is ``server_error``, which they try again."""


class _Body(msgspec.Struct, frozen=True):
    error: msgspec.Raw = msgspec.Raw(b"null")
    message: msgspec.Raw = msgspec.Raw(b"null")
    detail: msgspec.Raw = msgspec.Raw(b"null")
    code: msgspec.Raw = msgspec.Raw(b"null")
    type: msgspec.Raw = msgspec.Raw(b"null")
    param: msgspec.Raw = msgspec.Raw(b"null")


_body_decoder = json.decoder(_Body)


def decode_error(status: int, headers: Headers, body: bytes) -> ir.Error:
    """A provider's error answer, whatever its body is."""
    body = unframed(body)
    found = read_error(body)
    if found is None:
        found = ir.Error(_K.SERVER, page(body) or f"the provider answered with status {status}")
    return msgspec.structs.replace(
        found,
        kind=_kind(found, status),
        status=status,
        retry_after=statuses.retry_after(headers),
        dialect=wire.NAME,
        raw=body,
    )


def read_error(body: bytes | msgspec.Raw) -> ir.Error | None:
    """The error in a JSON object, in any vendor's shape; None where there is none. The kind is by its words alone."""
    try:
        outer = json.decode(body, _body_decoder)
    except RemoteProtocolError:
        return None
    kind = json.kind(outer.error)
    if kind == "object":
        inner = json.decode(outer.error, _body_decoder)
        error = _error(inner, outer)
    elif kind == "string":
        error = _error(outer, outer, _word(outer.error))
    elif not wire.is_null(outer.message) or not wire.is_null(outer.detail):
        error = _error(outer, outer)
    else:
        return None
    return msgspec.structs.replace(error, kind=_kind(error, None))


def _error(inner: _Body, outer: _Body, message: str | None = None) -> ir.Error:
    text = message or _word(inner.message) or _word(outer.message) or _word(outer.detail)
    return ir.Error(
        _K.SERVER,
        trimmed(text) if text else "the provider reported an error without a message",
        code=_word(inner.code),
        type=_word(inner.type),
        param=_word(inner.param),
    )


def _word(raw: msgspec.Raw) -> str | None:
    """A string, or any other JSON value as its text (``code`` is a number at some vendors)."""
    if wire.is_null(raw):
        return None
    if json.kind(raw) == "string":
        return json.decode(raw, wire.string_decoder)
    return bytes(raw).decode("utf-8", "replace")[:MAX_MESSAGE]


def _kind(error: ir.Error, status: int | None) -> ir.ErrorKind:
    for word in (error.code, error.type):
        kind = _BY_CODE.get(word or "")
        if kind in (_K.CONTEXT_LENGTH, _K.BILLING, _K.OVERLOADED, _K.NOT_FOUND):
            return kind
    if status in (None, 400, 413, 422) and _CONTEXT.search(error.message):
        return _K.CONTEXT_LENGTH
    if status is not None:
        return statuses.KINDS.get(status) or (_K.BAD_REQUEST if 400 <= status < 500 else _K.SERVER)
    if error.code is not None and error.code.isdigit():
        number = int(error.code)
        if 400 <= number < 600:
            return statuses.KINDS.get(number) or (_K.BAD_REQUEST if number < 500 else _K.SERVER)
    for word in (error.code, error.type):
        kind = _BY_CODE.get(word or "")
        if kind is not None:
            return kind
    return _K.SERVER


def encode_error(error: ir.Error, request_id: str | None) -> tuple[ClientHead, bytes]:
    """Status, headers and body; the provider's own body where it speaks this dialect (E1)."""
    headers = [("content-type", "application/json")]
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(0, -int(-error.retry_after // 1)))))
        headers.append(("retry-after-ms", str(int(error.retry_after * 1000))))
    if request_id is not None:
        headers.append(("x-request-id", request_id))
    # 529 is Anthropic's; clients of this dialect know 503 (E3).
    status = 503 if error.http_status == 529 else error.http_status
    if error.dialect == wire.NAME and error.raw is not None and _is_ours(error.raw):
        return ClientHead(status, tuple(headers)), error.raw
    type_, code = _WORDS[error.kind]
    body = {
        "error": {
            "message": error.message,
            "type": type_,
            "param": error.param,
            "code": (error.code if error.dialect in (None, wire.NAME) else None) or code,
        }
    }
    return ClientHead(status, tuple(headers)), json.encode(body)


def _is_ours(raw: bytes) -> bool:
    """Whether an error has the form clients of this dialect read; the vendors' other forms are put into it."""
    try:
        inner = json.decode(json.decode(raw, _body_decoder).error, _body_decoder)
    except RemoteProtocolError:
        return False
    return json.kind(inner.message) == "string"


def failed_object(error: ir.Error) -> dict[str, object]:
    """``response.error`` of a failed answer, as Codex reads it."""
    code = _STREAM_CODES.get(error.kind, "server_error")
    message = error.message
    if error.kind is _K.RATE_LIMIT and error.retry_after is not None and "try again in" not in message:
        message = f"{message.rstrip('.')}. Please try again in {error.retry_after:g}s."  # the words it looks for
    return {"code": code, "message": message}
