"""Whatever is put in the place of a value, a request or an answer is read or refused, never anything else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from ferryllm_proto import DIALECTS
from ferryllm_proto.dialects.ollama import DIALECT, models
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.events import End, StreamFailed

from .build import call, events, judged, line

CHAT: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u", "images": ["QUJD"]},
        {
            "role": "assistant",
            "content": "a",
            "thinking": "t\n[ferry1.x@0:0-1.abcd]",
            "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"a": 1}, "index": 0}}],
        },
        {"role": "tool", "content": "r", "tool_name": "f", "tool_call_id": "1"},
    ],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}],
    "format": {"type": "object"},
    "options": {"temperature": 0.5, "stop": ["x"], "num_predict": 9, "num_ctx": 1},
    "think": "low",
    "stream": False,
    "keep_alive": "5m",
    "logprobs": True,
    "top_logprobs": 2,
}
GENERATE: dict[str, Any] = {"model": "m", "prompt": "p", "system": "s", "images": ["QUJD"], "think": True, "suffix": ""}
STREAM = line("a", thinking="t", logprobs=[{"token": "a"}]) + line(tool_calls=[call(x=1)]) + line(done=True)
WRONG: list[Any] = [None, True, -1, 1.5, 10**30, 1e308, "", "text", "\ud83d", [], [None], {}, {"type": 1}, {"error": 1}]


def damaged(value: Any) -> list[Any]:
    """``value`` with every value in it replaced, one at a time, by every wrong one, and with every member missing."""
    out: list[Any] = list(WRONG)
    if isinstance(value, dict):
        for name in value:
            out.append({key: inner for key, inner in value.items() if key != name})
            out.extend({**value, name: inner} for inner in damaged(value[name]))
    elif isinstance(value, list):
        for n in range(len(value)):
            out.extend([*value[:n], inner, *value[n + 1 :]] for inner in damaged(value[n]))
    return out


@pytest.mark.parametrize(("path", "body"), [("/api/chat", CHAT), ("/api/generate", GENERATE)])
def test_damaged_requests_are_read_or_refused(path: str, body: dict[str, Any]) -> None:
    read = refused = 0
    for value in damaged(body):
        try:
            request = DIALECT.decode_request(json.dumps(value).encode(), path=path)
        except RemoteProtocolError as exc:
            refused += exc.status_hint == 400 and bool(str(exc))
            continue
        read += 1
        upstream, losses = DIALECT.encode_request(request)
        assert losses == [] or "ferry1" in json.dumps(value)
        again = DIALECT.decode_request(upstream.body, path=path)
        assert (again.model, len(again.turns), again.tools) == (request.model, len(request.turns), request.tools)
        for backend in ("openai", "openai_responses", "anthropic"):
            with contextlib.suppress(RemoteProtocolError):
                DIALECTS[backend].encode_request(request)
    assert read + refused == len(damaged(body))
    assert read > 30
    assert refused > 50


def test_damaged_answers_are_read_or_refused() -> None:
    for value in damaged(json.loads(line("a", done=True, thinking="t", tool_calls=[call()]))):
        body = json.dumps(value).encode()
        for model in (None, "alias"):
            scanner = DIALECT.scanner(stream=False, model=model)
            scanner.receive_data(body)
            scanner.receive_eof()
        assert type(events(body)[-1]) in (End, StreamFailed)
        with contextlib.suppress(RemoteProtocolError):
            DIALECT.encode_response(DIALECT.decode_response(body))


@pytest.mark.parametrize("n", range(3))
def test_damaged_lines_end_in_one_terminal(n: int) -> None:
    lines = STREAM.splitlines()
    for value in damaged(json.loads(lines[n])):
        data = b"\n".join([*lines[:n], json.dumps(value).encode(), *lines[n + 1 :], b""])
        found = events(data)
        assert [type(event) in (End, StreamFailed) for event in found].count(True) == 1
        assert type(found[-1]) in (End, StreamFailed)
        encoder = DIALECT.stream_encoder()
        out = b"".join([encoder.send(event) for event in found])
        assert judged(out) == []
        scanner = DIALECT.scanner(stream=True, model="alias")
        assert scanner.receive_data(data) + scanner.receive_eof()


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"{", b'{"model":"\xff"}', b"[" * 100_000, b'{"messages":[' + b"[" * 100_000]
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    for path in ("/api/chat", "/api/generate"):
        with pytest.raises(RemoteProtocolError):
            DIALECT.decode_request(body, path=path)
    with pytest.raises(RemoteProtocolError):
        DIALECT.peek(body)
    with pytest.raises(RemoteProtocolError):
        DIALECT.decode_response(body)
    with pytest.raises(RemoteProtocolError):
        models.decode_show(body)
    DIALECT.decode_error(500, (), body)
