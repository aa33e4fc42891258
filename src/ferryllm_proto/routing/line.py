"""Who waits for a place that is given away elsewhere: a fair queue in front of a gate that many processes share.

`gate.Gate` knows who is inside; here nobody does, one can only ask. So the line says whom to ask for next, the first of
each flow in turns, and is told what came of it.
"""

from __future__ import annotations

from .gate import Dropped, GateRules, Why

ADVICE = 1.0
"""Seconds after which there may be room: how long others stay is not known here."""


class Line:
    """Tickets are numbers of the caller, each used once. Of ``rules`` the queue and the wait count."""

    def __init__(self, rules: GateRules) -> None:
        self.rules = rules
        self._flows: dict[str, dict[int, None]] = {}
        """Tickets in their order; the flow whose turn is next comes first."""
        self._waiting: dict[int, tuple[str, float]] = {}
        """All who wait, longest first, with the time they began to."""
        self._own: set[int] = set()
        """Those who were kept out by their own flow's bound, when they were asked for last."""

    def __len__(self) -> int:
        return len(self._waiting)

    def blocks(self, flow: str) -> bool:
        """Whether somebody new of ``flow`` has to stand behind others: those of its flow, or anybody who waits for the
        gate itself."""
        return flow in self._flows or len(self._own) < len(self._waiting)

    def join(self, ticket: int, flow: str, now: float, *, own: bool = False) -> list[Dropped]:
        """Somebody stands in line: who is turned away for it, perhaps itself. ``own``: the bound of its flow is in the
        way."""
        out: list[Dropped] = []
        if len(self._waiting) >= self.rules.queue:
            longest = max(self._flows, key=lambda name: len(self._flows[name]), default=None)
            # As fair queueing does: the newest of the longest goes, if that is not the one that comes.
            if longest is None or len(self._flows[longest]) <= len(self._flows.get(flow, ())) + 1:
                return [Dropped(ticket, Why.FULL, own, ADVICE)]
            last = next(reversed(self._flows[longest]))
            out.append(self._dropped(last, Why.CROWDED))
        self._flows.setdefault(flow, {})[ticket] = None
        self._waiting[ticket] = flow, now
        if own:
            self._own.add(ticket)
        return out

    def heads(self) -> list[int]:
        """The first of each flow, in turns."""
        return [next(iter(tickets)) for tickets in self._flows.values()]

    def kept_out(self, ticket: int, *, own: bool) -> None:
        """It was asked for, and there was no room: ``own`` because of its flow's bound."""
        if ticket in self._waiting:
            (self._own.add if own else self._own.discard)(ticket)

    def came_in(self, ticket: int) -> float | None:
        """It is inside: its flow has had its turn. Answers since when it waited; None if it does not any more."""
        known = self._waiting.get(ticket)
        if known is None:
            return None
        flow, since = known
        self.leave(ticket)
        if flow in self._flows:
            self._flows[flow] = self._flows.pop(flow)
        return since

    def leave(self, ticket: int) -> None:
        """It does not want to wait any longer. Unknown tickets are nothing."""
        known = self._waiting.pop(ticket, None)
        if known is None:
            return
        self._own.discard(ticket)
        tickets = self._flows[known[0]]
        del tickets[ticket]
        if not tickets:
            del self._flows[known[0]]

    def expire(self, now: float) -> list[Dropped]:
        """Turn away who waited too long."""
        late = []
        for ticket, (_, since) in self._waiting.items():
            if now < since + self.rules.wait:
                break
            late.append(ticket)
        return [self._dropped(ticket, Why.LATE) for ticket in late]

    def next_deadline(self) -> float | None:
        """When to come back to `expire`."""
        for _, since in self._waiting.values():
            return since + self.rules.wait
        return None

    def _dropped(self, ticket: int, why: Why) -> Dropped:
        own = ticket in self._own
        self.leave(ticket)
        return Dropped(ticket, why, own, ADVICE)
