"""Where a row is kept of every request, the end of an answer that passes through is told behind it."""

from __future__ import annotations

import json

import msgspec
import pytest

from ferryllm_proto.actions import Finish, Outcome, Record, Release, SendBody
from ferryllm_proto.inputs import ClientLost, DeadlinePassed, UpstreamData, UpstreamEnd, UpstreamHead, UpstreamLost
from ferryllm_proto.stages import State
from support.driver import DONE, GATEWAY, PONG, ROLE, SSE, STOP, Driver, kinds, only

KEPT = msgspec.structs.replace(GATEWAY, records=True)
USAGE = {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}}
COUNTED = b"data: " + json.dumps(USAGE).encode() + b"\n\n"
SENT = ROLE + PONG + STOP + COUNTED + DONE


def begun(*, records: bool = True) -> Driver:
    driver = Driver(KEPT if records else GATEWAY)
    driver.ask(model="chat-x", path="/v1/chat/completions")
    driver.feed(UpstreamHead(200, (SSE,)))
    return driver


@pytest.mark.parametrize("together", [True, False])
def test_the_last_event_leaves_with_the_record(together: bool) -> None:
    driver = begun()
    for data in (SENT,) if together else (ROLE, PONG, STOP, COUNTED, DONE):
        driver.feed(UpstreamData(data))
    assert DONE not in driver.body
    assert only(driver.actions, Record) == []
    assert kinds(driver.feed(UpstreamEnd())) == [SendBody, Finish, Record]
    assert driver.body == SENT
    assert (driver.record.outcome, driver.record.sent) == (Outcome.OK, len(SENT))


def test_content_does_not_wait() -> None:
    driver = begun()
    driver.feed(UpstreamData(ROLE + PONG))
    sent = ROLE + PONG
    for data in (PONG, STOP, COUNTED):
        driver.feed(UpstreamData(data))
        sent += data
        assert driver.body == sent


def test_without_a_row_nothing_waits() -> None:
    driver = begun(records=False)
    for data in (ROLE, PONG, STOP, DONE):
        driver.feed(UpstreamData(data))
    assert driver.body.endswith(DONE)
    assert only(driver.actions, Record) == []


def test_a_provider_that_does_not_close_keeps_nobody_waiting() -> None:
    driver = begun()
    driver.feed(UpstreamData(SENT))
    deadline = driver.exchange.next_deadline()
    assert deadline is not None
    assert deadline - driver.now <= 0.201
    driver.now = deadline
    assert kinds(driver.feed(DeadlinePassed())) == [SendBody, Finish, Release, Record]
    assert (driver.body, driver.record.outcome) == (SENT, Outcome.OK)


def test_a_provider_that_is_lost_behind_its_last_event_has_answered() -> None:
    driver = begun()
    driver.feed(UpstreamData(SENT))
    driver.feed(UpstreamLost("reset"))
    assert (driver.body, driver.record.outcome) == (SENT, Outcome.OK)


def test_a_client_that_leaves_before_it_was_told_of_the_end_left_early() -> None:
    driver = begun()
    driver.feed(UpstreamData(SENT))
    driver.feed(ClientLost())
    assert driver.exchange.state is State.DONE
    assert driver.record.outcome is Outcome.CANCELLED
    assert driver.record.usage is not None
    assert driver.record.usage.output == 1
