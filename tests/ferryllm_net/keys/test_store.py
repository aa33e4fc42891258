"""What every store of keys promises, asked of each of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeAlias

import anyio
import msgspec
import pytest

from ferryllm_net.config.postgres_settings import PostgresSettings
from ferryllm_net.config.secret import Secret
from ferryllm_net.keys import issuing
from ferryllm_net.keys import store as stores
from ferryllm_net.keys.bounds import Bounds
from ferryllm_net.keys.postgres import PostgresKeys
from ferryllm_net.keys.sqlite import SqliteKeys
from ferryllm_net.keys.store import KEPT_SECS, KeyStore, KeyStoreError, TakenError, UnknownKeyError
from ferryllm_net.keys.stored import KeyText, State, StoredKey, StoredProject, Terms
from ferryllm_net.postgres import open_database
from support.postgres_server import Server

pytestmark = pytest.mark.anyio

NOW = 1_800_000_000.0
TERMS = Terms("ada", "web", ("gpt-*",), ("a",), Bounds(requests_per_minute=60, daily_cost=5_500_000_001), True)

Open: TypeAlias = "Callable[[], contextlib.AbstractAsyncContextManager[KeyStore]]"


def made(number: int, *, name: str = "", terms: Terms = TERMS, revoked: float | None = None) -> StoredKey:
    text = KeyText(number.to_bytes(32, "big"), f"fy-{number:04d}", NOW)
    return StoredKey(f"key_{number:012d}", name or f"n{number}", NOW + number, terms, (text,), None, revoked)


@pytest.fixture(params=["sqlite", "postgres"])
def again(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens the same store once more, as another process would."""
    if request.param == "sqlite":

        @contextlib.asynccontextmanager
        async def sqlite() -> AsyncIterator[KeyStore]:
            store = SqliteKeys.open(tmp_path / "keys.db")
            try:
                yield store
            finally:
                await store.aclose()
                await store.aclose()

        return sqlite
    server: Server = request.getfixturevalue("postgres")
    url = server.fresh_url()

    @contextlib.asynccontextmanager
    async def postgres() -> AsyncIterator[KeyStore]:
        async with open_database(PostgresSettings(Secret(url), "test", pool=2)) as database:
            store = await PostgresKeys.open(database)
            yield store
            await store.aclose()

    return postgres


async def test_what_is_kept_comes_back_whole_and_another_process_sees_it(again: Open) -> None:
    texts = (KeyText(b"b" * 32, "fy-bbbb", NOW + 1), KeyText(b"a" * 32, "fy-aaaa", NOW, NOW + 60))
    key = msgspec.structs.replace(made(1), texts=texts, expires=NOW + 100)
    async with again() as store, again() as other:
        before = await other.version()
        await store.add(key, NOW)
        assert await other.version() > before
        assert await other.find(key.id) == key
        assert await other.find(key.name) == key
        assert (await other.load(NOW)).keys == (key,)
        assert list(await other.keys()) == [key]


async def test_only_what_changed_is_read_again_revoked_keys_too(again: Open) -> None:
    async with again() as store, again() as other:
        for number in (1, 2, 3):
            await store.add(made(number), NOW)
        loaded = await other.load(NOW)
        assert {key.id for key in loaded.keys} == {made(number).id for number in (1, 2, 3)}
        assert (await other.load(NOW, loaded.version)).keys == ()
        await issuing.revoke(store, "n2", now=NOW + 5)
        news = await other.load(NOW, loaded.version)
        assert [(key.name, key.revoked) for key in news.keys] == [("n2", NOW + 5)]
        assert news.version == await other.version() > loaded.version


async def test_keys_long_of_no_use_are_not_loaded_but_still_found(again: Open) -> None:
    async with again() as store:
        await store.add(made(1, revoked=NOW), NOW)
        await store.add(msgspec.structs.replace(made(2), expires=NOW), NOW)
        assert len((await store.load(NOW + KEPT_SECS - 1)).keys) == 2
        assert (await store.load(NOW + KEPT_SECS + 1)).keys == ()
        assert (await store.find("n1")).state(NOW) is State.REVOKED


async def test_a_name_belongs_to_one_key_that_is_not_revoked(again: Open) -> None:
    async with again() as store:
        await store.add(made(1, name="ci"), NOW)
        with pytest.raises(TakenError, match="'ci' already"):
            await store.add(made(2, name="ci"), NOW)
        await issuing.revoke(store, "ci", now=NOW)
        await store.add(made(3, name="ci"), NOW)
        assert (await store.find("ci")).id == made(3).id
        assert (await store.find(made(1).id)).revoked == NOW


async def test_an_edit_that_raises_changes_nothing(again: Open) -> None:
    async with again() as store:
        await store.add(made(1), NOW)
        before = await store.version()

        def refuse(key: StoredKey) -> StoredKey:
            raise issuing.RefusedError("key", "no")

        with pytest.raises(issuing.RefusedError):
            await store.edit("n1", refuse)
        assert await store.version() == before
        assert await store.find("n1") == made(1)


async def test_a_key_that_is_not_there_is_named_and_its_text_never(again: Open) -> None:
    async with again() as store:
        with pytest.raises(UnknownKeyError, match="no key is called 'nobody'"):
            await store.find("nobody")
        with pytest.raises(UnknownKeyError) as caught:
            await store.edit("fy-Secret1234", lambda key: key)
        assert "Secret" not in str(caught.value)


async def test_edits_of_two_processes_at_once_are_both_kept(again: Open) -> None:
    async with again() as store, again() as other:
        await store.add(made(1, terms=Terms(bounds=Bounds(total_requests=0))), NOW)

        def more(terms: Terms) -> Terms:
            return Terms(bounds=Bounds(total_requests=(terms.bounds.total_requests or 0) + 1))

        async def raise_it(one: KeyStore) -> None:
            for _ in range(5):
                await issuing.change_terms(one, "n1", more, now=NOW)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(raise_it, store)
            tasks.start_soon(raise_it, other)
        assert (await store.find("n1")).terms.bounds.total_requests == 10


async def test_pages_follow_the_ids(again: Open) -> None:
    async with again() as store:
        for number in (3, 1, 2):
            await store.add(made(number), NOW)
        first = await store.keys(most=2)
        assert [key.name for key in first] == ["n1", "n2"]
        assert [key.name for key in await store.keys(after=first[-1].id, most=2)] == ["n3"]


async def test_projects_are_made_changed_and_removed(again: Open) -> None:
    async with again() as store, again() as other:
        version = await other.version()
        await issuing.create_project(store, "web", Bounds(monthly_cost=10), now=NOW)
        assert await other.version() > version
        assert list(await other.projects()) == [StoredProject("web", NOW, Bounds(monthly_cost=10))]
        assert (await other.load(NOW, version)).projects == (StoredProject("web", NOW, Bounds(monthly_cost=10)),)
        await issuing.change_project(store, "web", lambda old: msgspec.structs.replace(old, daily_tokens=5))
        assert (await other.projects())[0].bounds == Bounds(monthly_cost=10, daily_tokens=5)
        await issuing.remove_project(store, "web")
        assert list(await other.projects()) == []
        with pytest.raises(UnknownKeyError, match="'web'"):
            await issuing.remove_project(store, "web")


async def test_a_full_store_refuses_another_key(again: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("sqlite", "postgres"):
        monkeypatch.setattr(f"ferryllm_net.keys.{module}.MAX_KEYS", 2)
        monkeypatch.setattr(f"ferryllm_net.keys.{module}.MAX_PROJECTS", 1)
    async with again() as store:
        for number in (1, 2):
            await store.add(made(number), NOW)
        with pytest.raises(KeyStoreError, match="2 keys in use"):
            await store.add(made(3), NOW)
        await issuing.revoke(store, "n1", now=NOW)
        await store.add(made(3), NOW + KEPT_SECS + 1)
        await issuing.create_project(store, "a", Bounds(), now=NOW)
        with pytest.raises(KeyStoreError, match="1 projects in use"):
            await issuing.create_project(store, "b", Bounds(), now=NOW)
    assert stores.MAX_KEYS == 100_000
