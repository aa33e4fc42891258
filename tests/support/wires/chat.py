"""Chat streams as servers of all kinds write them (wire.md 2.3, 2.4; pitfalls 2, 5, 6): far more than we ever emit."""

from __future__ import annotations

import random
from typing import Any

from .meaning import (
    FILTER,
    LENGTH,
    STOP,
    TOOL,
    Call,
    Can,
    Counts,
    Foreign,
    Meant,
    Prose,
    Thought,
    Written,
    dumps,
    split,
)

CAN = Can(refusals=True, stop=True)

Delta = dict[str, Any]


def write(rng: random.Random, meant: Meant) -> Written:
    wire = _Wire(rng)
    deltas = wire.merged(wire.deltas(meant))
    return wire.stream(deltas, meant)


def error(rng: random.Random, kind: str) -> bytes:
    """An error inside the stream, as one event."""
    body: Any = {
        "rate_limit": {"message": "slow down", "type": "rate_limit_error", "code": "rate_limit_exceeded"},
        "overloaded": {"message": "try later", "type": "overloaded_error", "code": 529},
        "server": {"message": "broken", "type": "server_error", "code": None},
        "context_length": {
            "message": "too long",
            "type": "invalid_request_error",
            "code": "context_length_exceeded",
            "param": "messages",
        },
    }[kind]
    name = b"event: error\n" if rng.random() < 0.2 else b""
    value = {"error": body, "choices": []} if rng.random() < 0.3 else {"error": body}
    return name + b"data: " + dumps(rng, value) + b"\n\n"


class _Wire:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.thought_field = rng.choice(("reasoning_content", "reasoning", "both"))
        self.numbering = rng.choice(("index", "index", "index", "index", "none", "zero"))
        self.snapshots = rng.random() < 0.1
        self.whole_calls = rng.random() < 0.2
        self.repeat = rng.random() < 0.15
        """Ids and names come with every fragment."""
        self.roles = rng.choice(("first", "first", "never", "always"))
        self.loose = self.numbering == "index" and rng.random() < 0.5
        """Blocks overlap: calls go on while text comes."""
        self.usage_at = rng.choice(("end", "end", "finish", "always", "preview", "groq"))
        self.done = rng.random() < 0.85
        self.newline = rng.choice((b"\n", b"\n", b"\n", b"\r\n", b"\r"))
        self.space = rng.choice((b"data: ", b"data: ", b"data:"))

    # --- what is said, in order --------------------------------------------------------------------------

    def deltas(self, meant: Meant) -> list[Delta]:
        lanes: list[list[Delta]] = []
        kinds: list[bool] = []
        number = 0
        for block in meant.blocks:
            if isinstance(block, Call):
                lanes.append(self._call(block, number))
                number += 1
            elif isinstance(block, Prose):
                lanes.append(self._prose(block))
            elif isinstance(block, Thought):
                lanes.append(self._thought(block))
            else:
                assert isinstance(block, Foreign)
                continue
            kinds.append(isinstance(block, Call))
        return self._interleaved(lanes, kinds)

    def _prose(self, block: Prose) -> list[Delta]:
        field = "refusal" if block.refusal else "content"
        out: list[Delta] = [{field: piece} for piece in split(self.rng, block.text)]
        if block.cited and not block.refusal:
            source = {"start_index": 0, "end_index": 1, "title": "t", "url": "https://example.com/"}
            out.append({"annotations": [{"type": "url_citation", "url_citation": source}]})
        return out

    def _thought(self, block: Thought) -> list[Delta]:
        out: list[Delta] = []
        for piece in split(self.rng, block.text):
            if self.thought_field == "both":
                entry = {"type": "reasoning.text", "text": piece, "format": "anthropic-claude-v1", "index": 0}
                out.append({"reasoning": piece, "reasoning_details": [entry]})
            else:
                out.append({self.thought_field: piece})
        if block.seal is not None:
            entry = {"type": "reasoning.encrypted", "data": block.seal, "format": "openai-responses-v1", "index": 1}
            out.append({"reasoning_details": [entry]})
        return out

    def _call(self, block: Call, number: int) -> list[Delta]:
        rng = self.rng
        pieces = [block.args] if self.whole_calls else split(rng, block.args)
        # Where JSON allows a new object, nobody can tell a snapshot from a fragment.
        if self.snapshots and block.args[:1] == "{" and pieces[0].rstrip()[-1:] not in ("", ":", "[", ","):
            pieces = ["".join(pieces[: n + 1]) for n in range(len(pieces))]
        head: Delta = {"type": "function", "function": {"name": block.name, "arguments": ""}}
        if self.numbering == "index":
            head["index"] = number
        elif self.numbering == "zero":
            head["index"] = 0
        if self.numbering != "index" and not block.id:
            block.id = f"call_minted{number}"  # without numbers, ids are what tells calls apart
        if block.id is not None:
            head["id"] = block.id
        if pieces and (self.whole_calls or rng.random() < 0.3):
            head["function"]["arguments"] = pieces.pop(0)
        elif rng.random() < 0.1:
            head["function"]["arguments"] = None
        out = [head]
        for piece in pieces:
            part: Delta = {"function": {"arguments": piece}}
            if "index" in head:
                part["index"] = head["index"]
            if self.repeat and self.numbering == "index":
                part["id"], part["function"]["name"] = block.id, rng.choice((block.name, "", None))
            out.append(part)
        return [{"tool_calls": [part]} for part in out]

    def _interleaved(self, lanes: list[list[Delta]], calls: list[bool]) -> list[Delta]:
        rng = self.rng
        at = [0] * len(lanes)
        started = 0
        out: list[Delta] = []
        while True:
            going = [n for n in range(started) if at[n] < len(lanes[n])]
            ready = list(going)
            if started < len(lanes):
                # Text and thoughts come one after the other; calls may run side by side, or beside text.
                prose_open = any(not calls[n] for n in going)
                apart = self.numbering != "index" and going
                free = calls[started] or not (prose_open if self.loose else going)
                if (free and not apart) and not (prose_open and not self.loose):
                    ready.append(started)
            if not ready:
                return out
            n = rng.choice(ready)
            if n == started:
                started += 1
            if at[n] < len(lanes[n]):
                out.append(lanes[n][at[n]])
                at[n] += 1

    def merged(self, deltas: list[Delta]) -> list[Delta]:
        """Several deltas in one chunk, as long as the order they are read in stays."""
        order = ("reasoning", "reasoning_content", "reasoning_details", "content", "annotations", "tool_calls")
        out: list[Delta] = []
        for delta in deltas:
            last = out[-1] if out else {}
            fits = last and "refusal" not in last and "refusal" not in delta and self.rng.random() < 0.15
            if fits and "tool_calls" in delta and "tool_calls" in last and self.numbering == "index":
                last["tool_calls"] = [*last["tool_calls"], *delta["tool_calls"]]
            elif fits and max(map(order.index, last)) < min(map(order.index, delta)):
                last.update(delta)
            else:
                out.append(dict(delta))
        return out

    # --- chunks ------------------------------------------------------------------------------------------

    def event(self, payload: bytes) -> bytes:
        head = b": OPENROUTER PROCESSING" + self.newline * 2 if self.rng.random() < 0.03 else b""
        return head + self.space + payload + self.newline * 2

    def chunk(self, choices: list[Delta], **fields: Any) -> bytes:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_760_000_000, "model": "real"}
        return self.event(dumps(self.rng, {**head, "choices": choices, **fields}))

    def stream(self, deltas: list[Delta], meant: Meant) -> Written:
        rng = self.rng
        usage = None if meant.usage is None else tokens(meant.usage)
        always = {"usage": usage} if self.usage_at == "always" and usage else {}
        events: list[bytes] = []
        if self.roles != "never" or not deltas:
            first = {"role": "assistant", "content": rng.choice(("", None))}
            preview = {"usage": {**usage, "completion_tokens": 0}} if self.usage_at == "preview" and usage else always
            events.append(self.chunk([{"index": 0, "delta": first, "finish_reason": None}], **preview))
        for delta in deltas:
            if self.roles == "always":
                delta = {"role": "assistant", **delta}
            empty = {"index": 0, "delta": delta, "finish_reason": rng.choice((None, None, ""))}
            if rng.random() < 0.05:
                delta.setdefault("tool_calls", rng.choice(([], None)))
                delta.setdefault("reasoning_content", rng.choice(("", None)) if "reasoning" not in delta else None)
            events.append(self.chunk([empty], **always))
        last: Delta = {"index": 0, "delta": {}, "finish_reason": self.word(meant)}
        if meant.finish == STOP:
            last["stop_reason"] = "STOP!"
        late = {"usage": usage} if usage and self.usage_at in ("finish", "always") else {}
        if usage and self.usage_at == "groq":
            late = {"x_groq": {"usage": usage}}
        events.append(self.chunk([last], **late))
        enough = len(events)
        if usage and self.usage_at in ("end", "preview"):
            events.append(self.chunk([], usage=usage))
        if self.done:
            events.append(self.event(b"[DONE]"))
        return Written(events, enough)

    def word(self, meant: Meant) -> str:
        if meant.finish == TOOL:
            return self.rng.choice(("tool_calls", "tool_calls", "stop", "function_call"))
        return {LENGTH: "length", FILTER: "content_filter"}.get(meant.finish, "stop")


def tokens(counts: Counts) -> dict[str, Any]:
    return {
        "prompt_tokens": counts.input,
        "completion_tokens": counts.output,
        "total_tokens": counts.input + counts.output,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }
