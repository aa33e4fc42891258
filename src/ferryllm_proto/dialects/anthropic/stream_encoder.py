"""Events to a client's stream.

One block is open at a time (`ferryllm_proto.sequence` sees to it), and a block begins on the wire with its first
content: clients send back what they got, and empty texts and thoughts are refused then. The closing ``message_delta``
waits for `End`, so that the last usage is in it and there is only one (T10, U8).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import msgspec

from ... import ids, ir, json, sse
from ...dialect import Answer
from ...errors import LocalProtocolError, RemoteProtocolError
from ...events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    End,
    Event,
    Finish,
    Logprobs,
    OpaqueDelta,
    Ping,
    Raw,
    ReasoningDelta,
    RefusalDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from ...loss import ONLY_ITS_OWN, Disposition, Loss
from ...sequence import SEQUENCED, Sequencer
from . import carrier, errors, response
from . import usage as usages
from .wire import NAME


class State(enum.Enum):
    START = "start"
    BETWEEN = "between"
    """The message has begun and no block is open."""
    BLOCK = "block"
    FINISHED = "finished"
    """The reason to stop is known and not written."""
    OVER = "over"


_B, _F = State.BETWEEN, State.FINISHED

TRANSITIONS: dict[tuple[State, type], State] = {
    (State.START, Start): _B,
    (_B, BlockStart): State.BLOCK,
    (State.BLOCK, TextDelta): State.BLOCK,
    (State.BLOCK, RefusalDelta): State.BLOCK,
    (State.BLOCK, ReasoningDelta): State.BLOCK,
    (State.BLOCK, ArgsDelta): State.BLOCK,
    (State.BLOCK, OpaqueDelta): State.BLOCK,
    (State.BLOCK, Citation): State.BLOCK,
    (State.BLOCK, Logprobs): State.BLOCK,
    (State.BLOCK, BlockEnd): _B,
    (_B, Finish): _F,
    (_F, End): State.OVER,
    **{(state, UsageUpdate): state for state in (_B, State.BLOCK, _F)},
    **{(state, Raw): state for state in (_B, State.BLOCK, _F)},
    **{(state, Ping): state for state in (State.START, _B, State.BLOCK, _F)},
    **{(state, StreamFailed): State.OVER for state in State if state is not State.OVER},
    # Not in it, so illegal: a second Start or Finish, content outside a block, End without a Finish, anything after
    # the end.
}
_AFTER = {state: {event: after for (at, event), after in TRANSITIONS.items() if at is state} for state in State}
"""The same by state: hashing a member of an enum costs more than all the rest of a step."""

_PING = sse.encode("ping", b'{"type":"ping"}')
_STOP = sse.encode("message_stop", b'{"type":"message_stop"}')
_START = b"""event: message_start
data: {"type":"message_start","message":{"id":%b,"type":"message","role":"assistant","model":%b,"content":[],\
"stop_reason":null,"stop_sequence":null,"usage":%b}}

"""
_BLOCK_START = b"""event: content_block_start
data: {"type":"content_block_start","index":%d,"content_block":%b}

"""
_DELTA = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":%b}

"""
_TEXT = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":{"type":"text_delta","text":%b}}

"""
_ARGS = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":{"type":"input_json_delta","partial_json":%b}}

"""
_THINKING = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":{"type":"thinking_delta","thinking":%b}}

"""
_SIGNATURE = b"""event: content_block_delta
data: {"type":"content_block_delta","index":%d,"delta":{"type":"signature_delta","signature":%b}}

"""
_BLOCK_STOP = b"""event: content_block_stop
data: {"type":"content_block_stop","index":%d}

"""
_MESSAGE_DELTA = b"""event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":%b,"stop_sequence":%b%b},"usage":%b}

"""
_LIVE: dict[type, bytes] = {
    TextDelta: _TEXT.partition(b"%b")[0],
    ReasoningDelta: _THINKING.partition(b"%b")[0],
}
"""Deltas that come one after another, and what is before their text."""
_TEXT_BLOCK = b'{"type":"text","text":""}'
_THINKING_BLOCK = b'{"type":"thinking","thinking":"","signature":""}'


class StreamEncoder:
    """See `ferryllm_proto.dialect.StreamEncoder`."""

    __slots__ = (
        "_after", "_answer", "_args", "_block", "_broken", "_called", "_cut", "_finish", "_index", "_live",
        "_live_kind", "_prefix", "_refused", "_sequencer", "_signature", "_state", "_summary", "_usage", "_written",
        "losses",
    )  # fmt: skip

    def __init__(self, answer: Answer) -> None:
        self.losses: list[Loss] = []
        self._answer = answer.asked()
        self._sequencer = Sequencer()
        self._state = State.START
        self._after = _AFTER[State.START]
        self._index = 0
        """Of the block on the wire, or of the next one."""
        self._written = False
        """Whether the open block has begun on the wire."""
        self._block: BlockStart | None = None
        self._signature: str | None = None
        self._summary: int | None = None
        self._args: list[str] | None = None
        """Fragments of the open call's input."""
        self._broken = False
        """Whether a call's input is no JSON."""
        self._cut = False
        """Whether the last call's input is JSON that ends too early."""
        self._called = False
        self._refused = False
        self._usage: ir.Usage | None = None
        self._finish: Finish | None = None
        self._live_kind: type = TextDelta
        self._live = -1
        """Of the last delta, where another of its kind and block changes nothing here; its block's number, or -1."""
        self._prefix = b""
        """What comes before its text."""

    def send(self, event: Event) -> bytes:
        """Bytes for the client. Raises `LocalProtocolError` for an event the state does not allow, and
        `RemoteProtocolError` for a call that no client could read."""
        kind = type(event)
        if kind is self._live_kind and event.ix == self._live:  # type: ignore[union-attr]  # deltas have one
            text: str = event.text  # type: ignore[union-attr]  # and a text
            if text and (kind is TextDelta or event.summary == self._summary):  # type: ignore[union-attr]  # a thought
                return self._prefix + json.encode_str(text) + b"}}\n\n"
        if kind is not UsageUpdate:
            self._live = -1
        if kind not in SEQUENCED:
            return self._step(event)
        events = self._sequencer.send(event)
        out = self._step(events[0]) if len(events) == 1 else b"".join([self._step(one) for one in events])
        if kind in _LIVE and self._written and self._sequencer.open == event.ix:  # type: ignore[union-attr]  # as above
            self._live_kind, self._live, self._prefix = kind, event.ix, _LIVE[kind] % self._index  # type: ignore[union-attr]  # as above
        return out

    def _step(self, event: Event) -> bytes:
        kind = type(event)
        after = self._after.get(kind)
        if after is None:
            raise LocalProtocolError(f"{kind.__name__} is not possible in state {self._state.name}")
        # The state first: _on_finish may go to another one than the table says.
        if after is not self._state:
            self._state, self._after = after, _AFTER[after]
        return _WRITERS[kind](self, event)

    # --- message ---

    def _on_start(self, event: Start) -> bytes:
        answer = self._answer
        self._usage = event.usage
        return _START % (
            json.encode_str(response.message_id(event.id, answer)),
            json.encode_str(answer.model or event.model),
            usages.encode(_known_input(event.usage), answer.input_estimate),
        )

    def _on_usage(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage if self._usage is None else self._usage.merge(event.usage)
        return b""

    def _on_finish(self, event: Finish) -> bytes:
        if event.reason is ir.FinishReason.ERROR:
            self._state, self._after = State.OVER, _AFTER[State.OVER]
            return errors.event(ir.Error(ir.ErrorKind.UPSTREAM, "the provider ended its answer with an error"))
        if self._broken and event.reason is ir.FinishReason.TOOL_USE:
            # Clients parse the input, and raise in the middle of it: better an error that says so (X18, Z12).
            what = "the model called a tool with arguments that are no JSON"
            raise RemoteProtocolError(what, kind=ir.ErrorKind.UPSTREAM)
        if self._cut and event.reason is ir.FinishReason.TOOL_USE:
            # Some servers say that a call is ready although a limit has cut it (X18).
            self._lose("stop_reason", "the last call's arguments are cut: told as max_tokens", Disposition.DEGRADED)
            event = msgspec.structs.replace(event, reason=ir.FinishReason.LENGTH)
        self._finish = event
        return b""

    def _on_end(self, event: End) -> bytes:
        finish = self._finish
        assert finish is not None  # the table allows End after Finish only
        if self._usage is None or self._usage.input is None:
            self._lose("usage", "the provider has not told it: input_tokens is an estimate", Disposition.DEGRADED)
        details = response.stop_details(finish.reason, finish.details)
        reason = response.stop_reason(finish.reason, called=self._called, refused=self._refused)
        return (
            _MESSAGE_DELTA
            % (
                json.encode_str(reason),
                json.encode(finish.stop_sequence),
                b"" if details is None else b',"stop_details":%b' % json.one_line(details),
                usages.encode(self._usage, self._answer.input_estimate),
            )
            + _STOP
        )

    def _on_failed(self, event: StreamFailed) -> bytes:
        stop = _BLOCK_STOP % self._index if self._written else b""
        self._written = False
        return stop + errors.event(event.error)

    def _on_ping(self, event: Ping) -> bytes:
        return b"" if self._state is State.START else _PING  # nothing may come before message_start (S18)

    def _on_raw(self, event: Raw) -> bytes:
        if event.dialect == NAME:
            return sse.encode(event.event, json.one_line(event.data))
        self._lose(event.event, ONLY_ITS_OWN)
        return b""

    # --- blocks ---

    def _on_block_start(self, event: BlockStart) -> bytes:
        self._block = event
        self._signature = self._summary = None
        if event.kind is BlockKind.TOOL:
            self._called, self._args = True, None
            start = json.encode(
                {
                    "type": "tool_use",
                    "id": event.id or ids.mint("toolu_", self._answer.seed, self._index),
                    "name": event.name or "",
                    "input": {},
                }
            )
            out = self._begin(start)
            if event.tool_kind is ir.ToolKind.CUSTOM:
                out += _ARGS % (self._index, b'"{\\"input\\":\\""')
            return out
        if event.kind is BlockKind.REFUSAL:
            self._refused = True
        return b""

    def _begin(self, start: bytes) -> bytes:
        self._written = True
        return _BLOCK_START % (self._index, start)

    def _stop(self) -> bytes:
        """End the block on the wire, if one has begun there; its signature comes right before (X12)."""
        if not self._written:
            return b""
        out = _BLOCK_STOP % self._index
        if self._signature is not None:
            out = _SIGNATURE % (self._index, json.encode_str(self._signature)) + out
            self._signature = None
        self._written = False
        self._index += 1
        return out

    def _on_text(self, event: TextDelta | RefusalDelta) -> bytes:
        if not event.text:
            return b""
        out = _TEXT % (self._index, json.encode_str(event.text))
        return out if self._written else self._begin(_TEXT_BLOCK) + out

    def _on_reasoning(self, event: ReasoningDelta) -> bytes:
        text = event.text
        if not text:
            return b""
        if not self._written:
            self._summary = event.summary
            return self._begin(_THINKING_BLOCK) + _THINKING % (self._index, json.encode_str(text))
        if event.summary != self._summary:
            self._summary = event.summary
            text = "\n\n" + text
        return _THINKING % (self._index, json.encode_str(text))

    def _on_opaque(self, event: OpaqueDelta) -> bytes:
        material = event.opaque
        assert self._block is not None
        if self._block.kind is not BlockKind.REASONING:
            self._lose("opaque", "a call carries no other provider's material here")
            return b""
        if carrier.is_redacted(material):
            block = json.encode({"type": "redacted_thinking", "data": material.data})
            return self._stop() + self._begin(block) + self._stop()
        out = self._stop() if self._signature is not None else b""
        if not self._written:
            out += self._begin(_THINKING_BLOCK)
        self._signature = carrier.written(material)
        return out

    def _on_args(self, event: ArgsDelta) -> bytes:
        if not event.text:
            return b""
        assert self._block is not None
        text = event.text
        if self._block.tool_kind is ir.ToolKind.CUSTOM:
            text = json.encode_str(text)[1:-1].decode()
        else:
            if self._args is None:
                self._args = []
            self._args.append(text)
        return _ARGS % (self._index, json.encode_str(text))

    def _on_citation(self, event: Citation) -> bytes:
        cited = response.citation(event.dialect, event.raw)
        if cited is None:
            self._lose("citations", f"{NAME} can not say these citations")
            return b""
        out = b"" if self._written else self._begin(_TEXT_BLOCK)
        return out + _DELTA % (self._index, b'{"type":"citations_delta","citation":%b}' % json.one_line(cited))

    def _on_logprobs(self, event: Logprobs) -> bytes:
        self._lose("logprobs", f"{NAME} has no token probabilities")
        return b""

    def _on_block_end(self, event: BlockEnd) -> bytes:
        block = self._block
        assert block is not None
        if block.kind is BlockKind.HOSTED:
            hosted = event.hosted if event.hosted is not None else block.hosted
            return self._hosted(hosted) if hosted is not None else b""
        if block.kind is BlockKind.TOOL and block.tool_kind is ir.ToolKind.CUSTOM:
            return _ARGS % (self._index, b'"\\"}"') + self._stop()
        if block.kind is BlockKind.TOOL and self._args:
            text = "".join(self._args)
            if not _is_json(text):
                self._cut, self._broken = json.is_cut(text), self._broken or not json.is_cut(text)
        return self._stop()

    def _hosted(self, hosted: ir.Hosted) -> bytes:
        """A block only this dialect knows: its start holds all of it but a server tool's input (wire.md 4.3)."""
        if hosted.dialect != NAME:
            self._lose(hosted.type, "a block only its own dialect knows")
            return b""
        if not hosted.type.endswith("_tool_use"):
            return self._begin(json.one_line(hosted.raw)) + self._stop()
        input_ = json.fields(hosted.raw).get("input")
        start = self._begin(json.splice(json.one_line(hosted.raw), ("input",), b"{}"))
        if input_ is not None and bytes(input_) != b"{}":
            start += _ARGS % (self._index, json.encode_str(bytes(input_).decode()))
        return start + self._stop()

    def _lose(self, path: str, reason: str, disposition: Disposition = Disposition.DROPPED) -> None:
        loss = Loss(path, disposition, reason)
        if loss not in self.losses:
            self.losses.append(loss)


_WRITERS: dict[type, Callable[[StreamEncoder, Any], bytes]] = {
    Start: StreamEncoder._on_start,
    BlockStart: StreamEncoder._on_block_start,
    TextDelta: StreamEncoder._on_text,
    RefusalDelta: StreamEncoder._on_text,
    ReasoningDelta: StreamEncoder._on_reasoning,
    ArgsDelta: StreamEncoder._on_args,
    OpaqueDelta: StreamEncoder._on_opaque,
    Citation: StreamEncoder._on_citation,
    Logprobs: StreamEncoder._on_logprobs,
    BlockEnd: StreamEncoder._on_block_end,
    UsageUpdate: StreamEncoder._on_usage,
    Finish: StreamEncoder._on_finish,
    End: StreamEncoder._on_end,
    StreamFailed: StreamEncoder._on_failed,
    Ping: StreamEncoder._on_ping,
    Raw: StreamEncoder._on_raw,
}


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RemoteProtocolError:
        return False
    return True


def _known_input(usage: ir.Usage | None) -> ir.Usage | None:
    """``usage`` for the beginning of a message: a count of nothing there means that nothing is counted yet (U8)."""
    return None if usage is None or not usage.input_total else usage
