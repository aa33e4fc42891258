"""The life of a request whose provider fails before the client has heard anything: again, elsewhere, or the end."""

from __future__ import annotations

import json

import msgspec
import pytest

from ferryllm_proto import Gateway, Provider, Route, RouteTable
from ferryllm_proto.actions import Abort, Finish, Note, Open, Outcome, Pause, Record, SendBody, SendHead
from ferryllm_proto.entries import Forward
from ferryllm_proto.inputs import (
    ClientBody,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Input,
    Stopping,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.loss import LossPolicy
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import ProviderBounds, Routing
from ferryllm_proto.routing.retry import BudgetRules, RetryRules
from ferryllm_proto.routing.table import Overrides
from ferryllm_proto.stages import State as Stage
from support import grammar
from support.driver import HOST, JSON, PONG, ROLE, SSE, WHOLE, Driver, answer, assert_invariants, kinds, only, refuse

PROVIDERS = {
    "chat": Provider("chat", "openai", first_byte_secs=30, request_secs=60, idle_secs=10, key_id="c1"),
    "messages": Provider("messages", "anthropic", first_byte_secs=30, request_secs=60, idle_secs=10),
    "third": Provider("third", "openai", first_byte_secs=30, request_secs=60, idle_secs=10),
}
RETRY = RetryRules(retries=1, backoff=0.5)
TEXT = ("content-type", "text/plain")


def gateway(*routes: Route, retry: RetryRules = RETRY) -> Gateway:
    return Gateway(RouteTable(routes), PROVIDERS, retry=retry)


ALONE = gateway(Route("claude-", "chat", rewrite_model="gpt-5.4"))
SPARE = gateway(Route("claude-", "chat", rewrite_model="gpt-5.4", fallbacks=(Target("messages", "real"),)))


def breaking(failures: int = 1) -> Routing:
    return Routing(BreakerRules(failures=failures, cooldown=20.0))


# --- the same target again -------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False])
def test_a_failed_attempt_is_made_again_after_its_backoff(stream: bool) -> None:
    driver = Driver(ALONE)
    driver.ask(stream=stream)
    refuse(driver)
    assert driver.exchange.state is Stage.PAUSING
    assert only(driver.actions, Pause) == [Pause(100.5, "backoff", 1)]
    assert driver.exchange.next_deadline() == 100.5
    assert only(driver.wait(), Open)[0].attempt == 2
    answer(driver, stream=stream)
    assert_invariants(driver)
    assert driver.status == 200
    assert driver.tries == [("chat", "status"), ("chat", "ok")]
    first, second = driver.record.tries
    assert (first.status, first.reason, second.status, second.waited) == (503, "backoff", 200, 0.5)
    assert driver.record.attempts == 2
    assert driver.record.outcome is Outcome.OK


def test_a_wait_that_is_not_over_goes_on() -> None:
    driver = Driver(ALONE)
    driver.ask()
    refuse(driver)
    assert driver.feed(DeadlinePassed(), after=0.4) == []
    assert driver.exchange.state is Stage.PAUSING
    assert kinds(driver.feed(DeadlinePassed(), after=0.1)) == [Open]


def test_without_backoff_there_is_no_pause() -> None:
    driver = Driver(gateway(Route("claude-", "chat"), retry=RetryRules(retries=1, backoff=0.0)))
    driver.ask()
    driver.feed(UpstreamHead(503, (TEXT,)))
    assert kinds(driver.feed(UpstreamEnd())) == [Open]


_EVENT = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"later"}}\n\n'


@pytest.mark.parametrize(
    ("events", "outcome"),
    [
        ([UpstreamLost("refused")], "transport"),
        ([UpstreamLost("slow", timeout=True)], "timeout"),
        ([UpstreamHead(200, (SSE,)), UpstreamData(ROLE), UpstreamEnd()], "transport"),
        ([UpstreamHead(200, (SSE,)), UpstreamData(ROLE), UpstreamLost("reset")], "transport"),
        ([UpstreamHead(200, (SSE,)), UpstreamData(b'data: {"error":{"message":"no","code":500}}\n\n')], "status"),
        ([UpstreamHead(200, (("content-type", "text/html"),)), UpstreamData(b"<html>"), UpstreamEnd()], "transport"),
        ([UpstreamHead(529, (TEXT,)), UpstreamEnd()], "status"),
    ],
)
def test_every_way_to_fail_before_content_is_followed_by_another_attempt(events: list[Input], outcome: str) -> None:
    driver = Driver(ALONE)
    driver.ask()
    for event in events:
        driver.feed(event)
    assert driver.exchange.state is Stage.PAUSING
    assert only(driver.actions, SendHead) == []
    driver.wait()
    answer(driver)
    assert_invariants(driver)
    assert driver.tries == [("chat", outcome), ("chat", "ok")]
    assert grammar.messages(driver.body).text == "pong"


def test_a_provider_that_sends_no_head_in_time_is_asked_again() -> None:
    driver = Driver(ALONE)
    driver.ask()
    assert Abort in kinds(driver.wait())
    driver.wait()
    answer(driver)
    assert driver.tries == [("chat", "timeout"), ("chat", "ok")]


def test_half_of_a_whole_answer_is_asked_for_again() -> None:
    driver = Driver(ALONE)
    driver.ask(stream=False)
    driver.feed(UpstreamHead(200, (JSON,)))
    driver.feed(UpstreamData(WHOLE[:50]))
    driver.feed(UpstreamLost("reset"))
    driver.wait()
    answer(driver, stream=False)
    assert json.loads(driver.body)["content"][0]["text"] == "pong"


def test_an_open_provider_is_closed_before_the_next_attempt() -> None:
    driver = Driver(gateway(Route("claude-", "chat"), retry=RetryRules(retries=1, backoff=0.0)))
    driver.ask()
    driver.feed(UpstreamHead(200, (SSE,)))
    found = driver.feed(UpstreamData(b'data: {"error":{"message":"no","code":500}}\n\n'))
    assert kinds(found) == [Abort, Open]


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 501])
def test_what_another_attempt_would_not_mend_is_told_at_once(status: int) -> None:
    driver = Driver(SPARE)
    driver.ask()
    refuse(driver, status)
    assert_invariants(driver)
    assert driver.record.attempts == 1
    assert driver.status >= 400


def test_the_last_attempts_error_is_the_clients() -> None:
    driver = Driver(ALONE)
    driver.ask()
    refuse(driver, 500)
    driver.wait()
    refuse(driver, 429, ("retry-after", "1"))
    assert_invariants(driver)
    assert driver.status == 429
    assert driver.tries == [("chat", "status"), ("chat", "status")]
    assert driver.record.tries[1].reason == "its attempts are used up"


# --- how long it waits -----------------------------------------------------------------------------------


def test_a_wait_that_the_provider_asks_for_is_kept() -> None:
    driver = Driver(ALONE)
    driver.ask()
    refuse(driver, 429, ("retry-after", "7"))
    assert only(driver.actions, Pause) == [Pause(107.0, "it asked to wait", 1)]


def test_a_wait_may_be_a_date() -> None:
    driver = Driver(ALONE)  # created on 2025-10-09T08:53:20Z
    driver.ask()
    refuse(driver, 503, ("retry-after", "Thu, 09 Oct 2025 08:53:29 GMT"))
    assert only(driver.actions, Pause)[0].until == pytest.approx(109.0)


def test_who_asks_for_too_long_a_wait_is_not_waited_for() -> None:
    driver = Driver(ALONE)
    driver.ask()
    refuse(driver, 429, ("retry-after", "600"))
    assert_invariants(driver)
    assert driver.status == 429
    assert ("retry-after", "600") in only(driver.actions, SendHead)[0].headers


def test_no_attempt_begins_behind_the_requests_time() -> None:
    providers = {"chat": msgspec.structs.replace(PROVIDERS["chat"], total_secs=5.0)}
    driver = Driver(msgspec.structs.replace(ALONE, providers=providers))
    driver.ask()
    driver.now += 4.8
    refuse(driver)
    assert driver.record.tries[0].reason == "the request's time would be up"


def test_all_attempts_share_the_requests_time() -> None:
    providers = {"chat": msgspec.structs.replace(PROVIDERS["chat"], total_secs=5.0)}
    routes = RouteTable((Route("claude-", "chat", fallbacks=(Target("third"),)),))
    driver = Driver(Gateway(routes, {**PROVIDERS, **providers}, retry=RETRY))
    driver.ask()
    driver.now += 3.0
    refuse(driver)
    driver.wait()
    assert driver.exchange.next_deadline() == 105.0
    driver.wait()
    assert_invariants(driver)
    assert "was not done in 5 s" in json.loads(driver.body)["error"]["message"]
    assert driver.tries == [("chat", "status"), ("chat", "timeout")]
    assert driver.record.tries[1].reason == "the request's time is up"


def test_a_route_has_its_own_rules_and_times() -> None:
    own = Overrides(retry=RetryRules(retries=1, backoff=2.0), first_byte_secs=3.0, idle_secs=4.0, request_secs=6.0)
    driver = Driver(gateway(Route("claude-", "chat", overrides=own), retry=RetryRules()))
    driver.ask()
    assert driver.exchange.next_deadline() == 103.0
    driver.wait()
    assert only(driver.actions, Pause)[0].until == 105.0
    assert "sent no answer for 3 s" not in driver.body.decode()


def test_the_retry_budget_is_everybodys() -> None:
    routing = Routing(BreakerRules(), budget=BudgetRules(percent=0, floor=1, per_minute=0))
    drivers = [Driver(ALONE, routing=routing) for _ in range(2)]
    for driver in drivers:
        driver.ask()
        refuse(driver)
    assert [driver.exchange.state for driver in drivers] == [Stage.PAUSING, Stage.DONE]
    assert drivers[1].record.tries[0].reason == "the retry budget is used up"


# --- another target --------------------------------------------------------------------------------------


def test_a_fallback_gets_the_clients_own_bytes_in_its_own_dialect() -> None:
    driver = Driver(SPARE)
    driver.ask()
    refuse(driver)
    driver.wait()
    refuse(driver)
    opened = only(driver.actions, Open)
    assert [one.provider for one in opened] == ["chat", "chat", "messages"]
    assert opened[2].request.path == "/v1/messages"
    assert json.loads(opened[2].request.body) == {
        "model": "real",
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "hi"}],
    }
    refuse(driver, 529)
    driver.wait()
    refuse(driver, 529)
    assert_invariants(driver)
    assert driver.record.provider == "messages"
    assert driver.record.backend_model == "real"
    assert [one for one, _ in driver.tries] == ["chat", "chat", "messages", "messages"]


def test_a_refused_key_is_the_next_targets_turn_at_once() -> None:
    driver = Driver(SPARE)
    driver.ask()
    refuse(driver, 401)
    assert [one.provider for one in only(driver.actions, Open)] == ["chat", "messages"]


def test_who_asks_to_wait_is_left_for_somebody_who_need_not() -> None:
    driver = Driver(SPARE)
    driver.ask()
    refuse(driver, 429, ("retry-after", "7"))
    assert [one.provider for one in only(driver.actions, Open)] == ["chat", "messages"]


def test_a_fallback_that_can_not_carry_the_request_leaves_the_first_error() -> None:
    strict = Route("gpt-", "chat", fallbacks=(Target("messages"),), loss_policy=LossPolicy.STRICT)
    driver = Driver(gateway(strict, retry=RetryRules()))
    body = {"model": "gpt-x", "seed": 5, "logit_bias": {"1": 2}, "messages": [{"role": "user", "content": "hi"}]}
    driver.feed(ClientRequest("POST", "/v1/chat/completions", (HOST, JSON)))
    driver.feed(ClientBody(json.dumps(body).encode()))
    refuse(driver, 503)
    assert_invariants(driver)
    assert driver.status == 503
    assert driver.tries == [("chat", "status")]
    assert driver.record.provider == "chat"


def test_a_request_that_nobody_could_carry_is_refused_by_the_first() -> None:
    strict = Route("claude-", "chat", fallbacks=(Target("third"),), loss_policy=LossPolicy.STRICT)
    driver = Driver(gateway(strict), routing=Routing(BreakerRules(), bounds={"chat": ProviderBounds(concurrency=1)}))
    body = {"model": "claude-x", "max_tokens": 9, "top_k": 5, "messages": [{"role": "user", "content": "hi"}]}
    driver.feed(ClientRequest("POST", "/v1/messages", (HOST, JSON)))
    driver.feed(ClientBody(json.dumps(body).encode()))
    assert_invariants(driver)
    assert driver.status == 400
    assert driver.record.tries == ()


# --- nothing is taken back -------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [UpstreamLost("reset"), UpstreamEnd()])
def test_behind_content_no_second_answer_comes(end: Input) -> None:
    driver = Driver(SPARE, routing=breaking())
    driver.ask()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))
    driver.feed(end)
    assert_invariants(driver)
    seen = grammar.messages(driver.body)
    assert (seen.text, seen.ended, seen.failed) == ("pong", False, True)
    assert driver.record.outcome is Outcome.TRUNCATED
    assert driver.tries == [("chat", "transport")]
    assert "provider circuit opened" in driver.notes()


def test_a_head_that_could_wait_no_longer_is_as_good_as_content() -> None:
    driver = Driver(SPARE)
    driver.ask()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE))
    assert SendHead in kinds(driver.wait())
    driver.feed(UpstreamLost("reset"))
    assert_invariants(driver)
    assert driver.record.attempts == 1
    assert grammar.messages(driver.body).failed


def test_what_is_handed_on_is_never_asked_for_twice() -> None:
    forwarding = msgspec.structs.replace(SPARE, forwards=(Forward("/v1/files", "chat"),))
    driver = Driver(forwarding)
    driver.feed(ClientRequest("POST", "/v1/files", (HOST, JSON)))
    driver.feed(ClientBody(b"{}"))
    driver.feed(UpstreamLost("reset"))
    assert_invariants(driver)
    assert driver.record.attempts == 1
    assert driver.status == 502


# --- who leaves, and who stops ---------------------------------------------------------------------------


def test_a_client_that_leaves_in_a_pause_is_nobody_to_ask_for() -> None:
    driver = Driver(ALONE)
    driver.ask()
    refuse(driver)
    assert kinds(driver.feed(ClientLost())) == [Record]
    assert driver.record.outcome is Outcome.CANCELLED
    assert driver.tries == [("chat", "status")]


def test_a_gateway_that_stops_in_a_pause_tells_the_last_error() -> None:
    driver = Driver(ALONE)
    driver.ask()
    refuse(driver)
    assert kinds(driver.feed(Stopping())) == [SendHead, SendBody, Finish, Record]
    assert driver.status == 529  # what clients of Messages know a 503 as
    assert_invariants(driver)


def test_stopping_is_held_against_nobody() -> None:
    routing = breaking()
    driver = Driver(SPARE, routing=routing)
    driver.ask()
    driver.feed(Stopping())
    assert_invariants(driver)
    assert driver.tries == [("chat", "cancelled")]
    assert not routing.health.troubled


# --- what is told of it ----------------------------------------------------------------------------------


def test_the_log_tells_each_step() -> None:
    driver = Driver(SPARE)
    driver.ask()
    refuse(driver)
    driver.wait()
    refuse(driver)
    assert driver.notes() == [
        "incoming request",
        "resolved route",
        "sending chat request",
        "upstream request attempt failed",
        "retrying upstream request",
        "sending chat request",
        "upstream request attempt failed",
        "trying fallback provider",
        "sending chat request",
    ]
    told = [note for note in only(driver.actions, Note) if note.name == "trying fallback provider"]
    assert told[0].fields == {
        "provider": "messages",
        "model": "real",
        "attempt": 3,
        "reason": "its attempts are used up",
    }
