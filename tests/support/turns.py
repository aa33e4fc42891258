"""Conversations of two turns: a provider's answer full of material only it can read, and the client's echo of it.

The client keeps the answer as its SDK gives it and sends it back with the results of the calls.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ferryllm_net.mock.proofs import encrypt, sign
from ferryllm_proto import DIALECTS, Translator
from ferryllm_proto.accumulate import play
from ferryllm_proto.dialect import Answer
from ferryllm_proto.events import ReasoningDelta, TextDelta

from . import oracles
from .sent import Sent, door

# What the strict mock takes for its own: it looks whether a signature is over the words beside it.
SECRETS = {
    "anthropic": (sign("first thought"), encrypt("hidden"), sign("second thought")),
    "openai_responses": (encrypt("first"), encrypt("second")),
    "openai": (sign("first thought"), encrypt("hidden")),
    "gemini": ("VEVYVFNJRw==", "Q0FMTFNJRw=="),
    "ollama": (),
}
"""The opaque material in the answer of each provider."""

LATER = {
    "anthropic": (sign("later thought"), encrypt("hidden later"), sign("another thought")),
    "openai_responses": (encrypt("third"), encrypt("fourth")),
    "openai": (sign("later thought"), encrypt("hidden later")),
    "gemini": ("TEFURVIgVEVYVFNJRw==", "TEFURVIgQ0FMTFNJRw=="),
    "ollama": (),
}
"""The same in its next answer."""

ANSWERS: dict[str, dict[str, Any]] = {
    "anthropic": {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-4-5-20251101",
        "content": [
            {"type": "thinking", "thinking": "first thought", "signature": SECRETS["anthropic"][0]},
            {"type": "redacted_thinking", "data": SECRETS["anthropic"][1]},
            {"type": "text", "text": "I call two."},
            {"type": "thinking", "thinking": "second thought", "signature": SECRETS["anthropic"][2]},
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
                "encrypted_content": SECRETS["openai_responses"][0],
            },
            {
                "type": "message",
                "id": "msg_1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "I call two.", "annotations": []}],
            },
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": SECRETS["openai_responses"][1]},
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
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
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
                            "signature": SECRETS["openai"][0],
                            "index": 0,
                        },
                        {"type": "reasoning.encrypted", "data": SECRETS["openai"][1], "index": 1},
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
    reply: dict[str, Any] | bytes,
    model: str | None = None,
    *,
    chunks: bool = False,
) -> Any:
    """The client's answer to ``body`` as its SDK has it, as plain JSON.

    ``reply`` as bytes is a stream.
    ``chunks``: a Gemini client keeps each chunk of a stream as a content of its own, as the chats of the SDK do.
    """
    translator = Translator(entry=entry, backend=backend, model=model or MODELS[backend])
    data, path = door(entry, body)
    upstream = translator.receive_request(data, path=path)
    assert upstream is not None, translator.error
    type_ = "application/json" if isinstance(reply, dict) else DIALECTS[backend].stream_type(None)
    translator.receive_response_head(200, (("content-type", type_),))
    pieces = [json.dumps(reply).encode()] if isinstance(reply, dict) else reply.splitlines(keepends=True)
    data = b"".join(translator.receive_data(piece) for piece in pieces) + translator.receive_eof()
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


def second(
    entry: str, backend: str, stream: bool = False, *, chunks: bool = False, wire: bool = False
) -> dict[str, Any]:
    """The client's second request after the answer of ``backend`` to the first; ``wire``: which was a stream itself."""
    body = {**FIRST[entry], "stream": True} if stream else FIRST[entry]
    reply = streamed(backend) if wire else ANSWERS[backend]
    return echo(entry, body, answer(entry, backend, body, reply, chunks=chunks))


def streamed(backend: str) -> bytes:
    """The provider's answer as it streams it, in pieces."""
    if backend == "gemini":
        return _gemini_stream()
    dialect = DIALECTS[backend]
    encoder = dialect.stream_encoder(Answer())
    out = []
    for event in play(dialect.decode_response(json.dumps(ANSWERS[backend]).encode())):
        if isinstance(event, (TextDelta, ReasoningDelta)):
            half = len(event.text) // 2
            for text in (event.text[:half], event.text[half:]):
                out.append(encoder.send(msgspec.structs.replace(event, text=text)))
        else:
            out.append(encoder.send(event))
    return b"".join(out)


def _gemini_stream() -> bytes:
    """As Google streams it: whole calls, and the proof of a text behind it on an empty one."""
    first, text, *calls = ANSWERS["gemini"]["candidates"][0]["content"]["parts"]
    parts = [
        {**first, "text": "first "},
        {**first, "text": "thought"},
        {"text": "I call "},
        {"text": "two."},
        {**text, "text": ""},
        *calls,
    ]
    out = []
    for part in parts:
        chunk = {**ANSWERS["gemini"], "candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]}
        if part is parts[-1]:
            chunk["candidates"][0]["finishReason"] = "STOP"
        out.append(b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n")
    return b"".join(out)


def again(backend: str) -> dict[str, Any]:
    """The provider's next answer: as the first, with other material."""
    text = json.dumps(ANSWERS[backend]).replace("first thought", "later thought")
    text = text.replace("second thought", "another thought")
    for secret, later in zip(SECRETS[backend], LATER[backend], strict=True):
        text = text.replace(f'"{secret}"', f'"{later}"')
    found: dict[str, Any] = json.loads(text)
    return found


def third(entry: str, backend: str, stream: bool = False, *, chunks: bool = False) -> dict[str, Any]:
    """The client's third request, after two answers of ``backend`` with calls of the same ids."""
    body = second(entry, backend, stream, chunks=chunks)
    return echo(entry, body, answer(entry, backend, body, again(backend), chunks=chunks), ("cloudy", "foggy"))


def native(entry: str) -> dict[str, Any]:
    """The second request of a client that spoke with a provider of its own dialect before."""
    found = oracles.whole(entry, json.dumps(ANSWERS[entry]).encode())
    return echo(entry, FIRST[entry], found.model_dump(mode="json", exclude_unset=True, warnings=False))


def talking(backend: str) -> dict[str, Any]:
    """The provider's answer up to its text: without its calls and what was thought before them."""
    found: dict[str, Any] = json.loads(json.dumps(ANSWERS[backend]))
    if backend == "anthropic":
        del found["content"][3:]
        found["stop_reason"] = "end_turn"
    elif backend == "openai_responses":
        del found["output"][2:]
    elif backend == "openai":
        del found["choices"][0]["message"]["tool_calls"]
        found["choices"][0]["finish_reason"] = "stop"
    elif backend == "gemini":
        content = found["candidates"][0]["content"]
        content["parts"] = [part for part in content["parts"] if "functionCall" not in part]
    else:
        del found["message"]["tool_calls"]
    return found


def went_on(entry: str, backend: str, stream: bool = False) -> dict[str, Any]:
    """The client's second request after an answer without calls: it says "more"."""
    body = {**FIRST[entry], "stream": True} if stream else FIRST[entry]
    found = answer(entry, backend, body, talking(backend))
    out: dict[str, Any] = json.loads(json.dumps(body))
    if entry == "gemini":
        out["contents"] += [found, {"role": "user", "parts": [{"text": "more"}]}]
    elif entry == "openai_responses":
        out["input"] += [*found["output"], {"role": "user", "content": "more"}]
    else:
        said = found["choices"][0]["message"] if entry == "openai" else found
        said = {"role": "assistant", "content": found["content"]} if entry == "anthropic" else said
        out["messages"] += [said, {"role": "user", "content": "more"}]
    return out


def send(entry: str, backend: str, body: dict[str, Any], model: str | None = None) -> Sent:
    """``body`` on its way to the model of ``backend`` that answered before."""
    return Sent(entry, backend, body, model or MODELS[backend])
