"""A judge of Chat streams (wire.md 2.3; translation.md S12, Y1 to Y4, Y11, U7, T1, T2; the SDKs' accumulators).

The SDK puts deltas together by joining strings: what comes twice (a role, an id, a name) is doubled there, so it is a
fault here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ... import json
from ...judge import MAX_BLOCKS, PROMISE, Judge, joined

_ABSENT = json.Raw()
_FINISHES = ("stop", "length", "tool_calls", "content_filter", "function_call")


class _Function(msgspec.Struct, frozen=True):
    name: str | None = None
    arguments: str | None = None


class _Custom(msgspec.Struct, frozen=True):
    name: str | None = None
    input: str | None = None


class _Call(msgspec.Struct, frozen=True):
    index: int
    id: str | None = None
    type: str | None = None
    function: _Function | None = None
    custom: _Custom | None = None


class _Entry(msgspec.Struct, frozen=True):
    index: int | None = None


class _Delta(msgspec.Struct, frozen=True):
    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None
    annotations: list[_Entry] | None = None
    reasoning_details: list[_Entry] | None = None


class _Logprobs(msgspec.Struct, frozen=True):
    content: list[dict[str, Any]] | None = None
    refusal: list[dict[str, Any]] | None = None


class _Choice(msgspec.Struct, frozen=True):
    index: int
    delta: _Delta
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _CachedTokens(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class _ReasoningTokens(msgspec.Struct, frozen=True):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _CachedTokens | None = None
    completion_tokens_details: _ReasoningTokens | None = None


class _Chunk(msgspec.Struct, frozen=True):
    id: str
    object: str
    created: int
    model: str
    choices: list[_Choice]
    usage: json.Raw = _ABSENT


class _Probe(msgspec.Struct, frozen=True):
    error: json.Raw = _ABSENT


class _Error(msgspec.Struct, frozen=True):
    message: str
    type: str
    code: str | int | None = None


_probe = json.decoder(_Probe)
_chunk = json.decoder(_Chunk)
_usage = json.decoder(_Usage)
_error = json.decoder(_Error)
_any = json.decoder(dict[str, Any])


class _State:
    """What is known of one choice."""

    __slots__ = ("calls", "entries", "finish", "ids", "role")

    def __init__(self) -> None:
        self.role = False
        self.finish: str | None = None
        self.calls: list[tuple[str, bool, list[str]]] = []
        """Name, whether it is freeform, and fragments of the arguments."""
        self.ids: set[str] = set()
        self.entries: dict[str, int] = {}
        """How many annotations and reasoning details there were."""


class Grammar(Judge):
    """See `ferryllm_proto.grammar.Grammar`."""

    def __init__(self) -> None:
        super().__init__()
        self._head: tuple[str, int, str] | None = None
        self._choices: dict[int, _State] = {}
        self._usage = False
        self._over = False

    def _event(self, name: str | None, data: bytes) -> None:
        if name is not None:
            self._problem("framing", "an event: line; Chat streams have none (S12)")
        if self._over:
            self._problem("terminal", "an event behind the end of the stream")
            return
        if data == b"[DONE]":
            self._done()
            return
        probe = self._read(data, _probe)
        if probe is None:
            return
        if bytes(probe.error) not in (b"", b"null"):
            self._failed(probe.error)
            return
        chunk = self._read(data, _chunk)
        if chunk is not None:
            self._chunk(chunk)

    def _failed(self, data: json.Raw) -> None:
        self._over = self.seen.failed = True
        error = self._read(data, _error)
        if error is not None and not (error.message and error.type):
            self._problem("error", "error.message and error.type: expected a text")

    def _chunk(self, chunk: _Chunk) -> None:
        has_usage = bytes(chunk.usage) not in (b"", b"null")
        if not chunk.choices and not has_usage and self._head is None:
            return  # Azure tells first what its filters made of the prompt
        if chunk.object != "chat.completion.chunk":
            self._problem("field", "object: expected chat.completion.chunk")
        head = (chunk.id, chunk.created, chunk.model)
        if self._head is None:
            self._head = head
            if not chunk.id:
                self._problem("field", "id is empty")
        for field, one, other in zip(("id", "created", "model"), self._head, head, strict=True):
            if one != other:
                self._problem("identity", f"{field} is not the one of the first chunk (Y1)")
        self._head = head
        if self._usage:
            self._problem("order", "a chunk behind the usage; expected [DONE]")
        if has_usage:
            self._take_usage(chunk)
        elif not chunk.choices:
            self._problem(PROMISE, "a chunk without choices and without usage")
        for choice in chunk.choices:
            self._choice(choice)

    def _take_usage(self, chunk: _Chunk) -> None:
        usage = self._read(chunk.usage, _usage)
        if chunk.choices:
            self._problem(PROMISE, "usage beside a choice: it has a chunk of its own, with choices [] (U7)")
        elif not self._choices or any(state.finish is None for state in self._choices.values()):
            self._problem("usage", "usage before the finish (U7)")
        if not chunk.choices:
            self._usage = True
        if usage is not None:
            if min(usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) < 0:
                self._problem("usage", "a count below 0")
            self.seen.usage = json.decode(chunk.usage, _any)

    # --- choices -----------------------------------------------------------------------------------------

    def _choice(self, choice: _Choice) -> None:
        state = self._choices.get(choice.index)
        if state is None:
            if choice.index < 0 or len(self._choices) >= MAX_BLOCKS:
                self._problem("index", f"choice {choice.index}: expected 0 to {MAX_BLOCKS}")
                return
            state = self._choices[choice.index] = _State()
        delta = choice.delta
        if state.finish is not None:
            self._problem("order", "a delta behind the finish of its choice (Y1)")
        if not state.role:
            state.role = True
            if delta.role != "assistant":
                self._problem("order", "the first delta has no role assistant (Y1)")
        elif delta.role is not None:
            self._problem("order", "role again: SDKs join the texts")
        for field, entries in (("annotations", delta.annotations), ("reasoning_details", delta.reasoning_details)):
            for entry in entries or ():
                self._entry(state, field, entry)
        for call in delta.tool_calls or ():
            self._call(state, call)
        if choice.index == 0:
            self._keep_text(delta)
        if choice.finish_reason is not None:
            self._finish(choice.index, state, choice.finish_reason)

    def _keep_text(self, delta: _Delta) -> None:
        if delta.content and self._grow(delta.content):
            self._text.append(delta.content)
        thought = delta.reasoning_content or delta.reasoning
        if thought and self._grow(thought):
            self._reasoning.append(thought)

    def _entry(self, state: _State, field: str, entry: _Entry) -> None:
        count = state.entries.get(field, 0)
        if entry.index is None:
            if field == "annotations":
                self._problem("index", f"an entry of {field} without index: SDKs put lists together by it")
        elif entry.index > count:
            self._problem("index", f"entry {entry.index} of {field}, expected {count}")
        elif entry.index == count or field == "annotations":
            if entry.index != count:
                self._problem("index", f"entry {entry.index} of {field} again")
            state.entries[field] = count + 1

    def _call(self, state: _State, call: _Call) -> None:
        count = len(state.calls)
        if call.index > count or call.index < 0 or call.index >= MAX_BLOCKS:
            self._problem("index", f"tool call {call.index}, expected {count} (Y2)")
            return
        custom = call.custom is not None or call.type == "custom"
        name = (call.custom.name if call.custom else None) or (call.function.name if call.function else None)
        text = (call.custom.input if call.custom else None) or (call.function.arguments if call.function else None)
        if call.index == count:
            if not call.id:
                self._problem("field", "the first delta of a tool call has no id (Y2)")
            elif call.id in state.ids:
                self._problem("identity", "two calls have one id")
            state.ids.add(call.id or "")
            if call.type not in ("function", "custom"):
                self._problem("field", "the first delta of a tool call has no type function or custom (Y2)")
            if not name:
                self._problem("field", "the first delta of a tool call has no name (Y2)")
            if not custom and (call.function is None or call.function.arguments is None):
                self._problem("field", "the first delta of a tool call has no arguments, not even empty ones (Y2)")
            state.calls.append((name or "", custom, [text or ""]))
            self._grow(text or "")
            return
        if call.id is not None or name:
            self._problem("order", f"{'id' if call.id is not None else 'name'} of tool call {call.index} again (Y2)")
        if text and self._grow(text):
            state.calls[call.index][2].append(text)

    def _finish(self, index: int, state: _State, reason: str) -> None:
        if state.finish is not None:
            self._problem("finish", "a second finish_reason (Y1)")
            return
        state.finish = reason
        if index == 0:
            self.seen.finish = reason
        if reason not in _FINISHES:
            self._problem("finish", f"finish_reason: expected one of {', '.join(_FINISHES)}")
        if reason == "tool_calls":
            if not state.calls:
                self._problem("finish", "finish_reason is tool_calls without a call")
            for number, (_, custom, pieces) in enumerate(state.calls):
                if not custom and not "".join(pieces).strip():
                    self._problem("arguments", f"the arguments of call {number} are empty; expected {{}} at least (X7)")
        elif state.calls and reason == "stop":
            self._problem(PROMISE, "finish_reason is stop, but a call waits for its result (Y3)")

    # --- ends --------------------------------------------------------------------------------------------

    def _done(self) -> None:
        self._over = self.seen.ended = True
        if not self._choices:
            self._problem("terminal", "[DONE] without one choice")
        for index, state in self._choices.items():
            if state.finish is None:
                self._problem("terminal", f"[DONE] without a finish_reason of choice {index}")

    def _end(self) -> None:
        first = self._choices.get(0)
        if first is not None:
            self.seen.tools = [(name, joined(pieces)) for name, _, pieces in first.calls]
        if not self._over:
            what = "in the middle" if self.events else "before it began"
            self._problem("cut", f"the stream ends {what}; expected [DONE] or an error")
