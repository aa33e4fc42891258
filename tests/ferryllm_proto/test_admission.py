"""What a request wants of limits and budgets, in numbers."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto import Gateway, Provider, Route, RouteTable, ir
from ferryllm_proto.actions import Settle
from ferryllm_proto.admission import ask_of, costs_of, counted, counts_tokens, session, settle, tokens_of, total
from ferryllm_proto.entries import Entry, Operation, find
from ferryllm_proto.routing.affinity import AffinityRules
from ferryllm_proto.routing.balance import Balance, Target
from ferryllm_proto.routing.keys import Admission, Ask, ClientKey, Desk, KeyBook, KeyLimits
from ferryllm_proto.routing.pricing import Amount, Cost, Price, PriceTable, Row
from ferryllm_proto.routing.quota import Period, Quota, Unit
from ferryllm_proto.routing.table import Plan

CHEAP, DEAR = Price(Amount(10**9), Amount(10**9)), Price(Amount(10**9), Amount(9 * 10**9))
GATEWAY = Gateway(
    RouteTable((Route("m", "a", targets=(Target("a", "x"),), fallbacks=(Target("b", "y"),)), Route("free", "a"))),
    {"a": Provider("a", "openai"), "b": Provider("b", "anthropic", sellers=("house",))},
    admits=True,
    prices=PriceTable((Row("x", CHEAP), Row("y", DEAR, provider="house"))),
    assumed_output=77,
)
BUDGET = ClientKey("k", b"d" * 32, quotas=(Quota(Unit.COST, Period.DAY, 10**9),))
TEXT = "How many tokens are in this sentence, which is not short?"


def plan(model: str = "m") -> Plan:
    found = GATEWAY.routes.plan(model)
    assert found is not None
    return found


def tokens(path: str, body: bytes | dict[str, object]) -> tuple[int, int]:
    entry = find("POST", path, ())
    assert isinstance(entry, Entry)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return tokens_of(GATEWAY, entry, plan(), data, (), path)


@pytest.mark.parametrize(
    ("path", "body", "output"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": TEXT}], "max_completion_tokens": 5}, 5),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": TEXT}]}, 77),
        ("/v1/messages", {"messages": [{"role": "user", "content": TEXT}], "max_tokens": 9}, 9),
        ("/v1/responses", {"input": TEXT, "max_output_tokens": 30}, 30),
        ("/v1/completions", {"prompt": TEXT, "max_tokens": 5}, 5),
        ("/v1/completions", {"prompt": TEXT}, 77),
        ("/v1/responses/compact", {"input": TEXT}, 77),
        ("/v1/embeddings", {"input": TEXT}, 0),
    ],
)
def test_what_a_request_may_take_is_estimated(path: str, body: dict[str, object], output: int) -> None:
    read, written = tokens(path, {"model": "m", **body})
    assert written == output
    assert 8 <= read <= 60


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/v1/responses/input_tokens"])
def test_a_count_takes_nothing(path: str) -> None:
    assert tokens(path, {"model": "m", "input": TEXT}) == (0, 0)


@pytest.mark.parametrize("body", [b"", b"{", b'{"model":"m","messages":7}'])
def test_what_nobody_can_read_takes_its_bytes_and_what_is_assumed(body: bytes) -> None:
    read, written = tokens("/v1/chat/completions", body)
    assert (1 <= read <= 20, written) == (True, 77)


def test_a_budget_is_asked_for_the_dearest_that_may_answer() -> None:
    desk = Desk(KeyBook((BUDGET,)))
    assert costs_of(GATEWAY, plan(), "m", (100, 10)) == {Target("a", "x"): 110_000, Target("b", "y"): 190_000}
    assert ask_of(GATEWAY, desk, BUDGET, "m", plan(), (100, 10)) == Ask("m", 100, 10, 190_000)


def test_a_target_without_a_price_makes_the_cost_unknown() -> None:
    desk = Desk(KeyBook((BUDGET,)))
    assert ask_of(GATEWAY, desk, BUDGET, "free", plan("free"), (100, 10)).cost is None
    assert ask_of(GATEWAY, None, None, "free", plan("free"), (100, 10)).cost is None


def test_a_cost_that_nobody_limits_is_not_looked_up() -> None:
    assert ask_of(GATEWAY, Desk(KeyBook()), None, "m", plan(), (100, 10)).cost is None
    assert ask_of(GATEWAY, Desk(KeyBook()), None, "m", plan(), None) == Ask("m", 0, 0, 0)


def test_tokens_are_counted_for_whoever_wants_them() -> None:
    plain, by_cost = plan(), Plan(Route("m", "a", balance=Balance.COST), (Target("a"), Target("b")))
    assert not counts_tokens(GATEWAY, Desk(KeyBook()), None, plain)
    assert counts_tokens(GATEWAY, None, None, plain)
    assert counts_tokens(GATEWAY, Desk(KeyBook(), KeyLimits(tokens_per_minute=5)), None, plain)
    assert counts_tokens(GATEWAY, Desk(KeyBook((BUDGET,))), BUDGET, plain)
    assert counts_tokens(Gateway(GATEWAY.routes, {}), None, None, by_cost)
    assert not counts_tokens(Gateway(GATEWAY.routes, {}), None, None, plain)


def test_a_session_is_told_by_a_header_or_by_the_beginning() -> None:
    rules, body = AffinityRules(), json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
    told = session(rules, "k", (("x-session-id", "s"),), body)
    assert told == session(rules, "k", (("x-session-id", "s"),), b"never looked at")
    begun = session(rules, "k", (), body)
    assert begun is not None
    assert len({told, begun, session(rules, "other", (), body)}) == 3


def admission() -> Admission:
    found = Desk(KeyBook()).admit(None, Ask("m", 1, 1), 0.0, 0.0)
    assert isinstance(found, Admission)
    return found


COUNTED = ir.Usage(input=7, cache_read=2, output=3)


@pytest.mark.parametrize(
    ("operation", "usage", "answered", "expected"),
    [
        (Operation.GENERATE, COUNTED, True, (12, 5)),
        (Operation.GENERATE, COUNTED, False, (12, 5)),
        (Operation.GENERATE, None, True, (None, 5)),
        (Operation.GENERATE, None, False, (0, 0)),
        (Operation.COUNT_TOKENS, None, True, (0, 0)),
        (Operation.EMBED, ir.Usage(input=7), True, (None, 5)),
    ],
)
def test_what_was_taken_is_settled(
    operation: Operation, usage: ir.Usage | None, answered: bool, expected: tuple[int | None, int | None]
) -> None:
    found = settle(admission(), operation, usage, Cost(5, 5), asked=True, answered=answered)
    assert (found.tokens, found.cost) == expected
    assert found.took_place


@pytest.mark.parametrize(
    ("settled", "ask", "expected"),
    [
        ((12, 5, True), Ask("m", 30, 60, 7), (12, 5)),
        ((None, None, True), Ask("m", 30, 60, 7), (90, 7)),
        ((None, 5, True), Ask("m", 30, 60), (90, 5)),
        ((0, 0, True), Ask("m", 30, 60, 7), (0, 0)),
        ((None, None, True), Ask("m", 30, 60), (90, None)),
        ((12, None, True), None, (12, None)),
        ((0, 0, False), Ask("m", 30, 60, 7), (None, None)),
    ],
)
def test_what_is_unknown_counts_as_it_was_estimated(
    settled: tuple[int | None, int | None, bool], ask: Ask | None, expected: tuple[int | None, int | None]
) -> None:
    tokens, cost, took_place = settled
    assert counted(Settle(admission(), tokens, cost, took_place), ask) == expected


def test_all_tokens_are_those_of_both_sides() -> None:
    assert total(COUNTED) == 12
    assert total(ir.Usage(input=7)) is None
    assert total(None) is None
