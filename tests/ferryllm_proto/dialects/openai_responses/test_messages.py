"""Errors and additions of a WebSocket connection have the form that Codex and the SDKs read."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import ir
from ferryllm_proto.dialects.openai_responses.messages import (
    error_message,
    failed_message,
    placed,
    steer_failed,
    with_members,
)


def test_an_error_says_status_and_headers_where_each_client_looks() -> None:
    error = ir.Error(ir.ErrorKind.RATE_LIMIT, "slow down", retry_after=1.5)
    headers = (("X-RateLimit-Remaining-Requests", "0"), ("content-type", "application/json"), ("date", "now"))
    shown = {"retry-after": "2", "retry-after-ms": "1500", "x-ratelimit-remaining-requests": "0"}
    assert json.loads(error_message(error, "lane", headers)) == {
        "type": "error",
        "status": 429,
        "error": {
            "type": "rate_limit_error",
            "code": "rate_limit_exceeded",
            "message": "slow down",
            "param": None,
            "headers": shown,
        },
        "headers": shown,
        "stream_id": "lane",
    }


def test_a_providers_own_error_stays_and_gets_what_it_lacks() -> None:
    raw = b'{"error":{"message":"no","detail":1.50}}'
    error = ir.Error(ir.ErrorKind.SERVER, "no", status=500, dialect="openai_responses", raw=raw)
    message = error_message(error)
    assert b'"detail":1.50' in message
    assert json.loads(message)["error"] == {
        "type": "server_error",
        "code": None,
        "message": "no",
        "param": None,
        "detail": 1.5,
    }
    assert "headers" not in json.loads(message)


def test_an_answer_that_broke_off_is_a_failed_response() -> None:
    event = json.loads(failed_message(ir.Error(ir.ErrorKind.TRUNCATED, "cut"), 7))
    assert (event["type"], event["sequence_number"]) == ("response.failed", 7)
    assert (event["response"]["status"], event["response"]["error"]["message"]) == ("failed", "cut")


def test_steering_is_refused_with_the_input_given_back() -> None:
    event = json.loads(steer_failed(b'{"type":"response.steer","previous_response_id":"resp_1","input":[1.0]}'))
    assert event["type"] == "response.steer.failed"
    assert event["error"]["code"] == "steering_not_supported"
    assert event["steer"] == {"previous_response_id": "resp_1", "input": [1.0]}


@pytest.mark.parametrize("message", [b'{"type":"response.steer","previous_response_id":7}', b"[]", b"\xff"])
def test_steering_that_is_not_understood_is_invalid_input(message: bytes) -> None:
    assert json.loads(steer_failed(message))["error"]["code"] == "invalid_input"


def test_members_go_to_the_end() -> None:
    event = b'{"type":"x","n":1.0} \n'
    assert with_members(event, None, "") is event
    assert with_members(event, 'a"b', "") == b'{"type":"x","n":1.0,"stream_id":"a\\"b"}'
    assert with_members(event, "", "dropped x") == b'{"type":"x","n":1.0,"stream_id":"","ferryllm_loss":"dropped x"}'


def test_places_are_those_of_the_clients_own_input() -> None:
    assert placed("dropped input[4].x, degraded input[1]", 3) == (
        "dropped input[1].x, degraded previous_response_id.items[1]"
    )
    assert placed("dropped input[4]", 0) == "dropped input[4]"
    assert placed("myinput[4] tools[4]", 1) == "myinput[4] tools[4]"
