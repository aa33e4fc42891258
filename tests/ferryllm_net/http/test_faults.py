"""The clock of one exchange, looked at by hand."""

from __future__ import annotations

import pytest

from ferryllm_net.http.faults import Clock, UpstreamFault


def clock(*, waiting: bool = True) -> Clock:
    one = Clock()
    one.waiting = waiting
    return one


def test_nobody_is_late_who_does_not_wait() -> None:
    one = clock(waiting=False)
    one.start(UpstreamFault.TIMEOUT_HEAD, 5, 100)
    assert not one.passed(1000)


def test_a_head_has_one_deadline_whatever_drips() -> None:
    one = clock()
    one.start(UpstreamFault.TIMEOUT_HEAD, 5, 100)
    assert not one.passed(104.9)
    assert one.passed(105)
    error = one.fault("a:1", sending=False)
    assert (error.kind, error.message) == (UpstreamFault.TIMEOUT_HEAD, "upstream a:1 sent no answer for 5 s")


def test_a_silence_is_counted_from_the_last_bytes_on() -> None:
    one = clock()
    one.listen(5)
    assert not one.passed(100), "from the first look on"
    assert not one.passed(104)
    one.stirred = True
    assert not one.passed(106)
    assert not one.passed(110.9)
    assert one.passed(111)
    assert one.fault("a", sending=False).kind is UpstreamFault.TIMEOUT_IDLE


def test_the_total_time_ends_even_a_lively_answer() -> None:
    one = clock()
    one.total_at = 103
    one.listen(5)
    assert not one.passed(100)
    one.stirred = True
    assert one.passed(103)
    assert one.fault("a", sending=False).kind is UpstreamFault.TIMEOUT_TOTAL


@pytest.mark.parametrize("again", [True, False])
def test_late_stays_late_until_the_next_wait_begins(again: bool) -> None:
    one = clock()
    one.start(UpstreamFault.TIMEOUT_HEAD, 5, 100)
    assert one.passed(200)
    if again:
        one.listen(5)
        assert not one.passed(200)
    else:
        assert one.passed(200)


def test_a_request_that_is_not_taken_is_told_as_that() -> None:
    one = clock()
    one.start(UpstreamFault.TIMEOUT_HEAD, 5, 100)
    assert "did not take the request for 5 s" in one.fault("a", sending=True).message
