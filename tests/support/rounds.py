"""Conversations of any length in the words of each dialect: a call, its result and a word a round."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

NAMES = [f"tool_{n * 7 % 12}" for n in range(12)]
"""Names of the tools, in an order of their own."""
SCHEMA = {"type": "object", "properties": {"z": {"type": "string"}, "a": {"type": "object"}}}
USER = {"role": "user", "content": "go"}


def conversation(entry: str, length: int) -> dict[str, Any]:
    """A body with ``length`` rounds. Where calls have ids all of them have the same, as some models do it."""
    body: dict[str, Any] = {"model": "m", **_BODIES[entry](length)}
    return body


def tool_names(body: dict[str, Any]) -> list[str]:
    """Names of the tools in a body of any dialect."""
    found = [one for tool in body["tools"] for one in tool.get("functionDeclarations", [tool])]
    return [tool.get("name") or tool["function"]["name"] for tool in found]


def _chat(length: int) -> dict[str, Any]:
    spoken: list[Any] = [USER]
    for n in range(length):
        call = {"id": "again", "type": "function", "function": {"name": NAMES[n], "arguments": '{"z":"1"}'}}
        spoken += [
            {"role": "assistant", "content": f"round {n}", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "again", "content": str(n)},
        ]
    return {"messages": spoken, "tools": _functions()}


def _functions() -> list[Any]:
    return [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in NAMES]


def _responses(length: int) -> dict[str, Any]:
    spoken: list[Any] = [USER]
    for n in range(length):
        spoken += [
            {"type": "message", "role": "assistant", "content": f"round {n}"},
            {"type": "function_call", "call_id": "again", "name": NAMES[n], "arguments": '{"z":"1"}'},
            {"type": "function_call_output", "call_id": "again", "output": str(n)},
        ]
    return {"input": spoken, "tools": [{"type": "function", "name": name, "parameters": SCHEMA} for name in NAMES]}


def _messages(length: int) -> dict[str, Any]:
    spoken: list[Any] = [USER]
    for n in range(length):
        used = {"type": "tool_use", "id": "again", "name": NAMES[n], "input": {"z": "1", "a": {}}}
        spoken += [
            {"role": "assistant", "content": [{"type": "text", "text": f"round {n}"}, used]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "again", "content": str(n)}]},
        ]
    tools = [{"name": name, "input_schema": SCHEMA} for name in NAMES]
    return {"max_tokens": 9, "messages": spoken, "tools": tools}


def _gemini(length: int) -> dict[str, Any]:
    spoken: list[Any] = [{"role": "user", "parts": [{"text": "go"}]}]
    for n in range(length):
        call = {"functionCall": {"name": NAMES[n], "args": {"z": "1"}}}
        result = {"functionResponse": {"name": NAMES[n], "response": {"output": str(n)}}}
        spoken += [
            {"role": "model", "parts": [{"text": f"round {n}"}, call]},
            {"role": "user", "parts": [result]},
        ]
    functions = [{"name": name, "parametersJsonSchema": SCHEMA} for name in NAMES]
    return {"contents": spoken, "tools": [{"functionDeclarations": functions}]}


def _ollama(length: int) -> dict[str, Any]:
    spoken: list[Any] = [USER]
    for n in range(length):
        call = {"function": {"name": NAMES[n], "arguments": {"z": "1"}}}
        spoken += [
            {"role": "assistant", "content": f"round {n}", "tool_calls": [call]},
            {"role": "tool", "tool_name": NAMES[n], "content": str(n)},
        ]
    return {"messages": spoken, "tools": _functions(), "stream": False}


_BODIES: dict[str, Callable[[int], dict[str, Any]]] = {
    "openai": _chat,
    "openai_responses": _responses,
    "anthropic": _messages,
    "gemini": _gemini,
    "ollama": _ollama,
}
