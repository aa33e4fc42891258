"""`[redis]`: one URL from one source, its password nowhere to be read, and nothing that would do nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from ferryllm_net.config import Secret
from ferryllm_net.config.auth_schema import Auth, AuthKey, Keys
from ferryllm_net.config.limits_schema import KeyLimits, Limits
from ferryllm_net.config.problems import Report, key_text
from ferryllm_net.config.redis import resolve_redis
from ferryllm_net.config.redis_schema import Redis
from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.config.schema import Config, Provider, Responses, Server


def resolved(
    config: Redis | Config, environ: Mapping[str, str] | None = None, base: Path = Path()
) -> tuple[RedisSettings | None, str]:
    report = Report(lambda path: ("f", None, key_text(path)))
    whole = config if isinstance(config, Config) else Config(redis=config)
    found = resolve_redis(whole, environ or {}, base, report)
    text = "\n".join(map(str, report.problems))
    assert "hunter2" not in text
    return found, text


def test_nothing_is_nothing() -> None:
    assert resolved(Redis()) == (None, "")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://127.0.0.1", RedisSettings("127.0.0.1")),
        ("redis://localhost:6380/3", RedisSettings("localhost", 6380, db=3)),
        ("redis://[::1]:6380", RedisSettings("::1", 6380)),
        (
            "rediss://u%40x:hunter2@redis.example:7000/",
            RedisSettings("redis.example", 7000, username="u@x", password=Secret("hunter2"), tls=True),
        ),
        ("redis://:hunter2@127.0.0.1", RedisSettings("127.0.0.1", password=Secret("hunter2"))),
        ("unix:///run/redis.sock", RedisSettings("", socket="/run/redis.sock")),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: RedisSettings) -> None:
    assert resolved(Redis(url=url)) == (expected, "")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "empty"),
        ("http://127.0.0.1", "expected a URL of redis, rediss or unix"),
        ("redis://", "no host"),
        ("redis://:hunter2@h:99999", "not a URL"),
        ("redis://:hunter2@h:0", "port 0"),
        ("redis://h/one", "number of a database"),
        ("redis://h?password=hunter2", "a query"),
        ("unix://run/redis.sock" + "x" * 200, "absolute path of a socket"),
    ],
)
def test_what_is_no_url_is_said_without_showing_it(url: str, words: str) -> None:
    found, text = resolved(Redis(url=url))
    assert found is None
    assert "redis.url: " in text
    assert words in text


def test_a_password_on_its_way_in_clear_text_is_a_warning() -> None:
    found, text = resolved(Redis(url="redis://:hunter2@10.0.0.1"))
    assert found is not None
    assert "warning: redis.url: the password travels to 10.0.0.1 unencrypted (use rediss)" in text
    assert found.place == "10.0.0.1:6379"
    assert "hunter2" not in repr(found)


def test_the_url_may_come_from_a_variable_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://127.0.0.1:7777\n")
    (tmp_path / "url").chmod(0o600)
    found, text = resolved(Redis(url_file="url"), base=tmp_path)
    assert (found, text) == (RedisSettings("127.0.0.1", 7777), "")
    found, text = resolved(Redis(url_env="REDIS_URL"), {"REDIS_URL": "redis://127.0.0.1:7778"})
    assert (found, text) == (RedisSettings("127.0.0.1", 7778), "")
    assert "one source of the URL" in resolved(Redis(url="redis://h", url_env="X"))[1]


def test_the_rest_of_the_table_comes_along() -> None:
    config = Redis(url="redis://h", prefix="p", on_failure="closed", deadline_ms=20, lease_secs=30)
    found, _ = resolved(Config(redis=config, server=Server(workers=3)))
    expected = RedisSettings(
        "h", prefix="p", on_failure="closed", expected_replicas=3, deadline_secs=0.02, lease_secs=30
    )
    assert found == expected
    found, _ = resolved(msgspec.structs.replace(config, expected_replicas=7))
    assert found is not None
    assert found.expected_replicas == 7


def test_a_table_without_a_url_and_authorities_without_tls_are_of_no_use(tmp_path: Path) -> None:
    assert "warning: redis: not used, because it has no url" in resolved(Redis(prefix="p"))[1]
    assert "not used, because the URL is not rediss" in resolved(Redis(url="redis://h", ca_file="ca.pem"))[1]
    (tmp_path / "ca.pem").write_text("nothing")
    assert "holds no certificate" in resolved(Redis(url="rediss://h", ca_file="ca.pem"), base=tmp_path)[1]


def test_a_store_that_wants_it_says_so() -> None:
    found, text = resolved(Config(responses=Responses("redis")))
    assert found is None
    assert 'responses.store: redis, and there is no [redis] (add url = "redis://..." in [redis])' in text


@pytest.mark.parametrize(
    ("config", "warned"),
    [
        (Config(), False),
        (Config(limits=Limits(requests_per_minute=1)), True),
        (Config(limits=Limits(key=KeyLimits(max_concurrency=1))), True),
        (Config(limits=Limits(queue=5)), False),
        (Config(providers=(Provider("p", "openai", "http://h", max_concurrency=1),)), True),
        (Config(providers=(Provider("p", "openai", "http://h", max_connections=1),)), False),
        (Config(auth=Auth(enabled=True, keys=(AuthKey("a"),))), False),
        (Config(auth=Auth(enabled=True, keys=(AuthKey("a", daily_tokens=5),))), True),
        (Config(auth=Auth(enabled=False, keys=(AuthKey("a", daily_tokens=5),))), False),
        (Config(auth=Auth(enabled=True), keys=Keys("sqlite")), True),
        (Config(limits=Limits(requests_per_minute=1), redis=Redis(url="redis://h")), False),
    ],
)
def test_several_processes_that_count_each_for_itself_are_a_warning(config: Config, warned: bool) -> None:
    _, text = resolved(msgspec.structs.replace(config, server=Server(workers=4)))
    assert ("together they let through 4 times as much" in text) is warned
    assert "together they let through" not in resolved(config)[1]
