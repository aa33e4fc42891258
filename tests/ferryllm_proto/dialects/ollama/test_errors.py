"""Errors of the server and for its clients: a text, and a status."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.ollama import DIALECT, errors

K = ir.ErrorKind
ANSWERS: list[tuple[int, str, ir.ErrorKind]] = [
    (404, "model 'x' not found", K.NOT_FOUND),
    (404, 'model "x" not found, try pulling it first', K.NOT_FOUND),
    (400, '"x" does not support thinking', K.BAD_REQUEST),
    (400, "registry.ollama.ai/library/x does not support tools", K.BAD_REQUEST),
    (400, "the input length exceeds the context length", K.CONTEXT_LENGTH),
    (500, "llama runner: request (9000 tokens) exceeds the available context size", K.CONTEXT_LENGTH),
    (500, "model requires more system memory (5 GiB) than is available (1 GiB)", K.SERVER),
    (503, "server busy, please try again. maximum pending requests exceeded", K.OVERLOADED),
    (401, "unauthorized", K.AUTHENTICATION),
    (403, "forbidden", K.PERMISSION),
    (402, "pay", K.BILLING),
    (429, "slow", K.RATE_LIMIT),
    (418, "tea", K.BAD_REQUEST),
    (502, "gateway", K.UPSTREAM),
    (529, "full", K.OVERLOADED),
]


@pytest.mark.parametrize(("status", "text", "kind"), ANSWERS)
def test_errors_of_the_server_by_status_and_words(status: int, text: str, kind: ir.ErrorKind) -> None:
    body = json.dumps({"error": text}).encode()
    error = DIALECT.decode_error(status, (), body)
    assert (error.kind, error.message, error.status) == (kind, text, status)
    assert (error.dialect, error.raw) == ("ollama", body)


WORDS: list[tuple[bytes, ir.ErrorKind]] = [
    (b'{"error":"the input length exceeds the context length"}', K.CONTEXT_LENGTH),
    (b'{"error":"model \\"x\\" not found"}', K.NOT_FOUND),
    (b'{"error":"x does not support tools"}', K.BAD_REQUEST),
    (b'{"error":"server busy, please try again"}', K.OVERLOADED),
    (b'{"error":"unauthorized"}', K.AUTHENTICATION),
    (b'{"error":"you have reached your weekly usage limit"}', K.RATE_LIMIT),
    (b'{"error":"an error was encountered while running the model: unexpected EOF"}', K.UPSTREAM),
    (b'{"error":"x","status_code":429}', K.RATE_LIMIT),
    (b'{"error":"x","status_code":200}', K.UPSTREAM),
    (b'{"error":{"message":"context window is full"}}', K.CONTEXT_LENGTH),
    (b'{"error":{"x":1}}', K.UPSTREAM),
    (b'{"error":true}', K.UPSTREAM),
    (b"[]", K.UPSTREAM),
]


@pytest.mark.parametrize(("line", "kind"), WORDS)
def test_t8_errors_in_a_stream_are_known_by_their_words(line: bytes, kind: ir.ErrorKind) -> None:
    error = errors.in_band(line)
    assert error.kind is kind
    assert error.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><h1>Bad</h1> Gateway sk-abcdefghijkl</html>", "Bad Gateway [key]"),
        (b"", "the provider answered with status 502"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'{"message":"m"}', "m"),
        (b'{"error":null}', '{"error":null}'),
        (b'{"error":', '{"error":'),
        (b'data: {"error":"framed"}\n\n', "framed"),
    ],
)
def test_e9_any_body_is_a_sentence(body: bytes, message: str) -> None:
    error = DIALECT.decode_error(502, (), body)
    assert error.message == message
    assert error.kind is K.UPSTREAM


def test_e4_retry_after() -> None:
    assert DIALECT.decode_error(429, [("Retry-After", "7")], b"").retry_after == 7
    assert DIALECT.decode_error(429, [("retry-after-ms", "1500")], b"").retry_after == 1.5
    assert DIALECT.decode_error(429, [("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")], b"").retry_after is None
    head, _ = DIALECT.encode_error(ir.Error(K.RATE_LIMIT, "x", retry_after=1.2))
    assert ("retry-after", "2") in head.headers


@pytest.mark.parametrize("kind", K)
def test_every_kind_has_a_status_and_a_text(kind: ir.ErrorKind) -> None:
    head, body = DIALECT.encode_error(ir.Error(kind, 'a "b"'), request_id="r")
    assert json.loads(body) == {"error": 'a "b"'}
    assert head.status == ir.STATUS[kind]
    assert head.headers[0] == ("content-type", "application/json; charset=utf-8")


def test_an_overload_of_anthropic_is_one_here() -> None:
    assert DIALECT.encode_error(ir.Error(K.OVERLOADED, "x", status=529))[0].status == 503


def test_e1_the_same_dialect_is_relayed_and_others_are_dressed() -> None:
    own = ir.Error(K.AUTHENTICATION, "x", dialect="ollama", raw=b'{"error":"x","signin_url":"u"}')
    assert DIALECT.encode_error(own)[1] == own.raw
    for raw in (b'{"error":{"message":"x"}}', b"[]", b"{}"):
        other = ir.Error(K.AUTHENTICATION, "x", dialect="ollama", raw=raw)
        assert DIALECT.encode_error(other)[1] == b'{"error":"x"}'
    foreign = ir.Error(K.AUTHENTICATION, "x", dialect="openai", raw=b'{"error":"y"}')
    assert DIALECT.encode_error(foreign)[1] == b'{"error":"x"}'
