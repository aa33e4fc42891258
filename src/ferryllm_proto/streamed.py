"""The part of a `Translator` that follows events: a stream that is translated, one read after another.

Apart from `translate`, which finds out that an answer is one.
"""

from __future__ import annotations

from typing import Any

from . import ir
from .asked import Asked
from .dialect import Answer
from .errors import RemoteProtocolError
from .events import (
    PREAMBLE,
    ArgsDelta,
    BlockEnd,
    BlockStart,
    End,
    Event,
    Finish,
    OpaqueDelta,
    ReasoningDelta,
    Start,
    StreamFailed,
    TextDelta,
    UsageUpdate,
)
from .observe import WATCHED
from .progress import State
from .raising import CHANGED, CHANGED_BLOCKS, RAISED, Raiser
from .relay import loss_header
from .tokens.estimate import estimate_input
from .tokens.start import estimate_start

# Members are read from the module: through their class they cost twenty times as much.
_STREAM, _DONE, _FAILED = State.STREAM, State.DONE, State.FAILED
_OVER = (_DONE, _FAILED)
_MALFORMED = ir.FinishReason.MALFORMED_TOOL

_PLAIN = frozenset({TextDelta, ReasoningDelta, UsageUpdate})
"""Events that change nothing here, and nothing about tools: nearly all there are."""
_CONTENT = frozenset({TextDelta, ReasoningDelta, ArgsDelta, BlockEnd})
_WORDS = frozenset({Start, BlockStart, UsageUpdate, Finish, End, *_CONTENT})
"""The events of an answer in words, and how calls go on."""
NOT_KEPT = ("cache-control", "no-cache")


class Streamed(Asked):
    """What comes of events."""

    __slots__ = ()

    def _translated(self, events: list[Event]) -> bytes:
        """What the client gets for ``events``, whatever they are."""
        if self._encoder is not None and self._passes_calls() and (words := self._words(events)) is not None:
            return words
        out: list[bytes] = []
        send, raiser, seen, encoder = self._send, self._raiser, self._seen, self._encoder
        committed = self.head is not None
        try:
            for event in events:
                kind = type(event)
                if committed and kind in _PLAIN:
                    if kind is UsageUpdate:  # some providers count with every event
                        seen.see(event)
                    else:
                        seen.empty = False
                    out.append(send(event))
                    continue
                if kind in WATCHED:
                    event = seen.see(event)
                    if seen.error is not None:
                        kind = type(event)
                        if not committed:
                            self._fail_before_head(seen.error)
                            return b""
                elif kind not in PREAMBLE:
                    seen.empty = False
                if raiser is None and kind in CHANGED and (kind is OpaqueDelta or event.kind in CHANGED_BLOCKS):  # type: ignore[union-attr]  # a start
                    raiser = self._raiser = self._raise_stream()
                if raiser is not None and (kind in RAISED or not raiser.idle):
                    out.extend([send(raised) for raised in raiser.send(event)])
                else:
                    out.append(send(event))
                if not committed and kind not in PREAMBLE and encoder is not None:
                    committed = True
                    if kind is End:
                        self._collect_losses()
                    out.insert(0, self._commit())
        except RemoteProtocolError as exc:  # a limit of the machines was reached
            return (b"".join(out) if committed else b"") + self._fail(exc.error)
        if seen.error is not None:
            self.state, self.error = _FAILED, seen.error
            self._collect_losses()
        elif seen.ended and encoder is not None:
            self.state = _DONE
            if encoder.losses:
                out.insert(-1, self._late_losses())  # the last piece is the end
        if committed:
            return b"".join(out)
        self._held.extend(out)
        return b""

    def _passes_calls(self) -> bool:
        """Whether pieces of calls, as they come, are for the client."""
        return self._raiser is None or self._raiser.idle

    def _words(self, events: list[Event]) -> bytes | None:
        """The same for events that a `Raiser` leaves as they are, at one glance; None: something else is among them."""
        kinds = [*map(type, events)]
        found: dict[type, Any] = dict(zip(kinds, events))  # noqa: B905 - of one length
        if not found.keys() <= _WORDS or (self._raiser is not None and not found.keys().isdisjoint(RAISED)):
            return None
        seen = self._seen
        usage, start, finish = seen.usage, found.get(Start), found.get(Finish)
        empty = seen.empty and found.keys().isdisjoint(_CONTENT)
        if (empty and End in found) or (finish is not None and finish.reason is _MALFORMED):
            return None
        if BlockStart in found and (
            found[BlockStart].kind in CHANGED_BLOCKS
            or (kinds.count(BlockStart) > 1 and any(type(e) is BlockStart and e.kind in CHANGED_BLOCKS for e in events))
        ):
            return None
        if start is not None and start.usage is not None:
            usage = start.usage
        if UsageUpdate in found:
            if kinds.count(UsageUpdate) == 1:
                counted = found[UsageUpdate].usage
                usage = counted if usage is None else usage.merge(counted)
            else:
                for event in events:
                    if type(event) is UsageUpdate:
                        usage = event.usage if usage is None else usage.merge(event.usage)
        out: list[bytes] = []
        try:
            out.extend(map(self._send, events))
        except RemoteProtocolError as exc:  # a limit of the machines was reached
            return self._words_until(events[: len(out) + 1], out, exc.error)
        seen.usage, seen.empty = usage, empty
        if finish is not None:
            seen.finish = finish.reason
        if start is not None:
            seen.id, seen.model = start.id or None, start.model or None
        if self.head is None:
            if empty:
                self._held.extend(out)
                return b""
            out.insert(0, self._commit())
        if End in found:
            seen.ended, self.state = True, _DONE
            if self._encoder.losses:  # type: ignore[union-attr]  # there is one, or nobody asks here
                out.insert(-1, self._late_losses())  # the last piece is the end
        return b"".join(out)

    def _words_until(self, events: list[Event], out: list[bytes], error: ir.Error) -> bytes:
        """The last of ``events`` could not be written; ``out`` has the others."""
        for event in events:
            if type(event) in WATCHED:
                self._seen.see(event)
            elif type(event) not in PREAMBLE:
                self._seen.empty = False
        if self.head is None and any(type(event) not in PREAMBLE for event in events[:-1]):
            out.insert(0, self._commit())
        return (b"" if self.head is None else b"".join(out)) + self._fail(error)

    def _fail(self, error: ir.Error) -> bytes:
        if self.state in _OVER:
            return self._flush()
        if self.head is None:
            self._fail_before_head(error)
            return self._flush()
        if self.state is _STREAM:
            return self._translated([StreamFailed(error)])
        self.state, self.error = _FAILED, error
        if self._relay is not None and self._relay.stream:
            return self.entry.late_error(error, self._answer(), self._relay.last_shown)
        self.cut = True
        return b""

    def _answer(self) -> Answer:
        estimate, usage = 0, None if self.stream else self.usage
        # A stream has to begin with a number before the provider has told one; a whole answer only if it never did.
        request = self.request
        if self.entry.wants_estimate and request is not None:
            if self.stream:
                estimate = estimate_start(request, self._target.model, self.backend.name)
            elif usage is None or usage.input is None:
                estimate = estimate_input(request, self._target.model, self.backend.name)
        return Answer(self.model, int(self._now), self._seed, request, estimate, self._path)

    def _raise_tools(self, request: ir.Request) -> Raiser:
        asked, client = self._target.model or self.model, self.entry.tool_rules
        return Raiser(request, self.backend.tool_rules, client, self._seed, model=asked)

    def _raise_stream(self) -> Raiser | None:
        """Made for who needs one: most answers are words. The history may be gone by then."""
        return None if self._same else self._raise_tools(ir.Request(self.entry.name, self.model, (), tools=self._tools))

    def _commit(self) -> bytes:
        # Whatever kind of success the provider called it.
        self._decide(200, (("content-type", self.entry.stream_type(self._path)), NOT_KEPT))
        self._forget()
        return self._flush() if self._held else b""

    def _forget(self) -> None:
        """The head of a stream is decided, so no one is asked again: a history need not wait for the answer's end."""
        self.request = self.prepared = self._opening = None
        self._body = b""

    def _collect_losses(self) -> None:
        encoder = self._encoder
        if encoder is not None and encoder.losses:
            self.losses.extend(encoder.losses[self._told :])
            self._told = len(encoder.losses)

    def _late_losses(self) -> bytes:
        """What the stream has lost behind its head, as a comment before its end (G4); the `Exchange` has a trailer."""
        self._collect_losses()
        late = loss_header(self.losses[self.head.told :]) if self.entry.sse and self.head is not None else ""
        return f": x-ferryllm-loss: {late}\n\n".encode() if late else b""
