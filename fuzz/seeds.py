"""The seed corpus: a few inputs for each target, made from the fixtures of the tests. No recorded traffic is in it."""

from __future__ import annotations

import json
import pathlib
import random
import sys

ROOT = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(ROOT), str(ROOT.parent / "tests")]

from targets import ASK, NAMES, TARGETS  # noqa: E402

from ferryllm_proto import DIALECTS, ir  # noqa: E402
from ferryllm_proto.dialect import Answer  # noqa: E402
from support.wires import WIRES  # noqa: E402 - found through the line above
from support.wires.meaning import make  # noqa: E402

CORPUS = ROOT / "corpus"
MOST = 6000
"""Bytes of one seed: fuzzers like them small."""

_RICH_TURNS = [
    {"role": "user", "content": [{"type": "text", "text": "look: é \ud83d"}]},
    {"role": "assistant", "content": "well"},
    {"role": "user", "content": "go on"},
]
_PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_RESULT = {"functionResponse": {"name": "f", "response": {"result": "sunny"}}}
_IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_DATA_URL = f"data:image/png;base64,{_IMAGE}"

REQUESTS: dict[str, dict[str, object]] = {
    "openai": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            *_RICH_TURNS,
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": _DATA_URL}}],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": _PARAMETERS, "strict": True}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "temperature": 0.70,
        "stop": ["x"],
        "max_completion_tokens": 100,
        "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": _PARAMETERS}},
        "stream": True,
        "unknown": [1e3],
    },
    "openai_responses": {
        "model": "m",
        "instructions": "be brief",
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "abc"},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "x"}]},
            {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "raw"},
        ],
        "tools": [
            {"type": "function", "name": "f", "parameters": _PARAMETERS, "strict": False},
            {"type": "custom", "name": "g"},
            {"type": "web_search"},
        ],
        "text": {"format": {"type": "json_object"}, "verbosity": "low"},
        "reasoning": {"effort": "high", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    },
    "anthropic": {
        "model": "m",
        "max_tokens": 100,
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            *_RICH_TURNS,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
                ],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "x", "is_error": True}],
            },
        ],
        "tools": [{"name": "f", "input_schema": _PARAMETERS}, {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "stop_sequences": ["x"],
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}, {"inlineData": {"mimeType": "image/png", "data": _IMAGE}}]},
            {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"}]},
            {"role": "user", "parts": [_RESULT]},
        ],
        "tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": _PARAMETERS}]}, {"googleSearch": {}}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {"temperature": 0.5, "stopSequences": ["x"], "thinkingConfig": {"thinkingBudget": 128}},
        "safetySettings": [],
    },
    "ollama": {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi", "images": [_IMAGE]},
            {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]},
            {"role": "tool", "tool_name": "f", "content": "sunny"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": _PARAMETERS}}],
        "options": {"temperature": 0.5, "stop": ["x"], "num_ctx": 4096},
        "format": "json",
        "think": "high",
        "keep_alive": "5m",
    },
}

ERRORS = [
    b'\x00{"error":{"message":"no","type":"invalid_request_error","param":"x","code":"bad"}}',
    b'\x05{"type":"error","error":{"type":"overloaded_error","message":"later"},"request_id":"r"}',
    b'\x04[{"error":{"code":429,"message":"no","status":"RESOURCE_EXHAUSTED","details":[{"retryDelay":"34s"}]}}]',
    b"\x06<html><body>502 Bad Gateway</body></html>",
    b'\x01{"error":"model not found"}',
    b'\x02{"detail":"Invalid API Key"}',
]

HTTP = [
    b"\x01POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
    b"\x01POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nx: y\r\n\r\n",
    b"\x00HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata:\r\n0\r\n\r\n",
    b"\x02HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
]

HTTP1 = [
    *HTTP,
    b"\x09GET /a HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
    b"\x21POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n02\r\nbc\r\n0\r\n\r\nPOST",
    b"\x18HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\nx: y\r\n\r\n",
    b"\x08HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the close",
    b"\x02HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
]

JSON = [
    b'{"model":"a","b":[1e3,0.70,12345678901234567890,"\\ud83d"],"c":{"model":"x"}}',
    b'{"mod\\u0065l":"a","model":"b"}',
    b' {\n"x" : "}" , "model" : null }\r\n',
]


def seeds(name: str) -> list[bytes]:
    """Inputs for one target."""
    if name == "http_guard":
        return HTTP
    if name == "http1_engine":
        return HTTP1
    if name.startswith("json"):
        return JSON
    if name == "ndjson":
        return [b"\x03" + stream for stream in _streams("ollama")]
    if name == "sse":
        return [bytes([step]) + stream for step, stream in enumerate(_streams("anthropic") + _streams("openai"))]
    dialect, _, what = name.partition(".")
    if what == "request":
        body = json.dumps(REQUESTS[dialect]).encode()
        plain = json.dumps(ASK[dialect][0]).encode()
        return [b"\x00" + body, b"\x01" + plain, *(bytes([n]) + body for n in range(1, 5))]
    if what == "error":
        return ERRORS
    if what == "answer":
        return [b"\x00" + body for body in _answers(dialect)]
    if what == "translator":
        to = len(NAMES)
        streams = [bytes([0x80 | n % to]) + stream for n, stream in enumerate(_streams(dialect))]
        wholes = [bytes([n % to]) + body for n, body in enumerate(_answers(dialect))]
        return [*streams, *wholes, bytes([0x60]) + ERRORS[0][1:]]
    return [bytes([n]) + stream for n, stream in enumerate(_streams(dialect))]


def _streams(dialect: str) -> list[bytes]:
    """Streams of a provider: some whole, one that ends in an error."""
    wire, out = WIRES[dialect], []
    for seed in range(40):
        rng = random.Random(seed)
        meant = make(rng, wire.can)
        events = wire.write(rng, meant).events
        data = b"".join(events)
        if len(meant.blocks) > 1 and len(data) <= MOST:
            out.append(data)
            if len(out) == 4:
                return [*out, b"".join(events[:2]) + wire.error(rng, "overloaded")]
    raise AssertionError(f"no small streams of {dialect}")


def _answers(dialect: str) -> list[bytes]:
    """Whole answers in the dialect's words."""
    call = ir.ToolCall("call_1", "f", '{"a":1}')
    usage = ir.Usage(5, cache_read=2, output=3, reasoning=1)
    responses = [
        ir.Response("r", "real", (ir.Text("hi é"), call), ir.FinishReason.TOOL_USE, usage=usage),
        ir.Response("r", "real", (ir.Reasoning("hm"), ir.Text("hi")), ir.FinishReason.LENGTH, usage=usage),
    ]
    return [DIALECTS[dialect].encode_response(response, Answer(model="real")) for response in responses]


def main() -> None:
    """Write the corpus anew; inputs that were found (``found-...``) stay."""
    for name in TARGETS:
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("seed-*"):
            old.unlink()
        for number, data in enumerate(seeds(name)):
            (folder / f"seed-{number:02}").write_bytes(data)


if __name__ == "__main__":
    main()
