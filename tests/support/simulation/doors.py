"""Doors of several processes over one Redis that has troubles, and the door of one process; their clients by chance.

Every world asserts what is promised as it goes and at its end; what came of the requests is counted in ``ends``.
"""

from __future__ import annotations

import random
from collections import Counter

import anyio

from ferryllm_net.admission import Door, MemoryDoor
from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.redis.door import RedisAdmission, RedisDoor
from ferryllm_proto.actions import Admit, Settle
from ferryllm_proto.inputs import Admitted, Refused
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import NO_LIMITS, Ask, ClientKey, Desk, KeyBook, KeyLimits
from ferryllm_proto.routing.quota import Need, Period, Quota, Reserved, Unit

from .fake_redis import UNIX, FakeLink, FakeRedis

SWEEP_SECS = 0.5
"""Five times as long as the gateway's, for time costs CPU here too; every wait may be so much longer."""
MARGIN_SECS = 1.0
"""For a sweep, and for Redis' deadline again and again."""
ENOUGH_SECS = 12.0
"""After so long of a server that is well every link has found it: its pauses between attempts end at 2.5 s."""
TROUBLES = ("slow", "hung", "refusing", "away", "torn")


class _Clients:
    """Requests that come at any time, stay, and may leave while they wait."""

    def __init__(self, rng: random.Random, rules: GateRules, keys: tuple[ClientKey, ...]) -> None:
        self.rng = rng
        self.rules = rules
        self.keys = keys
        self.begun = anyio.current_time()
        self.ends: Counter[str] = Counter()
        self.inside: dict[int, tuple[Door, Admitted]] = {}
        self.rows: list[tuple[float, str, int]] = []
        """What the ledger knows: when a request ended, whose it was, its tokens."""
        self.standing: Counter[str] = Counter()
        """Keys of those whom the door has not answered yet."""

    def unix(self) -> float:
        return UNIX + anyio.current_time() - self.begun

    async def come(self, doors: list[Door], secs: float, count: int) -> None:
        """``count`` clients, spread over ``secs``; returns when all have gone."""
        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(self._client, self.rng.choice(doors), self.rng.random() * secs)

    async def _client(self, door: Door, after: float) -> None:
        rng = self.rng
        await anyio.sleep(after)
        key = rng.choice(self.keys)
        admit = Admit(key, Ask("m", 10, 10), key.id, concurrency=key.limits.concurrency)
        begun, found = anyio.current_time(), None
        patience = rng.choice((0.0, 0.0005, 0.002, 0.051, 0.3, 2.0)) if rng.random() < 0.3 else 1000.0
        self.standing[key.id] += 1
        with anyio.move_on_after(patience):
            found = await door.enter(admit, begun, self.unix())
        self.standing[key.id] -= 1
        if found is None:
            self.ends["left"] += 1
            return
        self.judge(door, found, anyio.current_time() - begun)
        if type(found) is Refused:
            self.ends[found.refusal.reason] += 1
            return
        assert type(found) is Admitted
        self.inside[id(found)] = door, found
        try:
            # The last one is longer than a lease.
            await anyio.sleep(rng.choice((0.0, 0.01, 0.5, 3.0, 10.0, 30.0)) if rng.random() < 0.95 else 90.0)
        finally:
            took = rng.random() < 0.8
            tokens = rng.choice((None, 0, 5, 100)) if took else 0
            if took:
                self.rows.append((self.unix(), f"key/{key.id}", 20 if tokens is None else tokens))
            del self.inside[id(found)]
            door.settle(Settle(found.admission, tokens, None, took), anyio.current_time(), self.unix())
            door.leave(found.admission, anyio.current_time())
        self.ends["admitted"] += 1

    def judge(self, door: Door, found: Admitted | Refused, secs: float) -> None:
        assert secs <= self.rules.wait + MARGIN_SECS, f"an answer of the door took {secs:.1f} s"

    def used(self, owner: str, unit: Unit) -> int:
        return sum(1 if unit is Unit.REQUESTS else tokens for _, whose, tokens in self.rows if whose == owner)

    async def sweep(self, doors: list[Door]) -> None:
        while True:
            for door in doors:
                door.sweep(anyio.current_time())
            self.look(doors)
            await anyio.sleep(SWEEP_SECS)

    def look(self, doors: list[Door]) -> None:
        """Assert what holds at any moment."""


def _keys(rng: random.Random) -> tuple[ClientKey, ...]:
    return tuple(
        ClientKey(
            f"k{n}",
            b"%d" % n,
            limits=KeyLimits(concurrency=rng.choice((None, 1, 3))),
            quotas=(
                Quota(Unit.REQUESTS, Period.EVER, rng.choice((10, 10_000))),
                Quota(Unit.TOKENS, Period.EVER, rng.choice((500, 1_000_000))),
            ),
        )
        for n in range(2)
    )


class SharedDoors(_Clients):
    """Processes that share places and quotas by a server of the ups and downs of one seed."""

    def __init__(self, rng: random.Random) -> None:
        limit = rng.choice((None, 2, 5))
        super().__init__(rng, GateRules(limit, rng.choice((0, 2, 8)), rng.choice((0.5, 3.0))), _keys(rng))
        self.server = FakeRedis(rng, self.unix)
        self.count = rng.choice((1, 2, 3))
        self.settings = RedisSettings(
            "redis.test", on_failure=rng.choice(("local", "open", "closed")), expected_replicas=self.count
        )
        self.ledger = rng.random() < 0.7
        self.well_since = 0.0
        self.asked: list[float] = []
        """When the ledger was asked what was used."""

    async def live(self) -> None:
        book = KeyBook(self.keys)
        doors: list[RedisDoor] = []
        async with anyio.create_task_group() as tasks:
            for _ in range(self.count):
                link = FakeLink(self.settings, self.server)
                desk = Desk(book)
                used = self._used if self.ledger else None
                door = RedisDoor(desk, NO_LIMITS, NO_LIMITS, self.rules, self.settings, link, used=used)
                doors.append(door)
                tasks.start_soon(link.run)
                tasks.start_soon(door.run)
            ports: list[Door] = list(doors)
            tasks.start_soon(self.sweep, ports)
            async with anyio.create_task_group() as both:
                both.start_soon(self._troubles)
                both.start_soon(self.come, ports, 90.0, self.rng.choice((20, 60)))
            await anyio.sleep(ENOUGH_SECS)
            self.look(ports)
            self._judge_end(doors)
            await self._judge_recovery(doors)
            tasks.cancel_scope.cancel()

    async def _troubles(self) -> None:
        rng, server = self.rng, self.server
        if rng.random() < 0.3:
            server.become(rng.choice(TROUBLES))
        for _ in range(3):
            await anyio.sleep(rng.choice((0.1, 4.0)) if server.mode == "refusing" else rng.choice((0.1, 3.0, 15.0)))
            if rng.random() < 0.4:
                server.forget()
            server.become("well")
            self.well_since = anyio.current_time()
            # Longer than the time between two renewals of a lease: no more than one is missed.
            await anyio.sleep(rng.uniform(21.0, 30.0))
            if rng.random() < 0.3:
                for connection in list(server.connections):
                    connection.invalidate("cut")
            server.become(rng.choice(TROUBLES))
        await anyio.sleep(1.0)
        server.become("well")
        self.well_since = anyio.current_time()

    async def _used(self, owner: str, unit: Unit, since: float) -> int:
        self.asked.append(self.unix())
        return self.used(owner, unit)

    @property
    def well(self) -> bool:
        """Whether the server has been well long enough for everybody to know."""
        return self.server.mode == "well" and anyio.current_time() - self.well_since > ENOUGH_SECS

    def judge(self, door: Door, found: Admitted | Refused, secs: float) -> None:
        super().judge(door, found, secs)
        mode = self.settings.on_failure
        if type(found) is Refused:
            if found.refusal.reason == "store":
                assert mode == "closed", f"{mode}: nobody is let in without Redis"
                assert not self.well, "Redis is there, and nobody is let in without it"
            return
        assert type(found) is Admitted
        admission = found.admission
        assert type(admission) is RedisAdmission
        counted = admission.held.recorded
        assert counted or mode != "closed", "closed: somebody came in uncounted"
        assert counted or (admission.local is None) == (mode == "open"), f"{mode}: counted in the wrong place"
        assert counted or not self.well, "Redis is there, and somebody came in uncounted"
        self.ends["counted" if counted else "uncounted"] += 1

    def look(self, doors: list[Door]) -> None:
        server, local = self.server, Counter[int]()
        there: Counter[str] = Counter()
        for door, found in self.inside.values():
            admission = found.admission
            assert type(admission) is RedisAdmission
            held = admission.held
            assert held.id not in server.expired, "the lease of a request under way ended"
            if admission.local is not None:
                local[id(door)] += 1
            if held.id not in server.forgotten:
                for key in held.leases:
                    assert server.leases[key].get(held.id, 0.0) > self.unix(), "the lease of a request under way ended"
                there.update(held.leases)
        bounds = {f"key/{key.id}": key.limits.concurrency for key in self.keys} | {"gateway": self.rules.limit}
        for name, count in there.items():
            bound = bounds[name.rpartition(":")[2]]
            assert bound is not None
            assert count <= bound, f"{count} requests in {bound} places of {name}"
        limit = self.rules.limit
        if limit is not None:
            assert max(local.values(), default=0) <= max(limit // self.count, 1), "more than this process's share"

    def _judge_end(self, doors: list[RedisDoor]) -> None:
        server = self.server
        for door in doors:
            assert (door.inside, door.waiting, door.later.held) == (0, 0, 0), "somebody is still there"
            assert not len(door.later), "Redis was not told everything"
            assert not door.later.lost
        assert not any(server.leases.values()), f"places that nobody holds: {server.leases}"
        assert not server.records, "charges that nobody corrected"
        for key in self.keys:
            for quota in key.quotas:
                owner = f"key/{key.id}"
                names = [name for name in server.accounts if f":{quota.unit.value}:" in name and name.endswith(owner)]
                for name in names:
                    self._judge_total(server.accounts[name]["0"], owner, quota.unit)

    def _judge_total(self, total: int, owner: str, unit: Unit) -> None:
        used = self.used(owner, unit)
        if self.ledger:
            # What ends between the ledger's answer and its arrival at Redis is in neither.
            spans = [(min(at for at in self.asked if at >= until - 1.0), until) for until in self.server.opened]
            between = [
                1 if unit is Unit.REQUESTS else tokens
                for at, whose, tokens in self.rows
                if whose == owner and any(begin <= at <= until for begin, until in spans)
            ]
            assert used - sum(between) <= total <= used, f"{owner}: {total} {unit.value} counted, {used} used"
        else:
            assert total <= used, f"{owner}: {total} {unit.value} counted, {used} used"

    async def _judge_recovery(self, doors: list[RedisDoor]) -> None:
        for door in doors:
            found = await door.enter(Admit(None, Ask("m", 1, 1), "", concurrency=None), 0.0, self.unix())
            assert type(found) is Admitted
            admission = found.admission
            assert type(admission) is RedisAdmission
            assert self.rules.limit is None or admission.held.leases, "Redis is back, and is not asked"
            door.leave(admission, 0.0)
            await anyio.sleep(1.0)  # until the others hear of it


class MemoryDoors(_Clients):
    """One process; the rules change meanwhile."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(rng, GateRules(rng.choice((1, 3)), rng.choice((0, 2, 8)), rng.choice((0.5, 3.0))), _keys(rng))
        self.most = 0

    async def live(self) -> None:
        book = KeyBook(self.keys)
        door = self.door = MemoryDoor(Desk(book), self.rules)
        doors: list[Door] = [door]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.sweep, doors)
            tasks.start_soon(self._change, book)
            await self.come(doors, 60.0, self.rng.choice((20, 80)))
            tasks.cancel_scope.cancel()
        assert (door.inside, door.waiting) == (0, 0), "somebody is still there"
        assert not vars(door)["_waits"]
        for key in self.keys:
            for quota in key.quotas:
                owner, accounts = f"key/{key.id}", door.desk.accounts
                total, used = accounts.used(owner, quota, self.unix()), self.used(owner, quota.unit)
                assert total == used, f"{key.id}: {total} {quota.unit.value} counted, {used} used"
                left = max(quota.limit - used, 0)
                rest = accounts.reserve([(owner, quota)], Need(left, left, None), self.unix())
                assert type(rest) is Reserved or not left, f"{key.id}: {quota.unit.value} are set aside for nobody"

    async def _change(self, book: KeyBook) -> None:
        while True:
            await anyio.sleep(self.rng.uniform(1.0, 10.0))
            limit, wait = self.rng.choice((1, 3, 5)), self.rules.wait
            self.door.change(
                book, NO_LIMITS, NO_LIMITS, GateRules(limit, self.rng.choice((0, 8)), wait), anyio.current_time()
            )
            self.most = max(self.most, self.door.inside)

    def judge(self, door: Door, found: Admitted | Refused, secs: float) -> None:
        super().judge(door, found, secs)
        self.ends["waited"] += type(found) is Admitted and found.waited > 0

    def look(self, doors: list[Door]) -> None:
        door, limit = self.door, self.door.gate.rules.limit
        assert limit is not None
        assert door.inside <= max(limit, self.most), "more requests than places"
        self.most = door.inside  # of a bound that was lowered they go one by one
        if door.inside < limit and len(self.inside) == door.inside:  # nobody is let in and has not heard of it yet
            own = Counter(found.admission.key.id for _, found in self.inside.values() if found.admission.key)
            for key in self.keys:
                bounded = own[key.id] >= (key.limits.concurrency or limit)
                assert bounded or not self.standing[key.id], "somebody waits in front of a free place"
