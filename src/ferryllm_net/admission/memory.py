"""The door of one process: its desk, and one gate for all requests."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from ferryllm_proto import ir
from ferryllm_proto.actions import Admit, Book, GiveBack, Settle
from ferryllm_proto.inputs import Admitted, Booked, BookedUp, Refused
from ferryllm_proto.routing.gate import Decision, Dropped, Gate, GateRules, Granted, Why
from ferryllm_proto.routing.keys import Admission, Desk, KeyBook, KeyLimits, Refusal
from ferryllm_proto.routing.quota import Quota

from .bookings import Bookings


class MemoryDoor:
    """Counts what passes through this process and no other; see `Door`."""

    shares = False

    def __init__(self, desk: Desk, rules: GateRules) -> None:
        self.desk = desk
        self.gate = Gate(rules)
        self.bookings = Bookings()
        self._waits: dict[int, _Wait] = {}
        """By ticket. A ticket is the id of its admission, which is unique as long as anybody holds that."""

    async def enter(self, admit: Admit, now: float, unix: float) -> Admitted | Refused:
        admission = self.desk.admit(admit.key, admit.ask, now, unix)
        if type(admission) is Refusal:
            return Refused(admission)
        assert type(admission) is Admission
        ticket = id(admission)
        wait = self._waits[ticket] = _Wait()
        try:
            self._tell(self.gate.enter(ticket, admit.flow, now, admit.concurrency), now)
            if wait.decision is None:
                await wait.over.wait()
        except BaseException:
            # Perhaps it has its place already and only has not heard of it.
            now = anyio.current_time()
            self._tell(self.gate.leave(ticket, now), now)
            self.desk.cancel(admission, now)
            raise
        finally:
            del self._waits[ticket]
        if type(wait.decision) is Granted:
            return Admitted(admission, wait.decision.waited)
        assert type(wait.decision) is Dropped
        # Not when it came: buckets would take that for a clock that went back, and drain twice.
        self.desk.cancel(admission, wait.at)
        return Refused(Refusal(busy(wait.decision, admit.concurrency), admission.standings, "busy"))

    def settle(self, settle: Settle, now: float, unix: float) -> None:
        if settle.took_place:
            self.desk.settle(settle.admission, settle.tokens, settle.cost, now)
        else:
            self.desk.cancel(settle.admission, now)

    def leave(self, admission: Admission, now: float) -> None:
        self._tell(self.gate.leave(id(admission), now), now)

    async def book(self, book: Book, now: float) -> Booked | BookedUp:
        """Of use while nobody can be asked who counts for many; a process alone counts in `Routing`."""
        return self.bookings.book(book, now)

    def give_back(self, back: GiveBack, now: float) -> None:
        self.bookings.give_back(back, now)

    def restore(self, owner: str, quota: Quota, used: int, unix: float) -> None:
        self.desk.accounts.restore(owner, quota, used, unix)

    def change(self, book: KeyBook, own: KeyLimits, each: KeyLimits, rules: GateRules, now: float) -> None:
        self.desk.change(book, own, each)
        self._tell(self.gate.change(rules, now), now)

    def sweep(self, now: float) -> None:
        if self.gate.waiting:
            self._tell(self.gate.expire(now), now)

    @property
    def inside(self) -> int:
        return self.gate.inside

    @property
    def waiting(self) -> int:
        return self.gate.waiting

    async def aclose(self) -> None:
        pass

    def _tell(self, decisions: Sequence[Decision], now: float) -> None:
        """Whoever they are about hears of them: one request's end is another one's turn."""
        for decision in decisions:
            wait = self._waits.get(decision.ticket)
            if wait is not None:
                wait.decision, wait.at = decision, now
                wait.over.set()


class _Wait:
    """Of one request; the event is made only for those that really wait."""

    __slots__ = ("_over", "at", "decision")

    def __init__(self) -> None:
        self.decision: Decision | None = None
        self.at = 0.0
        """When that was."""
        self._over: anyio.Event | None = None

    @property
    def over(self) -> anyio.Event:
        if self._over is None:
            self._over = anyio.Event()
        return self._over


def busy(dropped: Dropped, concurrency: int | None) -> ir.Error:
    """What a client is told who finds no place at the gate."""
    if dropped.own:
        words = f"this key has reached its limit of {concurrency} requests under way at one time"
    else:
        words = "the gateway has as many requests under way as it may have"
    return ir.Error(ir.ErrorKind.RATE_LIMIT, words + _WAITED[dropped.why], code=BUSY, retry_after=dropped.retry_after)


BUSY = "concurrency_limit_exceeded"

_WAITED = {
    Why.FULL: "",
    Why.CROWDED: ", and this one had to leave the queue for a client with fewer",
    Why.LATE: ", and none of them ended while this one waited",
}
