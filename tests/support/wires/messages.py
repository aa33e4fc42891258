"""Messages streams as the API and its imitators write them (wire.md 4.3): overlapping blocks, usage here and there."""

from __future__ import annotations

import json
import random
from typing import Any

from .meaning import FILTER, LENGTH, STOP, TOOL, Call, Can, Foreign, Meant, Prose, Thought, Written, dumps, split

CAN = Can(stop=True, foreign=True)


def error(rng: random.Random, kind: str) -> bytes:
    word = {
        "rate_limit": "rate_limit_error",
        "overloaded": "overloaded_error",
        "server": "api_error",
        "context_length": "invalid_request_error",
    }[kind]
    message = "prompt is too long: 9 tokens > 8 maximum" if kind == "context_length" else "no"
    return (
        b"event: error\ndata: " + dumps(rng, {"type": "error", "error": {"type": word, "message": message}}) + b"\n\n"
    )


def write(rng: random.Random, meant: Meant) -> Written:
    wire = _Wire(rng)
    events = [wire.start(meant), *wire.blocks(meant)]
    events.extend(wire.end(meant))
    enough = len(events)
    if rng.random() < 0.9:
        events.append(wire.event("message_stop"))
    return Written(events, enough)


class _Wire:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.late = rng.random() < 0.2
        """llama.cpp: all blocks are stopped at the end."""
        self.usage_twice = rng.random() < 0.7
        self.newline = rng.choice((b"\n", b"\n", b"\n", b"\r\n"))

    def event(self, type_: str, **fields: Any) -> bytes:
        head = b""
        if self.rng.random() < 0.05:
            head = b'event: ping\ndata: {"type": "ping"}\n\n' if self.rng.random() < 0.7 else b": hello\n\n"
        body = dumps(self.rng, {"type": type_, **fields})
        return head + b"event: %b%bdata: %b%b" % (type_.encode(), self.newline, body, self.newline * 2)

    def usage(self, meant: Meant, *, end: bool) -> dict[str, Any]:
        counts = meant.usage
        if counts is None:
            return {"input_tokens": 0, "output_tokens": 0}
        known = {
            "input_tokens": counts.input - counts.cached,
            "cache_read_input_tokens": counts.cached,
            "cache_creation_input_tokens": 0,
        }
        if not end:
            return {**known, "output_tokens": 1 if counts.output else 0}
        return {**(known if self.usage_twice else {}), "output_tokens": counts.output}

    def start(self, meant: Meant) -> bytes:
        message: dict[str, Any] = {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": "real",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self.usage(meant, end=False),
        }
        return self.event("message_start", message=message)

    def blocks(self, meant: Meant) -> list[bytes]:
        out: list[bytes] = []
        stops: list[bytes] = []
        index = 0
        for block in meant.blocks:
            for start, deltas in self._block(block, index):
                out.append(self.event("content_block_start", index=index, content_block=start))
                out.extend(self.event("content_block_delta", index=index, delta=delta) for delta in deltas)
                stop = self.event("content_block_stop", index=index)
                (stops if self.late else out).append(stop)
                index += 1
        return out + stops

    def _block(self, block: object, index: int) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        rng = self.rng
        if isinstance(block, Prose):
            pieces = split(rng, block.text)
            head = pieces.pop(0) if rng.random() < 0.1 else ""
            deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": piece} for piece in pieces]
            if block.cited:
                source = {
                    "type": "web_search_result_location",
                    "url": "https://example.com/",
                    "title": "t",
                    "cited_text": "x",
                    "encrypted_index": "eA==",
                }
                deltas.append({"type": "citations_delta", "citation": source})
            return [({"type": "text", "text": head}, deltas)]
        if isinstance(block, Thought):
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in split(rng, block.text)]
            if block.seal is not None:
                deltas.append({"type": "signature_delta", "signature": block.seal})
            out = [({"type": "thinking", "thinking": "", "signature": ""}, deltas)]
            if rng.random() < 0.1:
                block.seal = block.seal or "c2VjcmV0"
                out.append(({"type": "redacted_thinking", "data": "c2VjcmV0"}, []))
            return out
        if isinstance(block, Call):
            return [self._call(block, index)]
        assert isinstance(block, Foreign)
        use = {"type": "server_tool_use", "id": f"srvtoolu_{index}", "name": "web_search", "input": {}}
        result = {"type": "web_search_tool_result", "tool_use_id": f"srvtoolu_{index}", "content": []}
        return [(use, [{"type": "input_json_delta", "partial_json": '{"query":"x"}'}]), (result, [])]

    def _call(self, block: Call, index: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        if not block.id:
            block.id = f"toolu_{index}"
        start: dict[str, Any] = {"type": "tool_use", "id": block.id, "name": block.name, "input": {}}
        pieces = split(self.rng, block.args)
        if self.rng.random() < 0.05 and block.args[-1:] == "}" and _is_object(block.args):
            start["input"] = json.loads(block.args)
            block.rewritten, pieces = True, []
        elif self.rng.random() < 0.5:
            pieces.insert(0, "")
        return start, [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]

    def end(self, meant: Meant) -> list[bytes]:
        word = {LENGTH: "max_tokens", STOP: "stop_sequence", TOOL: "tool_use", FILTER: "refusal"}.get(
            meant.finish, "end_turn"
        )
        stop = "STOP!" if meant.finish == STOP else None
        delta = {"stop_reason": word, "stop_sequence": stop}
        return [self.event("message_delta", delta=delta, usage=self.usage(meant, end=True))]


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
