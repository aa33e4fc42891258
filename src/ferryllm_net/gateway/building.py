"""Building: what `Settings` become for those who decide and those who send.

The snapshot that exchanges decide with, the state they share, where providers are reached. Pure of any running
gateway: `App` swaps what is made here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from ferryllm_net.config import ProviderSettings, ProxySettings, RouteSettings, Settings
from ferryllm_net.http import TLS, Limits, Origin, Proxy, ProxyAuth, Timeouts
from ferryllm_net.keys.opening import book as book_of
from ferryllm_proto import DIALECTS, Gateway, MatchType, Provider, Route, RouteTable
from ferryllm_proto.entries import Forward
from ferryllm_proto.loss import LossPolicy
from ferryllm_proto.policy.access import AccessRules
from ferryllm_proto.policy.headers import NO_HEADERS
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import ProviderBounds, Routing
from ferryllm_proto.routing.keys import NO_LIMITS, Desk, KeyBook
from ferryllm_proto.routing.pricing import PriceTable
from ferryllm_proto.routing.table import NO_OVERRIDES

from .upstream import Upstream


def gateway(
    settings: Settings, book: KeyBook | None = None, prices: PriceTable | None = None, *, shares: bool = False
) -> Gateway:
    """The settings as an `Exchange` decides with them. ``book`` are the keys of clients, None those of the settings;
    ``shares``: other processes count with this one, and know the places of sessions."""
    book = key_book(settings) if book is None else book
    addresses = [one.address for one in settings.server.listeners]
    access = AccessRules(
        loopback=all(address.loopback for address in addresses),
        hosts=tuple(address.host.lower() for address in addresses if address.host),
        pages=settings.cors,
    )
    routing = settings.routing
    providers = {one.name: provider(one) for one in settings.providers}
    named = frozenset(providers) if routing.hints else frozenset()
    return Gateway(
        RouteTable(tuple(route(one) for one in settings.routes), named, settings.policies.plain()),
        providers,
        access,
        body_limit=settings.server.body_limit_bytes,
        forwards=tuple(Forward(one.path, one.provider, one.dialect) for one in settings.passthrough),
        keeps_responses=settings.responses.store != "off",
        keys=book if settings.auth.enabled else None,
        admits=limited(settings, book) or (shares and routing.affinity is not None),
        shares_bounds=shares and bool(bounds(settings)),
        hints=routing.hints,
        retry=routing.retry,
        retries=routing.retries,
        affinity=routing.affinity,
        prices=prices,
        assumed_output=settings.limits.assumed_output,
    )


def route(settings: RouteSettings) -> Route:
    """A route as the table takes it."""
    return Route(
        settings.match,
        settings.provider,
        MatchType(settings.match_type),
        settings.rewrite_model,
        LossPolicy(settings.loss_policy),
        settings.policies.plain(),
        settings.targets,
        settings.balance,
        settings.fallbacks,
        NO_OVERRIDES if settings.overrides == NO_OVERRIDES else settings.overrides,
    )


def provider(settings: ProviderSettings) -> Provider:
    """A provider as far as decisions go."""
    return Provider(
        settings.name,
        settings.type,
        first_byte_secs=settings.timeouts.first_byte_secs,
        request_secs=settings.timeouts.request_secs,
        idle_secs=settings.timeouts.idle_secs,
        total_secs=settings.timeouts.total_secs,
        keeps_responses=settings.keeps_responses,
        rules=settings.rules,
        headers=NO_HEADERS if settings.headers == NO_HEADERS else settings.headers,
        key_id=key_id(settings),
        sellers=settings.sellers,
    )


def key_id(settings: ProviderSettings) -> str:
    """A name of the provider's key that says nothing of it: the beginning of a digest."""
    if settings.api_key is None:
        return ""
    return hashlib.sha256(b"provider key\0" + settings.api_key.reveal().encode()).hexdigest()[:12]


def key_book(settings: Settings) -> KeyBook:
    """The keys that the configuration and the environment name."""
    return book_of(settings.auth) if settings.auth.enabled else KeyBook()


def limited(settings: Settings, book: KeyBook) -> bool:
    """Whether anything limits requests: else nobody is asked at the door."""
    limits = settings.limits
    if (limits.own, limits.each) != (NO_LIMITS, NO_LIMITS) or limits.gate.limit is not None:
        return True
    owners = (*book, *book.projects.values())
    return any(owner.limits != NO_LIMITS or owner.quotas for owner in owners)


# --- what requests share ---


def routing(settings: Settings) -> Routing:
    """Health, loads, sessions and the retry budget of one process."""
    return Routing(settings.routing.breaker, breakers(settings), settings.routing.budget, bounds(settings))


def breakers(settings: Settings) -> dict[str, BreakerRules]:
    """Rules of single providers."""
    return {one.name: one.breaker for one in settings.providers if one.breaker is not None}


def bounds(settings: Settings) -> Mapping[str, ProviderBounds]:
    """What the gateway asks of single providers at most."""
    return {one.name: one.bounds for one in settings.providers if one.bounds is not None}


def desk(settings: Settings, book: KeyBook) -> Desk:
    """Where requests are let in."""
    return Desk(book, settings.limits.own, settings.limits.each)


# --- who is reached, and how ---


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
    DIALECTS[provider.type]  # loaded now: no request has to wait for what is sure to be needed
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
