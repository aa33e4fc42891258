"""Circuit breakers: what failed too often is left alone for a while, then tried by one request.

There is one for each provider and model, and one for each key of a provider: a refused key takes the key down, not the
provider. What a client did wrong counts nowhere. `Breaker` is the machine of one; `Health` has them all, and only those
in trouble take memory.

::

    CLOSED   everybody may ask
    HELD     the provider asked to wait: nobody may ask until then, afterwards everybody
    OPEN     too many failures: nobody may ask until the cooldown is over, afterwards one may
    PROBING  that one is under way
"""

from __future__ import annotations

import enum
from collections.abc import Collection

import msgspec

from .recent import Recent


class State(enum.Enum):
    CLOSED = "closed"
    HELD = "held"
    OPEN = "open"
    PROBING = "probing"


class Happening(enum.Enum):
    SUCCESS = "success"
    """An attempt was answered."""
    FAILURE = "failure"
    """One was not, and it is not yet enough."""
    TRIP = "trip"
    """One was not, and it is enough."""
    HOLD = "hold"
    """The provider asked to wait."""
    ELAPSED = "elapsed"
    """The time to wait is over."""
    TAKE = "take"
    """A probe begins."""
    PROBE_SUCCESS = "probe_success"
    PROBE_FAILURE = "probe_failure"
    PROBE_HOLD = "probe_hold"
    PROBE_FREE = "probe_free"
    """The probe ended without saying anything of the provider: its client left."""


_S, _H = State, Happening

TRANSITIONS: dict[tuple[State, Happening], State] = {
    (_S.CLOSED, _H.SUCCESS): _S.CLOSED,
    (_S.CLOSED, _H.FAILURE): _S.CLOSED,
    (_S.CLOSED, _H.TRIP): _S.OPEN,
    (_S.CLOSED, _H.HOLD): _S.HELD,
    (_S.HELD, _H.SUCCESS): _S.HELD,
    (_S.HELD, _H.FAILURE): _S.HELD,
    (_S.HELD, _H.TRIP): _S.OPEN,
    (_S.HELD, _H.HOLD): _S.HELD,
    (_S.HELD, _H.ELAPSED): _S.CLOSED,
    # Attempts from before it opened come back late; they say nothing about now.
    (_S.OPEN, _H.SUCCESS): _S.OPEN,
    (_S.OPEN, _H.FAILURE): _S.OPEN,
    (_S.OPEN, _H.TRIP): _S.OPEN,
    (_S.OPEN, _H.HOLD): _S.OPEN,
    (_S.OPEN, _H.TAKE): _S.PROBING,
    (_S.PROBING, _H.SUCCESS): _S.PROBING,
    (_S.PROBING, _H.FAILURE): _S.PROBING,
    (_S.PROBING, _H.TRIP): _S.PROBING,
    (_S.PROBING, _H.HOLD): _S.PROBING,
    (_S.PROBING, _H.PROBE_SUCCESS): _S.CLOSED,
    (_S.PROBING, _H.PROBE_FAILURE): _S.OPEN,
    (_S.PROBING, _H.PROBE_HOLD): _S.OPEN,
    (_S.PROBING, _H.PROBE_FREE): _S.OPEN,
}
"""Not in it: a probe's end without a probe, a second probe, and the end of a wait that nobody waits for. OPEN does not
end by itself: without a request there is nothing to try it with."""


class BreakerRules(msgspec.Struct, frozen=True):
    """Times are seconds."""

    failures: int | None = None
    """Consecutive ones that open a breaker; None switches breakers off, those of keys too."""
    cooldown: float = 30.0
    key_cooldown: float = 60.0
    """Of a refused key: somebody has to mend it, so there is less hurry."""
    max_hold: float = 120.0
    """The longest that a provider's Retry-After keeps everybody away: some send hours."""


class Verdict(enum.Enum):
    """What an attempt said about whom it asked."""

    SUCCESS = "success"
    FAILURE = "failure"
    LIMITED = "limited"
    """It is too busy, or we asked too often."""
    KEY = "key"
    """The key is refused (401)."""
    KEY_FOR_MODEL = "key_for_model"
    """The key is refused for this model (403): a client can bring that about by asking for it, so other models of the
    key are not concerned."""
    NOTHING = "nothing"
    """The client's own fault, or it left."""


_VERDICTS: dict[int, Verdict] = {
    401: Verdict.KEY,
    403: Verdict.KEY_FOR_MODEL,
    429: Verdict.LIMITED,
    503: Verdict.LIMITED,
    529: Verdict.LIMITED,
}


def verdict_of(status: int | None) -> Verdict:
    """What the status of an answer says; None is no answer at all."""
    if status is None or status >= 600:
        return Verdict.FAILURE
    known = _VERDICTS.get(status)
    if known is not None:
        return known
    if status >= 500 or 300 <= status < 400:  # redirects are not followed, so they are no answer
        return Verdict.FAILURE
    return Verdict.NOTHING if status >= 400 else Verdict.SUCCESS


class Breaker:
    """One breaker. ``limit`` is how many consecutive failures open it, ``cooldown`` seconds that it stays open."""

    __slots__ = ("cooldown", "failures", "limit", "probe", "state", "until")

    def __init__(self, limit: int, cooldown: float) -> None:
        self.limit = limit
        self.cooldown = cooldown
        self.state = State.CLOSED
        self.failures = 0
        self.until = 0.0
        """When waiting is over, in HELD and OPEN."""
        self.probe = 0
        """Number of the permit that is the probe, in PROBING."""

    @property
    def clean(self) -> bool:
        """Whether it is as new: it can be forgotten."""
        return self.state is State.CLOSED and self.failures == 0

    def blocked(self, now: float) -> float | None:
        """Seconds until somebody may ask, or None: now. While a probe is under way nobody knows: it is a second."""
        if self.state is State.HELD and now >= self.until:
            self._move(Happening.ELAPSED)
        if self.state is State.CLOSED:
            return None
        if self.state is State.PROBING:
            return 1.0
        return None if now >= self.until else self.until - now

    def enter(self, now: float) -> bool:
        """Begin an attempt, which `blocked` allows; True: it is the probe, whose end is to be reported as such."""
        assert self.blocked(now) is None
        if self.state is not State.OPEN:
            return False
        self._move(Happening.TAKE)
        return True

    def succeed(self, now: float, *, probe: bool) -> None:
        self._move(Happening.PROBE_SUCCESS if probe else Happening.SUCCESS)
        if self.state in (State.CLOSED, State.HELD):
            self.failures = 0

    def fail(self, now: float, *, probe: bool) -> None:
        if probe:
            self._move(Happening.PROBE_FAILURE)
            self.until = now + self.cooldown
            return
        if self.state is State.PROBING:
            self._move(Happening.FAILURE)
            return
        self.failures += 1
        before = self.state
        self._move(Happening.TRIP if self.failures >= self.limit else Happening.FAILURE)
        if self.state is State.OPEN and before is not State.OPEN:
            cooled = now + self.cooldown
            self.until = max(self.until, cooled) if before is State.HELD else cooled

    def hold(self, now: float, secs: float, *, probe: bool) -> None:
        """The provider asked to wait ``secs`` seconds."""
        self._move(Happening.PROBE_HOLD if probe else Happening.HOLD)
        # The later of two wishes: the earlier was not taken back.
        self.until = now + secs if probe else max(self.until, now + secs)

    def trip(self, now: float, secs: float) -> None:
        """Others have found it broken, and leave it alone for ``secs`` seconds: so does this one. Its own probe goes
        on, and what it knows for longer stays."""
        if self.state is State.PROBING:
            return
        self._move(Happening.TRIP)
        self.until = max(self.until, now + secs)

    def recover(self, now: float) -> None:
        """Others have found it mended: the next request here is the probe."""
        if self.state is State.OPEN:
            self.until = min(self.until, now)

    def free(self, now: float) -> None:
        """The probe said nothing; the next request is one at once."""
        self._move(Happening.PROBE_FREE)
        self.until = now

    def _move(self, happening: Happening) -> None:
        self.state = TRANSITIONS[self.state, happening]


class Permit(msgspec.Struct, frozen=True):
    """An attempt that may be made. Its end has to be told to `Health.settle`, exactly once, whatever it was."""

    provider: str
    model: str
    key: str
    probes: tuple[tuple[str, ...], ...] = ()
    """Names of the breakers that it is the probe of."""
    number: int = 0
    """Tells its probes from those of others."""


class Blocked(msgspec.Struct, frozen=True):
    """Why a target is not to be asked."""

    retry_after: float
    """Seconds."""
    key: bool
    """Because of its key."""


class Change(msgspec.Struct, frozen=True):
    """A breaker that moved: a line for the log and a number for the metrics."""

    provider: str
    model: str | None
    """None: a key's, for all models."""
    key: bool
    state: State
    until: float


MAX_TROUBLES = 4096
"""Breakers that are not clean; names of models come from clients."""


class Health:
    """The breakers of all providers. Times are seconds of one monotonic clock."""

    def __init__(self, rules: BreakerRules, own: dict[str, BreakerRules] | None = None) -> None:
        self._rules = rules
        self._own = own or {}
        """Rules of single providers."""
        self._troubles: Recent[tuple[str, ...], Breaker] = Recent(MAX_TROUBLES)
        self.troubled: Collection[tuple[str, ...]] = self._troubles.entries
        """Empty while nothing is held against anybody: a look that costs no call."""
        self._number = 0

    def rules(self, provider: str) -> BreakerRules:
        return self._own.get(provider, self._rules)

    def blocked(self, provider: str, model: str, key: str, now: float) -> Blocked | None:
        """Why ``model`` of ``provider`` is not to be asked with ``key``, a name of it that says nothing of it; None: it
        may be."""
        if not self.troubled:
            return None
        worst: Blocked | None = None
        for name in _names(provider, model, key):
            breaker = self._troubles.peek(name)
            if breaker is None:
                continue
            secs = breaker.blocked(now)
            if breaker.clean:
                self._troubles.drop(name)
            if secs is not None and (worst is None or secs > worst.retry_after):
                worst = Blocked(secs, name[0] != "model")
        return worst

    def enter(self, provider: str, model: str, key: str, now: float) -> Permit | Blocked:
        """Begin an attempt, all breakers together or none."""
        blocked = self.blocked(provider, model, key, now)
        if blocked is not None:
            return blocked
        probes = []
        self._number += 1
        for name in _names(provider, model, key):
            breaker = self._troubles.get(name)
            if breaker is not None and breaker.enter(now):
                breaker.probe = self._number
                probes.append(name)
        return Permit(provider, model, key, tuple(probes), self._number)

    def settle(
        self, permit: Permit, verdict: Verdict, now: float, retry_after: float | None = None
    ) -> tuple[Change, ...]:
        """The end of an attempt: the breakers that moved.

        A stream is settled when its first content is there; one that breaks later is told to `fail`.
        """
        rules = self.rules(permit.provider)
        if rules.failures is None:
            return ()
        changes: list[Change] = []
        for name in _names(permit.provider, permit.model, permit.key):
            probe = name in permit.probes
            concerned = _CONCERNS[name[0]]
            breaker = self._troubles.get(name)
            before = breaker.state if breaker is not None else State.CLOSED
            if breaker is None:
                # Forgotten for room, or never in trouble: a probe's end then says what any attempt's would.
                probe = False
                if verdict not in concerned:
                    continue
                breaker = self._new(name[0], rules)
                self._troubles.put(name, breaker)
            if probe and (breaker.state is not State.PROBING or breaker.probe != permit.number):
                probe = False  # that of a breaker which was forgotten meanwhile
            _tell(
                breaker,
                verdict,
                concerned,
                now,
                None if retry_after is None else min(retry_after, rules.max_hold),
                probe,
            )
            if breaker.clean:
                self._troubles.drop(name)
            if breaker.state is not before:
                model = name[-1] if name[0] != "key" else None
                changes.append(Change(permit.provider, model, name[0] != "model", breaker.state, breaker.until))
        return tuple(changes)

    def fail(self, permit: Permit, now: float) -> tuple[Change, ...]:
        """An answer that had begun well broke off: a failure, and no probe any more."""
        return self.settle(msgspec.structs.replace(permit, probes=()), Verdict.FAILURE, now)

    def heard(
        self, provider: str, model: str, now: float, secs: float, state: State = State.OPEN
    ) -> tuple[Change, ...]:
        """Another replica has the breaker of ``model`` in ``state``, `OPEN` or `HELD`, for ``secs`` seconds more. It is
        a hint: what is known here for longer goes before, and afterwards this one asks with a probe of its own.
        Returns the breaker if it moved."""
        rules = self.rules(provider)
        if rules.failures is None:
            return ()
        name = ("model", provider, model)
        breaker = self._troubles.get(name)
        if breaker is None:
            breaker = self._new("model", rules)
            self._troubles.put(name, breaker)
        before = breaker.state
        secs = min(secs, max(rules.max_hold, rules.cooldown))
        if state is State.OPEN:
            breaker.trip(now, secs)
        elif before in (State.CLOSED, State.HELD):
            breaker.hold(now, secs, probe=False)
        return () if breaker.state is before else (Change(provider, model, False, breaker.state, breaker.until),)

    def recovered(self, provider: str, model: str, now: float) -> None:
        """Another replica has closed the breaker of ``model``: here the next request tries it."""
        breaker = self._troubles.peek(("model", provider, model))
        if breaker is not None:
            breaker.recover(now)

    def mended(self, provider: str, key: str | None = None) -> None:
        """The provider has another key now: what was held against the old one is forgotten."""
        for name in [name for name in self._troubles if name[0] != "model" and name[1] == provider]:
            if key is None or name[2] == key:
                self._troubles.drop(name)

    def troubles(self, now: float) -> tuple[Change, ...]:
        """All breakers that let not everybody ask, for people and metrics; a wait's end is nobody's move to report."""
        out = []
        for name in list(self._troubles):
            breaker = self._troubles.peek(name)
            if breaker is None or (breaker.blocked(now) is None and breaker.state is State.CLOSED):
                continue
            model = name[-1] if name[0] != "key" else None
            out.append(Change(name[1], model, name[0] != "model", breaker.state, breaker.until))
        return tuple(out)

    def state(self, provider: str, model: str, now: float) -> State:
        """How one model of a provider stands, whatever its keys do."""
        breaker = self._troubles.peek(("model", provider, model))
        if breaker is None:
            return State.CLOSED
        breaker.blocked(now)  # a wait that is over ends when somebody looks
        return breaker.state

    def _new(self, kind: str, rules: BreakerRules) -> Breaker:
        if kind == "key":
            return Breaker(1, rules.key_cooldown)
        # Some providers also say 403 to a prompt they do not like: one client alone must not take a model from all.
        return Breaker(rules.failures or 1, rules.cooldown if kind == "model" else rules.key_cooldown)


def _names(provider: str, model: str, key: str) -> tuple[tuple[str, ...], ...]:
    return ("model", provider, model), ("key", provider, key), ("key_model", provider, key, model)


_CONCERNS: dict[str, frozenset[Verdict]] = {
    "model": frozenset({Verdict.FAILURE, Verdict.LIMITED}),
    "key": frozenset({Verdict.KEY}),
    "key_model": frozenset({Verdict.KEY_FOR_MODEL}),
}
"""Which verdicts are a failure of which breaker."""


def _tell(
    breaker: Breaker,
    verdict: Verdict,
    concerned: frozenset[Verdict],
    now: float,
    retry_after: float | None,
    probe: bool,
) -> None:
    if verdict in concerned:
        if verdict is Verdict.LIMITED and retry_after is not None:
            breaker.hold(now, retry_after, probe=probe)
        else:
            breaker.fail(now, probe=probe)
    elif verdict is Verdict.SUCCESS:
        breaker.succeed(now, probe=probe)
    elif probe:
        breaker.free(now)
