"""The states of an `Exchange`, and what it does with which input in each: the machine's table, apart from its work."""

from __future__ import annotations

import enum

from .inputs import (
    Admitted,
    Booked,
    BookedUp,
    ClientBody,
    ClientFault,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Recalled,
    Refused,
    Stopping,
    Stored,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)


class State(enum.Enum):
    __hash__ = object.__hash__  # members are equal where they are the same: Enum's own hash is eight times as dear

    IDLE = "idle"
    READING = "reading"
    """The client's body is on its way."""
    ADMITTING = "admitting"
    """Whether the request may go on is being asked; it may wait for its turn."""
    RECALLING = "recalling"
    """The store of responses is looking for what the request goes on from."""
    BOOKING = "booking"
    """Whether the chosen provider has room is being asked."""
    WAITING = "waiting"
    """A provider has the request; its head is awaited."""
    ANSWERING = "answering"
    """The provider's body is coming."""
    PAUSING = "pausing"
    """An attempt has failed; the next one is due later."""
    KEEPING = "keeping"
    """The answer is complete; its end waits until the store of responses has it."""
    DONE = "done"


# (state, input) -> method; what is absent is illegal, except that in DONE everything is ignored: the interpreter may
# learn that the client left, or that a deadline passed, after the last action was returned.
TRANSITIONS: dict[tuple[State, type], str] = {
    (State.IDLE, ClientRequest): "_on_request",
    (State.READING, ClientBody): "_on_body",
    (State.READING, ClientFault): "_on_client_fault",
    (State.READING, ClientLost): "_on_client_lost",
    (State.READING, DeadlinePassed): "_on_deadline",
    (State.READING, Stopping): "_on_stopping",
    (State.ADMITTING, Admitted): "_on_admitted",
    (State.ADMITTING, Refused): "_on_refused",
    (State.ADMITTING, ClientLost): "_on_client_lost",
    (State.ADMITTING, DeadlinePassed): "_on_impatience",
    (State.ADMITTING, Stopping): "_on_stopping",
    (State.RECALLING, Recalled): "_on_recalled",
    (State.RECALLING, ClientLost): "_on_client_lost",
    (State.RECALLING, DeadlinePassed): "_on_deadline",
    (State.RECALLING, Stopping): "_on_stopping",
    (State.BOOKING, Booked): "_on_booked",
    (State.BOOKING, BookedUp): "_on_booked_up",
    (State.BOOKING, ClientLost): "_on_client_lost",
    (State.BOOKING, DeadlinePassed): "_on_unbooked",
    (State.BOOKING, Stopping): "_on_stopping",
    (State.WAITING, UpstreamHead): "_on_head",
    (State.WAITING, UpstreamLost): "_on_upstream_lost",
    (State.WAITING, ClientLost): "_on_client_lost",
    (State.WAITING, DeadlinePassed): "_on_deadline",
    (State.WAITING, Stopping): "_on_stopping",
    (State.ANSWERING, UpstreamData): "_on_data",
    (State.ANSWERING, UpstreamEnd): "_on_end",
    (State.ANSWERING, UpstreamLost): "_on_upstream_lost",
    (State.ANSWERING, ClientLost): "_on_client_lost",
    (State.ANSWERING, DeadlinePassed): "_on_deadline",
    (State.ANSWERING, Stopping): "_on_stopping",
    (State.PAUSING, ClientLost): "_on_client_lost",
    (State.PAUSING, DeadlinePassed): "_on_pause_over",
    (State.PAUSING, Stopping): "_on_stopping",
    (State.KEEPING, Stored): "_on_stored",
    (State.KEEPING, ClientLost): "_on_client_lost",
    (State.KEEPING, DeadlinePassed): "_on_impatience",
    (State.KEEPING, Stopping): "_on_impatience",
}
