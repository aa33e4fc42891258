"""E1 to E12, T7 and wire.md 7.9: errors of Gemini's providers in the words of every client, and for its clients."""

from __future__ import annotations

from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.translate import State
from support import oracles
from support.answers import DIALECTS, ask, tell
from support.native import gemini_error

ENTRIES = [name for name in DIALECTS if name != "gemini"]
ARRAY = "/v1beta/models/asked:streamGenerateContent"


def reason(word: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": word, "domain": "googleapis.com"}


WAIT = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
ERRORS: list[tuple[int, bytes, ir.ErrorKind]] = [
    (400, gemini_error(400, "bad", "INVALID_ARGUMENT"), ir.ErrorKind.BAD_REQUEST),
    (
        400,
        gemini_error(
            400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT", reason("API_KEY_INVALID")
        ),
        ir.ErrorKind.AUTHENTICATION,
    ),
    (401, gemini_error(401, "who", "UNAUTHENTICATED"), ir.ErrorKind.AUTHENTICATION),
    (403, gemini_error(403, "no", "PERMISSION_DENIED"), ir.ErrorKind.PERMISSION),
    (404, gemini_error(404, "models/x is not found", "NOT_FOUND"), ir.ErrorKind.NOT_FOUND),
    (429, gemini_error(429, "quota", "RESOURCE_EXHAUSTED", WAIT), ir.ErrorKind.RATE_LIMIT),
    (500, gemini_error(500, "oops", "INTERNAL"), ir.ErrorKind.SERVER),
    (503, gemini_error(503, "overloaded", "UNAVAILABLE"), ir.ErrorKind.OVERLOADED),
    (504, gemini_error(504, "late", "DEADLINE_EXCEEDED"), ir.ErrorKind.TIMEOUT),
]
TYPES = {
    ir.ErrorKind.BAD_REQUEST: "invalid_request_error",
    ir.ErrorKind.AUTHENTICATION: "authentication_error",
    ir.ErrorKind.PERMISSION: "permission_error",
    ir.ErrorKind.NOT_FOUND: "not_found_error",
    ir.ErrorKind.RATE_LIMIT: "rate_limit_error",
    ir.ErrorKind.SERVER: "api_error",
    ir.ErrorKind.OVERLOADED: "overloaded_error",
    ir.ErrorKind.TIMEOUT: "timeout_error",
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize(("status", "body", "kind"), ERRORS)
def test_7_9_e2_errors_of_gemini(
    entry: str, stream: bool, wrapped: bool, status: int, body: bytes, kind: ir.ErrorKind
) -> None:
    told = tell(ask(entry, "gemini", stream=stream), b"[%b]" % body if wrapped else body, status=status)
    assert told.error is not None
    assert told.error.kind is kind
    oracles.error(entry, told.status, told.headers, told.body)
    if entry == "anthropic":
        assert told.json()["error"]["type"] == TYPES[kind]
    if WAIT["retryDelay"].encode() in body:
        assert told.headers["retry-after"] == "35"
    assert told.status in (status, 529 if status == 503 else status)


CLIENT_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}


@pytest.mark.parametrize("backend", ENTRIES)
@pytest.mark.parametrize("status", CLIENT_STATUS)
def test_7_9_errors_for_a_client_of_gemini(backend: str, status: int) -> None:
    body = (
        b'{"type":"error","error":{"type":"some_error","message":"words"}}'
        if backend != "ollama"
        else b'{"error":"words"}'
    )
    told = tell(ask("gemini", backend), body, status=status, headers=[("retry-after", "7")])
    error = told.json()["error"]
    shown = 503 if status == 529 else status
    assert (error["code"], error["status"], told.status) == (shown, CLIENT_STATUS[status], shown)
    assert error["message"] == "words"
    assert error["details"] == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    assert told.headers["retry-after"] == "7"


@pytest.mark.parametrize("rename", [True, False])
@pytest.mark.parametrize("path", [None, ARRAY])
@pytest.mark.parametrize("wrapped", [True, False])
def test_t7_e12_an_error_first_is_a_true_status_on_pass_through(rename: bool, path: str | None, wrapped: bool) -> None:
    body = gemini_error(429, "quota", "RESOURCE_EXHAUSTED", WAIT)
    data = b"[%b]" % body if wrapped else b"data: %b\r\n\r\n" % body
    told = tell(ask("gemini", "gemini", rename=rename, path=path), data)
    assert told.state is State.FAILED
    assert told.status == 429
    assert told.error is not None
    assert told.error.retry_after == 34.5
    assert told.message == "quota"
