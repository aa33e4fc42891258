from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.gemini import DIALECT, errors
from ferryllm_proto.json import Raw

K = ir.ErrorKind


def _body(code: int, status: str, message: str = "no", **fields: Any) -> bytes:
    return json.dumps({"error": {"code": code, "message": message, "status": status, **fields}}).encode()


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        (400, "INVALID_ARGUMENT", K.BAD_REQUEST),
        (400, "FAILED_PRECONDITION", K.BAD_REQUEST),
        (401, "UNAUTHENTICATED", K.AUTHENTICATION),
        (403, "PERMISSION_DENIED", K.PERMISSION),
        (404, "NOT_FOUND", K.NOT_FOUND),
        (429, "RESOURCE_EXHAUSTED", K.RATE_LIMIT),
        (500, "INTERNAL", K.SERVER),
        (503, "UNAVAILABLE", K.OVERLOADED),
        (504, "DEADLINE_EXCEEDED", K.TIMEOUT),
    ],
)
def test_e1_kinds_of_errors(code: int, status: str, kind: K) -> None:
    body = _body(code, status)
    for raw in (body, b"[" + body + b"]", b"data: " + body + b"\r\n\r\n"):
        error = DIALECT.decode_error(code, (), raw)
        assert (error.kind, error.status, error.type, error.message) == (kind, code, status, "no")
        assert error.raw is not None


def test_a_wrong_key_is_400_here() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    error = DIALECT.decode_error(400, (), _body(400, "INVALID_ARGUMENT", details=details))
    assert (error.kind, error.code) == (K.AUTHENTICATION, "API_KEY_INVALID")


def test_e4_the_time_to_wait_is_in_the_details_or_a_header() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    body = _body(429, "RESOURCE_EXHAUSTED", details=details)
    assert DIALECT.decode_error(429, (), body).retry_after == 34.5
    assert DIALECT.decode_error(429, (("Retry-After", "7"),), body).retry_after == 7
    assert DIALECT.decode_error(429, (("retry-after", "Wed, 21 Oct 2015"),), _body(429, "X")).retry_after is None


@pytest.mark.parametrize("wait", ["9" * 400 + "s", "9999999999s", "-1s", "nans", "infs", "\u0663s"])
def test_a_time_to_wait_that_is_none_breaks_nothing(wait: str) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": wait}]
    error = DIALECT.decode_error(429, (), _body(429, "RESOURCE_EXHAUSTED", details=details))
    assert error.retry_after is None
    DIALECT.encode_error(error)


def test_e5_an_input_too_long_is_told_apart() -> None:
    message = "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576)."
    error = DIALECT.decode_error(400, (), _body(400, "INVALID_ARGUMENT", message))
    assert (error.kind, error.code) == (K.CONTEXT_LENGTH, "context_length_exceeded")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><body>Bad Gateway</body></html>", "Bad Gateway"),
        (b"", "the provider answered with status 502"),
        (b"[]", "[]"),
        (b'{"error":"text"}', "text"),
        (b'{"error":{"message":7}}', "7"),
        (b'{"message":"bare"}', "bare"),
        (b"\xff\xfe{", "\ufffd\ufffd{"),
    ],
)
def test_e9_whatever_the_body_is(body: bytes, message: str) -> None:
    error = DIALECT.decode_error(502, (), body)
    assert (error.kind, error.message) == (K.UPSTREAM, message)


def test_t8_an_error_in_a_stream_has_the_status_it_would_have_had() -> None:
    error = errors.in_band(_body(429, "RESOURCE_EXHAUSTED"))
    assert (error.kind, error.status) == (K.RATE_LIMIT, 429)
    assert errors.in_band(b'{"error":{"message":"x"}}').kind is K.UPSTREAM
    assert errors.in_band(b'{"response":{"error":{"message":"x","status":"UNAVAILABLE"}}}').kind is K.OVERLOADED


@pytest.mark.parametrize("value", [b"null", b"{}", b'""', b"false", b""])
def test_an_empty_error_is_none(value: bytes) -> None:
    assert not errors.says_error(Raw(value))


@pytest.mark.parametrize("kind", list(K))
def test_every_kind_has_its_words(kind: K) -> None:
    head, body = DIALECT.encode_error(ir.Error(kind, "why"))
    found = json.loads(body)["error"]
    assert found["code"] == head.status == ir.Error(kind, "").http_status
    assert (found["message"], found["status"].isupper()) == ("why", True)


def test_retry_info_is_where_clients_look_for_it() -> None:
    head, body = DIALECT.encode_error(ir.Error(K.RATE_LIMIT, "slow", retry_after=1.5), request_id="r")
    assert dict(head.headers)["retry-after"] == "2"
    assert json.loads(body)["error"]["details"][0]["retryDelay"] == "1.5s"
    assert DIALECT.decode_error(429, (), body).retry_after == 1.5


def test_e1_the_own_dialects_error_is_relayed_whole() -> None:
    raw = b"[" + _body(404, "NOT_FOUND") + b"]"
    assert DIALECT.encode_error(DIALECT.decode_error(404, (), raw))[1] == raw
    strange = DIALECT.decode_error(404, (), b'{"detail":"x"}')
    assert json.loads(DIALECT.encode_error(strange)[1])["error"]["status"] == "NOT_FOUND"
