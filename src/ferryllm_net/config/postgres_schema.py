"""The form of `[postgres]`. Apart from `schema` because most gateways have no PostgreSQL."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class Postgres(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A PostgreSQL server, for the ledger and the keys of several replicas: `store = "postgres"` in their tables uses
    it. Tables are made and brought up to date at the start. Needs `pip install "ferryllm[postgres]"`."""

    url: (
        Annotated[
            str,
            Meta(
                description="Where it is: `postgresql://user:password@host:5432/database`, with `?sslmode=verify-full` "
                "and the like behind it. With a password better kept out of the file.",
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
    pool: Annotated[
        int,
        Meta(
            ge=1,
            le=100,
            description="Most connections of one process; workers and replicas have as many each. They are made when "
            "they are needed, and one is enough for the ledger.",
        ),
    ] = 5
    prepared: Annotated[
        bool,
        Meta(
            description="Whether statements are prepared once and used again. `false` for a pgbouncer that pools "
            "transactions and keeps no prepared statements (before 1.21)."
        ),
    ] = True
