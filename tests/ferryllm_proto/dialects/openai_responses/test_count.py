"""Counting with Responses: the endpoint's own fields and nothing about the answer."""

from __future__ import annotations

import json
from typing import get_type_hints

import pytest
from openai.types.responses.input_token_count_params import InputTokenCountParams

from ferryllm_proto import RemoteProtocolError
from ferryllm_proto.dialects import DIALECTS
from ferryllm_proto.dialects.openai_responses import count

DIALECT = DIALECTS["openai_responses"]


def test_the_fields_are_those_of_the_sdk() -> None:
    assert set(get_type_hints(InputTokenCountParams)) == set(count._COUNTED)


def test_r13_a_request_of_another_dialect_is_asked_without_its_answer() -> None:
    body = {
        "model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "temperature": 0.1, "max_tokens": 5, "stop": ["x"], "n": 2, "logprobs": True, "stream": True, "seed": 1,
        "reasoning_effort": "low", "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    }  # fmt: skip
    request = DIALECTS["openai"].decode_request(json.dumps(body).encode())
    asked = DIALECT.encode_count_request(request, model="gpt-5")
    assert asked is not None
    sent, losses = asked
    assert (sent.path, sent.stream, losses) == ("/v1/responses/input_tokens", False, [])
    found = json.loads(sent.body)
    assert set(found) <= count._COUNTED
    assert {"model", "input", "tools", "reasoning"} <= set(found)
    assert "store" not in found


def test_answers_both_ways() -> None:
    body = DIALECT.encode_count(12)
    assert json.loads(body) == {"object": "response.input_tokens", "input_tokens": 12}
    assert DIALECT.decode_count_answer(body) == 12


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"input_tokens":"5"}', b"<html>"])
def test_what_is_no_count_is_an_error(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        DIALECT.decode_count_answer(body)
