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


@pytest.mark.parametrize(
    ("stream", "headers", "whole"),
    [
        (True, NDJSON, False),
        (True, JSON, False),
        (True, [], False),
        (False, JSON, True),
        (False, [], True),
        (False, NDJSON, False),
    ],
)
def test_s10_which_answer_is_whole(stream: bool, headers: list[tuple[str, str]], whole: bool) -> None:
    assert DIALECT.is_whole(line("a"), stream=stream, headers=headers) is whole


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
