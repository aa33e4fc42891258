"""Whatever is put in the place of a value, a request or an answer is read or refused, never anything else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest

from ferryllm_proto.dialects.anthropic import DIALECT
from ferryllm_proto.errors import RemoteProtocolError
from ferryllm_proto.events import End, StreamFailed

from .wirelog import THINKING, TOOL, end, events, start

REQUEST: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a", "citations": [{}]},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}},
                {"type": "document", "source": {"type": "content", "content": "x"}, "citations": {"enabled": True}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "ferry1.x"},
                {"type": "redacted_thinking", "data": "d"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "new"}]}]},
    ],
    "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"type": "bash_1", "name": "bash"}],
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "omitted"},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {}}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["x"],
    "stream": True,
}
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "text", "text": "a", "citations": [{"type": "x"}]},
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ],
    "stop_reason": "refusal",
    "stop_details": {"type": "refusal"},
    "usage": {"input_tokens": 1, "cache_creation": {"ephemeral_5m_input_tokens": 1}, "server_tool_use": {"x": 1}},
}
WRONG: list[Any] = [None, True, -1, 1.5, 10**30, "", "text", "\ud83d", [], [None], {}, {"type": 1}, {"type": "text"}]


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


def test_damaged_requests_are_read_or_refused() -> None:
    read = refused = 0
    for value in damaged(REQUEST):
        try:
            request = DIALECT.decode_request(json.dumps(value).encode())
            for model in (None, "claude-opus-5", "claude-sonnet-4-5"):
                DIALECT.encode_request(request, model=model)
            read += 1
        except RemoteProtocolError as exc:
            refused += exc.status_hint == 400 and bool(str(exc))
    assert read + refused == len(damaged(REQUEST))
    assert read > 100
    assert refused > 500


def test_damaged_answers_are_read_or_refused() -> None:
    for value in damaged(ANSWER):
        body = json.dumps(value).encode()
        for model in (None, "alias"):
            scanner = DIALECT.scanner(stream=False, model=model)
            scanner.receive_data(body)
            scanner.receive_eof()
        found = events(body)
        assert type(found[-1]) in (End, StreamFailed)
        with contextlib.suppress(RemoteProtocolError):
            DIALECT.encode_response(DIALECT.decode_response(body))


@pytest.mark.parametrize("n", range(12))
def test_damaged_events_end_in_one_terminal(n: int) -> None:
    frames = (start(input_tokens=1) + THINKING + TOOL + end("tool_use")).split(b"\n\n")[:-1]
    payload = json.loads(frames[n].partition(b"\ndata: ")[2])
    for value in damaged(payload):
        changed = [*frames[:n], b"data: " + json.dumps(value).encode(), *frames[n + 1 :], b""]
        data = b"\n\n".join(changed)
        found = events(data)
        assert [type(event) in (End, StreamFailed) for event in found].count(True) == 1
        assert type(found[-1]) in (End, StreamFailed)
        encoder = DIALECT.stream_encoder()
        with contextlib.suppress(RemoteProtocolError):  # a call whose arguments are no JSON; then the error follows
            for event in found:
                encoder.send(event)
        scanner = DIALECT.scanner(stream=True, model="alias")
        assert scanner.receive_data(data) + scanner.receive_eof()
