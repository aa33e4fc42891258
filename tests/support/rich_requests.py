"""One request of each dialect that uses (nearly) everything the dialect has and every other can be asked for.

Each value is told apart from the others, so that a test can change one and see whether anybody notices.
"""

from __future__ import annotations

import copy
from typing import Any

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = "JVBERi0xLjQKJcOkw7zDtsOf"

_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}

CHAT: dict[str, Any] = {
    "model": "gpt-5.4",
    "messages": [
        {"role": "system", "content": "be brief", "name": "boss"},
        {"role": "developer", "content": [{"type": "text", "text": "and kind"}]},
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}", "detail": "high"}},
                {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
                {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}},
            ],
        },
        {
            "role": "assistant",
            "content": "hm",
            "reasoning_content": "thinking about it",
            "tool_calls": [
                {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
                {"id": "call_b", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_a", "content": "sunny"},
        {"role": "tool", "tool_call_id": "call_b", "content": [{"type": "text", "text": "done"}]},
        {"role": "assistant", "refusal": "I will not"},
        {"role": "developer", "content": "now faster"},
        {"role": "user", "content": "go on"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {"name": "weather", "description": "of a city", "parameters": _SCHEMA, "strict": True},
        },
        {
            "type": "custom",
            "custom": {
                "name": "patch",
                "description": "edits",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: WORD"}},
            },
        },
    ],
    "tool_choice": {"type": "function", "function": {"name": "weather"}},
    "parallel_tool_calls": False,
    "max_completion_tokens": 3000,
    "reasoning_effort": "high",
    "seed": 7,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.25,
    "logit_bias": {"50256": -100},
    "verbosity": "low",
    "service_tier": "flex",
    "prompt_cache_key": "key-1",
    "metadata": {"team": "red"},
    "user": "user-1",
    "store": True,
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "answer", "description": "what to say", "schema": _SCHEMA, "strict": True},
    },
    "prediction": {"type": "content", "content": "maybe"},
    "web_search_options": {"search_context_size": "low"},
    "stream_options": {"include_usage": True, "include_obfuscation": False},
    "stream": True,
}

RESPONSES: dict[str, Any] = {
    "model": "gpt-5.4",
    "instructions": "be brief",
    "input": [
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "and kind"}]},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "look"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "high"},
                {"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"},
            ],
        },
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "thought of it"}],
            "encrypted_content": "gAAA",
        },
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "phase": "commentary",
            "content": [{"type": "output_text", "text": "hm", "annotations": []}],
        },
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_a",
            "name": "weather",
            "namespace": "sky",
            "arguments": '{"city":"Rome"}',
        },
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_b", "name": "patch", "input": "*** Begin"},
        {"type": "function_call_output", "call_id": "call_a", "output": "sunny"},
        {
            "type": "custom_tool_call_output",
            "call_id": "call_b",
            "output": [{"type": "input_text", "text": "done"}],
        },
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "rome"}},
        {"type": "message", "role": "system", "content": "now faster"},
        {"role": "user", "content": "go on"},
    ],
    "tools": [
        {
            "type": "namespace",
            "name": "sky",
            "description": "about the sky",
            "tools": [
                {
                    "type": "function",
                    "name": "weather",
                    "description": "of a city",
                    "parameters": _SCHEMA,
                    "strict": True,
                }
            ],
        },
        {
            "type": "custom",
            "name": "patch",
            "description": "edits",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: WORD"},
        },
        {"type": "web_search", "search_context_size": "low"},
    ],
    "tool_choice": {"type": "function", "name": "weather", "namespace": "sky"},
    "parallel_tool_calls": False,
    "max_output_tokens": 3000,
    "max_tool_calls": 4,
    "reasoning": {"effort": "high", "summary": "auto", "context": "auto"},
    "text": {
        "verbosity": "low",
        "format": {
            "type": "json_schema",
            "name": "answer",
            "description": "what to say",
            "schema": _SCHEMA,
            "strict": True,
        },
    },
    "service_tier": "flex",
    "prompt_cache_key": "key-1",
    "prompt_cache_retention": "24h",
    "metadata": {"team": "red"},
    "safety_identifier": "user-1",
    "store": True,
    "truncation": "auto",
    "include": ["reasoning.encrypted_content", "web_search_call.action.sources"],
    "stream_options": {"include_obfuscation": False},
    "client_metadata": {"session": "s"},
    "stream": True,
}

MESSAGES: dict[str, Any] = {
    "model": "claude-opus-4-5",
    "max_tokens": 3000,
    "system": [
        {"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "and kind"},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
                {
                    "type": "document",
                    "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    "title": "a.pdf",
                    "context": "an invoice",
                    "citations": {"enabled": True},
                },
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "thinking about it", "signature": "sig"},
                {"type": "redacted_thinking", "data": "sealed"},
                {"type": "text", "text": "hm", "citations": [{"type": "char_location", "cited_text": "c"}]},
                {"type": "server_tool_use", "id": "srv_1", "name": "web_search", "input": {"query": "rome"}},
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srv_1",
                    "content": [{"type": "web_search_result", "title": "Rome", "url": "https://example.com"}],
                },
                {"type": "tool_use", "id": "toolu_a", "name": "weather", "input": {"city": "Rome"}},
                {"type": "tool_use", "id": "toolu_b", "name": "patch", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_a", "content": "sunny", "is_error": False},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_b",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "failed"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                    ],
                },
                {"type": "text", "text": "go on"},
            ],
        },
        {"role": "system", "content": "now faster"},
        {"role": "user", "content": "well?"},
    ],
    "tools": [
        {
            "name": "weather",
            "description": "of a city",
            "input_schema": _SCHEMA,
            "strict": True,
            "cache_control": {"type": "ephemeral"},
            "eager_input_streaming": True,
            "defer_loading": True,
            "input_examples": [{"city": "Oslo"}],
            "allowed_callers": ["direct"],
        },
        {"name": "patch", "input_schema": {"type": "object"}},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3},
    ],
    "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 2000, "display": "summarized"},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": _SCHEMA}},
    "temperature": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "metadata": {"user_id": "user-1"},
    "service_tier": "standard_only",
    "inference_geo": "eu",
    "container": "cont_1",
    "speed": "fast",
    "mcp_servers": [{"type": "url", "name": "m", "url": "https://example.com/mcp"}],
    "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]},
    "fallbacks": ["x"],
    "cache_control": {"type": "ephemeral"},
    "stream": True,
}

GEMINI: dict[str, Any] = {
    "model": "gemini-3-pro-preview",
    "systemInstruction": {"role": "user", "parts": [{"text": "be brief"}, {"text": "and kind"}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "look"},
                {"inlineData": {"mimeType": "image/png", "data": PNG}, "mediaResolution": {"level": "HIGH"}},
                {"inlineData": {"mimeType": "image/jpeg", "data": "/9j/4AAQ", "displayName": "b.jpg"}},
                {"text": "below"},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "thinking about it", "thought": True},
                {"text": "hm", "thoughtSignature": "c2lnbmF0dXJl"},
                {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
                {
                    "functionCall": {"id": "call_a", "name": "weather", "args": {"city": "Rome"}},
                    "thoughtSignature": "c2Vjb25k",
                },
                {"functionCall": {"name": "patch", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "call_a", "name": "weather", "response": {"output": "sunny"}}},
                {
                    "functionResponse": {
                        "name": "patch",
                        "response": {"error": "failed"},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}],
                    }
                },
                {"text": "go on"},
            ],
        },
        {"role": "model", "parts": [{"text": "well"}]},
        {"role": "user", "parts": [{"text": "well?"}]},
    ],
    "tools": [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "of a city",
                    "parametersJsonSchema": _SCHEMA,
                    "responseJsonSchema": {"type": "string"},
                    "behavior": "BLOCKING",
                },
                {"name": "patch", "parameters": {"type": "OBJECT", "properties": {"file": {"type": "STRING"}}}},
            ]
        },
        {"codeExecution": {}},
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "AUTO"}, "retrievalConfig": {"languageCode": "it"}},
    "generationConfig": {
        "temperature": 0.7,
        "topP": 0.9,
        "topK": 40,
        "candidateCount": 1,
        "maxOutputTokens": 3000,
        "presencePenalty": 0.5,
        "frequencyPenalty": 0.25,
        "seed": 7,
        "responseMimeType": "application/json",
        "responseJsonSchema": _SCHEMA,
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
    },
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    "serviceTier": "flex",
    "labels": {"team": "red"},
    "store": True,
    "stream": True,
}
"""``model`` and ``stream`` are in the path: `support.sent.door` puts them there."""

OLLAMA: dict[str, Any] = {
    "model": "qwen3:8b",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "look", "images": [PNG, "/9j/4AAQ"]},
        {
            "role": "assistant",
            "content": "hm",
            "thinking": "thinking about it",
            "tool_calls": [
                {"id": "call_a", "function": {"index": 0, "name": "weather", "arguments": {"city": "Rome"}}},
                {"function": {"index": 1, "name": "patch", "arguments": {}}},
            ],
        },
        {"role": "tool", "tool_name": "weather", "tool_call_id": "call_a", "content": "sunny"},
        {"role": "tool", "tool_name": "patch", "content": "failed", "images": [PNG]},
        {"role": "assistant", "content": "well"},
        {"role": "system", "content": "now faster"},
        {"role": "user", "content": "well?"},
    ],
    "tools": [
        {"type": "function", "function": {"name": "weather", "description": "of a city", "parameters": _SCHEMA}},
        {"type": "function", "function": {"name": "patch", "parameters": {"type": "object", "properties": {}}}},
    ],
    "format": _SCHEMA,
    "options": {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "seed": 7,
        "num_predict": 3000,
        "num_ctx": 8192,
        "repeat_penalty": 1.1,
        "presence_penalty": 0.5,
        "frequency_penalty": 0.25,
    },
    "think": "high",
    "keep_alive": "5m",
    "truncate": True,
    "shift": True,
    "stream": True,
}

BODIES = {
    "openai": CHAT,
    "openai_responses": RESPONSES,
    "anthropic": MESSAGES,
    "gemini": GEMINI,
    "ollama": OLLAMA,
}


def accepted(entry: str, backend: str) -> dict[str, Any]:
    """The body without what ``backend`` has to refuse: files by their address, files at all, a tool that is forced."""
    body: dict[str, Any] = copy.deepcopy(BODIES[entry])
    if backend not in ("gemini", "ollama"):
        return body
    for turn in next(body[name] for name in ("messages", "input", "contents") if name in body):
        for key in ("content", "parts"):
            if isinstance(turn.get(key), list):
                turn[key] = [part for part in turn[key] if not _is_refused(part, backend)]
    if backend == "ollama" and entry != "gemini" and "tool_choice" in body:
        body["tool_choice"] = {"type": "auto"} if entry == "anthropic" else "auto"
    return body


def _is_refused(part: dict[str, Any], backend: str) -> bool:
    source = part.get("source", part.get("image_url", {}))
    address = isinstance(source, dict) and str(source.get("url", "")).startswith("https:")
    text = isinstance(source, dict) and source.get("type") == "text"
    file = part.get("type") in ("file", "input_file", "document") and not text
    return address or (file and backend == "ollama")
