"""Errors of providers, whatever their shape, and errors for clients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.anthropic import DIALECT


def decode(status: int, body: bytes, *headers: tuple[str, str]) -> ir.Error:
    return DIALECT.decode_error(status, headers, body)


def official(type_: str, message: str = "m") -> bytes:
    return json.dumps({"type": "error", "error": {"type": type_, "message": message}, "request_id": "r"}).encode()


@pytest.mark.parametrize(
    ("status", "type_", "kind"),
    [
        (400, "invalid_request_error", ir.ErrorKind.BAD_REQUEST),
        (401, "authentication_error", ir.ErrorKind.AUTHENTICATION),
        (402, "billing_error", ir.ErrorKind.BILLING),
        (403, "permission_error", ir.ErrorKind.PERMISSION),
        (404, "not_found_error", ir.ErrorKind.NOT_FOUND),
        (409, "conflict_error", ir.ErrorKind.CONFLICT),
        (413, "request_too_large", ir.ErrorKind.TOO_LARGE),
        (429, "rate_limit_error", ir.ErrorKind.RATE_LIMIT),
        (500, "api_error", ir.ErrorKind.SERVER),
        (504, "timeout_error", ir.ErrorKind.TIMEOUT),
        (529, "overloaded_error", ir.ErrorKind.OVERLOADED),
    ],
)
def test_e2_official_errors_there_and_back(status: int, type_: str, kind: ir.ErrorKind) -> None:
    body = official(type_)
    error = decode(status, body)
    assert (error.kind, error.status, error.type, error.message, error.raw) == (kind, status, type_, "m", body)
    head, relayed = DIALECT.encode_error(error)
    assert (head.status, relayed) == (status, body)
    foreign = ir.Error(kind, "m", status=status, dialect="openai")
    head, made = DIALECT.encode_error(foreign)
    assert (head.status, json.loads(made)) == (status, {"type": "error", "error": {"type": type_, "message": "m"}})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (405, ir.ErrorKind.METHOD),
        (408, ir.ErrorKind.TIMEOUT),
        (415, ir.ErrorKind.MEDIA_TYPE),
        (418, ir.ErrorKind.BAD_REQUEST),
        (422, ir.ErrorKind.BAD_REQUEST),
        (502, ir.ErrorKind.UPSTREAM),
        (503, ir.ErrorKind.OVERLOADED),
        (302, ir.ErrorKind.UPSTREAM),
    ],
)
def test_the_status_speaks_where_the_body_does_not(status: int, kind: ir.ErrorKind) -> None:
    error = decode(status, b"")
    assert (error.kind, error.message) == (kind, f"the provider answered with status {status}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"words"}', "words"),
        (b'{"error":{"type":3,"message":"words"}}', "words"),
        (b'{"message":"words"}', "words"),
        (b'{"detail":"words"}', "words"),
        (b'{"detail":[{"loc":1}]}', '[{"loc":1}]'),
        (b"<html><style>p{}</style><h1>Bad  Gateway</h1></html>", "Bad Gateway"),
        (b": Bad Gateway", ": Bad Gateway"),
        (b"{broken", "{broken"),
        (b'{"x":1}', "the provider answered with status 502"),
        (b"\xff\xfe", "�" * 2),
    ],
)
def test_e9_other_shapes(body: bytes, message: str) -> None:
    assert decode(502, body).message == message


def test_e9_messages_are_short_and_without_keys() -> None:
    assert len(decode(500, b"x" * 100_000).message) < 2100
    assert "sk-ant" not in decode(401, official("authentication_error", "bad key sk-ant-REDACTED")).message


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ((("Retry-After", "3"),), 3.0),
        ((("retry-after", "3"), ("retry-after-ms", "250")), 0.25),
        ((("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT"),), None),
        ((("retry-after", "-1"),), None),
        ((("retry-after", "inf"),), None),
        ((), None),
    ],
)
def test_e4_retry_after(headers: tuple[tuple[str, str], ...], seconds: float | None) -> None:
    assert decode(429, b"", *headers).retry_after == seconds


def test_e4_retry_after_reaches_the_client() -> None:
    head, _ = DIALECT.encode_error(ir.Error(ir.ErrorKind.RATE_LIMIT, "m", retry_after=1.5), request_id="req_1")
    assert head.headers == (
        ("content-type", "application/json"),
        ("request-id", "req_1"),
        ("retry-after", "2"),
        ("retry-after-ms", "1500"),
    )


def test_the_request_id_is_in_the_body() -> None:
    _, body = DIALECT.encode_error(ir.Error(ir.ErrorKind.SERVER, "m"), request_id="req_1")
    assert json.loads(body)["request_id"] == "req_1"


def test_e2_an_overload_is_529() -> None:
    for status in (None, 503, 529):
        assert DIALECT.encode_error(ir.Error(ir.ErrorKind.OVERLOADED, "m", status=status))[0].status == 529


@pytest.mark.parametrize(
    ("message", "wanted"),
    [
        ("prompt is too long: 5 tokens > 4 maximum", "prompt is too long: 5 tokens > 4 maximum"),
        (
            "This model's maximum context length is 1,000 tokens. However, your messages resulted in 1,200 tokens.",
            "prompt is too long: 1200 tokens > 1000 maximum (This model's",
        ),
        (
            "the request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
            "prompt is too long: 5000 tokens > 4096 maximum (the request",
        ),
        ("input too big", "prompt is too long (input too big)"),
    ],
)
def test_e5_overflows_say_what_claude_code_looks_for(message: str, wanted: str) -> None:
    head, body = DIALECT.encode_error(ir.Error(ir.ErrorKind.CONTEXT_LENGTH, message))
    error: dict[str, Any] = json.loads(body)["error"]
    assert (head.status, error["type"]) == (400, "invalid_request_error")
    assert error["message"].startswith(wanted)


@pytest.mark.parametrize(
    "body",
    [
        official("invalid_request_error", "prompt is too long: 5 tokens > 4 maximum"),
        official("exceed_context_size_error", "the request exceeds the available context size"),
        official("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
    ],
)
def test_e5_overflows_are_recognised(body: bytes) -> None:
    assert decode(400, body).kind is ir.ErrorKind.CONTEXT_LENGTH


def test_every_kind_of_error_can_be_said() -> None:
    for kind in ir.ErrorKind:
        head, body = DIALECT.encode_error(ir.Error(kind, "m"))
        assert head.status >= 400
        assert json.loads(body)["error"]["type"].endswith(("_error", "_large"))
