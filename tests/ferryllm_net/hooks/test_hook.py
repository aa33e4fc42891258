"""One hook: attempts, what is dropped, what the log says, and the end."""

from __future__ import annotations

import pathlib
from collections import Counter

import anyio
import pytest

from ferryllm_net.hooks import hook as module
from ferryllm_net.hooks.following import Following
from ferryllm_net.hooks.hook import MOST_PAUSE_SECS, Hook
from ferryllm_net.hooks.waiting import Waiting
from ferryllm_net.ledger.sqlite import SqliteLedger
from support.hooks import Kept, log
from support.ledgers import row

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of a millisecond."""
    monkeypatch.setattr(module, "FIRST_PAUSE_SECS", 0.001)
    monkeypatch.setattr(module, "MOST_PAUSE_SECS", 0.002)


def filled(number: int, most: int = 100) -> Waiting:
    waiting = Waiting(most, 0.001)
    for n in range(number):
        waiting.add(row(id=str(n)))
    return waiting


async def test_rows_come_in_batches_and_in_order() -> None:
    sink, (logger, _) = Kept(), log()
    hook = Hook("bill", filled(5), sink, logger, batch=2, retries=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hook.run)
        await sink.wait(5)
        tasks.cancel_scope.cancel()
    assert sink.batches == [["0", "1"], ["2", "3"], ["4"]]
    assert (hook.delivered, hook.dropped) == (5, 0)


async def test_an_outage_is_one_line_and_its_end_another() -> None:
    sink, (logger, text) = Kept(fails=3), log()
    hook = Hook("bill", filled(1), sink, logger, batch=9, retries=5)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hook.run)
        await sink.wait(1)
        tasks.cancel_scope.cancel()
    assert sink.attempts == 4
    assert text.getvalue().count("usage hook failed") == 1
    assert text.getvalue().count("usage hook delivers again") == 1


@pytest.mark.parametrize(("refused", "attempts"), [(False, 3), (True, 1)])
async def test_a_batch_is_given_up_and_said_to_be(refused: bool, attempts: int) -> None:
    sink, (logger, text) = Kept(fails=attempts, refused=refused), log()
    waiting = filled(2)
    hook = Hook("bill", waiting, sink, logger, batch=9, retries=2)
    counted: Counter[tuple[str, str]] = Counter()
    hook.count = lambda event, outcome, number: counted.update({(event, outcome): number})
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hook.run)
        with anyio.fail_after(10):
            while not hook.dropped:  # noqa: ASYNC110 - nothing tells of it but the count
                await anyio.sleep(0.001)
            waiting.add(row(id="next"))
        await sink.wait(1)
        tasks.cancel_scope.cancel()
    assert (sink.ids, hook.dropped, hook.delivered) == (["next"], 2, 1)
    assert counted == {
        ("hook_deliveries", "refused" if refused else "failed"): attempts,
        ("hook_deliveries", "ok"): 1,
        ("hook_rows", "dropped"): 2,
        ("hook_rows", "delivered"): 1,
    }
    assert "usage not delivered" in text.getvalue()


async def test_a_ledger_keeps_what_is_not_taken(tmp_path: pathlib.Path) -> None:
    ledger = SqliteLedger.open(tmp_path / "ledger.db")
    source = Following(ledger, tmp_path / "place", 0.001)
    await source.begin()
    await ledger.put(row(id="a"))
    sink, (logger, _) = Kept(fails=8), log()
    hook = Hook("bill", source, sink, logger, batch=9, retries=1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hook.run)
        await sink.wait(1)
        tasks.cancel_scope.cancel()
    assert (sink.attempts, hook.dropped) == (9, 0)
    await hook.aclose()
    await ledger.aclose()


async def test_the_end_delivers_what_waits_that_under_way_too() -> None:
    stuck, (logger, text) = Kept(stuck=True), log()
    waiting = filled(3)
    hook = Hook("bill", waiting, stuck, logger, batch=2, retries=0)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hook.run)
        with anyio.fail_after(10):
            while not stuck.attempts:  # noqa: ASYNC110 - as above
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    sink = Kept()
    hook._sink = sink
    await hook.flush()
    await hook.aclose()
    assert sink.batches == [["0", "1"], ["2"]]
    assert text.getvalue() == ""


async def test_the_end_counts_what_nobody_took() -> None:
    sink, (logger, text) = Kept(fails=99), log()
    hook = Hook("bill", filled(3), sink, logger, batch=2, retries=9)
    await hook.flush()
    await hook.aclose()
    assert (sink.attempts, hook.dropped) == (1, 3)
    assert "rows=3" in text.getvalue()


async def test_pauses_grow_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    logger, _ = log()
    hook = Hook("bill", filled(0), Kept(), logger, batch=1, retries=1, chance=lambda: 1.0)
    pauses = [hook._pause(attempt) for attempt in (1, 2, 3, 20, 10_000)]
    assert pauses == [0.5, 1.0, 2.0, MOST_PAUSE_SECS, MOST_PAUSE_SECS]
