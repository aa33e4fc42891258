"""Limits: all or none, words that help, and headers in each dialect's names."""

from __future__ import annotations

import pytest

from ferryllm_proto import ir
from ferryllm_proto.routing.limits import Charge, Demand, Exceeded, Limits, Meter, date, limit_headers, span, standings
from ferryllm_proto.routing.rates import Rate, Standing


def requests(scope: str, limit: int) -> Demand:
    return Demand(scope, scope, Meter.REQUESTS, Rate(limit), 1)


def tokens(scope: str, limit: int, cost: int) -> Demand:
    return Demand(scope, scope, Meter.TOKENS, Rate(limit), cost)


def admit(limits: Limits, now: float, *demands: Demand) -> Charge:
    found = limits.admit(demands, now)
    assert isinstance(found, Charge)
    return found


def test_a_request_that_one_limit_refuses_takes_nothing_of_the_others() -> None:
    limits = Limits()
    admit(limits, 0.0, requests("gateway", 1))
    for _ in range(5):
        found = limits.admit([requests("key", 3), requests("gateway", 1)], 0.0)
        assert isinstance(found, Exceeded)
        assert found.demand.scope == "gateway"
    assert limits.standings([requests("key", 3)], 0.0)[Meter.REQUESTS].remaining == 3


def test_the_limit_in_the_way_the_longest_is_named() -> None:
    limits = Limits()
    admit(limits, 0.0, requests("key", 60), tokens("key", 1000, 1000))
    for _ in range(59):
        admit(limits, 0.0, requests("key", 60))
    found = limits.admit([requests("key", 60), tokens("key", 1000, 500)], 0.0)
    assert isinstance(found, Exceeded)
    assert found.demand.meter is Meter.TOKENS
    assert found.retry_after == 30.0
    error = found.error()
    assert (error.kind, error.http_status, error.retry_after) == (ir.ErrorKind.RATE_LIMIT, 429, 30.0)
    assert error.message == "key has reached its limit of 1000 tokens a minute; there is room again in 30 s"


def test_a_request_larger_than_the_limit_is_told_that_waiting_does_not_help() -> None:
    found = Limits().admit([requests("key", 60), tokens("key", 1000, 1001)], 0.0)
    assert isinstance(found, Exceeded)
    error = found.error()
    assert (error.http_status, error.retry_after) == (413, None)
    assert "1001 tokens, more than the 1000" in error.message


def test_tokens_are_corrected_at_the_end_and_requests_are_not() -> None:
    limits = Limits()
    both = (requests("key", 10), tokens("key", 1000, 600))
    charge = admit(limits, 0.0, *both)
    limits.settle(charge, None, 0.0)
    assert limits.standings(both, 0.0)[Meter.TOKENS].remaining == 400
    limits.settle(charge, 100, 0.0)
    found = limits.standings(both, 0.0)
    assert (found[Meter.TOKENS].remaining, found[Meter.REQUESTS].remaining) == (900, 9)


def test_a_request_that_did_not_take_place_gives_all_back() -> None:
    limits = Limits()
    both = (requests("key", 10), tokens("key", 1000, 600))
    limits.cancel(admit(limits, 0.0, *both), 0.0)
    found = limits.standings(both, 0.0)
    assert (found[Meter.TOKENS].remaining, found[Meter.REQUESTS].remaining) == (1000, 10)


def test_a_limit_that_is_changed_keeps_what_was_used() -> None:
    limits = Limits()
    old = admit(limits, 0.0, tokens("key", 1000, 600))
    assert limits.standings([tokens("key", 2000, 1)], 0.0)[Meter.TOKENS].remaining == 1400
    assert limits.standings([tokens("key", 500, 1)], 0.0)[Meter.TOKENS].remaining == 0
    limits.settle(old, 100, 0.0)  # corrects what is gone; no fault


def test_headers_show_the_limit_a_client_runs_into_first() -> None:
    limits = Limits()
    charge = admit(limits, 0.0, requests("gateway", 5), requests("key", 60), tokens("key", 1000, 100))
    found = standings(charge, 0.0)
    assert found[Meter.REQUESTS].limit == 5
    assert found[Meter.TOKENS].remaining == 900


FOUND = {Meter.REQUESTS: Standing(60, 59, 1.0), Meter.TOKENS: Standing(1000, 900, 366.5)}


def test_each_dialect_has_its_own_names() -> None:
    assert limit_headers("openai", FOUND, 0.0) == (
        ("x-ratelimit-limit-requests", "60"),
        ("x-ratelimit-remaining-requests", "59"),
        ("x-ratelimit-reset-requests", "1s"),
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "900"),
        ("x-ratelimit-reset-tokens", "6m6.5s"),
    )
    assert limit_headers("openai_responses", FOUND, 0.0) == limit_headers("openai", FOUND, 0.0)
    assert limit_headers("anthropic", FOUND, 1_795_258_799.5) == (
        ("anthropic-ratelimit-requests-limit", "60"),
        ("anthropic-ratelimit-requests-remaining", "59"),
        ("anthropic-ratelimit-requests-reset", "2026-11-21T11:00:01Z"),
        ("anthropic-ratelimit-tokens-limit", "1000"),
        ("anthropic-ratelimit-tokens-remaining", "900"),
        ("anthropic-ratelimit-tokens-reset", "2026-11-21T11:06:06Z"),
    )
    assert limit_headers("gemini", FOUND, 0.0) == ()
    assert limit_headers("ollama", FOUND, 0.0) == ()
    assert limit_headers("openai", {}, 0.0) == ()


@pytest.mark.parametrize(
    ("secs", "text"),
    [
        (0.0, "0ms"),
        (0.12, "120ms"),
        (0.0001, "1ms"),
        (0.9999, "1s"),
        (1.5, "1.5s"),
        (60.0, "1m0s"),
        (360.0, "6m0s"),
        (3600.0, "1h0m0s"),
        (3661.25, "1h1m1.25s"),
        (-1.0, "0ms"),
    ],
)
def test_spans_are_written_as_openai_writes_them(secs: float, text: str) -> None:
    assert span(secs) == text


def test_dates_are_rounded_up_to_whole_seconds() -> None:
    assert date(0.1) == "1970-01-01T00:00:01Z"
