"""T6 to T9: how an error looks at every moment of an answer."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import ir
from ferryllm_proto.translate import State
from support import oracles
from support.answers import (
    DIALECTS,
    DONE,
    STREAM,
    ask,
    event,
    response_object,
    tell,
    through,
)
from support.native import (
    gemini_error,
    gemini_event,
)
from support.told import OPENING, TORN, failed, last_of

IN_BAND: list[tuple[str, bytes, ir.ErrorKind, int]] = [
    (
        "openai",
        b'data: {"error":{"message":"BOOM","type":"rate_limit_error","code":"rate_limit_exceeded"}}\n\n',
        ir.ErrorKind.RATE_LIMIT,
        429,
    ),
    (
        "openai",
        b'data: {"error":{"message":"BOOM","code":429,"metadata":{"provider_name":"x"}},"choices":[]}\n\n',
        ir.ErrorKind.RATE_LIMIT,
        429,
    ),
    (
        "openai",
        b'event: error\ndata: {"error":{"message":"BOOM","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"x"}}\n\n',  # noqa: E501 - one error, as it came
        ir.ErrorKind.BAD_REQUEST,
        400,
    ),
    (
        "openai",
        b'data: {"id":"g","model":"m","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"code":502,"message":"BOOM"}}\n\n',  # noqa: E501 - one error, as it came
        ir.ErrorKind.UPSTREAM,
        502,
    ),
    (
        "openai",
        b'data: {"object":"error","message":"BOOM","type":"BadRequestError","code":400}\n\n',
        ir.ErrorKind.BAD_REQUEST,
        400,
    ),
    ("openai", b'data: {"error":"BOOM"}\n\n', ir.ErrorKind.UPSTREAM, 502),
    ("anthropic", event("error", error={"type": "overloaded_error", "message": "BOOM"}), ir.ErrorKind.OVERLOADED, 529),
    ("anthropic", event("error", error={"type": "rate_limit_error", "message": "BOOM"}), ir.ErrorKind.RATE_LIMIT, 429),
    ("anthropic", event("error", error={"type": "api_error", "message": "BOOM"}), ir.ErrorKind.SERVER, 500),
    (
        "anthropic",
        event(
            "error", error={"type": "invalid_request_error", "message": "prompt is too long: 9 tokens > 8 maximum BOOM"}
        ),
        ir.ErrorKind.CONTEXT_LENGTH,
        400,
    ),
    (
        "openai_responses",
        event("error", code="rate_limit_exceeded", message="BOOM", param=None),
        ir.ErrorKind.RATE_LIMIT,
        429,
    ),
    (
        "openai_responses",
        event("error", error={"type": "server_error", "code": "server_is_overloaded", "message": "BOOM"}),
        ir.ErrorKind.OVERLOADED,
        503,
    ),
    (
        "openai_responses",
        event("response.failed", response=response_object("failed", error={"code": "server_error", "message": "BOOM"})),
        ir.ErrorKind.SERVER,
        500,
    ),
    (
        "openai_responses",
        event(
            "response.failed",
            response=response_object("failed", error={"code": "context_length_exceeded", "message": "BOOM"}),
        ),
        ir.ErrorKind.CONTEXT_LENGTH,
        400,
    ),
    (
        "openai_responses",
        event(
            "response.failed",
            response=response_object(
                "failed", error={"code": "rate_limit_exceeded", "message": "BOOM try again in 1.5s"}
            ),
        ),
        ir.ErrorKind.RATE_LIMIT,
        429,
    ),
    (
        "gemini",
        gemini_event(json.loads(gemini_error(429, "BOOM", "RESOURCE_EXHAUSTED"))),
        ir.ErrorKind.RATE_LIMIT,
        429,
    ),
    (
        "gemini",
        b"data: [%b]\r\n\r\n" % gemini_error(503, "BOOM", "UNAVAILABLE"),
        ir.ErrorKind.OVERLOADED,
        503,
    ),
    (
        "gemini",
        gemini_event(
            json.loads(
                gemini_error(
                    400,
                    "BOOM The input token count (9001) exceeds the maximum number of tokens allowed (8192).",
                    "INVALID_ARGUMENT",
                )
            )
        ),
        ir.ErrorKind.CONTEXT_LENGTH,
        400,
    ),
    ("gemini", gemini_event(json.loads(gemini_error(500, "BOOM", "INTERNAL"))), ir.ErrorKind.SERVER, 500),
    ("ollama", b'{"error":"BOOM: an error was encountered while running the model"}\n', ir.ErrorKind.UPSTREAM, 502),
    ("ollama", b'{"error":"BOOM: server busy, please try again"}\n', ir.ErrorKind.OVERLOADED, 503),
    ("ollama", b'{"error":"BOOM","status_code":429}\n', ir.ErrorKind.RATE_LIMIT, 429),
    ("ollama", b'{"error":"BOOM: prompt is too long"}\n', ir.ErrorKind.CONTEXT_LENGTH, 400),
]
STATUS_SHOWN = {("anthropic", 503): 529, **{(name, 529): 503 for name in DIALECTS if name != "anthropic"}}


@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize(("backend", "data", "kind", "status"), IN_BAND)
def test_t6_t8_an_error_behind_content_is_the_clients_error_event(
    entry: str, backend: str, data: bytes, kind: ir.ErrorKind, status: int
) -> None:
    told = through(entry, backend, TORN[backend] + data + (DONE if backend == "openai" else b""))
    assert told.state is State.FAILED
    assert told.status == 200
    assert told.error is not None
    assert told.error.kind is kind
    assert told.error.http_status == status
    assert b"BOOM" in told.body
    if entry == backend:
        return
    failed(entry, told)
    last = last_of(entry, told)
    if entry == "gemini":
        wanted = {
            ir.ErrorKind.RATE_LIMIT: "RESOURCE_EXHAUSTED",
            ir.ErrorKind.OVERLOADED: "UNAVAILABLE",
            ir.ErrorKind.BAD_REQUEST: "INVALID_ARGUMENT",
            ir.ErrorKind.CONTEXT_LENGTH: "INVALID_ARGUMENT",
        }
        assert last["error"]["status"] == wanted.get(kind, "INTERNAL")
        assert last["error"]["code"] == STATUS_SHOWN.get((entry, status), status)
    elif entry == "ollama":
        assert "BOOM" in last["error"]
    elif entry == "anthropic":
        wanted = {
            ir.ErrorKind.RATE_LIMIT: "rate_limit_error",
            ir.ErrorKind.OVERLOADED: "overloaded_error",
            ir.ErrorKind.BAD_REQUEST: "invalid_request_error",
            ir.ErrorKind.CONTEXT_LENGTH: "invalid_request_error",
        }
        assert last["error"]["type"] == wanted.get(kind, "api_error")
        assert kind is not ir.ErrorKind.CONTEXT_LENGTH or "prompt is too long" in last["error"]["message"]
    elif entry == "openai":
        wanted = {
            ir.ErrorKind.RATE_LIMIT: "rate_limit_exceeded",
            ir.ErrorKind.OVERLOADED: "overloaded",
            ir.ErrorKind.CONTEXT_LENGTH: "context_length_exceeded",
        }
        assert kind not in wanted or last["error"]["code"] == wanted[kind]
    else:
        wanted = {
            ir.ErrorKind.RATE_LIMIT: "rate_limit_exceeded",
            ir.ErrorKind.OVERLOADED: "server_is_overloaded",
            ir.ErrorKind.CONTEXT_LENGTH: "context_length_exceeded",
            ir.ErrorKind.BAD_REQUEST: "invalid_prompt",
        }
        assert last["response"]["error"]["code"] == wanted.get(kind, "server_error")


@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("opening", [True, False])
@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize(("backend", "data", "kind", "status"), IN_BAND)
def test_t7_t8_an_error_before_content_is_a_true_status(
    entry: str, stream: bool, opening: bool, apart: bool, backend: str, data: bytes, kind: ir.ErrorKind, status: int
) -> None:
    first = OPENING[backend] if opening else b""
    translator = ask(entry, backend, stream=stream)
    told = tell(translator, *((first, data) if apart else (first + data,)))
    assert told.state is State.FAILED
    assert told.error is not None
    assert told.error.kind is kind
    assert told.status == (status if entry == backend else STATUS_SHOWN.get((entry, status), status))
    assert "BOOM" in str(oracles.error(entry, told.status, told.headers, told.body))


@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize(("backend", "data", "kind", "status"), IN_BAND)
def test_t9_exactly_one_error_and_nothing_behind_it(
    entry: str, backend: str, data: bytes, kind: ir.ErrorKind, status: int
) -> None:
    if entry == backend:
        pytest.skip("bytes that pass are the provider's")
    rest = STREAM[backend]
    told = through(entry, backend, TORN[backend] + data, data + rest, rest)
    failed(entry, told)
    assert told.body.count(b"BOOM") == 1
