"""Rows read from the ledger: each at least once, whatever happens to the process, by one process at a time."""

from __future__ import annotations

import pathlib

import anyio
import pytest

from ferryllm_net.hooks.following import Following, place_of
from ferryllm_net.ledger.sqlite import SqliteLedger
from support.ledgers import NOON, row

pytestmark = pytest.mark.anyio


@pytest.fixture
async def ledger(tmp_path: pathlib.Path, anyio_backend: object) -> SqliteLedger:
    return SqliteLedger.open(tmp_path / "ledger.db")


async def test_it_begins_with_what_comes_after_it_was_made(ledger: SqliteLedger, tmp_path: pathlib.Path) -> None:
    await ledger.put(row(id="old"))
    source = Following(ledger, tmp_path / "place", 0.001)
    await source.begin()
    await ledger.put(row(id="late", time=NOON - 900))  # it came first and took longer
    with anyio.fail_after(5):
        assert [one.id for one in await source.take(9)] == ["late"]
    await source.aclose()
    await ledger.aclose()


async def test_what_was_not_done_comes_again_after_a_restart(ledger: SqliteLedger, tmp_path: pathlib.Path) -> None:
    place = place_of(tmp_path / "ledger.db", "bill")
    first = Following(ledger, place, 0.001)
    await first.begin()
    for number in range(5):
        await ledger.put(row(id=str(number)))
    assert [one.id for one in await first.take(2)] == ["0", "1"]
    await first.done(())
    assert [one.id for one in await first.take(2)] == ["2", "3"]
    await first.aclose()  # killed here
    second = Following(ledger, place, 0.001)
    await second.begin()
    assert [one.id for one in await second.take_last(9)] == ["2", "3", "4"]
    await second.done(())
    assert await second.take_last(9) == []
    await second.aclose()
    await ledger.aclose()


async def test_one_of_two_processes_delivers_and_the_other_goes_on(
    ledger: SqliteLedger, tmp_path: pathlib.Path
) -> None:
    one, two = (Following(ledger, tmp_path / "place", 0.001) for _ in range(2))
    await one.begin()
    await two.begin()
    await ledger.put(row(id="a"))
    assert await two.take_last(9) == []
    assert len(await one.take_last(9)) == 1
    await one.aclose()
    assert len(await two.take_last(9)) == 1
    await two.aclose()
    await ledger.aclose()


async def test_numbers_that_begin_anew_are_followed(ledger: SqliteLedger, tmp_path: pathlib.Path) -> None:
    source = Following(ledger, tmp_path / "place", 0.001)
    await source.begin()
    for number in range(3):
        await ledger.put(row(id=str(number)))
    assert len(await source.take_last(9)) == 3
    await source.done(())
    assert await ledger.prune(NOON + 1) == 3
    await ledger.put(row(id="new"))
    assert [one.id for one in await source.take_last(9)] == ["new"]
    await source.aclose()
    await ledger.aclose()
