"""G4: the header of losses names each field as the client wrote it, whatever the provider speaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ferryllm_proto import DIALECTS, Translator, ir
from ferryllm_proto.fields import BACKENDS

HEADER = "x-ferryllm-loss"
ANSWER = ir.Response("id", "m", (ir.Text("hello"),), usage=ir.Usage(3, output=1))


def header(entry: str, backend: str, body: dict[str, Any], path: str | None = None) -> set[str]:
    """The pairs of the header a client gets with its answer, or with its refusal."""
    translator = Translator(entry=entry, backend=backend, model="gpt-4.1" if "openai" in backend else None)
    if translator.receive_request(json.dumps(body).encode(), path=path) is not None:
        translator.receive_response_head(200, [("content-type", "application/json")])
        translator.receive_data(DIALECTS[backend].encode_response(ANSWER))
        translator.receive_eof()
    assert translator.head is not None
    found = dict(translator.head.headers).get(HEADER, "")
    return set(found.split(", ")) if found else set()


MESSAGES = {
    "model": "claude-sonnet-4-5",
    "max_tokens": 20000,
    "stop_sequences": ["END"],
    "output_config": {"effort": "high"},
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "tools": [{"name": "look", "input_schema": {"type": "object"}, "defer_loading": True}],
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x", "is_error": True}]},
    ],
}
CHAT = {
    "model": "m",
    "seed": 7,
    "response_format": {
        "type": "json_schema",
        "json_schema": {
            "name": "n",
            "description": "d",
            "schema": {"type": "object", "properties": {}, "additionalProperties": False},
        },
    },
    "tools": [{"type": "function", "function": {"name": "look", "strict": True}}],
    "messages": [
        {
            "role": "user",
            "name": "ann",
            "content": [
                {"type": "text", "text": "see", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "high"}},
            ],
        }
    ],
}
RESPONSES = {
    "model": "m",
    "store": False,
    "include": ["reasoning.encrypted_content", "file_search_call.results"],
    "reasoning": {"mode": "pro"},
    "text": {"verbosity": "low"},
    "input": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "phase": "commentary", "content": [{"type": "output_text", "text": "so"}]},
        {
            "role": "user",
            "content": [{"type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0x", "detail": "low"}],
        },
    ],
}
GEMINI = {
    "generationConfig": {
        "topK": 4,
        "thinkingConfig": {"thinkingBudget": 2048},
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
    },
    "contents": [
        {"role": "user", "parts": [{"text": "hi", "partMetadata": {"a": 1}}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"error": "no"}}}]},
    ],
}
OLLAMA = {
    "model": "m",
    "stream": False,
    "keep_alive": "5m",
    "options": {"num_ctx": 4096, "repeat_penalty": 1.1},
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "so", "thinking": "hm"},
        {"role": "user", "content": "?"},
    ],
}
DOOR = "/v1beta/models/m:generateContent"

CASES: list[tuple[str, dict[str, Any], str | None, str, set[str]]] = [
    (
        "anthropic",
        MESSAGES,
        None,
        "openai",
        {
            "dropped output_config.effort",
            "dropped system[0].cache_control",
            "dropped tools[0].defer_loading",
            "degraded messages[2].content[0].is_error",
        },
    ),
    ("anthropic", MESSAGES, None, "openai_responses", {"refused stop_sequences"}),
    (
        "openai",
        CHAT,
        None,
        "anthropic",
        {
            "dropped seed",
            "dropped response_format.json_schema.name",
            "dropped response_format.json_schema.description",
            "dropped messages[0].name",
            "degraded messages[0].content[0].prompt_cache_breakpoint.ttl",
            "dropped messages[0].content[1].image_url.detail",
        },
    ),
    (
        "openai",
        CHAT,
        None,
        "ollama",
        {
            "dropped response_format.json_schema.name",
            "dropped response_format.json_schema.description",
            "dropped tools[0].function.strict",
            "dropped messages[0].name",
            "dropped messages[0].content[0].prompt_cache_breakpoint",
            "degraded messages[0].content[1]",
            "dropped messages[0].content[1].image_url.detail",
        },
    ),
    (
        "openai_responses",
        RESPONSES,
        None,
        "anthropic",
        {
            "dropped include[1]",
            "dropped reasoning.mode",
            "dropped text.verbosity",
            "dropped input[1].phase",
            "dropped input[2].content[0].detail",
        },
    ),
    (
        "gemini",
        GEMINI,
        DOOR,
        "openai",
        {
            "dropped generationConfig.topK",
            "dropped generationConfig.thinkingConfig.thinkingBudget",
            "dropped generationConfig.mediaResolution",
            "dropped contents[0].parts[0].partMetadata",
            "dropped contents[1].parts[0].thoughtSignature",
            "degraded contents[2].parts[0].functionResponse.response",
        },
    ),
    (
        "ollama",
        OLLAMA,
        None,
        "openai_responses",
        {
            "dropped keep_alive",
            "dropped options.num_ctx",
            "dropped options.repeat_penalty",
            "dropped messages[1].thinking",
        },
    ),
]


@pytest.mark.parametrize(("entry", "body", "path", "backend", "pairs"), CASES)
def test_g4_the_header_has_the_clients_own_paths(
    entry: str, body: dict[str, Any], path: str | None, backend: str, pairs: set[str]
) -> None:
    assert header(entry, backend, body, path) == pairs


@pytest.mark.parametrize("backend", BACKENDS)
def test_g4_no_loss_no_header(backend: str) -> None:
    body = {"model": "claude-sonnet-4-5", "max_tokens": 99, "messages": [{"role": "user", "content": "hi"}]}
    assert header("anthropic", backend, body) == set()
