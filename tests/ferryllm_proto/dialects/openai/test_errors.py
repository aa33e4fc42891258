"""Errors of every shape in, OpenAI's out."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai import DIALECT

K = ir.ErrorKind


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, b'{"error":{"message":"m","type":"invalid_request_error","param":"p","code":null}}', K.BAD_REQUEST, "m"),
        (400, b'{"error":{"message":"m","code":"context_length_exceeded"}}', K.CONTEXT_LENGTH, "m"),
        (400, b'{"error":{"message":"maximum context length is 5 tokens"}}', K.CONTEXT_LENGTH, "maximum context"),
        (400, b'{"error":{"code":400,"message":"exceeds the available context size"}}', K.CONTEXT_LENGTH, "exceeds"),
        (401, b'{"error":{"code":"401","message":"m"}}', K.AUTHENTICATION, "m"),
        (401, b'{"detail":"Invalid API Key"}', K.AUTHENTICATION, "Invalid API Key"),
        (400, b'{"object":"error","message":"m","type":"t","code":1500}', K.BAD_REQUEST, "m"),
        (400, b'{"code":"invalid-argument","error":"text"}', K.BAD_REQUEST, "text"),
        (402, b'{"error":{"message":"m","code":402,"metadata":{}}}', K.BILLING, "m"),
        (429, b'{"error":{"message":"m","code":"insufficient_quota"}}', K.BILLING, "m"),
        (429, b'{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}', K.RATE_LIMIT, "m"),
        (422, b'{"detail":[{"loc":["body"],"msg":"bad"}]}', K.BAD_REQUEST, '"msg":"bad"'),
        (404, b'{"error":{"message":"m","code":"model_not_found"}}', K.NOT_FOUND, "m"),
        (413, b"<html><head><style>x{}</style></head><h1>Too  Large</h1></html>", K.TOO_LARGE, "Too Large"),
        (500, b"", K.SERVER, "status 500"),
        (502, b"Bad Gateway", K.UPSTREAM, "Bad Gateway"),
        (503, b"\xff\xfe", K.OVERLOADED, ""),
        (529, b"{}", K.OVERLOADED, "status 529"),
        (418, b"[]", K.BAD_REQUEST, "[]"),
        (599, b"{", K.SERVER, "{"),
        (400, b'{"error":{"message":5}}', K.BAD_REQUEST, "5"),
        (400, b'{"error":[]}', K.BAD_REQUEST, "status 400"),
        (400, b'{"error":{"message":"' + b"x" * 10_000 + b'"}}', K.BAD_REQUEST, "x" * 100),
    ],
)
def test_e1_e9_every_shape_of_an_error(status: int, body: bytes, kind: ir.ErrorKind, message: str) -> None:
    error = DIALECT.decode_error(status, (), body)
    assert error.kind is kind
    assert message in error.message
    assert len(error.message) <= 2000
    assert (error.status, error.dialect) == (status, "openai")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((("Retry-After", "30"),), 30.0),
        ((("retry-after", "1"), ("retry-after-ms", "1500")), 1.5),
        ((("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),), None),
        ((("retry-after", "-1"),), None),
        ((), None),
    ],
)
def test_e4_retry_after(headers: tuple[tuple[str, str], ...], seconds: float | None) -> None:
    assert DIALECT.decode_error(429, headers, b"{}").retry_after == seconds


@pytest.mark.parametrize("kind", list(ir.ErrorKind))
def test_every_kind_has_openais_words_and_comes_back_as_it_was(kind: ir.ErrorKind) -> None:
    head, body = DIALECT.encode_error(ir.Error(kind, "sentence", retry_after=1.5), request_id="r1")
    found = json.loads(body)["error"]
    assert set(found) == {"message", "type", "param", "code"}
    assert (found["message"], head.status) == ("sentence", ir.STATUS[kind])
    waits = {"retry-after": "2", "retry-after-ms": "1500"}  # the first is of whole seconds (RFC 9110, 10.2.3)
    assert dict(head.headers) == {"content-type": "application/json", "x-request-id": "r1", **waits}
    again = DIALECT.decode_error(head.status, head.headers, body)
    same = {K.TRUNCATED: K.UPSTREAM}
    assert again.kind is same.get(kind, kind)


def test_e1_the_same_dialect_is_relayed_verbatim() -> None:
    body = b'{ "error": {"message":"m","failed_generation":"x"} }'
    assert DIALECT.encode_error(DIALECT.decode_error(400, (), body))[1] == body
    page = DIALECT.decode_error(502, (), b"<h1>nginx</h1>")
    assert json.loads(DIALECT.encode_error(page)[1])["error"]["message"] == "nginx"


def test_e3_overloaded_is_503_for_openai_clients() -> None:
    head, body = DIALECT.encode_error(ir.Error(K.OVERLOADED, "busy", status=529, dialect="anthropic"))
    assert head.status == 503
    assert json.loads(body)["error"]["code"] == "overloaded"
    assert json.loads(body)["error"]["type"] == "server_error"


def test_codes_of_other_dialects_are_not_shown_as_ours() -> None:
    error = ir.Error(K.RATE_LIMIT, "m", code="their_code", dialect="anthropic", raw=b'{"type":"error"}')
    assert json.loads(DIALECT.encode_error(error)[1])["error"]["code"] == "rate_limit_exceeded"
