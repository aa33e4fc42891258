"""Responses streams as OpenAI and its imitators write them (wire.md 3.4): items that overlap, deltas left out."""

from __future__ import annotations

import random
from typing import Any

from .meaning import FILTER, LENGTH, Block, Call, Can, Foreign, Meant, Prose, Thought, Written, dumps, split

CAN = Can(refusals=True, foreign=True)

Value = dict[str, Any]


def error(rng: random.Random, kind: str) -> bytes:
    code = {
        "rate_limit": "rate_limit_exceeded",
        "overloaded": "server_is_overloaded",
        "server": "server_error",
        "context_length": "context_length_exceeded",
    }[kind]
    if rng.random() < 0.5:
        value: Value = {"type": "error", "sequence_number": 3, "code": code, "message": "no", "param": None}
    else:
        failed = {"id": "resp_1", "object": "response", "status": "failed", "error": {"code": code, "message": "no"}}
        value = {"type": "response.failed", "sequence_number": 3, "response": failed}
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), dumps(rng, value))


def write(rng: random.Random, meant: Meant) -> Written:
    wire = _Wire(rng)
    values: list[Value] = [{"type": "response.created", "response": wire.response(meant, "in_progress")}]
    if rng.random() < 0.9:
        values.append({"type": "response.in_progress", "response": wire.response(meant, "in_progress")})
    values.extend(wire.items(meant))
    status = "incomplete" if meant.finish in (LENGTH, FILTER) else "completed"
    values.append({"type": f"response.{status}", "response": wire.response(meant, status)})
    events = [wire.event(number, value) for number, value in enumerate(values)]
    enough = len(events)
    if rng.random() < 0.05:
        events.append(b"data: [DONE]\n\n")
    return Written(events, enough, exact_thoughts=wire.exact)


class _Wire:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.named = rng.random() < 0.9
        self.silent = rng.random() < 0.1
        """Items come without deltas."""
        self.overlap = rng.random() < 0.2
        self.raw_thoughts = rng.random() < 0.3
        self.one_message = rng.random() < 0.5
        """Texts in a row are parts of one message."""
        self.snapshot = rng.random() < 0.9
        """The last event repeats the items."""
        self.finals: list[Value] = []
        self.exact = True

    def event(self, number: int, value: Value) -> bytes:
        if value["type"].endswith(".delta") and self.rng.random() < 0.3:
            value = {**value, "obfuscation": "x" * self.rng.randint(1, 9)}
        name = b"event: %b\n" % value["type"].encode() if self.named else b""
        comment = b": OPENROUTER PROCESSING\n\n" if self.rng.random() < 0.02 else b""
        return comment + name + b"data: " + dumps(self.rng, {**value, "sequence_number": number}) + b"\n\n"

    def response(self, meant: Meant, status: str) -> Value:
        usage = None
        if meant.usage is not None and status != "in_progress":
            counts = meant.usage
            usage = {
                "input_tokens": counts.input,
                "input_tokens_details": {"cached_tokens": counts.cached},
                "output_tokens": counts.output,
                "output_tokens_details": {"reasoning_tokens": counts.reasoning},
                "total_tokens": counts.input + counts.output,
            }
        why = "content_filter" if meant.finish == FILTER else "max_output_tokens"
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_760_000_000,
            "model": "real",
            "status": status,
            "error": None,
            "incomplete_details": {"reason": why} if status == "incomplete" else None,
            "output": self.finals if self.snapshot else [],
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
        }

    # --- items -------------------------------------------------------------------------------------------

    def items(self, meant: Meant) -> list[Value]:
        groups: list[list[Block]] = []
        for block in meant.blocks:
            joins = groups and isinstance(block, Prose) and isinstance(groups[-1][-1], Prose) and self.one_message
            if joins:
                groups[-1].append(block)
            else:
                groups.append([block])
        lanes: list[list[Value]] = []
        for index, group in enumerate(groups):
            cut = meant.finish == LENGTH and index == len(groups) - 1
            status = "incomplete" if cut else "completed"
            item, inner = self._item(group, index, status)
            self.finals.append(item)
            lanes.append(self._lane(item, inner, index, group))
        return self._joined(lanes, [isinstance(group[0], Call) for group in groups])

    def _lane(self, item: Value, inner: list[Value], index: int, group: list[Block]) -> list[Value]:
        bare = {**item}
        if item["type"] == "message":
            bare["content"] = []
        elif item["type"] == "reasoning":
            bare = {key: value for key, value in item.items() if key not in ("encrypted_content", "content")}
            bare["summary"] = []
        elif item["type"] == "function_call":
            bare["arguments"] = ""
        if "status" in bare:
            bare["status"] = "in_progress"
        added = {"type": "response.output_item.added", "output_index": index, "item": bare}
        done = {"type": "response.output_item.done", "output_index": index, "item": item}
        if self.silent:
            return [added, done] if self.rng.random() < 0.7 else [done]
        where = {"item_id": item["id"], "output_index": index}
        return [added, *({**value, **where} for value in inner), done]

    def _joined(self, lanes: list[list[Value]], calls: list[bool]) -> list[Value]:
        """One item after the other; or calls in a row side by side."""
        out: list[Value] = []
        n = 0
        while n < len(lanes):
            end = n + 1
            while self.overlap and calls[n] and end < len(lanes) and calls[end]:
                end += 1
            run = [list(lane) for lane in lanes[n:end]]
            out.extend(lane.pop(0) for lane in run)  # added in order
            while any(run):
                lane = self.rng.choice([lane for lane in run if lane])
                out.append(lane.pop(0))
            n = end
        return out

    def _item(self, group: list[Block], index: int, status: str) -> tuple[Value, list[Value]]:
        block = group[0]
        if isinstance(block, Prose):
            return self._message([part for part in group if isinstance(part, Prose)], index, status)
        if isinstance(block, Thought):
            return self._thought(block, index)
        if isinstance(block, Call):
            return self._call(block, index, status)
        assert isinstance(block, Foreign)
        item = {"type": "web_search_call", "id": f"ws_{index}", "status": "completed", "action": {"type": "search"}}
        return item, [{"type": "response.web_search_call.searching"}]

    def _message(self, group: list[Prose], index: int, status: str) -> tuple[Value, list[Value]]:
        inner: list[Value] = []
        content: list[Value] = []
        for number, block in enumerate(group):
            kind, field = ("refusal", "refusal") if block.refusal else ("output_text", "text")
            part: Value = {"type": kind, field: block.text}
            empty: Value = {"type": kind, field: ""}
            if not block.refusal:
                part["annotations"], empty["annotations"] = [], []
            at = {"content_index": number}
            inner.append({"type": "response.content_part.added", **at, "part": empty})
            for piece in split(self.rng, block.text):
                inner.append({"type": f"response.{kind}.delta", **at, "delta": piece, "logprobs": []})
            if block.cited and not block.refusal:
                source = {
                    "type": "url_citation",
                    "start_index": 0,
                    "end_index": 1,
                    "title": "t",
                    "url": "https://example.com/",
                }
                part["annotations"] = [source]
                note = {"type": "response.output_text.annotation.added", "annotation_index": 0, "annotation": source}
                inner.append({**note, **at})
            inner.append({"type": f"response.{kind}.done", **at, field: block.text})
            inner.append({"type": "response.content_part.done", **at, "part": part})
            content.append(part)
        item = {"type": "message", "id": f"msg_{index}", "role": "assistant", "status": status, "content": content}
        return item, inner

    def _thought(self, block: Thought, index: int) -> tuple[Value, list[Value]]:
        inner: list[Value] = []
        item: Value = {"type": "reasoning", "id": f"rs_{index}", "summary": []}
        if block.seal is not None:
            item["encrypted_content"] = block.seal
        if self.raw_thoughts:
            for piece in split(self.rng, block.text):
                inner.append({"type": "response.reasoning_text.delta", "content_index": 0, "delta": piece})
            inner.append({"type": "response.reasoning_text.done", "content_index": 0, "text": block.text})
            item["content"] = [{"type": "reasoning_text", "text": block.text}]
            return item, inner
        parts = split(self.rng, block.text) if self.rng.random() < 0.3 else [block.text]
        self.exact = self.exact and len(parts) == 1
        for number, text in enumerate(parts):
            at = {"summary_index": number}
            kind = "response.reasoning_summary"
            inner.append({"type": f"{kind}_part.added", **at, "part": {"type": "summary_text", "text": ""}})
            for piece in split(self.rng, text):
                inner.append({"type": f"{kind}_text.delta", **at, "delta": piece})
            inner.append({"type": f"{kind}_text.done", **at, "text": text})
            inner.append({"type": f"{kind}_part.done", **at, "part": {"type": "summary_text", "text": text}})
            item["summary"].append({"type": "summary_text", "text": text})
        return item, inner

    def _call(self, block: Call, index: int, status: str) -> tuple[Value, list[Value]]:
        if not block.id:
            block.id = f"call_{index}"
        item = {
            "type": "function_call",
            "id": f"fc_{index}",
            "call_id": block.id,
            "name": block.name,
            "arguments": block.args,
            "status": status,
        }
        kind = "response.function_call_arguments"
        inner: list[Value] = [{"type": f"{kind}.delta", "delta": piece} for piece in split(self.rng, block.args)]
        inner.append({"type": f"{kind}.done", "arguments": block.args})
        return item, inner
