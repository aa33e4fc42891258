"""The form of what the configuration says about who answers, and what happens when nobody does: a part of `schema`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .listener_schema import DAY
from .policy_schema import Effort, PromptCache, ReasoningMode, Transform

MatchWay = Literal["exact", "prefix", "glob", "regex"]
BalanceWay = Literal["weighted", "round_robin", "least_latency", "least_busy", "cost"]

_INHERITED = {"default": "that of `[retry]`"}


class ProviderRetry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As `[retry]`, for one provider, on routes that have no such table of their own: what is left out is as there."""

    attempts: Annotated[int, Meta(ge=0, le=100, description="As in `[retry]`.", extra=_INHERITED)] | None = None
    backoff_ms: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=600_000,
                description="As in `[retry]`.",
                extra={"unit": "milliseconds", **_INHERITED},
            ),
        ]
        | None
    ) = None
    max_backoff_ms: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=600_000,
                description="As in `[retry]`.",
                extra={"unit": "milliseconds", **_INHERITED},
            ),
        ]
        | None
    ) = None
    jitter: Annotated[float, Meta(ge=0, le=1, description="As in `[retry]`.", extra=_INHERITED)] | None = None
    statuses: (
        Annotated[
            tuple[Annotated[int, Meta(ge=400, le=599)], ...], Meta(description="As in `[retry]`.", extra=_INHERITED)
        ]
        | None
    ) = None
    max_retry_after_secs: (
        Annotated[
            float,
            Meta(ge=0, le=DAY, description="As in `[retry]`.", extra={"unit": "seconds", **_INHERITED}),
        ]
        | None
    ) = None


class RouteRetry(ProviderRetry, frozen=True, forbid_unknown_fields=True):
    """As `[retry]`, for one route: what is left out is as there."""

    total_attempts: Annotated[int, Meta(ge=1, le=100, description="As in `[retry]`.", extra=_INHERITED)] | None = None


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What follows a failed attempt, as long as the client has no content of an answer: the same provider again, then
    another target of the route, then its fallbacks. A client's own mistake is never tried again."""

    attempts: (
        Annotated[
            int,
            Meta(
                ge=0,
                le=100,
                description="Further attempts at one target; 0 goes to the next target at once.",
                extra={
                    "default": "`2` where a key of this table is written, else `0`: most clients ask again themselves"
                },
            ),
        ]
        | None
    ) = None
    total_attempts: Annotated[
        int, Meta(ge=1, le=100, description="Attempts of one request at all targets together.")
    ] = 8
    backoff_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=600_000,
            description="Wait before the first further attempt at a target; it doubles with each.",
            extra={"unit": "milliseconds"},
        ),
    ] = 100
    max_backoff_ms: Annotated[
        int,
        Meta(ge=0, le=600_000, description="Longest such wait.", extra={"unit": "milliseconds"}),
    ] = 10_000
    jitter: Annotated[
        float,
        Meta(ge=0, le=1, description="Which part of a wait is left to chance, so that not all come back at once."),
    ] = 0.5
    statuses: Annotated[
        tuple[Annotated[int, Meta(ge=400, le=599)], ...],
        Meta(description="HTTP statuses that another attempt may mend."),
    ] = (429, 500, 502, 503, 504, 529)
    max_retry_after_secs: Annotated[
        float,
        Meta(
            ge=0,
            le=DAY,
            description="Longest wait that a provider may ask for with `Retry-After`; one that asks for more is not "
            "asked again by this request.",
            extra={"unit": "seconds"},
        ),
    ] = 20
    budget_percent: Annotated[
        int,
        Meta(
            ge=0,
            le=1000,
            description="Further attempts at the same target that all requests may make together, in percent of the "
            "requests: a sick provider is not asked more, but less.",
            extra={"unit": "percent"},
        ),
    ] = 20
    budget_per_minute: Annotated[
        int,
        Meta(ge=0, le=100_000, description="Further attempts a minute that are allowed beside these."),
    ] = 60


class Breaker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a provider's model is left alone because it failed too often. After the cooldown one request tries it. What
    a client did wrong counts nowhere; a refused key (401, 403) takes the key down, not the provider. A provider's own
    table stands in place of the common one."""

    failures: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=10_000,
                description="Failures one after the other that open the breaker.",
                extra={"default": "none: there are no breakers"},
            ),
        ]
        | None
    ) = None
    cooldown_secs: Annotated[
        float,
        Meta(gt=0, le=DAY, description="How long it stays open.", extra={"unit": "seconds"}),
    ] = 30
    key_cooldown_secs: Annotated[
        float,
        Meta(gt=0, le=DAY, description="The same for a refused key.", extra={"unit": "seconds"}),
    ] = 60
    max_hold_secs: Annotated[
        float,
        Meta(
            ge=0,
            le=DAY,
            description="How long a provider's `Retry-After` keeps everybody away at most.",
            extra={"unit": "seconds"},
        ),
    ] = 120


class Affinity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the requests of one conversation stay with the target that answered the first of them: prompt caches,
    encrypted reasoning and signatures of thoughts are worth something only there. Matters to routes with several
    targets; a conversation belongs to the client's key."""

    enabled: Annotated[bool, Meta(description="Whether they stay.")] = True
    header: Annotated[
        str | tuple[str, ...],
        Meta(
            description="Header that names a conversation, or an array of them, the most telling first.",
            extra={"default": "those of Claude Code, Codex and OpenCode"},
        ),
    ] = ()
    first_messages: (
        Annotated[
            bool,
            Meta(
                description="Whether the instructions and the first message stand for a conversation that neither a "
                "header, nor a session's id, nor a prompt cache key names.",
                extra={"default": "`true` where this table is written, else `false`"},
            ),
        ]
        | None
    ) = None
    ttl_secs: Annotated[
        float,
        Meta(
            gt=0,
            le=30 * DAY,
            description="How long a conversation's place is remembered after its last request.",
            extra={"unit": "seconds"},
        ),
    ] = 3600


class Hints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether clients may say which of the configured providers shall answer: by the header `x-ferryllm-provider`, by
    the model's name (`provider:NAME/MODEL`), or in front of their key (`ferryllm-provider:` and the hex digits of the
    provider's name, then `:` and the key). A route that renames the model decides alone."""

    enabled: Annotated[bool, Meta(description="Whether they may.")] = True


class RouteTimeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Times of one route, in place of its providers'."""

    request_secs: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=DAY,
                description="As `request_timeout_secs` of a provider.",
                extra={"unit": "seconds", "default": "the provider's"},
            ),
        ]
        | None
    ) = None
    first_byte_secs: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=DAY,
                description="As `first_byte_timeout_secs` of a provider.",
                extra={"unit": "seconds", "default": "`request_secs`, else the provider's"},
            ),
        ]
        | None
    ) = None
    idle_secs: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=DAY,
                description="As `idle_timeout_secs` of a provider.",
                extra={"unit": "seconds", "default": "the provider's"},
            ),
        ]
        | None
    ) = None
    total_secs: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=DAY,
                description="As `total_timeout_secs` of a provider; with several attempts it holds for all together.",
                extra={"unit": "seconds", "default": "the provider's"},
            ),
        ]
        | None
    ) = None


class RouteTarget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of several that share the requests of a route, in place of its `provider`."""

    provider: Annotated[str, Meta(description="Name of the provider.")]
    model: (
        Annotated[
            str,
            Meta(
                description="Name of the model that this provider is asked for.",
                extra={"default": "the route's `rewrite_model`, else the client's name"},
            ),
        ]
        | None
    ) = None
    weight: Annotated[int, Meta(ge=1, le=1_000_000, description="Its share of the requests.")] = 1


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which models go where. Exact routes win over prefixes and globs, and of these the one with more characters of its
    own; then come regular expressions in their order, and `*` last. The providers are one, `provider`, or several,
    `[[routes.targets]]`."""

    match: Annotated[
        str, Meta(description="The model's name, or its beginning, or a pattern of it, or `*` for every model.")
    ]
    provider: (
        Annotated[
            str,
            Meta(description="Name of the provider that answers.", extra={"default": "those of `[[routes.targets]]`"}),
        ]
        | None
    ) = None
    match_type: Annotated[
        MatchWay,
        Meta(
            description="Whether `match` is the whole name, its beginning, a pattern where `*` is any characters and "
            "`?` one, or a regular expression that the whole name has to fit (without references back and looking "
            "around, so that its time is linear)."
        ),
    ] = "prefix"
    rewrite_model: (
        Annotated[
            str,
            Meta(
                description="Name of the model that the provider is asked for; the client goes on seeing its own.",
                extra={"default": "the client's name"},
            ),
        ]
        | None
    ) = None
    balance: Annotated[
        BalanceWay,
        Meta(
            description="How targets share the requests: by their weights and chance, in turns, to the one that begins "
            "to answer soonest, to the one with the fewest requests under way, to the cheapest."
        ),
    ] = "weighted"
    fallback_providers: Annotated[
        tuple[str, ...],
        Meta(
            description="Providers that are asked in this order when none of the targets answers, for the route's "
            "`rewrite_model`, else the client's model; whatever protocol they speak."
        ),
    ] = ()
    loss_policy: Annotated[
        Literal["strict", "report", "lenient"],
        Meta(
            description="What becomes of a request that the provider's protocol cannot carry whole. `report` leaves "
            "tuning knobs out and says so in `x-ferryllm-loss`, and refuses what changes the answer; `strict` refuses "
            "any loss; `lenient` leaves out, with a report, also what `report` refuses, where an answer makes sense."
        ),
    ] = "report"
    reasoning_policy: (
        Annotated[
            ReasoningMode, Meta(description="As `policy` in `[reasoning]`.", extra={"default": "that of `[reasoning]`"})
        ]
        | None
    ) = None
    default_reasoning_effort: (
        Annotated[
            Effort,
            Meta(description="As `default_effort` in `[reasoning]`.", extra={"default": "that of `[reasoning]`"}),
        ]
        | None
    ) = None
    max_reasoning_effort: (
        Annotated[
            Effort, Meta(description="As `max_effort` in `[reasoning]`.", extra={"default": "that of `[reasoning]`"})
        ]
        | None
    ) = None
    prompt_cache: PromptCache | None = None
    targets: tuple[RouteTarget, ...] = ()
    retry: RouteRetry | None = None
    timeouts: RouteTimeouts | None = None
    affinity: Affinity | None = None
    transforms: tuple[Transform, ...] = ()
