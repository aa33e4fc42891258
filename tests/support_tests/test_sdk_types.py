"""The judge of requests refuses what the SDKs' own types do not allow, unknown keys included."""

from __future__ import annotations

from typing import Any

import pytest

from support.sdk_types import problems

GOOD: dict[str, dict[str, Any]] = {
    "openai": {
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi"},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "x"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    },
    "openai_responses": {
        "model": "m",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": False}],
        "reasoning": {"effort": "high"},
    },
    "anthropic": {
        "model": "m",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": "hi"}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "object"}}]}],
        "generationConfig": {"temperature": 1, "thinkingConfig": {"thinkingLevel": "LOW"}},
        "serviceTier": "flex",
    },
    "ollama": {
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi", "images": ["iVBORw0KGgo="]},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {}}}]},
            {"role": "tool", "tool_name": "f", "tool_call_id": "c", "content": "x"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "options": {"temperature": 1},
        "think": True,
    },
}


@pytest.mark.parametrize("dialect", sorted(GOOD))
@pytest.mark.parametrize("stream", [True, False])
def test_a_good_request_has_no_problem(dialect: str, stream: bool) -> None:
    said = {} if dialect == "gemini" else {"stream": stream}
    assert problems(dialect, {**GOOD[dialect], **said}) == []


@pytest.mark.parametrize(
    ("dialect", "change", "where"),
    [
        ("openai", {"surprise": 1}, ".surprise: unknown"),
        ("openai", {"max_tokens": "5"}, ".max_tokens"),
        ("openai", {"max_tokens": True}, ".max_tokens"),
        ("openai", {"messages": {}}, ".messages: not an array"),
        ("openai", {"messages": [{"role": "martian", "content": "x"}]}, ".messages[0]"),
        ("openai", {"messages": [{"role": "user", "content": "x", "extra": 1}]}, ".extra"),
        ("openai", {"messages": [{"role": "user", "content": [{"type": "text", "text": 5}]}]}, ".messages[0].content"),
        ("openai", {"messages": [{"role": "tool", "content": "x"}]}, ".messages[0]"),
        ("openai", {"reasoning_effort": "enormous"}, ".reasoning_effort"),
        ("openai", {"tools": [{"type": "function", "function": {}}]}, "name: missing"),
        ("openai_responses", {"surprise": 1}, ".surprise: unknown"),
        ("openai_responses", {"messages": []}, ".messages: unknown"),
        ("openai_responses", {"input": 5}, ".input"),
        ("openai_responses", {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, ".input"),
        ("openai_responses", {"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "arguments: missing"),
        ("openai_responses", {"reasoning": {"effort": 5}}, ".reasoning"),
        ("anthropic", {"surprise": 1}, ".surprise: unknown"),
        ("anthropic", {"max_tokens": None}, ".max_tokens"),
        ("anthropic", {"temperature": "hot"}, ".temperature"),
        (
            "anthropic",
            {"messages": [{"role": "user", "content": [{"type": "tool_use", "id": "t", "name": "f"}]}]},
            "input: missing",
        ),
        ("anthropic", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "z": 1}]}]}, ".z"),
        ("anthropic", {"thinking": {"type": "enabled"}}, "budget_tokens: missing"),
        ("anthropic", {"tool_choice": "auto"}, ".tool_choice"),
        ("gemini", {"surprise": 1}, ".surprise: unknown"),
        ("gemini", {"contents": [{"role": "user", "parts": [{"text": "x", "z": 1}]}]}, ".contents[0].parts.0.z"),
        ("gemini", {"contents": [{"role": "user", "parts": [{"text": 5}]}]}, ".contents[0].parts.0.text"),
        ("gemini", {"tools": [{"functionDeclarations": [{"name": "f", "schema": {}}]}]}, ".tools[0]"),
        ("gemini", {"generationConfig": {"temperature": "hot"}}, ".generationConfig.temperature"),
        ("gemini", {"generationConfig": {"thinkingConfig": {"thinkingLevel": "GIANT"}}}, ".generationConfig"),
        ("gemini", {"serviceTier": 3}, ".serviceTier"),
        ("ollama", {"surprise": 1}, ".surprise: unknown"),
        ("ollama", {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]}, ".messages[0]"),
        ("ollama", {"messages": [{"role": "user", "content": "x", "z": 1}]}, ".messages[0].z: unknown"),
        ("ollama", {"tools": [{"type": "function", "function": {"name": "f", "strict": True}}]}, ".strict: unknown"),
        ("ollama", {"options": {"max_tokens": 5}}, ".options.max_tokens: unknown"),
        ("ollama", {"format": "xml"}, ".format"),
    ],
)
def test_a_bad_one_is_refused_with_the_place(dialect: str, change: dict[str, Any], where: str) -> None:
    found = problems(dialect, {**GOOD[dialect], **change})
    assert any(where in problem for problem in found), found


@pytest.mark.parametrize(
    ("dialect", "key"),
    [("openai", "messages"), ("openai", "model"), ("anthropic", "max_tokens"), ("gemini", "contents")],
)
def test_what_is_missing_is_named(dialect: str, key: str) -> None:
    body = {name: value for name, value in GOOD[dialect].items() if name != key}
    assert problems(dialect, body) == [f".{key}: missing"]
