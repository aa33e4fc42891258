"""A judge of Responses streams (wire.md 3.4; translation.md S12, Z1 to Z10, U9; Codex and the SDK's accumulator).

Codex reads items from their ``done`` alone, the SDK's accumulator asserts that items and parts were added before their
deltas come, and both hold the last event's object for the whole answer: so all three have to agree.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ... import json
from ...errors import RemoteProtocolError
from ...judge import MAX_BLOCKS, PROMISE, Judge
from .grammar_items import KNOWN, NULL, Item, WireEvent, WireItem, event_decoder, read_item


class _CachedTokens(msgspec.Struct, frozen=True):
    cached_tokens: int


class _ReasoningTokens(msgspec.Struct, frozen=True):
    reasoning_tokens: int


class _Usage(msgspec.Struct, frozen=True):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: _CachedTokens
    output_tokens_details: _ReasoningTokens


class _Error(msgspec.Struct, frozen=True):
    code: str
    message: str


class _Incomplete(msgspec.Struct, frozen=True):
    reason: str


class _Response(msgspec.Struct, frozen=True):
    id: str
    object: str
    created_at: float
    model: str
    status: str
    output: list[json.Raw]
    parallel_tool_calls: bool
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    error: _Error | None = None
    incomplete_details: _Incomplete | None = None
    usage: json.Raw = NULL


_response = json.decoder(_Response)
_usage = json.decoder(_Usage)
_any = json.decoder(dict[str, Any])

_TERMINAL = ("response.completed", "response.incomplete", "response.failed")
_ITEM = ("item_id", "output_index")
_PART = (*_ITEM, "content_index")
_SUMMARY = (*_ITEM, "summary_index")
_REQUIRED: dict[str, tuple[str, ...]] = {
    "response.created": ("response",),
    "response.queued": ("response",),
    "response.in_progress": ("response",),
    "response.completed": ("response",),
    "response.incomplete": ("response",),
    "response.failed": ("response",),
    "response.output_item.added": ("output_index", "item"),
    "response.output_item.done": ("output_index", "item"),
    "response.content_part.added": (*_PART, "part"),
    "response.content_part.done": (*_PART, "part"),
    "response.output_text.delta": (*_PART, "delta"),
    "response.output_text.done": (*_PART, "text"),
    "response.output_text.annotation.added": (*_PART, "annotation_index", "annotation"),
    "response.refusal.delta": (*_PART, "delta"),
    "response.refusal.done": (*_PART, "refusal"),
    "response.reasoning_text.delta": (*_PART, "delta"),
    "response.reasoning_text.done": (*_PART, "text"),
    "response.reasoning_summary_part.added": (*_SUMMARY, "part"),
    "response.reasoning_summary_part.done": (*_SUMMARY, "part"),
    "response.reasoning_summary_text.delta": (*_SUMMARY, "delta"),
    "response.reasoning_summary_text.done": (*_SUMMARY, "text"),
    "response.function_call_arguments.delta": (*_ITEM, "delta"),
    "response.function_call_arguments.done": (*_ITEM, "arguments"),
    "response.custom_tool_call_input.delta": (*_ITEM, "delta"),
    "response.custom_tool_call_input.done": (*_ITEM, "input"),
    "error": ("message",),
}
_HOSTED = (
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "mcp_call",
    "mcp_list_tools",
    "shell_call",
    "apply_patch_call",
    "compaction",
    "audio",
)
"""Beginnings of the events of hosted tools and of sound, behind ``response.``."""

_DELTAS = {
    "response.output_text.delta": ("content", "output_text"),
    "response.refusal.delta": ("content", "refusal"),
    "response.reasoning_text.delta": ("content", "reasoning_text"),
    "response.reasoning_summary_text.delta": ("summary", "summary_text"),
}
_DONES = {name.replace(".delta", ".done"): value for name, value in _DELTAS.items()}
_CALLS = {
    "response.function_call_arguments": "function_call",
    "response.custom_tool_call_input": "custom_tool_call",
}


def _unencrypted(item: json.Raw) -> bytes:
    fields = json.fields(item)
    fields.pop("encrypted_content", None)
    return json.encode(fields)


class Grammar(Judge):
    """See `ferryllm_proto.grammar.Grammar`."""

    def __init__(self) -> None:
        super().__init__()
        self._state = "before"
        """before, created, open (in progress), over."""
        self._id: str | None = None
        self._open: dict[int, Item] = {}
        self._done: dict[int, json.Raw] = {}
        self._statuses: list[str] = []
        self._ids: set[str] = set()
        self._calls: set[str] = set()
        self._next = 0

    # --- events ------------------------------------------------------------------------------------------

    def _event(self, name: str | None, data: bytes) -> None:
        event = self._read(data, event_decoder)
        if event is None:
            return
        kind = event.type
        if name != kind:
            found = "no event: line" if name is None else "an event: line of another name"
            self._problem("framing", f"{found} for type {kind!r} (S12)")
        if event.sequence_number != self.events:
            self._problem("number", f"sequence_number {event.sequence_number}, expected {self.events} (Z1)")
        if self._state == "over":
            self._problem("terminal", f"{kind!r} behind the end of the stream")
            return
        missing = [
            field
            for field in _REQUIRED.get(kind, ())
            if (value := getattr(event, field)) is None or (type(value) is msgspec.Raw and bytes(value) == b"null")
        ]
        if missing:
            self._problem("field", f"{kind}: {', '.join(missing)}: required")
            if kind not in _TERMINAL and kind != "error":
                return
        try:
            self._dispatch_event(kind, event)
        except RemoteProtocolError as exc:
            self._problem("field", f"{kind}: {exc.error.message}")

    def _dispatch_event(self, kind: str, event: WireEvent) -> None:
        if kind == "error":
            self._failed(event)
        elif kind in _TERMINAL:
            self._terminal(kind, event)
        elif kind in ("response.created", "response.queued", "response.in_progress"):
            self._lifecycle(kind, event)
        else:
            if self._state != "open":
                self._problem("order", f"{kind!r} before response.in_progress (Z1)")
                self._state = "open"
            if kind == "response.output_item.added":
                self._added(event)
            elif kind == "response.output_item.done":
                self._item_done(event)
            elif kind in _REQUIRED:
                self._inside(kind, event)
            elif not kind.removeprefix("response.").startswith(_HOSTED):
                self._problem(PROMISE, f"{kind!r} is no event of this protocol (Z10)")

    # --- lifecycle ---------------------------------------------------------------------------------------

    def _read_response(self, event: WireEvent) -> _Response | None:
        response = self._read(event.response, _response)
        if response is None:
            return None
        if response.object != "response":
            self._problem("field", "response.object: expected response")
        if not response.id:
            self._problem("field", "response.id is empty")
        if self._id not in (None, response.id):
            self._problem("identity", "response.id is not the one of the first event: the SDK raises")
        self._id = response.id
        return response

    def _lifecycle(self, kind: str, event: WireEvent) -> None:
        response = self._read_response(event)
        if response is not None and response.status not in ("in_progress", "queued"):
            self._problem("field", f"{kind}: response.status: expected in_progress")
        if kind == "response.created":
            if self._state != "before":
                self._problem("order", "a second response.created (Z9)")
            self._state = "created"
        elif self._state == "open" and not self._next:
            self._problem("order", f"{kind} again (Z1)")
        elif self._state != "created":
            self._problem("order", f"{kind} at another place than behind response.created (Z1)")
        if kind == "response.in_progress":
            self._state = "open"

    def _failed(self, event: WireEvent) -> None:
        self._state = "over"
        self.seen.failed = True
        if not event.message:
            self._problem("error", "message is empty")

    def _terminal(self, kind: str, event: WireEvent) -> None:
        begun = self._state == "open"
        self._state = "over"
        failed = kind == "response.failed"
        self.seen.failed, self.seen.ended = failed, not failed
        response = self._read_response(event)
        if response is None:
            return
        self.seen.finish = response.status
        if kind != f"response.{response.status}":
            self._problem("field", f"{kind}: response.status: expected {kind.removeprefix('response.')}")
        self._take_usage(response.usage)
        if failed:
            if response.error is None or not (response.error.message and response.error.code):
                self._problem("error", "response.error: expected code and message")
            return
        if not begun:
            self._problem("order", f"{kind} before response.in_progress (Z1)")
        if self._open:
            self._problem("terminal", f"{len(self._open)} items are still open")
        self._compare_output(response.output)
        if kind == "response.completed":
            unfinished = sum(status not in ("completed", "") for status in self._statuses)
            if unfinished:
                self._problem("terminal", f"completed with {unfinished} unfinished items (Z7)")
        elif response.incomplete_details is None or not response.incomplete_details.reason:
            self._problem("terminal", "incomplete without incomplete_details.reason (Z7)")

    def _compare_output(self, output: list[json.Raw]) -> None:
        items = [self._done[index] for index in sorted(self._done)]
        if len(output) != len(items):
            self._problem("sum", f"response.output has {len(output)} items, {len(items)} were sent (Z6)")
            return
        for index, (one, other) in enumerate(zip(output, items, strict=True)):
            if self._same(one, other):
                continue
            # OpenAI encrypts the same thoughts anew for the last event.
            rule = PROMISE if self._same(_unencrypted(one), _unencrypted(other)) else "sum"
            self._problem(rule, f"response.output[{index}] is not the item that was sent (Z6)")

    def _take_usage(self, raw: json.Raw) -> None:
        if bytes(raw) == b"null":
            return  # the provider never told (U11)
        if self._read(raw, _usage) is not None:
            self.seen.usage = json.decode(raw, _any)

    # --- items -------------------------------------------------------------------------------------------

    def _added(self, event: WireEvent) -> None:
        index = event.output_index
        assert index is not None
        if index != self._next or index >= MAX_BLOCKS:
            self._problem("index", f"output_index {index} is added, expected {self._next} (Z2)")
        if self._open:
            self._problem(PROMISE, "an item is added while another one is open")
        item = read_item(event.item)
        if item.id and item.id in self._ids:
            self._problem("identity", "two items have one id")
        self._ids.add(item.id or "")
        if item.call_id and item.type.endswith("_call"):
            if item.call_id in self._calls:
                self._problem("identity", "two calls have one call_id")
            self._calls.add(item.call_id)
        if len(self._open) < MAX_BLOCKS:
            self._open[index] = Item(item, self._problem, self._grow)
        self._next = max(self._next, index + 1)

    def _item_done(self, event: WireEvent) -> None:
        assert event.output_index is not None
        opened = self._open.pop(event.output_index, None)
        if opened is None:
            self._problem("order", f"item {event.output_index} is done and was not added, or is done again")
            return
        item = read_item(event.item)
        opened.close(item)
        if item.type in KNOWN:
            self._see(item)
            self._statuses.append(item.status or "")
        if self._grow(" " * len(event.item)):
            self._done[event.output_index] = event.item

    def _see(self, item: WireItem) -> None:
        if item.type == "function_call":
            self.seen.tools.append((item.name or "", item.arguments or ""))
        elif item.type == "custom_tool_call":
            self.seen.tools.append((item.name or "", item.input or ""))
        elif item.type == "message":
            self._text.extend(part.text or "" for part in item.content or ())
        else:
            self._reasoning.extend(part.text or "" for part in (*(item.summary or ()), *(item.content or ())))

    def _inside(self, kind: str, event: WireEvent) -> None:
        assert event.output_index is not None
        item = self._open.get(event.output_index)
        if item is None:
            self._problem("order", f"{kind} outside an open item (Z3)")
            return
        if event.item_id != item.item.id:
            self._problem("identity", f"{kind}: item_id of another item")
        index = (event.content_index if event.content_index is not None else event.summary_index) or 0
        where = "summary" if kind.startswith("response.reasoning_summary") else "content"
        if kind in _DELTAS:
            self._text_delta(kind, event, item, index)
        elif kind in _DONES:
            item.text_done(*(_DONES[kind][0], index), _DONES[kind][1], event)
        elif kind.endswith("_part.added"):
            item.part_added(where, index, event.part)
        elif kind.endswith("_part.done"):
            item.part_done(where, index, event)
        elif kind == "response.output_text.annotation.added":
            item.annotated(index, event)
        else:
            name, _, step = kind.rpartition(".")
            (item.arguments if step == "delta" else item.arguments_done)(_CALLS[name], event)

    def _text_delta(self, kind: str, event: WireEvent, item: Item, index: int) -> None:
        where, part = _DELTAS[kind]
        item.delta(where, index, part, event)
        if kind == "response.output_text.delta" and json.kind(event.logprobs) != "array":
            self._problem(PROMISE, "logprobs: expected an array (Z3)")

    # --- the end -----------------------------------------------------------------------------------------

    def _end(self) -> None:
        if self._state != "over":
            what = "in the middle" if self.events else "before it began"
            self._problem("cut", f"the stream ends {what}; expected response.completed, .incomplete or .failed (Z8)")
