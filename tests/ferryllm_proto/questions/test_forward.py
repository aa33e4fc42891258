"""Paths handed to a provider as they are: bytes both ways, only allowed headers, and a record of what it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferryllm_proto import ir
from ferryllm_proto.entries import Entry, Forward, NoEntry, Operation, find
from ferryllm_proto.questions.forward import METHODS, Forwarding, find_usage
from ferryllm_proto.translate import State

JSON = (("content-type", "application/json"),)
FORM = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a.bin"\r\n\r\n\x00\xff\r\n--x--\r\n'


def ask(
    method: str = "POST", target: str = "/v1/images", body: bytes = b"{}", **options: Any
) -> tuple[Forwarding, Any]:
    headers = options.pop("headers", JSON)
    path = options.pop("path", target)
    one = Forwarding(entry="openai", backend="openai", method=method, target=target, **options)
    return one, one.receive_request(body, headers, path)


@pytest.mark.parametrize("method", METHODS)
def test_method_path_query_and_body_are_the_clients(method: str) -> None:
    _, sent = ask(method, "/v1/files/f_1/content", FORM, path="/files/f_1/content?limit=2&after=x%20y")
    assert (sent.method, sent.path, sent.query, sent.body) == (
        method, "/v1/files/f_1/content", "limit=2&after=x%20y", FORM,
    )  # fmt: skip
    assert not sent.stream


def test_e14_only_headers_that_mean_something_go_along() -> None:
    given = (
        ("Content-Type", "multipart/form-data; boundary=x"),
        ("Accept", "audio/mpeg"),
        ("Range", "bytes=0-9"),
        ("OpenAI-Beta", "assistants=v2"),
        ("Idempotency-Key", "i"),
        ("Authorization", "Bearer client"),
        ("X-Api-Key", "client"),
        ("Cookie", "a=b"),
        ("X-Forwarded-For", "10.0.0.1"),
        ("Connection", "keep-alive"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "gzip"),
        ("Host", "gateway"),
    )
    _, sent = ask(headers=given)
    assert dict(sent.headers) == {
        "content-type": "multipart/form-data; boundary=x",
        "accept": "audio/mpeg",
        "range": "bytes=0-9",
        "openai-beta": "assistants=v2",
        "idempotency-key": "i",
    }


def test_a_provider_of_messages_gets_its_version_and_the_betas() -> None:
    one = Forwarding(entry="anthropic", backend="anthropic", method="GET", target="/v1/files")
    sent = one.receive_request(b"", (("anthropic-beta", "files-api-2025-04-14"),), "/v1/files")
    assert sent is not None
    assert dict(sent.headers) == {
        "accept": "*/*",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "files-api-2025-04-14",
    }, "and no type, which only bodies have"


def test_n5_keys_in_the_query_are_the_gateways() -> None:
    _, sent = ask(path="/v1/images?key=secret&a=1&API_KEY=secret&access_token=secret")
    assert sent.query == "a=1"


@pytest.mark.parametrize(
    "target",
    [
        "/v1/files/../models",
        "/v1/files/%2e%2e/models",
        "/v1/files/.%2E",
        "/v1/files/..%2fmodels",
        "/v1/files/..\\x",
        "/v1/files/..%5Cx",
        "/v1/files/%252e%252e/models",
        "/v1/files/%25252e./models",
        "/v1/files/x%252f..%252fmodels",
        "/v1/files/..;/models",
        "/v1/files/%2e%2e%3bx/models",
        "/v1/files/..%c0%afmodels",
        "/v1/files/%C0%AE%C0%AE/models",
        "/v1/files/%2525252525",
    ],
)
def test_no_path_leads_out_of_what_was_opened(target: str) -> None:
    one, sent = ask(target=target)
    assert sent is None
    assert one.head is not None
    assert one.head.status == 400
    assert json.loads(one.receive_eof())["error"]["message"]


@pytest.mark.parametrize(
    "target", ["/v1/files/a..b", "/v1/files/...", "/v1/files/100%25", "/v1/files/x;y", "/v1/files/%C3%A9"]
)
def test_other_paths_pass_as_they_are_written(target: str) -> None:
    _, sent = ask(target=target)
    assert sent is not None
    assert sent.path == target


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", ""])
def test_other_methods_do_not_pass(method: str) -> None:
    one, sent = ask(method)
    assert sent is None
    assert one.head is not None
    assert one.head.status == 405


def test_the_answer_passes_as_it_comes() -> None:
    one, _ = ask()
    head = one.receive_response_head(
        201,
        (
            ("Content-Type", "audio/mpeg"), ("Content-Length", "4"), ("Content-Disposition", "attachment"),
            ("x-ratelimit-remaining", "3"), ("x-request-id", "up_1"), ("Set-Cookie", "a=b"), ("Server", "x"),
            ("Transfer-Encoding", "chunked"), ("access-control-allow-origin", "*"),
        ),
    )  # fmt: skip
    assert head is not None
    assert head.status == 201
    assert dict(head.headers) == {
        "content-type": "audio/mpeg",
        "content-length": "4",
        "content-disposition": "attachment",
        "x-ratelimit-remaining": "3",
        "x-upstream-request-id": "up_1",
    }
    assert one.receive_data(b"\x00\xff") == b"\x00\xff", "at once"
    assert one.receive_data(b"\x01\x02") == b"\x01\x02"
    assert one.receive_eof() == b""
    assert (one.state, one.complete, one.error, one.losses) == (State.DONE, True, None, [])


def test_nothing_of_a_long_answer_is_kept_but_its_end() -> None:
    one, _ = ask()
    one.receive_response_head(200, ())
    for _ in range(50):
        assert one.receive_data(b"x" * 100_000)
    one.receive_data(b'"}],"usage":{"input_tokens":9,"output_tokens":4}}')
    assert len(one._tail) <= 1 << 15
    one.receive_eof()
    assert one.usage is not None
    assert (one.usage.input, one.usage.output) == (9, 4)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        (b'{"usage":{"prompt_tokens":5,"total_tokens":5}}', (5, None, None)),
        (b'{"data":[1], "usage" : {"input_tokens": 7, "output_tokens": 3} }', (7, None, 3)),
        (b'{"usage":{"prompt_tokens":9,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}', (5, 4, 2)),
        (b'{"usage":{"input_tokens":9,"output_tokens":2,"cache_read_input_tokens":4}}', (9, 4, 2)),
        (b'data: {"type":"x"}\n\ndata: {"type":"done","usage":{"input_tokens":1,"output_tokens":2}}\n\n', (1, None, 2)),
        (b'cut off here {"usage":{"input_tokens":1}', (1, None, None)),
    ],
)
def test_token_counts_are_found_in_every_kind_of_answer(tail: bytes, expected: tuple[int, int | None, int]) -> None:
    usage = find_usage(tail)
    assert usage is not None
    assert (usage.input, usage.cache_read, usage.output) == expected


@pytest.mark.parametrize(
    "tail",
    [
        b"", b"\x00\xff", b'"usage"', b'{"usage":null}', b'{"usage":{"type":"duration","seconds":3}}', b'{"usage":[',
        b'{"text":"the word \\"usage\\": {\\"input_tokens\\":5}"}', b'{"usage":{"input_tokens":"many"}}', b'"usage":{',
        b'{"usage":{"input_tokens":-5000,"output_tokens":1}}', b'{"usage":{"output_tokens":-1}}',
    ],
)  # fmt: skip
def test_what_is_no_count_is_none(tail: bytes) -> None:
    assert find_usage(tail) is None


def test_the_model_of_a_json_body_is_for_the_record() -> None:
    assert ask(body=b' {"model":"gpt-image-1","prompt":"x"}')[0].model == "gpt-image-1"
    for body in (FORM, b"", b"{", b"[]", b'{"model":5}'):
        assert ask(body=body)[0].model == ""


def test_e1_the_providers_error_passes_and_is_on_record() -> None:
    one, _ = ask()
    body = b'{"error":{"message":"no such file","type":"invalid_request_error","code":null,"param":null}}'
    head = one.receive_response_head(404, JSON)
    assert head is not None
    assert head.status == 404
    assert one.receive_data(body) == body
    assert one.receive_eof() == b""
    assert one.error is not None
    assert (one.error.kind, one.error.message) == (ir.ErrorKind.NOT_FOUND, "no such file")
    assert one.state is State.FAILED


def test_redirects_are_not_handed_out() -> None:
    one, _ = ask("GET")
    head = one.receive_response_head(302, (("location", "https://elsewhere.example/"),))
    assert head is not None
    assert head.status == 502
    assert one.receive_data(b"moved") == b""
    assert b"elsewhere" not in one.receive_eof()


@given(st.data(), st.sampled_from(["openai", "anthropic", "gemini"]), st.integers(200, 599), st.binary(max_size=400))
def test_nothing_a_provider_sends_breaks_it(data: st.DataObject, backend: str, status: int, body: bytes) -> None:
    one = Forwarding(entry="openai", backend=backend, method="GET", target="/v1/files")
    one.receive_request(b"", (), "/v1/files")
    one.receive_response_head(status, (("content-type", "application/json"),))
    passes = one.state is State.RELAY
    out = b""
    at = 0
    while at < len(body):
        size = data.draw(st.integers(1, 50))
        out += one.receive_data(body[at : at + size])
        at += size
    out += one.receive_eof()
    assert (out == body) is passes or not body
    assert one.state in (State.DONE, State.FAILED)


def test_a_loss_before_the_head_is_an_error_and_within_the_answer_a_cut() -> None:
    one, _ = ask()
    body = one.fail(ir.Error(ir.ErrorKind.UPSTREAM, "refused"))
    assert json.loads(body)["error"]["message"] == "refused"
    assert one.head is not None
    assert (one.head.status, one.cut) == (502, False)
    one, _ = ask()
    one.receive_response_head(200, ())
    one.receive_data(b"half")
    assert one.fail(ir.Error(ir.ErrorKind.TRUNCATED, "reset")) == b""
    assert (one.cut, one.state) == (True, State.FAILED)


# --- the doors -----------------------------------------------------------------------------------------------

OPEN = (
    Forward("/v1/files/special", "other"),
    Forward("/v1/files", "main"),
    Forward("/v1beta/cachedContents", "gem", "gemini"),
)


@pytest.mark.parametrize(
    ("method", "path", "provider", "target"),
    [
        ("POST", "/v1/files", "main", "/v1/files"),
        ("GET", "/files", "main", "/v1/files"),
        ("GET", "/v1/v1/files/", "main", "/v1/files"),
        ("DELETE", "/v1/files/f_1", "main", "/v1/files/f_1"),
        ("GET", "/v1/files/f_1/content", "main", "/v1/files/f_1/content"),
        ("GET", "/v1/files/special/x", "other", "/v1/files/special/x"),
        ("GET", "/v1beta/cachedContents/1", "gem", "/v1beta/cachedContents/1"),
    ],
)
def test_what_is_below_a_path_goes_with_it(method: str, path: str, provider: str, target: str) -> None:
    entry = find(method, path, (), OPEN)
    assert isinstance(entry, Entry)
    assert (entry.operation, entry.provider, entry.target) == (Operation.FORWARD, provider, target)


@pytest.mark.parametrize("path", ["/v1/filesystem", "/v1/file", "/v2/files", "/"])
def test_nothing_else_is_opened(path: str) -> None:
    found = find("POST", path, (), OPEN)
    assert isinstance(found, NoEntry) or found.operation is not Operation.FORWARD
