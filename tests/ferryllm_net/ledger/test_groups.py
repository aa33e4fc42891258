"""What waits, what is told, and what is given up: without a store and without a thread."""

from __future__ import annotations

import pytest

from ferryllm_net.ledger.groups import MAX_GROUP, Groups
from ferryllm_net.ledger.ledger import LedgerError

FULL_DISK = LedgerError("full")


class Woken:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def groups(most: int = 10) -> tuple[Groups[int], Woken]:
    woken = Woken()
    return Groups(most, woken), woken


def test_what_comes_while_one_group_is_written_is_the_next_one() -> None:
    waiting, woken = groups()
    first = waiting.add(1, wait=False)
    assert waiting.add(2, wait=False) is first
    assert woken.count == 1
    assert waiting.take() is first
    second = waiting.add(3, wait=False)
    assert second is not first
    assert (waiting.waiting, woken.count) == (3, 2)
    waiting.done(first)
    assert (waiting.waiting, waiting.take(), waiting.take()) == (1, second, None)


def test_a_group_has_an_end() -> None:
    waiting, _ = groups(2 * MAX_GROUP)
    for n in range(MAX_GROUP + 1):
        waiting.add(n, wait=False)
    first, second = waiting.take(), waiting.take()
    assert first is not None
    assert second is not None
    assert (len(first.rows), second.rows) == (MAX_GROUP, [MAX_GROUP])


def test_what_failed_is_written_first_and_everybody_is_told_at_once() -> None:
    waiting, _ = groups()
    first = waiting.add(1, wait=False)
    assert waiting.take() is first
    behind = waiting.add(2, wait=False)
    waiting.failed(first, FULL_DISK)
    assert first.error is behind.error is FULL_DISK
    # Nobody waits for a store that is away: the row is kept, and its writer told.
    with pytest.raises(LedgerError, match="full"):
        waiting.add(3, wait=True)
    waiting.add(4, wait=False)
    assert (waiting.waiting, waiting.lost) == (4, 0)
    again = waiting.take()
    assert again is not None
    assert again.rows == [1, 2, 3, 4]
    waiting.done(again)
    assert waiting.failing is None
    waiting.add(5, wait=False)
    assert waiting.waiting == 1


def test_the_oldest_are_given_up_for_the_newest() -> None:
    waiting, _ = groups(3)
    for n in range(3):
        waiting.add(n, wait=False)
    # Nothing older: they may be written any moment.
    with pytest.raises(LedgerError, match="3 rows wait"):
        waiting.add(3, wait=False)
    group = waiting.take()
    assert group is not None
    waiting.failed(group, FULL_DISK)
    for n in (4, 5):
        waiting.add(n, wait=False)
    assert (waiting.waiting, waiting.lost) == (3, 3)
    again = waiting.take()
    assert again is not None
    assert again.rows == [2, 4, 5]
    waiting.failed(again, FULL_DISK)
    assert waiting.waiting == 3


def test_rows_that_no_attempt_could_write_are_counted() -> None:
    waiting, _ = groups()
    group = waiting.add(1, wait=False)
    waiting.take()
    waiting.done(group, lost=1)
    assert (waiting.lost, waiting.waiting) == (1, 0)


def test_a_closed_one_takes_nothing() -> None:
    waiting, woken = groups()
    waiting.close()
    assert woken.count == 1
    with pytest.raises(LedgerError, match="closed"):
        waiting.add(1, wait=False)
