"""Recorded traffic: every request, answer and stream of real Responses APIs, and what real clients send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from ferryllm_proto import ir, json
from ferryllm_proto.accumulate import Accumulator
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.openai_responses import DIALECT
from ferryllm_proto.events import Event
from support import oracles
from support.recorded import cases, client_requests, shared

pytestmark = pytest.mark.recorded

CLIENTS = ("codex", "opencode-responses", "sdk-py-responses", "sdk-node")
SAMPLE = 4
"""One case in so many is in the default run; all of them are in the deep one."""


def pick(wanted: Callable[[dict[str, Any]], bool]) -> list[Any]:
    if shared() is None:
        return [pytest.param(None, marks=pytest.mark.skip("no recorded traffic"))]
    found = [case for case in cases("openai_responses") if wanted(case)]
    return [
        pytest.param(case, id=case["id"], marks=() if n % SAMPLE == 0 else pytest.mark.deep)
        for n, case in enumerate(found)
    ]


def is_create(case: dict[str, Any]) -> bool:
    return bool(case["path"].split("?")[0].endswith("/responses"))


def canonical(value: Any) -> Any:
    """Without what means the same: nulls, ``type`` of messages, empty annotations."""
    if isinstance(value, dict):
        out = {k: canonical(v) for k, v in value.items() if v is not None or k == "strict"}
        if "role" in out:
            out.setdefault("type", "message")
        if out.get("annotations") == []:
            del out["annotations"]
        return out
    return [canonical(item) for item in value] if isinstance(value, list) else value


def canonical_body(body: dict[str, Any]) -> Any:
    return {k: v for k, v in canonical(body).items() if v not in ([], {}) and (k, v) != ("stream", False)}


def round_trip(body: dict[str, Any]) -> None:
    request = DIALECT.decode_request(json.encode(body))
    upstream, losses = DIALECT.encode_request(request)
    if any("already defined" in loss.reason for loss in losses):
        return  # two requests define a tool twice, at the top and after a tool search; the second is left out (A16)
    assert losses == []
    assert canonical_body(json.loads(upstream.body)) == canonical_body(body)
    assert DIALECT.decode_request(upstream.body) == request


@pytest.mark.parametrize(
    "case", pick(lambda c: is_create(c) and isinstance(c["request"], dict) and "model" in c["request"])
)
def test_g6_recorded_requests_come_back_whole(case: dict[str, Any]) -> None:
    round_trip(case["request"])


@pytest.mark.parametrize("client", CLIENTS)
def test_g6_requests_of_real_clients_come_back_whole(client: str) -> None:
    bodies = [
        r["body"] for r in client_requests(client) if r["path"].endswith("/responses") and isinstance(r["body"], dict)
    ]
    assert bodies
    for body in bodies:
        round_trip(body)


def fold(events: list[Event]) -> Accumulator:
    accumulator = Accumulator()
    for event in events:
        accumulator.send(event)
    return accumulator


def decoded(data: bytes) -> list[Event]:
    decoder = DIALECT.stream_decoder()
    return decoder.receive_data(data) + decoder.receive_eof()


UNTYPED = {
    "07b8b3e8e564ffe6",  # a web search that begins without its action
    "6204c5f8f611dc78",  # the same
    "fd07098f8ac6666a",  # the same of another vendor
    "9f6a41b0c986eeba",  # the same in a whole answer
    "926faf2fd3128444",  # events of apply_patch, which the SDK does not know
}
"""Answers whose hosted items, passed on whole, do not satisfy the SDK's types; nor does the provider's own stream."""


@pytest.mark.parametrize("case", pick(lambda c: c["stream"]))
def test_recorded_streams(case: dict[str, Any]) -> None:
    data = case["response_text"].encode()
    events = decoded(data)
    folded = fold(events)
    scanner = DIALECT.scanner(stream=True)
    assert scanner.receive_data(data) == data
    scanner.receive_eof()
    if folded.failed is not None:
        assert scanner.error is not None
        assert scanner.error.kind is folded.failed.kind
        return
    assert case["complete"]
    response = folded.response()
    assert scanner.complete
    assert (scanner.usage, scanner.finish) == (response.usage, response.finish)
    encoder = DIALECT.stream_encoder(Answer(seed=1))
    written = b"".join([encoder.send(event) for event in events])
    assert encoder.losses == []
    if case["id"] not in UNTYPED:
        oracles.stream("openai_responses", written)
    again = fold(decoded(written)).response()
    assert essence(again) == essence(response)


@pytest.mark.deep
@pytest.mark.parametrize("case", pick(lambda c: c["stream"] and len(c["response_text"]) < 60_000))
def test_s3_recorded_streams_byte_by_byte(case: dict[str, Any]) -> None:
    data = case["response_text"].encode()
    decoder = DIALECT.stream_decoder()
    out = [event for n in range(len(data)) for event in decoder.receive_data(data[n : n + 1])]
    assert out + decoder.receive_eof() == decoded(data)


def essence(response: ir.Response) -> Any:
    """What has to survive a second writing: all but item ids, and raw reasoning is a summary then."""
    parts: list[Any] = []
    for part in response.parts:
        if isinstance(part, ir.Reasoning):
            proofs = [material.data for material in part.opaque]
            parts.append(((part.text, *part.summary) if part.text else part.summary, proofs))
        elif isinstance(part, ir.Hosted):
            parts.append(json.loads(part.raw))
        elif isinstance(part, ir.ToolCall):
            parts.append(msgspec.structs.replace(part, item_id=None))
        else:
            parts.append(part)
    usage = response.usage
    total = usage and (usage.input_total, usage.output, usage.reasoning or 0, usage.cache_read or 0)
    return parts, response.finish, total


@pytest.mark.parametrize("case", pick(lambda c: not c["stream"] and c["status"] == 200 and is_create(c)))
def test_recorded_answers(case: dict[str, Any]) -> None:
    body = json.encode(case["response"])
    response = DIALECT.decode_response(body)
    scanner = DIALECT.scanner(stream=False)
    scanner.receive_data(body)
    scanner.receive_eof()
    assert (scanner.usage, scanner.finish) == (response.usage, response.finish)
    written = DIALECT.encode_response(response)
    if case["id"] not in UNTYPED:
        oracles.whole("openai_responses", written)
    if response.finish is not ir.FinishReason.PAUSE:
        assert essence(DIALECT.decode_response(written)) == essence(response)


@pytest.mark.parametrize("case", pick(lambda c: c["status"] != 200))
def test_recorded_errors(case: dict[str, Any]) -> None:
    error = DIALECT.decode_error(case["status"], [], json.encode(case["response"]))
    assert error.message
    assert error.http_status == case["status"]
    assert error.kind in (ir.ErrorKind.BAD_REQUEST, ir.ErrorKind.AUTHENTICATION, ir.ErrorKind.NOT_FOUND)
