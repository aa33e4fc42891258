"""The door of many processes: what one of them lets in, the others know of.

One call of a script admits against everything at once. Where Redis does not answer in time, the configuration says what
becomes of requests (`degraded`). The queue is each process's own: who waits in it is asked for again, in fair turns.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Awaitable, Callable

import anyio
import msgspec

from ferryllm_net.admission.memory import busy
from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_proto.actions import Admit, Book, GiveBack, Settle
from ferryllm_proto.inputs import Admitted, Booked, BookedUp, Refused
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.gate import Dropped, GateRules, Why
from ferryllm_proto.routing.keys import Admission, Desk, KeyBook, KeyLimits, Refusal, foreign, invalid
from ferryllm_proto.routing.limits import Charge
from ferryllm_proto.routing.line import ADVICE, Line
from ferryllm_proto.routing.quota import Quota, Reserved, Unit, bounds

from .asking import Answer, Full, Lease, Limited, OverQuota, Question, Unknown, Yes, read, unpriced, written
from .bookings import RedisBookings
from .degraded import Degraded
from .later import Held, Later
from .link import Link, RedisAwayError, RedisError
from .names import Names, read_target, write_target
from .scripts import script

Used = Callable[[str, Unit, int], Awaitable[int]]
"""What the ledger says an owner (``key/<id>``, ``project/<name>``) has used since that Unix second."""

RECORD_SECS = 3600.0
"""How long Redis remembers what a request was charged, after it last heard of it: a gateway that is cut off for longer
does not correct what it charged before."""
LEDGER_SECS = 2.0
"""For the question what was used of a quota, once for each period of one."""
POLL_SECS = 0.05
"""How often those who wait are asked for again: twenty small calls a second, and only while somebody waits."""


CLOSE_SECS = 1.0
"""At the end, for what is still to be told."""
_GATE = "gateway"
_QUESTIONS = 3
"""How often one admission is asked: once more for what the ledger has to say, and once for the end of a period between
the two."""
_NO_CHARGE = Charge(())
_NOTHING = Reserved(())


class RedisAdmission(Admission, frozen=True):
    """See `Admission`; what is charged stands in Redis."""

    held: Held
    accounts: tuple[tuple[str, int, str, int], ...] = ()
    """Key, beginning of the period, unit and amount set aside of each quota."""
    place: bytes | None = None
    """Where the session was when it came, as Redis has it."""
    local: Admission | None = None
    """What it was charged in this process, while Redis was away."""


class _Waiter:
    __slots__ = ("admit", "answer", "done", "id", "question", "since", "unix")

    def __init__(self, admit: Admit, question: Question, id: str, since: float, unix: float) -> None:  # noqa: A002
        self.admit = admit
        self.question = question
        self.id = id
        self.since = since
        self.unix = unix
        self.done = anyio.Event()
        self.answer: Admitted | Refused | None = None


class RedisDoor:
    """See `Door`. ``own``, ``each`` are those of ``desk``; ``place_secs`` is how long a session stays where it was;
    ``used`` asks a ledger what was used before. `run` has to be running, and that of ``link``."""

    shares = True

    def __init__(
        self,
        desk: Desk,
        own: KeyLimits,
        each: KeyLimits,
        rules: GateRules,
        settings: RedisSettings,
        link: Link,
        *,
        place_secs: float = 3600.0,
        used: Used | None = None,
    ) -> None:
        self.desk = desk
        self._rules = rules
        self._settings = settings
        self._link = link
        self._names = Names(settings.prefix)
        self._script = script("buckets", "admit")
        self._later = Later(link, self._names, settings.lease_secs, RECORD_SECS)
        self._later.done = self._look
        self._degraded = Degraded(desk.book, own, each, rules, settings)
        self._place_secs = place_secs
        self.used = used
        self._told: dict[tuple[str, Quota], tuple[int, int]] = {}
        """What the ledger knew at the start: owner and quota to the beginning of the period and the amount."""
        self._line = Line(rules)
        self._waiters: dict[int, _Waiter] = {}
        self._wake = anyio.Event()
        self._process = secrets.token_hex(6)
        self._number = 0
        self._inside = 0
        self._bookings = RedisBookings(
            settings,
            link,
            self._later,
            self._degraded,
            self._process,
            round(RECORD_SECS * 1000),
            lambda: self._not_counted("booking"),
        )
        self.uncounted = 0
        """Requests, and attempts at providers with bounds, that Redis could not be asked about."""
        self.failed: Callable[[str], None] | None = None
        """Told of each of them, for the metrics."""

    @property
    def inside(self) -> int:
        """See `Door`."""
        return self._inside

    @property
    def waiting(self) -> int:
        """See `Door`."""
        return len(self._line) + self._degraded.waiting

    @property
    def link(self) -> Link:
        """The connection."""
        return self._link

    @property
    def later(self) -> Later:
        """What is still to be told."""
        return self._later

    async def run(self) -> None:
        """Tell Redis what it has to know, and ask for those who wait, until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._later.run)
            tasks.start_soon(self._ask_for_waiting)

    # --- the port ---

    async def enter(self, admit: Admit, now: float, unix: float) -> Admitted | Refused:
        """See `Door`."""
        key = admit.key
        if key is not None:
            refused = invalid(key, unix) or foreign(self.desk.book, key, admit.ask.model)
            if refused is not None:
                return Refused(refused)
        question = self._question(admit)
        if key is not None and not key.unpriced and (over := unpriced(question)) is not None:
            return Refused(Refusal(over.spent.error(over.whose), {}, "quota"))
        self._number += 1
        ticket = self._number
        id_ = f"{self._process}-{ticket}"
        if question.leases and self._line.blocks(admit.flow):
            return await self._stand(_Waiter(admit, question, id_, now, unix), ticket, now)
        if not question.limited and question.session is None:
            return self._let_in(admit, RedisAdmission(key, _NO_CHARGE, _NOTHING, {}, Held(id_, (), False)))
        begun = anyio.current_time()
        try:
            answer = await self._ask(question, id_)
        except RedisError:
            # Others were counted meanwhile: buckets would take an older time for a clock that went back.
            waited = anyio.current_time() - begun
            return await self._without(admit, question, id_, now + waited, unix + waited)
        if type(answer) is Full:
            own = answer.lease.scope != _GATE
            return await self._stand(_Waiter(admit, question, id_, now, unix), ticket, now, own=own)
        return self._said(admit, question, id_, answer)

    def settle(self, settle: Settle, now: float, unix: float) -> None:
        """See `Door`."""
        admission = settle.admission
        assert type(admission) is RedisAdmission
        if admission.local is not None:
            self._degraded.settle(settle, admission.local, now, unix)
        held = admission.held
        if held.recorded or admission.accounts:
            record = self._names.record(held.id) if held.recorded else ""
            self._later.settle(record, settle.took_place, settle.tokens, settle.cost, admission.accounts, unix)
        if settle.session is not None:
            key = self._names.place(settle.session)
            if settle.target is not None:
                self._later.pin(key, write_target(settle.target), self._place_secs)
            elif admission.place is not None:
                self._later.unpin(key, admission.place)

    def leave(self, admission: Admission, now: float) -> None:
        """See `Door`."""
        assert type(admission) is RedisAdmission
        self._inside -= 1
        if admission.local is not None:
            self._degraded.leave(admission.local, now)
        self._later.free(admission.held)

    async def book(self, book: Book, now: float) -> Booked | BookedUp:
        """See `Door`."""
        return await self._bookings.book(book, now)

    def give_back(self, back: GiveBack, now: float) -> None:
        """See `Door`."""
        self._bookings.give_back(back, now)

    def restore(self, owner: str, quota: Quota, used: int, unix: float) -> None:
        """See `Door`. Of use where Redis does not know the quota."""
        begin = bounds(quota, unix)[0]
        self._told[owner, quota] = begin, used
        self._degraded.learn(owner, quota, used, begin)

    def change(self, book: KeyBook, own: KeyLimits, each: KeyLimits, rules: GateRules, now: float) -> None:
        """See `Door`."""
        self.desk.change(book, own, each)
        self._rules = self._line.rules = rules
        self._degraded.change(book, own, each, rules, now)
        self._look()

    def sweep(self, now: float) -> None:
        """See `Door`."""
        for dropped in self._line.expire(now):
            self._drop(dropped)
        self._degraded.sweep(now)

    async def aclose(self) -> None:
        """See `Door`. The connection of `run` has gone by now, so this makes one more if there is anything to tell."""
        if not len(self._later):
            return
        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(CLOSE_SECS):
                await tasks.start(self._link.run)
                await self._later.flush(CLOSE_SECS)
            tasks.cancel_scope.cancel()

    # --- asking ---

    def _question(self, admit: Admit) -> Question:
        leases = []
        if self._rules.limit is not None:
            leases.append(Lease(_GATE, self._rules.limit))
        if admit.concurrency is not None:
            leases.append(Lease(f"key/{admit.flow}", admit.concurrency))
        desk = self.desk
        return Question(desk.demands(admit.key, admit.ask), desk.quotas(admit.key), leases, admit.ask, admit.session)

    async def _ask(self, question: Question, id_: str) -> Answer:
        """Raises RedisError; then nothing stays charged, as soon as Redis can be told."""
        restored: dict[int, tuple[int, int]] | None = {} if self.used is not None or self._told else None
        lease, record = round(self._settings.lease_secs * 1000), round(RECORD_SECS * 1000)
        try:
            for _ in range(_QUESTIONS):
                keys, arguments = written(question, self._names, id_, lease, record, restored)
                answer = read(question, await self._link.call(self._script, keys, arguments))
                if type(answer) is not Unknown:
                    if self._degraded.active:
                        self._degraded.over()
                    return answer
                restored = await self._recall(question, answer)
        except RedisAwayError as exc:
            if exc.sent:
                self._undo(question, id_)
            raise
        except anyio.get_cancelled_exc_class():
            self._undo(question, id_)
            raise
        raise RedisError("what was used of the quotas changes all the time")

    async def _recall(self, question: Question, answer: Unknown) -> dict[int, tuple[int, int]]:
        """What was used of the quotas that Redis does not know."""
        out = {}
        for index, begin in answer.begins.items():
            owner, _, quota = question.owned[index]
            amount = 0
            if self.used is not None:
                try:
                    with anyio.fail_after(LEDGER_SECS):
                        amount = await self.used(owner, quota.unit, begin)
                except Exception as exc:
                    raise RedisError(f"the ledger does not say what was used: {type(exc).__name__}") from None
            else:
                known = self._told.get((owner, quota))
                if known is not None and known[0] == begin:
                    amount = known[1]
            out[index] = amount, begin
        return out

    def _undo(self, question: Question, id_: str) -> None:
        """Nobody knows whether it was let in: whatever was taken is given back."""
        if question.demands or question.owned:
            self._later.settle(self._names.record(id_), False, 0, 0, (), 0.0)
        self._later.free(Held(id_, self._keys(question), False))

    def _keys(self, question: Question) -> tuple[str, ...]:
        return tuple(self._names.leases(lease.scope) for lease in question.leases)

    def _said(self, admit: Admit, question: Question, id_: str, answer: Answer) -> Admitted | Refused:
        """What the exchange is told of ``answer``, which is neither `Full` nor `Unknown`."""
        if type(answer) is Limited:
            return Refused(Refusal(answer.exceeded.error(), answer.standings, "limit"))
        if type(answer) is OverQuota:
            return Refused(Refusal(answer.spent.error(answer.whose), {}, "quota"))
        assert type(answer) is Yes
        held = Held(id_, self._keys(question), bool(question.demands or question.owned))
        if held.leases or held.recorded:
            self._later.hold(held)
        for (owner, _, quota), total in zip(question.owned, answer.totals, strict=True):
            self._degraded.learn(owner, quota, total, bounds(quota, answer.unix)[0])
        place = answer.place if isinstance(answer.place, bytes) else None
        accounts = self._accounts(question, answer.unix)
        admission = RedisAdmission(admit.key, _NO_CHARGE, _NOTHING, answer.standings, held, accounts, place)
        return self._let_in(admit, admission, read_target(place))

    def _let_in(self, admit: Admit, admission: RedisAdmission, pinned: Target | None = None) -> Admitted:
        self._inside += 1
        return Admitted(admission, 0.0, pinned)

    def _accounts(self, question: Question, unix: float) -> tuple[tuple[str, int, str, int], ...]:
        need = question.need
        return tuple(
            (self._names.account(owner, quota), bounds(quota, unix)[0], quota.unit._value_, need.of(quota.unit) or 0)
            for owner, _, quota in question.owned
        )

    async def _without(self, admit: Admit, question: Question, id_: str, now: float, unix: float) -> Admitted | Refused:
        """Redis can not be asked."""
        self._not_counted("admission")
        accounts = self._accounts(question, unix)
        bare = RedisAdmission(admit.key, _NO_CHARGE, _NOTHING, {}, Held(id_, (), False), accounts)
        if not question.limited:
            return self._let_in(admit, bare)
        found = await self._degraded.enter(admit, now, unix)
        if found is None:
            return self._let_in(admit, bare)
        if type(found) is Refused:
            return found
        assert type(found) is Admitted
        local = found.admission
        bare = msgspec.structs.replace(bare, local=local, standings=local.standings)
        return msgspec.structs.replace(self._let_in(admit, bare), waited=found.waited)

    def _not_counted(self, kind: str) -> None:
        self.uncounted += 1
        if self.failed is not None:
            self.failed(kind)

    # --- waiting ---

    async def _stand(self, waiter: _Waiter, ticket: int, now: float, *, own: bool = False) -> Admitted | Refused:
        """Wait in line until there is room."""
        self._waiters[ticket] = waiter
        try:
            for dropped in self._line.join(ticket, waiter.admit.flow, now, own=own):
                self._drop(dropped)
            if not waiter.done.is_set():
                self._look()
                await waiter.done.wait()
        except BaseException:
            self._line.leave(ticket)
            if type(waiter.answer) is Admitted:  # it came in at the same moment
                self._give_back(waiter.answer.admission, waiter)
            raise
        finally:
            del self._waiters[ticket]
        if waiter.answer is not None:
            return waiter.answer
        late = anyio.current_time()
        waited = max(late - waiter.since, 0.0)
        found: Admitted | Refused | None = None
        with anyio.move_on_at(waiter.since + self._rules.wait):  # this process's own queue is no second wait
            found = await self._without(waiter.admit, waiter.question, waiter.id, late, waiter.unix + waited)
        if found is None:
            dropped = Dropped(ticket, Why.LATE, own, ADVICE)
            return Refused(Refusal(busy(dropped, waiter.admit.concurrency), {}, "busy"))
        return msgspec.structs.replace(found, waited=waited + found.waited) if type(found) is Admitted else found

    def _give_back(self, admission: Admission, waiter: _Waiter) -> None:
        """It was let in, and is not there any more."""
        self.settle(Settle(admission, 0, 0, False), waiter.since, waiter.unix)
        self.leave(admission, waiter.since)

    def _drop(self, dropped: Dropped) -> None:
        waiter = self._waiters[dropped.ticket]
        self._tell(waiter, Refused(Refusal(busy(dropped, waiter.admit.concurrency), {}, "busy")))

    def _tell(self, waiter: _Waiter, answer: Admitted | Refused | None) -> None:
        """None: Redis is away, and its own task sees what becomes of it."""
        waiter.answer = answer
        waiter.done.set()

    def _look(self) -> None:
        """There may be room."""
        if self._waiters:
            self._wake.set()

    async def _ask_for_waiting(self) -> None:
        while True:
            if not len(self._line):
                await self._wake.wait()
            self._wake = anyio.Event()
            if not await self._round():
                with anyio.move_on_after(POLL_SECS * random.uniform(0.8, 1.2)):
                    await self._wake.wait()

    async def _round(self) -> bool:
        """Ask for the first of each flow, in turns, until there is no room at the gate; whether anybody came in."""
        moved = False
        for ticket in self._line.heads():
            waiter = self._waiters.get(ticket)
            if waiter is None:
                continue  # it left while another one was asked for
            answer = await self._ask_for(waiter)
            if isinstance(answer, Full):
                own = answer.lease.scope != _GATE
                self._line.kept_out(ticket, own=own)
                if not own:
                    break
                continue
            self._line.came_in(ticket)
            if waiter.done.is_set() or self._waiters.get(ticket) is not waiter:
                if type(answer) is Admitted:  # it was turned away, or left, while it was asked for
                    self._give_back(answer.admission, waiter)
                continue
            moved = True
            self._tell(waiter, answer)
        return moved

    async def _ask_for(self, waiter: _Waiter) -> Admitted | Refused | Full | None:
        try:
            answer = await self._ask(waiter.question, waiter.id)
        except RedisError:
            self._number += 1
            waiter.id = f"{self._process}-{self._number}"  # what becomes of the old one is not known
            return None
        if type(answer) is Full:
            return answer
        said = self._said(waiter.admit, waiter.question, waiter.id, answer)
        if type(said) is Refused:
            return said
        assert type(said) is Admitted
        return msgspec.structs.replace(said, waited=max(anyio.current_time() - waiter.since, 0.0))
