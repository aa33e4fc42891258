"""All that one gateway shares by Redis, from its start to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.abc

from ferryllm_net.config import ResponsesSettings, Settings
from ferryllm_net.stores.responses import Bounds
from ferryllm_net.telemetry import Log
from ferryllm_proto.notes import circuits
from ferryllm_proto.routing.breaker import Change
from ferryllm_proto.routing.keys import Desk

from .door import RedisDoor, Used
from .hints import Hints
from .link import Link
from .names import Names
from .responses import RedisResponses

if TYPE_CHECKING:
    from ferryllm_net.gateway.app import App

PLACE_SECS = 3600.0
"""How long a session stays where it was, where the settings keep none: nobody asks then."""


class Shared:
    """Made before the `App`, started beside it. ``settings.redis`` is there."""

    def __init__(self, settings: Settings, log: Log) -> None:
        assert settings.redis is not None
        self._settings = settings
        self._redis = settings.redis
        self._log = log
        self._names = Names(self._redis.prefix)
        self._link = Link(self._redis, self._told)
        self._store_link: Link | None = None
        self._away = False
        self._door: RedisDoor | None = None
        self.used: Used | None = None
        """Set before `door`, where there is a ledger."""

    def door(self, desk: Desk) -> RedisDoor:
        """The door in front of exchanges."""
        limits, affinity = self._settings.limits, self._settings.routing.affinity
        secs = PLACE_SECS if affinity is None else affinity.ttl
        self._door = RedisDoor(
            desk, limits.own, limits.each, limits.gate, self._redis, self._link, place_secs=secs, used=self.used
        )
        return self._door

    def responses(self, settings: ResponsesSettings) -> RedisResponses:
        """The store of responses, over a connection of its own."""
        bounds = Bounds(settings.max_bytes, ttl_secs=settings.ttl_secs)
        self._store_link = Link(self._redis)
        return RedisResponses(self._store_link, self._names, bounds)

    def start(self, app: App, tasks: anyio.abc.TaskGroup) -> None:
        """Connect, and go on until cancelled. A server that is away keeps nobody from starting."""
        tasks.start_soon(self._link.run)
        if self._store_link is not None:
            tasks.start_soon(self._store_link.run)
        if self._door is not None:
            self._door.failed = self._door.later.failed = lambda kind: app.metrics.count("redis_failures", kind=kind)
            tasks.start_soon(self._door.run)
        tasks.start_soon(Hints(self._link, self._names, lambda: app.routing.health, self._heard).run)

    def _told(self, up: bool, reason: str) -> None:
        if not up:
            self._away = True
            self._log.warn("redis is away", place=self._redis.place, reason=reason, on_failure=self._redis.on_failure)
        elif self._away:
            self._away = False
            uncounted = 0 if self._door is None else self._door.uncounted
            self._log.info("redis is back", place=self._redis.place, requests_without=uncounted)

    def _heard(self, change: Change) -> None:
        for note in circuits((change,), anyio.current_time()):
            self._log.warn(note.name, **note.fields, by="another process")
