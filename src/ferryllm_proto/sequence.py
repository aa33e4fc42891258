"""Puts overlapping blocks in a row.

Messages and Responses streams have one block open at a time; Chat interleaves parallel tool calls by index, and
llama.cpp closes all blocks at the end. `Sequencer` lets the first open call stream live and holds the others back
until it is complete (translation.md X2, X3): arguments always reach the call they belong to.
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

MAX_HELD = 64 << 20
"""Characters of deltas held back, over all blocks: as much as one upstream JSON may be long."""

_Delta = (TextDelta, RefusalDelta, ReasoningDelta, ArgsDelta, OpaqueDelta, Citation, Logprobs)


class _Held:
    """A block that waits for its turn."""

    __slots__ = ("ended", "events")

    def __init__(self, start: BlockStart) -> None:
        self.events: list[Event] = [start]
        self.ended = False


class Sequencer:
    """Events in, the same events out with at most one block open and ``ix`` dense in order of output.

    A block that is still open at `Finish` is closed before it. `StreamFailed` passes at once: what was held is
    incomplete and is not shown as complete.
    """

    def __init__(self) -> None:
        self._open: int | None = None
        self._open_start: BlockStart | None = None
        self._args: list[str] = []
        self._next = 0
        self._held: dict[int, _Held] = {}
        self._size = 0
        # A delta that finds no entry here passes untouched.
        self._handlers: dict[type, Callable[[Event, list[Event]], None]] = {
            BlockStart: self._start,
            BlockEnd: self._end,
            Finish: self._finish,
            StreamFailed: self._failed,
            **dict.fromkeys(_Delta, self._delta),
        }

    def send(self, event: Event) -> list[Event]:
        """The events that may go out now."""
        handler = self._handlers.get(type(event))
        if handler is None:
            return [event]
        out: list[Event] = []
        handler(event, out)
        return out

    def _start(self, event: Event, out: list[Event]) -> None:
        assert type(event) is BlockStart
        if self._open is not None and self._is_over():
            self._close(out)
            self._flush(out)
        if self._open is not None:
            self._held[event.ix] = _Held(event)
        else:
            self._begin(event, out)

    def _is_over(self) -> bool:
        """Whether the open block may be closed because another one starts.

        Text can go on in a new block; a call can not, so it stays until its JSON is whole.
        """
        assert self._open_start is not None
        if self._open_start.kind is BlockKind.TOOL:
            return json.is_object("".join(self._args))
        return self._open_start.kind is not BlockKind.HOSTED

    def _begin(self, start: BlockStart, out: list[Event]) -> None:
        self._open, self._open_start, self._args = start.ix, start, []
        out.append(msgspec.structs.replace(start, ix=self._next) if start.ix != self._next else start)

    def _delta(self, event: Event, out: list[Event]) -> None:
        ix = event.ix  # type: ignore[union-attr]  # only deltas are registered here, and all have one
        if ix == self._open:
            if type(event) is ArgsDelta:
                self._args.append(event.text)
            out.append(self._renumbered(event))
        elif ix in self._held:
            held = self._held[ix]
            held.events.append(event)
            self._size += len(getattr(event, "text", ""))
            if self._size > MAX_HELD:
                raise RemoteProtocolError(f"parallel blocks hold more than {MAX_HELD} characters")
        else:
            self._reopen(event, out)

    def _reopen(self, event: Event, out: list[Event]) -> None:
        """Text of a block that was closed because another one began: it goes on in a new block."""
        kind = {TextDelta: BlockKind.TEXT, ReasoningDelta: BlockKind.REASONING, RefusalDelta: BlockKind.REFUSAL}
        wanted = kind.get(type(event))
        if wanted is None:
            return  # late trimmings (citations, signatures) of a closed block have no place any more
        self._start(BlockStart(event.ix, wanted), out)  # type: ignore[union-attr]  # the three kinds have one
        self._delta(event, out)

    def _renumbered(self, event: Event) -> Event:
        if event.ix == self._next:  # type: ignore[union-attr]  # deltas and ends have one
            return event
        return msgspec.structs.replace(event, ix=self._next)

    def _end(self, event: Event, out: list[Event]) -> None:
        assert type(event) is BlockEnd
        if event.ix == self._open:
            out.append(self._renumbered(event))
            self._advance()
            self._flush(out)
        elif event.ix in self._held:
            held = self._held[event.ix]
            held.ended = True
            held.events.append(event)

    def _close(self, out: list[Event]) -> None:
        out.append(BlockEnd(self._next))
        self._advance()

    def _advance(self) -> None:
        self._open, self._open_start, self._args = None, None, []
        self._next += 1

    def _flush(self, out: list[Event]) -> None:
        """Give held blocks their turn: whole ones go out, the first unfinished one becomes the open one."""
        while self._open is None and self._held:
            ix = next(iter(self._held))
            held = self._held.pop(ix)
            first = held.events[0]
            assert type(first) is BlockStart
            self._begin(first, out)
            for event in held.events[1:]:
                if type(event) is BlockEnd:
                    self._end(event, out)
                else:
                    self._size -= len(getattr(event, "text", ""))
                    self._delta(event, out)

    def _finish(self, event: Event, out: list[Event]) -> None:
        while self._open is not None:
            self._close(out)
            self._flush(out)
        out.append(event)

    def _failed(self, event: Event, out: list[Event]) -> None:
        self._held.clear()
        out.append(event)
