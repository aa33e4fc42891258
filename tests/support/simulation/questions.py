"""Requests of clients by chance: of every entry, plain and rich, and many that are wrong."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec

from ferryllm_proto.inputs import ClientBody, ClientFault, ClientRequest, Input
from support.answers import ASK
from support.rich_requests import accepted

from .gateways import KEY, NAMES

_PATHS = {
    "openai": "/v1/chat/completions",
    "openai_responses": "/v1/responses",
    "anthropic": "/v1/messages",
    "ollama": "/api/chat",
}
_OTHERS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("/v1/messages/count_tokens", "anthropic", {"messages": [{"role": "user", "content": "hi"}]}),
    ("/v1/responses/input_tokens", "openai_responses", {"input": "hi"}),
    ("/v1/responses/compact", "openai_responses", {"input": [{"role": "user", "content": "hi"}]}),
    ("/v1/embeddings", "openai", {"input": ["a", "b"]}),
    ("/api/embed", "ollama", {"input": ["a", "b"]}),
    ("/v1/completions", "openai", {"prompt": "once", "max_tokens": 5}),
    ("/v1/completions", "openai", {"prompt": "once", "max_tokens": 5, "stream": True}),
    ("/v1/files", "openai", {"purpose": "batch"}),
)


class Question(msgspec.Struct):
    """What a client sends, and what a judge has to know of it."""

    entry: str
    backend: str
    request: ClientRequest
    body: Input
    stream: bool
    generates: bool
    """It is an ordinary question; else it counts, embeds, completes, compacts, forwards or asks for nothing at all."""
    sound: bool
    """Nothing is wrong with it."""
    forwards: bool = False


def make(rng: random.Random) -> Question:
    entry, backend = rng.choice(NAMES), rng.choice(NAMES)
    if rng.random() < 0.1:
        return _other(rng, backend)
    stream = rng.random() < 0.75
    kind = rng.random()
    sound = kind < 0.6
    body: dict[str, Any] = dict(accepted(entry, backend) if 0.5 < kind < 0.75 else ASK[entry])
    if entry == "openai_responses" and rng.random() < 0.5:
        body["store"] = rng.random() < 0.8
        if rng.random() < 0.4:
            body["previous_response_id"] = "resp_earlier"
        if rng.random() < 0.2 and isinstance(body["input"], str):
            body["input"] = [{"type": "item_reference", "id": "msg_earlier"}, {"role": "user", "content": "go on"}]
        sound = False
    if entry == "openai" and stream:
        body["stream_options"] = {"include_usage": True}
    model = f"{backend}-asked"
    if entry == "gemini":
        path = f"/v1beta/models/{model}:{'streamGenerateContent' if stream else 'generateContent'}"
        path += rng.choice(("?alt=sse", "?alt=sse", "")) if stream else ""
    else:
        path = _PATHS[entry]
        body.update(model=model, stream=stream)
    data = json.dumps(body).encode()
    if kind > 0.85:
        sound, data = False, _damaged(rng, data)
    question = _asked(rng, entry, backend, path, data, stream)
    question.sound = sound
    return _spoilt(rng, question) if rng.random() < 0.06 else question


def _asked(rng: random.Random, entry: str, backend: str, path: str, data: bytes, stream: bool) -> Question:
    headers = [("host", "127.0.0.1:3000"), ("content-type", "application/json"), ("authorization", f"Bearer {KEY}")]
    if rng.random() < 0.5:
        headers.append(("content-length", str(len(data))))
    if entry == "anthropic":
        headers.append(("anthropic-version", "2023-06-01"))
    rng.shuffle(headers)
    request = ClientRequest("POST", path, tuple(headers))
    return Question(entry, backend, request, ClientBody(data), stream, generates=True, sound=True)


def _other(rng: random.Random, backend: str) -> Question:
    path, entry, fields = rng.choice(_OTHERS)
    data = json.dumps({"model": f"{backend}-asked", **fields}).encode()
    if rng.random() < 0.15:
        data = _damaged(rng, data)
    question = _asked(rng, entry, backend, path, data, bool(fields.get("stream")))
    question.generates = question.sound = False
    question.forwards = path == "/v1/files"
    if question.forwards:
        question.backend = "openai"
    return question


def _damaged(rng: random.Random, data: bytes) -> bytes:
    kind = rng.randrange(6)
    at = rng.randrange(len(data))
    if kind == 0:
        return data[:at]
    if kind == 1:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if kind == 2:
        return data[:at] + data[at : at + 20] + data[at:]
    if kind == 3:
        return rng.choice((b"", b"[]", b"null", b"{}", b"\xff\xfe", b'"x"', b"[" * 500, b"0", b'{"model":null}'))
    if kind == 4:
        value = json.loads(data)
        name = rng.choice(list(value))
        value[name] = rng.choice((None, 1, -1, 1.5, "", "x", [], {}, [None], {"a": 1}, True, "x" * 3000))
        return json.dumps(value).encode()
    return data.replace(rng.choice((b"hi", b"user", b"text", b"role")), rng.choice((b"", b"\\ud800", b"\\u0000", b"x")))


def _spoilt(rng: random.Random, question: Question) -> Question:
    """Wrong before its body counts."""
    request = question.request
    change = msgspec.structs.replace
    question.sound = False
    kind = rng.randrange(7)
    if kind == 0:
        question.request = change(request, target=rng.choice(("/nowhere", "/v1/messages/nowhere", "/v1beta/models/x")))
    elif kind == 1:
        question.request = change(request, method=rng.choice(("PUT", "PATCH", "OPTIONS")))
    elif kind == 2:
        question.request = change(request, headers=tuple(h for h in request.headers if h[0] != "authorization"))
    elif kind == 3:
        question.request = change(request, headers=(*request.headers, ("origin", "https://evil.example")))
    elif kind == 4:
        headers = tuple(h for h in request.headers if h[0] != "content-length")
        question.request = change(request, headers=(*headers, ("content-length", "99999999")))
    elif kind == 5:
        question.body = ClientFault(rng.choice((400, 408, 413, 415)), "the body is broken")
    else:
        question.request = change(request, headers=(("host", "evil.example"), *request.headers[1:]))
    return question
