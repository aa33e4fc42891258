"""The form of `[ledger]`. Apart from `schema` as the other tables of stores are."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row for every request: who asked which provider for which model, its tokens, cost and times. It is written
    before the answer ends, and holds nothing of prompts and answers. Without this table there is a ledger only where a
    key or a project has a quota, or where `[keys]` has a store: what was used has to outlive the process."""

    store: Annotated[
        Literal["sqlite", "postgres", "off"],
        Meta(
            description="Where rows are kept: in a file that the workers of this machine share, `sqlite`; in the "
            "database of `[postgres]`, which replicas share, `postgres`; nowhere, `off`."
        ),
    ] = "sqlite"
    path: (
        Annotated[
            str,
            Meta(
                description="File of `sqlite`, made when it is not there, readable by its owner alone. A relative path "
                "counts from the configuration file.",
                extra={"default": "`ledger.db` in the user's data folder"},
            ),
        ]
        | None
    ) = None
    retention_days: (
        Annotated[
            float,
            Meta(
                gt=0,
                le=36_500,
                description="After how long rows are forgotten. Quotas and budgets of a day or a month are counted "
                "from rows when the gateway starts; those without an end remember what is forgotten.",
                extra={"unit": "days", "default": "never"},
            ),
        ]
        | None
    ) = None
    on_failure: Annotated[
        Literal["continue", "refuse"],
        Meta(
            description="What becomes of an answer whose row cannot be written in time: `continue` ends it well and "
            "writes the row later; `refuse` breaks it off, so that nothing is answered that is not written down."
        ),
    ] = "continue"
    deadline_ms: Annotated[
        float,
        Meta(
            ge=10,
            le=60_000,
            description="How long the end of an answer waits for its row, before `on_failure` decides.",
            extra={"unit": "milliseconds"},
        ),
    ] = 2000
    fsync: Annotated[
        bool,
        Meta(
            description="For `sqlite`: whether rows are on the disk before their answers end. Without it they survive "
            "every end of the process, and the last ones not a loss of power."
        ),
    ] = False
    max_waiting: Annotated[
        int,
        Meta(
            ge=100,
            le=1_000_000,
            description="Most rows that wait in memory while they cannot be written; then the oldest are given up. "
            "A row takes about a kilobyte.",
        ),
    ] = 10_000
