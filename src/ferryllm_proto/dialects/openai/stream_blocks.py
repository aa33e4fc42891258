"""What a Chat stream has said so far: its blocks, its calls, its end.

The half of a `stream_decoder.StreamDecoder` that knows no bytes.
"""

from __future__ import annotations

import enum

from ... import ir, json
from ...events import (
    BlockEnd,
    BlockKind,
    BlockStart,
    End,
    Event,
    Finish,
    OpaqueDelta,
    Raw,
    ReasoningDelta,
    Start,
    StreamFailed,
    TextDelta,
)
from . import chunks, reasoning, response
from .calls import Calls
from .decode_parts import NAME
from .usage import decode_finish


class State(enum.Enum):
    HEAD = "head"
    """No byte that says what it is."""
    STREAM = "stream"
    FINISHED = "finished"
    """A finish reason was given; usage may follow."""
    BODY = "body"
    """The provider ignored ``stream`` and answers with one JSON object (S10)."""
    CLOSED = "closed"


# Looked up once: a member of an enum costs more than a comparison with it.
_TEXT, _REASONING = BlockKind.TEXT, BlockKind.REASONING
_HEAD, _STREAM, _FINISHED, _CLOSED = State.HEAD, State.STREAM, State.FINISHED, State.CLOSED
_ERROR, _TOOL_USE = ir.FinishReason.ERROR, ir.FinishReason.TOOL_USE
_OVER = End()


class StreamBlocks:
    """Takes what chunks say and appends the events of it."""

    __slots__ = (
        "_calls", "_details", "_kind", "_last_usage", "_model", "_next", "_open", "_plain_thoughts", "_refused",
        "_started", "state",
    )  # fmt: skip

    def __init__(self) -> None:
        self.state = _HEAD
        self._model = ""
        self._started = False
        self._next = 0
        self._open: int | None = None
        self._kind: BlockKind | None = None
        """Of the one open block that is no tool."""
        self._calls: Calls | None = None
        self._details: reasoning.Details | None = None
        self._refused = False
        self._last_usage: ir.Usage | None = None
        self._plain_thoughts = False
        """Thoughts come as plain text: entries of ``reasoning_details`` repeat it."""

    def _start(self, id_: str, model: str, created: int | None, out: list[Event]) -> None:
        self._started = True
        self.state = _STREAM
        self._model = model
        out.append(Start(id_, model, created))

    # --- what deltas say ---------------------------------------------------------------------------------

    def _call(self, found: list[response.CallAnswer], out: list[Event]) -> None:
        self._close(out)
        calls = self._calls = self._calls or Calls()
        self._next = calls.receive(found, self._model, self._next, out)

    def _made(self, name: str, value: bytes, out: list[Event]) -> None:
        """Pictures come whole, as in an answer that is no stream; of the rest only pieces are seen."""
        if name != "images":
            out.append(Raw(NAME, name, value))
            return
        self._close(out)
        out.append(BlockStart(self._next, BlockKind.HOSTED, hosted=ir.Hosted(NAME, name, value)))
        out.append(BlockEnd(self._next))
        self._next += 1

    def _mixed(self, content: list[json.Raw], out: list[Event]) -> None:
        for is_thought, text in response.split_content(content):
            if is_thought:
                out.append(ReasoningDelta(self._block(_REASONING, out), text))
            else:
                out.append(TextDelta(self._block(_TEXT, out), text))

    def _take_details(self, details: list[json.Raw], known: bool, out: list[Event]) -> None:
        """Entries beside a text bring the same text again; without one they are the text."""
        for raw in details:
            entry = reasoning.read(raw)
            if entry is None:
                continue
            if not known and entry.text:
                out.append(ReasoningDelta(self._block(_REASONING, out), entry.text))
            elif not known and entry.summary:
                out.append(ReasoningDelta(self._block(_REASONING, out), entry.summary, summary=0))
            elif entry.token:
                self._block(_REASONING, out)
            if self._details is None:
                self._details = reasoning.Details()
            self._details.add(raw)

    # --- blocks ------------------------------------------------------------------------------------------

    def _block(self, kind: BlockKind, out: list[Event]) -> int:
        """The open block of ``kind``; another one that is open ends first, tool calls do not."""
        if self._kind is kind and self._open is not None:
            return self._open
        if self._open is not None:
            self._close(out)
        if self._calls is not None:
            self._next = self._calls.start_all(self._next, out)
        self._open = ix = self._next
        self._kind = kind
        self._next = ix + 1
        out.append(BlockStart(ix, kind))
        return ix

    def _close(self, out: list[Event]) -> None:
        ix = self._open
        if ix is None:
            return
        if self._details is not None and self._kind is _REASONING:
            for data in self._details.take():
                proof = ir.Opaque(reasoning.PROVIDER, self._model, ir.OpaqueKind.DETAILS, data)
                out.append(OpaqueDelta(ix, proof))
        out.append(BlockEnd(ix))
        self._open = self._kind = None

    # --- ends --------------------------------------------------------------------------------------------

    def _finish(self, choice: chunks.Choice | chunks.UsualChoice, word: str, out: list[Event]) -> None:
        calls = self._calls
        called = calls is not None and calls.any
        stop = choice.stop_reason if isinstance(choice.stop_reason, str) else choice.matched_stop
        if type(stop) is not str:
            stop = None
        reason, sequence = decode_finish(word, called=called, refused=self._refused, stop=stop)
        if reason is _ERROR:
            self._fail(ir.Error(ir.ErrorKind.UPSTREAM, f"the provider ended its answer with {word}"), out)
            return
        if reason is _TOOL_USE and not called:
            nameless = calls is not None and calls.nameless
            what = "a tool call without a name" if nameless else "no tool call, but ended as if it had"
            self._fail(ir.Error(ir.ErrorKind.UPSTREAM, f"the provider sent {what}"), out)
            return
        self._close_all(out)
        out.append(Finish(reason, sequence))
        self.state = _FINISHED

    def _close_all(self, out: list[Event]) -> None:
        self._close(out)
        if self._calls is not None:
            self._next = self._calls.end_all(self._next, out)

    def _done(self, out: list[Event]) -> None:
        """``[DONE]`` is an end also where no finish reason came (T2)."""
        if not self._started:
            self._fail(ir.Error(ir.ErrorKind.TRUNCATED, "the provider's stream ended without one event"), out)
            return
        if self.state is not _FINISHED:
            called = self._calls is not None and self._calls.any
            self._close_all(out)
            out.append(Finish(ir.FinishReason.TOOL_USE if called else ir.FinishReason.END))
        self.state = _CLOSED
        out.append(_OVER)

    def _end(self, out: list[Event]) -> None:
        self.state = _CLOSED
        out.append(_OVER)

    def _fail(self, error: ir.Error, out: list[Event]) -> None:
        if self.state is _CLOSED:
            return
        self.state = _CLOSED
        out.append(StreamFailed(error))
