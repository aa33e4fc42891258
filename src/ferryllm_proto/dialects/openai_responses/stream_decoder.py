"""A provider's stream to events: framing, the lifecycle of the answer, and who is told of what.

What happens inside the items is in `items`.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from ... import ir, json, sse
from ...accumulate import MAX_RESPONSE, play
from ...errors import RemoteProtocolError
from ...events import Event, Ping, Raw, StreamFailed, UsageUpdate
from . import wire
from .errors import read_error
from .items import Items
from .outcome import WireResponse, decode_usage, response_decoder
from .response import blamed, decode_response, failure_of, finish_events, start_of


class State(enum.Enum):
    SNIFF = "sniff"
    """Nothing but white space came: it is not known whether this is a stream at all (S10)."""
    WHOLE = "whole"
    """The body is one JSON object; it is collected."""
    BEFORE = "before"
    """A stream; the answer has not begun."""
    OPEN = "open"
    OVER = "over"
    """`End` or `StreamFailed` was given; nothing more comes."""


# Looked up once: a member of an enum costs more than a comparison with it.
_SNIFF, _WHOLE, _BEFORE, _OPEN, _OVER = State.SNIFF, State.WHOLE, State.BEFORE, State.OPEN, State.OVER


class _Wire(msgspec.Struct, frozen=True):
    """The fields of all events that are read. Unknown ones are nobody's business in a stream."""

    type: str = ""
    delta: str | dict[str, msgspec.Raw] | list[msgspec.Raw] | None = None
    output_index: int | None = None
    item_id: str | None = None
    content_index: int | None = None
    summary_index: int | None = None
    item: msgspec.Raw = msgspec.Raw(b"null")
    part: msgspec.Raw = msgspec.Raw(b"null")
    response: msgspec.Raw = msgspec.Raw(b"null")
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    annotation: msgspec.Raw = msgspec.Raw(b"null")
    logprobs: msgspec.Raw = msgspec.Raw(b"[]")
    error: msgspec.Raw = msgspec.Raw(b"null")


_decoder = json.decoder(_Wire)


def _whole(raw: bytes | msgspec.Raw) -> msgspec.Raw:
    """A value that is taken apart later: its bytes were not looked at yet, and need not be UTF-8."""
    data = bytes(raw)
    return msgspec.Raw(data if data.isascii() else json.mend_utf8(data))


class StreamDecoder:
    """Feed it bytes; the last event is `End` or `StreamFailed`, whatever came."""

    __slots__ = ("_body", "_frames", "_items", "_seen", "_size", "state")

    def __init__(self) -> None:
        self.state = _SNIFF
        self._frames = sse.FrameDecoder()
        self._body: list[bytes] = []
        self._size = 0
        self._items = Items()
        self._seen = False

    def receive_data(self, data: bytes) -> list[Event]:
        """Events completed by ``data``."""
        out: list[Event] = []
        if self.state is _SNIFF:
            data = self._sniff(data)
        if self.state is _WHOLE:
            self._collect(data, out)
        elif self.state in (_BEFORE, _OPEN):
            fault: RemoteProtocolError | None = None
            try:
                frames = self._frames.receive_data(data)
            except RemoteProtocolError as exc:
                frames, fault = self._frames.frames_before_fault, exc
            self._take(frames, out)
            if fault is not None:
                self._fail(fault.error, out)
        return out

    def receive_eof(self) -> list[Event]:
        """The provider closed. Idempotent."""
        out: list[Event] = []
        if self.state is _WHOLE:
            self._whole(out)
        elif self.state in (_BEFORE, _OPEN):
            self._take(self._frames.receive_eof(), out)
        if self.state is not _OVER:
            self._cut(out)
        return out

    def _cut(self, out: list[Event]) -> None:
        if self._seen:
            message = "the provider's stream ended before its answer was complete"
            self._fail(ir.Error(ir.ErrorKind.TRUNCATED, message), out)
        else:
            self._fail(ir.Error(ir.ErrorKind.TRUNCATED, "the provider sent an empty stream"), out)

    # --- framing ---

    def _sniff(self, data: bytes) -> bytes:
        self._body.append(data)
        joined = b"".join(self._body)
        first = joined.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if not first or b"\xef\xbb\xbf".startswith(joined):
            if len(joined) > sse.MAX_EVENT_SIZE:
                self._body = [b""]  # that much white space is no answer, and need not be kept
            return b""
        self._body = []
        self.state = _WHOLE if first in (b"{", b"[") else _BEFORE
        return joined

    def _collect(self, data: bytes, out: list[Event]) -> None:
        self._size += len(data)
        if self._size > MAX_RESPONSE:
            message = f"the provider's answer is larger than {MAX_RESPONSE} bytes"
            self._fail(ir.Error(ir.ErrorKind.UPSTREAM, message), out)
        else:
            self._body.append(data)

    def _whole(self, out: list[Event]) -> None:
        """A provider that ignored ``stream: true``."""
        try:
            response = decode_response(b"".join(self._body))
        except RemoteProtocolError as exc:
            self._fail(exc.error, out)
            return
        out.extend(play(response))
        self.state = _OVER

    def _take(self, frames: list[sse.Frame], out: list[Event]) -> None:
        for frame in frames:
            if self.state is _OVER:
                return
            try:
                self._frame(frame.data, out)
            except RemoteProtocolError as exc:
                self._fail(blamed(exc.error), out)

    def _frame(self, data: bytes, out: list[Event]) -> None:
        if data.startswith(b"[DONE]"):
            self._cut(out)  # some servers end their streams so, but after the terminal event
            return
        try:
            event = json.decode(data, _decoder)
        except RemoteProtocolError:
            try:
                event = json.decode(json.mend_utf8(data), _decoder)
            except RemoteProtocolError:
                return  # no event of this protocol; what it cut off shows at the end (S8)
        self._seen = True
        handler = _HANDLERS.get(event.type)
        if handler is not None:
            handler(self, event, out)
        elif event.type == "error" or not wire.is_null(event.error):
            self._error(data, out)
        elif self.state is _OPEN and event.type not in _SILENT and event.type:
            out.append(Raw(wire.NAME, event.type, bytes(_whole(data))))
        else:
            out.append(Ping())

    def _fail(self, error: ir.Error, out: list[Event]) -> None:
        if self.state is not _OVER:
            self.state = _OVER
            out.append(StreamFailed(error))

    def _error(self, data: bytes, out: list[Event]) -> None:
        found = read_error(data) or ir.Error(ir.ErrorKind.SERVER, "the provider reported an error")
        self._fail(msgspec.structs.replace(found, dialect=wire.NAME), out)

    # --- lifecycle ---

    def _open(self, out: list[Event], response: WireResponse | None = None) -> None:
        if self.state is _BEFORE:
            self.state = _OPEN
            out.append(start_of(response or WireResponse()))
            self._items.model = (response.model if response else None) or ""

    def created(self, event: _Wire, out: list[Event]) -> None:
        try:
            response = json.decode(event.response, response_decoder)
        except RemoteProtocolError:
            response = WireResponse()
        self._open(out, response)

    def completed(self, event: _Wire, out: list[Event]) -> None:
        response = WireResponse()
        if not wire.is_null(event.response):
            response = json.decode(_whole(event.response), response_decoder, "response")
        failed = event.type in ("response.failed", "response.cancelled")
        if failed or response.status in ("failed", "cancelled") or not wire.is_null(response.error):
            if response.usage is not None:  # it was used all the same (U10)
                self._open(out, response)
                out.append(UsageUpdate(decode_usage(response.usage)))
            self._fail(failure_of(response), out)
            return
        self._open(out, response)
        if response.status is None and event.type == "response.incomplete":
            response = msgspec.structs.replace(response, status="incomplete")
        finish_events(self._items, response, out)
        self.state = _OVER

    # --- items ---

    def item_added(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        self._items.added(_whole(event.item), event.output_index, out)

    def item_done(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        self._items.done(_whole(event.item), event.output_index, out)

    def part_done(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        self._items.part_done(event.output_index, event.item_id, event.content_index or 0, _whole(event.part), out)

    def text_delta(self, event: _Wire, out: list[Event]) -> None:
        if self.state is _BEFORE:
            self._open(out)
        if isinstance(event.delta, str):
            items = self._items
            block = items.text(event.output_index, event.item_id, event.content_index or 0, event.delta, out)
            if block is not None and bytes(event.logprobs) != b"[]":
                items.logprobs(block, event.logprobs, out)

    def refusal_delta(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        if isinstance(event.delta, str):
            self._items.refusal(event.output_index, event.item_id, event.content_index or 0, event.delta, out)

    def annotation(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        index = event.content_index or 0
        self._items.annotation(event.output_index, event.item_id, index, _whole(event.annotation), out)

    def arguments_delta(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        if isinstance(event.delta, str):
            self._items.arguments(False, event.output_index, event.item_id, event.delta, out)

    def arguments_done(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        self._items.arguments_done(False, event.output_index, event.item_id, event.arguments or "", out)

    def input_delta(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        if isinstance(event.delta, str):
            self._items.arguments(True, event.output_index, event.item_id, event.delta, out)

    def input_done(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        self._items.arguments_done(True, event.output_index, event.item_id, event.input or "", out)

    def summary_delta(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        if isinstance(event.delta, str):
            self._items.reasoning(event.output_index, event.item_id, event.summary_index or 0, event.delta, out)

    def summary_done(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        index = event.summary_index or 0
        self._items.reasoning_done(event.output_index, event.item_id, index, event.text or "", out)

    def reasoning_delta(self, event: _Wire, out: list[Event]) -> None:
        self._open(out)
        if isinstance(event.delta, str):
            self._items.reasoning(event.output_index, event.item_id, None, event.delta, out)

    def silent(self, event: _Wire, out: list[Event]) -> None:
        """Events that repeat what others say."""


_HANDLERS: dict[str, Callable[[StreamDecoder, _Wire, list[Event]], None]] = {
    "response.output_text.delta": StreamDecoder.text_delta,
    "response.function_call_arguments.delta": StreamDecoder.arguments_delta,
    "response.custom_tool_call_input.delta": StreamDecoder.input_delta,
    "response.reasoning_summary_text.delta": StreamDecoder.summary_delta,
    "response.reasoning_text.delta": StreamDecoder.reasoning_delta,
    "response.refusal.delta": StreamDecoder.refusal_delta,
    "response.created": StreamDecoder.created,
    "response.in_progress": StreamDecoder.created,
    "response.output_item.added": StreamDecoder.item_added,
    "response.output_item.done": StreamDecoder.item_done,
    "response.content_part.done": StreamDecoder.part_done,
    "response.output_text.annotation.added": StreamDecoder.annotation,
    "response.function_call_arguments.done": StreamDecoder.arguments_done,
    "response.custom_tool_call_input.done": StreamDecoder.input_done,
    "response.reasoning_summary_text.done": StreamDecoder.summary_done,
    "response.content_part.added": StreamDecoder.silent,
    "response.output_text.done": StreamDecoder.silent,
    "response.refusal.done": StreamDecoder.silent,
    "response.reasoning_text.done": StreamDecoder.silent,
    "response.reasoning_summary_part.added": StreamDecoder.silent,
    "response.reasoning_summary_part.done": StreamDecoder.silent,
    "response.completed": StreamDecoder.completed,
    "response.incomplete": StreamDecoder.completed,
    "response.failed": StreamDecoder.completed,
    "response.cancelled": StreamDecoder.completed,
    "response.done": StreamDecoder.completed,
}
"""What is read of a stream. Not in it: progress of hosted tools and unknown events, which become `Raw`."""

_SILENT = frozenset({"response.queued", "ping", "keepalive", "response.keepalive"})
"""Signs of life."""
