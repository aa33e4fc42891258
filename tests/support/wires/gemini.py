"""Gemini streams as the API writes them (wire.md 5.2): several parts a chunk, whole calls, counters in every chunk."""

from __future__ import annotations

import json
import random
from typing import Any

from .meaning import FILTER, LENGTH, Block, Call, Can, Meant, Prose, Thought, Written, dumps, split

CAN = Can(cut_calls=False)

Value = dict[str, Any]


def error(rng: random.Random, kind: str) -> bytes:
    code, status, message = {
        "rate_limit": (429, "RESOURCE_EXHAUSTED", "slow down"),
        "overloaded": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
        "server": (500, "INTERNAL", "broken"),
        "context_length": (400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum number of tokens"),
    }[kind]
    value = {"error": {"code": code, "message": message, "status": status}}
    return b"data: " + dumps(rng, value) + b"\r\n\r\n"


def write(rng: random.Random, meant: Meant) -> Written:
    end = rng.choice((b"\r\n\r\n", b"\r\n\r\n", b"\n\n"))
    ints = rng.random() < 0.1
    parts = [part for block in meant.blocks for part in _parts(rng, block)]
    groups: list[list[Value]] = []
    for part in parts:
        if groups and rng.random() < 0.3:
            groups[-1].append(part)
        else:
            groups.append([part])
    usage = _usage(meant)
    values: list[Value] = []
    for group in groups:
        values.append({"candidates": [{"content": {"role": "model", "parts": group}, "index": 0}], **usage})
    last: Value = {"index": 0, "finishReason": _word(rng, meant, ints)}
    style = rng.randrange(4)
    if style == 0 and values:
        values[-1]["candidates"][0].update(last)
    else:
        content: Value = {"content": {"parts": [{"text": ""}], "role": "model"}} if style == 1 else {}
        content = {"content": {"role": "model"}} if style == 2 else content
        values.append({"candidates": [{**content, **last}], **usage})
    head = {"modelVersion": "real", "responseId": "r1"}
    events = [b"data: " + dumps(rng, {**value, **head}) + end for value in values]
    return Written(events, len(events))


def _parts(rng: random.Random, block: Block) -> list[Value]:
    if isinstance(block, Prose):
        return [{"text": piece} for piece in split(rng, block.text)]
    if isinstance(block, Thought):
        out: list[Value] = [{"text": piece, "thought": True} for piece in split(rng, block.text)]
        if block.seal is not None:
            out[-1]["thoughtSignature"] = block.seal
        return out
    if isinstance(block, Call):
        call: Value = {"name": block.name, "args": json.loads(block.args or "{}")}
        if not block.args:
            del call["args"]
        if block.id:
            call["id"] = block.id
        sealed = {"thoughtSignature": "c2ln"} if rng.random() < 0.3 else {}
        return [{"functionCall": call, **sealed}]
    return []


def _word(rng: random.Random, meant: Meant, ints: bool) -> str | int:
    if meant.finish == LENGTH:
        return 2 if ints else "MAX_TOKENS"
    if meant.finish == FILTER:
        return 3 if ints else rng.choice(("SAFETY", "PROHIBITED_CONTENT", "RECITATION"))
    return 1 if ints else "STOP"


def _usage(meant: Meant) -> Value:
    counts = meant.usage
    if counts is None:
        return {}
    out: Value = {
        "promptTokenCount": counts.input,
        "candidatesTokenCount": counts.output - counts.reasoning,
        "totalTokenCount": counts.input + counts.output,
    }
    if counts.reasoning:
        out["thoughtsTokenCount"] = counts.reasoning
    if counts.cached:
        out["cachedContentTokenCount"] = counts.cached
    return {"usageMetadata": out}
