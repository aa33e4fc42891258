"""A judge of Messages streams (wire.md 4.3; translation.md T10, X1, X2, U8; the SDKs' accumulators).

Unknown events, blocks and deltas break no client: they are passed over, and reported as a broken promise, because
ferryllm never makes one up.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from ... import json
from ...errors import RemoteProtocolError
from ...judge import MAX_BLOCKS, PROMISE, Judge, joined

_NULL = json.Raw(b"null")
_ID = re.compile(r"[A-Za-z0-9_-]+")


class _Type(msgspec.Struct, frozen=True):
    type: str


class _Usage(msgspec.Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class _Message(msgspec.Struct, frozen=True):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[json.Raw]
    usage: _Usage
    stop_reason: str | msgspec.UnsetType | None = msgspec.UNSET
    stop_sequence: str | msgspec.UnsetType | None = msgspec.UNSET


class _MessageStart(msgspec.Struct, frozen=True):
    message: _Message


class _Block(msgspec.Struct, frozen=True):
    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: json.Raw = _NULL


class _BlockStart(msgspec.Struct, frozen=True):
    index: int
    content_block: _Block


class _Delta(msgspec.Struct, frozen=True):
    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: json.Raw = _NULL


class _BlockDelta(msgspec.Struct, frozen=True):
    index: int
    delta: _Delta


class _BlockStop(msgspec.Struct, frozen=True):
    index: int


class _Stop(msgspec.Struct, frozen=True):
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _MessageDelta(msgspec.Struct, frozen=True):
    delta: _Stop
    usage: json.Raw


class _ErrorBody(msgspec.Struct, frozen=True):
    type: str
    message: str


class _Error(msgspec.Struct, frozen=True):
    error: _ErrorBody


_type = json.decoder(_Type)
_usage = json.decoder(_Usage)
_any = json.decoder(dict[str, Any])
_decoders: dict[str, msgspec.json.Decoder[msgspec.Struct]] = {
    name: json.decoder(type_)  # type: ignore[arg-type]  # the table mixes structs
    for name, type_ in {
        "message_start": _MessageStart,
        "content_block_start": _BlockStart,
        "content_block_delta": _BlockDelta,
        "content_block_stop": _BlockStop,
        "message_delta": _MessageDelta,
        "message_stop": _Type,
        "error": _Error,
        "ping": _Type,
    }.items()
}

_FIELD = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}
_KINDS: dict[str, tuple[str, ...]] = {
    "text_delta": ("text",),
    "citations_delta": ("text",),
    "thinking_delta": ("thinking",),
    "signature_delta": ("thinking",),
    "input_json_delta": ("tool_use", "server_tool_use", "mcp_tool_use"),
}
"""The blocks a delta belongs to. Not in it: deltas of betas, which SDKs pass over."""
_COUNTERS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class Grammar(Judge):
    """See `ferryllm_proto.grammar.Grammar`."""

    def __init__(self) -> None:
        super().__init__()
        self._state = "before"
        """before, between (no block is open), block, told (the reason to stop was given), over."""
        self._index = 0
        self._kind = ""
        self._call = ("", "")
        self._args: list[str] = []
        self._signed = False
        self._broken: list[int] = []
        """Calls whose input is no JSON."""
        self._ids: set[str] = set()
        self._served = False
        """Whether a tool of the provider was used: it may be what stops the answer."""

    # --- events ------------------------------------------------------------------------------------------

    def _event(self, name: str | None, data: bytes) -> None:
        head = self._read(data, _type)
        if head is None:
            return
        kind = head.type
        if name != kind:
            found = "no event: line" if name is None else "an event: line of another name"
            self._problem("framing", f"{found} for type {kind!r}: SDKs go by it (S12)")
        if self._state == "over":
            self._problem("terminal", f"{kind!r} behind the end of the stream")
            return
        decoder = _decoders.get(kind)
        if decoder is None:
            self._problem(PROMISE, f"{kind!r} is no event of this protocol")
            return
        event = self._read(data, decoder)
        if event is not None:
            _HANDLERS[kind](self, event)

    def _end(self) -> None:
        if self._state != "over":
            what = "in the middle" if self.events else "before it began"
            self._problem("cut", f"the stream ends {what}; expected message_stop or error")

    def _ping(self, event: msgspec.Struct) -> None:
        """May come anywhere."""

    def _error(self, event: msgspec.Struct) -> None:
        assert isinstance(event, _Error)
        self._state = "over"
        self.seen.failed = True
        if not event.error.type:
            self._problem("error", "error.type is empty")

    def _message_start(self, event: msgspec.Struct) -> None:
        assert isinstance(event, _MessageStart)
        if self._state != "before":
            self._problem("order", "a second message_start")
            return
        self._state = "between"
        message = event.message
        if not message.id:
            self._problem("field", "message.id is empty")
        if message.content:
            self._problem("field", "message.content is not empty at the start (X1)")
        if message.stop_reason is not None:
            self._problem("field", "message.stop_reason is not null at the start (X1)")
        if message.stop_sequence is not None:
            self._problem("field", "message.stop_sequence is not null at the start (X1)")
        for name in ("input_tokens", "output_tokens"):
            count = getattr(message.usage, name)
            if count is None or count < 0:
                self._problem("usage", f"message.usage.{name}: expected a count")

    def _block_start(self, event: msgspec.Struct) -> None:
        assert isinstance(event, _BlockStart)
        if self._state != "between":
            self._problem("order", f"content_block_start {self._where()}")
            if self._state != "block":
                return
            self._index += 1
        if event.index != self._index:
            self._problem("index", f"block {event.index} starts, expected {self._index} (X2)")
            self._index = event.index
        if self._index > MAX_BLOCKS:
            self._problem("index", f"more than {MAX_BLOCKS} blocks")
        self._state, self._args, self._signed = "block", [], False
        block = event.content_block
        self._kind = block.type
        if block.type == "text" and block.text != "":
            self._problem("field", "content_block.text: expected an empty text at the start")
        elif block.type == "thinking" and (block.thinking != "" or block.signature):
            self._problem("field", "content_block.thinking: expected an empty thought without signature at the start")
        elif block.type == "redacted_thinking" and not block.data:
            self._problem("field", "content_block.data: expected the encrypted thought")
        elif block.type in ("tool_use", "server_tool_use", "mcp_tool_use"):
            self._call_start(block)

    def _call_start(self, block: _Block) -> None:
        self._served = self._served or block.type != "tool_use"
        self._call = (block.id or "", block.name or "")
        if not _ID.fullmatch(block.id or ""):
            self._problem("field", "content_block.id: expected letters, digits, _ and -: the API takes no other back")
        elif block.id in self._ids:
            self._problem("identity", "two calls have one id")
        self._ids.add(block.id or "")
        if not block.name:
            self._problem("field", "content_block.name is empty")
        if bytes(block.input).replace(b" ", b"") != b"{}":
            self._problem("field", "content_block.input: expected {} at the start")

    def _block_delta(self, event: msgspec.Struct) -> None:
        assert isinstance(event, _BlockDelta)
        if self._state != "block":
            self._problem("order", f"content_block_delta {self._where()}")
            return
        if event.index != self._index:
            self._problem("index", f"a delta for block {event.index}, open is {self._index} (X2)")
            return
        delta = event.delta
        kinds = _KINDS.get(delta.type)
        if kinds is None:
            if self._kind in ("text", "thinking", "tool_use"):
                self._problem(PROMISE, f"{delta.type!r} is no delta of a block of type {self._kind!r}")
            return
        if self._kind not in kinds:
            self._problem("order", f"{delta.type} in a block of type {self._kind!r}")
            return
        field = _FIELD.get(delta.type)
        text: str | None = getattr(delta, field) if field is not None else ""
        if text is None:
            self._problem("field", f"delta.{field}: this field is required")
            return
        if self._signed:
            self._problem("order", f"{delta.type} behind the signature (X12)")
        self._signed = delta.type == "signature_delta"
        self._take(delta, text)

    def _take(self, delta: _Delta, text: str) -> None:
        if delta.type == "text_delta":
            if not text:
                self._problem(PROMISE, "an empty text_delta")
            if self._grow(text):
                self._text.append(text)
        elif delta.type == "thinking_delta" and self._grow(text):
            self._reasoning.append(text)
        elif delta.type == "input_json_delta" and self._grow(text):
            self._args.append(text)
        elif delta.type == "citations_delta" and json.kind(delta.citation) != "object":
            self._problem("field", f"delta.citation: expected object, got {json.kind(delta.citation)}")

    def _block_stop(self, event: msgspec.Struct) -> None:
        assert isinstance(event, _BlockStop)
        if self._state != "block":
            self._problem("order", f"content_block_stop {self._where()}")
            return
        if event.index != self._index:
            self._problem("index", f"block {event.index} stops, open is {self._index} (X2)")
        if self._kind == "tool_use":
            args = joined(self._args)
            self.seen.tools.append((self._call[1], args))
            if args and not _is_json(args):
                self._broken.append(self._index)
        self._index += 1
        self._state = "between"

    def _message_delta(self, event: msgspec.Struct) -> None:
        assert isinstance(event, _MessageDelta)
        if self._state != "between":
            self._problem("order", f"message_delta {self._where()}")
            if self._state == "before":
                return
        usage = self._read(event.usage, _usage) or _Usage(output_tokens=0)
        if usage.output_tokens is None or usage.output_tokens < 0:
            self._problem("usage", "usage.output_tokens: expected a count")
        for name in _COUNTERS:
            if getattr(usage, name) is None:
                self._problem(PROMISE, f"usage.{name} is missing at the end (U8)")
        self.seen.usage = self._read(event.usage, _any)
        reason = event.delta.stop_reason
        if reason is None:
            self._problem(PROMISE, "message_delta without a stop_reason (X14)")
            return
        self._state, self.seen.finish = "told", reason
        if reason == "tool_use":
            if not self.seen.tools and not self._served:
                self._problem("finish", "stop_reason is tool_use without a call")
            for index in self._broken:
                self._problem("arguments", f"the input of block {index} is no JSON: SDKs raise (X18)")
        elif self.seen.tools and reason == "end_turn":
            self._problem(PROMISE, "stop_reason is end_turn, but a call waits for its result (X14)")

    def _message_stop(self, event: msgspec.Struct) -> None:
        if self._state != "told":
            self._problem("order", f"message_stop {self._where()}; expected it behind a message_delta with stop_reason")
        self._state = "over"
        self.seen.ended = True

    def _where(self) -> str:
        return {
            "before": "before message_start",
            "between": "between blocks",
            "block": "inside an open block",
            "told": "behind the reason to stop",
        }[self._state]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RemoteProtocolError:
        return False
    return True


_HANDLERS = {
    "message_start": Grammar._message_start,
    "content_block_start": Grammar._block_start,
    "content_block_delta": Grammar._block_delta,
    "content_block_stop": Grammar._block_stop,
    "message_delta": Grammar._message_delta,
    "message_stop": Grammar._message_stop,
    "ping": Grammar._ping,
    "error": Grammar._error,
}
