"""What is special about this dialect: the default stream, its content type, and which answer is whole."""

from __future__ import annotations

import pytest

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.dialects.ollama import DIALECT

from .build import line

NDJSON = [("Content-Type", "application/x-ndjson")]
JSON = [("content-type", "application/json; charset=utf-8")]


def test_it_is_registered() -> None:
    assert DIALECTS["ollama"] is DIALECT
    assert (DIALECT.provider, DIALECT.request_path, DIALECT.sse) == ("ollama", "/api/chat", False)
    assert DIALECT.event_ends == (b"\n",)
    assert DIALECT.stream_type("/api/chat") == "application/x-ndjson"


LAST = line("a", done=True, done_reason="stop")


@pytest.mark.parametrize(
    ("stream", "headers", "data", "whole"),
    [
        (True, NDJSON, line("a"), False),
        (True, JSON, line("a"), False),
        (True, [], LAST, False),
        (False, JSON, line("a"), False),
        (False, [], line("a"), False),
        (False, JSON, line("a")[:-1], False),
        (False, JSON, LAST, True),
        (False, JSON, LAST[:-1], True),
        (False, JSON, LAST[:20], None),
        (False, JSON, b'{\n "model"', True),
        (False, JSON, b'{"error":', True),
        (False, NDJSON, line("a"), False),
        (False, JSON, b"data: {}", False),
        (False, JSON, b"[", True),
        (True, JSON, b"[", True),
    ],
)
def test_s10_which_answer_is_whole(
    stream: bool, headers: list[tuple[str, str]], data: bytes, whole: bool | None
) -> None:
    assert DIALECT.is_whole(data, stream=stream, headers=headers) is whole


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/api/generate?x=1", None])
def test_g2_the_same_door_gets_the_same_bytes(path: str | None) -> None:
    body = b'{ "model" : "alias",  "prompt":"\\u0041", "x":1e3 }'
    upstream = DIALECT.pass_request(body, stream=True, model="m", headers=[("x-secret", "s")], path=path)
    assert upstream.body == body.replace(b'"alias"', b'"m"')
    assert upstream.path == ("/api/generate" if path and "generate" in path else "/api/chat")
    assert upstream.headers == (("content-type", "application/json"),)
    assert DIALECT.pass_request(body, stream=True, path=path, target="/other").path == "/other"


def test_a_request_of_the_thin_form_goes_back_there() -> None:
    request = DIALECT.decode_request(b'{"model":"m","prompt":"p"}', path="/api/generate")
    assert DIALECT.encode_request(request)[0].path == "/api/generate"
    assert request.turns[0].role is ir.Role.USER
