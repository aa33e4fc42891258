"""The life of a stream for encoders whose protocol knows no open block: begun, finished, over.

Apart from them, because Chat, Gemini and Ollama write different bytes in the same states. Messages and Responses have
an open block, and so tables of their own.
"""

from __future__ import annotations

import enum

from .events import (
    ArgsDelta,
    BlockEnd,
    BlockStart,
    Citation,
    End,
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


class State(enum.Enum):
    IDLE = "idle"
    OPEN = "open"
    FINISHED = "finished"
    DONE = "done"
    FAILED = "failed"


_CONTENT = (BlockStart, TextDelta, RefusalDelta, ReasoningDelta, ArgsDelta, OpaqueDelta, Citation, Logprobs, BlockEnd)

# Not in it: anything after DONE or FAILED, a second Start or Finish, content after Finish, End without Finish.
TRANSITIONS: dict[tuple[State, type], State] = {
    (State.IDLE, Start): State.OPEN,
    (State.IDLE, Ping): State.IDLE,
    (State.IDLE, StreamFailed): State.FAILED,
    **{(State.OPEN, event): State.OPEN for event in (*_CONTENT, UsageUpdate, Ping, Raw)},
    (State.OPEN, Finish): State.FINISHED,
    (State.OPEN, StreamFailed): State.FAILED,
    (State.FINISHED, UsageUpdate): State.FINISHED,
    (State.FINISHED, Ping): State.FINISHED,
    (State.FINISHED, Raw): State.FINISHED,
    (State.FINISHED, End): State.DONE,
    (State.FINISHED, StreamFailed): State.FAILED,
}

AFTER = {state: {event: after for (at, event), after in TRANSITIONS.items() if at is state} for state in State}
"""The same by state: hashing a member of an enum costs more than all the rest of a step."""
