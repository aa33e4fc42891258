"""What gets into a row, and what does not."""

from __future__ import annotations

import msgspec
import pytest

from ferryllm_net.ledger.row import COLUMNS, MAX_MODEL, MAX_TRIES, Row, Try, row_of
from ferryllm_proto import ir
from ferryllm_proto.actions import Attempt, Outcome, Record
from ferryllm_proto.loss import Disposition, Loss
from ferryllm_proto.routing.keys import ClientKey
from ferryllm_proto.routing.pricing import UNKNOWN, Cost

SECRET = "sk-and-a-prompt"
RECORD = Record(
    id="req_1",
    entry="openai",
    operation="generate",
    outcome=Outcome.ERROR,
    status=429,
    latency=1.2345,
    first_byte=0.4,
    model="gpt-5",
    backend_model="gpt-5.5",
    upstream_model="gpt-5.5-2026",
    provider="openai",
    stream=True,
    usage=ir.Usage(input=1, cache_read=2, cache_write=3, output=4, reasoning=0),
    finish=ir.FinishReason.LENGTH,
    losses=(
        Loss(SECRET, Disposition.DROPPED, SECRET),
        Loss(SECRET, Disposition.DROPPED, SECRET),
        Loss(SECRET, Disposition.DEGRADED, SECRET),
        Loss(SECRET, Disposition.REFUSED, SECRET),
    ),
    error=ir.Error(ir.ErrorKind.RATE_LIMIT, SECRET, code="slow_down", raw=SECRET.encode()),
    attempts=2,
    created=1_800_000_000.5,
    key=ClientKey("key_1", SECRET.encode(), "laptop", "ann", "ships"),
    route="gpt-*",
    tries=(
        Attempt("a", "m", "status", 500, 0.0, 0.1, "status 500"),
        Attempt("openai", "gpt-5.5", "status", 429, 0.25, 0.3),
    ),
    cost=Cost(None, 5, ("output",)),
    refused="busy",
    queued=0.0201,
    requested_effort="low",
    applied_effort="xhigh",
    counted_tokens=90,
    counted_cost=7,
)


def test_a_record_becomes_a_row() -> None:
    row = row_of(RECORD)
    tries = row.tries
    assert msgspec.structs.replace(row, tries=None) == Row(
        "req_1",
        1_800_000_000.5,
        "openai",
        "generate",
        "error",
        1234,
        2,
        "key_1",
        "laptop",
        "ann",
        "ships",
        "gpt-*",
        "openai",
        "gpt-5",
        "gpt-5.5",
        "gpt-5.5-2026",
        True,
        429,
        "rate_limit",
        "slow_down",
        "busy",
        "length",
        1,
        4,
        2,
        3,
        0,
        None,
        5,
        400,
        20,
        1,
        2,
        "low",
        "xhigh",
        None,
        90,
        7,
    )
    assert tries is not None
    assert msgspec.json.decode(tries, type=list[Try]) == [
        Try("a", "m", "status", 500, 0, 100, "status 500"),
        Try("openai", "gpt-5.5", "status", 429, 250, 300),
    ]
    assert tuple(msgspec.structs.asdict(row)) == COLUMNS


def test_nothing_that_anybody_wrote_gets_in() -> None:
    assert SECRET not in repr(row_of(RECORD))


def test_what_is_not_known_is_not_nothing() -> None:
    row = row_of(
        msgspec.structs.replace(RECORD, usage=None, key=None, cost=None, error=None, tries=(), first_byte=None)
    )
    tokens = (row.input_tokens, row.output_tokens, row.cache_read_tokens, row.cache_write_tokens, row.reasoning_tokens)
    assert tokens == (None,) * 5
    assert (row.cost, row.cost_known, row.key, row.user, row.tries, row.first_byte_ms) == (None, 0, *[None] * 4)
    assert row_of(msgspec.structs.replace(RECORD, cost=UNKNOWN)).cost is None
    assert row_of(msgspec.structs.replace(RECORD, cost=Cost(0, 0))).cost == 0
    assert row_of(msgspec.structs.replace(RECORD, usage=ir.Usage(input=7))).output_tokens is None


@pytest.mark.parametrize("count", [-1, 10**9 + 1, 1 << 70])
def test_a_count_that_is_none_is_not_known(count: int) -> None:
    assert row_of(msgspec.structs.replace(RECORD, usage=ir.Usage(input=count))).input_tokens is None


def test_a_cost_that_is_none_is_not_known() -> None:
    row = row_of(msgspec.structs.replace(RECORD, cost=Cost(1 << 70, 1 << 70)))
    assert (row.cost, row.cost_known) == (None, 10**15)


@pytest.mark.parametrize("name", ["m" * 10_000, "m\0n", "m\ud800n", "m\x1b[31mn", "m\r\nn"])
def test_names_are_bounded_and_printable(name: str) -> None:
    row = row_of(msgspec.structs.replace(RECORD, id=name, model=name, backend_model=name, upstream_model=name))
    for text in (row.id, row.model_asked, row.model_resolved, row.model_reported):
        assert text is not None
        assert text.isprintable()
        assert text.startswith("m")
        assert len(text) <= MAX_MODEL


def test_efforts_that_nobody_knows_are_one() -> None:
    assert row_of(msgspec.structs.replace(RECORD, requested_effort=SECRET)).requested_effort == "other"


def test_attempts_are_listed_as_far_as_they_tell_something() -> None:
    good = Attempt("a", "m", "ok", 200, 0.0, 0.1)
    assert row_of(msgspec.structs.replace(RECORD, tries=(good,))).tries is None
    tries = row_of(msgspec.structs.replace(RECORD, tries=(RECORD.tries[0],) * 100)).tries
    assert tries is not None
    assert len(msgspec.json.decode(tries)) == MAX_TRIES
