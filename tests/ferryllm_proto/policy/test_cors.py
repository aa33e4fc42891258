"""What browsers are told."""

from __future__ import annotations

import pytest

from ferryllm_proto.policy.cors import NO_CORS, CorsPolicy, allows, answer_headers, fault, preflight

_APP = "https://app.example.com"
_ASK = [
    ("Origin", _APP),
    ("Access-Control-Request-Method", "POST"),
    ("Access-Control-Request-Headers", "Authorization, X-Stainless-OS"),
]


def test_nobody_may_without_origins() -> None:
    assert preflight(NO_CORS, "OPTIONS", _ASK) == ()
    assert answer_headers(NO_CORS, _APP) == ()


def test_a_question_is_answered_with_what_it_asked_for() -> None:
    found = preflight(CorsPolicy((_APP,)), "OPTIONS", _ASK)
    assert found is not None
    assert dict(found) == {
        "access-control-allow-origin": _APP,
        "vary": "origin",
        "access-control-allow-methods": "GET, HEAD, POST, DELETE",
        "access-control-allow-headers": "authorization, x-stainless-os",
        "access-control-max-age": "600",
    }


def test_other_requests_are_no_question() -> None:
    policy = CorsPolicy((_APP,))
    assert preflight(policy, "POST", _ASK) is None
    assert preflight(policy, "OPTIONS", _ASK[:1]) is None
    assert preflight(policy, "OPTIONS", _ASK[1:]) is None


@pytest.mark.parametrize(
    "policy",
    [
        CorsPolicy(("https://other.example.com",)),
        CorsPolicy((_APP,), methods=("GET",)),
        CorsPolicy((_APP,), headers=("authorization",)),
    ],
)
def test_a_refusal_carries_no_permission(policy: CorsPolicy) -> None:
    assert preflight(policy, "OPTIONS", _ASK) == ()


def test_answers_name_the_page_or_everybody() -> None:
    assert dict(answer_headers(CorsPolicy(("*",)), _APP))["access-control-allow-origin"] == "*"
    assert "vary" not in dict(answer_headers(CorsPolicy(("*",)), _APP))
    named = dict(answer_headers(CorsPolicy((_APP,), credentials=True), _APP))
    assert (named["access-control-allow-origin"], named["access-control-allow-credentials"]) == (_APP, "true")
    assert "retry-after" in named["access-control-expose-headers"]


@pytest.mark.parametrize("origin", [None, "https://evil.example.com"])
def test_a_page_that_may_not_gets_nothing_but_a_word_for_caches(origin: str | None) -> None:
    assert answer_headers(CorsPolicy((_APP,)), origin) == (("vary", "origin"),)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://a.example.com", True),
        ("https://a.b.example.com", True),
        ("https://example.com", False),
        ("https://evilexample.com", False),
        ("http://a.example.com", False),
        ("https://a.example.com.evil.org", False),
    ],
)
def test_a_star_stands_for_subdomains(origin: str, allowed: bool) -> None:
    assert allows(CorsPolicy(("https://*.example.com",)), origin) is allowed


def test_what_is_no_origin() -> None:
    for good in ("*", "http://localhost:3000", "https://*.example.com"):
        assert fault(good) is None
    for bad in (
        "null",
        "example.com",
        "https://Example.com",
        "https://a.com/x",
        "https://a.*.com",
        "ftp://a",
        "https://",
    ):
        assert fault(bad) is not None
