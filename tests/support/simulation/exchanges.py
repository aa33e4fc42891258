"""One exchange from its first input to its record, everything around it played by chance."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter

import msgspec

from ferryllm_proto import Exchange
from ferryllm_proto.actions import Keep, Open, Recall
from ferryllm_proto.inputs import (
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Input,
    Recalled,
    Stopping,
    Stored,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.responses.kept import KeptResponse
from ferryllm_proto.stages import State

from . import gateways, questions, scripts
from .ledger import Ledger
from .verdict import judge

_HEARD = (UpstreamHead, UpstreamData, UpstreamEnd, UpstreamLost)
MOST_STEPS = 20_000
"""More than the longest script has: an exchange that wants more does not end."""


class Tally(msgspec.Struct):
    """How much was tried."""

    runs: int = 0
    inputs: int = 0
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)
    scripts: Counter[str] = msgspec.field(default_factory=Counter)
    ends: Counter[str] = msgspec.field(default_factory=Counter)
    """How clients' answers ended: an answer, an error with a status, an error in a stream, ..."""

    def __str__(self) -> str:
        def told(counter: Counter[str]) -> str:
            return ", ".join(f"{name} {number:,}" for name, number in sorted(counter.items()))

        return (
            f"{self.runs:,} exchanges, {self.inputs:,} inputs; records: {told(self.outcomes)}; "
            f"clients saw: {told(self.ends)}; providers: {told(self.scripts)}"
        )


def run(seed: int, number: int, tally: Tally) -> None:
    """Make run ``number`` of ``seed`` and judge it. Raises AssertionError that names both."""
    life = Life(random.Random(seed * 1_000_003 + number))
    try:
        life.live()
        end = judge(life.question, life.script, life.ledger)
    except Exception as exc:
        raise AssertionError(f"seed {seed}, run {number}: {type(exc).__name__}: {exc}\n{life.describe()}") from exc
    record = life.ledger.record
    assert record is not None
    tally.runs += 1
    tally.inputs += len(life.ledger.events)
    tally.outcomes[record.outcome.value] += 1
    tally.ends[end] += 1
    if life.script is not None:
        tally.scripts[life.script.kind] += 1


class Life:
    """The world around one exchange: a heap of what is going to happen, and a clock that jumps to it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.gateway = gateways.make(rng)
        self.question = questions.make(rng)
        self.exchange = Exchange(self.gateway, id="req_sim", seed=rng.getrandbits(64), created=1_760_000_000.0)
        self.ledger = Ledger()
        self.script: scripts.Script | None = None
        self.now = rng.uniform(0, 1e6)
        self._order = itertools.count()
        self._coming: list[tuple[float, int, Input]] = []
        self._disturbed = False
        self._same = 0

    def live(self) -> None:
        """From the request to the record, and a little further."""
        self.disturb(0.03)
        self.feed(self.question.request)
        for _ in range(MOST_STEPS):
            if self.exchange.state is State.DONE:
                break
            self.step()
        else:
            raise AssertionError(f"no end after {MOST_STEPS} inputs")
        for event in (ClientLost(), DeadlinePassed(), Stopping(), UpstreamEnd(), UpstreamData(b"x"), UpstreamLost("x")):
            assert self.exchange.receive(event, self.now) == [], f"{type(event).__name__} woke the dead"

    def plan(self, event: Input, after: float) -> None:
        heapq.heappush(self._coming, (self.now + after, next(self._order), event))

    def disturb(self, chance: float) -> None:
        """Perhaps the client leaves, or the gateway stops, now or later."""
        if not self._disturbed and self.rng.random() < chance:
            self._disturbed = True
            event = ClientLost() if self.rng.random() < 0.8 else Stopping()
            self.plan(event, self.rng.choice((0.0, 0.0, 0.0, 0.1, 1.0, 10.0)))

    def step(self) -> None:
        """What happens next: the earliest of what is coming and of the exchange's own deadline, which is seen late."""
        deadline = self.exchange.next_deadline()
        self.ledger.check_deadline(deadline, self.now)
        due = self._coming[0][0] if self._coming else None
        if due is None and deadline is None:
            raise AssertionError(f"it hangs in state {self.exchange.state.name}")
        if deadline is not None and (due is None or deadline + 0.1 < due):
            self.now = max(self.now, deadline + self.rng.choice((0.0, 0.05, 0.1)))
            self.feed(DeadlinePassed())
            # At one time there are at most as many deadlines as an exchange has of them.
            self._same = self._same + 1 if self.exchange.next_deadline() == deadline else 0
            assert self._same < 4, "the same deadline again and again: it would spin"
            return
        at, _, event = heapq.heappop(self._coming)
        self.now = max(self.now, at)
        if self.possible(event):
            self.feed(event)

    def possible(self, event: Input) -> bool:
        """Whether the interpreter could tell that: what is closed says nothing any more."""
        if isinstance(event, _HEARD):
            return self.ledger.upstream_open and self.exchange.state is not State.KEEPING
        return True

    def feed(self, event: Input) -> None:
        ledger = self.ledger
        if isinstance(event, (Recalled, Stored)):
            ledger.asked = None
        ledger.told(event, self.now)
        actions = self.exchange.receive(event, self.now)
        opened_before = ledger.opened
        ledger.did(actions, self.now)
        for action in actions:
            if isinstance(action, Open):
                backend = self.gateway.providers[action.provider].dialect
                stream = action.request.stream
                self.script = scripts.make_script(self.rng, backend, stream)
                if not self.question.forwards:
                    self.question.backend = backend
                self.play(self.script)
            elif isinstance(action, Recall):
                self.plan(self.recalled(action), self.rng.choice((0.0, 0.01, 4.9)))
            elif isinstance(action, Keep):
                self.plan(Stored(ok=self.rng.random() < 0.7), self.rng.choice((0.0, 0.01, 4.9)))
        if isinstance(event, ClientRequest) and ledger.wants_body:
            self.plan(self.question.body, self.rng.choice((0.0, 0.0, 0.5, 14.0)))
        if ledger.record is None:
            self.disturb(0.5 / (6 + len(self.script.steps) if self.script and ledger.opened > opened_before else 30))
            if self.rng.random() < 0.02:
                secs = self.rng.choice((0.1, 3.0, 50.0))  # the client did not read for a while
                self.now += secs
                self.exchange.postpone(secs)

    def play(self, script: scripts.Script) -> None:
        # Nothing more is heard of those that were asked before.
        self._coming = [one for one in self._coming if not isinstance(one[2], _HEARD)]
        heapq.heapify(self._coming)
        after = 0.0
        for pause, event in script.steps:
            after += pause
            self.plan(event, after)

    def recalled(self, action: Recall) -> Recalled:
        kind = self.rng.randrange(5)
        if kind == 0:
            return Recalled(None, failed=True)
        items = tuple((id_, _ITEM) for id_ in action.items if self.rng.random() < 0.7)
        if action.id is None:
            return Recalled(None, items=items)
        if kind == 1:
            return Recalled(None, foreign=self.rng.random() < 0.5, items=items)
        provider = f"p-{self.rng.choice(gateways.NAMES)}" if kind == 2 else f"p-{self.question.backend}"
        native = self.gateway.providers[provider].dialect == "openai_responses" and self.rng.random() < 0.7
        kept = KeptResponse(
            action.id,
            action.owner,
            5.0,
            provider,
            native=native,
            model="asked",
            response=b"" if native else b'{"id":"resp_earlier","object":"response"}',
            input=() if native else (b'{"type":"message","role":"user","content":"before"}',),
            output=() if native else (_ITEM,),
        )
        return Recalled(kept, items=items)

    def describe(self) -> str:
        """For a failure: what was told and what it did."""
        lines = [f"{self.question!r:.1500}", f"{self.script!r:.3000}", f"{self.gateway.providers!r:.1500}"]
        ledger = self.ledger
        lines += [f"{now:.3f} > {event!r:.300}" for now, event in ledger.events[:30]]
        lines += [f"{now:.3f} < {action!r:.600}" for now, action in ledger.actions[:30]]
        lines += [
            f"... {len(ledger.events)} inputs, {len(ledger.actions)} actions",
            f"body: {bytes(ledger.body)!r:.3000}",
        ]
        return "\n".join(lines)


_ITEM = (
    b'{"type":"message","id":"msg_earlier","role":"assistant","status":"completed",'
    b'"content":[{"type":"output_text","text":"earlier","annotations":[]}]}'
)
