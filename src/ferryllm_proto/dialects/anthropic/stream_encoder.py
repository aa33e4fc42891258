"""Events to a client's stream.

One block is open at a time (where they do not come so, `ferryllm_proto.sequence` sees to it), and a block begins on the
wire with its first content: clients send back what they got, and empty texts and thoughts are refused then. The closing
``message_delta`` waits for `End`, so that the last usage is in it and there is only one (T10, U8).
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
from .pieces import (
    ARGS,
    BLOCK_START,
    BLOCK_STOP,
    DELTA,
    MESSAGE_DELTA,
    PING,
    SIGNATURE,
    START,
    TEXT,
    TEXT_BEGUN,
    TEXT_BLOCK,
    THINKING,
    THINKING_BLOCK,
)
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

_LIVE: dict[type, bytes] = {
    TextDelta: TEXT.partition(b"%b")[0],
    ReasoningDelta: THINKING.partition(b"%b")[0],
}
"""Deltas that come one after another, and what is before their text."""
_LIVE_TEXT = _LIVE[TextDelta]

# Looked up once: a member of an enum costs more than all the rest of a step.
_IS_TEXT, _IS_TOOL = BlockKind.TEXT, BlockKind.TOOL
_ENDED, _FAILED, _CALLED = ir.FinishReason.END, ir.FinishReason.ERROR, ir.FinishReason.TOOL_USE


class StreamEncoder:
    """See `ferryllm_proto.dialect.StreamEncoder`."""

    __slots__ = (
        "_args", "_block", "_damage", "_estimate", "_finish", "_index", "_live", "_live_kind",
        "_model", "_next", "_prefix", "_seed", "_sequencer", "_signature", "_summary", "_then", "_usage",
        "_word", "_writers", "_written", "losses",
    )  # fmt: skip

    # What the states behind others need is made by the step into them.
    _usage: ir.Usage | None
    _block: BlockStart
    """The last one."""
    _summary: int | None
    """Of the last thought."""
    _finish: Finish
    _prefix: bytes
    """What comes before the text of a delta like the last one."""
    _then: _Writers
    """`_writers` while there is a sequencer."""

    def __init__(self, answer: Answer) -> None:
        self.losses: list[Loss] = []
        self._model, self._seed, self._estimate = answer.model, answer.seed, answer.input_estimate
        self._sequencer: Sequencer | None = None
        """Once blocks do not come one after another."""
        self._writers = _AT_START
        """Who writes what may come now. None may while there is a sequencer, which has to see it first."""
        self._next = 0
        """Number of the open block, or of the next one."""
        self._index = 0
        """The same on the wire, where empty blocks are none."""
        self._written = False
        """Whether the open block has begun on the wire."""
        self._signature: str | None = None
        self._args: list[str] | None = None
        """Fragments of the open call's input."""
        self._damage: str | None = None
        """What a call's input is that is no JSON: ``cut``, where it ends too early, or worse, ``broken``."""
        self._word = b'"end_turn"'
        """The reason to stop of an ordinary end: whoever sees a call must be told to answer it (X14)."""
        self._live_kind: type = TextDelta
        self._live = -1
        """Of the last delta, where another of its kind and block changes nothing here; its block's number, or -1."""

    def send(self, event: Event) -> bytes:
        """Bytes for the client. Raises `LocalProtocolError` for an event the state does not allow, and
        `RemoteProtocolError` for a call that no client could read."""
        kind = type(event)
        if kind is self._live_kind and event.ix == self._live:  # type: ignore[union-attr]  # deltas have one
            text: str = event.text  # type: ignore[union-attr]  # and a text
            if text and (kind is TextDelta or event.summary == self._summary):  # type: ignore[union-attr]  # a thought
                return self._prefix + json.encode_str(text) + b"}}\n\n"
        return self._writers[kind](self, event)

    def _sequenced(self, event: Event) -> bytes:
        """An event that is not the next one of blocks in a row, or comes behind one that was not."""
        kind = type(event)
        sequencer = self._sequencer
        if sequencer is None:
            if kind not in SEQUENCED:
                return self._step(event)
            start = self._block if self._writers is _IN_BLOCK else None
            self._sequencer = sequencer = Sequencer.resumed(self._next, start, self._args)
            self._then = self._writers
        self._writers = self._then
        try:
            if kind not in SEQUENCED:
                live = self._live if kind is UsageUpdate else -1
                out = self._step(event)
            else:
                live = -1
                out = b"".join([self._step(one) for one in sequencer.send(event)])
                if kind in _LIVE and self._written and sequencer.open == event.ix:  # type: ignore[union-attr]  # as above
                    self._live_kind, live, self._prefix = kind, event.ix, _LIVE[kind] % self._index  # type: ignore[union-attr]  # as above
            self._live = live
            return out
        except BaseException:
            self._live = -1
            raise
        finally:
            self._then, self._writers = self._writers, _NOTHING

    def _step(self, event: Event) -> bytes:
        kind = type(event)
        write = self._writers.get(kind)
        if write is None:
            state = next(state for state, writers in _BY_STATE.items() if writers is self._writers)
            raise LocalProtocolError(f"{kind.__name__} is not possible in state {state.name}")
        return write(self, event)

    # --- message ---

    def _on_start(self, event: Start) -> bytes:
        self._writers = _BETWEEN
        self._usage = usage = event.usage
        # A count of nothing means that nothing is counted yet (U8).
        known = None if usage is None or not usage.input_total else usage
        return START % (
            json.encode_str(response.message_id(event.id, self._seed)),
            json.encode_str(self._model or event.model),
            usages.encode(known, self._estimate),
        )

    def _on_usage(self, event: UsageUpdate) -> bytes:
        self._usage = event.usage if self._usage is None else self._usage.merge(event.usage)
        return b""

    def _on_finish(self, event: Finish) -> bytes:
        reason = event.reason
        self._writers = _FINISHED if reason is not _FAILED else _OVER
        if reason is _FAILED:
            return errors.event(ir.Error(ir.ErrorKind.UPSTREAM, "the provider ended its answer with an error"))
        if self._damage == "broken" and reason is _CALLED:
            # Clients parse the input, and raise in the middle of it: better an error that says so (X18, Z12).
            what = "the model called a tool with arguments that are no JSON"
            raise RemoteProtocolError(what, kind=ir.ErrorKind.UPSTREAM)
        if self._damage is not None and reason is _CALLED:
            # Some servers say that a call is ready although a limit has cut it (X18).
            self._lose("stop_reason", "the last call's arguments are cut: told as max_tokens", Disposition.DEGRADED)
            event = msgspec.structs.replace(event, reason=ir.FinishReason.LENGTH)
        self._finish = event
        return b""

    def _on_end(self, event: End) -> bytes:
        self._writers = _OVER
        finish, usage = self._finish, self._usage  # the table allows End after Finish only
        if usage is None or usage.input is None:
            self._lose("usage", "the provider has not told it: input_tokens is an estimate", Disposition.DEGRADED)
        reason, stop, details = self._word, b"null", None
        if finish.reason is not _ENDED:
            details = response.stop_details(finish.reason, finish.details)
            reason = json.encode_str(response.stop_reason(finish.reason, called=False, refused=False))
        if finish.stop_sequence is not None:
            stop = json.encode_str(finish.stop_sequence)
        return MESSAGE_DELTA % (
            reason,
            stop,
            b"" if details is None else b',"stop_details":%b' % json.one_line(details),
            usages.encode(usage, self._estimate),
        )

    def _on_failed(self, event: StreamFailed) -> bytes:
        self._writers, self._live = _OVER, -1
        stop = BLOCK_STOP % self._index if self._written else b""
        self._written = False
        return stop + errors.event(event.error)

    def _on_ping(self, event: Ping) -> bytes:
        return b"" if self._writers is _AT_START else PING  # nothing may come before message_start (S18)

    def _on_raw(self, event: Raw) -> bytes:
        if event.dialect == NAME:
            return sse.encode(event.event, json.one_line(event.data))
        self._lose(event.event, ONLY_ITS_OWN)
        return b""

    # --- blocks ---

    def _on_block_start(self, event: BlockStart) -> bytes:
        if event.ix != self._next:
            return self._sequenced(event)
        self._writers = _IN_BLOCK
        self._block = event
        self._summary = None
        kind = event.kind
        if kind is _IS_TEXT:
            return b""
        if kind is _IS_TOOL:
            self._word, self._args = b'"tool_use"', None
            start = json.encode(
                {
                    "type": "tool_use",
                    "id": event.id or ids.mint("toolu_", self._seed, self._index),
                    "name": event.name or "",
                    "input": {},
                }
            )
            out = self._begin(start)
            if event.tool_kind is ir.ToolKind.CUSTOM:
                out += ARGS % (self._index, b'"{\\"input\\":\\""')
            return out
        if kind is BlockKind.REFUSAL and self._word != b'"tool_use"':
            self._word = b'"refusal"'
        return b""

    def _begin(self, start: bytes) -> bytes:
        self._written = True
        return BLOCK_START % (self._index, start)

    def _stop(self) -> bytes:
        """End the block on the wire, if one has begun there; its signature comes right before (X12)."""
        if not self._written:
            return b""
        out = BLOCK_STOP % self._index
        if self._signature is not None:
            out = SIGNATURE % (self._index, json.encode_str(self._signature)) + out
            self._signature = None
        self._written = False
        self._index += 1
        return out

    def _on_text(self, event: TextDelta) -> bytes:
        ix = event.ix
        if ix != self._next:
            return self._sequenced(event)
        if not event.text:
            return b""
        index = self._index
        self._prefix = prefix = _LIVE_TEXT % index
        self._live_kind, self._live = TextDelta, ix
        if self._written:
            return prefix + json.encode_str(event.text) + b"}}\n\n"
        self._written = True
        return b"%b%b%b}}\n\n" % (TEXT_BEGUN % index, prefix, json.encode_str(event.text))

    def _on_refusal(self, event: RefusalDelta) -> bytes:
        if event.ix != self._next:
            return self._sequenced(event)
        if not event.text:
            return b""
        out = TEXT % (self._index, json.encode_str(event.text))
        return out if self._written else self._begin(TEXT_BLOCK) + out

    def _on_reasoning(self, event: ReasoningDelta) -> bytes:
        if event.ix != self._next:
            return self._sequenced(event)
        text = event.text
        if not text:
            return b""
        start = b""
        if not self._written:
            self._summary = event.summary
            start = self._begin(THINKING_BLOCK)
        elif event.summary != self._summary:
            self._summary = event.summary
            text = "\n\n" + text
        self._live_kind, self._live, self._prefix = ReasoningDelta, event.ix, _LIVE[ReasoningDelta] % self._index
        return start + self._prefix + json.encode_str(text) + b"}}\n\n"

    def _on_opaque(self, event: OpaqueDelta) -> bytes:
        if event.ix != self._next:
            return self._sequenced(event)
        self._live = -1
        material = event.opaque
        if self._block.kind is not BlockKind.REASONING:
            self._lose("opaque", "a call carries no other provider's material here")
            return b""
        if carrier.is_redacted(material):
            block = json.encode({"type": "redacted_thinking", "data": material.data})
            return self._stop() + self._begin(block) + self._stop()
        out = self._stop() if self._signature is not None else b""
        if not self._written:
            out += self._begin(THINKING_BLOCK)
        self._signature = carrier.written(material)
        return out

    def _on_args(self, event: ArgsDelta) -> bytes:
        if event.ix != self._next:
            return self._sequenced(event)
        if not event.text:
            return b""
        text = event.text
        if self._block.tool_kind is ir.ToolKind.CUSTOM:
            text = json.encode_str(text)[1:-1].decode()
        else:
            if self._args is None:
                self._args = []
            self._args.append(text)
        return ARGS % (self._index, json.encode_str(text))

    def _on_citation(self, event: Citation) -> bytes:
        if event.ix != self._next:
            return self._sequenced(event)
        cited = response.citation(event.dialect, event.raw)
        if cited is None:
            self._lose("citations", f"{NAME} can not say these citations")
            return b""
        out = b"" if self._written else self._begin(TEXT_BLOCK)
        return out + DELTA % (self._index, b'{"type":"citations_delta","citation":%b}' % json.one_line(cited))

    def _on_logprobs(self, event: Logprobs) -> bytes:
        if event.ix != self._next:
            return self._sequenced(event)
        self._lose("logprobs", f"{NAME} has no token probabilities")
        return b""

    def _on_block_end(self, event: BlockEnd) -> bytes:
        if event.ix != self._next:
            return self._sequenced(event)
        self._writers = _BETWEEN
        self._next += 1
        self._live = -1
        block = self._block
        kind = block.kind
        if kind is _IS_TEXT:
            if not self._written:
                return b""
            index, self._written = self._index, False
            self._index = index + 1
            return BLOCK_STOP % index
        if kind is BlockKind.HOSTED:
            hosted = event.hosted if event.hosted is not None else block.hosted
            return self._hosted(hosted) if hosted is not None else b""
        if kind is _IS_TOOL and block.tool_kind is ir.ToolKind.CUSTOM:
            return ARGS % (self._index, b'"\\"}"') + self._stop()
        if kind is _IS_TOOL and self._args:
            text = "".join(self._args)
            if not _is_json(text):
                self._damage = "cut" if self._damage != "broken" and json.is_cut(text) else "broken"
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
            start += ARGS % (self._index, json.encode_str(bytes(input_).decode()))
        return start + self._stop()

    def _lose(self, path: str, reason: str, disposition: Disposition = Disposition.DROPPED) -> None:
        loss = Loss(path, disposition, reason)
        if loss not in self.losses:
            self.losses.append(loss)


class _Writers(dict[type, Callable[[StreamEncoder, Any], bytes]]):
    """Who writes which event; for all others `StreamEncoder._sequenced` finds out whether they are possible."""

    def __missing__(self, kind: type) -> Callable[[StreamEncoder, Any], bytes]:
        return StreamEncoder._sequenced


_WRITERS: dict[type, Callable[[StreamEncoder, Any], bytes]] = {
    Start: StreamEncoder._on_start,
    BlockStart: StreamEncoder._on_block_start,
    TextDelta: StreamEncoder._on_text,
    RefusalDelta: StreamEncoder._on_refusal,
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
_BY_STATE: dict[State, _Writers] = {
    state: _Writers({kind: _WRITERS[kind] for at, kind in TRANSITIONS if at is state}) for state in State
}
"""Who writes what is possible in a state, and goes to the one behind it."""
_AT_START, _BETWEEN, _IN_BLOCK = _BY_STATE[State.START], _BY_STATE[State.BETWEEN], _BY_STATE[State.BLOCK]
_FINISHED, _OVER = _BY_STATE[State.FINISHED], _BY_STATE[State.OVER]
_NOTHING = _Writers()


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except RemoteProtocolError:
        return False
    return True
