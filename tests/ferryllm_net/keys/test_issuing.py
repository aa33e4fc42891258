"""What is done with keys, over a store on disk: their texts are shown once and kept nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ferryllm_net.keys import issuing
from ferryllm_net.keys.bounds import Bounds
from ferryllm_net.keys.issuing import RefusedError
from ferryllm_net.keys.sqlite import SqliteKeys
from ferryllm_net.keys.stored import State, Terms, client_keys
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.policy.key_text import is_mistyped
from ferryllm_proto.routing.keys import KeyBook

pytestmark = pytest.mark.anyio
NOW = 1_800_000_000.0


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteKeys]:
    store = SqliteKeys.open(tmp_path / "keys.db")
    yield store
    await store.aclose()


def _bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


async def _book(store: SqliteKeys) -> KeyBook:
    return KeyBook(one for key in (await store.load(NOW)).keys for one in client_keys(key))


async def test_a_new_key_opens_and_only_its_digest_is_on_the_disk(store: SqliteKeys, tmp_path: Path) -> None:
    made = await issuing.create(store, "ci", Terms(user="ada"), now=NOW)
    text = made.text.reveal()
    assert text.startswith("fy-")
    assert not is_mistyped(text)
    assert text not in repr(made)
    found = (await _book(store)).find(key_digest(text))
    assert found is not None
    assert (found.id, found.name, found.user) == (made.key.id, "ci", "ada")
    await store.aclose()
    kept = _bytes(tmp_path)
    assert made.key.texts[0].digest in kept
    assert text[len("fy-") : len("fy-") + 12].encode() not in kept


async def test_a_rotated_key_keeps_id_and_limits_and_the_old_text_for_its_grace(store: SqliteKeys) -> None:
    first = await issuing.create(store, "ci", Terms(bounds=Bounds(requests_per_minute=9)), now=NOW)
    second = await issuing.rotate(store, "ci", now=NOW + 10, grace_secs=60)
    book = await _book(store)
    old, new = (book.find(key_digest(made.text.reveal())) for made in (first, second))
    assert old is not None
    assert new is not None
    assert (old.id, old.limits, old.expires) == (new.id, new.limits, NOW + 70)
    assert new.expires is None
    third = await issuing.rotate(store, "ci", now=NOW + 20)
    book = await _book(store)
    assert [book.find(key_digest(made.text.reveal())) is None for made in (first, second, third)] == [True, True, False]


async def test_grace_never_gives_an_old_text_more_time_and_texts_have_an_end(store: SqliteKeys) -> None:
    made = await issuing.create(store, "ci", now=NOW, expires=NOW + 1000)
    await issuing.rotate(store, "ci", now=NOW, grace_secs=10)
    for _ in range(10):
        made = await issuing.rotate(store, "ci", now=NOW + 1, grace_secs=5000)
    assert len(made.key.texts) == issuing.MAX_TEXTS
    assert made.key.texts[0].ends is None
    assert all(key.expires == NOW + 1000 for key in client_keys(made.key))


async def test_a_revoked_key_stays_so(store: SqliteKeys) -> None:
    made = await issuing.create(store, "ci", now=NOW)
    await issuing.revoke(store, "ci", now=NOW + 1)
    again = await issuing.revoke(store, made.key.id, now=NOW + 9)
    assert again.revoked == NOW + 1
    assert all(key.revoked == NOW + 1 for key in await _book(store))
    for work in (
        issuing.rotate(store, "ci", now=NOW + 2),
        issuing.change_terms(store, "ci", lambda terms: terms, now=NOW + 2),
    ):
        with pytest.raises(RefusedError, match="revoked"):
            await work


async def test_an_expired_key_is_given_another_end_before_it_is_rotated(store: SqliteKeys) -> None:
    made = await issuing.create(store, "ci", now=NOW, expires=NOW + 1)
    assert made.key.state(NOW + 1) is State.EXPIRED
    with pytest.raises(RefusedError, match="expired"):
        await issuing.rotate(store, "ci", now=NOW + 2)
    await issuing.change_terms(store, "ci", lambda terms: terms, now=NOW + 2, expires=None)
    assert (await issuing.rotate(store, "ci", now=NOW + 2)).key.state(NOW + 9) is State.ACTIVE


@pytest.mark.parametrize("name", ["", " a", "a ", "x" * 101, "a\nb", "fy-abc", "key_abc"])
async def test_a_name_that_can_not_be_is_refused_and_never_quoted(store: SqliteKeys, name: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await issuing.create(store, name, now=NOW)
    assert caught.value.field == "name"
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        (Terms(user=" x"), "user"),
        (Terms(project="a\n"), "project"),
        (Terms(models=("",)), "models"),
        (Terms(models=("x" * 600,)), "models"),
        (Terms(models=("m",) * 101), "models"),
        (Terms(providers=(" ",)), "providers"),
    ],
)
async def test_terms_that_can_not_be_are_refused(store: SqliteKeys, terms: Terms, field: str) -> None:
    with pytest.raises(RefusedError) as caught:
        await issuing.create(store, "ci", terms, now=NOW)
    assert caught.value.field == field
    assert (await store.load(NOW)).keys == ()


async def test_an_end_that_is_past_is_refused(store: SqliteKeys) -> None:
    with pytest.raises(RefusedError, match="expired already"):
        await issuing.create(store, "ci", now=NOW, expires=NOW)


async def test_a_project_has_no_bound_of_requests_at_one_time(store: SqliteKeys) -> None:
    with pytest.raises(RefusedError, match="at one time"):
        await issuing.create_project(store, "web", Bounds(max_concurrency=1), now=NOW)
    await issuing.create_project(store, "web", Bounds(), now=NOW)
    with pytest.raises(RefusedError, match="at one time"):
        await issuing.change_project(store, "web", lambda _: Bounds(max_concurrency=1))
