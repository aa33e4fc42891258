"""What the gateway runs with: the configuration with every default applied and every secret resolved."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

import msgspec

from ferryllm_proto.policy.cors import NO_CORS, CorsPolicy
from ferryllm_proto.policy.headers import NO_HEADERS, HeaderPolicy
from ferryllm_proto.policy.route import NO_POLICIES, RoutePolicies
from ferryllm_proto.routing.balance import Balance, Target
from ferryllm_proto.routing.breaker import BreakerRules
from ferryllm_proto.routing.choice import ProviderBounds
from ferryllm_proto.routing.table import NO_OVERRIDES, Overrides
from ferryllm_proto.rules import NO_RULES, ProviderRules

from . import routing_settings
from .auth_settings import AdminSettings, KeysSettings
from .auth_settings import AuthSettings as AuthSettings
from .file_stamp import SourceFile
from .ledger_settings import LedgerSettings
from .postgres_settings import PostgresSettings
from .problems import Problem
from .proxy_settings import ProxySettings as ProxySettings
from .redis_settings import RedisSettings
from .reload_schema import POLL_SECS
from .schema import ProviderType
from .secret import Secret
from .telemetry_settings import FileSettings, MetricsSettings, RequestLogSettings
from .usage_settings import HiddenUrl, HookSettings, PricesSettings

_VERSION = re.compile(r"v\d+(?:(?:alpha|beta)\d*)?")
_OWN_VERSION = re.compile(r"/v\d+(?:(?:alpha|beta)\d*)?(?=/)")
_OLLAMA_END = re.compile(r"/(?:v1|api)$")
_DEFAULT_PORTS = {"http": 80, "https": 443}


class ListenAddress(msgspec.Struct, frozen=True):
    """Where the gateway listens. `str()` gives what one writes: `host:port`, `unix:/path`, `systemd`."""

    host: str
    """"" where it is no TCP."""
    port: int
    """0 takes a free port."""
    loopback: bool
    """Whether nothing but this machine can reach it. Of systemd's sockets only the start can tell."""
    unix: str | None = None
    """Absolute path of a socket file."""
    systemd: str | None = None
    """Sockets that systemd hands over: those of this name, "" for all."""

    def __str__(self) -> str:
        if self.host:
            return authority(self.host, self.port)
        if self.unix is not None:
            return f"unix:{self.unix}"
        return f"systemd:{self.systemd}" if self.systemd else "systemd"


class ListenerSettings(msgspec.Struct, frozen=True):
    """One listener."""

    address: ListenAddress
    tls: bool | None = None
    """None: where there is a certificate, but not on socket files."""
    proxy_protocol: bool = False
    """Every connection begins with a header of the PROXY protocol."""
    unix_mode: int = 0o660
    """Permissions of a socket file."""


class Timeouts(msgspec.Struct, frozen=True):
    """The deadlines of one request to one provider, all in seconds."""

    connect_secs: float
    request_secs: float
    """For an answer that is not a stream: from sending until all of it is there."""
    first_byte_secs: float
    """From sending until the answer begins."""
    idle_secs: float
    """Between two pieces of an answer."""
    total_secs: float | None
    """The whole request, streams included; None for no limit."""


class TLSSettings(msgspec.Struct, frozen=True):
    """The files of the listener's TLS, as absolute paths."""

    cert: str
    key: str
    client_ca: str | None = None
    """Whose certificates clients have to show; None when they need none."""


class LimitSettings(msgspec.Struct, frozen=True):
    """What one client may take, as `[server.limits]` says it; seconds and bytes."""

    first_head_secs: float = 15.0
    head_secs: float = 10.0
    body_idle_secs: float = 15.0
    write_stall_secs: float = 60.0
    tls_handshake_secs: float = 10.0
    head_bytes: int = 64 << 10
    head_fields: int = 100
    connections_per_address: int = 256
    h2_streams: int = 100
    h2_stream_window_bytes: int = 64 << 10
    h2_body_window_bytes: int = 1 << 20
    h2_connection_window_bytes: int = 2 << 20


class ServerSettings(msgspec.Struct, frozen=True):
    """The listeners and their limits."""

    listeners: tuple[ListenerSettings, ...]
    """At least one."""
    body_limit_bytes: int
    max_connections: int
    keep_alive_timeout_secs: float
    drain_timeout_secs: float
    check_providers: bool
    tls: TLSSettings | None = None
    """None for clear text."""
    http2: bool = True
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks whose word about the client is believed; "unix" for socket files."""
    workers: int = 1
    backend: Literal["asyncio", "trio", "uvloop"] = "asyncio"
    limits: LimitSettings = LimitSettings()

    @property
    def listen(self) -> ListenAddress:
        """The first address."""
        return self.listeners[0].address


class LoggingSettings(msgspec.Struct, frozen=True):
    """As written in the file."""

    level: Literal["trace", "debug", "info", "warn", "error"]
    format: Literal["text", "json"]
    ansi: bool | None
    """None: decided by the terminal and NO_COLOR."""


class ReloadSettings(msgspec.Struct, frozen=True):
    """Whether and how often files are looked at."""

    watch: bool = True
    poll_secs: float = POLL_SECS


class ResponsesSettings(msgspec.Struct, frozen=True):
    """The store of responses."""

    store: Literal["memory", "sqlite", "redis", "off"] = "memory"
    path: str | None = None
    """Absolute; None without a file."""
    ttl_secs: float = 2_592_000.0
    max_bytes: int = 128 << 20


class ProviderSettings(msgspec.Struct, frozen=True):
    """One upstream: where it is, how to speak to it, with which key."""

    name: str
    type: ProviderType
    scheme: Literal["http", "https"]
    host: str
    """Without brackets, in the form that resolves."""
    port: int
    base_path: str
    """Path of the base URL without a slash at its end; "" for none."""
    api_key: Secret | None
    ssl_verify: bool
    ca_file: str | None
    """Absolute path; None for the authorities of the system."""
    timeouts: Timeouts
    rules: ProviderRules = NO_RULES
    """What translators have to know of its vendor and its models."""
    keeps_responses: bool = True
    """Whether a provider of ``openai_responses`` keeps them itself."""
    proxy: ProxySettings | None = None
    """None: it is reached directly."""
    http2: bool = False
    """Offered over TLS, spoken in clear text."""
    max_connections: int | None = None
    """None for no limit."""
    socket: str | None = None
    """Absolute path of the unix socket behind which it is, in place of host and port."""
    headers: HeaderPolicy = NO_HEADERS
    """Which headers of clients it gets, and which of the configuration's."""
    key_file: str | None = None
    """Absolute path of the file that the key came from."""
    key_watched: bool = False
    """Whether that file is another program's, which may also hold the base URL."""
    key_url: HiddenUrl | None = None
    """Where the key is fetched; `api_key` is None until then."""
    sellers: tuple[str, ...] = ()
    """By which names its prices are looked for."""
    bounds: ProviderBounds | None = None
    """What the gateway asks of it at most."""
    breaker: BreakerRules | None = None
    """In place of the common ones."""

    @property
    def authority(self) -> str:
        """What the Host header says: the port only where it is not the scheme's own."""
        return authority(self.host, None if self.port == _DEFAULT_PORTS[self.scheme] else self.port)

    @property
    def base_url(self) -> str:
        if self.socket is not None:
            return f"http+unix://{quote(self.socket, safe='')}{self.base_path}"
        return f"{self.scheme}://{self.authority}{self.base_path}"

    def target(self, path: str) -> str:
        """The request target of a dialect's `path`, such as `/v1/messages?beta=true`.

        A base URL that carries a version already (`/v1`, `/api/paas/v4`, `/v1beta/openai`) keeps it and the
        path's own is left out. For Anthropic only a version at the very end counts: there the custom is to
        give the base without one, so an earlier `v1` belongs to something else. The same holds for Gemini, whose
        versions are `v1beta`, `v1alpha` and `v1`. Ollama's own API has no version: a `/v1` or `/api` at the end of
        its base is what its other clients are given, and is left out.
        """
        if self.type == "ollama":
            return _OLLAMA_END.sub("", self.base_path) + path
        if self.type == "gemini":
            versioned = _VERSION.fullmatch(self.base_path.rpartition("/")[2])
            return self.base_path + (_OWN_VERSION.sub("", path) if versioned else path)
        segments = self.base_path.split("/")
        if self.type == "anthropic":
            segments = segments[-1:]
        if any(_VERSION.fullmatch(segment) for segment in segments):
            path = path.removeprefix("/v1")
        return self.base_path + path


class RouteSettings(msgspec.Struct, frozen=True):
    """Which models go to which provider."""

    match: str
    """`*` matches every model."""
    match_type: Literal["exact", "prefix", "glob", "regex"]
    provider: str
    """The first of its targets."""
    rewrite_model: str | None = None
    loss_policy: Literal["strict", "report", "lenient"] = "report"
    policies: RoutePolicies = NO_POLICIES
    targets: tuple[Target, ...] = ()
    """Those that share the requests; none is the provider alone."""
    balance: Balance = Balance.WEIGHTED
    fallbacks: tuple[Target, ...] = ()
    """Asked in this order when no target answers."""
    overrides: Overrides = NO_OVERRIDES


class PassthroughSettings(msgspec.Struct, frozen=True):
    """A path that goes to a provider as it is."""

    path: str
    """Without a slash at its end."""
    provider: str
    dialect: ProviderType


class Settings(msgspec.Struct, frozen=True):
    """Everything the gateway needs to know, once."""

    server: ServerSettings
    logging: LoggingSettings
    auth: AuthSettings
    providers: tuple[ProviderSettings, ...]
    routes: tuple[RouteSettings, ...]
    """In the order of the file."""
    passthrough: tuple[PassthroughSettings, ...] = ()
    """The longest path first."""
    metrics: MetricsSettings = MetricsSettings()
    audit: FileSettings | None = None
    request_log: RequestLogSettings | None = None
    responses: ResponsesSettings = ResponsesSettings()
    redis: RedisSettings | None = None
    """None: every process counts for itself."""
    ledger: LedgerSettings = LedgerSettings()
    keys: KeysSettings = KeysSettings()
    admin: AdminSettings = AdminSettings()
    postgres: PostgresSettings | None = None
    """None: there is none."""
    prices: PricesSettings = PricesSettings()
    hooks: tuple[HookSettings, ...] = ()
    """Who hears of the usage of requests."""
    cors: CorsPolicy = NO_CORS
    reload: ReloadSettings = ReloadSettings()
    routing: routing_settings.RoutingSettings = routing_settings.RoutingSettings()
    limits: routing_settings.ClientLimits = routing_settings.ClientLimits()
    policies: RoutePolicies = NO_POLICIES
    """Of models that no route knows, and that come to a provider because a client names it."""
    source: str | None = None
    """The file it came from; None when there is none."""
    files: tuple[SourceFile, ...] = ()
    """All files it was read from, also those that could not be read."""
    demo: bool = False
    """Whether neither a file nor a key was found, so that the embedded demo provider shall serve."""
    warnings: tuple[Problem, ...] = ()

    @property
    def needs_prices(self) -> bool:
        """Whether anything asks what requests cost: who only passes bytes on pays nothing for a list of prices."""
        kept = self.ledger.store != "off" or self.keys.store != "off" or bool(self.hooks)
        said = bool(self.prices.rows) or self.prices.file is not None
        spent = any(key.quotas for key in self.auth.named) or any(one.quotas for one in self.auth.projects)
        return kept or said or spent or any(route.balance is Balance.COST for route in self.routes)

    def provider(self, name: str) -> ProviderSettings:
        """The provider called `name`. Raises KeyError; names in routes are always known."""
        for provider in self.providers:
            if provider.name == name:
                return provider
        raise KeyError(name)


def authority(host: str, port: int | None) -> str:
    """`host:port` as URLs and the Host header write it."""
    name = f"[{host}]" if ":" in host else host
    return name if port is None else f"{name}:{port}"
