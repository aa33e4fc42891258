"""App: one gateway. Its settings as the machines see them, its pool of upstream connections, its running exchanges."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import anyio
import msgspec

from ferryllm_net.config import ProviderSettings, ProxySettings, Settings
from ferryllm_net.http import TLS, Limits, Origin, Pool, Proxy, ProxyAuth, Request, Responder, Timeouts
from ferryllm_net.http.backends.clock import clock
from ferryllm_net.stores import StoreError, open_responses
from ferryllm_net.telemetry import Level, Log
from ferryllm_net.telemetry.metrics import Metrics
from ferryllm_proto import Gateway, MatchType, Provider, Route, RouteTable
from ferryllm_proto.dialects.openai_responses.memory import Budget
from ferryllm_proto.entries import CONVERSATIONS, Entry, Forward, find
from ferryllm_proto.loss import LossPolicy
from ferryllm_proto.policy.access import AccessRules, key_digest
from ferryllm_proto.policy.cors import answer_headers, preflight
from ferryllm_proto.routing.keys import ClientKey, KeyBook

from .endpoints import Endpoints
from .interpreter import Interpreter
from .upstream import Upstream

SWEEP_SECS = 0.1
"""How often deadlines are looked at: their smallest, the head's wait for content, is a second."""
SWEEP_RESPONSES_SECS = 60.0
"""How often old responses are forgotten; one that is too old is not found before either."""
MAX_ID = 128
"""Characters of a request id a client may bring: more is no id."""


class App:
    """The handler of a server. Make it once, run `sweep` and `sweep_responses` beside the server, close it at the end.

    Raises `StoreError` when the store of responses can not be opened.
    """

    def __init__(self, settings: Settings, log: Log, *, limits: Limits | None = None) -> None:
        self.settings = settings
        self.log = log
        self.limits = limits or http_limits(settings)
        self.gateway = msgspec.structs.replace(gateway(settings), notes=log.enabled(Level.INFO))
        self._by_file = msgspec.structs.replace(
            self.gateway, access=msgspec.structs.replace(self.gateway.access, loopback=False)
        )
        self.upstreams = {provider.name: upstream(provider) for provider in settings.providers}
        self.responses = open_responses(settings.responses)
        self.pool = Pool(limits=self.limits)
        self.running: set[Interpreter] = set()
        self.listening = False
        self.draining: Callable[[], bool] = _never
        self.clock: Callable[[], float] = anyio.current_time
        """Seconds on the clock of deadlines; of the running loop itself as soon as it runs."""
        self.metrics = Metrics()
        self.remembered = Budget()
        """What WebSocket connections remember together."""
        self.endpoints = Endpoints(self)
        self._quiet: anyio.Event | None = None
        """The sweeper waits for it while nothing runs."""
        self.ids = Ids()

    async def handle(self, request: Request, respond: Responder) -> None:
        """Answer one request."""
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
        run = Interpreter(self, request, respond, request_id)
        self.running.add(run)
        if self._quiet is not None:
            self._quiet.set()
            self._quiet = None
            self.log.held = True
        try:
            await run.run()
        finally:
            self.running.discard(run)

    def gateway_for(self, request: Request) -> Gateway:
        """The settings as they decide on ``request``: no page of a browser reaches a socket file, so that a proxy there
        may pass any Host."""
        return self.gateway if (request.via or request.peer)[0] else self._by_file

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
                    self.log.flush()
                    self.log.held = False
                    self._quiet = anyio.Event()
                    await self._quiet.wait()
                    continue
                now = self.clock()
                for run in self.running:
                    run.wake(now)
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
        """Close the idle upstream connections and the store of responses."""
        await self.pool.aclose()
        if self.responses is not None:
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
        self._digits = ""
        self._next = 0

    def take(self) -> str:
        """The id of a request."""
        return "req_" + self._fresh()

    def seed(self) -> int:
        """What the ids of one answer derive from; nothing of it is in its request's id."""
        return int(self._fresh(), 16)

    def _fresh(self) -> str:
        if self._next >= len(self._digits):
            self._digits, self._next = secrets.token_hex(12 * 128), 0
        self._next += 24
        return self._digits[self._next - 24 : self._next]


def gateway(settings: Settings) -> Gateway:
    """The settings as an `Exchange` decides with them."""
    routes = tuple(
        Route(
            route.match,
            route.provider,
            MatchType(route.match_type),
            route.rewrite_model,
            LossPolicy(route.loss_policy),
            route.policies,
        )
        for route in settings.routes
    )
    providers = {
        provider.name: Provider(
            provider.name,
            provider.type,
            first_byte_secs=provider.timeouts.first_byte_secs,
            request_secs=provider.timeouts.request_secs,
            idle_secs=provider.timeouts.idle_secs,
            total_secs=provider.timeouts.total_secs,
            keeps_responses=provider.keeps_responses,
            rules=provider.rules,
            headers=provider.headers,
        )
        for provider in settings.providers
    }
    addresses = [one.address for one in settings.server.listeners]
    keys = settings.auth.keys if settings.auth.enabled else ()
    book = KeyBook(ClientKey(f"env-{n}", key_digest(key.reveal())) for n, key in enumerate(keys, 1))
    access = AccessRules(
        loopback=all(address.loopback for address in addresses),
        hosts=tuple(address.host.lower() for address in addresses if address.host),
        pages=settings.cors,
    )
    return Gateway(
        RouteTable(routes),
        providers,
        access,
        body_limit=settings.server.body_limit_bytes,
        forwards=tuple(Forward(one.path, one.provider, one.dialect) for one in settings.passthrough),
        keeps_responses=settings.responses.store != "off",
        keys=book if settings.auth.enabled else None,
    )


def http_limits(settings: Settings) -> Limits:
    """The settings as the HTTP layer takes them."""
    server = settings.server
    taken = server.limits
    return msgspec.structs.replace(
        Limits(),
        body_bytes=server.body_limit_bytes,
        connections=-(-server.max_connections // server.workers),
        keep_alive_secs=server.keep_alive_timeout_secs,
        accept_head_secs=taken.first_head_secs,
        head_secs=taken.head_secs,
        body_idle_secs=taken.body_idle_secs,
        write_stall_secs=taken.write_stall_secs,
        tls_handshake_secs=taken.tls_handshake_secs,
        head_bytes=taken.head_bytes,
        head_fields=taken.head_fields,
        connections_per_address=taken.connections_per_address,
        h2_streams=taken.h2_streams,
        h2_stream_window_bytes=taken.h2_stream_window_bytes,
        h2_body_window_bytes=taken.h2_body_window_bytes,
        h2_connection_window_bytes=taken.h2_connection_window_bytes,
    )


def proxy(settings: ProxySettings) -> Proxy:
    """A proxy as the HTTP layer takes it."""
    auth = None
    if settings.user is not None:
        auth = ProxyAuth(settings.user.reveal(), settings.password.reveal() if settings.password else "")
    return Proxy(settings.scheme, settings.host, settings.port, auth)


def upstream(provider: ProviderSettings) -> Upstream:
    """Where and how a provider is reached. Destination and key come from the settings alone."""
    origin = Origin(
        provider.scheme,
        provider.host,
        provider.port,
        TLS(verify=provider.ssl_verify, ca_file=provider.ca_file),
        proxy=None if provider.proxy is None else proxy(provider.proxy),
        # In clear text there is nobody to ask.
        http2="off" if not provider.http2 else "on" if provider.scheme == "https" else "prior_knowledge",
        max_connections=provider.max_connections or 0,
        socket=provider.socket,
    )
    headers: list[tuple[str, str]] = [("host", provider.authority)]
    if provider.api_key is not None:
        key = provider.api_key.reveal()
        if provider.type == "anthropic" and not key.startswith("sk-ant-oat"):
            headers.append(("x-api-key", key))
        elif provider.type == "gemini" and not key.startswith("ya29."):
            headers.append(("x-goog-api-key", key))
        else:  # also the access tokens of Anthropic's and Google's accounts
            headers.append(("authorization", f"Bearer {key}"))
    times = provider.timeouts
    # The exchange keeps the time of answers; the pool's own limits stand behind it for what it can not see.
    timeouts = Timeouts(
        connect_secs=times.connect_secs,
        head_secs=max(times.first_byte_secs, times.request_secs) + 5,
        idle_secs=times.idle_secs + 5,
        total_secs=None,
    )
    return Upstream(provider, origin, tuple(headers), timeouts)
