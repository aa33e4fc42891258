"""The form of `[redis]`. Apart from `schema` because most gateways have no Redis."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

OnFailure = Literal["open", "closed", "local"]


class Redis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Redis or Valkey server that all workers and replicas share: limits, quotas, budgets and concurrency are counted
    there, those of providers too; places of sessions and broken providers are known to all. Without one of the three
    sources of its URL there is none, and every process counts for itself. Needs `pip install "ferryllm[redis]"`."""

    url: (
        Annotated[
            str,
            Meta(
                description="Where it is: `redis://user:password@host:6379/0`, `rediss://` over TLS, "
                "`unix:///run/redis.sock`. Everything but the host may be left out. With a password better kept out of "
                "the file.",
                extra={"secret": True},
            ),
        ]
        | None
    ) = None
    url_env: Annotated[str, Meta(description="Name of the environment variable that holds the URL.")] | None = None
    url_file: (
        Annotated[
            str,
            Meta(description="File that holds the URL. A relative path counts from the configuration file."),
        ]
        | None
    ) = None
    ca_file: (
        Annotated[
            str,
            Meta(
                description="For `rediss`: PEM file of certificate authorities to trust in place of the system's. A "
                "relative path counts from the configuration file."
            ),
        ]
        | None
    ) = None
    prefix: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            pattern="^[^{}]+$",
            description="How every key begins: gateways that share a server and nothing else need different ones. It "
            "stands in braces, so that in a cluster all keys are in one slot.",
        ),
    ] = "ferryllm"
    on_failure: Annotated[
        OnFailure,
        Meta(
            description="What becomes of requests while it is away. `local` counts in each process, against the limits "
            "divided by `expected_replicas`; `open` limits nothing; `closed` refuses every request that is limited, "
            "with 503, and passes over providers with bounds."
        ),
    ] = "local"
    expected_replicas: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=10_000,
                description="For `local`: how many processes share the limits, workers counted each.",
                extra={"default": "the number of workers"},
            ),
        ]
        | None
    ) = None
    deadline_ms: Annotated[
        float,
        Meta(
            gt=0,
            le=10_000,
            description="How long a request waits for its answer at most, before `on_failure` decides.",
            extra={"unit": "milliseconds"},
        ),
    ] = 50
    lease_secs: Annotated[
        float,
        Meta(
            ge=3,
            le=3600,
            description="After how long the place of a request is free again whose gateway has died. Those that run "
            "renew theirs three times as often.",
            extra={"unit": "seconds"},
        ),
    ] = 60
