"""Many exchanges at once that share what the requests of a process share: one clock, one `Routing`, one desk, one gate.

Providers have moods that change: good, down, slow, limited, breaking off. Clients come in bursts and leave, the clock
jumps. Everything derives from one seed, so a world can be lived twice.
"""

from __future__ import annotations

import heapq
import json
import random
from collections import Counter
from collections.abc import Callable

import msgspec

from ferryllm_net.admission.bookings import Bookings
from ferryllm_proto import Exchange, Gateway, Provider, Route, RouteTable
from ferryllm_proto.actions import Abort, Action, Admit, Book, GiveBack, Open, Record, Settle
from ferryllm_proto.inputs import (
    Admitted,
    BookedUp,
    ClientBody,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Input,
    Refused,
    Stopping,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.ir import Error, ErrorKind
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.affinity import AffinityRules
from ferryllm_proto.routing.balance import Balance, Target
from ferryllm_proto.routing.breaker import BreakerRules, State
from ferryllm_proto.routing.choice import Closed, ProviderBounds, Routing, Why
from ferryllm_proto.routing.gate import Decision, Dropped, Gate, GateRules
from ferryllm_proto.routing.keys import Admission, ClientKey, Desk, KeyBook, KeyLimits, Refusal
from ferryllm_proto.routing.pricing import Amount, Price, PriceTable, Row
from ferryllm_proto.routing.quota import Period, Quota, Unit
from ferryllm_proto.routing.retry import BudgetRules, RetryRules
from ferryllm_proto.stages import State as Stage
from support.answers import ASK

from . import scripts
from .ledger import Ledger
from .questions import Question
from .verdict import judge

DIALECTS = {"a": "openai", "b": "anthropic", "c": "gemini", "d": "openai"}
_PATHS = {
    "openai": "/v1/chat/completions",
    "anthropic": "/v1/messages",
    "gemini": "",
    "openai_responses": "/v1/responses",
}
MOODS = ("good", "good", "good", "down", "slow", "limited", "cut", "broken", "chance")
KEYS = tuple(f"fk-relay-{n}-0123456789" for n in range(3))
MOST_EVENTS = 60_000
"""More than the longest world has: a world that wants more does not end."""


class Tally(msgspec.Struct):
    worlds: int = 0
    requests: int = 0
    attempts: int = 0
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)
    refused: Counter[str] = msgspec.field(default_factory=Counter)
    tries: Counter[int] = msgspec.field(default_factory=Counter)


class Life:
    """One exchange, and what the interpreter does for it."""

    def __init__(self, world: World, number: int) -> None:
        rng = world.rng
        self.world, self.number = world, number
        self.question = _ask(rng)
        self.exchange = Exchange(
            world.gateway,
            id=f"req_{number}",
            seed=number,
            created=world.unix,
            routing=world.routing,
            desk=world.desk if world.limited else None,
            chance=world.rng.random,
        )
        self.ledger = Ledger()
        self.script: scripts.Script | None = None
        self.admission: Admission | None = None
        self.waits: tuple[Admission, float] | None = None
        """Let in by the desk, and waiting at the gate."""
        self.inside = False
        self.at = ""
        """Whom it has asked last."""
        self.stream = 0
        """Number of the attempt whose bytes may still come."""

    @property
    def over(self) -> bool:
        return self.ledger.record is not None

    def feed(self, event: Input) -> None:
        if self.over:
            assert self.exchange.receive(event, self.world.now) == []
            return
        now, ledger = self.world.now, self.ledger
        if isinstance(event, ClientLost):
            self.leave_queue()
        ledger.told(event, now)
        actions = self.exchange.receive(event, now)
        ledger.did(actions, now)
        for action in actions:
            self.do(action)
        deadline = self.exchange.next_deadline()
        ledger.check_deadline(deadline, now)
        if deadline is not None:
            self.world.at(max(deadline, now) + self.world.rng.choice((0.0, 0.05, 0.1)), self.look)
        if self.over:
            assert self.exchange.state is Stage.DONE
            self.leave()

    def look(self) -> None:
        """The sweeper comes by."""
        deadline = self.exchange.next_deadline()
        if deadline is not None and self.world.now >= deadline:
            self.feed(DeadlinePassed())

    def do(self, action: Action) -> None:
        world = self.world
        if isinstance(action, Abort):
            self.stream += 1
        elif isinstance(action, Open):
            self.stream += 1
            self.at = action.provider
            world.check_bounds(action.provider)
            provider = world.gateway.providers[action.provider]
            self.script = world.mood_of(provider.name).script(provider, action.request.stream)
            self.question.backend = provider.dialect
            after, stream = 0.0, self.stream
            for pause, event in self.script.steps:
                after += pause
                world.at(world.now + after, lambda event=event: self.hear(event, stream))  # type: ignore[misc]
        elif isinstance(action, Admit):
            world.at(world.now + world.rng.choice((0.0, 0.0, 0.02)), lambda: self.knock(action))
        elif isinstance(action, Book):
            world.at(world.now + world.rng.choice((0.0, 0.0, 0.001, 0.05)), lambda: self.book(action))
        elif isinstance(action, GiveBack):
            world.bookings.give_back(action, world.now)
        elif isinstance(action, Settle):
            assert self.admission is action.admission
            self.admission = None
            if action.took_place:
                world.desk.settle(action.admission, action.tokens, action.cost, world.now)
            else:
                world.desk.cancel(action.admission, world.now)

    def hear(self, event: Input, stream: int) -> None:
        if stream == self.stream and not self.over and self.ledger.upstream_open:
            self.feed(event)

    # --- the door ---

    def knock(self, action: Admit) -> None:
        world = self.world
        if self.over:
            return
        found = world.desk.admit(action.key, action.ask, world.now, world.unix)
        if isinstance(found, Refusal):
            self.feed(Refused(found))
            return
        self.waits = found, world.now
        decisions = world.gate.enter(self.number, action.flow, world.now, action.concurrency)
        world.decide(decisions)
        if self.waits is not None:
            world.at(world.now + world.gate.rules.wait, lambda: world.decide(world.gate.expire(world.now)))

    def decided(self, decision: Decision) -> None:
        assert self.waits is not None
        (admission, since), self.waits = self.waits, None
        if isinstance(decision, Dropped):
            self.world.desk.cancel(admission, self.world.now)
            error = Error(ErrorKind.RATE_LIMIT, "the gateway is busy", retry_after=decision.retry_after)
            self.feed(Refused(Refusal(error, {}, "busy")))
            return
        self.inside, self.admission = True, admission
        self.feed(Admitted(admission, self.world.now - since))

    def book(self, action: Book) -> None:
        """Who counts for many processes has the question."""
        world = self.world
        if self.over:
            return  # it has left: what was taken is given back by whoever counts
        if world.rng.random() < 0.03:
            self.feed(BookedUp(Closed(Why.STORE, 1.0)))
        else:
            self.feed(world.bookings.book(action, world.now))

    def leave_queue(self) -> None:
        if self.waits is not None:
            self.world.desk.cancel(self.waits[0], self.world.now)
            self.waits = None
            self.world.decide(self.world.gate.leave(self.number, self.world.now))

    def leave(self) -> None:
        self.leave_queue()
        if self.inside:
            self.inside = False
            self.world.decide(self.world.gate.leave(self.number, self.world.now))


class Mood:
    """How one provider is for a while."""

    def __init__(self, rng: random.Random, kind: str) -> None:
        self.rng, self.kind = rng, kind

    def script(self, provider: Provider, stream: bool) -> scripts.Script:
        rng, kind = self.rng, self.kind
        if kind == "chance":
            return scripts.make_script(rng, provider.dialect, stream)
        script = _made(rng, provider.dialect, stream, "cut" if kind == "cut" else "good")
        if kind == "down":
            script = scripts.Script([], kind, cut=True)
            if rng.random() < 0.5:
                script.steps = [(0.0, UpstreamLost("refused"))]
            else:
                script.steps = _failed(rng.choice((500, 502, 503, 504, 529)), ())
        elif kind == "limited":
            wait = rng.choice(("1", "7", "600"))
            script = scripts.Script(_failed(429, (("retry-after", wait),)), kind, cut=True, clean=False)
        elif kind == "broken":
            status = rng.choice((400, 401, 403, 404))
            script = scripts.Script(_failed(status, ()), kind, cut=True, clean=False)
        elif kind == "slow":
            script.steps = [(rng.choice((0.0, 0.5, 4.0, 20.0)), step) for _, step in script.steps]
        return script


def _made(rng: random.Random, dialect: str, stream: bool, kind: str) -> scripts.Script:
    """A script of ``kind`` that is as long as its request wants it."""
    while True:
        script = scripts.make_script(rng, dialect, stream)
        if script.kind == kind and script.streams == stream and not isinstance(script.steps[-1][1], UpstreamData):
            script.steps = [(0.01, step) for _, step in script.steps]
            return script


def _failed(status: int, headers: tuple[tuple[str, str], ...]) -> list[tuple[float, Input]]:
    return [(0.05, UpstreamHead(status, (("content-type", "text/plain"), *headers))), (0.0, UpstreamEnd())]


def _ask(rng: random.Random) -> Question:
    entry, stream = rng.choice(tuple(_PATHS)), rng.random() < 0.7
    model = rng.choice(("one", "two", "two", "three", "other"))
    body: dict[str, object] = dict(ASK[entry])
    path = _PATHS[entry] or f"/v1beta/models/{model}:{'streamGenerateContent?alt=sse' if stream else 'generateContent'}"
    if entry != "gemini":
        body.update(model=model, stream=stream)
    headers = [("host", "127.0.0.1"), ("content-type", "application/json"), ("x-api-key", rng.choice(KEYS))]
    if rng.random() < 0.3:
        headers.append(("x-session-id", f"session-{rng.randrange(5)}"))
    data = json.dumps(body).encode()
    request = ClientRequest("POST", path, tuple(headers))
    return Question(entry, "openai", request, ClientBody(data), stream, generates=True, sound=True)


class World:
    """Everything of one seed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now, self.unix = rng.uniform(0, 1e5), 1_795_262_400.0
        self.limited = rng.random() < 0.6
        self.gateway = self._gateway()
        self.routing = Routing(
            BreakerRules(failures=rng.choice((None, 1, 3)), cooldown=rng.choice((0.5, 20.0)), key_cooldown=5.0),
            budget=BudgetRules(percent=rng.choice((0, 20, 100)), floor=rng.choice((1, 10)), per_minute=60),
            bounds=rng.choice(({}, {"a": ProviderBounds(concurrency=2)}, {"b": ProviderBounds(30, 20_000, 5)})),
        )
        self.shares = rng.random() < 0.5
        self.gateway = msgspec.structs.replace(self.gateway, shares_bounds=self.shares)
        self.bookings = Bookings()
        assert self.gateway.keys is not None
        self.desk = Desk(self.gateway.keys, KeyLimits(requests_per_minute=rng.choice((None, 10, 600))))
        self.gate = Gate(GateRules(rng.choice((None, 2, 10)), rng.choice((0, 3, 50)), rng.choice((0.5, 10.0))))
        self.lives: list[Life] = []
        self.moods: dict[str, Mood] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def _gateway(self) -> Gateway:
        rng = self.rng
        providers = {
            name: Provider(
                name,
                dialect,
                first_byte_secs=rng.choice((0.3, 5.0, 60.0)),
                request_secs=rng.choice((1.0, 60.0)),
                idle_secs=rng.choice((2.0, 30.0)),
                total_secs=rng.choice((None, None, 10.0)),
                key_id=name,
            )
            for name, dialect in DIALECTS.items()
        }
        routes: tuple[Route, ...] = (
            Route("one", "a", rewrite_model="m1"),
            Route("two", "a", targets=(Target("a", "m1", 2), Target("b", "m2")), balance=rng.choice(tuple(Balance))),
            Route("three", "b", rewrite_model="m2", fallbacks=(Target("c", "m3"), Target("d"))),
            Route("*", "d", fallbacks=(Target("a", "m1"),)),
        )
        if rng.random() < 0.3:
            routes = (routes[0], routes[2], Route("*", "d"))  # nothing is shared: most requests choose nothing
        quota = Quota(Unit.TOKENS, Period.DAY, rng.choice((3_000, 10_000_000)))
        keys = [ClientKey(f"k{n}", key_digest(key)) for n, key in enumerate(KEYS)]
        keys[0] = msgspec.structs.replace(keys[0], quotas=(quota,), limits=KeyLimits(concurrency=2))
        keys[1] = msgspec.structs.replace(keys[1], limits=KeyLimits(rng.choice((3, 200)), 200_000))
        price = Price(Amount(1_000_000_000), Amount(5_000_000_000))
        return Gateway(
            RouteTable(routes),
            providers,
            hold_secs=rng.choice((0.0, 0.3, 1.0)),
            ping_secs=4.0,
            notes=rng.random() < 0.5,
            keys=KeyBook(keys),
            admits=self.limited,
            retry=RetryRules(
                retries=rng.choice((0, 1, 3)), total=rng.choice((2, 8)), backoff=rng.choice((0.0, 0.1, 1.0))
            ),
            affinity=rng.choice((None, AffinityRules())),
            prices=PriceTable((Row("m1", price), Row("m2", price))),
        )

    def at(self, when: float, what: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._heap, (when, self._count, what))

    def mood_of(self, provider: str) -> Mood:
        return self.moods[provider]

    def decide(self, decisions: list[Decision]) -> None:
        for decision in decisions:
            self.lives[decision.ticket].decided(decision)

    def live(self) -> None:
        """Bursts of clients while the providers' moods change, until everybody has gone."""
        rng = self.rng
        for name in DIALECTS:
            self._change(name)
        for _ in range(rng.choice((1, 3, 6))):
            begin = self.now + rng.uniform(0, 40)
            for n in range(rng.choice((1, 4, 12))):
                self.at(begin + n * rng.choice((0.0, 0.01, 1.0)), self._arrive)
        if rng.random() < 0.3:
            self.at(self.now + rng.uniform(0, 40), self._jump)
        for _ in range(MOST_EVENTS):
            if not self._heap:
                break
            when, _, what = heapq.heappop(self._heap)
            if when > self.now:
                self.unix += when - self.now
                self.now = when
            what()
        else:
            raise AssertionError("no end")

    def _change(self, name: str) -> None:
        self.moods[name] = Mood(self.rng, self.rng.choice(MOODS))
        if self._count < 400:
            self.at(self.now + self.rng.uniform(1, 30), lambda: self._change(name))

    def _jump(self) -> None:
        self.now += self.rng.choice((0.0, 300.0))
        self.unix += self.rng.choice((-7200.0, 86_400.0, 0.0))

    def _arrive(self) -> None:
        life = Life(self, len(self.lives))
        self.lives.append(life)
        life.feed(life.question.request)
        if not life.over:
            self.at(self.now + self.rng.choice((0.0, 0.0, 0.2)), lambda: life.feed(life.question.body))
        if self.rng.random() < 0.15:
            event = ClientLost() if self.rng.random() < 0.8 else Stopping()
            self.at(self.now + self.rng.choice((0.0, 0.1, 1.0, 10.0)), lambda: life.feed(event))

    def check_bounds(self, provider: str) -> None:
        """Somebody asks ``provider``: no more than may are under way there."""
        bounds = self.routing.bounds.get(provider)
        here = [life for life in self.lives if life.ledger.upstream_open and life.at == provider]
        if bounds is not None:
            assert len(here) <= (bounds.concurrency or len(here)), f"{len(here)} requests under way at {provider}"
            booked = all(life.ledger.booking is not None for life in here)
            assert booked == self.shares, "an attempt without its place"

    # --- what holds when everybody has gone ---

    def check(self, tally: Tally) -> None:
        retry, used = self.gateway.retry, 0
        for life in self.lives:
            record = life.ledger.record
            assert record is not None, f"{life.exchange.id} hangs in {life.exchange.state.name}"
            judge(life.question, life.script, life.ledger)
            self._check_attempts(record, retry)
            tally.requests += 1
            tally.attempts += record.attempts
            tally.outcomes[record.outcome.value] += 1
            tally.tries[record.attempts] += 1
            if record.refused is not None:
                tally.refused[record.refused] += 1
            assert life.admission is None
            assert life.waits is None
            settled = life.ledger.settled
            if settled is not None and settled.admission.key is not None and settled.admission.key.quotas:
                amount = settled.admission.reserved.parts[0][3]
                used += (amount if settled.tokens is None else settled.tokens) if settled.took_place else 0
        tally.worlds += 1
        assert (self.gate.inside, self.gate.waiting) == (0, 0)
        loads = self.routing.loads
        for name in DIALECTS:
            assert loads.at(name) == 0, f"something is under way at {name}"
        assert not self.bookings._inside, "places at providers that nobody holds"
        assert all(change.state is not State.PROBING for change in self.routing.health.troubles(self.now))
        accounts = self.desk.accounts._accounts.values()
        assert sum(aside for account in accounts for _, aside in account._periods.values()) == 0
        assert sum(one for account in accounts for one, _ in account._periods.values()) == used

    def _check_attempts(self, record: Record, retry: RetryRules) -> None:
        assert record.attempts <= retry.total
        row, last = 0, None
        for one in record.tries:
            row = row + 1 if one.provider == last else 1
            last = one.provider
            assert row <= retry.retries + 1, f"{one.provider} was asked {row} times in a row"
        if record.outcome.value == "ok" and record.tries:
            assert record.tries[-1].outcome == "ok"
            assert record.tries[-1].provider == record.provider

    def trace(self) -> list[object]:
        """All that was done, in bytes and numbers: what was admitted holds counters, which are equal to no others."""
        out: list[object] = []
        for life in self.lives:
            for now, action in life.ledger.actions:
                kept: object = action
                if isinstance(action, GiveBack):
                    kept = action.booking.provider, action.tokens, action.took_place
                elif isinstance(action, Settle):
                    kept = action.tokens, action.cost, action.took_place, action.target
                out.append((now, kept))
        return out


def run(seed: int, number: int, tally: Tally) -> World:
    """Live world ``number`` of ``seed`` and judge it. Raises AssertionError that names both."""
    world = World(random.Random(seed * 1_000_003 + number))
    try:
        world.live()
        world.check(tally)
    except Exception as exc:
        raise AssertionError(f"seed {seed}, world {number}: {type(exc).__name__}: {exc}") from exc
    return world
