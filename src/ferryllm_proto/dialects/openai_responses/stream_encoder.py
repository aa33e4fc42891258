"""Events to the stream a Responses client reads: one lifecycle, items in a row, and the whole answer at the end.

What Codex and the SDKs rely on is in translation.md Z1 to Z12: numbers without gaps, an item's ``added`` before its
deltas and its ``done`` after them, a final object equal to the items sent.
"""

from __future__ import annotations

import enum
from collections.abc import Callable

from ... import ids, ir, json, opaque
from ...dialect import Answer
from ...errors import LocalProtocolError
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
from ...loss import ONLY_ITS_OWN, Loss, Report
from ...sequence import Sequencer
from . import wire
from .citations import to_annotation
from .echo import echo_fields
from .errors import failed_object
from .outcome import encode_finish, encode_usage
from .output_items import CallItem, EventWriter, HostedItem, Item, MessageItem, ReasoningItem


class State(enum.Enum):
    BEFORE = "before"
    OPEN = "open"
    """The answer has begun, no block is open. An item may be: the next text would go on in the same message."""
    BLOCK = "block"
    FINISHED = "finished"
    OVER = "over"


_DELTAS = frozenset({TextDelta, RefusalDelta, ReasoningDelta, ArgsDelta, OpaqueDelta, Citation, Logprobs})
_ANYTIME: frozenset[type] = frozenset({UsageUpdate, Ping, Raw})

# After the blocks were put in a row. Not in it: what is illegal, and StreamFailed, which is legal everywhere.
_LEGAL: dict[State, frozenset[type]] = {
    State.BEFORE: frozenset({Start, Ping}),
    State.OPEN: _ANYTIME | {BlockStart, Finish},
    State.BLOCK: _ANYTIME | _DELTAS | {BlockEnd},
    State.FINISHED: _ANYTIME | {End},
    State.OVER: frozenset(),
}

_PROSE = frozenset({BlockKind.TEXT, BlockKind.REFUSAL})
# Which blocks a delta may be in; what is absent may come in any.
_BLOCKS_OF: dict[type, frozenset[BlockKind]] = {
    TextDelta: _PROSE,
    RefusalDelta: _PROSE,
    Citation: _PROSE,
    Logprobs: _PROSE,
    ReasoningDelta: frozenset({BlockKind.REASONING}),
    ArgsDelta: frozenset({BlockKind.TOOL}),
}

_EVENT_BY_STATUS = {
    "completed": b"response.completed",
    "incomplete": b"response.incomplete",
    "failed": b"response.failed",
}


class StreamEncoder:
    """Writes one stream; `losses` grows with what it could not say."""

    __slots__ = (
        "_answer", "_begun", "_echo", "_extra", "_finals", "_finish", "_head", "_index", "_item", "_kind", "_legal",
        "_refused", "_report", "_sequencer", "_start", "_unproven", "_usage", "_writer", "final", "losses", "state",
    )  # fmt: skip

    def __init__(self, answer: Answer) -> None:
        self.state = State.BEFORE
        self._legal = _LEGAL[State.BEFORE]
        self.final = b""
        """The whole response object, once the answer is over."""
        self._report = Report()
        self.losses: list[Loss] = self._report.losses
        self._answer = answer.asked()
        self._echo = json.one_line(echo_fields(answer.request, kept=answer.kept or answer.kept_upstream))
        request = answer.request
        # A client that keeps its reasoning itself sends it back to whoever is asked next. Should that be the API of
        # this dialect, it would look for an item without a proof by its id, and refuse the request.
        sealed = request is not None and (request.store is False or wire.ENCRYPTED in request.include)
        self._unproven = opaque.UNPROVEN if sealed else ""
        self._sequencer = Sequencer()
        self._writer = EventWriter()
        self._head = b""
        self._kind = BlockKind.TEXT
        self._start: BlockStart | None = None
        self._begun = False
        self._item: Item | None = None
        self._finals: list[bytes] = []
        self._index = 0
        self._extra: list[ir.Opaque] = []
        self._refused = False
        self._usage: ir.Usage | None = None
        self._finish: Finish | None = None

    def send(self, event: Event) -> bytes:
        """The bytes for ``event``. Raises `LocalProtocolError` for an event the state does not allow."""
        if type(event) is StreamFailed:
            return self._failed(event)
        sequenced = self._sequencer.send(event)
        if len(sequenced) == 1:
            return self._one(sequenced[0])
        return b"".join([self._one(inner) for inner in sequenced])

    def _one(self, event: Event) -> bytes:
        kind = type(event)
        if kind not in self._legal:
            raise LocalProtocolError(f"{kind.__name__} is not possible in state {self.state.name}")
        wanted = _BLOCKS_OF.get(kind)
        if wanted is not None and self._kind not in wanted:
            raise LocalProtocolError(f"{kind.__name__} is not possible in a block of another kind")
        return _HANDLERS[kind](self, event)

    def _enter(self, state: State) -> None:
        self.state, self._legal = state, _LEGAL[state]

    # --- lifecycle ---

    def _on_start(self, event: Event) -> bytes:
        assert type(event) is Start
        self._enter(State.OPEN)
        self._usage = event.usage
        self._identify(event.id, event.model, event.created)
        response = self._response("in_progress", b"null", b"null", b"null")
        return self._writer.write(b"response.created", b'"response":%b' % response) + self._writer.write(
            b"response.in_progress", b'"response":%b' % response
        )

    def _identify(self, id_: str, model: str, created: int | None) -> None:
        if self._answer.kept or not id_.startswith("resp_"):  # who keeps it must be sure that no other has its id
            id_ = ids.mint("resp_", self._answer.seed, id_)
        self._head = b'{"id":%b,"object":"response","created_at":%d,"model":%b' % (
            json.encode_str(id_),
            self._answer.created if created is None else created,
            json.encode_str(self._answer.model or model),
        )

    def _response(self, status: str, error: bytes, incomplete: bytes, usage: bytes) -> bytes:
        return b'%b,"status":"%b","error":%b,"incomplete_details":%b,"output":[%b],%b,"usage":%b}' % (
            self._head,
            status.encode(),
            error,
            incomplete,
            b",".join(self._finals),
            self._echo,
            usage,
        )

    def _usage_bytes(self) -> bytes:
        if self._usage is None:
            return b"null"
        return json.encode(encode_usage(self._usage, self._answer.input_estimate))

    def _on_usage(self, event: Event) -> bytes:
        assert type(event) is UsageUpdate
        self._usage = event.usage if self._usage is None else self._usage.merge(event.usage)
        return b""

    def _on_ping(self, event: Event) -> bytes:
        return b": ping\n\n"  # no event of this protocol is without meaning (Z10)

    def _on_raw(self, event: Event) -> bytes:
        assert type(event) is Raw
        if event.dialect != wire.NAME:
            self._report.dropped(event.event, ONLY_ITS_OWN)
            return b""
        members = json.fields(json.one_line(event.data))
        for name in ("type", "sequence_number"):
            members.pop(name, None)
        if "output_index" in members:
            members["output_index"] = json.raw(b"%d" % max(0, self._index - 1))
        return self._writer.write(event.event.encode(), json.encode(members)[1:-1] or b'"data":null')

    def _on_finish(self, event: Event) -> bytes:
        assert type(event) is Finish
        self._finish = event
        self._enter(State.FINISHED)
        status, _ = encode_finish(event.reason, refused=self._refused)
        if event.reason is ir.FinishReason.PAUSE:
            self._report.degraded("stop_reason", "a paused turn looks completed to a Responses client")
        if event.stop_sequence is not None:
            self._report.dropped("stop_sequence", "a Responses answer does not say which one was met")
        if event.details is not None:
            self._report.dropped("stop_details", "a Responses answer has no details of its end")
        return self._close(b"completed" if status == "completed" else b"incomplete")

    def _on_end(self, event: Event) -> bytes:
        assert self._finish is not None
        self._enter(State.OVER)
        status, why = encode_finish(self._finish.reason, refused=self._refused)
        error = b"null"
        if status == "failed":
            malformed = self._finish.reason is ir.FinishReason.MALFORMED_TOOL
            message = "the model called a tool in a malformed way" if malformed else "the model stopped with an error"
            error = json.encode(failed_object(ir.Error(ir.ErrorKind.SERVER, message)))
        incomplete = b"null" if why is None else b'{"reason":"%b"}' % why.encode()
        self.final = self._response(status, error, incomplete, self._usage_bytes())
        return self._writer.write(_EVENT_BY_STATUS[status], b'"response":%b' % self.final)

    def _failed(self, event: StreamFailed) -> bytes:
        """``response.failed``, and nothing after it. What was not finished stays out of its output."""
        if self.state is State.OVER:
            return b""
        if self.state is State.BEFORE:
            self._identify("", "", None)
        self._enter(State.OVER)
        error = json.encode(failed_object(event.error))
        self.final = self._response("failed", error, b"null", self._usage_bytes())
        return self._writer.write(b"response.failed", b'"response":%b' % self.final)

    # --- items ---

    def _id(self, given: str | None, prefix: str) -> str:
        if given is not None and given.startswith(prefix):
            return given
        return ids.mint(prefix, self._answer.seed, self._index)

    def _close(self, status: bytes) -> bytes:
        """Finish the item that is open, if one is."""
        item = self._item
        if item is None:
            return b""
        self._item = None
        out = item.close(status)
        self._finals.append(item.final)
        extra, self._extra = self._extra, []
        for material in extra:  # an item has room for one proof: each other gets an item of its own
            carrier = ReasoningItem(self._writer, self._index, self._id(None, "rs_"))
            self._index += 1
            carrier.material = material
            out += carrier.open() + carrier.close(b"completed")
            self._finals.append(carrier.final)
        return out

    def _on_block(self, event: Event) -> bytes:
        assert type(event) is BlockStart
        self._enter(State.BLOCK)
        self._start, self._kind, self._begun = event, event.kind, False
        if event.kind is BlockKind.TOOL:
            out = self._close(b"completed")
            custom = event.tool_kind is ir.ToolKind.CUSTOM
            item = CallItem(
                self._writer,
                self._index,
                self._id(event.item_id, "ctc_" if custom else "fc_"),
                call_id=event.id or ids.mint("call_", self._answer.seed, self._index),
                name=event.name or "",
                namespace=event.namespace,
                custom=custom,
            )
            self._take(item)
            return out + item.open()
        if event.kind is BlockKind.HOSTED:
            return self._close(b"completed") + self._hosted(event.hosted)
        return b""  # text and reasoning begin with their first character: an empty block is no item

    def _take(self, item: Item) -> None:
        self._item = item
        self._index += 1
        self._begun = True

    def _hosted(self, hosted: ir.Hosted | None) -> bytes:
        if hosted is None:
            return b""
        if hosted.dialect != wire.NAME:
            self._report.dropped(hosted.type, f"only {hosted.dialect} clients know this block")
            return b""
        item = HostedItem(self._writer, self._index, json.one_line(hosted.raw))
        self._take(item)
        return item.open()

    def _message(self) -> tuple[MessageItem, bytes]:
        """The message of the open block; opened, or gone on with, at its first character."""
        assert self._start is not None
        item, out = self._item, b""
        if self._begun:
            assert isinstance(item, MessageItem)
            return item, b""
        phase = self._start.phase
        if not isinstance(item, MessageItem) or item.phase != phase:
            out = self._close(b"completed")
            item = MessageItem(self._writer, self._index, self._id(self._start.item_id, "msg_"), phase)
            self._take(item)
            out += item.open()
        self._begun = True
        refusal = self._kind is BlockKind.REFUSAL
        self._refused = self._refused or refusal
        return item, out + item.begin_part(refusal=refusal)

    def _on_text(self, event: Event) -> bytes:
        assert type(event) in (TextDelta, RefusalDelta)
        text: str = event.text  # type: ignore[union-attr]  # asserted above
        if self._begun:
            return self._item.delta(text)  # type: ignore[union-attr,no-any-return]  # a begun text block has its message
        if not text:
            return b""
        item, out = self._message()
        return out + item.delta(text)

    def _on_citation(self, event: Event) -> bytes:
        assert type(event) is Citation
        item, out = self._message()
        annotation = to_annotation(event.dialect, event.raw, item.length)
        if annotation is None:
            self._report.dropped("citations", f"a source in the words of {event.dialect} that names no page")
            return out
        self._report.quote(event.raw)
        return out + item.annotate(json.one_line(annotation))

    def _on_logprobs(self, event: Event) -> bytes:
        assert type(event) is Logprobs
        item, out = self._message()
        item.keep_logprobs(json.one_line(event.raw))
        return out

    def _reasoning(self) -> tuple[ReasoningItem, bytes]:
        assert self._start is not None
        if self._begun:
            assert isinstance(self._item, ReasoningItem)
            return self._item, b""
        out = self._close(b"completed")
        item = ReasoningItem(self._writer, self._index, self._id(self._start.id, "rs_"))
        item.unproven = self._unproven
        self._take(item)
        return item, out + item.open()

    def _on_reasoning(self, event: Event) -> bytes:
        assert type(event) is ReasoningDelta
        if not event.text:
            return b""
        item, out = self._reasoning()
        return out + item.delta(event.text, event.summary)

    def _on_opaque(self, event: Event) -> bytes:
        assert type(event) is OpaqueDelta
        if self._kind is not BlockKind.REASONING:
            provider = event.opaque.provider
            self._report.dropped("tool call", f"material of {provider} on a call has no place in a Responses answer")
            return b""
        item, out = self._reasoning()
        if item.material is None:
            item.material = event.opaque
        else:
            self._extra.append(event.opaque)
        return out

    def _on_args(self, event: Event) -> bytes:
        assert type(event) is ArgsDelta
        assert isinstance(self._item, CallItem)
        return self._item.delta(event.text) if event.text else b""

    def _on_block_end(self, event: Event) -> bytes:
        assert type(event) is BlockEnd
        self._enter(State.OPEN)
        item = self._item
        if self._kind is BlockKind.HOSTED:
            return self._end_hosted(event)
        if not self._begun:
            return b""
        if isinstance(item, MessageItem):
            return item.end_part()
        if isinstance(item, CallItem) and item.is_whole:
            return self._close(b"completed")
        return b""  # whether it is complete shows with what follows (Z7)

    def _end_hosted(self, event: BlockEnd) -> bytes:
        out = b""
        if not self._begun:
            out = self._hosted(event.hosted)
        if isinstance(self._item, HostedItem):
            if event.hosted is not None:
                self._item.item = json.one_line(event.hosted.raw)
            out += self._close(b"completed")
        return out


_HANDLERS: dict[type, Callable[[StreamEncoder, Event], bytes]] = {
    TextDelta: StreamEncoder._on_text,
    RefusalDelta: StreamEncoder._on_text,
    ReasoningDelta: StreamEncoder._on_reasoning,
    ArgsDelta: StreamEncoder._on_args,
    OpaqueDelta: StreamEncoder._on_opaque,
    Citation: StreamEncoder._on_citation,
    Logprobs: StreamEncoder._on_logprobs,
    Start: StreamEncoder._on_start,
    BlockStart: StreamEncoder._on_block,
    BlockEnd: StreamEncoder._on_block_end,
    UsageUpdate: StreamEncoder._on_usage,
    Finish: StreamEncoder._on_finish,
    End: StreamEncoder._on_end,
    Ping: StreamEncoder._on_ping,
    Raw: StreamEncoder._on_raw,
}
