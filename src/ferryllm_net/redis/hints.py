"""Circuits that are open somewhere: what one process has found broken, the others leave alone too.

A hint and no order: each goes on by its own breaker afterwards, with one probe. Once a second, so that a request never
waits for it. Keys of providers are each process's own: two may have different ones.
"""

from __future__ import annotations

from collections.abc import Callable

import anyio
import msgspec

from ferryllm_proto.routing.breaker import Change, Health, State

from .link import Link, RedisError, Value
from .names import Names
from .scripts import script

EVERY_SECS = 1.0
MAX_HINTS = 1000
"""Hints that are looked at: pairs of provider and model in trouble; more are a name for every request."""
DEADLINE_SECS = 1.0
_STATES = {"open": State.OPEN, "held": State.HELD}


class _Name(msgspec.Struct, frozen=True, array_like=True):
    """What a hint is about, as it is written."""

    state: str
    provider: str
    model: str


_name = msgspec.json.Decoder(_Name)


class Hints:
    """``health`` gives the breakers of this process; ``changed`` is told of those that a hint has moved."""

    def __init__(
        self,
        link: Link,
        names: Names,
        health: Callable[[], Health],
        changed: Callable[[Change], None] | None = None,
    ) -> None:
        self._link = link
        self._key = names.hints
        self._script = script("hints")
        self._health = health
        self._changed = changed
        self._said: dict[_Name, float] = {}
        """What this process has said, and until when: by its own clock."""
        self._learned: dict[_Name, float] = {}
        """What it has from others, and until when it believed that."""

    async def run(self) -> None:
        """Share until cancelled."""
        while True:
            await anyio.sleep(EVERY_SECS)
            if self._link.up:
                await self.share(anyio.current_time())

    async def share(self, now: float) -> None:
        """Say what this process has found, and hear what others have."""
        health = self._health()
        said, arguments = self._news(health, now)
        try:
            found = await self._link.call(self._script, [self._key], arguments, DEADLINE_SECS)
        except RedisError:
            return  # the next time: each has its own breakers
        self._said = said
        self._hear(health, found, now)

    def _news(self, health: Health, now: float) -> tuple[dict[_Name, float], list[Value]]:
        said = {name: until for name, until in self._said.items() if until > now}
        arguments: list[Value] = []
        for name in list(said):
            if name.state == "open" and health.state(name.provider, name.model, now) is State.CLOSED:
                del said[name]
                arguments += (msgspec.json.encode(name), 0)
        for change in health.troubles(now):
            if change.key or change.model is None or change.until <= now or change.state.value not in _STATES:
                continue
            name = _Name(change.state.value, change.provider, change.model)
            # What it has from others is theirs to take back.
            if self._learned.get(name) != change.until and said.get(name) != change.until:
                said[name] = change.until
                arguments += (msgspec.json.encode(name), round((change.until - now) * 1000))
        return said, arguments

    def _hear(self, health: Health, found: object, now: float) -> None:
        assert isinstance(found, list)
        there: dict[_Name, float] = {}
        for raw, millis in zip(found[: MAX_HINTS * 2 : 2], found[1 : MAX_HINTS * 2 : 2], strict=True):
            try:
                name = _name.decode(raw)
            except msgspec.DecodeError:
                continue  # an older or newer gateway's
            if name not in self._said and name.state in _STATES:
                there[name] = now + millis / 1000
        for name, until in self._learned.items():
            if name not in there and name not in self._said and name.state == "open" and until > now:
                health.recovered(name.provider, name.model, now)
        learned: dict[_Name, float] = {}
        for name, until in there.items():
            known = self._learned.get(name)
            if known is not None and abs(known - until) < EVERY_SECS / 2:
                learned[name] = known  # the same, to the length of a call
                continue
            changes = health.heard(name.provider, name.model, now, until - now, _STATES[name.state])
            learned[name] = next(
                (one.until for one in health.troubles(now) if (one.provider, one.model) == (name.provider, name.model)),
                until,
            )
            for change in changes:
                if self._changed is not None:
                    self._changed(change)
        self._learned = learned
