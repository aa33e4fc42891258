"""The tables of the ledger in PostgreSQL, their versions, and the statements that only it has."""

from __future__ import annotations

from ferryllm_net.postgres import Schema

from .questions import NAMES, Words, carry
from .row import COLUMNS

STEP = 2_000
"""Rows that `PRUNE` forgets at once: some ten milliseconds of the server's time."""

WORDS = Words(
    table="ferryllm_requests",
    place=lambda number: f"${number}",
    day="to_char(to_timestamp(time + {offset}) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    month="to_char(to_timestamp(time + {offset}) AT TIME ZONE 'UTC', 'YYYY-MM')",
    number="number",
)

_REQUESTS = """
CREATE TABLE ferryllm_requests (
    number bigint NOT NULL,
    id text NOT NULL,
    time double precision NOT NULL,
    entry text NOT NULL,
    operation text NOT NULL,
    outcome text NOT NULL,
    latency_ms bigint NOT NULL,
    attempts integer NOT NULL,
    key text,
    key_name text,
    "user" text,
    project text,
    route text,
    provider text,
    model_asked text,
    model_resolved text,
    model_reported text,
    stream boolean,
    status integer,
    error_kind text,
    error_code text,
    refused text,
    finish text,
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_write_tokens bigint,
    reasoning_tokens bigint,
    cost bigint,
    cost_known bigint NOT NULL,
    first_byte_ms bigint,
    queued_ms bigint,
    degraded integer NOT NULL,
    dropped integer NOT NULL,
    requested_effort text,
    applied_effort text,
    tries text,
    PRIMARY KEY (time, number)
)"""
_FORGOTTEN = """
CREATE TABLE ferryllm_requests_forgotten (
    key text NOT NULL,
    project text NOT NULL,
    requests bigint NOT NULL,
    tokens bigint NOT NULL,
    cost bigint NOT NULL,
    PRIMARY KEY (key, project)
)"""
_LATER = {"counted_tokens": "bigint", "counted_cost": "bigint"}
"""Columns of the second version."""
_ADD = "".join(f", ADD COLUMN {name} {kind}" for name, kind in _LATER.items())
SCHEMA = Schema("ledger", (f"{_REQUESTS};{_FORGOTTEN}", f"ALTER TABLE ferryllm_requests {_ADD[2:]}"))

_TYPES = {
    line.split()[0].strip('"'): " ".join(line.strip(",").split()[1:]).removesuffix(" NOT NULL")
    for line in _REQUESTS.strip().splitlines()[1:-2]
} | _LATER
_ARRAYS = ", ".join(f"${n}::{_TYPES[name]}[]" for n, name in enumerate(("number", *COLUMNS), 1))
INSERT = (
    f"INSERT INTO ferryllm_requests (number, {NAMES}) SELECT * FROM unnest({_ARRAYS}) "
    "ON CONFLICT (time, number) DO NOTHING"
)
"""Many rows by their columns: one statement, which is one transaction. What is there already was written before by an
attempt whose end nobody heard of."""

_OLD = f"SELECT time, number FROM ferryllm_requests WHERE time < $1 ORDER BY time LIMIT {STEP} FOR UPDATE SKIP LOCKED"
PRUNE = (
    f"WITH old AS ({_OLD}), gone AS (DELETE FROM ferryllm_requests USING old WHERE ferryllm_requests.time = old.time "
    "AND ferryllm_requests.number = old.number RETURNING ferryllm_requests.*), "
    f"carried AS ({carry(WORDS, 'gone WHERE true')}) SELECT count(*) FROM gone"
)
"""Forget rows, and say how many. In one statement, so that replicas that do it at once carry no row twice."""
