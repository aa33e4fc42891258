"""Clients, a gateway's decisions and providers on a virtual clock: only machines of `ferryllm_proto.routing` decide.

What the exchange and its interpreter do around them is here in its shortest form: admit, wait at the gate, choose,
attempt, retry, settle. A run derives from its seed alone.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Callable

import msgspec

from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.breaker import BreakerRules, Change, Verdict, verdict_of
from ferryllm_proto.routing.choice import Choice, Closed, Errand, Nobody, ProviderBounds, Routing
from ferryllm_proto.routing.gate import Decision, Dropped, Gate, GateRules, Granted
from ferryllm_proto.routing.keys import Admission, Ask, ClientKey, Desk, KeyBook, KeyLimits, Refusal
from ferryllm_proto.routing.retry import BudgetRules, Failure, Fault, Left, Next, Retry, RetryRules
from ferryllm_proto.routing.table import Route, plan_of


class Reply(msgspec.Struct, frozen=True):
    """How a provider takes one attempt."""

    status: int | None
    """None: no answer at all."""
    after: float
    """Seconds until the first content or the failure."""
    lasts: float = 0.0
    """Seconds from then until the end."""
    retry_after: float | None = None


Behaviour = Callable[[float, random.Random], Reply]
"""Of a provider: what it does at a time."""


class Sent(msgspec.Struct):
    """One request, as its client sees it."""

    key: str
    at: float
    outcome: str = "under way"
    """``ok``, or why not."""
    over: float | None = None
    provider: str | None = None
    attempts: int = 0
    waited: float = 0.0


class _Running(msgspec.Struct):
    sent: Sent
    ask: Ask
    key: ClientKey | None
    admission: Admission
    errand: Errand
    retry: Retry
    tried: list[Target]
    truth: int
    choice: Choice | None = None
    phase: str = "idle"
    """``asking`` from an attempt to its first content, ``answering`` from there to its end."""
    gone: bool = False


class World:
    """One gateway. Put requests in with `send`, then `run`."""

    def __init__(
        self,
        seed: int,
        route: Route,
        providers: dict[str, Behaviour],
        *,
        keys: tuple[ClientKey, ...] = (),
        own: KeyLimits = KeyLimits(),  # noqa: B008 - a value
        gate: GateRules = GateRules(),  # noqa: B008
        breaker: BreakerRules = BreakerRules(),  # noqa: B008
        retry: RetryRules = RetryRules(),  # noqa: B008
        budget: BudgetRules = BudgetRules(),  # noqa: B008
        bounds: dict[str, ProviderBounds] | None = None,
    ) -> None:
        self.chance = random.Random(seed)
        self.now = 0.0
        self.unix = 1_795_262_400.0
        """2026-11-21T12:00:00Z."""
        self.plan = plan_of(route)
        self.providers = providers
        self.desk = Desk(KeyBook(keys), own)
        self.gate = Gate(gate)
        self.routing = Routing(breaker, budget=budget, bounds=bounds)
        self.rules = retry
        self.requests: list[Sent] = []
        self.asked: list[tuple[float, str]] = []
        """Every attempt: when, and who."""
        self.changes: list[Change] = []
        self.taken: Counter[str] = Counter()
        """Tokens that each key truly took."""
        self.charged: list[tuple[float, str, int]] = []
        """Every admission: when, whose, how many tokens."""
        self._waiting: dict[int, _Running] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, what))

    def run(self, until: float | None = None) -> None:
        while self._heap and (until is None or self._heap[0][0] <= until):
            when, _, what = heapq.heappop(self._heap)
            if when > self.now:
                self.unix += when - self.now
                self.now = when
            what()
        if until is not None and until > self.now:
            self.unix += until - self.now
            self.now = until

    def send(
        self,
        when: float,
        key: ClientKey | None = None,
        *,
        tokens: int = 10,
        truth: int | None = None,
        session: bytes | None = None,
        leaves: float | None = None,
    ) -> None:
        """A request of ``tokens`` estimated and ``truth`` true ones; its client goes after ``leaves`` seconds."""

        def arrive() -> None:
            sent = Sent(key.id if key is not None else "", self.now)
            self.requests.append(sent)
            ask = Ask("m", tokens, 0, tokens)
            found = self.desk.admit(key, ask, self.now, self.unix)
            if isinstance(found, Refusal):
                sent.outcome, sent.over = found.reason, self.now
                return
            self.charged.append((self.now, sent.key, tokens))
            running = _Running(
                sent,
                ask,
                key,
                found,
                Errand(self.plan, "m", session=session, tokens=tokens),
                Retry(self.rules, self.routing.budget),
                [],
                tokens if truth is None else truth,
            )
            self.routing.budget.request()
            ticket = len(self.requests)
            self._waiting[ticket] = running
            self._decide(self.gate.enter(ticket, sent.key, self.now, self.desk.concurrency(key)))
            deadline = self.gate.next_deadline()
            if ticket in self._waiting and deadline is not None:
                self.at(self.now + self.gate.rules.wait, lambda: self._decide(self.gate.expire(self.now)))
            if leaves is not None:
                self.at(self.now + leaves, lambda: self._leave(ticket, running))

        self.at(when, arrive)

    # --- one request ---

    def _decide(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            running = self._waiting.pop(decision.ticket)
            if isinstance(decision, Dropped):
                self.desk.cancel(running.admission, self.now)
                running.sent.outcome, running.sent.over = decision.why.value, self.now
            else:
                assert isinstance(decision, Granted)
                running.sent.waited = decision.waited
                self._attempt(decision.ticket, running)

    def _attempt(self, ticket: int, running: _Running, *, same: bool = False) -> None:
        if running.gone:
            return
        found: Choice | Nobody | Closed
        if same:
            assert running.choice is not None
            found = self.routing.again(running.errand, running.choice, self.now)
            if isinstance(found, Closed):
                self._after(ticket, running, Failure(Fault.BLOCKED))
                return
        else:
            found = self.routing.choose(running.errand, running.tried, self.now, self.chance.random())
        if isinstance(found, Nobody):
            self._finish(ticket, running, "nobody")
            return
        assert isinstance(found, Choice)
        choice = running.choice = found
        running.phase = "asking"
        running.retry.begin()
        running.sent.attempts += 1
        provider = choice.target.provider
        self.asked.append((self.now, provider))
        reply = self.providers[provider](self.now, self.chance)
        self.at(self.now + reply.after, lambda: self._replied(ticket, running, choice, reply))

    def _replied(self, ticket: int, running: _Running, choice: Choice, reply: Reply) -> None:
        if running.gone:
            return
        verdict = verdict_of(reply.status)
        if verdict is Verdict.SUCCESS:
            self.changes += self.routing.answered(running.errand, choice, reply.after, self.now)
            running.sent.provider = choice.target.provider
            running.phase = "answering"
            self.at(self.now + reply.lasts, lambda: self._ended(ticket, running, choice))
            return
        silent = reply.after if reply.status is None else None
        self.changes += self.routing.failed(
            running.errand, choice, verdict, self.now, retry_after=reply.retry_after, silent=silent
        )
        self.routing.ended(choice, self.now)
        running.phase = "idle"
        fault = Fault.KEY if verdict in (Verdict.KEY, Verdict.KEY_FOR_MODEL) else Fault.STATUS
        if reply.status is None:
            fault = Fault.TRANSPORT
        self._after(ticket, running, Failure(fault, reply.status, reply.retry_after))

    def _after(self, ticket: int, running: _Running, failure: Failure) -> None:
        assert running.choice is not None
        tried = [*running.tried, running.choice.target]
        left = Left(others=self.routing.others(running.errand, tried, self.now))
        step = running.retry.after(failure, left, self.now, self.chance.random())
        if step.next is Next.GIVE_UP:
            self._finish(ticket, running, f"status {failure.status}")
            return
        if step.next is Next.OTHER:
            running.tried = tried
        same = step.next is Next.SAME
        self.at(self.now + step.wait, lambda: self._attempt(ticket, running, same=same))

    def _ended(self, ticket: int, running: _Running, choice: Choice) -> None:
        if not running.gone:
            self.routing.ended(choice, self.now, running.truth)
            self._finish(ticket, running, "ok")

    def _leave(self, ticket: int, running: _Running) -> None:
        """The client goes, wherever its request is."""
        if running.sent.over is not None:
            return
        running.gone = True
        choice = running.choice
        if running.phase != "idle":
            assert choice is not None
            if running.phase == "asking":
                self.changes += self.routing.failed(running.errand, choice, Verdict.NOTHING, self.now)
            self.routing.ended(choice, self.now)
        self._waiting.pop(ticket, None)
        self._finish(ticket, running, "left")

    def _finish(self, ticket: int, running: _Running, outcome: str) -> None:
        sent = running.sent
        sent.outcome, sent.over = outcome, self.now
        if outcome == "ok":
            self.taken[sent.key] += running.truth
            self.desk.settle(running.admission, running.truth, running.truth, self.now)
        else:
            self.desk.cancel(running.admission, self.now)
        self._decide(self.gate.leave(ticket, self.now))

    # --- what came of it ---

    def outcomes(self, key: str | None = None) -> Counter[str]:
        return Counter(sent.outcome for sent in self.requests if key is None or sent.key == key)

    def asks(self, provider: str, since: float = 0.0, until: float = float("inf")) -> int:
        return sum(1 for at, name in self.asked if name == provider and since <= at < until)

    def trace(self) -> list[object]:
        return [msgspec.structs.astuple(sent) for sent in self.requests] + list(self.asked) + list(self.changes)
