"""Failures: every kind of error has its meaning for the request and for who was asked."""

from __future__ import annotations

import pytest

from ferryllm_proto import DIALECTS, ir
from ferryllm_proto.routing.breaker import Verdict
from ferryllm_proto.routing.failures import judge
from ferryllm_proto.routing.retry import Failure, Fault


@pytest.mark.parametrize("kind", list(ir.ErrorKind))
def test_every_kind_means_something_and_a_clients_fault_never_counts(kind: ir.ErrorKind) -> None:
    failure, verdict = judge(ir.Error(kind, "words"))
    clients = kind.value in (
        "bad_request", "context_length", "not_found", "method", "conflict", "too_large", "media_type",
    )  # fmt: skip
    assert (verdict is Verdict.NOTHING) is clients
    assert verdict is not Verdict.SUCCESS
    assert failure.status == ir.STATUS[kind]


def decoded(dialect: str, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> ir.Error:
    return DIALECTS[dialect].decode_error(status, (("content-type", "application/json"), *headers), body)


@pytest.mark.parametrize(
    ("dialect", "status", "body", "fault", "verdict"),
    [
        ("openai", 401, b'{"error":{"message":"no","code":"invalid_api_key"}}', Fault.KEY, Verdict.KEY),
        (
            "gemini",
            400,
            b'{"error":{"code":400,"message":"API key not valid","details":[{"reason":"API_KEY_INVALID"}]}}',
            Fault.KEY,
            Verdict.KEY,
        ),
        (
            "anthropic",
            403,
            b'{"type":"error","error":{"type":"permission_error","message":"no"}}',
            Fault.KEY,
            Verdict.KEY_FOR_MODEL,
        ),
        (
            "openai",
            400,
            b'{"error":{"message":"too long","code":"context_length_exceeded"}}',
            Fault.CONTEXT,
            Verdict.NOTHING,
        ),
        (
            "anthropic",
            529,
            b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}',
            Fault.STATUS,
            Verdict.LIMITED,
        ),
        ("openai", 500, b"oops", Fault.STATUS, Verdict.FAILURE),
        ("openai", 502, b"<html>bad gateway</html>", Fault.STATUS, Verdict.FAILURE),
        ("openai", 422, b'{"error":{"message":"no"}}', Fault.STATUS, Verdict.NOTHING),
    ],
)
def test_answers_of_providers_are_judged_by_what_their_dialect_makes_of_them(
    dialect: str, status: int, body: bytes, fault: Fault, verdict: Verdict
) -> None:
    failure, found = judge(decoded(dialect, status, body))
    assert (failure.fault, failure.status, found) == (fault, status, verdict)


def test_an_error_within_a_good_answer_is_judged_as_if_it_had_been_its_status() -> None:
    assert judge(ir.Error(ir.ErrorKind.OVERLOADED, "busy", status=200)) == (
        Failure(Fault.STATUS, 503),
        Verdict.LIMITED,
    )


def test_the_wait_is_the_bodys_or_the_headers_also_as_a_date() -> None:
    date = (("Retry-After", "Sat, 21 Nov 2026 11:00:30 GMT"),)
    error = ir.Error(ir.ErrorKind.RATE_LIMIT, "slow down", status=429)
    assert judge(error, date, 1_795_258_800.0)[0].retry_after == 30.0
    told = ir.Error(ir.ErrorKind.RATE_LIMIT, "slow down", status=429, retry_after=4.0)
    assert judge(told, date, 1_795_258_800.0)[0].retry_after == 4.0
    assert judge(error)[0].retry_after is None


def test_who_was_not_reached_or_fell_silent_failed() -> None:
    assert judge(ir.Error(ir.ErrorKind.UPSTREAM, "could not be reached")) == (
        Failure(Fault.TRANSPORT, 502),
        Verdict.FAILURE,
    )
    assert judge(ir.Error(ir.ErrorKind.TIMEOUT, "silent"))[0].fault is Fault.TIMEOUT
