"""Conversations of two turns: a provider's answer full of material only it can read, and the client's echo of it.

The client keeps the answer as its SDK gives it and sends it back with the results of the calls.
"""

from __future__ import annotations

import json
from typing import Any

from ferryllm_proto import Translator

from . import oracles
from .sent import Sent, door

SECRETS = {
    "anthropic": ("SIGNATURE-1", "REDACTED-1", "SIGNATURE-2"),
    "openai_responses": ("ENCRYPTED-1", "ENCRYPTED-2"),
    "openai": ("DETAIL-SIGNATURE", "DETAIL-DATA"),
    "gemini": ("VEVYVFNJRw==", "Q0FMTFNJRw=="),
    "ollama": (),
}
"""The opaque material in the answer of each provider."""

ANSWERS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-5-20251101",
        "content": [
            {"type": "thinking", "thinking": "first thought", "signature": "SIGNATURE-1"},
            {"type": "redacted_thinking", "data": "REDACTED-1"},
            {"type": "text", "text": "I call two."},
            {"type": "thinking", "thinking": "second thought", "signature": "SIGNATURE-2"},
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "weather",
                "input": {"city": "Rome", "n": 12345678901234567890},
            },
            {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 6},
    },
    "openai_responses": {
        "id": "resp_up",
        "object": "response",
        "created_at": 1,
        "model": "gpt-5.4-2026-03-05",
        "status": "completed",
        "output": [
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "first thought"}],
                "encrypted_content": "ENCRYPTED-1",
            },
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "I call two.", "annotations": []}],
            },
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "ENCRYPTED-2"},
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "call_1",
                "name": "weather",
                "arguments": '{"city":"Rome","n":12345678901234567890}',
                "status": "completed",
            },
            {
                "type": "function_call",
                "id": "fc_2",
                "call_id": "call_2",
                "name": "weather",
                "arguments": "{}",
                "status": "completed",
            },
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 5,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 6,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 11,
        },
    },
    "openai": {
        "id": "gen-up",
        "object": "chat.completion",
        "created": 1,
        "model": "qwen/qwen3-max",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": {
                    "role": "assistant",
                    "content": "I call two.",
                    "reasoning": "first thought",
                    "reasoning_details": [
                        {
                            "type": "reasoning.text",
                            "text": "first thought",
                            "signature": "DETAIL-SIGNATURE",
                            "index": 0,
                        },
                        {"type": "reasoning.encrypted", "data": "DETAIL-DATA", "index": 1},
                    ],
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "weather", "arguments": '{"city":"Rome","n":12345678901234567890}'},
                        },
                        {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
                    ],
                },
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11},
    },
    "gemini": {
        "responseId": "up",
        "modelVersion": "gemini-3-pro-preview",
        "candidates": [
            {
                "index": 0,
                "finishReason": "STOP",
                "content": {
                    "role": "model",
                    "parts": [
                        {"text": "first thought", "thought": True},
                        {"text": "I call two.", "thoughtSignature": "VEVYVFNJRw=="},
                        {
                            "functionCall": {"name": "weather", "args": {"city": "Rome", "n": 12345678901234567890}},
                            "thoughtSignature": "Q0FMTFNJRw==",
                        },
                        {"functionCall": {"name": "weather", "args": {}}},
                    ],
                },
            }
        ],
        "usageMetadata": {
            "promptTokenCount": 5,
            "candidatesTokenCount": 4,
            "thoughtsTokenCount": 2,
            "totalTokenCount": 11,
        },
    },
    "ollama": {
        "model": "qwen3:8b",
        "created_at": "2025-10-09T12:00:00.000000001Z",
        "message": {
            "role": "assistant",
            "content": "I call two.",
            "thinking": "first thought",
            "tool_calls": [
                {"function": {"name": "weather", "arguments": {"city": "Rome", "n": 12345678901234567890}}},
                {"function": {"name": "weather", "arguments": {}}},
            ],
        },
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 5,
        "eval_count": 6,
    },
}

MODELS = {
    "anthropic": "claude-opus-4-5",
    "openai_responses": "gpt-5.4",
    "openai": "qwen/qwen3-max",
    "gemini": "gemini-3-pro-preview",
    "ollama": "qwen3:8b",
}
OTHER_FAMILY = {
    "anthropic": "claude-sonnet-4-5",
    "openai_responses": "o3",
    "openai": "z-ai/glm-5",
    "gemini": "gemini-3-flash-preview",
    "ollama": "gpt-oss:20b",
}

_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}

FIRST: dict[str, dict[str, Any]] = {
    "anthropic": {
        "model": "mine",
        "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [{"role": "user", "content": "go"}],
        "tools": [{"name": "weather", "input_schema": _SCHEMA}],
    },
    "openai_responses": {
        "model": "mine",
        "store": False,
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "input": [{"role": "user", "content": "go"}],
        "tools": [{"type": "function", "name": "weather", "parameters": _SCHEMA, "strict": False}],
    },
    "openai": {
        "model": "mine",
        "reasoning_effort": "high",
        "messages": [{"role": "user", "content": "go"}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": _SCHEMA}}],
    },
    "gemini": {
        "model": "mine",
        "contents": [{"role": "user", "parts": [{"text": "go"}]}],
        "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": _SCHEMA}]}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 2000}},
    },
    "ollama": {
        "model": "mine",
        "stream": False,
        "think": True,
        "messages": [{"role": "user", "content": "go"}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": _SCHEMA}}],
    },
}


def answer(
    entry: str,
    backend: str,
    body: dict[str, Any],
    reply: dict[str, Any],
    model: str | None = None,
    *,
    chunks: bool = False,
) -> Any:
    """The client's answer to ``body`` as its SDK has it, as plain JSON.

    ``chunks``: a Gemini client keeps each chunk of a stream as a content of its own, as the chats of the SDK do.
    """
    translator = Translator(entry=entry, backend=backend, model=model or MODELS[backend])
    data, path = door(entry, body)
    upstream = translator.receive_request(data, path=path)
    assert upstream is not None, translator.error
    translator.receive_response_head(200, (("content-type", "application/json"),))
    data = translator.receive_data(json.dumps(reply).encode()) + translator.receive_eof()
    assert translator.error is None
    found = oracles.stream(entry, data) if body.get("stream") else oracles.whole(entry, data)
    if entry == "gemini" and chunks:
        return found.history
    return found.model_dump(mode="json", exclude_unset=True, warnings=False)


def echo(
    entry: str, body: dict[str, Any], answered: Any, results: tuple[str, ...] = ("sunny", "rainy")
) -> dict[str, Any]:
    """The second turn: the answer as it was, the results of its calls, and no word more."""
    out: dict[str, Any] = json.loads(json.dumps(body))
    given = iter(results)
    if entry == "gemini":
        contents = answered if isinstance(answered, list) else [answered]
        calls = [part["functionCall"] for content in contents for part in content["parts"] if "functionCall" in part]
        out["contents"] += [*contents, {"role": "user", "parts": [_response(call, next(given)) for call in calls]}]
    elif entry == "ollama":
        out["messages"].append(answered)
        out["messages"] += [
            {"role": "tool", "tool_name": call["function"]["name"], "content": next(given)}
            for call in answered["tool_calls"]
        ]
    elif entry == "anthropic":
        calls = [block for block in answered["content"] if block["type"] == "tool_use"]
        out["messages"] += [
            {"role": "assistant", "content": answered["content"]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": c["id"], "content": next(given)} for c in calls],
            },
        ]
    elif entry == "openai":
        message = answered["choices"][0]["message"]
        out["messages"].append(message)
        out["messages"] += [
            {"role": "tool", "tool_call_id": call["id"], "content": next(given)} for call in message["tool_calls"]
        ]
    else:
        out["input"] += answered["output"]
        for item in answered["output"]:
            if item["type"] in ("function_call", "custom_tool_call"):
                out["input"].append(
                    {"type": item["type"] + "_output", "call_id": item["call_id"], "output": next(given)}
                )
    return out


def _response(call: dict[str, Any], result: str) -> dict[str, Any]:
    named = {name: call[name] for name in ("id", "name") if name in call}
    return {"functionResponse": {**named, "response": {"output": result}}}


def forgetful(entry: str, body: dict[str, Any]) -> dict[str, Any]:
    """``body`` as a client sends it that keeps only what the original protocol has in an assistant's message."""
    out: dict[str, Any] = json.loads(json.dumps(body))
    if entry in ("openai", "ollama"):
        known = {"role", "content", "tool_calls", "tool_call_id", "tool_name"}
        known |= {"thinking"} if entry == "ollama" else set()
        out["messages"] = [{n: v for n, v in message.items() if n in known} for message in out["messages"]]
    if entry == "gemini":  # ids of calls are newer than the protocol
        for content in out["contents"]:
            for part in content["parts"]:
                for name in ("functionCall", "functionResponse"):
                    part.get(name, {}).pop("id", None)
    if entry == "openai_responses":
        for item in out["input"]:
            item.pop("id", None)
            item.pop("status", None)
    return out


def second(entry: str, backend: str, stream: bool = False, *, chunks: bool = False) -> dict[str, Any]:
    """The client's second request after the answer of ``backend`` to the first."""
    body = {**FIRST[entry], "stream": True} if stream else FIRST[entry]
    return echo(entry, body, answer(entry, backend, body, ANSWERS[backend], chunks=chunks))


def send(entry: str, backend: str, body: dict[str, Any], model: str | None = None) -> Sent:
    """``body`` on its way to the model of ``backend`` that answered before."""
    return Sent(entry, backend, body, model or MODELS[backend])
