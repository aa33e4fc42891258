"""Text completions: bytes for providers of Chat, a message and its answer everywhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.loss import LossPolicy
from ferryllm_proto.questions.completions import MAX_TOKENS, PATH, Completions
from ferryllm_proto.translate import State

BODY: dict[str, Any] = {"model": "mine", "prompt": "Once upon", "max_tokens": 30}
OTHERS = sorted(set(DIALECTS) - {"openai"})
WHOLE = json.dumps(
    {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "real",
        "content": [{"type": "text", "text": " a time"}],
        "stop_reason": "max_tokens",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 2},
    }
).encode()
EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "message_start", "message": {**json.loads(WHOLE), "content": [], "stop_reason": None}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " a"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " time"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 2},
    },
    {"type": "message_stop"},
)
STREAM = b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in EVENTS)


def ask(backend: str, body: dict[str, Any] | bytes = BODY, **options: Any) -> tuple[Completions, Any]:
    one = Completions(backend=backend, **options)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return one, one.receive_request(data, (), PATH)


def refused(one: Completions) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(one.receive_eof())["error"]
    assert one.head is not None
    assert (one.head.status, one.state) == (400, State.FAILED)
    return body


# --- native --------------------------------------------------------------------------------------------------


def test_g1_a_provider_of_chat_gets_the_clients_bytes_at_its_own_path() -> None:
    body = b'{ "prompt":[1,2], "suffix":"x","echo":true ,"model" : "mine","odd":1.50}'
    one, sent = ask("openai", body, model="real")
    assert (sent.method, sent.path) == ("POST", "/v1/completions")
    assert sent.body == body.replace(b'"mine"', b'"real"')
    one.receive_response_head(200, (("content-type", "application/json"),))
    choice = b'{"text":"x","index":0,"logprobs":null,"finish_reason":"stop"}'
    usage = b'"usage":{"prompt_tokens":2,"completion_tokens":1,"total_tokens":3}}'
    answer = b'{"id":"cmpl-1","object":"text_completion","model":"real","choices":[' + choice + b"]," + usage
    out = one.receive_data(answer) + one.receive_eof()
    assert out == answer.replace(b'"real"', b'"mine"')
    assert (one.complete, one.losses) == (True, [])
    assert one.usage is not None
    assert one.usage.output == 1


def test_a_native_stream_begins_with_its_first_text() -> None:
    one, sent = ask("openai", {**BODY, "stream": True})
    assert sent.stream
    one.receive_response_head(200, (("content-type", "text/event-stream"),))
    first = b'data: {"id":"c","object":"text_completion","choices":[{"text":" a","index":0,"finish_reason":null}]}\n\n'
    assert one.receive_data(first) == first
    assert one.head is not None
    rest = first.replace(b"null", b'"stop"') + b"data: [DONE]\n\n"
    assert one.receive_data(rest) + one.receive_eof() == rest
    assert one.state is State.DONE


def test_t7_a_native_stream_that_begins_with_an_error_is_a_status() -> None:
    one, _ = ask("openai", {**BODY, "stream": True})
    one.receive_response_head(200, (("content-type", "text/event-stream"),))
    out = (
        one.receive_data(b'data: {"error":{"message":"slow down","code":"rate_limit_exceeded"}}\n\n')
        + one.receive_eof()
    )
    assert one.head is not None
    assert one.head.status == 429
    assert b"slow down" in out


# --- translated ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", OTHERS)
def test_the_prompt_becomes_one_message(backend: str) -> None:
    one, sent = ask(backend, {**BODY, "prompt": ["Once upon"], "temperature": 0.5}, model="real")
    assert sent is not None
    assert b"Once upon" in sent.body
    assert b"30" in sent.body
    assert [str(loss).partition(":")[0] for loss in one.losses if loss.path == "prompt"] == ["degraded prompt"]
    assert (one.model, one.stream) == ("mine", False)


def test_a_whole_answer_is_a_text_completion() -> None:
    one, _ = ask("anthropic", model="real", now=1700000000)
    one.receive_response_head(200, ())
    body = json.loads(one.receive_data(WHOLE) + one.receive_eof())
    assert body["object"] == "text_completion"
    assert (body["model"], body["created"]) == ("mine", 1700000000)
    assert body["choices"] == [{"text": " a time", "index": 0, "logprobs": None, "finish_reason": "length"}]
    assert body["usage"]["total_tokens"] == 5
    assert one.head is not None
    assert "degraded prompt" in dict(one.head.headers)["x-ferryllm-loss"]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_stream_is_one_of_text_completions(size: int) -> None:
    one, _ = ask("anthropic", {**BODY, "stream": True, "stream_options": {"include_usage": True}}, now=1700000000)
    one.receive_response_head(200, (("content-type", "text/event-stream"),))
    out = b"".join(one.receive_data(STREAM[at : at + size]) for at in range(0, len(STREAM), size)) + one.receive_eof()
    events = [block.removeprefix(b"data: ") for block in out.split(b"\n\n") if block.startswith(b"data: ")]
    assert events.pop() == b"[DONE]"
    chunks = [json.loads(event) for event in events]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(choice["text"] for choice in choices) == " a time"
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["stop"]
    assert chunks[-1]["usage"]["completion_tokens"] == 2
    assert all("delta" not in choice for choice in choices)
    assert one.state is State.DONE


def test_a_stream_that_breaks_says_so() -> None:
    one, _ = ask("anthropic", {**BODY, "stream": True})
    one.receive_response_head(200, (("content-type", "text/event-stream"),))
    out = one.receive_data(STREAM[: STREAM.index(b"content_block_stop") - 20])
    out += one.fail(ir.Error(ir.ErrorKind.TRUNCATED, "lost"))
    assert b"lost" in out
    assert b"[DONE]" not in out
    assert one.state is State.FAILED


def test_a_missing_limit_is_the_apis_own() -> None:
    _, sent = ask("anthropic", {"model": "mine", "prompt": "x"})
    assert json.loads(sent.body)["max_tokens"] == MAX_TOKENS


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ["a", "b"]),
        ("prompt", [1, 2]),
        ("prompt", [[1], [2]]),
        ("prompt", []),
        ("suffix", "end"),
        ("echo", True),
        ("best_of", 3),
        ("logprobs", 2),
        ("logprobs", 0),
    ],
)
def test_g5_what_a_chat_answer_can_not_have_is_refused(field: str, value: Any) -> None:
    one, sent = ask("anthropic", {**BODY, field: value})
    assert sent is None
    assert refused(one)["param"] == field
    assert [loss.path for loss in one.losses] == [field]


@pytest.mark.parametrize(
    "harmless",
    [{"suffix": None}, {"echo": False}, {"best_of": 1}, {"logprobs": None}, {"suffix": ""}, {"n": 1, "best_of": 1}],
)
def test_fields_that_ask_for_nothing_are_no_reason_to_refuse(harmless: dict[str, Any]) -> None:
    assert ask("anthropic", {**BODY, **harmless})[1] is not None


def test_a_strict_route_has_no_text_completions() -> None:
    one, sent = ask("anthropic", policy=LossPolicy.STRICT)
    assert sent is None
    assert "prompt" in refused(one)["message"]


@pytest.mark.parametrize("backend", sorted(DIALECTS))
@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"prompt":"x"}', b"\xff", b'{"model":5,"prompt":"x"}'])
def test_broken_bodies_are_a_400(backend: str, body: bytes) -> None:
    one, sent = ask(backend, body)
    assert sent is None
    assert refused(one)["message"]


def test_a_prompt_is_required() -> None:
    one, sent = ask("anthropic", {"model": "m"})
    assert sent is None
    assert refused(one)["param"] == "prompt"


def test_the_providers_error_is_openais() -> None:
    one, _ = ask("anthropic")
    one.receive_response_head(429, ())
    one.receive_data(b'{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}')
    assert json.loads(one.receive_eof())["error"]["message"] == "slow"
    assert one.head is not None
    assert one.head.status == 429


def test_u6_a_provider_of_the_old_api_is_asked_for_usage_where_the_route_says_so() -> None:
    one = Completions(backend="openai", usage=True)
    sent = one.receive_request(json.dumps({**BODY, "stream": True}).encode())
    assert sent is not None
    assert json.loads(sent.body)["stream_options"] == {"include_usage": True}
    one.receive_response_head(200, (("content-type", "text/event-stream"),))
    text = b'data: {"choices":[{"text":"a","index":0,"finish_reason":"stop"}]}\n\n'
    counted = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}\n\n'
    out = one.receive_data(text + counted + b"data: [DONE]\n\n") + one.receive_eof()
    assert out == text + b"data: [DONE]\n\n"
    assert one.usage is not None
    assert one.usage.output == 2
