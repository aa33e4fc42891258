"""Errors of Chat Completions, both directions, and those of all the servers that speak it nearly (wire.md 2.5)."""

from __future__ import annotations

import math
import re

import msgspec

from ... import ir, json, statuses
from ...dialect import ClientHead, Headers
from ...error_text import MAX_MESSAGE, page, trimmed, unframed
from ...errors import RemoteProtocolError

NAME = "openai"


class _Body(msgspec.Struct, frozen=True):
    """Every shape seen: OpenAI's object, xAI's string, Mistral's and FastAPI's ``detail``, Cohere's ``message``."""

    error: msgspec.Raw = msgspec.Raw()
    message: msgspec.Raw = msgspec.Raw()
    detail: msgspec.Raw = msgspec.Raw()
    type: msgspec.Raw = msgspec.Raw()
    code: msgspec.Raw = msgspec.Raw()
    param: msgspec.Raw = msgspec.Raw()
    metadata: msgspec.Raw = msgspec.Raw()


_body = json.decoder(_Body)
_text = json.decoder(str)

_BY_STATUS = {status: kind for kind, status in reversed(ir.STATUS.items())} | {
    400: ir.ErrorKind.BAD_REQUEST,
    408: ir.ErrorKind.TIMEOUT,
    422: ir.ErrorKind.BAD_REQUEST,
    500: ir.ErrorKind.SERVER,
    502: ir.ErrorKind.UPSTREAM,
    503: ir.ErrorKind.OVERLOADED,
    529: ir.ErrorKind.OVERLOADED,
}

_BY_WORD = {
    "context_length_exceeded": ir.ErrorKind.CONTEXT_LENGTH,
    "string_above_max_length": ir.ErrorKind.CONTEXT_LENGTH,
    "model_max_prompt_tokens_exceeded": ir.ErrorKind.CONTEXT_LENGTH,
    "exceed_context_size_error": ir.ErrorKind.CONTEXT_LENGTH,
    "invalid_api_key": ir.ErrorKind.AUTHENTICATION,
    "authentication_error": ir.ErrorKind.AUTHENTICATION,
    "insufficient_quota": ir.ErrorKind.BILLING,
    "billing_error": ir.ErrorKind.BILLING,
    "permission_error": ir.ErrorKind.PERMISSION,
    "model_not_found": ir.ErrorKind.NOT_FOUND,
    "not_found_error": ir.ErrorKind.NOT_FOUND,
    "rate_limit_exceeded": ir.ErrorKind.RATE_LIMIT,
    "rate_limit_error": ir.ErrorKind.RATE_LIMIT,
    "overloaded": ir.ErrorKind.OVERLOADED,
    "overloaded_error": ir.ErrorKind.OVERLOADED,
    "service_unavailable": ir.ErrorKind.OVERLOADED,
    "timeout": ir.ErrorKind.TIMEOUT,
    "timeout_error": ir.ErrorKind.TIMEOUT,
    "request_too_large": ir.ErrorKind.TOO_LARGE,
    "server_error": ir.ErrorKind.SERVER,
    "internal_server_error": ir.ErrorKind.SERVER,
    "tool_use_failed": ir.ErrorKind.BAD_REQUEST,
    "invalid_request_error": ir.ErrorKind.BAD_REQUEST,
}

# Words of vLLM, llama.cpp, OpenAI, Gemini behind OpenRouter.
_CONTEXT = re.compile(
    r"maximum context length|exceeds? the (?:available )?context|context length exceeded|prompt is too long"
    r"|input token count.{0,40}exceeds|exceeds the maximum number of tokens",
    re.IGNORECASE,
)


def decode_error(status: int, headers: Headers, body: bytes) -> ir.Error:
    """A provider's error answer, whatever its body is."""
    body = unframed(body)
    error = _from_body(body, status)
    delay, raw = statuses.retry_after(headers), body if _is_json(body) else None
    return msgspec.structs.replace(error, status=status, retry_after=delay, dialect=NAME, raw=raw)


def in_band(body: bytes) -> ir.Error:
    """An error that came with status 200: in a stream, or as the body of an answer."""
    return msgspec.structs.replace(_from_body(body, None), dialect=NAME, raw=body if _is_json(body) else None)


def has_error(raw: bytes | msgspec.Raw) -> bool:
    """Whether an ``error`` field says that there is one; SDKs look for a truthy value."""
    return bytes(raw) not in (b"", b"null", b'""', b"{}", b"[]", b"false", b"0")


def is_bare(chunk: bytes) -> bool:
    """Whether a chunk without choices is itself an error, as Mistral and vLLM write them."""
    return b'"error"' in chunk and b'"message"' in chunk


def _is_json(body: bytes) -> bool:
    try:
        json.fields(body)
    except RemoteProtocolError:
        return False
    return True


def _from_body(body: bytes, status: int | None) -> ir.Error:
    try:
        outer = json.decode(body, _body)
    except RemoteProtocolError:
        return ir.Error(_kind(status, None, None, ""), _page(body, status))
    inner = outer
    if json.kind(outer.error) == "object":
        try:
            inner = json.decode(outer.error, _body)
        except RemoteProtocolError:
            inner = outer
    message = (
        _word(inner.message)
        or (_word(outer.error) if json.kind(outer.error) == "string" else None)
        or _word(inner.detail)
        or _word(outer.detail)
        or _word(outer.message)
        or _nested(outer.detail)
        or _page(b"", status)
    )
    code, type_ = _word(inner.code), _word(inner.type)
    if status is None and code is not None and code.isdigit() and 400 <= int(code) <= 599:
        status = int(code)  # OpenRouter and llama.cpp put the status there
    kind = _kind(status, code, type_, message)
    return ir.Error(kind, trimmed(message), status=status, code=code, type=type_, param=_word(inner.param))


def _word(raw: msgspec.Raw) -> str | None:
    """A string, or a number as one: ``code`` is either."""
    kind = json.kind(raw)
    if kind == "string":
        try:
            return json.decode(raw, _text) or None
        except RemoteProtocolError:
            return None
    return bytes(raw).decode("ascii", "replace")[:20] if kind == "number" else None


def _nested(raw: msgspec.Raw) -> str | None:
    """FastAPI's list of problems, as it is."""
    if json.kind(raw) not in ("array", "object"):
        return None
    return bytes(raw).decode("utf-8", "replace")[:MAX_MESSAGE]


def _page(body: bytes, status: int | None) -> str:
    """HTML, plain text or nothing as a sentence (E9)."""
    return page(body) or (f"the provider answered with status {status}" if status else "the provider reported an error")


def _kind(status: int | None, code: str | None, type_: str | None, message: str) -> ir.ErrorKind:
    """What it is: the code knows best, then the words of the message, then the status."""
    by_code = _BY_WORD.get(code or "") or _BY_WORD.get(type_ or "")
    if by_code is ir.ErrorKind.CONTEXT_LENGTH or (status in (None, 400, 413, 500) and _CONTEXT.search(message)):
        return ir.ErrorKind.CONTEXT_LENGTH
    by_status = None if status is None else _BY_STATUS.get(status)
    if by_status is None and status is not None:
        by_status = ir.ErrorKind.BAD_REQUEST if status < 500 else ir.ErrorKind.SERVER
    # A vague word (invalid_request_error and server_error stand on everything) yields to the status.
    vague = by_code in (ir.ErrorKind.BAD_REQUEST, ir.ErrorKind.SERVER)
    if by_code is None or (vague and by_status is not None):
        return by_status or ir.ErrorKind.UPSTREAM
    return by_code


# --- to clients ------------------------------------------------------------------------------------------

_WORDS: dict[ir.ErrorKind, tuple[str, str | None]] = {
    ir.ErrorKind.BAD_REQUEST: ("invalid_request_error", None),
    ir.ErrorKind.CONTEXT_LENGTH: ("invalid_request_error", "context_length_exceeded"),
    ir.ErrorKind.AUTHENTICATION: ("invalid_request_error", "invalid_api_key"),
    ir.ErrorKind.BILLING: ("insufficient_quota", "insufficient_quota"),
    ir.ErrorKind.PERMISSION: ("permission_error", None),
    ir.ErrorKind.NOT_FOUND: ("invalid_request_error", "model_not_found"),
    ir.ErrorKind.METHOD: ("invalid_request_error", "method_not_allowed"),
    ir.ErrorKind.CONFLICT: ("invalid_request_error", "conflict"),
    ir.ErrorKind.TOO_LARGE: ("invalid_request_error", "request_too_large"),
    ir.ErrorKind.MEDIA_TYPE: ("invalid_request_error", "unsupported_media_type"),
    ir.ErrorKind.RATE_LIMIT: ("rate_limit_error", "rate_limit_exceeded"),
    ir.ErrorKind.SERVER: ("server_error", None),
    ir.ErrorKind.UPSTREAM: ("server_error", "upstream_error"),
    ir.ErrorKind.TRUNCATED: ("server_error", "stream_incomplete"),
    ir.ErrorKind.OVERLOADED: ("server_error", "overloaded"),
    ir.ErrorKind.TIMEOUT: ("server_error", "timeout"),
}
"""Type and code of every kind."""


def body(error: ir.Error) -> bytes:
    """The error object; that of a Chat provider as it said it."""
    if error.dialect == NAME and error.raw is not None and _is_ours(error.raw):
        return error.raw
    type_, code = _WORDS[error.kind]
    code = error.code if error.dialect in (None, NAME) and error.code is not None else code
    return json.encode({"error": {"message": error.message, "type": type_, "param": error.param, "code": code}})


def _is_ours(raw: bytes) -> bool:
    """Whether an error has the form clients of this dialect read; the vendors' other forms are put into it."""
    try:
        inner = json.decode(json.decode(raw, _body).error, _body)
    except RemoteProtocolError:
        return False
    return json.kind(inner.message) == "string"


def line(error: ir.Error) -> bytes:
    """The error object on one line, for a stream."""
    # JSON has line ends between its tokens only.
    return body(error).replace(b"\r", b" ").replace(b"\n", b" ")


def encode_error(error: ir.Error, request_id: str | None) -> tuple[ClientHead, bytes]:
    """Status, headers and body for a Chat client."""
    headers = [("content-type", "application/json")]
    if request_id is not None:
        headers.append(("x-request-id", request_id))
    if error.retry_after is not None:
        headers.append(("retry-after", str(math.ceil(error.retry_after))))
        if error.retry_after != math.ceil(error.retry_after):
            headers.append(("retry-after-ms", str(round(error.retry_after * 1000))))
    status = error.http_status
    # 529 is Anthropic's own; OpenAI's clients know 503 (E3).
    return ClientHead(503 if status == 529 else status, tuple(headers)), body(error)


def remote(error: ir.Error) -> RemoteProtocolError:
    """``error`` as the exception of a one-shot decoder."""
    exc = RemoteProtocolError(error.message, kind=error.kind)
    exc.error = error
    return exc
