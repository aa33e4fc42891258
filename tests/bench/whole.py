"""Scenarios of whole exchanges through proto alone: a request of each client's dialect, its whole answer, each pair.

Apart from the harness, which counts what they cost: ``python tests/bench/whole.py`` prints CPU microseconds of one
exchange, the best of several rounds, for a look while working.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable

from ferryllm_proto import Translator
from ferryllm_proto.dialect import Headers

Run = Callable[[], object]

CLIENT_HEADERS: Headers = (
    ("host", "127.0.0.1:3000"),
    ("accept", "application/json"),
    ("content-type", "application/json"),
    ("user-agent", "sdk/1.0"),
    ("anthropic-version", "2023-06-01"),
    ("x-stainless-lang", "python"),
)
"""What an SDK sends, as far as it matters here."""

PROVIDER_HEADERS: Headers = (
    ("date", "Sat, 21 Nov 2026 10:00:00 GMT"),
    ("content-type", "application/json"),
    ("content-length", "300"),
    ("x-request-id", "req_1"),
)

_WORDS = ["def", "class", "return", "import", "self", "async", "await", "if", "else", "None", "request", "response"]
_WORDS += ["stream", "token", "tool", "error", "the", "a", "of", "to", "and", "in", "is", "that", "it", "README.md"]
_WORDS += ["src/app/server.py", "tests/test_stream.py", "naïve", "—", "…", '"quoted"', "\\path\\x"]

PATHS = {
    "gemini": "/v1beta/models/asked:generateContent",
    "ollama": "/api/chat",
}

_QUESTION = "Reply with exactly one short word: pong"

SMALL: dict[str, dict[str, object]] = {
    "anthropic": {
        "model": "asked",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": _QUESTION}],
        "stream": False,
    },
    "openai": {
        "model": "asked",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": _QUESTION}],
        "stream": False,
    },
    "openai_responses": {
        "model": "asked",
        "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": _QUESTION}]}],
        "stream": False,
    },
    "gemini": {
        "contents": [{"role": "user", "parts": [{"text": _QUESTION}]}],
        "generationConfig": {"maxOutputTokens": 64},
    },
    "ollama": {"model": "asked", "messages": [{"role": "user", "content": _QUESTION}], "stream": False},
}
"""A request of a few words by each dialect."""

ANSWERS: dict[str, dict[str, object]] = {
    "anthropic": {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "real",
        "content": [{"type": "text", "text": "pong"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 14, "output_tokens": 3},
    },
    "openai": {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "real",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "pong"}, "finish_reason": "stop", "logprobs": None}
        ],
        "usage": {"prompt_tokens": 14, "completion_tokens": 3, "total_tokens": 17},
    },
    "openai_responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 1790000000,
        "model": "real",
        "status": "completed",
        "output": [
            {
                "type": "message",
                "id": "msg_1",
                "status": "completed",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "pong", "annotations": []}],
            }
        ],
        "usage": {
            "input_tokens": 14,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 17,
        },
    },
    "gemini": {
        "candidates": [{"content": {"parts": [{"text": "pong"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 14, "candidatesTokenCount": 3, "totalTokenCount": 17},
        "modelVersion": "real",
        "responseId": "r1",
    },
    "ollama": {
        "model": "real",
        "created_at": "2026-11-21T10:00:00.0Z",
        "message": {"role": "assistant", "content": "pong"},
        "done": True,
        "done_reason": "stop",
        "total_duration": 5,
        "prompt_eval_count": 14,
        "eval_count": 3,
    },
}
"""A provider's whole answer of one word."""


def _dumps(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _text(rng: random.Random, size: int) -> str:
    out: list[str] = []
    length = 0
    while length < size:
        word = rng.choice(_WORDS) + ("\n    " if rng.random() < 0.08 else "")
        out.append(word)
        length += len(word) + 1
    return " ".join(out)[:size]


def _schema(rng: random.Random, count: int) -> dict[str, object]:
    properties: dict[str, object] = {}
    for number in range(count):
        kind = rng.choice(["string", "integer", "boolean", "array", "object"])
        one: dict[str, object] = {"type": kind, "description": _text(rng, 90)}
        if kind == "array":
            one["items"] = {"type": "string"}
        if kind == "object":
            one["properties"] = {"key": {"type": "string"}, "value": {"type": ["string", "null"]}}
            one["additionalProperties"] = False
        properties[f"param_{number}"] = one
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "required": list(properties)[:2],
        "additionalProperties": False,
    }


def history(size: int, *, turns: int = 30, tools: int = 40) -> dict[str, object]:
    """The body of a coding agent with Messages, about ``size`` bytes: calls and their results; always the same."""
    rng = random.Random(20261121)
    words = max(60, min(1400, size // 250))
    offered = [
        {"name": f"tool_{n}", "description": _text(rng, words), "input_schema": _schema(rng, 2 + n % 4)}
        for n in range(tools)
    ]
    system = _text(rng, min(14000, size // 8))
    fixed = len(system) + len(_dumps(offered))
    each = max(120, (size - fixed - turns * 320) // turns)
    messages: list[dict[str, object]] = [
        {"role": "user", "content": [{"type": "text", "text": "Fix the failing test, please."}]}
    ]
    for n in range(turns):
        given = {"file_path": f"/repo/src/module_{n}.py", "new_string": _text(rng, max(30, each // 5))}
        id_ = f"toolu_{n:024d}"
        call = {"type": "tool_use", "id": id_, "name": f"tool_{n % tools}", "input": given}
        said = {"type": "text", "text": _text(rng, max(40, each // 10))}
        result: dict[str, object] = {"type": "tool_result", "tool_use_id": id_}
        result["content"] = _text(rng, max(50, each * 6 // 10))
        if n == turns - 1:
            result["cache_control"] = {"type": "ephemeral"}
        messages += ({"role": "assistant", "content": [said, call]}, {"role": "user", "content": [result]})
    mark = {"type": "ephemeral"}
    return {
        "model": "asked",
        "max_tokens": 32000,
        "system": [
            {"type": "text", "text": "You are a coding agent.", "cache_control": mark},
            {"type": "text", "text": system, "cache_control": mark},
        ],
        "tools": offered,
        "messages": messages,
        "stream": False,
    }


def exchange(entry: str, backend: str, body: bytes) -> Run:
    """One whole exchange: the request, the provider's head, its body in one piece, its end."""
    answer = _dumps(ANSWERS[backend])
    path = PATHS.get(entry)

    def run() -> object:
        talk = Translator(entry=entry, backend=backend, model="real", now=1790000000.0, seed=7, request_id="req_x")
        upstream = talk.receive_request(body, CLIENT_HEADERS, path)
        talk.receive_response_head(200, PROVIDER_HEADERS)
        out = talk.receive_data(answer)
        out += talk.receive_eof()
        return upstream, talk.head, out, talk.usage

    return run


def scenarios() -> dict[str, Run]:
    """Name to one exchange: every pair with small bodies; a long history of Messages to Chat."""
    found = {
        f"whole {entry}>{backend}": exchange(entry, backend, _dumps(SMALL[entry]))
        for entry in SMALL
        for backend in ANSWERS
    }
    for name, size in (("100 kB", 100_000), ("1 MB", 1_000_000)):
        for pair in (("anthropic", "openai"), ("anthropic", "anthropic"), ("anthropic", "gemini")):
            found[f"{name} {pair[0]}>{pair[1]}"] = exchange(*pair, _dumps(history(size)))
    return found


def cost(run: Run, *, rounds: int = 7, secs: float = 0.05) -> float:
    """CPU microseconds of one ``run``, the best of ``rounds``."""
    run()
    count = 1
    while True:
        started = time.process_time()
        for _ in range(count):
            run()
        if (spent := time.process_time() - started) > secs:
            break
        count = max(count * 2, int(count * secs / max(spent, 1e-6)))
    best = spent / count
    for _ in range(rounds - 1):
        started = time.process_time()
        for _ in range(count):
            run()
        best = min(best, (time.process_time() - started) / count)
    return best * 1e6


def main(wanted: list[str]) -> None:
    for name, run in scenarios().items():
        if not wanted or any(word in name for word in wanted):
            sys.stdout.write(f"{name:40} {cost(run):10.2f}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
