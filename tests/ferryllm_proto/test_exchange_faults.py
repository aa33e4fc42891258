"""The life of one request whose provider fails, falls silent or is late."""

from __future__ import annotations

import json

import msgspec
import pytest

from ferryllm_proto import ir
from ferryllm_proto.actions import (
    Abort,
    Cut,
    Finish,
    Outcome,
    SendBody,
    SendHead,
)
from ferryllm_proto.inputs import (
    DeadlinePassed,
    Input,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.relay import MAX_WHOLE
from support import grammar
from support.driver import (
    GATEWAY,
    JSON,
    PONG,
    ROLE,
    SSE,
    Driver,
    assert_invariants,
    kinds,
    only,
)

# --- faults of the provider ------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (UpstreamLost("refused"), 502),
        (UpstreamLost("too slow", timeout=True), 504),
        (UpstreamLost("full", busy=True), 529),
    ],
)
def test_a_provider_out_of_reach_is_an_error_status(stream: bool, fault: UpstreamLost, status: int) -> None:
    driver = Driver()
    driver.ask(stream=stream)
    driver.feed(fault)
    assert driver.status == status
    assert json.loads(driver.body)["type"] == "error"
    assert driver.record.outcome is Outcome.ERROR
    assert_invariants(driver)


@pytest.mark.parametrize("model", ["claude-x", "same-x"])
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503, 529])
def test_e1_status_and_retry_after_of_the_provider_survive(model: str, status: int) -> None:
    driver = Driver()
    driver.ask(model=model)
    driver.feed(UpstreamHead(status, (JSON, ("retry-after", "7"))))
    driver.feed(UpstreamData(b'{"error":{"message":"no","type":"some_error"}}'))
    driver.feed(UpstreamEnd())
    (head,) = only(driver.actions, SendHead)
    # "Overloaded" is 503 with OpenAI and 529 with Anthropic (E2, E3).
    assert head.status == (529 if (status, model) == (503, "claude-x") else status)
    assert ("retry-after", "7") in head.headers
    assert json.loads(driver.body)["error"]["message"] == "no"
    assert_invariants(driver)


def test_a_redirect_is_an_error_and_its_target_is_not_shown() -> None:
    driver = Driver()
    driver.ask()
    driver.feed(UpstreamHead(302, (("location", "http://evil.example/"),)))
    driver.feed(UpstreamEnd())
    assert driver.status == 502
    assert b"evil" not in driver.body
    assert_invariants(driver)


def test_t7_an_error_as_first_event_is_a_true_status() -> None:
    driver = Driver()
    driver.ask()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE))
    driver.feed(UpstreamData(b'data: {"error":{"message":"slow down","type":"rate_limit_error","code":429}}\n\n'))
    assert driver.status == 429
    assert_invariants(driver)


def test_t7_the_head_is_held_for_a_second_and_no_longer() -> None:
    driver = Driver()
    driver.ask()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE))
    assert driver.exchange.next_deadline() == driver.now + 1.0
    assert kinds(driver.feed(DeadlinePassed(), after=1.0)) == [SendHead, SendBody]
    assert b"message_start" in driver.body


@pytest.mark.parametrize("model", ["claude-x"])
@pytest.mark.parametrize("lost", [UpstreamLost("reset"), UpstreamEnd()])
def test_t1_a_cut_stream_ends_in_an_error_event(model: str, lost: Input) -> None:
    driver = Driver()
    driver.ask(model=model)
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))
    driver.feed(lost)
    seen = grammar.messages(driver.body)
    assert seen.failed
    assert not seen.ended
    assert seen.text == "pong"
    assert driver.record.outcome is Outcome.TRUNCATED
    assert_invariants(driver)


def test_t1_a_cut_pass_through_stream_ends_in_an_error_event_behind_whole_events() -> None:
    driver = Driver()
    driver.ask(model="same-x")
    driver.feed(UpstreamHead(200, (SSE,)))
    start = (
        b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","type":"message"}}\n\n'
        b"event: content_block_start\n"
        b'data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}\n\n'
        b"event: content_block_delta\n"
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}\n\n'
    )
    driver.feed(UpstreamData(start + b"event: content_block_delta\nda"))
    driver.feed(UpstreamLost("reset"))
    assert driver.body.startswith(start + b"event: error\ndata: ")
    assert driver.record.outcome is Outcome.TRUNCATED
    assert_invariants(driver)


def test_half_of_a_whole_pass_through_answer_is_cut_not_ended() -> None:
    driver = Driver()
    driver.ask(model="same-x", stream=False)
    driver.feed(UpstreamHead(200, (JSON,)))
    driver.feed(UpstreamData(b'{"id":"msg_1",' + b" " * MAX_WHOLE))
    driver.feed(UpstreamLost("reset"))
    assert Cut in kinds(driver.actions)
    assert Finish not in kinds(driver.actions)
    assert_invariants(driver)


def test_half_of_a_short_whole_answer_is_a_true_error() -> None:
    driver = Driver()
    driver.ask(model="same-x", stream=False)
    driver.feed(UpstreamHead(200, (JSON,)))
    driver.feed(UpstreamData(b'{"id":"msg_1",'))
    driver.feed(UpstreamLost("reset"))
    assert Cut not in kinds(driver.actions)
    assert only(driver.actions, SendHead)[0].status == 502
    assert_invariants(driver)


# --- time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stream", "secs"), [(True, 30), (False, 60)])
def test_a_provider_without_an_answer_is_a_504(stream: bool, secs: float) -> None:
    driver = Driver()
    driver.ask(stream=stream)
    assert driver.exchange.next_deadline() == driver.now + secs
    assert driver.feed(DeadlinePassed(), after=secs - 1) == []
    assert Abort in kinds(driver.feed(DeadlinePassed(), after=1))
    assert driver.status == 504
    assert_invariants(driver)


def test_a_provider_that_falls_silent_is_an_in_stream_error_and_pings_do_not_hide_it() -> None:
    driver = Driver(msgspec.structs.replace(GATEWAY, ping_secs=4.0))
    driver.ask()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))
    assert driver.exchange.next_deadline() == driver.now + 4
    assert b"ping" in only(driver.feed(DeadlinePassed(), after=4), SendBody)[0].data
    driver.feed(DeadlinePassed(), after=4)
    assert driver.exchange.next_deadline() == driver.now + 2
    driver.feed(DeadlinePassed(), after=2)
    assert grammar.messages(driver.body).failed
    assert driver.record.error is not None
    assert driver.record.error.kind is ir.ErrorKind.TIMEOUT
    assert_invariants(driver)


def test_the_total_limit_counts_from_the_request() -> None:
    driver = Driver(msgspec.structs.replace(GATEWAY, ping_secs=1000.0))
    driver.ask()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))
    for _ in range(20):
        driver.feed(UpstreamData(PONG), after=4.9)
    driver.feed(DeadlinePassed(), after=2.1)
    assert grammar.messages(driver.body).failed
    assert_invariants(driver)
