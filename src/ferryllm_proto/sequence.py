"""Puts overlapping blocks in a row.

Messages and Responses streams have one block open at a time, and Gemini's have whole calls; Chat interleaves parallel
tool calls by index, and llama.cpp closes all blocks at the end. `Sequencer` lets the first open call stream live and
holds the others back until it is complete (translation.md X2, X3): arguments always reach the call they belong to.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from . import json
from .errors import RemoteProtocolError
from .events import (
    ArgsDelta,
    BlockEnd,
    BlockKind,
    BlockStart,
    Citation,
    Event,
    Finish,
    Logprobs,
    OpaqueDelta,
    ReasoningDelta,
    RefusalDelta,
    StreamFailed,
    TextDelta,
)
from .ir import ErrorKind, ToolKind

MAX_HELD = 64 << 20
"""Characters of events held back, over all blocks: as much as one upstream JSON may be long."""

_EVENT_COST = 64
"""Characters an event counts beyond its text: endless empty blocks are bounded too."""

_REOPENED = {
    TextDelta: BlockKind.TEXT,
    ReasoningDelta: BlockKind.REASONING,
    RefusalDelta: BlockKind.REFUSAL,
}

_Delta = (TextDelta, RefusalDelta, ReasoningDelta, ArgsDelta, OpaqueDelta, Citation, Logprobs)


def _weight(event: Event) -> int:
    """What a held event counts against `MAX_HELD`."""
    if type(event) is OpaqueDelta:
        return _EVENT_COST + len(event.opaque.data)
    if isinstance(event, (Citation, Logprobs)):
        return _EVENT_COST + len(event.raw)
    return _EVENT_COST + len(getattr(event, "text", ""))


class Sequencer:
    """Events in, the same events out with at most one block open and ``ix`` dense in order of output.

    A block that is still open at `Finish` is closed before it. `StreamFailed` passes at once: what was held is
    incomplete and is not shown as complete.
    """

    __slots__ = ("_args", "_checked", "_closed", "_held", "_next", "_open", "_open_start", "_size")

    def __init__(self) -> None:
        self._open: int | None = None
        self._open_start: BlockStart | None = None
        self._args: list[str] | None = None
        """Of the open block, once there are any."""
        self._checked = 0
        """How many of ``_args`` there were when they were last found incomplete."""
        self._closed: dict[int, BlockStart] | None = None
        """Blocks closed here while the upstream had not ended them: more of them may come."""
        self._next = 0
        self._held: dict[int, list[Event]] | None = None
        """Blocks that wait for their turn, each from its start on."""
        self._size = 0

    @classmethod
    def resumed(cls, number: int, start: BlockStart | None, args: list[str] | None) -> Sequencer:
        """One that has seen blocks in a row: that of ``number`` is open, with ``start`` and ``args``, or is next."""
        self = cls()
        self._next = number
        if start is not None:
            self._open, self._open_start, self._args = start.ix, start, None if args is None else [*args]
        return self

    def send(self, event: Event) -> list[Event]:
        """The events that may go out now."""
        handler = _HANDLERS.get(type(event))
        if handler is None:
            return [event]
        out: list[Event] = []
        handler(self, event, out)
        return out

    @property
    def open(self) -> int | None:
        """The block that streams live: its deltas pass, renumbered, and of texts and thoughts nothing is noted."""
        return self._open

    def _start(self, event: Event, out: list[Event]) -> None:
        assert type(event) is BlockStart
        if self._open is not None and self._is_over():
            self._close(out)
            self._flush(out)
        if self._open is not None:
            if self._held is None:
                self._held = {}
            self._held[event.ix] = [event]
            self._count(event)
        else:
            self._begin(event, out)

    def _is_over(self) -> bool:
        """Whether the open block may be closed because another one starts.

        Text can go on in a new block; a call can not, so it stays until its JSON is whole.
        """
        assert self._open_start is not None
        if self._open_start.kind is BlockKind.TOOL:
            # A freeform input is text and never known to be whole. A call is looked at again only when it has grown.
            args = self._args or ()
            if self._open_start.tool_kind is ToolKind.CUSTOM or len(args) == self._checked:
                return False
            self._checked = len(args)
            return json.is_object("".join(args))
        return self._open_start.kind is not BlockKind.HOSTED

    def _begin(self, start: BlockStart, out: list[Event]) -> None:
        self._open, self._open_start, self._args, self._checked = start.ix, start, None, 0
        out.append(msgspec.structs.replace(start, ix=self._next) if start.ix != self._next else start)

    def _delta(self, event: Event, out: list[Event]) -> None:
        ix = event.ix  # type: ignore[union-attr]  # only deltas are registered here, and all have one
        if ix == self._open:
            if type(event) is ArgsDelta:
                if self._args is None:
                    self._args = []
                self._args.append(event.text)
            out.append(self._renumbered(event))
        elif self._held and ix in self._held:
            self._held[ix].append(event)
            self._count(event)
        elif self._reopen(event, out):
            self._delta(event, out)

    def _count(self, event: Event) -> None:
        self._size += _weight(event)
        if self._size > MAX_HELD:
            raise RemoteProtocolError(f"parallel blocks hold more than {MAX_HELD} characters", kind=ErrorKind.UPSTREAM)

    def _reopen(self, event: Event, out: list[Event]) -> bool:
        """Text of a block that was closed because another one began goes on in a new block.

        So does the proof of a thought (it is worthless inside another block). What is left over is dropped: arguments
        behind a whole call, citations and logprobs of a text whose block is gone.
        """
        ix = event.ix  # type: ignore[union-attr]  # as in `_delta`
        before = self._closed.get(ix) if self._closed else None
        kind = _REOPENED.get(type(event))
        if kind is None and type(event) is OpaqueDelta and before is not None and before.kind is BlockKind.REASONING:
            kind = before.kind
        if kind is None:
            return False
        self._start(BlockStart(ix, kind, phase=before.phase if before is not None else None), out)
        return True

    def _renumbered(self, event: Event) -> Event:
        if event.ix == self._next:  # type: ignore[union-attr]  # deltas and ends have one
            return event
        return msgspec.structs.replace(event, ix=self._next)

    def _end(self, event: Event, out: list[Event]) -> None:
        assert type(event) is BlockEnd
        if self._closed:
            self._closed.pop(event.ix, None)
        if event.ix == self._open:
            out.append(self._renumbered(event))
            self._advance()
            self._flush(out)
        elif self._held and event.ix in self._held:
            self._held[event.ix].append(event)
            self._count(event)

    def _close(self, out: list[Event]) -> None:
        assert self._open_start is not None
        if self._closed is None:
            self._closed = {}
        self._closed[self._open_start.ix] = self._open_start
        out.append(BlockEnd(self._next))
        self._advance()

    def _advance(self) -> None:
        self._open, self._open_start = None, None
        self._next += 1

    def _flush(self, out: list[Event]) -> None:
        """Give held blocks their turn: whole ones go out, the first unfinished one becomes the open one."""
        held = self._held
        while self._open is None and held:
            ix = next(iter(held))
            for event in held.pop(ix):
                self._size -= _weight(event)
                if type(event) is BlockStart:
                    self._begin(event, out)
                elif type(event) is not BlockEnd:
                    self._delta(event, out)
                else:  # the last one of its block
                    out.append(self._renumbered(event))
                    self._advance()

    def _finish(self, event: Event, out: list[Event]) -> None:
        while self._open is not None:
            self._close(out)
            self._flush(out)
        out.append(event)

    def _failed(self, event: Event, out: list[Event]) -> None:
        self._held = None
        out.append(event)


_HANDLERS: dict[type, Callable[[Sequencer, Event, list[Event]], None]] = {
    BlockStart: Sequencer._start,
    BlockEnd: Sequencer._end,
    Finish: Sequencer._finish,
    StreamFailed: Sequencer._failed,
    **dict.fromkeys(_Delta, Sequencer._delta),
    # Not in it: what passes untouched.
}
SEQUENCED = frozenset(_HANDLERS)
"""The events that a `Sequencer` has something to do with; all others pass untouched."""
