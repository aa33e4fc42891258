"""A Redis in memory on the virtual clock, behind coredis' connection: it is slow, hangs, breaks, refuses, forgets.

It does what `admit.lua` and `later.lua` do with places, limits, quotas and records. Limits in a time are those of
ferryllm_proto: that the scripts count them as the machines do is tested against the real server.
"""

from __future__ import annotations

import contextlib
import errno
import random
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import anyio.abc
from coredis.exceptions import ConnectionError as Lost
from coredis.exceptions import NoScriptError, ResponseError

from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.redis.link import Link
from ferryllm_net.redis.scripts import script
from ferryllm_proto.routing.rates import Bucket, Rate, Taken

UNIX = 1_800_014_400.0
"""2027-01-15 12:00 UTC, when every simulation begins: none lasts until midnight."""
NETWORK_SECS = 0.001


class FakeRedis:
    """One server. ``mode`` is ``well``, ``slow``, ``hung``, ``refusing``, ``away``, or ``torn``: then many a connection
    breaks between a command and its answer."""

    def __init__(self, rng: random.Random, clock: Callable[[], float]) -> None:
        self.rng = rng
        self.clock = clock
        self.mode = "well"
        self.leases: dict[str, dict[str, float]] = {}
        self.accounts: dict[str, dict[str, int]] = {}
        self.since: dict[str, float] = {}
        self.records: dict[str, list[tuple[str, str, int, str]]] = {}
        self.buckets: dict[str, Bucket] = {}
        self.charges: dict[str, list[tuple[Bucket, Taken, bool]]] = {}
        """By record; whether it counts tokens."""
        self.marks: set[str] = set()
        self.forgotten: set[str] = set()
        """Ids of requests whose leases went with the data."""
        self.expired: set[str] = set()
        """Ids whose leases were not renewed in time."""
        self.opened: list[float] = []
        """When quotas were begun with a ledger's number."""
        self.connections: list[Connection] = []
        self._scripts: set[str] = set()
        self._backlog: list[tuple[bytes, tuple[Any, ...]]] = []
        self._changed = anyio.Event()

    # --- what happens to it ---

    def become(self, mode: str) -> None:
        """Go on in another mode."""
        self.mode = mode
        if mode == "away":
            for connection in list(self.connections):
                connection.invalidate("the server has gone")
        if mode != "hung":
            for name, arguments in self._backlog:  # what it had received goes first
                with contextlib.suppress(ResponseError):
                    self._do(name, arguments)
            self._backlog.clear()
        self._changed.set()
        self._changed = anyio.Event()

    def forget(self) -> None:
        """Lose all data, and the scripts."""
        for leases in self.leases.values():
            self.forgotten.update(leases)
        for kept in (self.leases, self.accounts, self.since, self.records, self.buckets, self.charges):
            kept.clear()
        self.marks.clear()
        self._scripts.clear()

    async def run(self, name: bytes, arguments: tuple[Any, ...]) -> object:
        """Do it when its turn has come."""
        while self.mode == "hung":
            await self._changed.wait()
        if self.mode == "slow":
            await anyio.sleep(self.rng.choice((0.01, 0.04, 0.06, 0.2, 3.0)))
        found = self._do(name, arguments)
        if self.mode == "torn" and self.rng.random() < 0.3:
            raise Lost("the connection broke")
        return found

    def cut(self, name: bytes, arguments: tuple[Any, ...]) -> None:
        """The connection broke behind the command: it may have got here."""
        if self.rng.random() < 0.5:
            if self.mode == "hung":
                self._backlog.append((name, arguments))
            else:
                with contextlib.suppress(ResponseError):
                    self._do(name, arguments)

    # --- commands ---

    def _do(self, name: bytes, arguments: tuple[Any, ...]) -> object:
        if name == b"PING":
            return b"PONG"
        if self.mode == "refusing":
            raise ResponseError("OOM command not allowed")
        which = str(arguments[0]) if name == b"EVALSHA" else ""
        for known in (script("buckets", "admit"), script("buckets", "later")):
            if name == b"EVAL" and arguments[0] == known.text:
                which = known.digest
                self._scripts.add(which)
        if which not in self._scripts:
            raise NoScriptError("NOSCRIPT No matching script.")
        count = arguments[1]
        keys, rest = list(arguments[2 : 2 + count]), iter(arguments[2 + count :])
        return self._admit(keys, rest) if which == script("buckets", "admit").digest else self._later(keys[0], rest)

    def _admit(self, keys: list[str], rest: Iterator[Any]) -> list[object]:
        unix = self.clock()
        _, id_, lease_ms, _, leases, buckets, quotas = (next(rest) for _ in range(7))
        held = [(key, next(rest)) for key in keys[2 : 2 + leases]]
        met = [self._bucket(key, rest) for key in keys[2 + leases : 2 + leases + buckets]]
        spent, unknown, full, opened = [], [], False, []
        for at, key in enumerate(keys[2 + leases + buckets :], 1):
            unit, period, _, limit, amount, restored, of = (next(rest) for _ in range(7))
            assert period == "ever"
            total = self.accounts.get(key, {}).get("0")
            if total is None:
                if restored == "":
                    unknown += [at, 0]
                    continue
                total = restored
                opened.append((key, restored, of != ""))
            full = full or total + amount > limit
            spent.append((key, unit, amount, total))
        for key, restored, told in opened:  # also where another one is unknown, as the script has it
            self.accounts[key] = {"0": restored}
            if told:
                self.since[key] = unix
                self.opened.append(unix)
        now = round(unix * 1_000_000)
        if unknown:
            return [b"ask", now, None, unknown]
        if full:
            return [b"quota", now, None, [number for *_, total in spent for number in (total, 0, 0)]]
        clock = unix - UNIX  # nanoseconds of it are exact as floats
        levels = [-(-bucket._level(bucket._time(clock)) // 1000) for bucket, _, _ in met]
        if any(bucket.wait(cost, clock) != 0.0 for bucket, cost, _ in met):
            return [b"limit", now, None, levels]
        for at, (key, most) in enumerate(held, 1):
            there = self.leases.setdefault(key, {})
            for other in [other for other, until in there.items() if until <= unix]:
                self.expired.add(other)
                del there[other]
            if len(there) >= most:
                return [b"full", now, None, [at]]
        for key, _ in held:
            self.leases[key][id_] = unix + lease_ms / 1000
        for key, _, amount, _ in spent:
            self.accounts[key]["0"] += amount
        if quotas or buckets:
            self.records[keys[0]] = [(key, "0", amount, unit) for key, unit, amount, _ in spent]
            self.charges[keys[0]] = [(bucket, bucket.take(cost, clock), tokens) for bucket, cost, tokens in met]
        levels = [bucket._level(bucket._time(clock)) // 1000 for bucket, _, _ in met]
        return [b"admitted", now, None, [*levels, *(total + amount for *_, amount, total in spent)]]

    def _bucket(self, key: str, rest: Iterator[Any]) -> tuple[Bucket, int, bool]:
        limit, period, most, cost, tokens = (next(rest) for _ in range(5))
        rate = Rate(limit, period, most)
        bucket = self.buckets.setdefault(key, Bucket(rate))
        assert bucket.rate == rate, "nobody changes limits here"
        return bucket, cost, tokens == 1

    def _later(self, mark: str, rest: Iterator[Any]) -> int:
        next(rest), next(rest)
        if mark in self.marks:
            return -1
        self.marks.add(mark)
        for word in rest:
            if word == "settle":
                self._settle(rest)
            elif word == "leave":
                self.leases.get(next(rest), {}).pop(next(rest), None)
            else:
                assert word == "renew"
                key, id_, lease_ms, _, _ = (next(rest) for _ in range(5))
                if key:
                    self.leases.setdefault(key, {})[id_] = self.clock() + lease_ms / 1000
        return 1

    def _settle(self, rest: Iterator[Any]) -> None:
        name, ended, took_place, tokens, _, count = (next(rest) for _ in range(6))
        told = [tuple(next(rest) for _ in range(4)) for _ in range(count)]

        def took(unit: str, amount: int) -> int:
            return 1 if unit == "requests" else amount if tokens == "" else tokens

        record = self.records.pop(name, None)
        for bucket, taken, counts in self.charges.pop(name, ()):
            if not took_place or (counts and tokens != ""):
                bucket.settle(taken, tokens if took_place else 0, self.clock() - UNIX)
        if record is not None:
            for key, field, amount, unit in record:
                if field in self.accounts.get(key, {}):
                    self.accounts[key][field] += (took(unit, amount) if took_place else 0) - amount
            return
        for key, begin, unit, amount in told:
            later = ended > self.since.get(key, 0.0) * 1000
            if took_place and later and str(begin) in self.accounts.get(key, {}):
                self.accounts[key][str(begin)] += took(unit, amount)


class _Sent:
    def __init__(self, name: bytes, arguments: tuple[Any, ...]) -> None:
        self.name, self.arguments = name, arguments
        self.done = anyio.Event()
        self.answer: object = None
        self.fault: Exception | None = None


class Connection:
    """What `Link` uses of coredis' connection: commands are done one behind the other, whether anybody waits or not."""

    def __init__(self, server: FakeRedis) -> None:
        self._server = server
        self._queue: list[_Sent] = []
        self._woken = anyio.Event()
        self._scope = anyio.CancelScope()
        self.usable = False

    async def run(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        if self._server.mode == "away":
            raise OSError(errno.ECONNREFUSED, "refused")
        self.usable = True
        self._server.connections.append(self)
        task_status.started()
        try:
            with self._scope:
                await self._serve()
        finally:
            self.usable = False
            self._server.connections.remove(self)
            for sent in self._queue:
                self._server.cut(sent.name, sent.arguments)
                sent.fault = Lost("the connection broke")
                sent.done.set()
        raise Lost("the connection broke")

    async def _serve(self) -> None:
        while True:
            if not self._queue:
                self._woken = anyio.Event()
                await self._woken.wait()
            sent = self._queue[0]
            await anyio.sleep(NETWORK_SECS)
            try:
                sent.answer = await self._server.run(sent.name, sent.arguments)
            except Lost as exc:
                sent.fault = exc
                self.invalidate("torn")
            except ResponseError as exc:
                sent.fault = exc
            self._queue.pop(0)
            sent.done.set()

    async def create_request(self, name: bytes, *arguments: Any, decode: bool = False) -> object:
        if not self.usable:
            raise Lost("not connected")
        sent = _Sent(name, arguments)
        self._queue.append(sent)
        self._woken.set()
        await sent.done.wait()
        if sent.fault is not None:
            raise sent.fault
        return sent.answer

    def invalidate(self, reason: str) -> None:
        self.usable = False
        self._scope.cancel()


class FakeLink(Link):
    """The link itself, but for what it connects to."""

    def __init__(self, settings: RedisSettings, server: FakeRedis) -> None:
        super().__init__(settings)
        self._server = server

    def _made(self) -> Any:
        return Connection(self._server)
