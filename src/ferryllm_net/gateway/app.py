"""App: one gateway. Its settings as the machines see them, its pool of upstream connections, its running exchanges."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import anyio
import msgspec

from ferryllm_net.admission import Door, MemoryDoor
from ferryllm_net.config import Secret, Settings
from ferryllm_net.http import Limits, Pool, Request, Responder
from ferryllm_net.http.backends.clock import clock
from ferryllm_net.stores import StoreError, open_responses
from ferryllm_net.telemetry import Level, Log
from ferryllm_net.telemetry.metrics import Metrics
from ferryllm_proto import Exchange, Gateway
from ferryllm_proto.entries import CONVERSATIONS, Entry, find
from ferryllm_proto.policy.cors import answer_headers, preflight
from ferryllm_proto.routing.keys import KeyBook
from ferryllm_proto.routing.pricing import PriceTable
from ferryllm_proto.usual import Usual

from . import building
from .changing import changed
from .endpoints import Endpoints
from .interpreter import Interpreter
from .parts import Parts
from .questions import Questions
from .recording import Recording
from .usual import Known, Run, begun

if TYPE_CHECKING:
    from ferryllm_proto.actions import Record
    from ferryllm_proto.dialects.openai_responses.memory import Budget
    from ferryllm_proto.inputs import Input

SWEEP_SECS = 0.1
"""How often deadlines are looked at: their smallest, the head's wait for content, is a second."""
SWEEP_RESPONSES_SECS = 60.0
"""How often old responses are forgotten; one that is too old is not found before either."""
MAX_ID = 128
"""Characters of a request id a client may bring: more is no id."""


class App:
    """The handler of a server. Make it once, run `sweep` and `sweep_responses` beside the server, close it at the end.

    Parameters: ``limits`` are those of HTTP where they are not the settings' own; ``parts`` is what the settings ask
    for beyond the gateway itself.
    Raises `StoreError` when the store of responses can not be opened.
    """

    def __init__(
        self,
        settings: Settings,
        log: Log,
        *,
        limits: Limits | None = None,
        parts: Parts | None = None,
    ) -> None:
        self.settings = settings
        self.log = log
        self.limits = limits or building.http_limits(settings)
        self.parts = parts or Parts()
        """Closed by who opened them."""
        self.book = self._keys(settings)
        """Keys of clients."""
        self.desk = building.desk(settings, self.book)
        make_door = self.parts.make_door
        self.door: Door = MemoryDoor(self.desk, settings.limits.gate) if make_door is None else make_door(self.desk)
        self.routing = building.routing(settings)
        self.chance: Callable[[], float] = random.random
        """Random numbers in [0, 1)."""
        self.ledger = self.parts.ledger
        """Gets a row for every record; None: there is none."""
        self.gateway: Gateway
        self._by_file: Gateway
        self._see()
        self.usual = Usual(self.gateway)
        """What has been found of the requests under this snapshot."""
        self.upstreams = {provider.name: building.upstream(provider) for provider in settings.providers}
        """Never changed: another one takes its place, and exchanges keep the one they began with."""
        self.responses = open_responses(settings.responses) if parts is None else parts.responses
        self._own_responses = parts is None
        self.pool = Pool(limits=self.limits)
        self.running: set[Run] = set()
        self.listening = False
        self.draining: Callable[[], bool] = _never
        self.clock: Callable[[], float] = anyio.current_time
        """Seconds on the clock of deadlines; of the running loop itself as soon as it runs."""
        self.metrics = Metrics(keys=settings.metrics.keys)
        self.questions = Questions(self)
        self.recording = Recording(self)
        self.observers: list[Callable[[Record], None]] = []
        """They hear of every record. None of them waits or raises."""
        self.endpoints = Endpoints(self)
        self._quiet: anyio.Event | None = None
        """The sweeper waits for it while nothing runs."""
        self.ids = Ids()

    @cached_property
    def remembered(self) -> Budget:
        """What WebSocket connections remember together."""
        from ferryllm_proto.dialects.openai_responses.memory import Budget  # loads the dialect

        return Budget()

    async def handle(self, request: Request, respond: Responder) -> None:
        """Answer one request."""
        body: bytes | None = None
        known = self._known(request)
        if known.kind is not None and not self.observers:
            body = request.whole(known.gateway.body_limit)
            run = None if body is None else begun(self, known, request, respond, body)
            if run is not None:
                del body  # nothing is held of a request whose answer flows
                rest = await run.run()
                if rest is not None:
                    del run
                    await self._run(*rest)
                return
        answer = self._answer(request, respond, body)
        del body
        await answer

    async def _answer(self, request: Request, respond: Responder, body: bytes | None) -> None:
        """`handle` for what is not usual. Apart, because a usual answer keeps the frame of what it waits in."""
        pages = self.gateway.access.pages
        if pages.origins:
            permission = preflight(pages, request.method, request.headers)
            if permission is not None:
                await respond.complete(204, list(permission), b"")
                return
            respond.always = list(answer_headers(pages, request.header("origin")))
        request_id = own_id(request.header("x-request-id")) or self.ids.take()
        entry = find(request.method, request.path, request.headers, self.gateway.forwards)
        if isinstance(entry, Entry) and entry.operation not in CONVERSATIONS:
            await self.endpoints.answer(entry, request, respond, request_id)
            return
        # By position: a class called by name costs twice as much.
        exchange = Exchange(
            self.gateway_for(request), request_id, self.ids.seed(), time.time(), self.routing, self.desk, self.chance
        )
        if self.parts.request_log is not None:
            exchange = self.parts.request_log.watched(exchange)
        interpreter = Interpreter(self, request, respond, exchange, body=body)
        del body
        await self._run(interpreter)

    async def _run(
        self,
        run: Interpreter,
        events: Sequence[Input] = (),
        woken: Input | None = None,
        failure: BaseException | None = None,
    ) -> None:
        self.begin(run)
        try:
            await run.run(events, woken, failure)
        finally:
            self.running.discard(run)

    def begin(self, run: Run) -> None:
        """``run`` has begun: its deadlines are looked at until it is taken out of `running`."""
        self.running.add(run)
        if self._quiet is not None:
            self._quiet.set()
            self._quiet = None
            self.log.held = True

    def _known(self, request: Request) -> Known:
        """What there is to know of requests with the head of this one."""
        shape, gateway = request.shape, self.gateway
        if shape is not None:
            known = shape.facts
            if type(known) is Known and known.gateway is gateway:
                return known
        if self.usual.gateway is not gateway:
            self.usual = Usual(gateway)
        kind = None
        never = self.usual.none or self.parts.request_log is not None or self.metrics.keys
        if not never and self.gateway_for(request) is gateway:
            kind = self.usual.kind(request.method, request.resource, tuple(request.headers), request.fields())
        own = None if kind is None else own_id(request.header("x-request-id"))
        known = Known(gateway, kind, request.header("user-agent"), own)
        if shape is not None:
            shape.facts = known
        return known

    def gateway_for(self, request: Request) -> Gateway:
        """The settings as they decide on ``request``: no page of a browser reaches a socket file, so that a proxy there
        may pass any Host."""
        return self.gateway if (request.via or request.peer)[0] else self._by_file

    # --- changes at run time ---

    def _see(self) -> None:
        """Make the snapshot that exchanges decide with from now on."""
        found = building.gateway(self.settings, self.book, self.parts.prices, shares=self.door.shares)
        self.gateway = msgspec.structs.replace(
            found, notes=self.log.enabled(Level.INFO), records=self.ledger is not None
        )
        self._by_file = msgspec.structs.replace(
            self.gateway, access=msgspec.structs.replace(self.gateway.access, loopback=False)
        )

    def change(self, settings: Settings) -> tuple[str, ...]:
        """Go on with ``settings``, which are known to be good and whose secrets the log knows. Exchanges that run keep
        what they began with.

        What cannot change before the next start keeps its old value and is returned by its name in the file, for a
        warning.
        """
        before = self.settings
        after, kept = changed(before, settings)
        known = {upstream.provider: upstream for upstream in self.upstreams.values()}
        # First what may fail: nothing is half changed.
        upstreams = {one.name: known.get(one) or building.upstream(one) for one in after.providers}
        routing = building.routing(after)
        if (after.routing.breaker, after.routing.budget, building.breakers(after)) != (
            before.routing.breaker,
            before.routing.budget,
            building.breakers(before),
        ):
            self.routing = self.routing.renewed(routing)
        self.routing.bounds = routing.bounds
        for provider in after.providers:
            old = self.gateway.providers.get(provider.name)
            if old is not None and old.key_id != building.key_id(provider):
                self.routing.health.mended(provider.name)
        if after.prices.rows != before.prices.rows:
            base = None if self.parts.prices is None else self.parts.prices.base
            self.parts.prices = PriceTable(after.prices.rows, base)
        self.settings = after
        self.metrics.keys = after.metrics.keys
        self.book = self._keys(after)
        self.upstreams = upstreams
        self._see()
        self._tell_door()
        self.pool.keep({upstream.origin for upstream in self.upstreams.values()})
        return kept

    def _keys(self, settings: Settings) -> KeyBook:
        """The keys of ``settings``, and those of their store where there is one."""
        live = self.parts.keys
        return building.key_book(settings) if live is None else live.renewed(settings.auth)

    def change_keys(self, book: KeyBook) -> None:
        """Let other clients in from now on; what they have used stays used."""
        self.book = book
        self._see()
        self._tell_door()

    def change_prices(self, prices: PriceTable) -> None:
        """Count costs by other prices from now on."""
        self.parts.prices = prices
        self._see()

    def provider_key(self, name: str, secret: Secret) -> None:
        """Send another key to the provider called ``name`` from the next request on. The log has to know it already.
        Raises KeyError."""
        provider = msgspec.structs.replace(self.settings.provider(name), api_key=secret)
        providers = tuple(provider if one.name == name else one for one in self.settings.providers)
        self.settings = msgspec.structs.replace(self.settings, providers=providers)
        self.upstreams = {**self.upstreams, name: building.upstream(provider)}
        self._see()
        self.routing.health.mended(name)

    def _tell_door(self) -> None:
        limits = self.settings.limits
        self.door.change(self.book, limits.own, limits.each, limits.gate, self.clock())

    # --- beside the server ---

    async def sweep(self) -> None:
        """Wake exchanges whose deadline has passed, and let the log out; runs until cancelled."""
        self.clock = clock()
        try:
            while True:
                if self.running:
                    self.log.held = True
                    await anyio.sleep(SWEEP_SECS)
                else:
                    # Nothing to look at: no timer, so that an idle gateway never wakes, and lines go out at once.
                    self.metrics.fold()
                    self.log.flush()
                    self.log.held = False
                    self._quiet = anyio.Event()
                    await self._quiet.wait()
                    continue
                now = self.clock()
                for run in self.running:
                    run.wake(now)
                self.door.sweep(now)
                self.metrics.fold()
                self.log.flush()
        finally:
            self.log.held = False
            self.log.flush()

    async def sweep_responses(self) -> None:
        """Forget responses that are too old; runs until cancelled."""
        while self.responses is not None:
            try:
                await self.responses.sweep(time.time())
            except StoreError as exc:
                self.log.warn("responses store failed", reason=str(exc))
            await anyio.sleep(SWEEP_RESPONSES_SECS)

    async def aclose(self) -> None:
        """Close the idle upstream connections, the door, and a store of responses of its own."""
        await self.pool.aclose()
        await self.door.aclose()
        if self._own_responses and self.responses is not None:
            await self.responses.aclose()


def _never() -> bool:
    return False


def own_id(given: str | None) -> str | None:
    """The client's request id where it is one."""
    if given and len(given) <= MAX_ID and given.isascii() and given.isprintable() and " " not in given:
        return given
    return None


class Ids:
    """New request ids and seeds: 96 random bits each, fetched for many at once because the system's call costs more."""

    def __init__(self) -> None:
        self._ids: list[str] = []
        self._seeds: list[int] = []

    def take(self) -> str:
        """The id of a request."""
        if not self._ids:
            self._ids = ["req_" + fresh for fresh in _fresh()]
        return self._ids.pop()

    def seed(self) -> int:
        """What the ids of one answer derive from; nothing of it is in its request's id."""
        if not self._seeds:
            self._seeds = [int(fresh, 16) for fresh in _fresh()]
        return self._seeds.pop()


def _fresh() -> list[str]:
    digits = secrets.token_hex(12 * 64)
    return [digits[at : at + 24] for at in range(0, len(digits), 24)]
