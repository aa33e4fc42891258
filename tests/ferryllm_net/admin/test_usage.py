"""Sums over the ledger, as the admin API tells them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec
import pytest

from ferryllm_net.admin.usage import usage_view
from ferryllm_net.config.ledger_settings import LedgerSettings
from ferryllm_net.keys.issuing import RefusedError
from ferryllm_net.ledger import Ledger, Row, open_ledger

pytestmark = pytest.mark.anyio

NOW = 1_800_014_400.0
ROW = Row("req_1", NOW - 60, "openai", "generate", "ok", 5, 1, "key_1", "ci", provider="a", model_resolved="m")


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    found = await open_ledger(LedgerSettings(store="sqlite", path=str(tmp_path / "ledger.db")))
    assert found is not None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(found.run)
        await found.put(msgspec.structs.replace(ROW, input_tokens=3, output_tokens=4, cost=1_500_000_000))
        await found.put(msgspec.structs.replace(ROW, id="req_2", time=NOW - 40 * 86_400, outcome="error"))
        tasks.cancel_scope.cancel()
    yield found
    await found.aclose()


async def test_sums_are_told_for_each_group_and_for_all(ledger: Ledger) -> None:
    found = await usage_view(ledger, {"by": "key,day"}, NOW)
    assert (found["since"], found["until"], found["more"]) == (1_798_761_600, int(NOW), False)
    (group,) = msgspec.convert(found["groups"], list[dict[str, object]])
    assert (group["key"], group["day"], group["name"], group["requests"]) == ("key_1", "2027-01-15", "ci", 1)
    assert group["output_tokens"] == {"known": 4, "unknown": 0}
    assert group["cost"] == {"dollars": "1.50", "unknown": 0}
    assert msgspec.convert(found["total"], dict[str, object])["requests"] == 1


@pytest.mark.parametrize(
    ("query", "requests"),
    [({"since": "60d"}, 2), ({"since": "2026-01-01", "until": "2027-01-01"}, 1), ({"key": "other"}, 0), ({}, 1)],
)
async def test_a_query_narrows_it(ledger: Ledger, query: dict[str, str], requests: int) -> None:
    found = await usage_view(ledger, query, NOW)
    assert found["groups"] == []
    assert msgspec.convert(found["total"], dict[str, object])["requests"] == requests


@pytest.mark.parametrize(
    ("query", "field"),
    [({"by": "colour"}, "by"), ({"by": "key,key"}, "by"), ({"since": "soon"}, "since"), ({"x": "1"}, "x")],
)
async def test_a_query_that_means_nothing_is_refused(ledger: Ledger, query: dict[str, str], field: str) -> None:
    with pytest.raises(RefusedError, match="expected") as caught:
        await usage_view(ledger, query, NOW)
    assert caught.value.field == field
