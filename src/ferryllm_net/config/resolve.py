"""From what was written to what the gateway runs with: defaults applied, secrets read, parts checked together."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ferryllm_proto.routing.sellers import sellers_of

from .auth_keys import resolve_admin, resolve_auth, resolve_keys
from .base_url import BaseUrl, BaseUrlFault, parse_base_url
from .credentials import Credentials
from .file_stamp import SourceFile
from .hidden_url import read_hidden_url
from .ledger import resolve_ledger
from .listen import is_loopback
from .listeners import open_to_others, resolve_limits, resolve_listeners, resolve_trusted, resolve_workers
from .models_form import expand
from .passthrough import resolve_passthrough
from .policies import Policies
from .postgres import resolve_postgres
from .prices import resolve_prices
from .problems import Path as KeyPath
from .problems import Report
from .provider_rules import check_rules, provider_rules
from .proxy import resolve_proxy
from .redis import resolve_redis
from .responses import resolve_responses
from .routing import (
    breaker_rules,
    check_route,
    provider_bounds,
    resolve_client_limits,
    resolve_route,
    resolve_routing,
    with_older,
)
from .routing_settings import RoutingSettings
from .schema import Config, Provider, Server
from .secret import Secret
from .settings import (
    ListenerSettings,
    LoggingSettings,
    ProviderSettings,
    ProxySettings,
    ReloadSettings,
    RouteSettings,
    ServerSettings,
    Settings,
    Timeouts,
)
from .telemetry import resolve_audit, resolve_metrics, resolve_request_log
from .tls import resolve_tls
from .usage import resolve_hooks
from .usage_settings import HiddenUrl


def resolve(
    config: Config, environ: Mapping[str, str], base: Path, report: Report, *, providers_required: bool = True
) -> Settings:
    """The settings that `config` means. Faults go to `report`; the result is of use only when it has no errors.

    `base`: the folder that relative paths in `config` count from. `providers_required`: whether a configuration
    without providers is a fault; it is none where the demo provider is to follow.
    """
    retries = {name: entry.retry for name, entry in config.models.items()}
    config = with_older(expand(config, report), report)
    credentials = Credentials(environ, base, report)
    policies = Policies(config, report)
    listeners = resolve_listeners(config.server, report)
    if providers_required and not config.providers and report.accepted(("providers",)):
        report.error(
            ("providers",), "no provider", "add [[providers]] with name, type and base_url, or start without a file"
        )
    providers = _providers(config, credentials, listeners, policies, environ, report)
    routing = resolve_routing(config, report)
    routes = _routes(config, policies, retries, routing, report)
    auth = resolve_auth(config, credentials, report)
    exposed = open_to_others(listeners)
    if exposed and not config.auth.enabled and report.accepted(("auth", "enabled")):
        report.warn(
            ("server", "listen"),
            f"{', '.join(str(one.address) for one in exposed)} can be reached from other machines, and everyone who "
            "reaches it can use the providers' keys",
            "set auth.enabled = true, or listen on 127.0.0.1",
        )
    return Settings(
        server=ServerSettings(
            listeners=listeners,
            body_limit_bytes=config.server.body_limit_mb * 1024 * 1024,
            max_connections=config.server.max_connections,
            keep_alive_timeout_secs=config.server.keep_alive_timeout_secs,
            drain_timeout_secs=config.server.drain_timeout_secs,
            check_providers=config.server.check_providers,
            tls=resolve_tls(config.server, credentials, report),
            http2=config.server.http2,
            trusted_proxies=resolve_trusted(config.server, report),
            workers=resolve_workers(config, report),
            backend=config.server.backend,
            limits=resolve_limits(config.server.limits),
        ),
        metrics=resolve_metrics(config.metrics, report),
        audit=resolve_audit(config.audit, base, report),
        request_log=resolve_request_log(config.request_log, base, report),
        cors=policies.cors,
        routing=routing,
        policies=policies.common(),
        limits=resolve_client_limits(config, report),
        responses=resolve_responses(config.responses, base, report),
        prices=resolve_prices(config, credentials, report),
        hooks=resolve_hooks(config.usage, environ, credentials, report),
        redis=resolve_redis(config, environ, base, report),
        reload=ReloadSettings(config.reload.watch, config.reload.poll_secs),
        logging=LoggingSettings(config.logging.level, config.logging.format, config.logging.ansi),
        auth=auth,
        postgres=resolve_postgres(config.postgres, environ, base, report, trio=config.server.backend == "trio"),
        ledger=resolve_ledger(
            config.ledger,
            environ,
            base,
            report,
            postgres=any((config.postgres.url, config.postgres.url_env, config.postgres.url_file)),
            quotas=any(key.quotas for key in auth.named) or any(one.quotas for one in auth.projects),
            keys=config.keys.store,
        ),
        keys=resolve_keys(config, environ, base, report),
        admin=resolve_admin(config.admin, config.keys.store, auth, credentials, report),
        providers=providers,
        routes=routes,
        passthrough=resolve_passthrough(config, report),
        files=tuple(credentials.files),  # behind everything that reads one
    )


def resolve_providers(
    config: Config, environ: Mapping[str, str], base: Path, report: Report
) -> tuple[dict[int, ProviderSettings], tuple[SourceFile, ...]]:
    """The providers of ``config`` alone, with their keys read again, and the files that were read for them. By their
    place in the configuration; one that has faults of its own, which ``report`` then has, is left out."""
    config = expand(config, report)
    credentials = Credentials(environ, base, report)
    listeners = resolve_listeners(config.server, report)
    found = _providers(config, credentials, listeners, Policies(config, report), environ, report)
    known = {provider.name: provider for provider in found}
    return {
        index: known[provider.name]
        for index, provider in enumerate(config.providers)
        if provider.name in known and not report.refused_within(("providers", index))
    }, tuple(credentials.files)


def _providers(
    config: Config,
    credentials: Credentials,
    listeners: tuple[ListenerSettings, ...],
    policies: Policies,
    environ: Mapping[str, str],
    report: Report,
) -> tuple[ProviderSettings, ...]:
    first: dict[str, int] = {}
    providers = []
    for index, provider in enumerate(config.providers):
        path: KeyPath = ("providers", index)
        if report.accepted((*path, "name")):
            if not provider.name.strip():
                report.error((*path, "name"), "empty", "give the provider a name of its own")
            elif provider.name in first:
                report.error(
                    (*path, "name"),
                    f'a second provider called "{provider.name}"; the first is providers[{first[provider.name]}]',
                    "give each provider a name of its own",
                )
            first.setdefault(provider.name, index)
        settings = _provider(provider, path, config.server, credentials, environ, report)
        headers = policies.of_provider(provider.headers, path)
        if settings is not None:
            settings = msgspec.structs.replace(settings, headers=headers)
            for listener in listeners:
                _check_loop(settings, listener, config.server.tls_cert is not None, path, report)
            providers.append(settings)
    return tuple(providers)


def _provider(
    provider: Provider,
    path: KeyPath,
    server: Server,
    credentials: Credentials,
    environ: Mapping[str, str],
    report: Report,
) -> ProviderSettings | None:
    check_rules(provider, path, report)
    key = credentials.provider_key(provider, path)
    if not provider.keeps_responses and provider.type != "openai_responses":
        report.warn((*path, "keeps_responses"), f"not used, because type is {provider.type}", "leave it out")
    ca_file = _ca_file(provider, path, credentials, report)
    watched = credentials.watched(provider, path)
    if not report.accepted((*path, "base_url")):
        return None
    try:
        url = parse_base_url(provider.base_url)
    except BaseUrlFault as fault:
        report.error((*path, "base_url"), str(fault), fault.mend)
        return None
    if watched.url is not None:
        try:
            url = parse_base_url(watched.url)
        except BaseUrlFault:
            # Not quoted: it is another program's, and may be anything.
            report.error(watched.url_path, f"what stands there in {watched.file} is no base URL", "check the path")
            return None
    if url.scheme == "http":
        for name, written in (("ca_file", provider.ca_file is not None), ("ssl_verify", not provider.ssl_verify)):
            if written:
                report.warn((*path, name), "not used, because base_url is http", "use https, or leave it out")
        if (key is not None or provider.api_key_url is not None) and not is_loopback(url.host):
            report.warn((*path, "base_url"), f"the key travels to {url.host} unencrypted", "use https")
    elif not provider.ssl_verify:
        report.warn(
            (*path, "ssl_verify"),
            f"certificates of {url.host} are not checked: who stands between can read the key",
            "name the authority in ca_file instead",
        )
        if provider.ca_file is not None:
            report.warn((*path, "ca_file"), "not used, because ssl_verify is false", "leave ssl_verify out")
    proxy = None
    if url.socket is None:
        proxy = resolve_proxy(provider.proxy, url.scheme, url.host, url.port, environ, path, report)
    elif provider.proxy is not None and report.accepted((*path, "proxy")):
        report.warn((*path, "proxy"), "not used, because base_url is a unix socket", "leave it out")
    settings = provider_settings(provider, server, url, key, ca_file, proxy)
    key_file = watched.file if provider.key_watch else None
    if provider.api_key_file is not None:
        key_file = str(credentials.located(provider.api_key_file))
    key_url = _key_url(provider, path, environ, report)
    return msgspec.structs.replace(settings, key_file=key_file, key_watched=bool(provider.key_watch), key_url=key_url)


def _key_url(provider: Provider, path: KeyPath, environ: Mapping[str, str], report: Report) -> HiddenUrl | None:
    at = (*path, "api_key_url")
    if provider.api_key_url is None or not report.accepted(at):
        return None
    return read_hidden_url(
        provider.api_key_url,
        at,
        environ,
        report,
        carries="the key travels from",
        example='as in "https://vault.example.com/openai"',
        mend="leave it out of the URL",
    )


def provider_settings(
    provider: Provider,
    server: Server,
    url: BaseUrl,
    key: Secret | None = None,
    ca_file: str | None = None,
    proxy: ProxySettings | None = None,
) -> ProviderSettings:
    """`provider` with what was read for it: its URL in parts, its key, the absolute path of its authorities, its
    proxy."""
    return ProviderSettings(
        name=provider.name,
        type=provider.type,
        scheme=url.scheme,
        host=url.host,
        port=url.port,
        base_path=url.path,
        api_key=key,
        ssl_verify=provider.ssl_verify,
        ca_file=ca_file,
        timeouts=_timeouts(provider, server),
        rules=provider_rules(provider, url),
        keeps_responses=provider.keeps_responses,
        proxy=proxy,
        http2=provider.http2,
        max_connections=provider.max_connections,
        socket=url.socket,
        sellers=sellers_of(provider.name, url.host, provider.price_as),
        bounds=provider_bounds(provider),
        breaker=None if provider.breaker is None else breaker_rules(provider.breaker),
    )


def _timeouts(provider: Provider, server: Server) -> Timeouts:
    request = _either(provider.request_timeout_secs, server.request_timeout_secs)
    # What is said for the provider, in any form, goes before what is said for all.
    own_request = provider.request_timeout_secs is not None
    first_byte = request if own_request else _either(server.first_byte_timeout_secs, request)
    return Timeouts(
        connect_secs=_either(provider.connect_timeout_secs, server.connect_timeout_secs),
        request_secs=request,
        first_byte_secs=_either(provider.first_byte_timeout_secs, first_byte),
        idle_secs=_either(provider.idle_timeout_secs, server.idle_timeout_secs),
        total_secs=server.total_timeout_secs if provider.total_timeout_secs is None else provider.total_timeout_secs,
    )


def _either(own: float | None, common: float) -> float:
    return common if own is None else own


def _ca_file(provider: Provider, path: KeyPath, credentials: Credentials, report: Report) -> str | None:
    path += ("ca_file",)
    if provider.ca_file is None or not report.accepted(path):
        return None
    file = credentials.readable(provider.ca_file, path)
    if file is None:
        return None
    try:
        # The same call that the upstream client makes, so that both say the same of the same file.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=str(file))
    except (OSError, ssl.SSLError):
        report.error(path, f"{file} holds no certificate", "expected a PEM file with -----BEGIN CERTIFICATE-----")
        return None
    return str(file)


def _check_loop(
    provider: ProviderSettings, listener: ListenerSettings, certified: bool, path: KeyPath, report: Report
) -> None:
    """A gateway that is its own provider would call itself until something breaks. It happens when the variables
    that point clients at the gateway are set for the gateway too."""
    listen = listener.address
    scheme = "https" if (certified if listener.tls is None else listener.tls) else "http"
    if not listen.host or provider.port != listen.port or provider.scheme != scheme or not is_loopback(provider.host):
        return
    hosts = {provider.host, listen.host}
    if listen.host in ("0.0.0.0", "::") or len(hosts) == 1 or ("localhost" in hosts and listen.loopback):
        report.error(
            (*path, "base_url"),
            f"{provider.base_url} is this gateway's own listen address",
            "give the URL of the provider itself",
        )


def _routes(
    config: Config,
    policies: Policies,
    retries: Mapping[str, int | None],
    routing: RoutingSettings,
    report: Report,
) -> tuple[RouteSettings, ...]:
    names = list(dict.fromkeys(provider.name for provider in config.providers if provider.name))
    if not config.routes:
        if len(names) > 1 and report.accepted(("routes",)):
            report.warn(
                ("routes",), f'no route, so every model goes to the first provider, "{names[0]}"', "add [[routes]]"
            )
        return (RouteSettings("*", "prefix", names[0], policies=policies.common()),) if names else ()
    first: dict[tuple[str, str], int] = {}
    for index, route in enumerate(config.routes):
        path: KeyPath = ("routes", index)
        check_route(route, path, names, report)
        key = (route.match, "prefix" if route.match == "*" else route.match_type)
        if key in first and route.match:
            report.warn(
                (*path, "match"),
                f"the same match and match_type as routes[{first[key]}], so this route is never used",
                "remove one of them",
            )
        first.setdefault(key, index)
    return tuple(
        resolve_route(
            route,
            RouteSettings(
                route.match,
                route.match_type,
                route.provider or "",
                route.rewrite_model,
                route.loss_policy,
                policies.of_route(route, ("routes", index)),
            ),
            retries.get(route.match) if route.provider == f"models.{route.match}" else None,
            ("routes", index),
            routing,
            report,
        )
        for index, route in enumerate(config.routes)
    )
