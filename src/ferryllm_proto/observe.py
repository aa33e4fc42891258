"""What an answer tells about itself on its way through: tokens, the reason to stop, errors, and faults no event shows.

Apart from `translate`, because both forms of an answer, whole and streamed, are judged by it.
"""

from __future__ import annotations

from . import ir
from .events import End, Event, Finish, Start, StreamFailed, UsageUpdate

WATCHED = frozenset({Start, UsageUpdate, Finish, StreamFailed, End})
"""The events an `Observer` wants to see."""

_MALFORMED = ir.FinishReason.MALFORMED_TOOL

MAX_END_TOKENS = 4
"""Output tokens an empty answer may cost: its end is a token or two itself."""

HOLLOW = ir.Error(ir.ErrorKind.UPSTREAM, "the provider counted output tokens but sent no content")


MALFORMED = ir.Error(ir.ErrorKind.UPSTREAM, "the model wrote a tool call that can not be read")


class Observer:
    """Sees the events of one answer.

    ``foreign``: the client speaks another dialect than the provider and may have no word for a call that could not be
    read; a normal end in its place would look like an answer (X14).
    """

    __slots__ = ("_foreign", "empty", "ended", "error", "finish", "id", "model", "usage")

    def __init__(self, *, foreign: bool = True) -> None:
        self._foreign = foreign
        self.usage: ir.Usage | None = None
        self.finish: ir.FinishReason | None = None
        self.id: str | None = None
        """The provider's id of the answer, where it said one."""
        self.model: str | None = None
        """The provider's word for the model that answered, where it said one."""
        self.error: ir.Error | None = None
        self.empty = True
        """Whether nothing that came was content; whoever sees content says so here."""
        self.ended = False

    def see(self, event: Event) -> Event:
        """The event, or the failure it should have been."""
        kind = type(event)
        if kind is UsageUpdate:
            usage: ir.Usage = event.usage  # type: ignore[union-attr, assignment]  # its type was just compared
            self.usage = usage if self.usage is None else self.usage.merge(usage)
            return event
        if kind is Start:
            self.id, self.model = event.id or None, event.model or None  # type: ignore[union-attr]  # the same
            if event.usage is not None:  # type: ignore[union-attr]  # the same
                self.usage = event.usage  # type: ignore[union-attr]  # the same
            return event
        if kind is Finish:
            reason: ir.FinishReason = event.reason  # type: ignore[union-attr]  # the same
            if reason is not _MALFORMED or not self._foreign:
                self.finish = reason
                return event
            event = StreamFailed(MALFORMED)
        elif kind is End:
            if not self.empty or not self._is_hollow():
                self.ended = True
                return event
            event = StreamFailed(HOLLOW)
        if type(event) is StreamFailed:
            self.error = event.error
        return event

    def see_whole(self, response: ir.Response) -> None:
        """The same for a whole answer; a failure is in `error`."""
        self.usage, self.finish = response.usage, response.finish
        self.id, self.model = response.id or None, response.model or None
        self.empty = not response.parts
        self.error = HOLLOW if self._is_hollow() else None
        if self._is_malformed(response.finish):
            self.error = MALFORMED

    def _is_malformed(self, reason: ir.FinishReason) -> bool:
        return self._foreign and reason is _MALFORMED

    def _is_hollow(self) -> bool:
        """Whether an answer without any content says that it had some (T5): its content was lost on the way.

        Tokens spent on thoughts that are not shown explain an empty answer; so does an end that is no ordinary one.
        """
        if not self.empty or self.finish is not ir.FinishReason.END or self.usage is None:
            return False
        return (self.usage.output or 0) - (self.usage.reasoning or 0) > MAX_END_TOKENS


def blame_upstream(error: ir.Error) -> ir.Error:
    """A body that can not be decoded is the provider's fault, not the client's; an error it reports stays."""
    if error.kind is ir.ErrorKind.BAD_REQUEST and error.code in ("invalid_json", "invalid_type", "invalid_value"):
        return ir.Error(ir.ErrorKind.UPSTREAM, f"the provider's answer could not be read: {error.message}")
    return error
