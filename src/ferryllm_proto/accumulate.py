"""Events to a whole answer and back: stream and non-stream cannot disagree."""

from __future__ import annotations

from collections.abc import Callable

from . import ir, json
from .errors import LocalProtocolError, RemoteProtocolError
from .events import (
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
    Raw,
    ReasoningDelta,
    RefusalDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)

MAX_RESPONSE = 64 << 20
"""Characters of one folded answer: the limit of one upstream JSON (reliability.md, section 5)."""

_BLOCK_COST = 64
"""Characters a block counts beyond its content: endless empty blocks are bounded too."""


class _Block:
    __slots__ = ("citations", "dialect", "hosted", "opaque", "start", "summary", "text")

    def __init__(self, start: BlockStart) -> None:
        self.start = start
        self.text: list[str] = []
        self.summary: dict[int, list[str]] = {}
        self.opaque: list[ir.Opaque] = []
        self.citations: list[bytes] = []
        self.dialect = ""
        self.hosted = start.hosted

    def part(self) -> ir.Part | None:
        start, text = self.start, "".join(self.text)
        if start.kind is BlockKind.TEXT:
            return ir.Text(text, citations=tuple(self.citations), citations_dialect=self.dialect, phase=start.phase)
        if start.kind is BlockKind.TOOL:
            return ir.ToolCall(
                start.id or "",
                start.name or "",
                text,
                kind=start.tool_kind,
                namespace=start.namespace,
                item_id=start.item_id,
                opaque=tuple(self.opaque),
            )
        if start.kind is BlockKind.REASONING:
            summary = tuple("".join(self.summary[ix]) for ix in sorted(self.summary))
            return ir.Reasoning(text, summary=summary, opaque=tuple(self.opaque), id=start.id)
        if start.kind is BlockKind.REFUSAL:
            return ir.Refusal(text)
        return self.hosted


class Accumulator:
    """Folds the events of one stream into an `ir.Response`."""

    __slots__ = ("_blocks", "_finish", "_logprobs", "_size", "_start", "_unplaced", "_usage", "ended", "failed")

    def __init__(self) -> None:
        self.failed: ir.Error | None = None
        """The error the stream ended with."""
        self.ended = False
        self._start: Start | None = None
        self._blocks: dict[int, _Block] = {}
        self._finish = Finish(ir.FinishReason.END)
        self._usage: ir.Usage | None = None
        self._logprobs: list[bytes] = []
        self._unplaced: dict[str, None] = {}
        self._size = 0

    def send(self, event: Event) -> bytes:
        """Take one event; b"", so that it can stand where a `StreamEncoder` does.

        Raises `RemoteProtocolError` when the answer outgrows `MAX_RESPONSE`.
        """
        handler = _HANDLERS.get(type(event))
        if handler is not None:
            handler(self, event)
        return b""

    def response(self) -> ir.Response:
        """The answer. Raises `LocalProtocolError` when nothing has started."""
        if self._start is None:
            raise LocalProtocolError("no answer has started")
        parts = [part for block in self._blocks.values() if (part := block.part()) is not None]
        return ir.Response(
            self._start.id,
            self._start.model,
            tuple(parts),
            finish=self._finish.reason,
            stop_sequence=self._finish.stop_sequence,
            finish_details=self._finish.details,
            created=self._start.created,
            usage=self._usage,
            logprobs=b"[%b]" % b",".join(self._logprobs) if self._logprobs else None,
            unplaced=tuple(self._unplaced),
        )

    def _block(self, ix: int) -> _Block:
        block = self._blocks.get(ix)
        if block is None:
            raise LocalProtocolError(f"block {ix} has not started")
        return block

    def _on_start(self, event: Event) -> None:
        assert type(event) is Start
        self._start = event
        if event.usage is not None:
            self._usage = event.usage

    def _on_block(self, event: Event) -> None:
        assert type(event) is BlockStart
        self._blocks[event.ix] = _Block(event)
        self._grow(_BLOCK_COST + (len(event.hosted.raw) if event.hosted is not None else 0))

    def _on_text(self, event: Event) -> None:
        assert type(event) in (TextDelta, RefusalDelta, ArgsDelta)
        self._block(event.ix).text.append(event.text)  # type: ignore[union-attr]  # asserted above
        self._grow(len(event.text))  # type: ignore[union-attr]  # asserted above

    def _on_reasoning(self, event: Event) -> None:
        assert type(event) is ReasoningDelta
        block = self._block(event.ix)
        (block.text if event.summary is None else block.summary.setdefault(event.summary, [])).append(event.text)
        self._grow(len(event.text))

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > MAX_RESPONSE:
            raise RemoteProtocolError(
                f"the answer is longer than {MAX_RESPONSE} characters", kind=ir.ErrorKind.UPSTREAM
            )

    def _on_opaque(self, event: Event) -> None:
        assert type(event) is OpaqueDelta
        self._block(event.ix).opaque.append(event.opaque)
        self._grow(len(event.opaque.data))

    def _on_citation(self, event: Event) -> None:
        assert type(event) is Citation
        block = self._block(event.ix)
        block.citations.append(event.raw)
        block.dialect = event.dialect
        self._grow(len(event.raw))

    def _on_logprobs(self, event: Event) -> None:
        assert type(event) is Logprobs
        inner = event.raw.strip()[1:-1].strip()
        if inner and json.kind(event.raw) == "array":
            self._logprobs.append(inner)
            self._grow(len(inner))

    def _on_block_end(self, event: Event) -> None:
        assert type(event) is BlockEnd
        if event.hosted is not None:
            self._block(event.ix).hosted = event.hosted
            self._grow(len(event.hosted.raw))

    def _on_usage(self, event: Event) -> None:
        assert type(event) is UsageUpdate
        self._usage = event.usage if self._usage is None else self._usage.merge(event.usage)

    def _on_finish(self, event: Event) -> None:
        assert type(event) is Finish
        self._finish = event

    def _on_end(self, event: Event) -> None:
        self.ended = True

    def _on_raw(self, event: Event) -> None:
        assert type(event) is Raw
        if event.event not in self._unplaced:
            self._unplaced[event.event] = None
            self._grow(len(event.event))

    def _on_failed(self, event: Event) -> None:
        assert type(event) is StreamFailed
        self.ended = True
        self.failed = event.error


_HANDLERS: dict[type, Callable[[Accumulator, Event], None]] = {
    Start: Accumulator._on_start,
    BlockStart: Accumulator._on_block,
    TextDelta: Accumulator._on_text,
    RefusalDelta: Accumulator._on_text,
    ArgsDelta: Accumulator._on_text,
    ReasoningDelta: Accumulator._on_reasoning,
    OpaqueDelta: Accumulator._on_opaque,
    Citation: Accumulator._on_citation,
    Logprobs: Accumulator._on_logprobs,
    BlockEnd: Accumulator._on_block_end,
    UsageUpdate: Accumulator._on_usage,
    Finish: Accumulator._on_finish,
    End: Accumulator._on_end,
    StreamFailed: Accumulator._on_failed,
    Raw: Accumulator._on_raw,
    # Not in it: Ping, which leaves no trace in a whole answer.
}


def play(response: ir.Response) -> list[Event]:
    """The events of a whole answer, as a stream would have brought them."""
    out: list[Event] = [Start(response.id, response.model, response.created)]
    logprobs = response.logprobs
    for ix, part in enumerate(response.parts):
        _play_part(ix, part, out)
        if logprobs is not None and isinstance(part, ir.Text):
            out.insert(-1, Logprobs(ix, logprobs))
            logprobs = None
    out.extend(Raw("", name, b"") for name in response.unplaced)
    out.append(Finish(response.finish, response.stop_sequence, response.finish_details))
    if response.usage is not None:
        out.append(UsageUpdate(response.usage))
    out.append(End())
    return out


def _play_part(ix: int, part: ir.Part, out: list[Event]) -> None:
    if isinstance(part, ir.Text):
        out.append(BlockStart(ix, BlockKind.TEXT, phase=part.phase))
        if part.text:
            out.append(TextDelta(ix, part.text))
        out.extend(Citation(ix, part.citations_dialect, raw) for raw in part.citations)
    elif isinstance(part, ir.ToolCall):
        out.append(
            BlockStart(
                ix,
                BlockKind.TOOL,
                id=part.id,
                name=part.name,
                namespace=part.namespace,
                tool_kind=part.kind,
                item_id=part.item_id,
            )
        )
        if part.arguments:
            out.append(ArgsDelta(ix, part.arguments))
        out.extend(OpaqueDelta(ix, opaque) for opaque in part.opaque)
    elif isinstance(part, ir.Reasoning):
        out.append(BlockStart(ix, BlockKind.REASONING, id=part.id))
        if part.text:
            out.append(ReasoningDelta(ix, part.text))
        out.extend(ReasoningDelta(ix, text, summary=n) for n, text in enumerate(part.summary))
        out.extend(OpaqueDelta(ix, opaque) for opaque in part.opaque)
    elif isinstance(part, ir.Refusal):
        out.append(BlockStart(ix, BlockKind.REFUSAL))
        if part.text:
            out.append(RefusalDelta(ix, part.text))
    elif isinstance(part, ir.Hosted):
        out.append(BlockStart(ix, BlockKind.HOSTED, hosted=part))
    else:
        raise LocalProtocolError(f"{type(part).__name__} is no part of an answer")
    out.append(BlockEnd(ix))
