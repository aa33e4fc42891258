"""Events to lines, of ``/api/chat`` or of ``/api/generate``.  [hot]

Text and thoughts leave as they come; a call leaves whole when it is complete, since nobody reads half of one here.
Everything but the one changing value of a line is a constant of the stream.
"""

from __future__ import annotations

from collections.abc import Callable

from ... import ir, json
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
from ...lifecycle import AFTER, State
from ...loss import ONLY_ITS_OWN, Loss, Report, pairs
from . import carrier, errors
from .encode_response import LATE_TEXT, NO_CALLS, NO_CITATIONS, NO_HOSTED, NO_PROOF, call_json, end_of, head_of, thin
from .usage import report_finish

MAX_ARGUMENTS = 16 << 20
"""Characters of one call's arguments: as much as one line of a stream may have bytes."""


_CHAT = (
    b'"message":{"role":"assistant","content":%b},"done":false}\n',
    b'"message":{"role":"assistant","content":"","thinking":%b},"done":false}\n',
)
_GENERATE = (
    b'"response":%b,"done":false}\n',
    b'"response":"","thinking":%b,"done":false}\n',
)


_LINE_ENDS = ((b"\xe2\x80\xa8", rb"\u2028"), (b"\xe2\x80\xa9", rb"\u2029"), (b"\xc2\x85", rb"\u0085"))
"""Characters that are text in JSON and line ends to the Python client, which reads lines as `str.splitlines` does."""


def _one_line(line: bytes) -> bytes:
    for raw, escaped in _LINE_ENDS:
        line = line.replace(raw, escaped)
    return line


class _Block:
    __slots__ = ("id", "index", "kind", "name", "opaque", "size", "summary", "text")

    def __init__(self, start: BlockStart) -> None:
        self.kind = start.kind
        self.id = start.id
        self.name = start.name or ""
        self.index = 0
        self.text: list[str] = []
        """The words of a thought, or a call's arguments."""
        self.size = 0
        self.opaque: list[ir.Opaque] = []
        self.summary: int | None = None


class StreamEncoder:
    """Writes one stream. Give every event to `send`."""

    __slots__ = (
        "_after", "_answer", "_blocks", "_calls", "_head", "_proofs", "_reason", "_report", "_text_line", "_thin",
        "_thinking_line", "_usage", "_whole", "_written", "losses", "state",
    )  # fmt: skip

    def __init__(self, answer: Answer) -> None:
        self._report = Report()
        self.losses: list[Loss] = self._report.losses
        self.state = State.IDLE
        self._after = AFTER[State.IDLE]
        self._answer = answer.asked()
        self._thin = thin(answer)
        self._text_line, self._thinking_line = _GENERATE if self._thin else _CHAT
        self._head = b""
        self._usage: ir.Usage | None = None
        self._reason = ir.FinishReason.END
        self._blocks: dict[int, _Block] = {}
        self._proofs = carrier.Proofs()
        self._calls = 0
        self._written = 0
        self._whole: dict[int, _Block] = {}
        """Calls that are whole and wait for their turn."""

    def send(self, event: Event) -> bytes:
        """Bytes for the client. Raises `LocalProtocolError` for an event this state does not allow, and
        `RemoteProtocolError` when a call outgrows `MAX_ARGUMENTS`."""
        kind = type(event)
        state = self._after.get(kind)
        if state is None:
            raise LocalProtocolError(f"an Ollama stream that is {self.state.value} cannot take {kind.__name__}")
        if state is not self.state:
            self.state, self._after = state, AFTER[state]
        line = _HANDLERS[kind](self, event)
        return line if line.isascii() else _one_line(line)

    def _start(self, event: Event) -> bytes:
        assert type(event) is Start
        self._head = head_of(event.model, event.created, self._answer)
        self._text_line, self._thinking_line = self._head + self._text_line, self._head + self._thinking_line
        self._usage = event.usage
        return b""

    def _block(self, ix: int) -> _Block:
        block = self._blocks.get(ix)
        if block is None:
            raise LocalProtocolError(f"block {ix} is not open")
        return block

    # --- blocks ------------------------------------------------------------------------------------------

    def _block_start(self, event: Event) -> bytes:
        assert type(event) is BlockStart
        if event.ix in self._blocks:
            raise LocalProtocolError(f"block {event.ix} is open already")
        block = self._blocks[event.ix] = _Block(event)
        if event.kind is BlockKind.TOOL:
            if self._thin:
                self._report.dropped("tool_calls", NO_CALLS)
                return b""
            block.index, self._calls = self._calls, self._calls + 1
            self._proofs.call(block.index)
        elif event.kind in (BlockKind.TEXT, BlockKind.REFUSAL):
            self._proofs.text()
        elif event.kind is BlockKind.HOSTED:
            name = "hosted" if event.hosted is None else event.hosted.type
            self._report.dropped(name, NO_HOSTED)
        return b""

    def _text(self, event: Event) -> bytes:
        assert isinstance(event, (TextDelta, RefusalDelta))
        if event.ix not in self._blocks:
            raise LocalProtocolError(f"block {event.ix} is not open")
        if not event.text:
            return b""
        if self._calls:
            self._report.degraded("content", LATE_TEXT)
        return self._text_line % json.encode_str(event.text)

    def _reasoning(self, event: Event) -> bytes:
        assert type(event) is ReasoningDelta
        block = self._block(event.ix)
        text = event.text
        if event.summary is not None and block.summary != event.summary:
            if block.summary is not None or block.text:
                text = "\n\n" + text
            block.summary = event.summary
        block.text.append(text)
        return self._thinking_line % json.encode_str(text) if text else b""

    def _args(self, event: Event) -> bytes:
        assert type(event) is ArgsDelta
        block = self._block(event.ix)
        block.size += len(event.text)
        if block.size > MAX_ARGUMENTS:
            raise RemoteProtocolError(
                f"the arguments of one tool call are longer than {MAX_ARGUMENTS} characters", kind=ir.ErrorKind.UPSTREAM
            )
        block.text.append(event.text)
        return b""

    def _opaque(self, event: Event) -> bytes:
        assert type(event) is OpaqueDelta
        self._block(event.ix).opaque.append(event.opaque)
        return b""

    def _citation(self, event: Event) -> bytes:
        self._report.dropped("content.citations", NO_CITATIONS)
        return b""

    def _logprobs(self, event: Event) -> bytes:
        assert type(event) is Logprobs
        self._block(event.ix)
        line = (self._text_line % b'""').replace(
            b',"done":false', b',"logprobs":%b,"done":false' % json.one_line(event.raw)
        )
        return line

    def _block_end(self, event: Event) -> bytes:
        assert type(event) is BlockEnd
        block = self._block(event.ix)
        del self._blocks[event.ix]
        if block.kind is BlockKind.REASONING:
            self._proofs.thought("".join(block.text), block.opaque)
        elif block.kind is BlockKind.TOOL and not self._thin:
            return self._whole_calls(block)
        return b""

    def _whole_calls(self, block: _Block) -> bytes:
        """A call that overlaps an earlier one waits for it: without ids, clients tell calls apart by their order."""
        self._whole[block.index] = block
        out = b""
        while (ready := self._whole.pop(self._written, None)) is not None:
            self._written += 1
            out += self._call(ready)
        return out

    def _call(self, block: _Block) -> bytes:
        proofs = self._proofs.take(block.index, block.opaque)
        call = call_json(block.id, block.index, block.name, "".join(block.text), self._answer, self._report)
        thinking = b',"thinking":%b' % json.encode_str(proofs) if proofs else b""
        return b'%b"message":{"role":"assistant","content":""%b,"tool_calls":[%b]},"done":false}\n' % (
            self._head,
            thinking,
            call,
        )

    # --- ends --------------------------------------------------------------------------------------------

    def _usage_update(self, event: Event) -> bytes:
        assert type(event) is UsageUpdate
        self._usage = event.usage if self._usage is None else self._usage.merge(event.usage)
        return b""

    def _finish(self, event: Event) -> bytes:
        """The last line waits for `End`: the counters may follow."""
        assert type(event) is Finish
        report_finish(event.reason, event.stop_sequence, event.details, self._report)
        self._reason = event.reason
        rest = b"".join(self._block_end(BlockEnd(ix)) for ix in list(self._blocks))
        if self._proofs.left:
            self._report.dropped("thinking.signature", NO_PROOF)
        return rest

    def _end(self, event: Event) -> bytes:
        empty = b'"response":""' if self._thin else b'"message":{"role":"assistant","content":""}'
        lost = b',"ferryllm_loss":%b' % json.encode(pairs(self.losses)) if self.losses else b""
        return b"%b%b%b%b}\n" % (self._head, empty, end_of(self._reason, self._usage), lost)

    def _failed(self, event: Event) -> bytes:
        assert type(event) is StreamFailed
        return errors.line(event.error)

    def _ping(self, event: Event) -> bytes:
        """Nothing: a server of this protocol is silent as long as its model is."""
        return b""

    def _raw(self, event: Event) -> bytes:
        assert type(event) is Raw
        self._report.dropped(event.event, ONLY_ITS_OWN)
        return b""


_HANDLERS: dict[type, Callable[[StreamEncoder, Event], bytes]] = {
    Start: StreamEncoder._start,
    BlockStart: StreamEncoder._block_start,
    TextDelta: StreamEncoder._text,
    RefusalDelta: StreamEncoder._text,
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
