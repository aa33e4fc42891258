"""A compaction is the provider's where it has one, a whole summary where it has not, and never half of one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.questions.compact import EMULATED, PATH, Compact

BODY = b'{"model":"m","input":[{"role":"user","content":"one"},{"role":"assistant","content":"two"}]}'
JSON = (("content-type", "application/json"),)


def chat(content: str | None, finish: str = "stop") -> bytes:
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": "n", "choices": [choice], "usage": usage}
    return json.dumps(body).encode()


def run(talk: Compact, answer: bytes, status: int = 200, body: bytes = BODY) -> tuple[int, Any]:
    assert talk.receive_request(body) is not None
    talk.receive_response_head(status, JSON)
    talk.receive_data(answer)
    out = talk.receive_eof()
    assert talk.head is not None
    return talk.head.status, json.loads(out)


@pytest.mark.parametrize("backend", ["openai", "anthropic", "openai_responses"])
def test_a_provider_that_does_not_compact_writes_a_summary(backend: str) -> None:
    talk = Compact(entry="openai_responses", backend=backend, model="real", native=False, seed=3, now=5.0)
    upstream = talk.receive_request(BODY)
    assert upstream is not None
    assert upstream.path != PATH
    asked = json.loads(upstream.body)
    assert asked["model"] == "real"
    assert "Write a summary" in str(asked)
    assert not asked.get("stream")


def test_the_summary_is_the_answer_and_marked() -> None:
    talk = Compact(entry="openai_responses", backend="openai", seed=3, now=5.0)
    status, made = run(talk, chat(" they said two \n"))
    assert status == 200
    assert [item["type"] for item in made["output"]] == ["message", "compaction"]
    assert made["usage"]["input_tokens"] == 9
    assert talk.head is not None
    assert EMULATED in talk.head.headers
    assert talk.usage is not None
    assert talk.upstream_model == "n"


@pytest.mark.parametrize(
    ("content", "finish"), [("half", "length"), ("no", "content_filter"), ("", "stop"), (None, "stop")]
)
def test_half_a_summary_is_none(content: str | None, finish: str) -> None:
    talk = Compact(entry="openai_responses", backend="openai")
    status, made = run(talk, chat(content, finish))
    assert status == 502
    assert "no whole summary" in made["error"]["message"]


def test_an_error_of_the_provider_is_the_clients() -> None:
    talk = Compact(entry="openai_responses", backend="openai")
    status, made = run(talk, b'{"error":{"message":"slow down"}}', 429)
    assert (status, made["error"]["message"]) == (429, "slow down")


def test_a_provider_that_compacts_is_asked_in_the_clients_bytes() -> None:
    talk = Compact(entry="openai_responses", backend="openai_responses", model="real")
    upstream = talk.receive_request(BODY)
    assert upstream is not None
    assert (upstream.path, upstream.body) == (PATH, BODY.replace(b'"m"', b'"real"'))
    answer = b'{"id":"resp_1","object":"response.compaction", "output":[]}'
    talk.receive_response_head(200, JSON)
    talk.receive_data(answer)
    assert talk.receive_eof() == answer


@pytest.mark.parametrize("answer", [b'{"id":"resp_1","output":[{"ty', b"", b"<html></html>", b"[]"])
def test_half_an_answer_of_a_provider_that_compacts_is_an_error(answer: bytes) -> None:
    status, told = run(Compact(entry="openai_responses", backend="openai_responses"), answer)
    assert status == 502
    assert told["error"]["message"]


def test_a_summary_of_ours_is_not_sent_to_a_provider_that_could_not_read_it() -> None:
    _, made = run(Compact(entry="openai_responses", backend="openai"), chat("they said two"))
    body = json.dumps({"model": "m", "input": made["output"]}).encode()
    upstream = Compact(entry="openai_responses", backend="openai_responses").receive_request(body)
    assert upstream is not None
    assert upstream.path == "/v1/responses"
    assert "they said two" in upstream.body.decode()


def test_nothing_to_compact_is_refused() -> None:
    talk = Compact(entry="openai_responses", backend="openai")
    assert talk.receive_request(b'{"model":"m"}') is None
    assert talk.head is not None
    assert talk.head.status == 400
