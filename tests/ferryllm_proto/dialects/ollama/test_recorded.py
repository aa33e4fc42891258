"""Real traffic: nothing of it is lost, and the official client understands what is written."""

from __future__ import annotations

import json
from typing import Any

import ollama
import pytest

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.ollama import DIALECT
from support import recorded

from .build import events, fold, joined, judged, written

pytestmark = pytest.mark.recorded


@pytest.fixture
def cases() -> list[dict[str, Any]]:
    return recorded.cases("ollama")


def canonical(request: dict[str, Any]) -> dict[str, Any]:
    """A request without the differences that say nothing: nulls, no tools, no options."""
    empty: tuple[object, ...] = (None, [], {})
    return {name: value for name, value in request.items() if value not in empty}


def good(cases: list[dict[str, Any]], *, stream: bool) -> list[dict[str, Any]]:
    found = [case for case in cases if case["stream"] is stream and case["status"] == 200]
    assert found
    return found


def body(case: dict[str, Any]) -> bytes:
    return (case["response_text"] if case["stream"] else json.dumps(case["response"])).encode()


def test_g6_recorded_requests_lose_nothing(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        request = DIALECT.decode_request(json.dumps(case["request"]).encode(), path=case["path"])
        upstream, losses = DIALECT.encode_request(request)
        assert losses == []
        assert canonical(json.loads(upstream.body)) == canonical(case["request"]), case["id"]
        assert DIALECT.decode_request(upstream.body) == request


def test_recorded_requests_go_to_every_dialect(cases: list[dict[str, Any]]) -> None:
    for case in cases:
        request = DIALECT.decode_request(json.dumps(case["request"]).encode())
        for name in ("openai", "openai_responses", "anthropic"):
            upstream, _ = DIALECTS[name].encode_request(request)
            again = DIALECTS[name].decode_request(upstream.body)
            back, _ = DIALECT.encode_request(again)
            roles = [message["role"] for message in json.loads(back.body)["messages"]]
            assert roles.count("tool") == sum(message["role"] == "tool" for message in case["request"]["messages"])


def test_recorded_streams(cases: list[dict[str, Any]]) -> None:
    for case in good(cases, stream=True):
        data = body(case)
        assert judged(data) == []
        found = events(data)
        assert found == events(data, 7)
        response = fold(found)
        last = json.loads(data.splitlines()[-1])
        assert response.usage == ir.Usage(last.get("prompt_eval_count"), output=last["eval_count"])
        out, losses = written(found, Answer())
        assert losses == []
        assert judged(out) == []
        assert joined(out)["message"] == joined(data)["message"]
        for one in out.splitlines():
            ollama.ChatResponse(**json.loads(one))


def test_recorded_answers(cases: list[dict[str, Any]]) -> None:
    for case in good(cases, stream=False):
        response = DIALECT.decode_response(body(case))
        out = json.loads(DIALECT.encode_response(response))
        message = case["response"]["message"]
        assert out["message"] == message
        assert out["done_reason"] == case["response"]["done_reason"]
        ollama.ChatResponse(**out)
        assert joined(written(play(response), Answer())[0]) == out


def test_recorded_errors(cases: list[dict[str, Any]]) -> None:
    found = [case for case in cases if case["status"] >= 400]
    assert found
    for case in found:
        error = DIALECT.decode_error(case["status"], (), body(case))
        assert (error.kind, error.message) == (ir.ErrorKind.NOT_FOUND, case["response"]["error"])


@pytest.mark.parametrize("stream", [True, False])
def test_the_scanner_sees_what_the_decoder_sees(cases: list[dict[str, Any]], stream: bool) -> None:
    for case in good(cases, stream=stream):
        data = body(case)
        scanner = DIALECT.scanner(stream=stream)
        assert scanner.receive_data(data) + scanner.receive_eof() == data
        response = fold(events(data))
        assert (scanner.usage, scanner.finish, scanner.complete) == (response.usage, response.finish, True)
