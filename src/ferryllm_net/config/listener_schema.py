"""The tables inside `[server]`: one of each further listener, and the limits of clients. `schema` has the rest."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

DAY = 86_400.0
"""Upper bound of every timeout, in seconds: anything longer is a slip in the unit."""

DEFAULT_LISTEN = "127.0.0.1:3000"
"""Where the gateway listens when nothing is written."""


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One listener that differs from the others. `listen` is enough where none does."""

    address: Annotated[str, Meta(description="As in `listen`.")]
    tls: (
        Annotated[
            bool,
            Meta(
                description="Whether it speaks TLS, with the certificate of `[server]`.",
                extra={"default": "true where there is a `tls_cert`, false for socket files"},
            ),
        ]
        | None
    ) = None
    proxy_protocol: Annotated[
        Literal["off", "required"],
        Meta(
            description="Whether every connection begins with a header of the PROXY protocol (version 1 or 2), which "
            "names the client. `required` closes connections without one, and those that do not come from "
            "`trusted_proxies`."
        ),
    ] = "off"
    unix_mode: Annotated[
        str,
        Meta(description="Permissions of a socket file, in octal; who may write to it may connect."),
    ] = "0660"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one client may take of the server. The defaults fit most; `ferryllm_net/http/limits.py` names the
    precedent of each."""

    first_head_timeout_secs: Annotated[
        float,
        Meta(
            gt=0,
            le=DAY,
            description="From the connection to the complete head of its first request.",
            extra={"unit": "seconds"},
        ),
    ] = 15
    head_timeout_secs: Annotated[
        float,
        Meta(gt=0, le=DAY, description="From the first byte of a head to its end.", extra={"unit": "seconds"}),
    ] = 10
    body_timeout_secs: Annotated[
        float,
        Meta(gt=0, le=DAY, description="Without a byte of a body that is awaited.", extra={"unit": "seconds"}),
    ] = 15
    write_timeout_secs: Annotated[
        float,
        Meta(
            gt=0,
            le=DAY,
            description="Without progress of a write to a client that does not read.",
            extra={"unit": "seconds"},
        ),
    ] = 60
    tls_handshake_timeout_secs: Annotated[
        float,
        Meta(
            gt=0, le=DAY, description="From the connection to the end of the TLS handshake.", extra={"unit": "seconds"}
        ),
    ] = 10
    header_kb: Annotated[
        int,
        Meta(ge=1, le=1024, description="Largest head of a request, all its fields together.", extra={"unit": "KiB"}),
    ] = 64
    header_count: Annotated[int, Meta(ge=10, le=10_000, description="Most fields in a head.")] = 100
    connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Most connections of one address at one time; 0 for no limit. Loopback and `trusted_proxies` "
            "are exempt.",
        ),
    ] = 256
    h2_streams: Annotated[
        int, Meta(ge=1, le=10_000, description="Most requests at one time on one HTTP/2 connection.")
    ] = 100
    h2_stream_window_kb: Annotated[
        int,
        Meta(
            ge=64,
            le=1024 * 1024,
            description="What a client may send of one HTTP/2 request that nobody has begun to read.",
            extra={"unit": "KiB"},
        ),
    ] = 64
    h2_body_window_kb: Annotated[
        int,
        Meta(
            ge=64,
            le=1024 * 1024,
            description="And of one that is being read: the bound of an upload's speed over a long way.",
            extra={"unit": "KiB"},
        ),
    ] = 1024
    h2_connection_window_kb: Annotated[
        int,
        Meta(
            ge=64,
            le=1024 * 1024,
            description="What a client may send on one HTTP/2 connection, all requests together.",
            extra={"unit": "KiB"},
        ),
    ] = 2048
