"""The form of `[metrics]`, `[audit]` and `[request_log]`: what is told of requests beside the log."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Part = Literal["client_request", "upstream_request", "upstream_answer", "client_answer"]

_MB = {"unit": "MiB"}


class Metrics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers for Prometheus, at `GET /metrics`."""

    enabled: Annotated[bool, Meta(description="Whether `GET /metrics` answers.")] = True
    public: Annotated[
        bool,
        Meta(description="Whether it answers without a key where `[auth]` is enabled. It names providers and routes."),
    ] = False
    keys: Annotated[
        bool,
        Meta(
            description="Whether requests, tokens and cost are also counted by the id of the client's key: for the "
            "first 1,000 keys, the rest as `other`."
        ),
    ] = False


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of who was turned away and why, of what was done to keys and configuration, of start and stop: one JSON
    object a line. It has ids and names of keys and addresses of clients, no secrets and no contents."""

    path: (
        Annotated[
            str,
            Meta(
                description="The file, made with the mode 0600 and appended to. A relative path counts from the "
                "configuration file. Without it there is no audit log."
            ),
        ]
        | None
    ) = None
    max_mb: (
        Annotated[
            int,
            Meta(
                ge=1,
                le=1 << 20,
                description="When the file is that long, another one is begun.",
                extra={**_MB, "default": "never"},
            ),
        ]
        | None
    ) = None
    keep_files: Annotated[
        int, Meta(ge=1, le=1000, description="With `max_mb`: how many older files (`.1`, `.2`, ...) are kept.")
    ] = 5


class Redact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of bodies is not written to the log of requests, beside keys and tokens of known forms, which never are.
    Needs the extra `transforms`."""

    path: (
        Annotated[
            str,
            Meta(
                description="JSONPath (RFC 9535) of the values, in bodies and in the events of streams. A body that "
                "was cut, and so is no JSON, is left out as a whole."
            ),
        ]
        | None
    ) = None
    pattern: (
        Annotated[
            str,
            Meta(
                description="In place of `path`: a regular expression of RE2 over the text of bodies. Texts of streams "
                "come in pieces, and it sees what stands in one."
            ),
        ]
        | None
    ) = None
    replacement: Annotated[str, Meta(max_length=200, description="What stands in their place.")] = "***"


class RequestLog(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of whole requests and answers, for finding faults: prompts and answers stand in it. One JSON object a
    request and line."""

    path: (
        Annotated[
            str,
            Meta(
                description="The file, made with the mode 0600 and appended to. A relative path counts from the "
                "configuration file. Without it there is no such log."
            ),
        ]
        | None
    ) = None
    sample: Annotated[float, Meta(ge=0, le=1, description="The part of requests that are written, by chance.")] = 1.0
    errors_only: Annotated[bool, Meta(description="Whether of these only those are written that did not end well.")] = (
        False
    )
    parts: Annotated[
        tuple[Part, ...],
        Meta(description="What of each: what the client sent and got, what each provider got and sent."),
    ] = ("client_request", "upstream_request", "upstream_answer", "client_answer")
    max_body_kb: Annotated[
        int,
        Meta(ge=0, le=1 << 14, description="How much of each body is written.", extra={"unit": "KiB"}),
    ] = 64
    max_mb: Annotated[
        int, Meta(ge=1, le=1 << 20, description="When the file is that long, another one is begun.", extra=_MB)
    ] = 64
    keep_files: Annotated[int, Meta(ge=1, le=1000, description="How many older files (`.1`, `.2`, ...) are kept.")] = 3
    redact_headers: Annotated[
        tuple[str, ...],
        Meta(description="Headers whose values are not written, beside those that hold credentials or cookies."),
    ] = ()
    redact: tuple[Redact, ...] = ()
