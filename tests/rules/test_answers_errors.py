"""E1 to E12, M1, M4: errors of providers in the words of every client, judged by the SDKs' own exceptions."""

from __future__ import annotations

import gzip
import json
from typing import Any

import anthropic
import openai
import pytest

from ferryllm_proto import DIALECTS as TABLE
from ferryllm_proto import ir
from ferryllm_proto.translate import State
from support import grammar, oracles
from support.answers import DIALECTS, NATIVE, PAIRS, STREAM, WHOLE, Told, ask, tell, through
from support.native import gemini_error

ALL = [(entry, backend) for entry in DIALECTS for backend in DIALECTS]
MESSAGE = "the words of the provider"
OPENAI = b'{"error":{"message":"the words of the provider","type":"some_error","param":null,"code":null}}'
ANTHROPIC = (
    b'{"type":"error","error":{"type":"some_error","message":"the words of the provider"},"request_id":"req_up"}'
)
GEMINI = gemini_error(400, MESSAGE, "SOME_STATUS")
OLLAMA = b'{"error":"the words of the provider"}'
OWN: dict[str, bytes] = {
    "openai": OPENAI,
    "openai_responses": OPENAI,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "ollama": OLLAMA,
}


def refused(
    entry: str, backend: str, status: int, body: bytes, *headers: tuple[str, str], stream: bool = True
) -> tuple[Told, Exception]:
    told = tell(ask(entry, backend, stream=stream), body, status=status, headers=list(headers))
    assert told.state is State.FAILED
    seen = oracles.error(entry, told.status, told.headers, told.body)
    value: Any = told.json()
    assert told.message
    if isinstance(value, list):
        assert entry == backend == "gemini"  # relayed as it came
        (value,) = value
    assert entry == "ollama" or isinstance(value["error"], dict)
    if entry == "gemini" and value["error"]["status"] != "SOME_STATUS":
        assert set(value["error"]) <= {"code", "message", "status", "details"}
        assert value["error"]["status"].isupper()
    if entry == "anthropic":
        assert value["type"] == "error"
        assert isinstance(value["error"]["type"], str)
    return told, seen


SHAPES: dict[str, bytes] = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "azure": b'{"error":{"code":"401","message":"the words of the provider"}}',
    "mistral detail": b'{"detail":"the words of the provider"}',
    "mistral object": b'{"object":"error","message":"the words of the provider","type":"x","code":"1"}',
    "xai": b'{"code":"invalid-argument","error":"the words of the provider"}',
    "openrouter": b'{"error":{"message":"the words of the provider","code":400,"metadata":{"provider_name":"x","raw":"y"}},"user_id":"u"}',  # noqa: E501 - one error, as it came
    "llama.cpp": b'{"error":{"code":400,"message":"the words of the provider","type":"x"}}',
    "groq": b'{"error":{"message":"the words of the provider","type":"x","code":"tool_use_failed","failed_generation":"z"}}',  # noqa: E501 - one error, as it came
    "cohere": b'{"message":"the words of the provider"}',
    "fastapi": b'{"detail":[{"loc":["body"],"msg":"the words of the provider","type":"x"}]}',
    "html": b"<html><head><title>502</title></head><body><h1>the words of the provider</h1></body></html>",
    "text": b"the words\nof the provider\n",
    "sse": b'event: error\ndata: {"error":{"message":"the words of the provider"}}\n\n',
    "list": b'[{"error":{"message":"the words of the provider"}}]',
    "gemini": GEMINI,
    "gemini list": b"[%b]\n" % GEMINI,
    "ollama": OLLAMA,
}
BROKEN = [
    b"",
    b"   ",
    b"{",
    b"null",
    b"[]",
    b"{}",
    b'{"error":null}',
    b'{"error":{}}',
    b'{"error":{"message":5}}',
    b"\xff\xfe\x00",
    gzip.compress(OPENAI, mtime=0),
    b"[" * 100_000,
]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("entry", "backend"), ALL)
@pytest.mark.parametrize("shape", SHAPES)
def test_e1_e9_e10_every_shape_of_an_error_keeps_its_words_and_status(
    entry: str, backend: str, shape: str, stream: bool
) -> None:
    for status in (400, 422, 500):
        told, seen = refused(entry, backend, status, SHAPES[shape], stream=stream)
        assert told.status == status
        assert MESSAGE in str(seen)
        assert told.headers["content-type"].partition(";")[0] == "application/json"


@pytest.mark.parametrize(("entry", "backend"), ALL)
@pytest.mark.parametrize("body", BROKEN)
def test_e9_bodies_that_say_nothing_are_errors_all_the_same(entry: str, backend: str, body: bytes) -> None:
    told, seen = refused(entry, backend, 500, body)
    assert told.status == 500
    assert seen is not None


@pytest.mark.parametrize(("entry", "backend"), PAIRS)
def test_e9_keys_and_hosts_stay_here(entry: str, backend: str) -> None:
    key = "sk-proj-abcdefghijklmnop0123456789"
    body = json.dumps({"error": {"message": f"Incorrect API key provided: {key}.", "type": "x"}}).encode()
    told, _ = refused(entry, backend, 401, body)
    assert key.encode() not in told.body
    page = b"<html><title>llm-7.prod.internal | 502</title><p>upstream 10.1.2.3:8080 at https://llm-7.prod.internal/v1 died: bad gateway</p></html>"  # noqa: E501 - one error, as it came
    told, seen = refused(entry, backend, 502, page)
    assert b"prod.internal" not in told.body
    assert b"10.1.2.3" not in told.body
    assert "bad gateway" in str(seen)
    assert len(refused(entry, backend, 500, b"x" * 100_000)[0].body) < 3000


@pytest.mark.parametrize("backend", DIALECTS)
@pytest.mark.parametrize("stream", [True, False])
def test_e1_the_same_dialect_is_relayed_verbatim(backend: str, stream: bool) -> None:
    pretty = json.dumps(json.loads(OWN[backend]), indent=3).encode()
    for status in (400, 401, 403, 404, 418, 429, 500, 503, 529):
        told, _ = refused(backend, backend, status, pretty, stream=stream)
        assert (told.status, told.body) == (status, pretty)


ANTHROPIC_TYPES = {
    400: ("invalid_request_error", 400),
    401: ("authentication_error", 401),
    402: ("billing_error", 402),
    403: ("permission_error", 403),
    404: ("not_found_error", 404),
    413: ("request_too_large", 413),
    422: ("invalid_request_error", 422),
    429: ("rate_limit_error", 429),
    500: ("api_error", 500),
    502: ("api_error", 502),
    503: ("overloaded_error", 529),
    504: ("timeout_error", 504),
    529: ("overloaded_error", 529),
}


@pytest.mark.parametrize("backend", ["openai", "openai_responses"])
@pytest.mark.parametrize("status", ANTHROPIC_TYPES)
def test_e2_the_types_of_messages_by_status(backend: str, status: int) -> None:
    told, seen = refused("anthropic", backend, status, OPENAI)
    wanted, shown = ANTHROPIC_TYPES[status]
    assert told.json()["error"]["type"] == wanted
    assert told.status == shown
    assert isinstance(seen, anthropic.APIStatusError)


EXCEPTIONS: dict[int, type[Exception]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
    503: openai.InternalServerError,
}


@pytest.mark.parametrize("entry", ["openai", "openai_responses"])
@pytest.mark.parametrize("status", EXCEPTIONS)
def test_e1_the_sdk_raises_what_it_would_have_raised(entry: str, status: int) -> None:
    _, seen = refused(entry, "anthropic", status, ANTHROPIC)
    assert type(seen) is EXCEPTIONS[status]


@pytest.mark.parametrize(("entry", "code"), [("openai", "overloaded"), ("openai_responses", "server_is_overloaded")])
def test_e3_an_overload_is_503_for_clients_of_openai(entry: str, code: str) -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    told, _ = refused(entry, "anthropic", 529, body, ("retry-after", "7"))
    assert told.status == 503
    assert told.json()["error"]["type"] == "server_error"
    assert told.json()["error"]["code"] == code
    assert told.headers["retry-after"] == "7"


@pytest.mark.parametrize(("entry", "backend"), ALL)
def test_e4_what_says_when_to_come_back_survives(entry: str, backend: str) -> None:
    kept = [
        ("x-ratelimit-remaining-tokens", "0"),
        ("anthropic-ratelimit-requests-reset", "2026-11-21T05:00:00Z"),
        ("x-should-retry", "true"),
    ]
    told, _ = refused(
        entry, backend, 429, OWN[backend], ("Retry-After", "12"), *kept, ("set-cookie", "a=b"), ("server", "x")
    )
    assert told.headers["retry-after"] == "12"
    assert all(told.headers[name] == value for name, value in kept)
    assert "set-cookie" not in told.headers
    assert "server" not in told.headers
    date = "Sat, 21 Nov 2026 05:00:00 GMT"
    assert refused(entry, backend, 429, OWN[backend], ("retry-after", date))[0].headers["retry-after"] == date
    told, _ = refused(entry, backend, 429, OWN[backend], ("retry-after-ms", "1500"))
    assert told.headers["retry-after-ms"] == "1500"


OVERFLOWS: list[tuple[str, bytes]] = [
    (
        "gemini",
        gemini_error(
            400,
            "The input token count (9001) exceeds the maximum number of tokens allowed (8192).",
            "INVALID_ARGUMENT",
        ),
    ),
    (
        "gemini",
        b"[%b]" % gemini_error(400, "The input token count exceeds the maximum number of tokens", "INVALID_ARGUMENT"),
    ),
    ("ollama", b'{"error":"prompt is too long"}'),
    ("ollama", b'{"error":"the input length exceeds the context length"}'),
    (
        "ollama",
        b'{"error":"{\\"error\\":{\\"code\\":400,\\"message\\":\\"request (9001 tokens) exceeds the available context size (8192 tokens)\\"}}"}',  # noqa: E501 - one error, as it came
    ),
    (
        "openai",
        b'{"error":{"message":"This model\'s maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}',  # noqa: E501 - one error, as it came
    ),
    (
        "openai",
        b'{"error":{"message":"prompt token count of 9001 exceeds the limit of 8192","code":"model_max_prompt_tokens_exceeded"}}',  # noqa: E501 - one error, as it came
    ),
    ("openai", b'{"error":{"message":"Invalid input: string too long","code":"string_above_max_length"}}'),
    (
        "openai",
        b'{"error":{"message":"The input token count (9001) exceeds the maximum number of tokens allowed (8192).","code":400,"status":"INVALID_ARGUMENT"}}',  # noqa: E501 - one error, as it came
    ),
    (
        "openai",
        b'{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_prompt_tokens":9001,"n_ctx":8192}}',  # noqa: E501 - one error, as it came
    ),
    (
        "openai",
        b'{"object":"error","message":"This model\'s maximum context length is 8192 tokens.","type":"BadRequestError","param":null,"code":400}',  # noqa: E501 - one error, as it came
    ),
    (
        "openai_responses",
        b'{"error":{"message":"Your input exceeds the context window of this model.","type":"invalid_request_error","param":"input","code":"context_length_exceeded"}}',  # noqa: E501 - one error, as it came
    ),
    ("openai_responses", b'{"error":{"message":"too long","code":"string_above_max_length"}}'),
    (
        "anthropic",
        b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9001 tokens > 8192 maximum"}}',  # noqa: E501 - one error, as it came
    ),
    (
        "anthropic",
        b'{"type":"error","error":{"type":"invalid_request_error","message":"input length and `max_tokens` exceed context limit: 9001 + 100 > 8192"}}',  # noqa: E501 - one error, as it came
    ),
    (
        "anthropic",
        b'{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}',  # noqa: E501 - one error, as it came
    ),
]


@pytest.mark.parametrize(("backend", "body"), OVERFLOWS)
@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize("stream", [True, False])
def test_e5_e6_an_overflow_is_said_so_that_agents_compact(entry: str, backend: str, body: bytes, stream: bool) -> None:
    told, seen = refused(entry, backend, 400, body, stream=stream)
    assert told.status == 400
    assert told.error is not None
    assert told.error.kind is ir.ErrorKind.CONTEXT_LENGTH
    value = told.json()
    error = value[0]["error"] if isinstance(value, list) else value["error"]
    if entry == "anthropic":
        assert error["type"] == "invalid_request_error"
        known = ("prompt is too long", "input length and `max_tokens` exceed context limit")
        assert any(words in error["message"].lower() for words in known)
        if b"9001" in body and b"However" in body:
            assert "9001 tokens > 8192 maximum" in error["message"]
    elif entry == "gemini":
        assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    elif entry not in (backend, "ollama"):
        assert error["code"] == "context_length_exceeded"
        assert isinstance(seen, openai.BadRequestError)


@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize("backend", DIALECTS)
@pytest.mark.parametrize("rename", [True, False])
@pytest.mark.parametrize(
    "body",
    [
        OPENAI,
        ANTHROPIC,
        GEMINI,
        b"[%b]" % GEMINI,
        b'{"success":false,"message":"the words of the provider"}',
        b'{"error":"the words of the provider"}',
    ],
)
def test_e8_an_error_with_a_good_status_is_an_error(entry: str, backend: str, rename: bool, body: bytes) -> None:
    for stream in (True, False):
        told = tell(ask(entry, backend, stream=stream, rename=rename), body)
        assert told.state is State.FAILED
        assert told.status >= 400
        assert MESSAGE in str(oracles.error(entry, told.status, told.headers, told.body))


@pytest.mark.parametrize("entry", DIALECTS)
@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirects_are_errors_and_not_followed(entry: str, status: int) -> None:
    for backend in DIALECTS:
        told, seen = refused(entry, backend, status, b"", ("location", "https://elsewhere.example"))
        assert told.status == 502
        assert "redirect" in str(seen)
        assert "location" not in told.headers


@pytest.mark.parametrize(("entry", "backend"), ALL)
@pytest.mark.parametrize("stream", [True, False])
def test_e11_the_providers_request_id_is_shown_beside_ours(entry: str, backend: str, stream: bool) -> None:
    data = (STREAM if stream else WHOLE)[backend]
    told = tell(
        ask(entry, backend, stream=stream),
        data,
        headers=[("X-Request-Id", "up-1"), ("request-id", "up-2"), ("set-cookie", "a")],
    )
    assert told.headers["x-upstream-request-id"] == "up-1"
    assert "set-cookie" not in told.headers


@pytest.mark.parametrize(("entry", "backend"), ALL)
@pytest.mark.parametrize("stream", [True, False])
def test_m1_the_clients_name_is_everywhere_and_the_providers_nowhere(entry: str, backend: str, stream: bool) -> None:
    data = (STREAM if stream else WHOLE)[backend].replace(b'"real"', b'"Real-2026-01-01"')  # not as it was asked
    translator = ask(entry, backend, stream=stream, rename=True)
    told = tell(translator, data)
    assert told.state is State.DONE
    assert b"Real-2026-01-01" not in told.body
    if entry in NATIVE:
        lines = told.body.split(b"\r\n\r\n" if entry == "gemini" else b"\n") if stream else [told.body]
        found = [json.loads(line.removeprefix(b"data: ")) for line in lines if line]
        assert {value.get("modelVersion") or value.get("model") for value in found} == {"asked"}
    elif stream:
        found = [json.loads(payload) for _, payload in _frames(told.body) if payload.startswith("{")]
        models = [
            value.get("model") or (value.get("message") or value.get("response") or {}).get("model") for value in found
        ]
        assert set(models) - {None} == {"asked"}
        assert entry != "openai" or None not in models
    else:
        assert told.json()["model"] == "asked"
    assert translator.upstream_model == "Real-2026-01-01"


def _frames(data: bytes) -> list[tuple[str, str]]:
    return grammar.frames(data)


def test_m1_a_name_inside_the_text_stays() -> None:
    data = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"choices":[{"index":0,"delta":{"content":"\\"model\\":\\"real\\""}}],"model":"real"}\n\n'  # noqa: E501 - one error, as it came
    translator = ask("openai", "openai", rename=True)
    told = tell(translator, data * 3 + b"data: [DONE]\n\n")
    assert told.body == data.replace(b'"model":"real"}', b'"model":"asked"}') * 3 + b"data: [DONE]\n\n"


@pytest.mark.parametrize("name", [name for name in DIALECTS if name not in NATIVE])
def test_m4_models_lists_in_the_shape_of_the_client(name: str) -> None:
    models = [ir.Model("a/b:c", created=1_760_000_000), ir.Model("z")]
    value = json.loads(TABLE[name].encode_models(models))
    assert [entry["id"] for entry in value["data"]] == ["a/b:c", "z"]
    one = json.loads(TABLE[name].encode_model(models[0]))
    assert one == value["data"][0]
    if name == "anthropic":
        assert (value["first_id"], value["last_id"], value["has_more"]) == ("a/b:c", "z", False)
        anthropic.types.ModelInfo.model_validate(one)
    else:
        assert value["object"] == "list"
        openai.types.Model.model_validate(one)


@pytest.mark.parametrize("entry", DIALECTS)
def test_through_is_the_same_as_ask_and_tell(entry: str) -> None:
    for backend in DIALECTS:
        assert through(entry, backend, STREAM[backend]).body == tell(ask(entry, backend), STREAM[backend]).body
