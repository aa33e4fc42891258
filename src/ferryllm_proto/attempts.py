"""Attempts: where one request has been, and where it goes next.

Apart from the `Exchange`, which tells how each attempt went, because most requests need none of it: one target that
answers at once. It settles every permit once and ends every choice once, whatever happens in which order.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import msgspec

from . import ir
from .actions import Attempt, Book, GiveBack, Note
from .inputs import UpstreamHead
from .notes import attempt_failed, circuits, retrying, trying_fallback
from .routing.balance import Target
from .routing.breaker import Permit, Verdict
from .routing.choice import Booking, Choice, Closed, Errand, Nobody, PassedOver, Routing, demands
from .routing.failures import judge
from .routing.retry import Failure, Fault, Left, Next, Retry, RetryRules, Step


class Phase(enum.Enum):
    IDLE = "idle"
    """Nobody is being asked."""
    ASKING = "asking"
    """Somebody is, and has said nothing that is content."""
    ANSWERING = "answering"
    """Content has come."""


TRANSITIONS: dict[tuple[Phase, str], Phase] = {
    (Phase.IDLE, "begin"): Phase.ASKING,
    (Phase.ASKING, "answered"): Phase.ANSWERING,
    (Phase.ASKING, "failed"): Phase.IDLE,
    (Phase.ASKING, "end"): Phase.IDLE,
    (Phase.ANSWERING, "end"): Phase.IDLE,
    (Phase.IDLE, "end"): Phase.IDLE,
}
"""What is absent is a fault of the caller."""

_CLOSE = 0.001
"""Seconds that make no difference: sums of times are not exact."""


class Attempts:
    """The attempts of one request.

    Parameters: ``routing`` is what all requests share, ``rules`` are those of the route or of all routes, ``chance``
    gives random numbers in [0, 1), ``own`` are rules that providers have in place of these. ``shares``: bounds of
    providers are counted for many processes, so `book` each choice.
    """

    def __init__(
        self,
        routing: Routing,
        errand: Errand,
        rules: RetryRules,
        chance: Callable[[], float],
        own: Mapping[str, RetryRules] | None = None,
        *,
        shares: bool = False,
    ) -> None:
        self._full: dict[str, PassedOver] = {}
        self.errand = msgspec.structs.replace(errand, full=self._full) if shares else errand
        self.made: list[Attempt] = []
        """Those that failed before any content."""
        self.choice: Choice | None = None
        """Who is being asked, or was asked last."""
        self.phase = Phase.IDLE
        self.waited = 0.0
        """Seconds between the last failure and the attempt after it."""
        self._failed_at: float | None = None
        self._tried: list[Target] = []
        """Targets that are not asked again."""
        self._routing = routing
        self._retry = Retry(rules, routing.budget, own)
        self._chance = chance
        self._booking: Booking | None = None
        self._owed: GiveBack | None = None

    # --- who is asked ---

    def choose(self, now: float) -> Choice | Nobody:
        """Another target than those that were tried."""
        if self._full:
            self._look_again(now)
        return self._choose(now)

    def _choose(self, now: float) -> Choice | Nobody:
        found = self._routing.choose(self.errand, self._tried, now, self._chance())
        if type(found) is Choice:
            self._begin(found, now)
        return found

    def again(self, now: float) -> Choice | Closed:
        """The same target once more."""
        assert self.choice is not None
        if self._full:
            self._look_again(now)
        found = self._routing.again(self.errand, self.choice, now)
        if type(found) is Choice:
            self._begin(found, now)
        return found

    def adopt(self, target: Target, model: str, now: float) -> None:
        """Take an attempt over that was begun without a choice, because there was none: one target, and nothing was
        held against it."""
        provider = target.provider
        self._routing.loads.begin(provider, model)
        permit = Permit(provider, model, self.errand.keys.get(provider, ""))
        self._begin(Choice(target, model, permit), now)

    def _begin(self, choice: Choice, now: float) -> None:
        self._move("begin")
        self.choice = choice
        self._retry.begin(choice.target.provider)
        self.waited = 0.0 if self._failed_at is None else max(now - self._failed_at, 0.0)

    # --- bounds that are counted for many processes ---

    def book(self) -> Book | None:
        """What to ask before the choice is sent anything; None: nothing limits it, or this process counts by itself."""
        choice, errand = self.choice, self.errand
        assert choice is not None
        provider = choice.target.provider
        bounds = None if errand.full is None else self._routing.bounds.get(provider)
        if bounds is None:
            return None
        return Book(provider, tuple(demands(provider, bounds, errand.tokens)), bounds.concurrency)

    def booked(self, booking: Booking) -> None:
        """There is room for the choice, and it is taken."""
        self._booking = booking

    def pass_over(self, closed: Closed, now: float) -> Choice | Nobody:
        """There is none, so nobody was asked: another one in its place."""
        assert self.choice is not None
        self._full[self.choice.target.provider] = PassedOver(closed.why, now + closed.retry_after)
        self.give_back(now)
        self._retry.withdraw()
        # Nobody is asked for twice in a row, however short his wait: two that are full would take turns.
        return self._choose(now)

    def owed(self) -> tuple[GiveBack, ...]:
        """What is to be given back now, each once."""
        owed, self._owed = self._owed, None
        return () if owed is None else (owed,)

    def _look_again(self, now: float) -> None:
        """Those who may have room by now are asked once more."""
        for provider in [provider for provider, one in self._full.items() if one.until <= now]:
            del self._full[provider]

    # --- how it went ---

    def answered(self, secs: float, now: float) -> list[Note]:
        """Content is there, ``secs`` after the request was sent."""
        assert self.choice is not None
        self._move("answered")
        return circuits(self._routing.answered(self.errand, self.choice, secs, now), now)

    def failed(
        self,
        error: ir.Error,
        head: UpstreamHead | None,
        now: float,
        *,
        opened: float,
        unix: float,
        until: float | None = None,
        final: str | None = None,
    ) -> tuple[Step, list[Note]]:
        """No content came; what comes next.

        ``head`` is the provider's, where one came; ``opened`` is when the request was sent, ``unix`` Unix seconds,
        ``until`` when the request's time is up. ``final`` is why nothing may follow.
        """
        choice = self.choice
        assert choice is not None
        self._move("failed")
        target = choice.target
        failure, verdict = judge(error, () if head is None else head.headers, unix)
        silent = now - opened if failure.fault is Fault.TIMEOUT else None
        changes = self._routing.failed(
            self.errand, choice, verdict, now, retry_after=failure.retry_after, silent=silent
        )
        self._ended(now, 0)
        self._failed_at = now
        step = self._after(failure, now, until) if final is None else Step(Next.GIVE_UP, 0.0, final)
        status = None if head is None else head.status
        made = Attempt(
            target.provider, choice.model, failure.fault.value, status, self.waited, now - opened, step.reason
        )
        self.made.append(made)
        notes = [attempt_failed(made, len(self.made), error, own=verdict is Verdict.NOTHING), *circuits(changes, now)]
        return step, notes

    def blocked(self, now: float, until: float | None = None) -> Step:
        """The target is not to be asked, or can not be: nothing was sent to it."""
        self.give_back(now, asked=False)
        return self._after(Failure(Fault.BLOCKED), now, until)

    def _after(self, failure: Failure, now: float, until: float | None) -> Step:
        assert self.choice is not None
        target = self.choice.target
        others = self._routing.others(self.errand, [*self._tried, target], now)
        left = Left(others=others, until=until)
        step = self._retry.after(failure, left, now, self._chance())
        if step.next is Next.SAME:
            key = self.errand.keys.get(target.provider, "")
            closed = self._routing.health.blocked(target.provider, self.choice.model, key, now)
            if closed is not None and closed.retry_after > step.wait + _CLOSE:
                # Nobody waits for a target that this very failure has closed.
                step = self._retry.after(Failure(Fault.BLOCKED), left, now, self._chance())
        if step.next is Next.OTHER:
            self._tried.append(target)
        return step

    def told(self, step: Step, to: Choice | None) -> Note:
        """The line for the log about what comes next: ``step`` to the same target, or ``to`` another one."""
        assert self.choice is not None
        if to is None:
            return retrying(self.choice.target.provider, step, len(self.made) + 1)
        return trying_fallback(to.target.provider, to.model, step.reason, len(self.made) + 1)

    def broke(self, now: float) -> list[Note]:
        """The answer broke off after its first content."""
        assert self.choice is not None
        return circuits(self._routing.broke(self.choice, now), now)

    def give_back(self, now: float, *, asked: bool = True) -> None:
        """What was taken for an attempt that said nothing of its target. ``asked``: something was sent to it."""
        if self.phase is Phase.ASKING:
            assert self.choice is not None
            self._move("failed")
            self._routing.failed(self.errand, self.choice, Verdict.NOTHING, now)
            self._ended(now, 0, asked=asked)

    def end(self, now: float, tokens: int | None, *, asked: bool = True) -> None:
        """The request is over; the last attempt took ``tokens``, where that is known. ``asked``: something was sent for
        it. Told again it does nothing."""
        self.give_back(now, asked=asked)
        if self.phase is Phase.ANSWERING:
            self._ended(now, tokens)
        self._move("end")

    def _ended(self, now: float, tokens: int | None, *, asked: bool = True) -> None:
        assert self.choice is not None
        self._routing.ended(self.choice, now, tokens)
        booking, self._booking = self._booking, None
        if booking is not None:
            self._owed = GiveBack(booking, tokens, asked)

    @property
    def place(self) -> Target | None:
        """Where the session of the request is now: the target whose content came."""
        return self.choice.target if self.choice is not None and self.phase is Phase.ANSWERING else None

    def _move(self, what: str) -> None:
        self.phase = TRANSITIONS[self.phase, what]
