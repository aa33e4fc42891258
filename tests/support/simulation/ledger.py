"""Keeps account of what one exchange was told and did, and complains at the first action that must not be.

These are the invariants of every exchange, whatever it is asked and whatever goes wrong (design.md, section 3).
"""

from __future__ import annotations

import math

from ferryllm_proto.actions import (
    Abort,
    Action,
    Admit,
    Book,
    Cut,
    Finish,
    GiveBack,
    Keep,
    Note,
    Open,
    Pause,
    Point,
    ReadBody,
    Recall,
    Record,
    Release,
    SendBody,
    SendHead,
    Settle,
)
from ferryllm_proto.inputs import (
    Admitted,
    Booked,
    BookedUp,
    ClientLost,
    Input,
    Refused,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.routing.choice import Booking


class Ledger:
    """The account of one exchange."""

    def __init__(self) -> None:
        self.events: list[tuple[float, Input]] = []
        self.actions: list[tuple[float, Action]] = []
        self.head: SendHead | None = None
        self.head_at = 0.0
        self.body = bytearray()
        self.terminal: Finish | Cut | None = None
        self.record: Record | None = None
        self.opened = 0
        self.upstream_open = False
        self.head_came = False
        self.asked: Recall | Keep | None = None
        self.wants_body = False
        self.client_gone = False
        self.aborted = self.released = False
        self.admits = self.admitted = False
        """Whether it has asked to be let in; whether it was."""
        self.settled: Settle | None = None
        self.paused: Pause | None = None
        self.books: Book | None = None
        """What it has asked for, at a provider that others count too."""
        self.booking: Booking | None = None
        self._opened_before = 0
        """How many attempts there were when that was taken."""

    def told(self, event: Input, now: float) -> None:
        """An input is about to be given."""
        self.events.append((now, event))
        if isinstance(event, (UpstreamEnd, UpstreamLost)):
            self.upstream_open = False
        elif isinstance(event, UpstreamHead):
            self.head_came = True
        elif isinstance(event, ClientLost):
            self.client_gone = True
        elif isinstance(event, Admitted):
            self.admitted = True
        elif isinstance(event, Booked):
            self.booking, self._opened_before = event.booking, self.opened
        if isinstance(event, (Booked, BookedUp)):
            self.books = None
        if isinstance(event, (Admitted, Refused)):
            self.admits = False

    def did(self, actions: list[Action], now: float) -> None:
        """What came back."""
        for action in actions:
            assert self.record is None, f"{type(action).__name__} behind the record"
            self.actions.append((now, action))
            self._take(action, now)
        terminal = self.terminal is not None or self.client_gone
        assert terminal == (self.record is not None), "an end and no record, or a record and no end"

    def _take(self, action: Action, now: float) -> None:
        if isinstance(action, SendHead):
            assert self.head is None, "two heads"
            assert not self.client_gone, "a head for nobody"
            self.head, self.head_at = action, now
        elif isinstance(action, SendBody):
            assert self.head is not None, "a body without a head"
            assert self.terminal is None, "a byte behind the end"
            assert not self.client_gone, "a byte for nobody"
            self.body += action.data
        elif isinstance(action, (Finish, Cut)):
            assert self.head is not None, "an end without a head"
            assert self.terminal is None, "two ends"
            self.terminal = action
        elif isinstance(action, Open):
            assert self.head is None, "an attempt behind the first byte"
            assert not self.upstream_open, "two providers at once"
            self.opened += 1
            assert action.attempt == self.opened
            assert self.paused is None or now >= self.paused.until, "asked before its time"
            assert not self.admits, "asked before it was let in"
            assert self.books is None, "asked before there was room"
            assert self.booking is None or self.booking.provider == action.provider, "asked in another one's place"
            self.paused = None
            self.upstream_open, self.head_came = True, False
        elif isinstance(action, (Abort, Release)):
            assert self.upstream_open, f"{type(action).__name__} and no provider is open"
            self.upstream_open = False
            self.aborted = isinstance(action, Abort)
            self.released = isinstance(action, Release)
        elif isinstance(action, (Recall, Keep)):
            assert self.asked is None, "two questions to the store at once"
            self.asked = action
        elif isinstance(action, Admit):
            assert not self.admits
            assert not self.admitted, "let in twice"
            assert not self.opened, "let in behind the first attempt"
            self.admits = True
        elif isinstance(action, Pause):
            assert not self.upstream_open, "a pause, and the provider is still open"
            assert self.head is None, "a pause behind the first byte"
            assert action.attempt == self.opened
            assert action.until > now
            self.paused = action
        elif isinstance(action, Book):
            assert self.books is None, "two questions for a place at once"
            assert self.booking is None, "two places at once"
            assert not self.upstream_open, "a place for another one, and the provider is still open"
            assert self.head is None, "a place behind the first byte"
            assert self.paused is None or now >= self.paused.until, "a place before its time"
            self.books, self.paused = action, None
        elif isinstance(action, GiveBack):
            assert self.booking is action.booking, "given back, and never taken"
            assert not self.upstream_open, "given back, and the provider is still open"
            assert action.took_place == (self.opened > self._opened_before)
            self.booking = None
        elif isinstance(action, Settle):
            assert self.admitted, "settled, and never let in"
            assert self.settled is None, "settled twice"
            self.settled = action
        elif isinstance(action, ReadBody):
            assert not self.wants_body
            self.wants_body = True
        elif isinstance(action, Record):
            self._close(action, now)
        else:
            assert isinstance(action, (Note, Point))

    def _close(self, record: Record, now: float) -> None:
        self.record = record
        assert not self.upstream_open, "over, and the provider is still open"
        assert self.booking is None, "a place at a provider is never given back"
        assert (self.settled is not None) == self.admitted, "let in, and never settled"
        assert self.settled is None or self.actions[-2][1] is self.settled, "something between Settle and Record"
        assert len(record.tries) == record.attempts, f"{len(record.tries)} attempts told of {record.attempts}"
        assert all(one.outcome != "ok" for one in record.tries[:-1]), "another attempt behind a good one"
        assert record.attempts == self.opened, f"{record.attempts} attempts, {self.opened} were made"
        assert record.sent == len(self.body), f"{record.sent} bytes sent, found {len(self.body)}"
        assert record.status == (None if self.head is None else self.head.status)
        assert record.latency == now - self.events[0][0]
        first = None if self.head is None else self.head_at - self.events[0][0]
        assert record.first_byte == first

    def check_deadline(self, deadline: float | None, now: float) -> None:
        """Where a provider is waited for there is an end to the wait; elsewhere the network layer has its own."""
        if self.record is not None:
            assert deadline is None, "over, and there is a deadline"
            return
        if self.upstream_open and self.asked is None:
            assert deadline is not None, "nothing ends the wait for the provider"
        if self.paused is not None:
            assert deadline is not None, "nothing ends the pause"
            assert deadline <= self.paused.until
        if deadline is not None:
            assert math.isfinite(deadline)
            assert deadline < now + 2000, f"a deadline {deadline - now:.0f} s ahead"
