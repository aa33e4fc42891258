"""What requests share, on a virtual clock: doors over a Redis with troubles, a door alone, a ledger, a configuration.

What is played is in `support.simulation.doors`, `places` and `changes`. A failure names its seed and number,
and this runs it again::

    FERRYLLM_SEED=7 FERRYLLM_WORLD=12 pytest tests/simulation/test_shared.py
"""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from collections.abc import Callable
from typing import Any, Union

import anyio
import pytest

from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.gateway import App
from ferryllm_net.gateway.interpreter import Interpreter
from ferryllm_net.gateway.recording import Recording
from ferryllm_net.ledger import row_of
from ferryllm_net.ledger.groups import Groups
from ferryllm_net.ledger.postgres import PostgresLedger
from ferryllm_net.redis.bookings import RedisBookings
from ferryllm_net.redis.degraded import Degraded
from ferryllm_net.redis.door import RedisDoor
from ferryllm_net.redis.later import Later
from ferryllm_net.redis.link import Link
from ferryllm_net.redis.names import Names
from ferryllm_proto.actions import Admit, Record
from ferryllm_proto.inputs import Admitted, Refused
from ferryllm_proto.routing.gate import Gate, GateRules
from ferryllm_proto.routing.keys import NO_LIMITS, Ask, Desk, KeyBook
from ferryllm_proto.routing.quota import Accounts
from support.simulation import clocks
from support.simulation.changes import Changes
from support.simulation.doors import MemoryDoors, SharedDoors
from support.simulation.fake_redis import UNIX, FakeLink, FakeRedis
from support.simulation.places import SharedPlaces

SEED = int(os.environ.get("FERRYLLM_SEED", "20261121"))
WORLDS = 8
"""Of the default run, of each kind on each backend; about thirty requests in each."""
DEEP_WORLDS = 1_000
BACKENDS = ("asyncio", "trio")

Kind = Union[type[SharedDoors], type[SharedPlaces], type[MemoryDoors], type[Changes]]  # noqa: UP007 - a plain alias
KINDS: dict[Kind, set[str]] = {
    SharedDoors: {"counted", "uncounted", "store", "busy", "quota", "left"},
    SharedPlaces: {"counted", "uncounted", "store", "limit", "full", "left"},
    MemoryDoors: {"admitted", "waited", "busy", "quota", "left"},
    Changes: {"ok", "key", "busy", "quota", "unwritten", "lost"},
}
"""And the ends of requests that a run of it has to have seen, or it proves little."""


def run_one(kind: Kind, backend: str, number: int) -> Counter[str]:
    """How its requests ended."""
    ends: Counter[str] = Counter()

    async def live() -> None:
        world = kind(random.Random(SEED * 1_000_003 + number))
        await world.live()
        ends.update(world.ends)

    state = random.getstate()
    random.seed(number)  # pauses of the link and of the queue
    try:
        clocks.run(backend, number, live)
    except Exception as exc:
        fault: BaseException = exc
        while inner := getattr(fault, "exceptions", None):
            fault = inner[0]
        where = f"seed {SEED}, world {number}, {backend}, {kind.__name__}"
        raise AssertionError(f"{where}: {type(fault).__name__}: {fault}") from fault
    finally:
        random.setstate(state)
    return ends


def run_many(kind: Kind, backend: str, worlds: int) -> None:
    only = os.environ.get("FERRYLLM_WORLD")
    ends: Counter[str] = Counter()
    for number in [int(only)] if only is not None else range(worlds):
        ends.update(run_one(kind, backend, number))
    assert only is not None or set(+ends) >= KINDS[kind]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_processes_share_is_counted_once_whatever_becomes_of_redis(backend: str) -> None:
    run_many(SharedDoors, backend, WORLDS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bounds_of_a_provider_hold_across_processes_whatever_becomes_of_redis(backend: str) -> None:
    run_many(SharedPlaces, backend, WORLDS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_clients_that_leave_a_queue_at_any_time_leave_nothing_behind(backend: str) -> None:
    run_many(MemoryDoors, backend, WORLDS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_changes_and_a_troubled_ledger_lose_no_request_and_no_row(backend: str) -> None:
    run_many(Changes, backend, WORLDS)


@pytest.mark.deep
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_shared_is_lost_in_many_worlds(kind: Kind, backend: str) -> None:
    run_many(kind, backend, DEEP_WORLDS)


async def wait_twice() -> None:
    """In the line of those who ask Redis, and when that has gone in the process's own."""
    server = FakeRedis(random.Random(0), anyio.current_time)
    settings, rules = RedisSettings("redis.test"), GateRules(limit=1, queue=2, wait=3.0)
    link = FakeLink(settings, server)
    door = RedisDoor(Desk(KeyBook()), NO_LIMITS, NO_LIMITS, rules, settings, link)
    admit = Admit(None, Ask("m", 1, 1), "")
    told: list[tuple[type[Admitted | Refused], float]] = []

    async def wait() -> None:
        begun = anyio.current_time()
        found = await door.enter(admit, begun, UNIX)
        told.append((type(found), anyio.current_time() - begun))
        assert not isinstance(found, Admitted) or found.waited == pytest.approx(told[-1][1])

    async with anyio.create_task_group() as tasks:
        await tasks.start(link.run)
        tasks.start_soon(door.run)
        assert type(await door.enter(admit, anyio.current_time(), UNIX)) is Admitted
        for _ in range(2):
            tasks.start_soon(wait)
        await anyio.sleep(2.0)
        server.become("away")  # one of them gets the process's own place, and stays there
        for _ in range(10):
            await anyio.sleep(0.5)
            door.sweep(anyio.current_time())
        assert [kind for kind, _ in told] == [Admitted, Refused]
        assert [secs for _, secs in told] == pytest.approx([2.0, 3.0], abs=0.1)
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("backend", BACKENDS)
def test_who_waits_when_redis_goes_waits_no_longer_than_anybody(backend: str) -> None:
    clocks.run(backend, 0, wait_twice)


# --- the simulation itself can fail ----------------------------------------------------------------------


def nothing(*_: object, **__: object) -> None:
    """In place of what should have been done."""


async def nothing_later(*_: object, **__: object) -> None:
    """The same for what waits."""


def marked_anew(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, mark, ops: call(self, secrets.token_hex(8), ops)


async def once(self: Link, *, task_status: Any = None) -> None:
    await self._live(nothing)
    self._connection = None


def numbered_anew(insert: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, rows: insert(self, [(row, secrets.randbits(63)) for row, _ in rows])


def forgetful(failed: Callable[..., Any]) -> Callable[..., Any]:
    def drop(self: Groups[Any], group: Any, error: Any) -> Any:
        told = failed(self, group, error)
        self._kept.clear()
        return told

    return drop


def patient(init: Callable[..., None]) -> Callable[..., None]:
    def make(self: Recording, app: App) -> None:
        init(self, app)
        self.deadline = 100.0

    return make


def counting_anew(tell: Callable[..., None]) -> Callable[..., None]:
    def change(self: App) -> None:
        tell(self)
        self.desk.accounts = Accounts()

    return change


async def written(self: Recording, record: Record) -> bool:
    assert self._app.ledger is not None
    self._app.ledger.post(row_of(record))
    return True


async def open_door(self: Degraded, *_: object) -> None:
    return None


def of_its_process(self: Names, scope: str) -> str:
    return f"{id(self)}:{scope}"


def of_its_own(self: Names, *_: object) -> str:
    return secrets.token_hex(8)


NEWEST = property(lambda self: self._app.upstreams, nothing)
FULL = property(lambda self: True)

SABOTAGE: dict[str, tuple[Kind, type, str, Any, str]] = {
    "what nobody knows of is not given back": (SharedDoors, RedisDoor, "_undo", nothing, "nobody"),
    "leases are not renewed": (SharedDoors, Later, "_renew", nothing_later, "lease of a request"),
    "everybody has all": (SharedDoors, Degraded, "_part", lambda self, limit: limit, "process's share"),
    "what nobody counted stays so": (SharedDoors, RedisDoor, "_accounts", lambda *_: (), "counted, .* used"),
    "a batch is told twice": (SharedDoors, Later, "_call", marked_anew(Later._call), "counted, .* used"),
    "it connects once": (SharedDoors, Link, "run", once, "Redis is there|Redis is back|not told everything"),
    "everybody comes in": (SharedDoors, Degraded, "enter", open_door, "uncounted|wrong place"),
    "places are not given back": (SharedDoors, Later, "free", nothing, "still there|nobody holds|uncounted"),
    "places at providers stay taken": (SharedPlaces, RedisBookings, "give_back", nothing, "still there|nobody holds"),
    "nobody knows of a place": (SharedPlaces, RedisBookings, "_undo", nothing, "nobody holds|nobody corrected|places"),
    "leases of places end": (SharedPlaces, Later, "_renew", nothing_later, "lease of an attempt"),
    "every process has its own places": (SharedPlaces, Names, "leases", of_its_process, "places at a provider"),
    "every attempt has its own limit": (SharedPlaces, Names, "bucket", of_its_own, "through a limit"),
    "each has all places": (SharedPlaces, Degraded, "_part", lambda self, limit: limit, "process's share"),
    "nobody keeps bounds alone": (SharedPlaces, Degraded, "book", open_door, "uncounted|wrong place"),
    "a charge stays": (MemoryDoors, Desk, "cancel", nothing, "set aside"),
    "nobody's turn comes": (MemoryDoors, Gate, "_fill", nothing, "free place"),
    "there is always room": (MemoryDoors, Gate, "_room", FULL, "more requests than places"),
    "the newest provider": (Changes, Interpreter, "_upstreams", NEWEST, "of two configurations|lost"),
    "a row is written twice": (Changes, PostgresLedger, "_insert", numbered_anew(PostgresLedger._insert), "twice"),
    "a row is forgotten": (Changes, Groups, "failed", forgetful(Groups.failed), "missing|never written"),
    "rows are waited for": (Changes, Recording, "__init__", patient(Recording.__init__), "holds it up"),
    "rows are not waited for": (Changes, Recording, "write", written, "before its row"),
    "changes count anew": (Changes, App, "_tell_door", counting_anew(App._tell_door), "requests counted"),
}


def run_some(kind: Kind) -> None:
    for number in range(5 * WORLDS):
        run_one(kind, "asyncio", number)


@pytest.mark.parametrize("fault", SABOTAGE)
def test_a_fault_is_noticed(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, owner, name, instead, words = SABOTAGE[fault]
    monkeypatch.setattr(owner, name, instead, raising=False)
    with pytest.raises(AssertionError, match=words):
        run_some(kind)
