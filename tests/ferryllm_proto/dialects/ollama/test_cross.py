"""Recorded traffic of the other dialects through this one: what a strict server takes, what a strict client reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_net.mock.ollama_rules import check
from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.dialects.ollama import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.events import Event
from support import recorded

from .build import judged, written

pytestmark = pytest.mark.recorded

OTHERS = [name for name in ("openai", "openai_responses", "anthropic", "gemini") if name in DIALECTS]
EVERY = 7
"""One case of so many in the default run."""


def requests(name: str, step: int) -> int:
    sent = 0
    for case in recorded.cases(name)[::step]:
        if case["request"] is None or case["method"] != "POST":
            continue
        try:
            request = DIALECTS[name].decode_request(json.dumps(case["request"]).encode(), path=case["path"])
            upstream, _ = DIALECT.encode_request(request, model="qwen3")
        except RemoteProtocolError:
            continue
        check(json.loads(upstream.body))
        again = DIALECT.decode_request(upstream.body)
        parts = [part for turn in again.turns for part in turn.parts]
        calls = sorted(part.id for part in parts if isinstance(part, ir.ToolCall))
        assert calls == sorted(part.id for part in parts if isinstance(part, ir.ToolResult)), case["id"]
        assert b"ferry1." not in upstream.body
        sent += 1
    return sent


def events_of(name: str, case: dict[str, Any]) -> list[Event] | None:
    dialect = DIALECTS[name]
    if case["stream"]:
        decoder = dialect.stream_decoder()
        return decoder.receive_data(case["response_text"].encode()) + decoder.receive_eof()
    try:
        return play(dialect.decode_response(json.dumps(case["response"]).encode()))
    except RemoteProtocolError:
        return None


def answers(name: str, step: int) -> int:
    read = 0
    for case in recorded.cases(name)[::step]:
        found = events_of(name, case) if case["status"] == 200 else None
        if found is None:
            continue
        for path in ("/api/chat", "/api/generate"):
            data, _ = written(found, Answer(model="m", path=path))
            assert judged(data, path) == [], case["id"]
        read += 1
    return read


@pytest.mark.parametrize("name", OTHERS)
def test_requests_are_taken_by_a_strict_server(name: str) -> None:
    assert requests(name, EVERY) > 30


@pytest.mark.parametrize("name", OTHERS)
def test_answers_are_legal_streams(name: str) -> None:
    assert answers(name, EVERY) > 30


@pytest.mark.deep
@pytest.mark.parametrize("name", OTHERS)
def test_all_of_it(name: str) -> None:
    assert requests(name, 1) > 300
    assert answers(name, 1) > 300
