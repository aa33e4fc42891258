"""The form of the configuration file: which keys exist, their types, bounds, defaults and meaning.

Nouns only. `validate` checks a TOML document against these Structs, `reference` prints them as the reference
page, `resolve` turns them into the Settings that the gateway runs with. A key that is not here is refused: what
the gateway does not do, it does not accept.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from . import limits_schema
from .auth_schema import Admin, Keys
from .auth_schema import Auth as Auth
from .key_watch_schema import KeyWatch
from .ledger_schema import Ledger
from .listener_schema import DAY, DEFAULT_LISTEN, Limits, Listener
from .policy_schema import Cors, Effort, Headers, ModelEntry, PromptCache, Reasoning, ReasoningMode, Transform
from .postgres_schema import Postgres
from .prices_schema import PriceAs, Prices
from .provider_schema import Http2, MaxConnections, Model, ProxyUrl, Quirks, Vendor
from .redis_schema import Redis
from .reload_schema import Reload
from .routing_schema import Affinity, Breaker, Hints, ProviderRetry, Retry
from .routing_schema import Route as Route
from .telemetry_schema import Audit, Metrics, RequestLog
from .usage_schema import Usage

ProviderType = Literal["openai", "openai_responses", "anthropic", "gemini", "ollama"]
"""The dialects a provider may speak: the names of ferryllm_proto's DIALECTS."""

OwnSeconds = Annotated[
    float,
    Meta(
        gt=0,
        le=DAY,
        description="As in `[server]`, for this provider.",
        extra={"unit": "seconds", "default": "that of `[server]`"},
    ),
]
"""A timeout of one provider, where it differs from the common one."""


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The listeners, their limits, and the timeouts that hold for every provider which sets none of its own."""

    listen: Annotated[
        str | tuple[str, ...],
        Meta(
            description="Address to listen on, or an array of them: `host:port`, where the host may be a name, an "
            "IPv4 address or an IPv6 address in brackets, as in `[::1]:3000`, and port 0 takes a free one; "
            "`unix:/path` for a socket file; `systemd` for the sockets that systemd hands over, `systemd:name` for "
            "those of one name. Left out where there are `[[server.listeners]]`.",
            extra={"default": f'`"{DEFAULT_LISTEN}"`'},
        ),
    ] = ()
    listeners: tuple[Listener, ...] = ()
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses and networks, as in `10.0.0.0/8`, of proxies in front of the gateway; `unix` for "
            "whoever connects by a socket file. What they say of the client is believed, and of nobody else: "
            "`Forwarded`, `X-Forwarded-For`, `X-Forwarded-Proto`, the PROXY protocol."
        ),
    ] = ()
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=256,
            description="Processes that serve together on the same addresses; each uses one processor core.",
        ),
    ] = 1
    backend: Annotated[
        Literal["asyncio", "trio", "uvloop"],
        Meta(description="The event loop. `uvloop` is asyncio on a faster loop and needs `ferryllm[uvloop]`."),
    ] = "asyncio"
    request_timeout_secs: Annotated[
        float,
        Meta(
            gt=0,
            le=DAY,
            description="How long a provider may take: for a stream until its answer begins, for any other "
            "request until the whole answer is there.",
            extra={"unit": "seconds"},
        ),
    ] = 120
    body_limit_mb: Annotated[
        int,
        Meta(
            ge=1,
            le=1024,
            description="Largest request body, after decompression; a larger one is answered 413.",
            extra={"unit": "MiB"},
        ),
    ] = 32
    connect_timeout_secs: Annotated[
        float,
        Meta(
            gt=0,
            le=DAY,
            description="How long connecting to a provider may take, with TLS.",
            extra={"unit": "seconds"},
        ),
    ] = 5
    first_byte_timeout_secs: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=DAY,
                description="How long a provider may take until its answer begins.",
                extra={"unit": "seconds", "default": "`request_timeout_secs`"},
            ),
        ]
        | None
    ) = None
    idle_timeout_secs: Annotated[
        float,
        Meta(
            gt=0,
            le=DAY,
            description="How long a provider may stay silent within its answer.",
            extra={"unit": "seconds"},
        ),
    ] = 120
    total_timeout_secs: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=DAY,
                description="How long one request may take in all, streams included.",
                extra={"unit": "seconds", "default": "no limit"},
            ),
        ]
        | None
    ) = None
    keep_alive_timeout_secs: Annotated[
        float,
        Meta(
            gt=0,
            le=DAY,
            description="How long a client's connection may stay open without a request.",
            extra={"unit": "seconds"},
        ),
    ] = 75
    drain_timeout_secs: Annotated[
        float,
        Meta(
            ge=0,
            le=DAY,
            description="How long running requests may go on after SIGTERM or SIGINT before they are cut.",
            extra={"unit": "seconds"},
        ),
    ] = 30
    max_connections: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Most client connections at one time; further ones wait.")
    ] = 10_000
    tls_cert: (
        Annotated[
            str,
            Meta(
                description="PEM file with the server's certificate and those between it and the root: the gateway "
                "speaks TLS. Read again when the file changes, and on SIGHUP. A relative path counts from the "
                "configuration file."
            ),
        ]
        | None
    ) = None
    tls_key: (
        Annotated[
            str, Meta(description="PEM file with the certificate's key, without a password. Goes with `tls_cert`.")
        ]
        | None
    ) = None
    tls_client_ca: (
        Annotated[
            str,
            Meta(
                description="PEM file of authorities: every client has to show a certificate that one of them has "
                "signed. Goes with `tls_cert`."
            ),
        ]
        | None
    ) = None
    http2: Annotated[
        bool,
        Meta(
            description="Whether HTTP/2 is spoken with clients that ask for it: by ALPN over TLS, by its preface in "
            "clear text."
        ),
    ] = True
    limits: Limits = Limits()
    check_providers: Annotated[
        bool, Meta(description="Whether `/readyz` also asks that every provider answers a request for its models.")
    ] = False
    reasoning_policy: Annotated[ReasoningMode, Meta(description="As `policy` in `[reasoning]`.")] | None = None
    default_reasoning_effort: Annotated[Effort, Meta(description="As `default_effort` in `[reasoning]`.")] | None = None
    max_reasoning_effort: Annotated[Effort, Meta(description="As `max_effort` in `[reasoning]`.")] | None = None
    retry_attempts: Annotated[int, Meta(ge=0, le=100, description="As `attempts` in `[retry]`.")] | None = None
    retry_backoff_ms: (
        Annotated[
            int, Meta(ge=0, le=600_000, description="As `backoff_ms` in `[retry]`.", extra={"unit": "milliseconds"})
        ]
        | None
    ) = None
    circuit_breaker_failures: (
        Annotated[int, Meta(ge=0, le=10_000, description="As `failures` in `[breaker]`; 0 is none.")] | None
    ) = None
    circuit_breaker_cooldown_secs: (
        Annotated[
            float, Meta(gt=0, le=DAY, description="As `cooldown_secs` in `[breaker]`.", extra={"unit": "seconds"})
        ]
        | None
    ) = None
    rate_limit_per_minute: (
        Annotated[
            int, Meta(ge=0, le=1_000_000_000, description="As `requests_per_minute` in `[limits]`; 0 is no limit.")
        ]
        | None
    ) = None
    max_concurrent_requests: (
        Annotated[int, Meta(ge=0, le=1_000_000, description="As `max_concurrency` in `[limits]`; 0 is no limit.")]
        | None
    ) = None


class Logging(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log on standard error."""

    level: Annotated[
        Literal["trace", "debug", "info", "warn", "error"],
        Meta(
            description="The least level that is written. Of a filter of targets, as in `ferryllm=debug,hyper=warn`, "
            "the part for `ferryllm` is taken, else the one without a target."
        ),
    ] = "info"
    format: Annotated[Literal["text", "json"], Meta(description="`text` for people, `json` for one object a line.")] = (
        "text"
    )
    ansi: (
        Annotated[
            bool,
            Meta(
                description="Whether text lines are coloured.",
                extra={"default": "on a terminal, unless `NO_COLOR` is set"},
            ),
        ]
        | None
    ) = None


class Responses(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Responses that clients of `/v1/responses` go on from (`previous_response_id`), read again and delete.

    A provider of `openai_responses` keeps its own; here is only where each of them is. For every other provider the
    gateway keeps them, each for the key that made it.
    """

    store: Annotated[
        Literal["memory", "sqlite", "redis", "off"],
        Meta(
            description="Where responses are kept: in `memory`, until the gateway ends; in a file, `sqlite`; in the "
            "server of `[redis]`, for many replicas; nowhere, `off`, and a request that needs one is refused."
        ),
    ] = "memory"
    path: (
        Annotated[
            str,
            Meta(
                description="File of `sqlite`, made when it is not there, readable by its owner alone. A relative path "
                "counts from the configuration file. Required when `store` is `sqlite`."
            ),
        ]
        | None
    ) = None
    ttl_secs: Annotated[
        float,
        Meta(gt=0, le=3650 * DAY, description="How long a response is kept.", extra={"unit": "seconds"}),
    ] = 30 * DAY
    max_mb: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="Most that is kept; the responses used longest ago make room.",
            extra={"unit": "MiB"},
        ),
    ] = 128


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One upstream. At most one of the five sources of a key; none for a backend that asks for no key."""

    name: Annotated[str, Meta(description="Name used by routes, logs and messages; unique.")]
    type: Annotated[ProviderType, Meta(description="The protocol that the provider speaks.")]
    base_url: Annotated[
        str,
        Meta(
            description="Where it is, `http` or `https`, with or without the version (`/v1`) at the end; behind a unix "
            "socket `http+unix://%2Frun%2Fserver.sock/v1`."
        ),
    ]
    api_key_env: (
        Annotated[str, Meta(description="Name of the environment variable that holds the provider's key.")] | None
    ) = None
    api_key_file: (
        Annotated[
            str,
            Meta(
                description="File that holds the key and nothing else; read again when it changes. A relative path "
                "counts from the configuration file."
            ),
        ]
        | None
    ) = None
    api_key: (
        Annotated[
            str,
            Meta(description="The key itself; better kept out of the file.", extra={"secret": True}),
        ]
        | None
    ) = None
    api_key_url: (
        Annotated[
            str,
            Meta(
                description="Where the key is fetched, by GET, once at the start and at each reload; the answer is the "
                "key and nothing else. `check-config` does not ask there."
            ),
        ]
        | None
    ) = None
    key_watch: tuple[KeyWatch, ...] = ()
    keeps_responses: Annotated[
        bool,
        Meta(
            description="For `openai_responses`: whether the provider keeps responses. `false` for servers that know "
            "the protocol and forget every answer: the gateway keeps them, as `[responses]` says, and compacts "
            "conversations itself."
        ),
    ] = True
    ssl_verify: Annotated[
        bool, Meta(description="Whether the provider's certificate is checked. Off warns at every start.")
    ] = True
    ca_file: (
        Annotated[
            str,
            Meta(
                description="PEM file of certificate authorities to trust in place of the system's. A relative "
                "path counts from the configuration file."
            ),
        ]
        | None
    ) = None
    proxy: ProxyUrl | None = None
    http2: Http2 = False
    max_connections: MaxConnections | None = None
    requests_per_minute: limits_schema.RequestsPerMinute | None = None
    tokens_per_minute: limits_schema.TokensPerMinute | None = None
    max_concurrency: limits_schema.MaxConcurrency | None = None
    request_timeout_secs: OwnSeconds | None = None
    connect_timeout_secs: OwnSeconds | None = None
    first_byte_timeout_secs: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=DAY,
                description="As in `[server]`, for this provider.",
                extra={
                    "unit": "seconds",
                    "default": "the provider's `request_timeout_secs`, then that of `[server]`",
                },
            ),
        ]
        | None
    ) = None
    idle_timeout_secs: OwnSeconds | None = None
    total_timeout_secs: OwnSeconds | None = None
    vendor: (
        Annotated[
            Vendor,
            Meta(
                description="Whose server it is, for a provider of type `openai`: its row in the table of vendors.",
                extra={"default": "told by `base_url`"},
            ),
        ]
        | None
    ) = None
    headers: Headers | None = None
    price_as: PriceAs | None = None
    retry: ProviderRetry | None = None
    breaker: Breaker | None = None
    quirks: Quirks = Quirks()
    models: tuple[Model, ...] = ()


class Passthrough(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A path that goes to a provider as it is, and everything below it: images, audio, files, batches. Nothing is
    translated; the provider gets the client's bytes under its own key."""

    path: Annotated[str, Meta(description="The path as the provider has it, from the version on, as in `/v1/images`.")]
    provider: Annotated[str, Meta(description="Name of the provider that answers.")]
    dialect: (
        Annotated[
            ProviderType,
            Meta(
                description="Whose words the gateway's own errors are in there.",
                extra={"default": "that of the provider"},
            ),
        ]
        | None
    ) = None


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    server: Server = Server()
    logging: Logging = Logging()
    reload: Reload = Reload()
    auth: Auth = Auth()
    keys: Keys = Keys()
    admin: Admin = Admin()
    limits: limits_schema.Limits = limits_schema.Limits()
    retry: Retry = Retry()
    breaker: Breaker = Breaker()
    affinity: Affinity = Affinity()
    hints: Hints = Hints()
    metrics: Metrics = Metrics()
    audit: Audit = Audit()
    request_log: RequestLog = RequestLog()
    responses: Responses = Responses()
    redis: Redis = Redis()
    postgres: Postgres = Postgres()
    ledger: Ledger | None = None
    usage: Usage = Usage()
    prices: Prices = Prices()
    reasoning: Reasoning = Reasoning()
    prompt_cache: PromptCache = PromptCache()
    headers: Headers = Headers()
    transforms: tuple[Transform, ...] = ()
    cors: Cors = Cors()
    models: dict[str, ModelEntry] = {}
    providers: tuple[Provider, ...] = ()
    routes: tuple[Route, ...] = ()
    passthrough: tuple[Passthrough, ...] = ()
