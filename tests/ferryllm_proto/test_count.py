"""Counting tokens: asked of the provider where it can count, estimated and marked where it can not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import Translator, ir
from ferryllm_proto.count import COUNT_PATH, CountTokens
from ferryllm_proto.translate import MAX_ERROR_BODY, State

BODY: dict[str, Any] = {"model": "mine", "messages": [{"role": "user", "content": "How many tokens are in this?"}]}
DATA = json.dumps(BODY).encode()
JSON = (("content-type", "application/json"),)


def estimate(body: dict[str, Any]) -> int:
    count = CountTokens(native=False)
    assert count.receive_request(json.dumps(body).encode()) is None
    tokens = json.loads(count.receive_eof())["input_tokens"]
    assert isinstance(tokens, int)
    return tokens


# --- native ------------------------------------------------------------------------------------------------


def test_the_providers_bytes_are_the_clients_but_for_the_model() -> None:
    count = CountTokens(native=True, model="real")
    odd = b'{ "messages":[{"role":"user","content":"\\ud83d"}] ,"unknown":1.50, "model" : "mine"}'
    sent = count.receive_request(odd, (("anthropic-beta", "x"), ("cookie", "a=b")), f"{COUNT_PATH}?beta=true")
    assert sent is not None
    assert (sent.method, sent.path, sent.query, sent.stream) == ("POST", COUNT_PATH, "beta=true", False)
    assert sent.body == odd.replace(b'"mine"', b'"real"')
    names = [name for name, _ in sent.headers]
    assert "anthropic-version" in names
    assert ("anthropic-beta", "x") in sent.headers
    assert "cookie" not in names
    assert (count.model, count.state, count.complete) == ("mine", State.HEAD, False)


@pytest.mark.parametrize("model", [None, "mine"])
def test_without_another_name_not_a_byte_changes(model: str | None) -> None:
    count = CountTokens(native=True, model=model)
    sent = count.receive_request(DATA)
    assert sent is not None
    assert sent.body == DATA
    assert sent.query == ""


def test_the_providers_count_goes_through_byte_by_byte() -> None:
    count = CountTokens(native=True)
    count.receive_request(DATA)
    head = count.receive_response_head(200, (*JSON, ("set-cookie", "a=b"), ("anthropic-ratelimit-x", "5")))
    assert head is not None
    assert head.status == 200
    assert ("anthropic-ratelimit-x", "5") in head.headers
    assert "set-cookie" not in [name for name, _ in head.headers]
    answer = b'{"input_tokens": 14, "more": 1.0}'
    out = b"".join(count.receive_data(bytes([byte])) for byte in answer)
    assert not count.complete
    assert out + count.receive_eof() == answer
    assert count.complete
    assert (count.error, count.losses, count.cut) == (None, [], False)
    assert count.receive_eof() == b""


def test_e1_the_providers_refusal_keeps_status_and_words() -> None:
    count = CountTokens(native=True, request_id="req_1")
    count.receive_request(DATA)
    assert count.receive_response_head(429, (*JSON, ("retry-after", "3"))) is None
    assert count.receive_data(b'{"type":"error","error":{"type":"rate_limit_error",') == b""
    assert count.receive_data(b'"message":"slow down"}}') == b""
    body = json.loads(count.receive_eof())
    assert count.head is not None
    assert (count.head.status, body["error"]["message"]) == (429, "slow down")
    assert ("retry-after", "3") in count.head.headers
    assert count.state is State.FAILED


def test_an_endless_refusal_is_held_within_a_bound() -> None:
    count = CountTokens(native=True)
    count.receive_request(DATA)
    count.receive_response_head(500, JSON)
    for _ in range(40):
        assert count.receive_data(b"x" * (MAX_ERROR_BODY // 10)) == b""
    assert sum(map(len, count._body)) <= MAX_ERROR_BODY
    assert json.loads(count.receive_eof())["type"] == "error"


@pytest.mark.parametrize("status", [302, 404, 503])
def test_any_other_status_is_an_error_of_the_dialect(status: int) -> None:
    count = CountTokens(native=True)
    count.receive_request(DATA)
    count.receive_response_head(status, (("location", "http://evil.example"),))
    body = count.receive_eof()
    assert count.head is not None
    assert count.head.status >= 400
    assert b"evil" not in body
    assert json.loads(body)["error"]["message"]


def test_a_provider_lost_before_its_head_is_an_error_status() -> None:
    count = CountTokens(native=True)
    count.receive_request(DATA)
    body = count.fail(ir.Error(ir.ErrorKind.UPSTREAM, "refused"))
    assert count.head is not None
    assert (count.head.status, json.loads(body)["error"]["message"]) == (502, "refused")
    assert (count.state, count.cut) == (State.FAILED, False)
    assert count.fail(ir.Error(ir.ErrorKind.UPSTREAM, "again")) == b""


def test_a_provider_lost_within_its_count_cuts_the_answer() -> None:
    count = CountTokens(native=True)
    count.receive_request(DATA)
    count.receive_response_head(200, JSON)
    count.receive_data(b'{"input_')
    assert count.fail(ir.Error(ir.ErrorKind.TRUNCATED, "reset")) == b""
    assert (count.state, count.cut, count.complete) == (State.FAILED, True, False)
    assert count.receive_eof() == b""


def test_a_provider_lost_behind_its_count_is_nobodys_loss() -> None:
    count = CountTokens(native=True)
    count.receive_request(DATA)
    count.receive_response_head(200, JSON)
    count.receive_data(b'{"input_tokens":1}')
    count.receive_eof()
    assert count.fail(ir.Error(ir.ErrorKind.TRUNCATED, "reset")) == b""
    assert (count.state, count.error) == (State.DONE, None)


def test_nothing_is_held_and_nothing_pinged() -> None:
    count = CountTokens(native=True)
    count.receive_request(DATA)
    assert (count.commit(), count.ping(), count.stream) == (b"", b"", False)


# --- estimated ---------------------------------------------------------------------------------------------


def test_an_estimate_says_that_it_is_one() -> None:
    count = CountTokens(native=False, model="real")
    assert count.receive_request(DATA) is None
    assert count.head is not None
    assert (count.head.status, count.state, count.complete) == (200, State.DONE, True)
    assert dict(count.head.headers)["x-ferryllm-estimate"] == "input_tokens"
    body = json.loads(count.receive_eof())
    assert list(body) == ["input_tokens"]
    assert 4 <= body["input_tokens"] <= 20
    assert count.receive_eof() == b"", "once"


def test_more_content_counts_more() -> None:
    least = estimate(BODY)
    system = estimate({**BODY, "system": "You are a helpful assistant. " * 20})
    tool = {"name": "f", "description": "does " * 50, "input_schema": {"type": "object", "properties": {}}}
    tools = estimate({**BODY, "tools": [tool]})
    assert least < tools
    assert least < system
    assert estimate({**BODY, "system": "You are a helpful assistant. " * 20, "tools": [tool]}) > max(system, tools)


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b'{"model":5}', b"\xff", b'{"model":' + b"[" * 100_000]
)
def test_broken_bodies_are_a_400_of_the_dialect(native: bool, body: bytes) -> None:
    count = CountTokens(native=native, request_id="req_1")
    assert count.receive_request(body) is None
    assert count.head is not None
    assert count.head.status == 400
    assert json.loads(count.receive_eof())["error"]["type"] == "invalid_request_error"
    assert count.state is State.FAILED


@pytest.mark.parametrize(
    "body",
    [{"model": "m"}, {"model": "m", "messages": 5}, {"model": "m", "messages": [{"role": "martian", "content": "x"}]}],
)
def test_what_can_not_be_understood_can_not_be_estimated(body: dict[str, Any]) -> None:
    count = CountTokens(native=False)
    assert count.receive_request(json.dumps(body).encode()) is None
    assert count.head is not None
    assert count.head.status == 400


def test_it_has_the_shape_of_a_translator() -> None:
    """An `Exchange` runs either: whatever it asks of one, the other has."""
    one, other = CountTokens(native=True), Translator(entry="anthropic", backend="anthropic")
    needed = {
        "state", "head", "usage", "finish_reason", "error", "losses", "model", "upstream_model", "stream", "cut",
        "complete", "receive_request", "receive_response_head", "receive_data", "receive_eof", "fail", "commit", "ping",
    }  # fmt: skip
    assert all(hasattr(one, name) and hasattr(other, name) for name in needed)
