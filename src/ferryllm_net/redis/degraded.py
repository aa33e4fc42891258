"""What becomes of limited requests while Redis is away, as `on_failure` has it.

``local`` counts in this process. Each has its share then: limits in a time and places are divided by the number of
processes, and so is what was left of each quota when Redis was last heard of.
"""

from __future__ import annotations

import msgspec

from ferryllm_net.admission.memory import MemoryDoor
from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_proto import ir
from ferryllm_proto.actions import Admit, Book, GiveBack, Settle
from ferryllm_proto.inputs import Admitted, Booked, BookedUp, Refused
from ferryllm_proto.routing.choice import Booking, Closed, Why
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import Admission, ClientKey, Desk, KeyBook, KeyLimits, Project, Refusal
from ferryllm_proto.routing.quota import Period, Quota, Unit, bounds
from ferryllm_proto.routing.recent import Recent

MAX_ACCOUNTS = 65_536
"""Quotas whose last known total is remembered: some 10 MiB, and keys are fewer."""
RETRY_SECS = 1.0
"""What a client is told to wait for: Redis is looked for several times in it."""

_Account = tuple[str, Unit, Period, int]

CLOSED = Refused(
    Refusal(
        ir.Error(
            ir.ErrorKind.OVERLOADED,
            "the gateway cannot reach the store that counts its limits, and lets nobody in without it",
            code="limits_unavailable",
            retry_after=RETRY_SECS,
        ),
        {},
        "store",
    )
)
CLOSED_TO_ALL = BookedUp(Closed(Why.STORE, RETRY_SECS))


class Degraded:
    """Limits and rules are the whole gateway's."""

    def __init__(
        self, book: KeyBook, own: KeyLimits, each: KeyLimits, rules: GateRules, settings: RedisSettings
    ) -> None:
        self._whole = book
        self._own, self._each = own, each
        self._rules = rules
        self._mode = settings.on_failure
        self._share = settings.expected_replicas
        self._door: MemoryDoor | None = None
        """Made by the first outage."""
        self._keys: Recent[str, tuple[ClientKey, ClientKey]] = Recent(MAX_ACCOUNTS)
        self._known: Recent[_Account, tuple[int, int]] = Recent(MAX_ACCOUNTS)
        """Beginning of the period, and the total when Redis was last heard of."""
        self._restored: set[_Account] = set()
        """Those that this process goes on from, in this outage."""
        self.active = False
        """Whether anybody was let in by it since Redis was last heard of."""

    def learn(self, owner: str, quota: Quota, total: int, begin: int) -> None:
        """Redis has said what is used of a quota, in the period that begins then."""
        self._known.put((owner, quota.unit, quota.period, quota.offset), (begin, total))

    def over(self) -> None:
        """Redis is there again."""
        self.active = False
        self._restored.clear()

    async def enter(self, admit: Admit, now: float, unix: float) -> Admitted | Refused | None:
        """None: it is let in, and not counted."""
        self.active = True
        if self._mode == "open":
            return None
        if self._mode == "closed":
            return CLOSED
        door = self._local()
        key = admit.key
        if key is not None:
            key = self._shared(key)
        for owner, _, quota in door.desk.quotas(key):
            account = (owner, quota.unit, quota.period, quota.offset)
            if account not in self._restored:
                self._restored.add(account)
                begin = bounds(quota, unix)[0]
                known = self._known.peek(account)
                total = known[1] if known is not None and known[0] == begin else 0
                door.restore(owner, quota, quota.limit - max(quota.limit - total, 0) // self._share, unix)
        concurrency = None if admit.concurrency is None else self._part(admit.concurrency)
        return await door.enter(msgspec.structs.replace(admit, key=key, concurrency=concurrency), now, unix)

    def settle(self, settle: Settle, admission: Admission, now: float, unix: float) -> None:
        """Of a request that `enter` let in."""
        if self._door is not None:
            self._door.settle(msgspec.structs.replace(settle, admission=admission), now, unix)

    def leave(self, admission: Admission, now: float) -> None:
        """Of a request that `enter` let in."""
        if self._door is not None:
            self._door.leave(admission, now)

    async def book(self, book: Book, now: float) -> Booked | BookedUp | None:
        """Whether there is room for an attempt at a provider. None: it is made, and not counted."""
        if self._mode == "open":
            return None
        if self._mode == "closed":
            return CLOSED_TO_ALL
        demands = tuple(
            msgspec.structs.replace(one, rate=msgspec.structs.replace(one.rate, limit=self._part(one.rate.limit)))
            for one in book.demands
        )
        concurrency = None if book.concurrency is None else self._part(book.concurrency)
        return await self._local().book(Book(book.provider, demands, concurrency), now)

    def give_back(self, back: GiveBack, booking: Booking, now: float) -> None:
        """Of an attempt that `book` let through."""
        if self._door is not None:
            self._door.give_back(msgspec.structs.replace(back, booking=booking), now)

    def change(self, book: KeyBook, own: KeyLimits, each: KeyLimits, rules: GateRules, now: float) -> None:
        """See `Door`."""
        self._whole, self._own, self._each, self._rules = book, own, each, rules
        self._keys = Recent(MAX_ACCOUNTS)
        if self._door is not None:
            self._door.change(self._book(book), self._divided(own), self._divided(each), self._gate(rules), now)

    def sweep(self, now: float) -> None:
        """See `Door`."""
        if self._door is not None:
            self._door.sweep(now)

    @property
    def waiting(self) -> int:
        """See `Door`."""
        return 0 if self._door is None else self._door.waiting

    def _local(self) -> MemoryDoor:
        if self._door is None:
            desk = Desk(self._book(self._whole), self._divided(self._own), self._divided(self._each))
            self._door = MemoryDoor(desk, self._gate(self._rules))
        return self._door

    def _book(self, book: KeyBook) -> KeyBook:
        projects = (
            Project(project.name, self._divided(project.limits), project.quotas) for project in book.projects.values()
        )
        return KeyBook(book, projects)

    def _shared(self, key: ClientKey) -> ClientKey:
        """``key`` with its share of its limits."""
        known = self._keys.get(key.id)
        if known is None or known[0] is not key:
            known = key, msgspec.structs.replace(key, limits=self._divided(key.limits))
            self._keys.put(key.id, known)
        return known[1]

    def _divided(self, limits: KeyLimits) -> KeyLimits:
        return KeyLimits(*(None if limit is None else self._part(limit) for limit in msgspec.structs.astuple(limits)))

    def _gate(self, rules: GateRules) -> GateRules:
        return rules if rules.limit is None else msgspec.structs.replace(rules, limit=self._part(rules.limit))

    def _part(self, limit: int) -> int:
        # Of a limit below the number of processes each has one: to refuse everybody is what `closed` is for.
        return max(limit // self._share, 1)
