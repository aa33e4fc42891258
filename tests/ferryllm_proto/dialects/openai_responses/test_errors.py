"""Errors of Responses providers and for Responses clients."""

from __future__ import annotations

import pytest

from ferryllm_proto import ir, json
from ferryllm_proto.dialects.openai_responses import DIALECT
from ferryllm_proto.dialects.openai_responses.errors import _STREAM_CODES, _WORDS, failed_object
from ferryllm_proto.statuses import retry_after
from support import oracles

K = ir.ErrorKind


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (400, b'{"error":{"message":"m","type":"invalid_request_error","param":"p","code":"c"}}', K.BAD_REQUEST, "m"),
        (400, b'{"error":{"message":"m","code":"context_length_exceeded"}}', K.CONTEXT_LENGTH, "m"),
        (400, b'{"error":{"message":"exceeds the available context size","code":400}}', K.CONTEXT_LENGTH, None),
        (401, b'{"error":{"message":"m","code":"invalid_api_key"}}', K.AUTHENTICATION, "m"),
        (429, b'{"error":{"message":"m","code":"insufficient_quota"}}', K.BILLING, "m"),
        (429, b'{"error":{"message":"m"}}', K.RATE_LIMIT, "m"),
        (400, b'{"code":"invalid-argument","error":"text"}', K.BAD_REQUEST, "text"),
        (422, b'{"detail":[{"loc":["x"]}]}', K.BAD_REQUEST, '[{"loc":["x"]}]'),
        (400, b'{"message":"top"}', K.BAD_REQUEST, "top"),
        (502, b"<html>bad</html>", K.SERVER, "bad"),
        (503, b"Bad\n Gateway", K.OVERLOADED, "Bad Gateway"),
        (504, b"", K.TIMEOUT, "the provider answered with status 504"),
        (500, b"\xff\xfe", K.SERVER, "\ufffd\ufffd"),
        (529, b'{"error":{"type":"overloaded_error","message":"m"}}', K.OVERLOADED, "m"),
    ],
)
def test_e9_any_body_is_an_error(status: int, body: bytes, kind: K, message: str | None) -> None:
    error = DIALECT.decode_error(status, [], body)
    relayed = body.decode("utf-8", "replace").encode()  # no JSON of ours may hold what is no UTF-8
    assert (error.kind, error.status, error.dialect, error.raw) == (kind, status, "openai_responses", relayed)
    assert message is None or error.message == message


def test_e1_errors_of_the_same_dialect_are_relayed_verbatim() -> None:
    body = b'{"error": {"message":"m",  "odd":1}}'
    head, out = DIALECT.encode_error(DIALECT.decode_error(418, [], body))
    assert (head.status, out) == (418, body)


@pytest.mark.parametrize("kind", K)
def test_every_kind_has_words_the_sdk_understands(kind: K) -> None:
    assert kind in _WORDS
    head, body = DIALECT.encode_error(ir.Error(kind, "why", param="p"), request_id="req_1")
    error = json.loads(body)["error"]
    assert (error["message"], error["param"]) == ("why", "p")
    raised = oracles.error("openai_responses", head.status, dict(head.headers), body)
    assert "why" in str(raised)
    assert dict(head.headers)["x-request-id"] == "req_1"


def test_e3_overload_of_others_is_503() -> None:
    assert DIALECT.encode_error(ir.Error(K.OVERLOADED, "m", status=529))[0].status == 503


def test_e4_the_wait_is_kept() -> None:
    error = DIALECT.decode_error(429, [("Retry-After", "2")], b"{}")
    assert error.retry_after == 2
    head, _ = DIALECT.encode_error(ir.Error(K.RATE_LIMIT, "m", retry_after=1.2))
    assert ("retry-after", "2") in head.headers
    assert ("retry-after-ms", "1200") in head.headers


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([("retry-after-ms", "500"), ("retry-after", "9")], 0.5),
        ([("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], None),
        ([("retry-after", "-1")], None),
        ([("retry-after", "nan")], None),
        ([], None),
    ],
)
def test_waits_are_numbers_of_seconds(headers: list[tuple[str, str]], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_foreign_codes_are_not_shown_as_ours() -> None:
    _, body = DIALECT.encode_error(ir.Error(K.BAD_REQUEST, "m", code="odd", dialect="anthropic"))
    assert json.loads(body)["error"]["code"] is None


def test_e6_stream_codes_are_those_codex_acts_on() -> None:
    assert {failed_object(ir.Error(kind, "m"))["code"] for kind in K} == {*_STREAM_CODES.values(), "server_error"}
