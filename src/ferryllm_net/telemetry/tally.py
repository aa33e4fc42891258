"""Tally: what one record of a request adds to which cells.

This runs once a request in the event loop, so all cells of requests that look alike are found with one lookup, and a
histogram's bucket by bisection; usual requests are counted many at a time. Whoever reads adds up buckets; whoever
counts adds to one.
"""

from __future__ import annotations

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from ferryllm_proto import ir
from ferryllm_proto.actions import Attempt, Outcome, Record
from ferryllm_proto.loss import Loss

from . import families as f
from .cells import Cell

MAX_ROWS = 4096
"""Kinds of requests whose cells are remembered: entries by providers, routes, outcomes and statuses that occur."""
MAX_TOKENS = 10**9
"""A count above is a fault of whoever counted."""
MIN_FLOW_SECS = 0.01
"""A stream that took less came in one piece: its length in time says nothing of the model."""

NANO = 1e-9
OTHER_KEYS = "other"
"""The label of keys above `families.MAX_KEYS`."""

_SECONDS = f.SECONDS
_OK, _ERROR = Outcome.OK, Outcome.ERROR
_COUNTS = [operator.attrgetter(name) for name in ("input", "output", "reasoning", "cache_read", "cache_write")]
_NOWHERE: list[float] = []
"""The cell of what is never counted."""


_Kind: TypeAlias = tuple[str, str, str, "int | None", "str | None"]
"""Entry, provider ("" for none), outcome, status, route."""


class Source(Protocol):
    """Where cells come from."""

    def cell(self, family: f.Family, /, *values: str) -> Cell: ...


class _Row(NamedTuple):
    """The cells of requests of one entry, provider, outcome, status and route."""

    requests: Cell
    responses: Cell
    route: Cell | None
    latency: Cell
    first: Cell


class _Provider(NamedTuple):
    """The cells of one provider."""

    rate: Cell
    input: Cell
    cache_read: Cell
    cache_write: Cell
    output: Cell
    reasoning: Cell
    cache_prompt: Cell
    uncounted: Cell
    cost: Cell
    unpriced: Cell


class _Key(NamedTuple):
    """The cells of one key of a client."""

    outcomes: dict[str, Cell]
    input: Cell
    output: Cell
    cost: Cell


class Way:
    """Requests that a provider answers well, as far as they are not in their cells yet."""

    __slots__ = ("cells", "flows", "secs", "usages")

    def __init__(self) -> None:
        self.cells: tuple[_Row, _Provider, tuple[Cell, Cell]] | None = None
        """Once there is something to count: a series appears with its first request."""
        self.secs: list[float] = []
        """How long each took that was answered whole and at once."""
        self.usages: list[ir.Usage | None] = []
        """What each of these used."""
        self.flows: list[tuple[float, float, bool, ir.Usage | None]] = []
        """Of each other one: how long it took, how long to its first byte, whether it was a stream, what it used."""


class Tally:
    """Counts into the cells of ``source``; by keys too where ``keys`` is set."""

    def __init__(self, source: Source, *, keys: bool = False) -> None:
        self._source = source
        self._rows: dict[_Kind, _Row] = {}
        self._providers: dict[str, _Provider] = {}
        self._tries: dict[tuple[str, str], tuple[Cell, Cell]] = {}
        self._ways: dict[tuple[str, str, str], Way] = {}
        self.keys = keys
        self._keys: dict[str, _Key] = {}

    def observe(self, record: Record) -> None:
        """Count a request that is over."""
        provider = record.provider or ""
        outcome = record.outcome._value_
        kind = (record.entry, provider, outcome, record.status, record.route)
        row = self._rows.get(kind)
        if row is None:
            row = self._row(kind)
        latency = record.latency
        requests, responses, route, cell, _ = row
        requests[0] += 1
        responses[0] += 1
        if route is not None:
            route[0] += 1
        cell[0] += latency
        cell[bisect_left(_SECONDS, latency) + 1] += 1
        if record.provider is not None:
            self._provided(record, provider, row)
        if record.tries:
            self._tried(record.tries)
        if record.losses:
            self.lost(record.entry, provider, record.losses)
        if record.queued is not None:
            _put(self._source.cell(f.QUEUE_WAIT), f.WAITS, record.queued)
        if record.refused is not None:
            self._source.cell(f.REFUSED, record.refused)[0] += 1
        if self.keys and record.key is not None:
            self._keyed(record, record.key.id, outcome)

    def way(self, entry: str, provider: str, route: str) -> Way:
        """Where answers with 200 to generate requests of ``entry`` by ``route`` are put: how long they took and what
        they used, one of each. `fold` counts them, many at a time; what a request lost is for `lost`."""
        found = self._ways.get((entry, provider, route))
        if found is None:
            found = self._ways[entry, provider, route] = Way()
        return found

    def fold(self) -> None:
        """Count what lies in the ways: `observe` for all of it."""
        for (entry, name, route), way in self._ways.items():
            secs, flows = way.secs, way.flows
            if not secs and not flows:
                continue
            if way.cells is None:
                row = self._row((entry, name, "ok", 200, route))
                way.cells = row, self._provider_of(name), self._tried_by(name, "ok")
            row, provider, (tries, tried) = way.cells
            count, total = len(secs), sum(secs)
            row.requests[0] += count + len(flows)
            row.responses[0] += count + len(flows)
            if row.route is not None:
                row.route[0] += count + len(flows)
            latency = row.latency
            latency[0] += total
            tries[0] += count + len(flows)
            tried[0] += total
            for at, some in _spread(secs):
                latency[at] += some
                tried[at] += some
            known = [*filter(None, way.usages)]
            provider.uncounted[0] += len(way.usages) - len(known)
            if not _spend_all(provider, known):
                for used in known:
                    _spend(provider, used, used.output)
            for one, first, stream, usage in flows:
                _put(latency, _SECONDS, one)
                _put(tried, _SECONDS, first)
                output = None if usage is None else usage.output
                if stream:
                    _flowed(row, provider, one, first, output)
                if usage is None:
                    provider.uncounted[0] += 1
                else:
                    _spend(provider, usage, output)
            secs.clear()
            way.usages.clear()
            flows.clear()

    def lost(self, entry: str, provider: str, losses: Sequence[Loss]) -> None:
        """Count what a translation has lost."""
        for loss in losses:
            self._source.cell(f.LOSSES, entry, provider, loss.disposition._value_)[0] += 1

    def _provided(self, record: Record, name: str, row: _Row) -> None:
        """What a provider did for the request."""
        provider = self._provider_of(name)
        usage, first = record.usage, record.first_byte
        output = None if usage is None else usage.output
        if record.stream and first is not None and record.outcome is not _ERROR:  # its first byte is not the model's
            _flowed(row, provider, record.latency, first, output if record.outcome is _OK else None)
        if usage is not None:
            _spend(provider, usage, output)
        elif record.outcome is _OK and record.operation == "generate":
            provider.uncounted[0] += 1
        cost = record.cost
        if cost is not None:
            if cost.known:
                provider.cost[0] += cost.known * NANO
            if cost.total is None:
                provider.unpriced[0] += 1

    def _tried(self, tries: Sequence[Attempt]) -> None:
        before: Attempt | None = None
        for one in tries:
            name = one.provider
            count, cell = self._tried_by(name, one.outcome)
            count[0] += 1
            latency = one.latency
            cell[0] += latency
            cell[bisect_left(_SECONDS, latency) + 1] += 1
            if before is not None:
                same = before.provider == name and before.model == one.model
                self._source.cell(f.RETRIES if same else f.FALLBACKS, name)[0] += 1
            before = one

    def _keyed(self, record: Record, name: str, outcome: str) -> None:
        key = self._keys.get(name)
        if key is None:
            if len(self._keys) >= f.MAX_KEYS:
                name = OTHER_KEYS
            key = self._keys.get(name) or self._key(name)
            self._keys[name] = key
        cell = key.outcomes.get(outcome)
        if cell is None:
            cell = key.outcomes[outcome] = self._source.cell(f.KEY_REQUESTS, name, outcome)
        cell[0] += 1
        if record.usage is not None:
            _add(key.input, record.usage.input_total)
            _add(key.output, record.usage.output)
        if record.cost is not None and record.cost.known:
            key.cost[0] += record.cost.known * NANO

    def _tried_by(self, name: str, outcome: str) -> tuple[Cell, Cell]:
        found = self._tries.get((name, outcome))
        if found is None:
            found = self._tries[name, outcome] = (
                self._source.cell(f.ATTEMPTS, name, outcome),
                self._source.cell(f.ATTEMPT_LATENCY, name),
            )
        return found

    def _row(self, kind: _Kind) -> _Row:
        cell = self._source.cell
        entry, provider, outcome, status, route = kind
        row = _Row(
            cell(f.REQUESTS, entry, provider, outcome),
            cell(f.RESPONSES, entry, _status(status)),
            None if route is None else cell(f.ROUTES, route, provider, outcome),
            cell(f.LATENCY, entry, provider),
            cell(f.FIRST_TOKEN, entry, provider) if provider else _NOWHERE,
        )
        if len(self._rows) >= MAX_ROWS:
            self._rows.clear()
        self._rows[kind] = row
        return row

    def _provider_of(self, name: str) -> _Provider:
        found = self._providers.get(name)
        if found is None:
            found = self._providers[name] = self._provider(name)
        return found

    def _provider(self, name: str) -> _Provider:
        cell = self._source.cell
        kinds = [cell(f.TOKENS, name, kind) for kind in TOKEN_KINDS]
        return _Provider(
            cell(f.TOKEN_RATE, name),
            *kinds,
            *(cell(family, name) for family in (f.CACHE_PROMPT, f.UNCOUNTED, f.COST, f.UNPRICED)),
        )

    def _key(self, name: str) -> _Key:
        cell = self._source.cell
        return _Key({}, cell(f.KEY_TOKENS, name, "input"), cell(f.KEY_TOKENS, name, "output"), cell(f.KEY_COST, name))


TOKEN_KINDS = ("input", "cache_read", "cache_write", "output", "reasoning")


def _flowed(row: _Row, provider: _Provider, secs: float, first: float, output: int | None) -> None:
    """Count a stream that took ``secs`` seconds, ``first`` of them to its first byte. ``output`` tokens: None where it
    did not end well."""
    _put(row.first, _SECONDS, first)
    took = secs - first
    if output and took >= MIN_FLOW_SECS and output <= MAX_TOKENS:
        _put(provider.rate, f.RATES, output / took)


def _spend(provider: _Provider, usage: ir.Usage, output: int | None) -> None:
    """Tokens where there are any, as many as there can be."""
    count = usage.input
    if count and 0 < count <= MAX_TOKENS:
        provider.input[0] += count
    if output and 0 < output <= MAX_TOKENS:
        provider.output[0] += output
    count = usage.reasoning
    if count and 0 < count <= MAX_TOKENS:
        provider.reasoning[0] += count
    read, written = usage.cache_read, usage.cache_write
    if read is not None or written is not None:
        _add(provider.cache_read, read)
        _add(provider.cache_write, written)
        _add(provider.cache_prompt, usage.input_total)


def _spend_all(provider: _Provider, usages: Sequence[ir.Usage]) -> bool:
    """`_spend` for all of them, in a few calls; False: nothing was counted, they are not alike enough."""
    inputs, outputs, reasoning, reads, writes = ([*map(get, usages)] for get in _COUNTS)
    if None in inputs or None in outputs:
        return False
    read, written, thought = [*filter(None, reads)], [*filter(None, writes)], [*filter(None, reasoning)]
    cached = None not in reads or None not in writes
    if not cached and (reads.count(None) < len(reads) or writes.count(None) < len(writes)):
        return False  # some are, and count their prompts
    counts = (inputs, outputs, thought, read, written)
    if sum(max(some, default=0) for some in counts) > MAX_TOKENS or any(min(some, default=0) < 0 for some in counts):
        return False
    provider.input[0] += sum(inputs)
    provider.output[0] += sum(outputs)
    provider.reasoning[0] += sum(thought)
    if cached:
        provider.cache_read[0] += sum(read)
        provider.cache_write[0] += sum(written)
        provider.cache_prompt[0] += sum(inputs) + sum(read) + sum(written)
    return True


def _spread(secs: list[float]) -> Iterator[tuple[int, int]]:
    """How many of ``secs``, which this sorts, fall into which cell of a histogram."""
    secs.sort()
    at, count = 0, len(secs)
    for cell, bound in enumerate(_SECONDS, 1):
        end = bisect_right(secs, bound, at)
        if end > at:
            yield cell, end - at
            at = end
        if at == count:
            return
    yield len(_SECONDS) + 1, count - at


def _add(cell: Cell, count: int | None) -> None:
    if count and 0 < count <= MAX_TOKENS:
        cell[0] += count


def _put(cell: Cell, bounds: tuple[float, ...], value: float) -> None:
    cell[0] += value
    cell[bisect_left(bounds, value) + 1] += 1


def _status(status: int | None) -> str:
    """Bounded, whatever a provider says."""
    return str(status) if status is not None and 100 <= status <= 599 else "0"
