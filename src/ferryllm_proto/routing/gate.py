"""How many may be inside at one time, and a fair queue in front of it.

Those who wait belong to flows, one for each client key: the flows take turns, so that a key with a thousand requests
holds up a key with one by a single place. The machine of one door: the gateway has one, and so has each provider with a
bound of its own.
"""

from __future__ import annotations

import enum
from typing import Union

import msgspec


class GateRules(msgspec.Struct, frozen=True):
    limit: int | None = None
    """How many may be inside; None is any number."""
    queue: int = 0
    """How many may wait; 0 turns away at once."""
    wait: float = 10.0
    """Seconds that somebody may wait."""


class Why(enum.Enum):
    FULL = "full"
    """Nobody more may be inside, nor wait."""
    CROWDED = "crowded"
    """It waited, and had to make room for a flow with fewer requests."""
    LATE = "late"
    """It waited too long."""


class Granted(msgspec.Struct, frozen=True, gc=False):
    """It is inside. Tell `Gate.leave` when it is done."""

    ticket: int
    waited: float
    """Seconds."""


class Dropped(msgspec.Struct, frozen=True, gc=False):
    """It is turned away, and not to be told to `Gate.leave`."""

    ticket: int
    why: Why
    own: bool
    """Because of its flow's bound and not of the gate's."""
    retry_after: float
    """Seconds after which there may be room, from how long others stayed."""


Decision = Union[Granted, Dropped]  # noqa: UP007 - a plain alias
"""What becomes of a ticket. One without a decision waits."""

STAY_SHARE = 0.2
"""How much one stay moves the mean."""
LONGEST_ADVICE = 60.0
"""Seconds of a Retry-After that is only an estimate."""


class _Flow:
    __slots__ = ("inside", "most", "waiting")

    def __init__(self) -> None:
        self.inside = 0
        self.most: int | None = None
        self.waiting: dict[int, float] = {}
        """Tickets in their order, and since when."""

    @property
    def open(self) -> bool:
        return self.most is None or self.inside < self.most


class Gate:
    """Tickets are numbers of the caller, each used once. Each method answers with the decisions it brought about, also
    about other tickets."""

    def __init__(self, rules: GateRules) -> None:
        self.rules = rules
        self._flows: dict[str, _Flow] = {}
        self._inside: dict[int, tuple[str, float]] = {}
        self._waiting: dict[int, tuple[str, float]] = {}
        """All who wait, longest first, with the time they began to: everybody may wait equally long."""
        self._turns: dict[str, None] = {}
        """Flows of which somebody waits and may come in, the next one first."""
        self._stay = 1.0
        """Mean seconds between coming in and leaving."""

    @property
    def inside(self) -> int:
        return len(self._inside)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def enter(self, ticket: int, flow: str, now: float, most: int | None = None) -> list[Decision]:
        """Somebody of ``flow`` wants in; of it ``most`` may be inside."""
        known = self._flows.get(flow)
        if known is None:
            known = self._flows[flow] = _Flow()
        known.most = most
        out: list[Decision] = []
        if known.open and self._room and not known.waiting:
            self._let_in(ticket, flow, known, now, now, out)
            return out
        full = len(self._waiting) >= self.rules.queue
        if full and not (self.rules.queue and self._make_room(known, out)):
            out.append(self._drop(ticket, known, Why.FULL))
            self._forget(flow, known)
            return out
        known.waiting[ticket] = now
        self._waiting[ticket] = flow, now
        if known.open:
            self._turns[flow] = None
            self._fill(now, out)  # there is room only when the flow's bound or the gate's has just been raised
        return out

    def leave(self, ticket: int, now: float) -> list[Decision]:
        """It is done, or it does not want to wait any longer: its client has gone. Unknown tickets are nothing."""
        out: list[Decision] = []
        if ticket in self._waiting:
            self._unqueue(ticket)
            return out
        known = self._inside.pop(ticket, None)
        if known is None:
            return out
        name, since = known
        self._stay += STAY_SHARE * (max(now - since, 0.0) - self._stay)
        flow = self._flows[name]
        flow.inside -= 1
        if flow.waiting and flow.open:
            self._turns.setdefault(name)
        self._forget(name, flow)
        self._fill(now, out)
        return out

    def expire(self, now: float) -> list[Decision]:
        """Turn away who waited too long."""
        out: list[Decision] = []
        while self._waiting:
            ticket, (name, since) = next(iter(self._waiting.items()))
            if now < since + self.rules.wait:
                break
            flow = self._flows[name]
            self._unqueue(ticket)
            out.append(self._drop(ticket, flow, Why.LATE))
        return out

    def next_deadline(self) -> float | None:
        """When to come back to `expire`."""
        for _, since in self._waiting.values():
            return since + self.rules.wait
        return None

    def change(self, rules: GateRules, now: float) -> list[Decision]:
        """Other rules from now on. Nobody inside is thrown out, and nobody who waits either."""
        self.rules = rules
        out: list[Decision] = []
        self._fill(now, out)
        return out

    @property
    def _room(self) -> bool:
        return self.rules.limit is None or len(self._inside) < self.rules.limit

    def _fill(self, now: float, out: list[Decision]) -> None:
        while self._turns and self._room:
            name = next(iter(self._turns))
            del self._turns[name]
            flow = self._flows[name]
            if not flow.open:  # its bound was lowered while it waited
                continue
            ticket, since = next(iter(flow.waiting.items()))
            del flow.waiting[ticket], self._waiting[ticket]
            self._let_in(ticket, name, flow, since, now, out)
            if flow.waiting and flow.open:
                self._turns[name] = None

    def _let_in(self, ticket: int, name: str, flow: _Flow, since: float, now: float, out: list[Decision]) -> None:
        flow.inside += 1
        self._inside[ticket] = name, now
        out.append(Granted(ticket, max(now - since, 0.0)))

    def _make_room(self, flow: _Flow, out: list[Decision]) -> bool:
        """Turn away the newest of the longest queue if ``flow`` has a shorter one, as fair queueing does (RFC 8290
        section 4.1 drops from the fattest flow too)."""
        longest = max(self._flows.values(), key=lambda other: len(other.waiting))
        if len(longest.waiting) <= len(flow.waiting) + 1:
            return False
        ticket = next(reversed(longest.waiting))
        self._unqueue(ticket)
        out.append(self._drop(ticket, longest, Why.CROWDED))
        return True

    def _unqueue(self, ticket: int) -> None:
        name, _ = self._waiting.pop(ticket)
        flow = self._flows[name]
        del flow.waiting[ticket]
        if not flow.waiting:
            self._turns.pop(name, None)
        self._forget(name, flow)

    def _forget(self, name: str, flow: _Flow) -> None:
        if not flow.inside and not flow.waiting:
            self._flows.pop(name, None)

    def _drop(self, ticket: int, flow: _Flow, why: Why) -> Dropped:
        own = not flow.open
        places = (flow.most if own else self.rules.limit) or 1
        ahead = len(flow.waiting) if own else len(self._waiting)
        secs = self._stay * (ahead + 1) / places
        return Dropped(ticket, why, own, min(max(secs, 1.0), LONGEST_ADVICE))
