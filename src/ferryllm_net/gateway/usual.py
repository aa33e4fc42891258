"""Runs one usual request: to its provider and back, in one wait, without the steps of an `Interpreter`.

Where something is not as usual (no good answer, a deadline, a client that leaves) an `Interpreter` goes on
from there, with the exchange as it would stand.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from ferryllm_net.http import Interrupted, Interruptible, Request, Responder, UpstreamError, UpstreamResponse
from ferryllm_net.telemetry.tally import Way as Counts
from ferryllm_net.telemetry.usual_lines import UsualLines
from ferryllm_proto.flow import Flow
from ferryllm_proto.inputs import DeadlinePassed, Input, Stopping, UpstreamData, UpstreamEnd, UpstreamHead
from ferryllm_proto.notes import cached
from ferryllm_proto.policy.prompt_cache import observe
from ferryllm_proto.snapshot import Gateway
from ferryllm_proto.usual import Kind, Opened

from .flowing import Flowing
from .interpreter import Interpreter
from .upstream import Upstream, lost, read_end

if TYPE_CHECKING:
    from .app import App


class Run(Protocol):
    """A request under way, as the sweeper and the gauges see it."""

    @property
    def answering(self) -> bool: ...

    def wake(self, now: float) -> None: ...


class Known(NamedTuple):
    """What is remembered of a head: the facts of a `Shape`."""

    gateway: Gateway
    """Under another one it has to be found again."""
    kind: Kind | None
    """None: not usual."""
    user_agent: str | None
    own_id: str | None
    """The id that the client has given its request."""


class Rest(NamedTuple):
    """A request that is not usual any more: what `Interpreter.run` gets. The usual run is over and holds nothing."""

    run: Interpreter
    events: Sequence[Input]
    woken: Input | None
    failure: BaseException | None


class _Way(NamedTuple):
    """What a gateway makes of a way: the facts of a `Way`."""

    upstreams: Mapping[str, Upstream]
    """Those of the configuration it began with."""
    upstream: Upstream
    lines: UsualLines
    counts: Counts


def begun(app: App, known: Known, request: Request, respond: Responder, body: bytes) -> UsualRun | None:
    """The run of a request with this ``body``; None where it is not a usual one."""
    kind, ids = known.kind, app.ids
    assert kind is not None
    opened = kind.open(body, app.routing, app.clock(), time.time(), ids.seed(), known.own_id or ids.take())
    if opened is None:
        return None
    way = opened.way.facts
    if type(way) is not _Way:
        way = opened.way.facts = _found(app, opened)
    return None if way is None else UsualRun(app, request, respond, opened, way, known)


def _found(app: App, opened: Opened) -> _Way | None:
    way, entry = opened.way, opened.kind.entry.dialect
    provider, model = way.provider.name, opened.model or None
    if provider not in app.upstreams:
        return None
    asked = way.route.rewrite_model or opened.model
    lines = UsualLines(app.log, way.notes, entry, provider, model, asked, stream=way.stream)
    return _Way(app.upstreams, app.upstreams[provider], lines, app.metrics.way(entry, provider, way.plan.route.match))


class UsualRun(msgspec.Struct, eq=False, weakref=True):
    """One usual request on its way. A struct: less to make than another object."""

    _app: App
    _request: Request
    _respond: Responder
    _opened: Opened
    _way: _Way
    _known: Known
    waits: Interruptible | None = None
    """What can be ended of the wait for the provider (`Waiter`); None while it is not waited for."""
    _woken: Input | None = None
    _flowing: Flowing | None = None
    """An answer that does not come at once."""

    @property
    def answering(self) -> bool:
        """Whether a provider's answer is under way."""
        return self._flowing is not None

    def wake(self, now: float) -> None:
        """Called by the sweeper: end the wait when the provider has had its time."""
        flowing, opened = self._flowing, self._opened
        if self.waits is None:
            if flowing is not None and flowing.deaf_since is None:
                flowing.deaf_since = now
        elif self._woken is None and now >= (
            opened.now + opened.way.patience if flowing is None else flowing.flow.next_deadline()
        ):
            self._interrupt(DeadlinePassed())

    def _stop(self) -> None:
        """Called when the server will not wait any longer."""
        self._interrupt(Stopping())

    def _interrupt(self, event: Input) -> None:
        self._woken = event
        if self.waits is not None:
            self.waits.interrupt()

    async def run(self) -> Rest | None:
        """To the end of the answer: None; or what is left to do where it is no usual one any more."""
        app, request, opened, way = self._app, self._request, self._opened, self._way
        response: UpstreamResponse | None = None
        data: bytes | None = None
        events: Sequence[Input] = ()
        failure: BaseException | None = None
        app.begin(self)
        try:
            request.on_drain(self._stop)
            way.lines.begin(opened.id, foreign=self._known.own_id is not None)
            try:
                response = await way.upstream.open(app.pool, opened.request, self._known.user_agent, self)
            finally:
                self.waits = None  # what it was may be another's from here on
            # Where a breaker counts failures, it has to hear of this one too; who was woken has more to say.
            if response.status == 200 and self._woken is None and not app.routing.health.troubled:
                data = response.whole()
                if data is None:
                    told = await self._go_on(response)
                    if told is None:
                        return None
                    events = told
                else:
                    body = opened.finish(200, tuple(response.headers), data)
                    if body is not None:
                        secs = app.clock() - opened.now  # how long the client takes to read is not the provider's time
                        if not self._respond.put_complete(200, opened.head(), body):
                            await self._respond.drain()
                        self._record(None, secs)
                        return None
        except UpstreamError as exc:
            events = (lost(exc),)
        except Interrupted:
            pass
        except BaseException as exc:  # the interpreter raises it, when it has done what is due
            failure = exc
            if self._flowing is not None:
                events = self._flowing.said()
        finally:
            request.forget_callbacks()
            app.running.discard(self)
        if response is not None and self._flowing is None and (failure is None or opened.talk.head is not None):
            events = (UpstreamHead(response.status, tuple(response.headers)),)
            if data is not None:
                events += (UpstreamData(data), UpstreamEnd()) if data else (UpstreamEnd(),)
        return self._rest(response, events, failure)

    async def _go_on(self, response: UpstreamResponse) -> Sequence[Input] | None:
        """To the end of an answer that is not all there: None; or what an exchange has to be told of."""
        app, opened, respond = self._app, self._opened, self._respond
        now, head = app.clock(), UpstreamHead(response.status, tuple(response.headers))
        self._way.lines.answered(opened.id, now - opened.now, foreign=self._known.own_id is not None)
        self._flowing = flowing = Flowing(Flow(opened, head, now, app.routing), respond, app.clock)
        while flowing.end is None:
            if flowing.full:  # what was written comes first
                await respond.drain()
                flowing.full = False
                if self._woken is not None:
                    return ()
            flowing.listen()
            self.waits = response
            try:
                more = await response.pump(flowing.feed)
            finally:
                self.waits = None
            if not more:
                flowing.feed_end()
            if flowing.odd:
                return flowing.told()
        secs = app.clock() - opened.now
        if not flowing.finish():
            await respond.drain()
        if not response.ended:
            await read_end(response)
            await response.aclose()
        self._record(flowing.flow, secs)
        return None

    def _rest(self, response: UpstreamResponse | None, events: Sequence[Input], failure: BaseException | None) -> Rest:
        app, opened, flowing = self._app, self._opened, self._flowing
        if flowing is None:
            if opened.talk.head is not None:  # its answer did not get out
                opened.begin_again()
            exchange = opened.exchange(app.routing, app.desk, app.chance)
        else:
            exchange = flowing.flow.exchange(app.routing, app.desk, app.chance)
        upstreams = self._way.upstreams
        run = Interpreter(app, self._request, self._respond, exchange, upstreams=upstreams, upstream=response)
        return Rest(run, events, self._woken, failure)

    def _record(self, flow: Flow | None, secs: float) -> None:
        """The client has its answer: what the log and the metrics say of it."""
        app, opened, way = self._app, self._opened, self._way
        key, talk = opened.kind.key, opened.talk
        usage, losses, note = talk.usage, talk.losses, None
        if usage is not None and (usage.cache_read or usage.cache_write):
            note = cached(opened.kind.entry.dialect, opened.model or None, observe(usage))
        name, foreign, counts = None if key is None else key.id, self._known.own_id is not None, way.counts
        stream, first = opened.way.stream, None
        if flow is not None:
            first = secs if flow.first_byte is None else flow.first_byte - opened.now
        if flow is not None or stream:
            counts.flows.append((secs, secs if first is None else first, stream, usage))
        else:
            counts.secs.append(secs)
            counts.usages.append(usage)
        way.lines.end(opened.id, secs, first, usage, len(losses), name, note, foreign=foreign)
        if losses:
            app.metrics.lost(opened.kind.entry.dialect, opened.way.provider.name, losses)
            app.recording.tell_losses(losses, opened.id)
