"""Answers through transforms, on every way through a `Translator`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import Translator
from ferryllm_proto.policy.route import RoutePolicies
from ferryllm_proto.policy.transforms import Drop, Replace, Transforms
from ferryllm_proto.responses.stateful import NO_MEMORY
from ferryllm_proto.transformed import transformed_for

_USAGE = ("usage",)
POLICIES = RoutePolicies(
    transforms=Transforms(
        response=(Drop(lambda value: [_USAGE]),),
        stream=(Replace(lambda text: text.upper(), lambda value: [("model",)] if "model" in _table(value) else []),),
    )
)
ASK = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
WHOLE = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"ok"},"finish_reason":"stop"}], "usage":{"prompt_tokens":1,"completion_tokens":1,'
    b'"total_tokens":2}}'
)
CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"role":"assistant","content":"ok"},"finish_reason":null}]}\n\n'
)
END = CHUNK.replace(b'{"role":"assistant","content":"ok"}', b"{}").replace(b"null", b'"stop"') + b"data: [DONE]\n\n"


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def talk(entry: str, *, stream: bool) -> Translator:
    machine = transformed_for(NO_MEMORY)(entry=entry, backend="openai", policies=POLICIES)
    assert machine.receive_request(json.dumps({**ASK, "stream": stream}).encode()) is not None
    kind = "text/event-stream" if stream else "application/json"
    machine.receive_response_head(200, (("content-type", kind),))
    return machine


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_whole_answer_that_passes_through_is_changed_at_its_end(size: int) -> None:
    machine = talk("openai", stream=False)
    pieces = [WHOLE[n : n + size] for n in range(0, len(WHOLE), size)]
    assert b"".join(map(machine.receive_data, pieces)) == b""
    assert machine.receive_eof() == WHOLE[: WHOLE.index(b', "usage"')] + b"}"
    assert machine.receive_eof() == b""
    assert machine.usage is not None, "what is counted is what the provider said"


def test_a_whole_answer_that_is_translated_is_changed_in_the_clients_words() -> None:
    machine = talk("anthropic", stream=False)
    found = json.loads(machine.receive_data(WHOLE) + machine.receive_eof())
    assert found["content"][0]["text"] == "ok"
    assert "usage" not in found


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_stream_that_passes_through_is_changed_event_by_event(size: int) -> None:
    machine, data = talk("openai", stream=True), CHUNK + END
    out = b"".join(machine.receive_data(data[n : n + size]) for n in range(0, len(data), size))
    assert out + machine.receive_eof() == data.replace(b'"model":"m"', b'"model":"M"')


def test_an_event_leaves_when_it_is_complete() -> None:
    machine = talk("openai", stream=True)
    assert machine.receive_data(CHUNK) == CHUNK.replace(b'"model":"m"', b'"model":"M"')


def test_a_refused_request_is_told_as_ever() -> None:
    machine = transformed_for(NO_MEMORY)(entry="openai", backend="openai", policies=POLICIES)
    assert machine.receive_request(b'{"messages":[]}') is None
    assert b"model" in machine.receive_eof()


def test_an_error_of_the_provider_is_no_answer() -> None:
    machine = transformed_for(NO_MEMORY)(entry="openai", backend="openai", policies=POLICIES)
    assert machine.receive_request(json.dumps(ASK).encode()) is not None
    machine.receive_response_head(400, (("content-type", "application/json"),))
    body = b'{"error":{"message":"no","type":"invalid_request_error"},"usage":1}'
    assert json.loads(machine.receive_data(body) + machine.receive_eof())["error"]["message"] == "no"
