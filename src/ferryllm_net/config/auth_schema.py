"""The form of `[auth]`, of `[keys]` and of `[admin]`: who may use the gateway, and how much of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

KeyStoreKind = Literal["off", "sqlite", "postgres"]

Rate = Annotated[int, Meta(ge=1, le=10**12)]
Amount = Annotated[int, Meta(ge=0, le=10**15)]
Dollars = Annotated[float, Meta(ge=0, le=1e9)]

_IN_ALL = "in all; it does not renew itself"

RequestsPerMinute = Annotated[Rate, Meta(description="Requests a minute.", extra={"default": "no limit"})]
TokensPerMinute = Annotated[
    Rate, Meta(description="Tokens a minute, of requests and answers together.", extra={"default": "no limit"})
]
MaxConcurrency = Annotated[
    Rate, Meta(description="Requests under way at one time; further ones wait.", extra={"default": "no limit"})
]
DailyRequests = Annotated[Amount, Meta(description="Requests a day, in UTC.", extra={"default": "no limit"})]
DailyTokens = Annotated[Amount, Meta(description="Tokens a day.", extra={"default": "no limit"})]
DailyCost = Annotated[
    Dollars, Meta(description="Budget of a day.", extra={"unit": "US dollars", "default": "no limit"})
]
MonthlyRequests = Annotated[
    Amount, Meta(description="Requests a month of the calendar, in UTC.", extra={"default": "no limit"})
]
MonthlyTokens = Annotated[Amount, Meta(description="Tokens a month.", extra={"default": "no limit"})]
MonthlyCost = Annotated[
    Dollars, Meta(description="Budget of a month.", extra={"unit": "US dollars", "default": "no limit"})
]
TotalRequests = Annotated[Amount, Meta(description=f"Requests {_IN_ALL}.", extra={"default": "no limit"})]
TotalTokens = Annotated[Amount, Meta(description=f"Tokens {_IN_ALL}.", extra={"default": "no limit"})]
TotalCost = Annotated[
    Dollars, Meta(description=f"Budget {_IN_ALL}.", extra={"unit": "US dollars", "default": "no limit"})
]


class AuthKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client's key that the file names. Exactly one of the three sources; keys that come and go are better kept by
    `ferryllm keys`, in the store of `[keys]`."""

    name: Annotated[str, Meta(description="Name in lists, logs and the ledger; unique.")]
    key_env: Annotated[str, Meta(description="Name of the environment variable that holds the key.")] | None = None
    key_file: (
        Annotated[
            str,
            Meta(
                description="File that holds the key and nothing else. A relative path counts from the configuration "
                "file."
            ),
        ]
        | None
    ) = None
    key_sha256: (
        Annotated[str, Meta(description="SHA-256 of the key, in 64 hex digits: for long random keys only.")] | None
    ) = None
    user: Annotated[str, Meta(description="Whose it is, for reports.")] = ""
    project: Annotated[str, Meta(description="What it is for: keys of one project share the project's limits.")] = ""
    models: Annotated[
        tuple[str, ...],
        Meta(description="Globs over the names that clients ask for.", extra={"default": "all models"}),
    ] = ()
    providers: Annotated[
        tuple[str, ...],
        Meta(description="Names of the providers that may answer.", extra={"default": "all providers"}),
    ] = ()
    expires: (
        Annotated[
            str,
            Meta(description="When it ends, as `2027-01-31` or `2027-01-31T12:00:00Z`; a day ends where it begins."),
        ]
        | None
    ) = None
    unpriced: Annotated[
        bool, Meta(description="Whether a key with a budget may use models whose price is unknown.")
    ] = False
    requests_per_minute: RequestsPerMinute | None = None
    tokens_per_minute: TokensPerMinute | None = None
    max_concurrency: MaxConcurrency | None = None
    daily_requests: DailyRequests | None = None
    daily_tokens: DailyTokens | None = None
    daily_cost: DailyCost | None = None
    monthly_requests: MonthlyRequests | None = None
    monthly_tokens: MonthlyTokens | None = None
    monthly_cost: MonthlyCost | None = None
    total_requests: TotalRequests | None = None
    total_tokens: TotalTokens | None = None
    total_cost: TotalCost | None = None


class AuthProject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all keys of one project may take together. It stands before a project of this name in the store."""

    name: Annotated[str, Meta(description="Name that keys give as `project`; unique.")]
    requests_per_minute: RequestsPerMinute | None = None
    tokens_per_minute: TokensPerMinute | None = None
    daily_requests: DailyRequests | None = None
    daily_tokens: DailyTokens | None = None
    daily_cost: DailyCost | None = None
    monthly_requests: MonthlyRequests | None = None
    monthly_tokens: MonthlyTokens | None = None
    monthly_cost: MonthlyCost | None = None
    total_requests: TotalRequests | None = None
    total_tokens: TotalTokens | None = None
    total_cost: TotalCost | None = None


class Auth(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may use the gateway. The keys of the variable, of `[[auth.keys]]` and of the store of `[keys]` are good side
    by side; when `enabled`, one of the three has to be there."""

    enabled: Annotated[
        bool, Meta(description="Whether clients must send a key, as `x-api-key` or `Authorization: Bearer`.")
    ] = False
    api_keys_env: (
        Annotated[
            str,
            Meta(
                description="Name of the environment variable with accepted keys, separated by commas: without names "
                "or limits of their own."
            ),
        ]
        | None
    ) = None
    per_key_rate_limit_per_minute: (
        Annotated[
            int,
            Meta(ge=0, le=1_000_000_000, description="As `requests_per_minute` in `[limits.key]`; 0 is no limit."),
        ]
        | None
    ) = None
    per_key_max_concurrent_requests: (
        Annotated[int, Meta(ge=0, le=1_000_000, description="As `max_concurrency` in `[limits.key]`; 0 is no limit.")]
        | None
    ) = None
    keys: tuple[AuthKey, ...] = ()
    projects: tuple[AuthProject, ...] = ()


class Keys(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The store of the keys that `ferryllm keys` and the admin API make. It holds digests of keys, never keys."""

    store: Annotated[
        KeyStoreKind,
        Meta(
            description="`sqlite`, a file for one machine; `postgres`, the database of `[postgres]`, for many; `off`, "
            "only the keys of `[auth]`."
        ),
    ] = "off"
    path: (
        Annotated[
            str,
            Meta(
                description="File of `sqlite`, made when it is not there, readable by its owner alone. A relative path "
                "counts from the configuration file.",
                extra={
                    "default": "`keys.db` in `$XDG_DATA_HOME/ferryllm`, `~/.local/share/ferryllm` or what the "
                    "platform has for it"
                },
            ),
        ]
        | None
    ) = None


class Admin(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The admin API, `/admin/`: keys and projects over HTTP. It has a key of its own, that opens nothing else, and
    needs a store in `[keys]`."""

    enabled: Annotated[bool, Meta(description="Whether it answers.")] = False
    key_env: Annotated[str, Meta(description="Name of the environment variable that holds the admin key.")] | None = (
        None
    )
    key_file: (
        Annotated[
            str,
            Meta(
                description="File that holds the admin key and nothing else. A relative path counts from the "
                "configuration file."
            ),
        ]
        | None
    ) = None
