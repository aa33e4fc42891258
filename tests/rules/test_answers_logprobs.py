"""Token probabilities of Gemini and of Ollama: to every client that has a place for them, and from every provider."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.translate import State
from support.answers import DONE, Told, chunk, through
from support.native import gemini_whole, ollama, ollama_end, ollama_line, ollama_whole


def streamed(told: Told) -> list[dict[str, Any]]:
    """The chunks or lines of a stream for a client of Gemini or Ollama."""
    assert told.state is State.DONE, told.error
    found = [line.removeprefix(b"data: ") for line in told.body.splitlines()]
    return [json.loads(line) for line in found if line]


PROBABLE = {
    "chosenCandidates": [{"token": "a", "tokenId": 1, "logProbability": -0.5}],
    "topCandidates": [{"candidates": [{"token": "a", "logProbability": -0.5}, {"token": "b", "logProbability": -1}]}],
}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("entry", ["openai", "openai_responses", "ollama"])
def test_logprobs_of_gemini_reach_those_who_have_them(entry: str, stream: bool, signed: bool) -> None:
    part = {"text": "a", "thoughtSignature": "c2ln"} if signed else {"text": "a"}
    data = gemini_whole(part, candidate={"logprobsResult": PROBABLE})
    told = through(entry, "gemini", data, stream=stream)
    assert told.state is State.DONE, told.error
    assert b'"logprob":-0.5' in told.body
    assert b'"token":"b"' in told.body


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("backend", ["openai", "ollama"])
def test_logprobs_of_others_reach_a_client_of_gemini(backend: str, stream: bool) -> None:
    tokens = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1}]}]
    if backend == "openai":
        choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None, "logprobs": {"content": tokens}}
        data = chunk(choices=[choice]) + chunk({}, "stop")
    else:
        data = json.dumps({"model": "real", "message": {"role": "assistant", "content": "a"}, "done": False}).encode()
        data = data[:-1] + b', "logprobs": %b}\n' % json.dumps(tokens).encode() + ollama()
    told = through("gemini", backend, data, stream=stream)
    value = streamed(told)[-1] if stream else told.json()
    result = value["candidates"][0]["logprobsResult"]
    assert [one["logProbability"] for one in result["chosenCandidates"]] == [-0.5]
    assert result["topCandidates"][0]["candidates"][0]["token"] == "b"


TOKENS = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": [{"token": "b", "logprob": -1.0}]}]


@pytest.mark.parametrize("entry", ["openai", "openai_responses"])
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("came", [True, False])
def test_logprobs_of_ollama_reach_those_who_have_them(entry: str, stream: bool, came: bool) -> None:
    if came:
        data = ollama_line({"content": "a"}, logprobs=TOKENS) + ollama_line(**ollama_end())
    else:
        data = json.dumps({**json.loads(ollama_whole({"content": "a"})), "logprobs": TOKENS}).encode()
    told = through(entry, "ollama", data, stream=stream)
    assert told.state is State.DONE, told.error
    assert b'"logprob": -0.5' in told.body or b'"logprob":-0.5' in told.body


@pytest.mark.parametrize("stream", [True, False])
def test_logprobs_of_others_reach_a_client_of_ollama(stream: bool) -> None:
    choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None, "logprobs": {"content": TOKENS}}
    told = through("ollama", "openai", chunk(choices=[choice]) + chunk({}, "stop") + DONE, stream=stream)
    found = [line["logprobs"] for line in (streamed(told) if stream else [told.json()]) if "logprobs" in line]
    assert found == [TOKENS]
