"""The form of the bounds of the gateway, of client keys and of providers: a part of `schema`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .listener_schema import DAY

_MOST = 1_000_000_000
"""Of a number in a minute: what nobody reaches, and what the machines can count exactly."""

RequestsPerMinute = Annotated[
    int, Meta(ge=1, le=_MOST, description="Requests in a minute.", extra={"default": "no limit"})
]
TokensPerMinute = Annotated[
    int,
    Meta(
        ge=1,
        le=_MOST,
        description="Tokens in a minute, input and output; estimated when a request comes, corrected when it ends.",
        extra={"default": "no limit"},
    ),
]
MaxConcurrency = Annotated[
    int,
    Meta(
        ge=1,
        le=1_000_000,
        description="Requests under way at one time, streams until their end.",
        extra={"default": "no limit"},
    ),
]


class KeyLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each client key may take at most, where nothing else is said for it. Needs `[auth]`."""

    requests_per_minute: RequestsPerMinute | None = None
    tokens_per_minute: TokensPerMinute | None = None
    max_concurrency: MaxConcurrency | None = None


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all clients together may take. What is beyond is answered 429 in the client's protocol, with `Retry-After`
    and the protocol's headers of limits. Health, readiness and metrics are never limited. Each process counts for
    itself, unless there is `[redis]`."""

    requests_per_minute: RequestsPerMinute | None = None
    tokens_per_minute: TokensPerMinute | None = None
    max_concurrency: MaxConcurrency | None = None
    queue: Annotated[
        int,
        Meta(
            ge=0,
            le=100_000,
            description="How many requests may wait for a place under `max_concurrency`; the keys take turns. 0 turns "
            "away at once.",
        ),
    ] = 0
    queue_wait_secs: Annotated[
        float,
        Meta(gt=0, le=DAY, description="How long one may wait.", extra={"unit": "seconds"}),
    ] = 10
    assumed_output_tokens: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000_000,
            description="What a request that names no most of output tokens is taken to need, until it ends.",
        ),
    ] = 1024
    key: KeyLimits = KeyLimits()
