"""Two turns through the whole translator: what a provider minted comes back to it from a client that keeps nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto.translate import Translator

from .build import joined, judged

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
USER: dict[str, Any] = {"role": "user", "content": "go"}

MESSAGES = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-6",
    "content": [
        {"type": "thinking", "thinking": "first", "signature": "SIG1"},
        {"type": "redacted_thinking", "data": "RED"},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "toolu_2", "name": "f", "input": {}},
    ],
    "stop_reason": "tool_use",
    "usage": {"input_tokens": 5, "output_tokens": 6},
}
RESPONSES = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "gpt-5.4",
    "output": [
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "sum"}],
            "encrypted_content": "ENC",
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": "f",
            "arguments": "{}",
            "status": "completed",
        },
        {
            "type": "function_call",
            "id": "fc_2",
            "call_id": "call_2",
            "name": "f",
            "arguments": "{}",
            "status": "completed",
        },
    ],
    "usage": {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11},
}


def turn(backend: str, model: str, answer: dict[str, Any], *, stream: bool) -> tuple[dict[str, Any], Translator]:
    """The message a client of Ollama keeps of one answer."""
    talk = Translator(entry="ollama", backend=backend, model=model)
    body = {"model": "alias", "messages": [USER], "tools": [TOOL], "stream": stream}
    assert talk.receive_request(json.dumps(body).encode(), (), "/api/chat") is not None
    talk.receive_response_head(200, [("content-type", "application/json")])
    out = talk.receive_data(json.dumps(answer).encode()) + talk.receive_eof()
    if stream:
        assert judged(out) == []
        out = json.dumps(joined(out)).encode()
    message: dict[str, Any] = json.loads(out)["message"]
    kept: dict[str, Any] = {name: message[name] for name in ("role", "content", "thinking") if name in message}
    calls = [{"function": {n: c["function"][n] for n in ("name", "arguments")}} for c in message["tool_calls"]]
    return {**kept, "tool_calls": calls}, talk


def second(backend: str, model: str, message: dict[str, Any]) -> tuple[dict[str, Any], Translator]:
    """What the provider gets next."""
    talk = Translator(entry="ollama", backend=backend, model=model)
    results = [{"role": "tool", "content": str(n), "tool_name": "f"} for n in (1, 2)]
    body = {"model": "alias", "messages": [USER, message, *results], "tools": [TOOL]}
    upstream = talk.receive_request(json.dumps(body).encode(), (), "/api/chat")
    assert upstream is not None
    sent: dict[str, Any] = json.loads(upstream.body)
    return sent, talk


@pytest.mark.parametrize("stream", [True, False])
def test_signed_and_redacted_thoughts_come_back_to_anthropic(stream: bool) -> None:
    message, _ = turn("anthropic", "claude-opus-4-6", MESSAGES, stream=stream)
    sent, talk = second("anthropic", "claude-opus-4-6", message)
    blocks = sent["messages"][1]["content"]
    assert [block["type"] for block in blocks] == ["thinking", "redacted_thinking", "text", "tool_use", "tool_use"]
    assert blocks[0] == {"type": "thinking", "thinking": "first", "signature": "SIG1"}
    assert blocks[1] == {"type": "redacted_thinking", "data": "RED"}
    results = sent["messages"][2]["content"]
    assert [result["tool_use_id"] for result in results] == [blocks[3]["id"], blocks[4]["id"]]
    assert talk.losses == []


@pytest.mark.parametrize("stream", [True, False])
def test_encrypted_reasoning_comes_back_to_openai(stream: bool) -> None:
    message, _ = turn("openai_responses", "gpt-5.4", RESPONSES, stream=stream)
    sent, _ = second("openai_responses", "gpt-5.4", message)
    reasoning = next(item for item in sent["input"] if item["type"] == "reasoning")
    assert reasoning["encrypted_content"] == "ENC"
    assert [item["text"] for item in reasoning["summary"]] == ["sum"]
    kinds = [item["type"] for item in sent["input"] if item["type"] != "message"]
    assert kinds == ["reasoning", "function_call", "function_call", "function_call_output", "function_call_output"]


def test_nobody_else_gets_them() -> None:
    message, _ = turn("anthropic", "claude-opus-4-6", MESSAGES, stream=False)
    for backend, model in (("openai", "gpt-4.1"), ("openai_responses", "gpt-5.4"), ("ollama", "qwen3")):
        sent, talk = second(backend, model, message)
        assert "ferry1" not in json.dumps(sent)
        assert "SIG1" not in json.dumps(sent)
        assert any("messages[1].thinking" in loss.path for loss in talk.losses), backend
