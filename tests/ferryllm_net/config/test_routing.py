"""Routing and limits from the file to the rules that the machines decide with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryllm_net.config import ConfigError, Settings, load_settings
from ferryllm_proto.routing.affinity import AffinityRules
from ferryllm_proto.routing.balance import Balance, Target
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import ProviderBounds
from ferryllm_proto.routing.gate import GateRules
from ferryllm_proto.routing.keys import NO_LIMITS, KeyLimits
from ferryllm_proto.routing.retry import BudgetRules, RetryRules

PROVIDERS = "".join(
    f'\n[[providers]]\nname = "{name}"\ntype = "openai"\nbase_url = "https://{name}.example/v1"\n' for name in "pq"
)
ROUTE = '\n[[routes]]\nmatch = "*"\n'
AUTH = '[auth]\nenabled = true\napi_keys_env = "KEYS"\n'


def load(folder: Path, text: str) -> Settings:
    path = folder / "f.toml"
    path.write_text(text)
    return load_settings(path, {"KEYS": "sk-client-0123"})


def problems(folder: Path, text: str) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [(one.key, one.message) for one in caught.value.problems]


def warnings(folder: Path, text: str) -> list[str]:
    return [one.key for one in load(folder, text).warnings]


def test_what_stands_when_nothing_is_said(tmp_path: Path) -> None:
    found = load(tmp_path, PROVIDERS + ROUTE + 'provider = "p"')
    assert found.routing.retry == RetryRules()
    assert found.routing.retry.retries == 0, "clients ask again themselves"
    assert found.routing.breaker == BreakerRules()
    assert found.routing.affinity == AffinityRules(opening=False), "equal requests spread as the weights say"
    assert found.routing.hints
    assert (found.limits.own, found.limits.each, found.limits.gate) == (NO_LIMITS, NO_LIMITS, GateRules())
    assert [provider.bounds for provider in found.providers] == [None, None]


def test_every_key_of_the_tables_arrives(tmp_path: Path) -> None:
    found = load(
        tmp_path,
        AUTH + "[retry]\nattempts = 1\ntotal_attempts = 5\nbackoff_ms = 250\nmax_backoff_ms = 4000\njitter = 0.25\n"
        "statuses = [500, 529]\nmax_retry_after_secs = 7\nbudget_percent = 30\nbudget_per_minute = 90\n"
        "[breaker]\nfailures = 4\ncooldown_secs = 5\nkey_cooldown_secs = 6\nmax_hold_secs = 8\n"
        '[affinity]\nheader = ["X-A", "x-b"]\nfirst_messages = false\nttl_secs = 60\n'
        "[hints]\nenabled = false\n"
        "[limits]\nrequests_per_minute = 10\ntokens_per_minute = 20\nmax_concurrency = 3\nqueue = 4\n"
        "queue_wait_secs = 5\nassumed_output_tokens = 99\n"
        "[limits.key]\nrequests_per_minute = 1\ntokens_per_minute = 2\nmax_concurrency = 3\n"
        + PROVIDERS
        + "requests_per_minute = 7\ntokens_per_minute = 8\nmax_concurrency = 9\nbreaker = { failures = 2 }\n"
        + ROUTE
        + 'provider = "p"',
    )
    assert found.routing.retry == RetryRules(1, 5, 0.25, 4.0, 0.25, frozenset({500, 529}), 7.0)
    assert found.routing.budget == BudgetRules(percent=30, per_minute=90)
    assert found.routing.breaker == BreakerRules(4, 5.0, 6.0, 8.0)
    assert found.routing.affinity == AffinityRules(("x-a", "x-b"), opening=False, ttl=60.0)
    assert not found.routing.hints
    assert found.limits.own == KeyLimits(10, 20)
    assert found.limits.each == KeyLimits(1, 2, 3)
    assert found.limits.gate == GateRules(3, 4, 5.0)
    assert found.limits.assumed_output == 99
    first, second = found.providers
    assert (first.bounds, first.breaker) == (None, None)
    assert (second.bounds, second.breaker) == (ProviderBounds(7, 8, 9), BreakerRules(2))


def test_a_table_that_is_written_means_what_it_is_for(tmp_path: Path) -> None:
    found = load(
        tmp_path, "[retry]\nbackoff_ms = 50\n[affinity]\nttl_secs = 60\n" + PROVIDERS + ROUTE + 'provider = "p"'
    )
    assert found.routing.retry.retries == 2
    assert found.routing.affinity is not None
    assert found.routing.affinity.opening
    assert (
        load(tmp_path, "[affinity]\nenabled = false\n" + PROVIDERS + ROUTE + 'provider = "p"').routing.affinity is None
    )


def test_a_provider_has_retry_rules_of_its_own(tmp_path: Path) -> None:
    text = "[retry]\ntotal_attempts = 4\n" + PROVIDERS + "[providers.retry]\nattempts = 5\n" + ROUTE + 'provider = "p"'
    routing = load(tmp_path, text).routing
    assert routing.retries == {"q": RetryRules(retries=5, total=4)}
    assert routing.retry == RetryRules(retries=2, total=4)
    ((key, _),) = problems(tmp_path, text.replace("attempts = 5", "total_attempts = 5"))
    assert key == "providers[1].retry.total_attempts"


def test_the_older_words_of_auth_mean_the_same(tmp_path: Path) -> None:
    rest = PROVIDERS + ROUTE + 'provider = "p"'
    older = AUTH + "per_key_rate_limit_per_minute = 70\nper_key_max_concurrent_requests = 8\n"
    assert load(tmp_path, older + "[limits.key]\ntokens_per_minute = 9\n" + rest).limits.each == KeyLimits(70, 9, 8)
    off = AUTH + "per_key_rate_limit_per_minute = 0\nper_key_max_concurrent_requests = 0\n"
    assert load(tmp_path, off + rest).limits.each == NO_LIMITS
    assert problems(tmp_path, older + "[limits.key]\nrequests_per_minute = 9\n" + rest) == [
        ("auth.per_key_rate_limit_per_minute", "limits.key.requests_per_minute says it too")
    ]
    assert warnings(tmp_path, "[auth]\nper_key_max_concurrent_requests = 8\n" + rest) == [
        "auth.per_key_max_concurrent_requests"
    ]


def test_the_older_words_of_server_mean_the_same(tmp_path: Path) -> None:
    older = (
        "[server]\nretry_attempts = 3\nretry_backoff_ms = 40\ncircuit_breaker_failures = 5\n"
        "circuit_breaker_cooldown_secs = 6\nrate_limit_per_minute = 70\nmax_concurrent_requests = 8\n"
    )
    newer = (
        "[retry]\nattempts = 3\nbackoff_ms = 40\n[breaker]\nfailures = 5\ncooldown_secs = 6\n"
        "[limits]\nrequests_per_minute = 70\nmax_concurrency = 8\n"
    )
    rest = PROVIDERS + ROUTE + 'provider = "p"'
    one, other = load(tmp_path, older + rest), load(tmp_path, newer + rest)
    assert (one.routing, one.limits) == (other.routing, other.limits)
    off = load(
        tmp_path, "[server]\nretry_attempts = 0\ncircuit_breaker_failures = 0\nmax_concurrent_requests = 0\n" + rest
    )
    assert (off.routing.retry.retries, off.routing.breaker.failures, off.limits.gate.limit) == (0, None, None)
    assert load(tmp_path, "[server]\nretry_backoff_ms = 40\n" + rest).routing.retry.retries == 0
    assert problems(tmp_path, "[server]\nretry_attempts = 3\n[retry]\nattempts = 1\n" + rest) == [
        ("server.retry_attempts", "retry.attempts says it too")
    ]


def test_a_route_with_targets_and_fallbacks(tmp_path: Path) -> None:
    (route,) = load(
        tmp_path,
        "[retry]\nattempts = 3\n"
        + PROVIDERS
        + ROUTE
        + 'balance = "least_busy"\nfallback_providers = ["p"]\nretry = { backoff_ms = 5 }\n'
        "timeouts = { request_secs = 9, total_secs = 20 }\naffinity = { enabled = false }\n"
        '[[routes.targets]]\nprovider = "q"\nmodel = "big"\nweight = 3\n[[routes.targets]]\nprovider = "p"\n',
    ).routes
    assert route.provider == "q"
    assert route.targets == (Target("q", "big", 3), Target("p"))
    assert (route.balance, route.fallbacks) == (Balance.LEAST_BUSY, (Target("p"),))
    overrides = route.overrides
    assert overrides.retry == RetryRules(retries=3, backoff=0.005)
    assert overrides.affinity == AffinityRules(enabled=False)
    assert (overrides.request_secs, overrides.first_byte_secs, overrides.total_secs) == (9, 9, 20)
    assert overrides.idle_secs is None


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("", "routes[0].provider", "missing"),
        ('provider = "p"\n[[routes.targets]]\nprovider = "q"', "routes[0].provider", "beside [[routes.targets]]"),
        ('[[routes.targets]]\nprovider = "x"', "routes[0].targets[0].provider", 'no provider is called "x"'),
        (
            '[[routes.targets]]\nprovider = "p"\n[[routes.targets]]\nprovider = "p"',
            "routes[0].targets[1].provider",
            "the same provider and model",
        ),
        ('[[routes.targets]]\nprovider = "p"\nmodel = " "', "routes[0].targets[0].model", "empty"),
        ('provider = "p"\nfallback_providers = ["z"]', "routes[0].fallback_providers[0]", 'no provider is called "z"'),
        ('provider = "p"\nbalance = "fair"', "routes[0].balance", "expected"),
        ('provider = "p"\naffinity = { header = "x y" }', "routes[0].affinity.header", "not the name of a header"),
        ('provider = "p"\n[[routes]]\nmatch = "(a"\nmatch_type = "regex"\nprovider = "p"', "routes[1].match", ""),
    ],
)
def test_routes_that_cannot_mean_what_they_say(tmp_path: Path, text: str, key: str, message: str) -> None:
    ((found, words),) = problems(tmp_path, PROVIDERS + ROUTE + text)
    assert found == key
    assert message in words


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('provider = "p"\nbalance = "cost"', "routes[0].balance"),
        ('provider = "p"\nfallback_providers = ["q", "q"]', "routes[0].fallback_providers[1]"),
        ('provider = "p"\nfallback_providers = ["p"]', "routes[0].fallback_providers[0]"),
        ('provider = "p"\nretry = { statuses = [400] }', "routes[0].retry.statuses[0]"),
        ('provider = "p"\n[limits]\nqueue = 3', "limits.queue"),
        ('provider = "p"\n[limits.key]\nmax_concurrency = 3', "limits.key.max_concurrency"),
        ('provider = "p"\n[retry]\nbackoff_ms = 500\nmax_backoff_ms = 100', "retry.max_backoff_ms"),
    ],
)
def test_what_has_no_use_is_said(tmp_path: Path, text: str, key: str) -> None:
    assert warnings(tmp_path, PROVIDERS + ROUTE + text) == [key]


def test_globs_and_regular_expressions_choose(tmp_path: Path) -> None:
    text = (
        '[[routes]]\nmatch = "claude-*-fast"\nmatch_type = "glob"\nprovider = "p"\n'
        '[[routes]]\nmatch = "o[134](-mini)?"\nmatch_type = "regex"\nprovider = "q"\n'
    )
    assert [(route.match, route.match_type) for route in load(tmp_path, PROVIDERS + text).routes] == [
        ("claude-*-fast", "glob"),
        ("o[134](-mini)?", "regex"),
    ]
