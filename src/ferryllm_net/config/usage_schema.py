"""The form of `[usage]`: what is asked of providers for it, and who hears of it."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class UsageHook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who hears of each request once it is over, in batches of rows as the ledger has them: exactly one of `url`,
    `command` and `entry_point`. Delivery never delays an answer. Behind a ledger in SQLite every row is delivered at
    least once, whatever happens to the gateway; else what could not be delivered is dropped, counted and logged."""

    url: (
        Annotated[
            str,
            Meta(
                description="`http` or `https`: gets `POST` with JSON. A secret in it is better kept out of the file, "
                "as `${NAME}`.",
                extra={"secret": True},
            ),
        ]
        | None
    ) = None
    command: Annotated[
        tuple[str, ...],
        Meta(
            description="A program and its arguments, started for each batch without a shell: gets one JSON object a "
            "line on standard input, and says by its exit status 0 that it has them."
        ),
    ] = ()
    entry_point: (
        Annotated[
            str,
            Meta(
                description="Name of a Python entry point of the group `ferryllm.usage_hooks`: a function that takes a "
                "list of dicts; asynchronous ones run in the gateway's own loop, others in a thread."
            ),
        ]
        | None
    ) = None
    name: (
        Annotated[
            str,
            Meta(
                description="What the log calls it, unique; what was delivered is remembered under this name.",
                extra={"default": "its kind and its place, as in `url-1`"},
            ),
        ]
        | None
    ) = None
    secret_env: (
        Annotated[
            str,
            Meta(
                description="For `url`: name of the environment variable with the secret that signs each delivery "
                "(HMAC-SHA256, `ferryllm-signature`)."
            ),
        ]
        | None
    ) = None
    ca_file: (
        Annotated[
            str,
            Meta(
                description="For `url`: PEM file of certificate authorities to trust in place of the system's. A "
                "relative path counts from the configuration file."
            ),
        ]
        | None
    ) = None
    env: Annotated[
        tuple[str, ...],
        Meta(
            description="For `command`: names of variables it gets beside `PATH`, `HOME`, `TMPDIR`, `TZ` and the "
            "`LC_...`; the others may be secrets."
        ),
    ] = ()
    timeout_secs: Annotated[
        float, Meta(gt=0, le=600, description="How long one delivery may take.", extra={"unit": "seconds"})
    ] = 10
    retries: Annotated[
        int,
        Meta(ge=0, le=100, description="Further attempts at one batch, with growing pauses, before it is dropped."),
    ] = 5
    batch: Annotated[int, Meta(ge=1, le=1000, description="Most rows of one delivery.")] = 100
    flush_secs: Annotated[
        float,
        Meta(gt=0, le=3600, description="How long rows are gathered for a batch.", extra={"unit": "seconds"}),
    ] = 1
    queue: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Most rows that wait; when there are more, the oldest are dropped.")
    ] = 10_000


class Usage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the usage of requests is known. Requests that are translated always ask their provider for it."""

    passthrough: Annotated[
        bool,
        Meta(
            description="Whether streams of Chat Completions that pass through as they are ask for their usage too "
            "(`stream_options.include_usage`), where the client did not; the chunk with it is taken out again. Else "
            "the usage of such a stream is unknown."
        ),
    ] = False
    hooks: tuple[UsageHook, ...] = ()
