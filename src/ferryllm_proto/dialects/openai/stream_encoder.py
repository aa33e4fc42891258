"""Events to bytes of a Chat stream.  [hot]

Chat can interleave: blocks need no order, calls are told apart by their index. Everything but the one changing value
of a chunk is a constant of the stream.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import ir, json, opaque, sse
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
from ...lifecycle import AFTER, State
from ...loss import ONLY_ITS_OWN, Loss, Report
from . import errors, reasoning
from .decode_parts import NAME
from .encode_response import annotation, answer_id, call_id, extra_content
from .usage import encode_finish, encode_usage, report_finish

_BEHIND = b'},"logprobs":null,"finish_reason":null}]}\n\n'
"""What follows the members of a delta."""


class _Block:
    __slots__ = ("arguments", "custom", "hosted", "index", "kind", "length", "opaque", "start", "summary", "text")

    def __init__(self, start: BlockStart) -> None:
        self.kind = start.kind
        self.custom = start.tool_kind is ir.ToolKind.CUSTOM
        self.index = 0
        self.arguments = False
        self.hosted: ir.Hosted | None = None
        self.length = 0
        """Characters of a text."""
        self.start = 0
        """Characters of the texts before it: they are one in Chat."""
        self.text: list[str] = []
        self.opaque: list[ir.Opaque] = []
        self.summary: int | None = None


class StreamEncoder:
    """Writes one stream. Give every event to `send`."""

    __slots__ = (
        "_after", "_answer", "_bare", "_blocks", "_calls", "_citations", "_content", "_counted", "_details", "_head",
        "_length", "_refused", "_report", "_said", "_thought", "_thoughts", "_usage", "losses", "state",
    )  # fmt: skip

    def __init__(self, answer: Answer) -> None:
        self._report = Report()
        self.losses: list[Loss] = self._report.losses
        self.state = State.IDLE
        self._after = AFTER[State.IDLE]
        self._answer, self._counted = answer.asked(), answer.include_usage
        self._head = self._content = self._thought = b""
        self._usage: ir.Usage | None = None
        self._blocks: dict[int, _Block] = {}
        self._calls = 0
        self._details = 0
        self._citations = 0
        self._length = 0
        """Characters of text so far."""
        self._thoughts: list[opaque.Thought] = []
        """Proofs since the last call: the next call's id carries them."""
        self._said = False
        """Whether anything but thoughts came."""
        self._bare: list[_Block] = []
        """Calls that ended without arguments."""
        self._refused = False

    def send(self, event: Event) -> bytes:
        """Bytes for the client. Raises `LocalProtocolError` for an event this state does not allow."""
        kind = type(event)
        state = self._after.get(kind)
        if state is None:
            raise LocalProtocolError(f"a Chat stream that is {self.state.value} cannot take {kind.__name__}")
        if state is not self.state:
            self.state, self._after = state, AFTER[state]
        return _HANDLERS[kind](self, event)

    def _start(self, event: Event) -> bytes:
        assert type(event) is Start
        answer = self._answer
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":[' % (
            json.encode_str(answer_id(event.id, answer)),
            answer.created if event.created is None else event.created,
            json.encode_str(answer.model or event.model),
        )
        self._content = self._head + b'{"index":0,"delta":{"content":'
        self._thought = self._head + b'{"index":0,"delta":{"reasoning_content":'
        if event.usage is not None:
            self._usage = event.usage
        return self._delta(b'"role":"assistant","content":"","refusal":null')

    def _delta(self, members: bytes) -> bytes:
        return b'%b{"index":0,"delta":{%b},"logprobs":null,"finish_reason":null}]}\n\n' % (self._head, members)

    def _block(self, ix: int) -> _Block:
        block = self._blocks.get(ix)
        if block is None:
            raise LocalProtocolError(f"block {ix} is not open")
        return block

    def _lost(self, path: str, reason: str) -> bytes:
        self._report.dropped(path, reason)
        return b""

    # --- blocks ------------------------------------------------------------------------------------------

    def _block_start(self, event: Event) -> bytes:
        assert type(event) is BlockStart
        if event.ix in self._blocks:
            raise LocalProtocolError(f"block {event.ix} is open already")
        block = self._blocks[event.ix] = _Block(event)
        if event.kind is BlockKind.HOSTED:
            if event.hosted is None or event.hosted.dialect != NAME:
                name = "hosted" if event.hosted is None else event.hosted.type
                return self._lost(name, "a Chat answer has no place for it")
            block.hosted = event.hosted
            return b""
        self._said |= event.kind is not BlockKind.REASONING
        if event.kind is BlockKind.TEXT:
            block.start = self._length
            self._thoughts = reasoning.followed(self._thoughts)
        if event.kind is not BlockKind.TOOL:
            return b""
        block.index, self._calls = self._calls, self._calls + 1
        id_ = json.encode_str(self._carrying(call_id(event.id, self._answer, block.index)))
        name_ = json.encode_str(event.name or "")
        inner = (
            b'"custom","custom":{"name":%b,"input":""}'
            if block.custom
            else (b'"function","function":{"name":%b,"arguments":""}')
        )
        return self._delta(b'"tool_calls":[{"index":%d,"id":%b,"type":%b}]' % (block.index, id_, inner % name_))

    def _carrying(self, id_: str) -> str:
        thoughts, self._thoughts = self._thoughts, []
        return reasoning.carrying(id_, thoughts, self._report)

    def _text(self, event: Event) -> bytes:
        assert type(event) is TextDelta
        text = event.text
        self._block(event.ix).length += len(text)
        self._length += len(text)
        return self._content + json.encode_str(text) + _BEHIND

    def _refusal(self, event: Event) -> bytes:
        assert type(event) is RefusalDelta
        self._block(event.ix)
        self._refused = True
        return self._delta(b'"refusal":%b' % json.encode_str(event.text))

    def _reasoning(self, event: Event) -> bytes:
        assert type(event) is ReasoningDelta
        block = self._block(event.ix)
        text = event.text
        if event.summary is None:
            block.text.append(text)  # a signature is worth nothing without the text it signs
        elif block.summary != event.summary:
            if block.summary is not None or block.text:
                text = "\n\n" + text
            block.summary = event.summary
        return self._thought + json.encode_str(text) + _BEHIND

    def _args(self, event: Event) -> bytes:
        assert type(event) is ArgsDelta
        block = self._block(event.ix)
        if not event.text:
            return b""
        block.arguments = True
        return self._fragment(block, json.encode_str(event.text))

    def _fragment(self, block: _Block, text: bytes) -> bytes:
        if block.custom:
            return self._delta(b'"tool_calls":[{"index":%d,"custom":{"input":%b}}]' % (block.index, text))
        return self._delta(b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]' % (block.index, text))

    def _opaque(self, event: Event) -> bytes:
        assert type(event) is OpaqueDelta
        block = self._block(event.ix)
        if block.kind is BlockKind.REASONING:
            block.opaque.append(event.opaque)
            return b""
        extra = extra_content(event.opaque) if block.kind is BlockKind.TOOL else None
        if extra is None:
            return self._lost("tool_calls.signature", "a Chat tool call has no place for it")
        return self._delta(b'"tool_calls":[{"index":%d,"extra_content":%b}]' % (block.index, extra))

    def _citation(self, event: Event) -> bytes:
        assert type(event) is Citation
        block = self._block(event.ix)
        found = annotation(event.dialect, event.raw, block.length, block.start)
        if found is None:
            return self._lost("content.citations", "Chat cannot say this kind of citation")
        self._report.quote(event.raw)
        # What puts deltas together takes the entries of every list by their index.
        index, self._citations = self._citations, self._citations + 1
        return self._delta(b'"annotations":[{"index":%d,%b]' % (index, found[1:]))

    def _logprobs(self, event: Event) -> bytes:
        assert type(event) is Logprobs
        self._block(event.ix)
        return b'%b{"index":0,"delta":{},"logprobs":{"content":%b,"refusal":null},"finish_reason":null}]}\n\n' % (
            self._head,
            json.one_line(event.raw),
        )

    def _block_end(self, event: Event) -> bytes:
        assert type(event) is BlockEnd
        block = self._block(event.ix)
        del self._blocks[event.ix]
        if block.kind is BlockKind.TOOL and not block.arguments and not block.custom:
            self._bare.append(block)
        if block.hosted is not None:  # once, although the end may bring it again
            hosted = event.hosted or block.hosted
            return self._delta(b"%b:%b" % (json.encode_str(hosted.type), json.one_line(hosted.raw)))
        if not block.opaque:
            return b""
        text = "".join(block.text)
        self._thoughts += (reasoning.thought(found, text, said=self._said) for found in block.opaque)
        entries = [reasoning.entry(o, text, self._details + n) for n, o in enumerate(block.opaque)]
        self._details += len(entries)
        return self._delta(b'"reasoning_details":[%b]' % b",".join(entries))

    # --- ends --------------------------------------------------------------------------------------------

    def _usage_update(self, event: Event) -> bytes:
        assert type(event) is UsageUpdate
        self._usage = event.usage if self._usage is None else self._usage.merge(event.usage)
        return b""

    def _finish(self, event: Event) -> bytes:
        assert type(event) is Finish
        report_finish(event.reason, event.stop_sequence, event.details, self._report)
        word = encode_finish(event.reason, called=self._calls > 0, refused=self._refused)
        ends = b"".join(self._block_end(BlockEnd(ix)) for ix in list(self._blocks))
        if event.reason not in (ir.FinishReason.LENGTH, ir.FinishReason.CONTEXT):
            # Clients parse what they have put together (X7, Y5); a call that was cut stays cut (X18).
            ends += b"".join(self._fragment(block, b'"{}"') for block in self._bare)
        return b'%b%b{"index":0,"delta":{},"logprobs":null,"finish_reason":"%b"}]}\n\n' % (
            ends,
            self._head,
            word.encode(),
        )

    def _end(self, event: Event) -> bytes:
        if self._usage is None or not self._counted:
            return b"data: [DONE]\n\n"
        return b'%b],"usage":%b}\n\ndata: [DONE]\n\n' % (self._head, json.encode(encode_usage(self._usage)))

    def _failed(self, event: Event) -> bytes:
        assert type(event) is StreamFailed
        return sse.encode("", errors.line(event.error))

    def _ping(self, event: Event) -> bytes:
        return sse.comment()  # a chunk without content would confuse clients, a comment keeps the line alive (Y12)

    def _raw(self, event: Event) -> bytes:
        assert type(event) is Raw
        if event.dialect != NAME:
            return self._lost(event.event, ONLY_ITS_OWN)
        return self._delta(b"%b:%b" % (json.encode_str(event.event), json.one_line(event.data)))


_HANDLERS: dict[type, Callable[[StreamEncoder, Event], bytes]] = {
    Start: StreamEncoder._start,
    BlockStart: StreamEncoder._block_start,
    TextDelta: StreamEncoder._text,
    RefusalDelta: StreamEncoder._refusal,
    ReasoningDelta: StreamEncoder._reasoning,
    ArgsDelta: StreamEncoder._args,
    OpaqueDelta: StreamEncoder._opaque,
    Citation: StreamEncoder._citation,
    Logprobs: StreamEncoder._logprobs,
    BlockEnd: StreamEncoder._block_end,
    UsageUpdate: StreamEncoder._usage_update,
    Finish: StreamEncoder._finish,
    End: StreamEncoder._end,
    StreamFailed: StreamEncoder._failed,
    Ping: StreamEncoder._ping,
    Raw: StreamEncoder._raw,
}
