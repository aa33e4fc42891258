"""What a gateway has of Redis from its start to its end: it says when it goes, and one that is away stops nobody."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import anyio
import msgspec
import pytest

from ferryllm_net.config import ResponsesSettings, default_settings
from ferryllm_net.config.redis_settings import RedisSettings
from ferryllm_net.redis.shared import Shared
from ferryllm_net.telemetry import Log
from ferryllm_net.telemetry.metrics import Metrics
from ferryllm_proto.inputs import Refused
from ferryllm_proto.routing.breaker import BreakerRules, Health, Permit, Verdict
from ferryllm_proto.routing.keys import Desk, KeyBook, KeyLimits
from support.admissions import admit, enter, entered
from support.redis_server import RedisServer, until

if TYPE_CHECKING:
    from ferryllm_net.gateway.app import App

pytestmark = pytest.mark.anyio

LIMITS = KeyLimits(requests_per_minute=5)


class Rig:
    """A gateway as far as Redis is concerned."""

    def __init__(self, redis: RedisSettings) -> None:
        settings = default_settings({})
        limits = msgspec.structs.replace(settings.limits, own=LIMITS)
        self.text = io.StringIO()
        log = Log(self.text, now=lambda: 0.0)
        self.shared = Shared(msgspec.structs.replace(settings, redis=redis, limits=limits), log)
        self.health = Health(BreakerRules(failures=1))
        self.app = SimpleNamespace(metrics=Metrics(), routing=SimpleNamespace(health=self.health))

    def start(self, tasks: anyio.abc.TaskGroup) -> None:
        self.shared.start(cast("App", self.app), tasks)


async def test_a_gateway_counts_with_others_and_keeps_responses_with_them(redis: RedisServer) -> None:
    settings = redis.settings()
    one, other = Rig(settings), Rig(settings)
    doors = [rig.shared.door(Desk(KeyBook(), LIMITS)) for rig in (one, other)]
    stores = [rig.shared.responses(ResponsesSettings("redis")) for rig in (one, other)]
    async with anyio.create_task_group() as tasks:
        for rig in (one, other):
            rig.start(tasks)
        for at in range(5):
            await entered(doors[at % 2], admit())
        assert isinstance(await enter(doors[0], admit()), Refused)
        assert not await stores[0].known("r", 0.0)
        tasks.cancel_scope.cancel()
    assert one.text.getvalue() == ""


async def test_a_server_that_is_away_is_said_once_and_counted() -> None:
    rig = Rig(RedisSettings("127.0.0.1", 1, on_failure="closed"))
    door = rig.shared.door(Desk(KeyBook(), LIMITS))
    async with anyio.create_task_group() as tasks:
        rig.start(tasks)
        for _ in range(3):
            assert isinstance(await enter(door, admit()), Refused)
        tasks.cancel_scope.cancel()
    text = rig.text.getvalue()
    assert text.count("redis is away") == 1
    assert 'place="127.0.0.1:1" reason="connection refused" on_failure="closed"' in text
    shown, _ = await rig.app.metrics.scrape()
    assert b'ferryllm_redis_failures_total{kind="admission"} 3.0' in shown


async def test_what_another_process_found_broken_is_in_the_log(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ferryllm_net.redis.hints.EVERY_SECS", 0.01)
    settings = redis.settings()
    one, other = Rig(settings), Rig(settings)
    async with anyio.create_task_group() as tasks:
        for rig in (one, other):
            rig.start(tasks)
        now = anyio.current_time()
        permit = one.health.enter("p", "m", "k", now)
        assert isinstance(permit, Permit)
        one.health.settle(permit, Verdict.FAILURE, now)
        await until(lambda: other.health.blocked("p", "m", "k", now) is not None)
        tasks.cancel_scope.cancel()
    assert "provider circuit opened" in other.text.getvalue()
    assert 'by="another process"' in other.text.getvalue()
    assert one.text.getvalue() == ""
