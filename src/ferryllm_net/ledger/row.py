"""Row: what the ledger keeps of one request, made from the record that its exchange leaves.

Apart from the stores, because all of them write the same row and its promise is its own: nothing in it was written by a
client but the names of models, the request's id and the effort, each bounded; no prompt, no answer, no secret, and no
text of an error.
"""

from __future__ import annotations

import msgspec

from ferryllm_proto import ir
from ferryllm_proto.actions import Attempt, Record
from ferryllm_proto.loss import Disposition
from ferryllm_proto.policy.reasoning import RANKS

MAX_MODEL = 200
"""Characters of a model's name. The longest that providers have (fine-tuned ones, ARNs) stay below."""
MAX_WORD = 128
"""Characters of everything else: ids (a client's own may have as many), codes, the words of a configuration."""
MAX_TRIES = 16
"""Attempts that are told of; a retry policy that makes more is counted, not listed."""
MAX_TOKENS = 10**9
"""A count above is a fault of whoever counted, so it is unknown. Nine thousand million rows of it fit into a sum."""
MAX_COST = 10**15
"""Nano-dollars, a million dollars: as above."""


class Row(msgspec.Struct, frozen=True):
    """One request. None is unknown, or there was none; a count that is unknown is never 0.

    The fields are the columns of the tables, in their order.
    """

    id: str
    """Of the request, as the log and the answer's ``x-request-id`` have it; unique unless clients bring their own."""
    time: float
    """Unix seconds, when the request came."""
    entry: str
    """The protocol of the client."""
    operation: str
    outcome: str
    """``ok``, ``error``, ``truncated``, ``cancelled``."""
    latency_ms: int
    """From the request's arrival to the end of its answer."""
    attempts: int = 0
    key: str | None = None
    """The id of the client's key."""
    key_name: str | None = None
    """What the key was called then."""
    user: str | None = None
    project: str | None = None
    route: str | None = None
    """``match`` of the route."""
    provider: str | None = None
    """The last one that was asked."""
    model_asked: str | None = None
    """As the client called it."""
    model_resolved: str | None = None
    """As the provider was asked for it."""
    model_reported: str | None = None
    """As the provider called it in its answer; None where it did not, or not in words that are known."""
    stream: bool | None = None
    status: int | None = None
    """What the client got."""
    error_kind: str | None = None
    error_code: str | None = None
    refused: str | None = None
    """Why it was turned away before a provider was asked: ``quota``, ``limit``, ``model``, ``busy`` and so on."""
    finish: str | None = None
    """Why the model stopped."""
    input_tokens: int | None = None
    """What no cache was read or written for."""
    output_tokens: int | None = None
    """All of the output, ``reasoning_tokens`` included."""
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost: int | None = None
    """Nano-dollars."""
    cost_known: int = 0
    """Nano-dollars: the part that is known. The cost is at least this."""
    first_byte_ms: int | None = None
    """From the request's arrival to the first byte of its answer."""
    queued_ms: int | None = None
    """How long it waited to be let in."""
    degraded: int = 0
    """Fields that the translation said in another way."""
    dropped: int = 0
    """Fields that the translation left out."""
    requested_effort: str | None = None
    """The client's reasoning effort, where a policy looked at it."""
    applied_effort: str | None = None
    tries: str | None = None
    """JSON: a list of the attempts, see `Try`. None where there was one and it went well: the row says the same."""
    counted_tokens: int | None = None
    """What limits and quotas counted: the tokens, or what was estimated where these are unknown. None: nobody did."""
    counted_cost: int | None = None
    """Nano-dollars that budgets counted, in the same way."""


COLUMNS: tuple[str, ...] = Row.__struct_fields__


class Try(msgspec.Struct, frozen=True, omit_defaults=True):
    """One attempt, as `Row.tries` holds it."""

    provider: str
    model: str
    outcome: str
    """``ok``, or what went wrong."""
    status: int | None = None
    waited_ms: int = 0
    latency_ms: int = 0
    reason: str = ""
    """Why another one followed, or none."""


def row_of(record: Record) -> Row:
    """The row of an exchange that is over."""
    key, usage, error, cost = record.key, record.usage, record.error, record.cost
    tokens = _NO_USAGE if usage is None else usage
    degraded = dropped = 0
    for loss in record.losses:
        degraded += loss.disposition is Disposition.DEGRADED
        dropped += loss.disposition is Disposition.DROPPED
    return Row(
        word(record.id),
        record.created,
        record.entry,
        record.operation,
        record.outcome.value,
        _ms(record.latency),
        record.attempts,
        None if key is None else word(key.id),
        None if key is None else word(key.name) or None,
        None if key is None else word(key.user) or None,
        None if key is None else word(key.project) or None,
        _word(record.route),
        _word(record.provider),
        model_name(record.model),
        model_name(record.backend_model),
        model_name(record.upstream_model),
        record.stream,
        record.status,
        None if error is None else error.kind.value,
        None if error is None else _word(error.code),
        _word(record.refused),
        None if record.finish is None else record.finish.value,
        _count(tokens.input),
        _count(tokens.output),
        _count(tokens.cache_read),
        _count(tokens.cache_write),
        _count(tokens.reasoning),
        None if cost is None or cost.total is None or cost.total > MAX_COST else cost.total,
        0 if cost is None else min(cost.known, MAX_COST),
        None if record.first_byte is None else _ms(record.first_byte),
        None if record.queued is None else _ms(record.queued),
        degraded,
        dropped,
        _effort(record.requested_effort),
        _effort(record.applied_effort),
        _tries(record.tries),
        None if record.counted_tokens is None else min(record.counted_tokens, MAX_TOKENS),
        None if record.counted_cost is None else min(record.counted_cost, MAX_COST),
    )


_NO_USAGE = ir.Usage()


def model_name(name: str | None) -> str | None:
    """``name`` as a row may hold it: bounded, and with nothing that no terminal and no table takes."""
    if name is None or (len(name) <= MAX_MODEL and name.isprintable()):
        return name
    return _printable(name[:MAX_MODEL])


def word(text: str) -> str:
    """The same for everything that is shorter."""
    return text if len(text) <= MAX_WORD and text.isprintable() else _printable(text[:MAX_WORD])


def _word(text: str | None) -> str | None:
    return None if text is None else word(text)


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _count(tokens: int | None) -> int | None:
    return tokens if tokens is None or 0 <= tokens <= MAX_TOKENS else None


def _effort(effort: str | None) -> str | None:
    """A client may write anything there."""
    return effort if effort is None or effort in RANKS else "other"


def _tries(tries: tuple[Attempt, ...]) -> str | None:
    if not tries or (len(tries) == 1 and tries[0].outcome == "ok"):
        return None
    told = [
        Try(
            word(one.provider),
            model_name(one.model) or "",
            word(one.outcome),
            one.status,
            _ms(one.waited),
            _ms(one.latency),
            word(one.reason),
        )
        for one in tries[-MAX_TRIES:]
    ]
    return msgspec.json.encode(told).decode()
