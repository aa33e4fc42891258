"""What every ledger promises, over all of them."""

from __future__ import annotations

import pathlib

import anyio
import pytest

from ferryllm_net.ledger import By, Filter, LedgerError, Row, Sum, Used
from ferryllm_proto.routing.quota import Unit
from support.ledgers import BARE, FULL, KINDS, NOON, opened, put_all, row

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", KINDS)]
DAY = 86_400.0


async def test_a_row_comes_back_as_it_was_put(kind: str, tmp_path: pathlib.Path) -> None:
    async with opened(kind, tmp_path) as ledger:
        await put_all(ledger, FULL, BARE)
        assert (await ledger.rows()).rows == (BARE, FULL)
        assert (ledger.waiting, ledger.lost) == (0, 0)


async def test_pages_have_every_row_once_in_both_directions(kind: str, tmp_path: pathlib.Path) -> None:
    rows = [row(id=f"req_{n}", time=NOON + n // 3) for n in range(10)]  # three of each time
    async with opened(kind, tmp_path) as ledger:
        await put_all(ledger, *rows)
        for newest in (False, True):
            found: list[Row] = []
            after = None
            while True:
                page = await ledger.rows(after=after, limit=4, newest=newest)
                assert len(page.rows) <= 4
                found += page.rows
                after = page.after
                if after is None:
                    break
            assert sorted(one.id for one in found) == sorted(one.id for one in rows)
            assert [one.time for one in found] == sorted((one.time for one in rows), reverse=newest)
        assert (await ledger.rows(limit=10)).after is None
        with pytest.raises(LedgerError, match="after"):
            await ledger.rows(after="nonsense")


async def test_totals_tell_what_is_not_known_from_nothing(kind: str, tmp_path: pathlib.Path) -> None:
    async with opened(kind, tmp_path) as ledger:
        assert (await ledger.totals())[0].requests == 0
        await put_all(
            ledger,
            row(),
            row(input_tokens=None, output_tokens=None, cost=None, cost_known=7),
            # A provider that failed before it said anything counted nothing; one that broke off did.
            row(outcome="error", status=502, input_tokens=None, output_tokens=0, cost=0, cost_known=0),
            row(outcome="truncated", input_tokens=None),
            row(outcome="error", status=200, reasoning_tokens=None),
            row(outcome="cancelled"),
            row(outcome="error", attempts=0, refused="limit", input_tokens=None, output_tokens=None, cost=None),
        )
        (total,) = await ledger.totals()
        assert (total.requests, total.errors, total.refused, total.group) == (7, 3, 1, ())
        assert total.input_tokens == Sum(30, 2)
        assert total.output_tokens == Sum(80, 1)
        assert total.reasoning_tokens == Sum(30, 1)
        assert total.cost == Sum(5_007, 1)


async def test_totals_are_made_for_groups(kind: str, tmp_path: pathlib.Path) -> None:
    async with opened(kind, tmp_path) as ledger:
        await put_all(
            ledger,
            row(key="a", key_name="old", time=NOON),
            row(key="a", key_name="new", time=NOON + 1, model_resolved="m"),
            row(key="b", key_name=None, provider="p", time=NOON + DAY),
            row(key=None, key_name=None, model_resolved=None, user=None, project=None, time=NOON + 30 * DAY),
        )
        by_key = await ledger.totals(by=[By.KEY])
        assert [(one.group, one.requests, one.name) for one in by_key] == [
            (("",), 1, None),
            (("a",), 2, "new"),
            (("b",), 1, None),
        ]
        by_month = await ledger.totals(by=[By.MONTH, By.PROVIDER])
        assert [(one.group, one.requests) for one in by_month] == [
            (("2027-01", "openai"), 2),
            (("2027-01", "p"), 1),
            (("2027-02", "openai"), 1),
        ]
        # A model that was never resolved is the one that was asked for.
        assert [one.group for one in await ledger.totals(by=[By.MODEL])] == [("gpt-5",), ("gpt-5.5",), ("m",)]
        assert [one.group for one in await ledger.totals(by=[By.USER, By.PROJECT])] == [("", ""), ("ann", "ships")]
        assert len(await ledger.totals(by=[By.DAY], limit=2)) == 2


async def test_days_begin_where_the_offset_says(kind: str, tmp_path: pathlib.Path) -> None:
    async with opened(kind, tmp_path) as ledger:
        await put_all(ledger, row(time=NOON + 11.5 * 3600))  # 23:30 in UTC
        assert [one.group for one in await ledger.totals(by=[By.DAY])] == [("2027-01-15",)]
        assert [one.group for one in await ledger.totals(by=[By.DAY], offset=3600)] == [("2027-01-16",)]


FILTERS = [
    (Filter(), "abc"),
    (Filter(since=NOON + 1), "bc"),
    (Filter(until=NOON + 1), "a"),
    (Filter(key="k"), "b"),
    (Filter(key="bens"), "b"),
    (Filter(key=""), "c"),
    (Filter(user="ben"), "b"),
    (Filter(project=""), "c"),
    (Filter(provider="p"), "c"),
    (Filter(outcome="error"), "b"),
    (Filter(model="asked"), "a"),
    (Filter(model="resolved"), "b"),
    (Filter(model="reported"), "c"),
    (Filter(model="' OR 1=1 --"), ""),
    (Filter(since=NOON, until=NOON + 2, user="ann", outcome="ok"), "a"),
]


async def test_filters_choose_rows(kind: str, tmp_path: pathlib.Path) -> None:
    async with opened(kind, tmp_path) as ledger:
        await put_all(
            ledger,
            row(id="a", model_asked="asked"),
            row(
                id="b", time=NOON + 1, key="k", key_name="bens", user="ben", outcome="error", model_resolved="resolved"
            ),
            row(id="c", time=NOON + 2, key=None, project=None, provider="p", model_reported="reported"),
        )
        for where, ids in FILTERS:
            assert "".join(one.id for one in (await ledger.rows(where)).rows) == ids, where
            assert (await ledger.totals(where))[0].requests == len(ids), where


async def test_what_owners_have_used_outlives_their_rows(kind: str, tmp_path: pathlib.Path) -> None:
    async with opened(kind, tmp_path) as ledger:
        await put_all(
            ledger,
            row(key="a", project="p"),
            row(key="a", project="q", time=NOON + DAY, cost=None, cost_known=3, output_tokens=None),
            row(key=None, project="p", time=NOON + DAY),
            row(key="a", project="p", attempts=0, time=NOON + DAY),  # asked nobody
        )
        everything = {"key/a": Used(2, 180, 1_003), "project/p": Used(2, 200, 2_000), "project/q": Used(1, 80, 3)}
        assert await ledger.used_by_all(0) == everything
        assert await ledger.used_by_all(NOON + 1) == {
            "key/a": Used(1, 80, 3),
            "project/p": Used(1, 100, 1_000),
            "project/q": Used(1, 80, 3),
        }
        assert await ledger.used("key/a", Unit.TOKENS, NOON + 1) == 80
        assert await ledger.used("project/p", Unit.COST, 0) == 2_000
        assert await ledger.prune(NOON + 1) == 1
        assert await ledger.prune(NOON + 2 * DAY) == 3
        assert (await ledger.rows()).rows == ()
        assert await ledger.used_by_all(0) == everything
        assert await ledger.used("key/a", Unit.REQUESTS, 0) == 2
        assert await ledger.used_by_all(1) == {}
        with pytest.raises(LedgerError, match="owner"):
            await ledger.used("nobody", Unit.COST, 0)


async def test_what_was_counted_is_used_and_what_is_unknown_stays_so(kind: str, tmp_path: pathlib.Path) -> None:
    unknown = {"output_tokens": None, "cost": None, "cost_known": 3}
    async with opened(kind, tmp_path) as ledger:
        await put_all(
            ledger,
            row(key="a", project="p", counted_tokens=5_000, counted_cost=70, **unknown),
            row(key="a", project="p", counted_tokens=0, counted_cost=0),  # an attempt that failed is nobody's bill
            row(key="a", project="p", **unknown),
        )
        expected = {"key/a": Used(3, 5_080, 73), "project/p": Used(3, 5_080, 73)}
        assert await ledger.used_by_all(0) == await ledger.used_by_all(NOON) == expected
        assert await ledger.used("key/a", Unit.TOKENS, NOON) == 5_080
        assert await ledger.used("key/a", Unit.COST, NOON) == 73
        (total,) = await ledger.totals()
        assert (total.output_tokens, total.cost) == (Sum(20, 2), Sum(1_006, 2))
        assert await ledger.prune(NOON + 1) == 3
        assert await ledger.used_by_all(0) == expected


async def test_old_rows_go_in_steps(kind: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ferryllm_net.ledger import postgres, sqlite
    from ferryllm_net.ledger.postgres_tables import STEP

    for module in (postgres, sqlite):
        monkeypatch.setattr(module, "PAUSE_SECS", 0.0)
    count = (STEP if kind == "postgres" else sqlite.STEP) + 2
    async with opened(kind, tmp_path) as ledger:
        for n in range(count):
            ledger.post(row(time=NOON + n))
        await ledger.put(row(time=NOON + count))
        assert await ledger.prune(NOON + count - 1) == count - 1
        assert [one.time for one in (await ledger.rows()).rows] == [NOON + count - 1, NOON + count]


async def test_rows_that_nobody_waits_for_are_there_after_the_end(kind: str, tmp_path: pathlib.Path) -> None:
    async with opened(kind, tmp_path) as ledger:
        for n in range(30):
            ledger.post(row(id=f"req_{n}"))
        await ledger.put(row())  # written behind them, or with them
        assert (await ledger.totals())[0].requests == 31
    with pytest.raises(LedgerError, match="closed"):
        await ledger.put(row())
    with pytest.raises(LedgerError, match="closed"):
        await ledger.totals()
    await ledger.aclose()


async def test_a_row_that_no_table_takes_takes_no_other_with_it(kind: str, tmp_path: pathlib.Path) -> None:
    async with opened(kind, tmp_path) as ledger:
        # What row_of never lets through; each refuses another one of these.
        bad = row(id="bad\0") if kind == "postgres" else row(id="bad\ud800")
        await put_all(ledger, row(id="before"), bad, row(id="behind"))
        assert {one.id for one in (await ledger.rows()).rows} == {"before", "behind"}
        assert (ledger.waiting, ledger.lost) == (0, 1)


async def test_who_stops_waiting_loses_nothing(kind: str, tmp_path: pathlib.Path) -> None:
    async with opened(kind, tmp_path) as ledger:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await ledger.put(row(id="left"))
        await ledger.put(row(id="stayed", time=NOON + 1))
        assert [one.id for one in (await ledger.rows()).rows] == ["left", "stayed"]
