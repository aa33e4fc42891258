"""The figures: one `Column` a target, a `Report` for the run, as a table for people and as JSON; pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from .histogram import Summary
from .meter import Meter
from .schedule import NANO

MILLI, MICRO = 1e6, 1e3
"""Nanoseconds in a unit."""


class Column(msgspec.Struct, frozen=True):
    """One target. Times in milliseconds unless their name says otherwise; None: not measured."""

    name: str
    requests: int
    ok: int
    errors: dict[str, int]
    seconds: float
    requests_per_second: float
    """Good answers."""
    bytes: int
    chunks: int
    connections: int
    latency_ms: Summary | None
    first_byte_ms: Summary | None
    chunk_way_ms: Summary | None
    """From the provider's sending of a delta to its arrival here."""
    chunk_gap_ms: Summary | None
    """Between two reads of a stream."""
    cpu_us_per_request: float | None
    cpu_us_per_chunk: float | None
    cpu_share: float | None
    """Of one core."""
    rss_mib: float | None
    """The most that was seen."""

    @property
    def error_rate(self) -> float:
        return 0.0 if not self.requests else sum(self.errors.values()) / self.requests


class Report(msgspec.Struct, frozen=True):
    columns: list[Column]
    warnings: list[str]
    settings: dict[str, object]


def column(name: str, meter: Meter, *, cpu: float | None, rss: int | None) -> Column:
    """What ``meter`` counted; ``cpu`` in seconds and ``rss`` in bytes are of the target's processes."""
    seconds = meter.wall / NANO
    answered = max(meter.ok, 1)
    return Column(
        name=name,
        requests=meter.sent,
        ok=meter.ok,
        errors=dict(sorted(meter.errors.items())),
        seconds=seconds,
        requests_per_second=meter.ok / seconds if seconds else 0.0,
        bytes=meter.bytes,
        chunks=meter.chunks,
        connections=meter.connections,
        latency_ms=meter.latency.summary(MILLI),
        first_byte_ms=meter.first_byte.summary(MILLI),
        chunk_way_ms=meter.way.summary(MILLI),
        chunk_gap_ms=meter.gap.summary(MILLI),
        cpu_us_per_request=None if cpu is None else cpu * 1e6 / answered,
        cpu_us_per_chunk=None if cpu is None or not meter.chunks else cpu * 1e6 / meter.chunks,
        cpu_share=None if cpu is None or not seconds else cpu / seconds,
        rss_mib=None if rss is None else rss / (1 << 20),
    )


def to_json(report: Report) -> bytes:
    """The report as one indented JSON object."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"


_Figure = Callable[[Column], float | None]

_ALL = ("p50", "p90", "p95", "p99", "p999", "max")
_FEW = ("p50", "p99", "max")
"""What a terminal shows of the rest; the JSON has everything."""


def table(report: Report) -> str:
    """The report for a terminal: a line for each figure, a column for each target."""
    columns = report.columns
    rows: list[tuple[str, list[str]]] = [("", [column.name for column in columns])]

    def add(name: str, figure: _Figure, digits: int = 1) -> None:
        values = [figure(column) for column in columns]
        if any(value is not None for value in values):
            rows.append((name, [_number(value, digits) for value in values]))

    add("requests", lambda c: c.requests, 0)
    add("errors", lambda c: sum(c.errors.values()), 0)
    for kind in sorted({kind for column in columns for kind in column.errors}):
        rows.append((f"  {kind}", [str(column.errors.get(kind, 0)) for column in columns]))
    add("requests/s", lambda c: c.requests_per_second)
    add("chunks", lambda c: c.chunks if c.chunks else None, 0)
    add("chunks/s", lambda c: c.chunks / c.seconds if c.chunks and c.seconds else None, 0)
    add("kB received", lambda c: c.bytes / 1000, 0)
    _add_summary(add, "latency ms", lambda c: c.latency_ms, _ALL)
    _add_summary(add, "first byte ms", lambda c: c.first_byte_ms, _FEW)
    _add_summary(add, "chunk on its way ms", lambda c: c.chunk_way_ms, _FEW)
    _add_summary(add, "gap between reads ms", lambda c: c.chunk_gap_ms, _FEW)
    add("added per chunk ms p50", lambda c: _added(c, columns), 3)
    add("CPU us/request", lambda c: c.cpu_us_per_request)
    add("CPU us/chunk", lambda c: c.cpu_us_per_chunk)
    add("CPU % of a core", lambda c: None if c.cpu_share is None else c.cpu_share * 100, 0)
    add("RSS MiB", lambda c: c.rss_mib)
    return _aligned(rows)


def _add_summary(
    add: Callable[[str, _Figure, int], None],
    name: str,
    group: Callable[[Column], Summary | None],
    percentiles: Sequence[str],
) -> None:
    for percentile in percentiles:

        def figure(column: Column, percentile: str = percentile) -> float | None:
            summary = group(column)
            return None if summary is None else float(getattr(summary, percentile))

        add(f"{name} {percentile.replace('p999', 'p99.9')}", figure, 3)


def _added(column: Column, columns: Sequence[Column]) -> float | None:
    """What a delta's way is longer than without a gateway."""
    direct = next((one for one in columns if one.name == "direct"), None)
    if direct is None or direct is column or direct.chunk_way_ms is None or column.chunk_way_ms is None:
        return None
    return column.chunk_way_ms.p50 - direct.chunk_way_ms.p50


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _aligned(rows: Sequence[tuple[str, list[str]]]) -> str:
    first = max(len(name) for name, _ in rows)
    widths = [max(len(cells[place]) for _, cells in rows) for place in range(len(rows[0][1]))]
    lines = []
    for name, cells in rows:
        shown = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        lines.append(f"{name.ljust(first)}  {shown}".rstrip())
    return "\n".join(lines)
