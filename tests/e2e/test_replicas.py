"""Gateways as processes of their own, one on asyncio and one on trio, at one Redis: together they are one."""

from __future__ import annotations

import collections
import contextlib
import json
import pathlib
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence

import pytest

from support import redis_server
from support.held_provider import HeldProvider
from support.processes import Gateway, gateway

CONFIG = """
[redis]
url = "{redis}"
prefix = "{prefix}"
deadline_ms = 5000
lease_secs = 3
on_failure = "{mode}"
expected_replicas = 2

[auth]
enabled = true

[[auth.keys]]
name = "quick"
key_env = "QUICK"
requests_per_minute = 12

[[auth.keys]]
name = "wide"
key_env = "WIDE"
max_concurrency = 3

[[auth.keys]]
name = "poor"
key_env = "POOR"
total_cost = 0.05

[ledger]
{ledger}

[prices]
[[prices.models]]
model = "m"
input = 0
output = 0
request = 0.01

[responses]
store = "redis"

[[auth.keys]]
name = "free"
key_env = "FREE"

[[providers]]
name = "p"
type = "openai"
base_url = "{provider}"

[[providers]]
name = "few"
type = "openai"
base_url = "{provider}"
requests_per_minute = 8

[[providers]]
name = "narrow"
type = "openai"
base_url = "{provider}"
max_concurrency = 3

[[routes]]
match = "few"
provider = "few"

[[routes]]
match = "spared"
provider = "narrow"
fallback_providers = ["p"]

[[routes]]
match = "narrow"
provider = "narrow"
rewrite_model = "narrowed"

[[routes]]
match = "m"
provider = "p"
"""
KEYS = {name: f"sk-{name.lower()}-0123456789abcdef" for name in ("QUICK", "WIDE", "POOR", "FREE")}


def body_of(model: str) -> bytes:
    body = {"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
    return json.dumps(body).encode()


BODY = body_of("m")


def ask(one: Gateway, name: str, path: str = "/v1/chat/completions", body: bytes = BODY) -> tuple[int, str]:
    headers = {"authorization": f"Bearer {KEYS[name]}", "content-type": "application/json"}
    request = urllib.request.Request(one.base_url + path, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:  # it was killed
        return 0, ""


def ask_all(
    gateways: Sequence[Gateway], name: str, count: int, found: collections.Counter[int], body: bytes = BODY
) -> list[threading.Thread]:
    """``count`` requests at once, to each gateway in turn."""

    def run(at: int) -> None:
        found[ask(gateways[at % len(gateways)], name, body=body)[0]] += 1

    threads = [threading.Thread(target=run, args=(at,)) for at in range(count)]
    for thread in threads:
        thread.start()
    return threads


def until(condition: Callable[[], bool], secs: float = 30.0) -> None:
    latest = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < latest
        time.sleep(0.01)


@contextlib.contextmanager
def replicas(
    folder: pathlib.Path, server: redis_server.RedisServer, *, ledger: str = 'store = "off"', mode: str = "closed"
) -> Iterator[tuple[HeldProvider, list[Gateway]]]:
    with HeldProvider().running() as provider, contextlib.ExitStack() as stack:
        path = folder / "ferryllm.toml"
        prefix = server.settings().prefix
        path.write_text(CONFIG.format(redis=server.url, prefix=prefix, ledger=ledger, mode=mode, provider=provider.url))
        gateways = [
            stack.enter_context(gateway(path, environ=KEYS, backend=backend)) for backend in ("asyncio", "trio")
        ]
        yield provider, gateways


def check_bounds_of_providers(provider: HeldProvider, gateways: Sequence[Gateway]) -> None:
    """What one process lets through to a provider the other one knows of."""
    begun, found, before = time.monotonic(), collections.Counter[int](), provider.answered
    for thread in ask_all(gateways, "FREE", 24, found, body_of("few")):
        thread.join()
    assert 8 <= found[200] <= 8 + (time.monotonic() - begun) / 7.5 + 1
    assert (found[200] + found[429], provider.answered - before) == (24, found[200])

    provider.open.clear()
    provider.most, found, spared = 0, collections.Counter(), collections.Counter[int]()
    threads = ask_all(gateways, "FREE", 14, found, body_of("narrow"))
    until(lambda: found[429] == 11)
    assert provider.inside == 3
    threads += ask_all(gateways, "FREE", 4, spared, body_of("spared"))
    until(lambda: provider.inside == 7)  # of another provider, which is the same server
    provider.open.set()
    for thread in threads:
        thread.join()
    assert (found, spared) == ({200: 3, 429: 11}, {200: 4})
    until(lambda: ask(gateways[0], "FREE", body=body_of("narrow"))[0] == 200)
    assert ask(gateways[1], "FREE", body=body_of("narrow"))[0] == 200


def test_limits_places_and_budgets_hold_exactly_across_both(tmp_path: pathlib.Path) -> None:
    with replicas(tmp_path, redis_server.shared()) as (provider, gateways):
        begun, found = time.monotonic(), collections.Counter[int]()
        for thread in ask_all(gateways, "QUICK", 30, found):
            thread.join()
        assert 12 <= found[200] <= 12 + (time.monotonic() - begun) / 5 + 1
        assert found[200] + found[429] == 30

        provider.open.clear()
        provider.most, found = 0, collections.Counter()
        threads = ask_all(gateways, "WIDE", 14, found)
        until(lambda: found[429] == 11 and provider.inside == 3)
        provider.open.set()
        for thread in threads:
            thread.join()
        assert (provider.most, found) == (3, {200: 3, 429: 11})
        until(lambda: ask(gateways[0], "WIDE")[0] == 200)
        assert ask(gateways[1], "WIDE")[0] == 200

        check_bounds_of_providers(provider, gateways)

        found = collections.Counter()
        for thread in ask_all(gateways, "POOR", 16, found):
            thread.join()
        assert found == {200: 5, 402: 11}
        assert "insufficient_quota" in ask(gateways[1], "POOR")[1]

        wanted = json.dumps({"model": "m", "input": "x"}).encode()
        status, text = ask(gateways[0], "WIDE", "/v1/responses", wanted)
        assert status == 200
        wanted = json.dumps({"model": "m", "input": "y", "previous_response_id": json.loads(text)["id"]}).encode()
        assert ask(gateways[1], "WIDE", "/v1/responses", wanted)[0] == 200
        for one in gateways:
            assert "Traceback" not in one.log
            assert "redis is away" not in one.log


@pytest.mark.deep
def test_a_gateway_that_is_killed_gives_its_places_back(tmp_path: pathlib.Path) -> None:
    with replicas(tmp_path, redis_server.shared()) as (provider, gateways):
        provider.open.clear()
        found = collections.Counter[int]()
        threads = ask_all(gateways[:1], "WIDE", 3, found)
        until(lambda: provider.inside == 3)
        assert ask(gateways[1], "WIDE")[0] == 429
        gateways[0].process.kill()
        provider.open.set()
        until(lambda: ask(gateways[1], "WIDE")[0] == 200, 10.0)
        for thread in threads:
            thread.join()
        assert found == {0: 3}


@pytest.mark.deep
@pytest.mark.parametrize(
    ("mode", "statuses"), [("closed", {503: 12}), ("open", {200: 12}), ("local", {200: 8, 429: 4})]
)
def test_bounds_of_a_provider_are_kept_as_configured_while_the_server_is_away(
    tmp_path: pathlib.Path, mode: str, statuses: dict[int, int]
) -> None:
    server = redis_server.RedisServer()
    try:
        with replicas(tmp_path, server, mode=mode) as (_, gateways):
            assert [ask(one, "FREE", body=body_of("few"))[0] for one in gateways] == [200, 200]
            server.stop()
            until(lambda: all("redis is away" in one.log for one in gateways))
            begun, found = time.monotonic(), collections.Counter[int]()
            for thread in ask_all(gateways, "FREE", 12, found, body_of("few")):
                thread.join()
            assert found == statuses or (mode == "local" and time.monotonic() - begun > 5)
            assert ask(gateways[0], "FREE", body=body_of("spared"))[0] == 200, "another provider has no bounds"
            server.start()
            until(lambda: all("redis is back" in one.log for one in gateways))
            found = collections.Counter()
            for thread in ask_all(gateways, "FREE", 24, found, body_of("few")):
                thread.join()
            assert found[200] in (8, 9)
            assert found[200] + found[429] == 24
    finally:
        server.close()


@pytest.mark.deep
def test_a_budget_survives_a_server_that_forgets_everything(tmp_path: pathlib.Path) -> None:
    server = redis_server.RedisServer()
    ledger = f'store = "sqlite"\npath = "{tmp_path}/ledger.db"'
    try:
        with replicas(tmp_path, server, ledger=ledger) as (_, gateways):
            assert [ask(one, "POOR")[0] for one in gateways] == [200, 200]
            server.stop()
            until(lambda: all("redis is away" in one.log for one in gateways))
            assert [ask(one, "POOR")[0] for one in gateways] == [503, 503]
            server.start()
            until(lambda: all("redis is back" in one.log for one in gateways))
            found = collections.Counter[int]()
            for thread in ask_all(gateways, "POOR", 12, found):
                thread.join()
            assert found == {200: 3, 402: 9}
    finally:
        server.close()


@pytest.mark.deep
def test_workers_are_replicas_too(tmp_path: pathlib.Path) -> None:
    server = redis_server.shared()
    with HeldProvider().running() as provider:
        path = tmp_path / "ferryllm.toml"
        text = CONFIG.format(
            redis=server.url,
            prefix=server.settings().prefix,
            ledger='store = "off"',
            mode="local",
            provider=provider.url,
        )
        path.write_text(text)
        with gateway(path, "--workers", "2", environ=KEYS) as one:
            found = collections.Counter[int]()
            for thread in ask_all([one], "POOR", 30, found):
                thread.join()
            assert found == {200: 5, 402: 25}
