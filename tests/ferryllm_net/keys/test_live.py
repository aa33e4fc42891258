"""Keys of a running gateway: every change comes, and no failing store takes them away."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from ferryllm_net.config.auth_settings import AuthSettings
from ferryllm_net.config.secret import Secret
from ferryllm_net.keys import issuing
from ferryllm_net.keys.bounds import Bounds
from ferryllm_net.keys.live import LiveKeys, gained
from ferryllm_net.keys.sqlite import SqliteKeys
from ferryllm_net.keys.store import KeyStoreError
from ferryllm_net.keys.stored import Loaded
from ferryllm_net.telemetry import Log
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.keys import ClientKey, KeyBook, KeyLimits, Project
from ferryllm_proto.routing.quota import Period, Quota, Unit

NOW = 1_800_000_000.0
SETTINGS = AuthSettings(
    True, (Secret("seed"),), (ClientKey("ci", b"c" * 32, "ci"),), (Project("web", KeyLimits(requests_per_minute=1)),)
)


class Rig(NamedTuple):
    live: LiveKeys
    store: SqliteKeys
    books: list[KeyBook]
    lines: io.StringIO

    def names(self) -> set[str]:
        return {key.name for key in self.books[-1]}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """A gateway's keys, and the store as the command line opens it."""
    books: list[KeyBook] = []
    lines = io.StringIO()
    log = Log(lines, "debug", now=lambda: NOW)
    live = LiveKeys(SqliteKeys.open(tmp_path / "keys.db"), SETTINGS, log, clock=lambda: NOW)
    live.apply = books.append
    store = SqliteKeys.open(tmp_path / "keys.db")
    yield Rig(live, store, books, lines)
    await live.aclose()
    await store.aclose()


@pytest.mark.anyio
async def test_the_book_has_the_keys_of_the_configuration_and_of_the_store(rig: Rig) -> None:
    made = await issuing.create(rig.store, "laptop", now=NOW)
    book = await rig.live.start()
    assert {key.name for key in book} == {"env-1", "ci", "laptop"}
    assert rig.names() == {"env-1", "ci", "laptop"}
    for text in ("seed", made.text.reveal()):
        assert book.find(key_digest(text)) is not None


@pytest.mark.anyio
async def test_changes_elsewhere_come_with_the_next_look_and_nothing_without_one(rig: Rig) -> None:
    await rig.live.start()
    assert await rig.live.refresh() is False
    made = await issuing.create(rig.store, "laptop", now=NOW)
    assert await rig.live.refresh() is True
    assert "laptop" in rig.names()
    again = await issuing.rotate(rig.store, "laptop", now=NOW)
    await rig.live.refresh()
    assert rig.books[-1].find(made.key.texts[0].digest) is None
    await issuing.revoke(rig.store, "laptop", now=NOW)
    await rig.live.refresh()
    found = rig.books[-1].find(again.key.texts[0].digest)
    assert found is not None
    assert found.revoked == NOW
    assert len(rig.books) == 4


@pytest.mark.anyio
async def test_a_project_of_the_configuration_stands_before_that_of_the_store(rig: Rig) -> None:
    await issuing.create_project(rig.store, "web", Bounds(requests_per_minute=9), now=NOW)
    await issuing.create_project(rig.store, "api", Bounds(requests_per_minute=9), now=NOW)
    book = await rig.live.start()
    assert {name: one.limits.requests_per_minute for name, one in book.projects.items()} == {"web": 1, "api": 9}


@pytest.mark.anyio
async def test_a_store_that_was_put_back_is_read_as_a_whole(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        await issuing.create(rig.store, name, now=NOW)
    await rig.live.start()

    async def older() -> int:
        return 1

    async def load(now: float, since: int = 0) -> Loaded:
        assert since == 0
        return Loaded(1, ((await rig.store.find("one")),), ())

    monkeypatch.setattr(rig.live.store, "version", older)
    monkeypatch.setattr(rig.live.store, "load", load)
    assert await rig.live.refresh() is True
    assert rig.names() == {"env-1", "ci", "one"}


@pytest.mark.anyio
async def test_while_the_store_fails_the_keys_stay_and_it_is_said_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await issuing.create(rig.store, "laptop", now=NOW)
    await rig.live.start()
    asked = anyio.Event()
    calls: list[int] = []

    async def version() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise KeyStoreError("the disk is gone")
        if len(calls) > 3:
            asked.set()
        return 1

    async def load(now: float, since: int = 0) -> Loaded:
        return Loaded(1, (), ())

    monkeypatch.setattr(rig.live.store, "version", version)
    monkeypatch.setattr(rig.live.store, "load", load)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, rig.live)
        with anyio.fail_after(5):
            await asked.wait()
        tasks.cancel_scope.cancel()
    said = rig.lines.getvalue()
    assert said.count("key store failed") == 1
    assert "the disk is gone" in said
    assert said.count("key store is back") == 1
    assert rig.names() == {"env-1", "ci"}


@pytest.mark.anyio
async def test_a_store_that_does_not_answer_is_a_fault(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferryllm_net.keys.live.SLOW_SECS", 0.001)
    monkeypatch.setattr(rig.live.store, "version", anyio.sleep_forever)
    with pytest.raises(KeyStoreError, match="no answer within"):
        await rig.live.refresh()


async def _watch(live: LiveKeys) -> None:
    await live.watch(every=0)


@pytest.mark.anyio
async def test_a_store_that_fails_at_the_start_is_a_fault(rig: Rig) -> None:
    await rig.live.store.aclose()
    with pytest.raises(KeyStoreError, match="closed"):
        await rig.live.start()


@pytest.mark.anyio
async def test_other_settings_count_at_once(rig: Rig) -> None:
    await issuing.create(rig.store, "laptop", now=NOW)
    await rig.live.start()
    assert {key.name for key in rig.live.renewed(AuthSettings(True, ()))} == {"laptop"}
    await issuing.create(rig.store, "desk", now=NOW)
    await rig.live.refresh()
    assert rig.names() == {"laptop", "desk"}


@pytest.mark.anyio
async def test_who_leaves_while_keys_are_read_leaves_no_revoked_key_behind(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await issuing.create(rig.store, "laptop", now=NOW)
    await rig.live.start()
    await issuing.revoke(rig.store, "laptop", now=NOW)
    load = rig.live.store.load
    with anyio.CancelScope() as scope:

        async def leaving(now: float, since: int = 0) -> Loaded:
            found = await load(now, since)
            scope.cancel()
            return found

        monkeypatch.setattr(rig.live.store, "load", leaving)
        await rig.live.refresh()
    assert [key.revoked for key in rig.books[-1] if key.name == "laptop"] == [NOW]


@pytest.mark.anyio
async def test_settings_that_come_while_keys_are_read_count(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    await rig.live.start()
    await issuing.create(rig.store, "laptop", now=NOW)
    book, others = rig.live.book, [AuthSettings(True, ())]

    def late() -> KeyBook:
        found = book()
        if others:
            rig.live.renewed(others.pop())
        return found

    monkeypatch.setattr(rig.live, "book", late)
    await rig.live.refresh()
    assert rig.names() == {"laptop"}


def test_only_quotas_of_a_new_kind_are_asked_of_the_ledger() -> None:
    day, month = Quota(Unit.COST, Period.DAY, 5), Quota(Unit.COST, Period.MONTH, 9)
    raised = Quota(Unit.COST, Period.DAY, 500)
    before = KeyBook(
        [ClientKey("a", b"a", quotas=(day,)), ClientKey("b", b"b", quotas=(day,)), ClientKey("c", b"c")],
        [Project("p", quotas=(day,))],
    )
    after = KeyBook(
        [
            ClientKey("a", b"new text", quotas=(raised, month)),
            ClientKey("b", b"b", quotas=(raised,)),
            ClientKey("c", b"c"),
            ClientKey("d", b"d", quotas=(day,)),
        ],
        [Project("p", quotas=(raised,)), Project("q", quotas=(month,))],
    )
    found = gained(before, after)
    assert {key.id: key.quotas for key in found} == {"a": (month,), "d": (day,)}
    assert {name: one.quotas for name, one in found.projects.items()} == {"q": (month,)}
    assert len(gained(after, after)) == 0
