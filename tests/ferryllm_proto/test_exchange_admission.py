"""The life of a request that has to be let in: keys, limits, quotas, and what is settled at its end."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ferryllm_proto import Gateway, Provider, Route, RouteTable, ir
from ferryllm_proto.actions import Admit, Finish, Open, Outcome, ReadBody, Recall, Record, SendBody, SendHead, Settle
from ferryllm_proto.entries import Forward
from ferryllm_proto.inputs import (
    Admitted,
    ClientBody,
    ClientLost,
    ClientRequest,
    DeadlinePassed,
    Refused,
    Stopping,
    UpstreamData,
    UpstreamEnd,
    UpstreamHead,
    UpstreamLost,
)
from ferryllm_proto.policy.access import key_digest
from ferryllm_proto.routing.affinity import AffinityRules
from ferryllm_proto.routing.balance import Target
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import Routing
from ferryllm_proto.routing.keys import Admission, Ask, ClientKey, Desk, KeyBook, KeyLimits, Project, Refusal
from ferryllm_proto.routing.pricing import Amount, Cost, Price, PriceTable, Row
from ferryllm_proto.routing.quota import Period, Quota, Unit
from ferryllm_proto.stages import State
from support.driver import (
    DONE,
    GATEWAY,
    HOST,
    JSON,
    PONG,
    ROLE,
    SSE,
    STOP,
    WHOLE,
    Driver,
    assert_invariants,
    kinds,
    only,
)

SECRET = "fk-one-0123456789"
AUTH = ("x-api-key", SECRET)
KEY = ClientKey("k1", key_digest(SECRET), name="ann", limits=KeyLimits(requests_per_minute=2, tokens_per_minute=10_000))
CREATED = 1_760_000_000.0


def limited(key: ClientKey = KEY, **more: Any) -> Gateway:
    return msgspec.structs.replace(GATEWAY, keys=KeyBook((key,)), admits=True, **more)


class Desked(Driver):
    """A driver with a desk that answers at once."""

    def __init__(self, gateway: Gateway, desk: Desk | None = None) -> None:
        assert gateway.keys is not None
        self.desk = desk or Desk(gateway.keys)
        super().__init__(gateway, desk=self.desk)

    def admit(self) -> None:
        (admit,) = only(self.actions, Admit)
        found = self.desk.admit(admit.key, admit.ask, self.now, CREATED)
        self.feed(Refused(found) if isinstance(found, Refusal) else Admitted(found, 0.25))

    def settled(self) -> Settle:
        (settle,) = only(self.actions, Settle)
        return settle

    def headers(self) -> dict[str, str]:
        (head,) = only(self.actions, SendHead)
        return dict(head.headers)


def answer(driver: Driver, *headers: tuple[str, str]) -> None:
    driver.feed(UpstreamHead(200, (JSON, *headers)))
    driver.feed(UpstreamData(WHOLE))
    driver.feed(UpstreamEnd())


# --- who is asked ----------------------------------------------------------------------------------------


def test_without_limits_nobody_is_asked_and_nothing_settled() -> None:
    driver = Driver()
    driver.ask(stream=False)
    answer(driver)
    assert {Admit, Settle}.isdisjoint(kinds(driver.actions))
    assert (driver.record.key, driver.record.queued, driver.record.refused) == (None, None, None)


def test_a_request_waits_to_be_let_in_before_anybody_is_asked() -> None:
    driver = Desked(limited())
    found = driver.ask(AUTH, stream=False)
    assert kinds(found) == [Admit]
    (admit,) = only(found, Admit)
    assert (admit.key, admit.flow, admit.ask.model, admit.session) == (KEY, "k1", "claude-x", None)
    assert 1 <= admit.ask.input_tokens < 50
    assert admit.ask.output_tokens == 9
    assert (driver.exchange.state, driver.exchange.next_deadline()) == (State.ADMITTING, None)
    assert driver.feed(DeadlinePassed()) == []
    driver.admit()
    assert driver.exchange.state is State.WAITING
    answer(driver)
    assert_invariants(driver)
    assert kinds(driver.actions)[-2:] == [Settle, Record]
    assert driver.settled() == Settle(driver.settled().admission, 10, None, took_place=True)
    assert (driver.record.key, driver.record.queued) == (KEY, 0.25)


def test_with_keys_off_everybody_is_one_flow() -> None:
    driver = Driver(msgspec.structs.replace(GATEWAY, admits=True))
    driver.ask()
    (admit,) = only(driver.actions, Admit)
    assert (admit.key, admit.flow, admit.concurrency) == (None, "", None)


def test_how_many_a_key_may_have_under_way_is_told() -> None:
    book = KeyBook((KEY,))
    driver = Desked(limited(), Desk(book, each=KeyLimits(concurrency=3)))
    driver.ask(AUTH)
    assert only(driver.actions, Admit)[0].concurrency == 3
    own = msgspec.structs.replace(KEY, limits=KeyLimits(concurrency=1))
    undesked = Driver(limited(own))
    undesked.ask(AUTH)
    assert only(undesked.actions, Admit)[0].concurrency == 1


def test_tokens_are_estimated_only_where_somebody_counts_them() -> None:
    driver = Desked(limited(msgspec.structs.replace(KEY, limits=KeyLimits(requests_per_minute=9))))
    driver.ask(AUTH)
    assert only(driver.actions, Admit)[0].ask.tokens == 0


def test_a_body_that_nobody_understands_is_refused_by_who_reads_it() -> None:
    driver = Desked(limited())
    driver.feed(ClientRequest("POST", "/v1/messages", (HOST, JSON, AUTH)))
    driver.feed(ClientBody(b'{"model":"claude-x","max_tokens":9,"messages":5}'))
    driver.admit()
    assert driver.status == 400
    assert driver.settled().took_place is False
    assert_invariants(driver)


def test_a_refused_request_reads_no_store() -> None:
    driver = Desked(limited(keeps_responses=True))
    driver.feed(ClientRequest("POST", "/v1/responses", (HOST, JSON, AUTH)))
    body = {"model": "claude-x", "input": "hi", "previous_response_id": "resp_1"}
    assert kinds(driver.feed(ClientBody(json.dumps(body).encode()))) == [Admit]
    driver.admit()
    assert driver.exchange.state is State.RECALLING
    assert Recall in kinds(driver.actions)


# --- turned away -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/messages", ("anthropic-ratelimit-requests-limit", "anthropic-ratelimit-tokens-remaining")),
        ("/v1/chat/completions", ("x-ratelimit-limit-requests", "x-ratelimit-remaining-tokens")),
        ("/v1/responses", ("x-ratelimit-limit-requests", "x-ratelimit-reset-tokens")),
    ],
)
def test_a_limit_is_a_429_in_the_clients_words(path: str, names: tuple[str, ...]) -> None:
    gateway = limited()
    assert gateway.keys is not None
    desk = Desk(gateway.keys)
    for _ in range(3):
        driver = Desked(gateway, desk)
        driver.feed(ClientRequest("POST", path, (HOST, JSON, AUTH)))
        body = {"model": "claude-x", "max_tokens": 9, "input": "hi", "messages": [{"role": "user", "content": "hi"}]}
        driver.feed(ClientBody(json.dumps(body).encode()))
        driver.admit()
    assert driver.status == 429
    headers = driver.headers()
    assert set(names) <= set(headers)
    assert int(headers["retry-after"]) > 0
    assert "2 requests a minute" in json.loads(driver.body)["error"]["message"]
    assert (driver.record.refused, driver.record.attempts) == ("limit", 0)
    assert Settle not in kinds(driver.actions)
    assert_invariants(driver)


def test_what_never_fits_is_a_413_without_a_wait() -> None:
    driver = Desked(limited(msgspec.structs.replace(KEY, limits=KeyLimits(tokens_per_minute=10))))
    driver.ask(AUTH)
    driver.admit()
    assert driver.status == 413
    assert "retry-after" not in driver.headers()
    assert driver.record.error is not None
    assert driver.record.error.code == "request_exceeds_limit"


def test_a_spent_quota_is_a_402_that_says_when_it_frees() -> None:
    key = msgspec.structs.replace(KEY, limits=KeyLimits(), quotas=(Quota(Unit.REQUESTS, Period.DAY, 1),))
    gateway, desk = limited(key), Desk(KeyBook((key,)))
    for _ in range(2):
        driver = Desked(gateway, desk)
        driver.ask(AUTH)
        driver.admit()
    assert driver.status == 402
    assert driver.headers()["retry-after"] == "54400"  # to midnight
    assert "it renews at 2025-10-10T00:00:00Z" in json.loads(driver.body)["error"]["message"]
    assert driver.record.refused == "quota"


def test_a_full_gate_is_told_in_its_own_words() -> None:
    driver = Desked(limited())
    driver.ask(AUTH)
    error = ir.Error(ir.ErrorKind.RATE_LIMIT, "the gateway is busy", retry_after=3.0)
    driver.feed(Refused(Refusal(error, {}, "busy")))
    assert (driver.status, driver.headers()["retry-after"], driver.record.refused) == (429, "3", "busy")


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"models": ("gpt-*",)}, "model_not_allowed", "model"),
        ({"providers": ("messages",)}, "provider_not_allowed", "provider"),
    ],
)
def test_what_a_key_may_not_use_is_refused_before_the_door(change: dict[str, Any], code: str, reason: str) -> None:
    driver = Desked(limited(msgspec.structs.replace(KEY, **change)))
    driver.ask(AUTH)
    assert Admit not in kinds(driver.actions)
    assert driver.status == 403
    assert driver.record.error is not None
    assert (driver.record.error.code, driver.record.refused) == (code, reason)
    assert_invariants(driver)


def test_a_key_is_answered_by_its_own_providers_alone() -> None:
    routes = RouteTable((Route("claude-", "chat", fallbacks=(Target("messages"),)),))
    key = msgspec.structs.replace(KEY, providers=("messages",))
    driver = Driver(msgspec.structs.replace(GATEWAY, routes=routes, keys=KeyBook((key,))))
    driver.ask(AUTH)
    assert [one.provider for one in only(driver.actions, Open)] == ["messages"]


def test_what_is_handed_on_has_to_name_a_model_that_the_key_may_use() -> None:
    key = msgspec.structs.replace(KEY, models=("gpt-*",))
    gateway = msgspec.structs.replace(GATEWAY, keys=KeyBook((key,)), forwards=(Forward("/v1/images", "chat"),))
    for body, status in ((b'{"model":"gpt-image"}', None), (b'{"model":"dall-e"}', 403), (b"--form", 403)):
        driver = Driver(gateway)
        driver.feed(ClientRequest("POST", "/v1/images", (HOST, JSON, AUTH)))
        driver.feed(ClientBody(body))
        assert [head.status for head in only(driver.actions, SendHead)] == ([] if status is None else [status])


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"expires": CREATED}, "key_expired", "expired"),
        ({"revoked": CREATED}, "key_revoked", "revoked"),
        ({"digest": b"x" * 32}, "invalid_api_key", "key"),
    ],
)
def test_a_key_of_no_use_is_refused_before_the_body_is_read(change: dict[str, Any], code: str, reason: str) -> None:
    driver = Driver(limited(msgspec.structs.replace(KEY, **change)))
    driver.feed(ClientRequest("POST", "/v1/messages", (HOST, JSON, AUTH)))
    assert ReadBody not in kinds(driver.actions)
    assert driver.status == 401
    assert driver.record.error is not None
    assert (driver.record.error.code, driver.record.refused) == (code, reason)
    assert SECRET not in repr(driver.actions)


def test_a_hint_names_the_provider() -> None:
    routes = RouteTable((Route("chat-", "chat", fallbacks=(Target("messages"),)),), frozenset(GATEWAY.providers))
    gateway = msgspec.structs.replace(GATEWAY, routes=routes, hints=True)
    for header, status in (("messages", None), ("nobody", 404)):
        driver = Driver(gateway)
        driver.ask(("x-ferryllm-provider", header), model="chat-x")
        if status is None:
            assert [one.provider for one in only(driver.actions, Open)] == ["messages"]
        else:
            assert driver.status == status


# --- leaving ---------------------------------------------------------------------------------------------


def test_who_leaves_before_being_let_in_has_nothing_to_settle() -> None:
    driver = Desked(limited())
    driver.ask(AUTH)
    assert kinds(driver.feed(ClientLost())) == [Record]
    assert driver.record.outcome is Outcome.CANCELLED
    assert driver.exchange.receive(Admitted(_admission()), driver.now) == []


def test_a_gateway_that_stops_lets_nobody_wait() -> None:
    driver = Desked(limited())
    driver.ask(AUTH)
    assert kinds(driver.feed(Stopping())) == [SendHead, SendBody, Finish, Record]
    assert driver.status == 529


def _admission() -> Admission:
    found = Desk(KeyBook()).admit(None, Ask("m", 0, 0, 0), 0.0, 0.0)
    assert isinstance(found, Admission)
    return found


# --- what is settled -------------------------------------------------------------------------------------


def test_an_attempt_that_failed_before_content_takes_no_tokens() -> None:
    driver = Desked(limited())
    driver.ask(AUTH)
    driver.admit()
    driver.feed(UpstreamLost("refused"))
    settle = driver.settled()
    assert (settle.tokens, settle.cost, settle.took_place) == (0, 0, True)
    assert (driver.record.counted_tokens, driver.record.counted_cost) == (0, 0)


def test_what_a_broken_answer_took_is_unknown() -> None:
    driver = Desked(limited())
    driver.ask(AUTH)
    driver.admit()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))
    driver.feed(UpstreamLost("reset"))
    settle = driver.settled()
    assert (settle.tokens, settle.took_place) == (None, True)
    assert_invariants(driver)


def test_what_is_unknown_is_recorded_as_the_desk_counts_it() -> None:
    quotas = (Quota(Unit.TOKENS, Period.EVER, 10**6), Quota(Unit.COST, Period.EVER, 10**9))
    key = msgspec.structs.replace(KEY, limits=KeyLimits(), quotas=quotas)
    driver = Desked(limited(key, prices=PriceTable((Row("gpt-5.4", PRICE, provider="chat"),))))
    driver.ask(AUTH)
    driver.admit()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))
    driver.feed(ClientLost())
    (admit,) = only(driver.actions, Admit)
    driver.desk.settle(driver.settled().admission, driver.settled().tokens, driver.settled().cost, driver.now)
    used = tuple(driver.desk.accounts.used("key/k1", quota, CREATED) for quota in quotas)
    record = driver.record
    assert (record.usage, record.cost and record.cost.total) == (None, None)
    assert (record.counted_tokens, record.counted_cost) == used == (admit.ask.tokens, admit.ask.cost)
    assert min(used) > 0


def test_what_nobody_estimated_is_not_counted() -> None:
    driver = Desked(limited(msgspec.structs.replace(KEY, limits=KeyLimits(requests_per_minute=9))))
    driver.ask(AUTH)
    driver.admit()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))
    driver.feed(ClientLost())
    assert (driver.record.counted_tokens, driver.record.counted_cost) == (None, None)


def test_a_client_that_leaves_in_the_middle_settles_what_is_known() -> None:
    driver = Desked(limited())
    driver.ask(AUTH)
    driver.admit()
    driver.feed(UpstreamHead(200, (SSE,)))
    driver.feed(UpstreamData(ROLE + PONG))
    assert kinds(driver.feed(ClientLost()))[-2:] == [Settle, Record]
    assert driver.settled().tokens is None


def test_a_count_takes_a_request_and_no_tokens() -> None:
    driver = Desked(limited())
    driver.ask(AUTH, path="/v1/messages/count_tokens", model="same-x")
    assert only(driver.actions, Admit)[0].ask.tokens == 0
    driver.admit()
    driver.feed(UpstreamHead(200, (JSON,)))
    driver.feed(UpstreamData(b'{"input_tokens":7}'))
    driver.feed(UpstreamEnd())
    assert (driver.status, driver.settled().tokens, driver.settled().cost) == (200, 0, 0)


PRICE = Price(Amount(2_000_000_000), Amount(10_000_000_000))


def priced(**change: Any) -> Gateway:
    key = msgspec.structs.replace(KEY, limits=KeyLimits(), quotas=(Quota(Unit.COST, Period.MONTH, 10**9),))
    return limited(key, prices=PriceTable((Row("gpt-5.4", PRICE, provider="chat"),)), **change)


def test_the_answer_costs_what_its_provider_takes() -> None:
    driver = Desked(priced())
    driver.ask(AUTH, stream=False)
    ask = only(driver.actions, Admit)[0].ask
    assert ask.cost == ask.input_tokens * 2000 + 9 * 10_000
    driver.admit()
    answer(driver)
    assert driver.record.cost == Cost(9 * 2000 + 10_000, 28_000)
    assert driver.settled().cost == 28_000


def test_a_model_without_a_price_has_an_unknown_cost() -> None:
    driver = Desked(priced(), None)
    driver.ask(AUTH, model="chat-x", stream=False)
    assert only(driver.actions, Admit)[0].ask.cost is None
    driver.admit()
    assert driver.status == 402
    assert driver.record.cost is None


def test_without_prices_a_record_has_no_cost() -> None:
    driver = Driver()
    driver.ask(stream=False)
    answer(driver)
    assert driver.record.cost is None


# --- limits in headers -----------------------------------------------------------------------------------


def test_the_gateways_limits_stand_in_the_place_of_the_providers() -> None:
    driver = Desked(limited())
    driver.ask(AUTH, model="same-x", stream=False)
    driver.admit()
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": "end_turn",
    }
    theirs = (("anthropic-ratelimit-requests-limit", "4000"), ("anthropic-ratelimit-input-tokens-limit", "9"))
    driver.feed(UpstreamHead(200, (JSON, *theirs)))
    driver.feed(UpstreamData(json.dumps({**answer, "usage": {"input_tokens": 1, "output_tokens": 1}}).encode()))
    driver.feed(UpstreamEnd())
    found = {name: value for name, value in driver.headers().items() if "ratelimit" in name}
    assert found["anthropic-ratelimit-requests-limit"] == "2"
    assert found["anthropic-ratelimit-requests-remaining"] == "1"
    assert "anthropic-ratelimit-input-tokens-limit" not in found


def test_without_limits_the_providers_own_pass() -> None:
    driver = Driver()
    driver.ask(model="chat-x", stream=False, path="/v1/chat/completions")
    answer(driver, ("x-ratelimit-remaining-requests", "99"))
    assert dict(only(driver.actions, SendHead)[0].headers)["x-ratelimit-remaining-requests"] == "99"


def test_an_error_of_an_admitted_request_tells_its_limits_too() -> None:
    driver = Desked(limited())
    driver.ask(AUTH)
    driver.admit()
    driver.feed(UpstreamLost("refused"))
    assert driver.headers()["anthropic-ratelimit-requests-remaining"] == "1"


# --- sessions and projects -------------------------------------------------------------------------------


def test_a_session_goes_where_others_have_it_and_tells_where_it_was_answered() -> None:
    routes = RouteTable((Route("claude-", "chat", targets=(Target("chat"), Target("third"))),))
    providers = {**GATEWAY.providers, "third": Provider("third", "openai")}
    gateway = limited(routes=routes, providers=providers, affinity=AffinityRules())
    for place in ("chat", "third"):
        driver = Driver(gateway, routing=Routing(BreakerRules()))
        driver.ask(AUTH, ("x-session-id", "s1"), stream=False)
        (admit,) = only(driver.actions, Admit)
        assert admit.session is not None
        driver.feed(Admitted(_admission(), 0.0, Target(place)))
        assert [one.provider for one in only(driver.actions, Open)] == [place]
        answer(driver)
        (settle,) = only(driver.actions, Settle)
        assert (settle.session, settle.target) == (admit.session, Target(place))


def test_a_place_that_the_route_does_not_have_is_nobodys() -> None:
    routes = RouteTable((Route("claude-", "chat", targets=(Target("chat"), Target("messages"))),))
    driver = Driver(limited(routes=routes, affinity=AffinityRules()), routing=Routing(BreakerRules()))
    driver.ask(AUTH, ("x-session-id", "s1"))
    driver.feed(Admitted(_admission(), 0.0, Target("gone")))
    assert only(driver.actions, Open)[0].provider in ("chat", "messages")


def test_a_projects_limits_are_counted_too() -> None:
    key = msgspec.structs.replace(KEY, limits=KeyLimits(), project="team")
    book = KeyBook((key,), (Project("team", KeyLimits(tokens_per_minute=500)),))
    driver = Desked(msgspec.structs.replace(limited(key), keys=book))
    driver.ask(AUTH, stream=False)
    assert only(driver.actions, Admit)[0].ask.tokens > 9
    driver.admit()
    assert "tokens" in "".join(name for name, _ in _limits(driver))


def _limits(driver: Desked) -> list[tuple[str, str]]:
    answer(driver)
    return [pair for pair in only(driver.actions, SendHead)[0].headers if "ratelimit" in pair[0]]


def test_a_stream_tells_its_tokens_at_its_end() -> None:
    driver = Desked(limited())
    driver.ask(AUTH)
    driver.admit()
    driver.feed(UpstreamHead(200, (SSE,)))
    usage = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
    last = b"data: " + json.dumps({**usage, "usage": {"prompt_tokens": 9, "completion_tokens": 4}}).encode() + b"\n\n"
    for data in (ROLE, PONG, STOP, last, DONE):
        driver.feed(UpstreamData(data))
    if driver.exchange.state is not State.DONE:
        driver.feed(UpstreamEnd())
    assert driver.settled().tokens == 13
