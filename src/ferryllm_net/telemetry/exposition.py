"""The text that a Prometheus server reads: the numbers of the cells and gauges as families of its client library.

Loaded by the first who reads `/metrics`, and so is the library, which costs 25 ms and 3 MiB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from . import families as f
from .cells import Numbers, width
from .families import Family, Kind

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

INFINITE = float("inf")
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def render(numbers: Numbers, accept: str | None = None, *, keys: bool = False) -> tuple[bytes, str]:
    """Text and content type: OpenMetrics where ``accept`` names it, else the older form that everybody reads.

    ``numbers`` are those of counters, histograms and gauges. ``keys``: whether series by keys are counted.
    """
    registry = CollectorRegistry()
    registry.register(_Families(numbers, keys=keys))
    if accept is not None and "application/openmetrics-text" in accept.lower():
        text: bytes = generate_openmetrics(registry)  # type: ignore[no-untyped-call] # the library has no types there
        return text, OPENMETRICS
    return generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4


class _Families:
    """For the library's registry."""

    def __init__(self, numbers: Numbers, *, keys: bool) -> None:
        self._found: dict[str, list[tuple[tuple[str, ...], list[float]]]] = {}
        for (name, *values), found in {**numbers, **_derived(numbers)}.items():
            self._found.setdefault(name, []).append((tuple(values), found))
        self._keys = keys

    def collect(self) -> Iterator[Metric]:
        for family in f.ALL:
            if family in _KEYED and not self._keys:
                continue
            made = _MAKERS[family.kind](family.name, family.words, labels=family.labels)
            for values, numbers in sorted(self._found.get(family.name, ())):
                # Another version's file may have other labels.
                if len(values) == len(family.labels) and len(numbers) == width(family):
                    _add(made, family, values, numbers)
            yield made


_KEYED = (f.KEY_REQUESTS, f.KEY_TOKENS, f.KEY_COST)


def _add(made: Metric, family: Family, values: tuple[str, ...], numbers: list[float]) -> None:
    if isinstance(made, HistogramMetricFamily):
        total, *buckets = numbers
        counted, below = [], 0.0
        for bound, number in zip((*family.buckets, INFINITE), buckets, strict=True):
            below += number
            counted.append(("+Inf" if bound == INFINITE else repr(bound), below))
        made.add_metric(values, counted, total)
    elif isinstance(made, (CounterMetricFamily, GaugeMetricFamily)):
        made.add_metric(values, numbers[0])


_MAKERS: dict[Kind, type[CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily]] = {
    Kind.COUNTER: CounterMetricFamily,
    Kind.GAUGE: GaugeMetricFamily,
    Kind.HISTOGRAM: HistogramMetricFamily,
}


def _derived(numbers: Numbers) -> Numbers:
    """What follows from the others; see `families.DERIVED`."""
    out: Numbers = {}

    def put(family: Family, values: Iterable[str], number: float) -> None:
        out.setdefault((family.name, *values), [0.0])[0] += number

    for (name, *values), found in numbers.items():
        if name == f.REQUESTS.name:
            entry, provider, outcome = values
            put(f.REQUESTS_OK, (entry, provider), found[0] if outcome == "ok" else 0.0)
            put(f.REQUESTS_ERROR, (entry, provider), found[0] if outcome in ("error", "truncated") else 0.0)
        elif name == f.LATENCY.name:
            put(f.LATENCY_MICROS, values, found[0] * 1e6)
        elif name == f.ATTEMPTS.name:
            put(f.UPSTREAM_ERRORS, values[:1], 0.0 if values[1] in ("ok", "cancelled") else found[0])
        elif name == f.TOKENS.name:
            for family in _TOKENS.get(values[1], ()):
                put(family, values[:1], found[0])
        elif name == f.CACHE_PROMPT.name and found[0]:
            read = numbers.get((f.TOKENS.name, values[0], "cache_read"), [0.0])[0]
            # Some providers count more tokens as cached than the prompt has.
            put(f.HIT_RATIO, values, min(1.0, read / found[0]))
    return out


_TOKENS: dict[str, tuple[Family, ...]] = {
    "input": (f.PROMPT,),
    "cache_read": (f.PROMPT, f.CACHED, f.CACHE_READ),
    "cache_write": (f.PROMPT, f.CACHE_CREATION),
}
