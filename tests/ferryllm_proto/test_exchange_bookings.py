"""The life of a request whose provider has bounds that many processes count: a place is taken before each attempt."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ferryllm_proto import Gateway, Provider, Route, RouteTable, ir
from ferryllm_proto.actions import (
    Abort,
    Book,
    Finish,
    GiveBack,
    Open,
    Outcome,
    Pause,
    Record,
    Release,
    SendBody,
    SendHead,
)
from ferryllm_proto.inputs import (
    Booked,
    BookedUp,
    ClientBody,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Stopping,
    UpstreamData,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.loss import LossPolicy
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.breaker import BreakerRules, Permit, Verdict
from ferryllm_proto.routing.choice import FULL, Booking, Closed, ProviderBounds, Routing, Why
from ferryllm_proto.routing.limits import Charge, Meter
from ferryllm_proto.routing.rates import Rate
from ferryllm_proto.routing.retry import RetryRules
from ferryllm_proto.stages import State
from support.driver import HOST, JSON, PONG, ROLE, SSE, Driver, answer, assert_invariants, kinds, only, refuse

PROVIDERS = {
    name: Provider(name, dialect, first_byte_secs=30, request_secs=60, idle_secs=10, total_secs=100)
    for name, dialect in (("chat", "openai"), ("spare", "openai"), ("messages", "anthropic"))
}
ROUTE = Route("claude-", "chat", rewrite_model="m", fallbacks=(Target("spare"), Target("messages")))
SPARED = Gateway(RouteTable((ROUTE,)), PROVIDERS, shares_bounds=True, retry=RetryRules(retries=0))
ALONE = msgspec.structs.replace(SPARED, routes=RouteTable((msgspec.structs.replace(ROUTE, fallbacks=()),)))
BOUNDS = {"chat": ProviderBounds(5, 10_000, 2), "spare": ProviderBounds(concurrency=1)}
LATER = Closed(Why.LIMIT, 7.0)


class Bounded(Driver):
    """A driver whose `Routing` has bounds that others count."""

    def __init__(self, gateway: Gateway = SPARED, **fields: Any) -> None:
        self.routing = Routing(BreakerRules(**fields), bounds=BOUNDS)
        super().__init__(gateway, routing=self.routing)

    @property
    def books(self) -> list[Book]:
        return only(self.actions, Book)

    @property
    def backs(self) -> list[GiveBack]:
        return only(self.actions, GiveBack)

    @property
    def opened(self) -> list[str]:
        return [one.provider for one in only(self.actions, Open)]

    def book(self) -> Booking:
        """There is room for what was asked for last."""
        booking = Booking(self.books[-1].provider, Charge(()))
        self.feed(Booked(booking))
        return booking

    def assert_over(self) -> None:
        """Everything that was taken is given back, once."""
        assert_invariants(self)
        assert [self.routing.loads.at(name) for name in PROVIDERS] == [0, 0, 0]
        scopes = [(f"provider/{name}", Meter.REQUESTS) for name in PROVIDERS]
        assert [self.routing.limits._buckets.peek(scope) for scope in scopes] == [None] * 3, "counted here too"


def test_a_place_is_asked_for_before_the_provider_is() -> None:
    driver = Bounded()
    assert kinds(driver.ask(stream=False)) == [Book]
    (book,) = driver.books
    assert (book.provider, book.concurrency) == ("chat", 2)
    assert [(one.meter, one.rate, one.scope) for one in book.demands] == [
        (Meter.REQUESTS, Rate(5), "provider/chat"),
        (Meter.TOKENS, Rate(10_000), "provider/chat"),
    ]
    assert book.demands[0].cost == 1
    assert 9 < book.demands[1].cost < 100, "what it may take, estimated"
    assert (driver.exchange.state, driver.exchange.next_deadline()) == (State.BOOKING, None)
    assert driver.feed(DeadlinePassed()) == []
    booking = driver.book()
    assert driver.opened == ["chat"]
    answer(driver, stream=False)
    assert kinds(driver.actions)[-5:] == [GiveBack, SendHead, SendBody, Finish, Record], "whatever its client does"
    assert driver.backs == [GiveBack(booking, 10, took_place=True)]
    assert driver.backs[0].booking is booking
    driver.assert_over()


@pytest.mark.parametrize("shares", [False, True])
def test_nobody_is_asked_where_nothing_is_shared_or_bounded(shares: bool) -> None:
    gateway = msgspec.structs.replace(SPARED, shares_bounds=shares)
    routing = Routing(BreakerRules(), bounds={"messages": BOUNDS["chat"]} if shares else BOUNDS)
    driver = Driver(gateway, routing=routing)
    driver.ask(stream=False)
    answer(driver, stream=False)
    assert {Book, GiveBack}.isdisjoint(kinds(driver.actions))


def test_who_has_no_room_is_passed_over_without_an_attempt() -> None:
    driver = Bounded()
    driver.ask(stream=False)
    found = driver.feed(BookedUp(LATER))
    assert kinds(found) == [Book]
    assert [book.provider for book in driver.books] == ["chat", "spare"]
    assert kinds(driver.feed(BookedUp(FULL))) == [Open]
    assert driver.opened == ["messages"], "it has no bounds"
    assert driver.notes().count("provider passed over at its bound") == 2
    refuse(driver)
    assert driver.tries == [("messages", "status")]
    assert driver.backs == []
    driver.assert_over()


def test_the_attempts_of_a_request_are_those_that_were_made() -> None:
    driver = Bounded(msgspec.structs.replace(SPARED, retry=RetryRules(total=2)))
    driver.ask(stream=False)
    driver.feed(BookedUp(LATER))
    driver.book()
    driver.feed(UpstreamLost("refused"))
    assert driver.opened == ["spare", "messages"]
    driver.feed(UpstreamLost("refused"))
    assert driver.record.attempts == 2
    driver.assert_over()


@pytest.mark.parametrize(
    ("closed", "status", "wait"),
    [
        (LATER, 429, "7"),
        (FULL, 429, "1"),
        (Closed(Why.SIZE, float("inf")), 413, None),
        (Closed(Why.STORE, 1.0), 529, "1"),
    ],
)
def test_when_nobody_has_room_the_error_says_until_when(closed: Closed, status: int, wait: str | None) -> None:
    driver = Bounded(ALONE)
    driver.ask()
    found = driver.feed(BookedUp(closed))
    assert kinds(found) == [SendHead, SendBody, Finish, Record]
    (head,) = only(found, SendHead)
    assert (head.status, dict(head.headers).get("retry-after")) == (status, wait)
    assert (driver.record.attempts, driver.record.tries) == (0, ())
    driver.assert_over()


def test_the_wait_that_is_told_is_the_shortest() -> None:
    routes = RouteTable((msgspec.structs.replace(ROUTE, fallbacks=(Target("spare"),)),))
    driver = Bounded(msgspec.structs.replace(SPARED, routes=routes))
    driver.ask()
    driver.feed(BookedUp(LATER))
    driver.feed(BookedUp(Closed(Why.LIMIT, 3.0)))
    (head,) = only(driver.actions, SendHead)
    assert dict(head.headers)["retry-after"] == "3"


def test_two_that_are_full_do_not_take_turns() -> None:
    routes = RouteTable((msgspec.structs.replace(ROUTE, fallbacks=(Target("spare"),)),))
    driver = Bounded(msgspec.structs.replace(SPARED, routes=routes))
    driver.ask()
    driver.feed(BookedUp(Closed(Why.LIMIT, 1e-6)))
    driver.feed(BookedUp(Closed(Why.LIMIT, 1e-6)), after=0.5)
    assert driver.status == 429
    assert [book.provider for book in driver.books] == ["chat", "spare"]


# --- further attempts ------------------------------------------------------------------------------------


def test_a_failed_attempt_gives_its_place_back_before_the_next_takes_one() -> None:
    driver = Bounded()
    driver.ask()
    first = driver.book()
    driver.feed(UpstreamHead(200, (SSE,)))
    found = driver.feed(UpstreamData(b'data: {"error": {"message": "no", "code": 500}}\n\n'))
    assert kinds(found) == [Abort, GiveBack, Book]
    assert driver.backs == [GiveBack(first, 0, took_place=True)]
    second = driver.book()
    assert driver.opened == ["chat", "spare"]
    answer(driver)
    assert kinds(driver.actions)[-4:] == [Finish, Release, GiveBack, Record], "the provider comes first"
    assert [back.booking for back in driver.backs] == [first, second]
    assert driver.backs[1].tokens is None, "its answer said nothing of tokens"
    driver.assert_over()


def test_a_pause_holds_no_place_and_the_next_attempt_takes_its_own() -> None:
    driver = Bounded(msgspec.structs.replace(ALONE, retry=RetryRules(retries=1, backoff=0.5)))
    driver.ask()
    driver.book()
    found = driver.feed(UpstreamLost("refused"))
    assert kinds(found) == [GiveBack, Pause]
    assert kinds(driver.wait()) == [Book]
    second = driver.book()
    assert driver.opened == ["chat", "chat"]
    answer(driver)
    assert driver.backs[-1].booking is second
    driver.assert_over()


def test_without_room_for_another_attempt_the_last_words_are_the_answer() -> None:
    driver = Bounded(msgspec.structs.replace(ALONE, retry=RetryRules(retries=1, backoff=0.5)))
    driver.ask()
    driver.book()
    refuse(driver)
    driver.wait()
    driver.feed(BookedUp(LATER))
    assert driver.status == 529  # of the 503
    assert driver.tries == [("chat", "status")]
    assert len(driver.backs) == 1
    driver.assert_over()


def test_who_had_no_room_is_asked_for_again_once_he_may_have_some() -> None:
    routes = RouteTable((Route("claude-", "messages", fallbacks=()),))
    gateway = msgspec.structs.replace(SPARED, routes=routes, retry=RetryRules(retries=2, backoff=4.0, jitter=0.0))
    driver = Driver(gateway, routing=Routing(BreakerRules(), bounds={"messages": ProviderBounds(5)}))
    driver.ask()
    driver.feed(Booked(Booking("messages", Charge(()))))
    driver.feed(UpstreamLost("reset"))
    assert kinds(driver.wait()) == [Book]
    driver.feed(BookedUp(LATER))
    assert driver.record.attempts == 1
    targets = (Target("chat"), Target("messages"))
    routes = RouteTable((Route("claude-", "chat", targets=targets, fallbacks=(Target("spare"),)),))
    spared = Bounded(msgspec.structs.replace(gateway, routes=routes))
    spared.ask()
    spared.feed(BookedUp(Closed(Why.LIMIT, 3.0)))
    assert spared.opened == ["messages"]
    spared.feed(UpstreamLost("reset"))
    spared.wait()  # four seconds: the same again
    refuse(spared, 401)
    assert [book.provider for book in spared.books] == ["chat", "chat"], "its three seconds are over"


def test_a_breaker_that_tries_one_request_has_its_probe_back_when_there_is_no_room() -> None:
    driver = Bounded(ALONE, failures=1, cooldown=5.0)
    permit = driver.routing.health.enter("chat", "m", "", driver.now)
    assert isinstance(permit, Permit)
    driver.routing.health.settle(permit, Verdict.FAILURE, driver.now)
    driver.now += 6.0
    driver.ask()
    driver.feed(BookedUp(FULL))
    assert driver.status == 429
    again = Driver(ALONE, routing=driver.routing, now=driver.now)
    again.ask()
    assert kinds(again.actions)[-1] is Book, "the probe is free"


# --- what is not sent ------------------------------------------------------------------------------------


def test_a_request_that_can_not_be_sent_takes_nothing() -> None:
    driver = Bounded(ALONE)
    driver.feed(ClientRequest("POST", "/v1/messages", (HOST, JSON)))
    driver.feed(ClientBody(b'{"model":"claude-x","max_tokens":9,"messages":5}'))
    booking = driver.book()
    assert driver.status == 400
    assert driver.backs == [GiveBack(booking, 0, took_place=False)]
    driver.assert_over()


def test_a_fallback_that_can_not_be_asked_for_this_gives_its_place_back() -> None:
    route = Route("same-", "messages", loss_policy=LossPolicy.STRICT, fallbacks=(Target("chat"), Target("spare")))
    driver = Bounded(msgspec.structs.replace(SPARED, routes=RouteTable((route,))))
    body = {"model": "same-x", "max_tokens": 9, "top_k": 3, "messages": [{"role": "user", "content": "hi"}]}
    driver.feed(ClientRequest("POST", "/v1/messages", (HOST, JSON)))
    driver.feed(ClientBody(json.dumps(body).encode()))
    refuse(driver)
    first = driver.book()
    assert driver.books[-1].provider == "spare", "the next one is asked for"
    assert driver.backs == [GiveBack(first, 0, took_place=False)]
    second = driver.book()
    assert driver.opened == ["messages"]
    assert driver.backs[1:] == [GiveBack(second, 0, took_place=False)]
    assert (driver.status, driver.record.attempts) == (529, 1)
    driver.assert_over()


# --- leaving ---------------------------------------------------------------------------------------------


def test_who_leaves_before_the_answer_has_nothing_to_give_back() -> None:
    driver = Bounded()
    driver.ask()
    assert kinds(driver.feed(ClientLost())) == [Record]
    assert driver.record.outcome is Outcome.CANCELLED
    assert driver.exchange.receive(Booked(Booking("chat", Charge(()))), driver.now) == []
    driver.assert_over()


@pytest.mark.parametrize("content", [False, True])
def test_who_leaves_an_attempt_gives_its_place_back(content: bool) -> None:
    driver = Bounded()
    driver.ask()
    booking = driver.book()
    if content:
        driver.feed(UpstreamHead(200, (SSE,)))
        driver.feed(UpstreamData(ROLE + PONG))
    assert kinds(driver.feed(ClientLost())) == [Abort, GiveBack, Record]
    assert driver.backs == [GiveBack(booking, None if content else 0, took_place=True)]
    driver.assert_over()


def test_a_gateway_that_stops_waits_for_no_place() -> None:
    driver = Bounded()
    driver.ask()
    driver.feed(Stopping())
    assert driver.status == 529
    assert driver.record.error == ir.Error(ir.ErrorKind.OVERLOADED, "the gateway is shutting down", retry_after=1.0)
    driver.assert_over()
    second = Bounded()
    second.ask()
    second.book()
    refuse(second, 500)
    assert second.exchange.state is State.BOOKING
    second.feed(Stopping())
    assert (second.status, "no" in second.body.decode()) == (500, True), "what was said last"
    assert second.record.error is not None
    assert second.record.error.status == 500
    second.assert_over()


def test_a_place_is_not_waited_for_longer_than_the_request_may_take() -> None:
    driver = Bounded()
    driver.ask()
    driver.book()
    refuse(driver, 500)
    assert (driver.exchange.state, driver.exchange.next_deadline()) == (State.BOOKING, 200.0)
    assert driver.feed(DeadlinePassed(), after=50.0) == []
    driver.wait()
    assert driver.status == 500
    driver.assert_over()
