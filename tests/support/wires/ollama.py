"""Ollama's streams as its server writes them (wire.md 6): one JSON object a line, whole calls, counters at the end."""

from __future__ import annotations

import json
import random
from typing import Any

from .meaning import LENGTH, Call, Can, Counts, Meant, Prose, Thought, Written, dumps, split

CAN = Can(filter=False, seals=False, cut_calls=False)

Value = dict[str, Any]


def error(rng: random.Random, kind: str) -> bytes:
    text = {
        "rate_limit": "too many requests",
        "overloaded": "server busy, please try again. maximum pending requests exceeded",
        "server": "an error was encountered while running the model",
        "context_length": "the input length exceeds the context length",
    }[kind]
    return dumps(rng, {"error": text}) + b"\n"


def write(rng: random.Random, meant: Meant) -> Written:
    if meant.usage is not None:  # nothing tells what came from a cache or was thought
        meant.usage = Counts(meant.usage.input, 0, meant.usage.output, 0)
    messages: list[Value] = []
    for block in meant.blocks:
        if isinstance(block, Prose):
            messages.extend({"content": piece} for piece in split(rng, block.text))
        elif isinstance(block, Thought):
            messages.extend({"content": "", "thinking": piece} for piece in split(rng, block.text))
        elif isinstance(block, Call):
            call: Value = {"function": {"name": block.name, "arguments": json.loads(block.args or "{}")}}
            if block.id:
                call["id"] = block.id
            last = messages[-1] if messages else {}
            if rng.random() < 0.4 and "tool_calls" in last:
                last["tool_calls"].append(call)
            else:
                messages.append({"content": "", "tool_calls": [call]})
    head = {"model": "real", "created_at": "2025-10-09T12:00:00.000000001Z"}
    events = [dumps(rng, {**head, "message": {"role": "assistant", **m}, "done": False}) + b"\n" for m in messages]
    final: Value = {"done": True, "done_reason": "length" if meant.finish == LENGTH else "stop", "total_duration": 5}
    if meant.usage is not None:
        final.update(prompt_eval_count=meant.usage.input, eval_count=meant.usage.output, eval_duration=3)
    events.append(dumps(rng, {**head, "message": {"role": "assistant", "content": ""}, **final}) + b"\n")
    return Written(events, len(events))
