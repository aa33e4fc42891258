"""Counters for Prometheus: requests and what translations lost.

Behind one small class, so that workers and further metrics change this file alone. Labels are bounded: entries,
providers of the configuration, outcomes and dispositions; nothing a client writes becomes a label. The library is
loaded by the first who reads, because it costs 25 ms and 3 MiB.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ferryllm_proto.actions import Record

if TYPE_CHECKING:
    from prometheus_client import Counter as Series
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SHARED = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of the library's own by which processes count in files of one folder; the parent of workers sets it."""

_REQUESTS = (
    "ferryllm_requests",
    "Requests by the dialect of the client, the provider that answered and the outcome.",
    ("entry", "provider", "outcome"),
)
_LOSSES = (
    "ferryllm_losses",
    "Fields of requests and answers that a translation degraded, dropped or refused.",
    ("entry", "provider", "disposition"),
)


Read: TypeAlias = Callable[[], "float | Mapping[str, float]"]
"""Looks when somebody asks: a number, or one for each value of the gauge's label."""


class _Gauge(NamedTuple):
    name: str
    words: str
    label: str
    read: Read

    def family(self) -> GaugeMetricFamily:
        from prometheus_client.core import GaugeMetricFamily

        found = self.read()
        if not isinstance(found, Mapping):
            return GaugeMetricFamily(self.name, self.words, value=found)
        family = GaugeMetricFamily(self.name, self.words, labels=[self.label])
        for value, number in found.items():
            family.add_metric([value], number)
        return family


class _Now:
    """What is true at the moment of the scrape, as the library's registry asks for it."""

    def __init__(self, gauges: list[_Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[GaugeMetricFamily]:
        for gauge in self._gauges:
            yield gauge.family()


class Metrics:
    """One gateway's counters; of all its workers where `SHARED` is in the environment. Gauges are always those of the
    process that answers."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._requests: Counter[tuple[str, str, str]] = Counter()
        self._losses: Counter[tuple[str, str, str]] = Counter()
        self._files = _Files() if environ.get(SHARED) else None
        self._gauges: list[_Gauge] = []

    def watch(self, name: str, words: str, read: Read, *, label: str = "") -> None:
        """Show what ``read`` finds, once a scrape and at no other time. It runs in the gateway's event loop."""
        self._gauges.append(_Gauge(name, words, label, read))

    def observe(self, record: Record) -> None:
        """Count a request that is over."""
        provider = record.provider or ""
        request = (record.entry, provider, record.outcome._value_)
        if self._files is None:
            self._requests[request] += 1
        else:
            self._files.requests(*request)
        for loss in record.losses:
            key = (record.entry, provider, loss.disposition.value)
            if self._files is None:
                self._losses[key] += 1
            else:
                self._files.losses(*key)

    def exposition(self) -> bytes:
        """The text a Prometheus server reads, of `CONTENT_TYPE`."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        if self._files is not None:
            from prometheus_client.multiprocess import MultiProcessCollector

            MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library has no types there
        else:
            registry.register(self)
        registry.register(_Now(self._gauges))
        return generate_latest(registry)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """For the library's registry."""
        from prometheus_client.core import CounterMetricFamily

        for (name, words, labels), counts in ((_REQUESTS, self._requests), (_LOSSES, self._losses)):
            family = CounterMetricFamily(name, words, labels=labels)
            for key, count in counts.items():
                family.add_metric(key, count)
            yield family


class _Files:
    """The counters of one worker, in files that the others read: what a worker counted that has died stays."""

    def __init__(self) -> None:
        # It decides at its import, by the variable, where counters are kept.
        from prometheus_client import CollectorRegistry
        from prometheus_client import Counter as Series

        registry = CollectorRegistry()
        self._requests = Series(*_REQUESTS, registry=registry)
        self._losses = Series(*_LOSSES, registry=registry)
        self._known: dict[tuple[str, str, str], Series] = {}

    def requests(self, entry: str, provider: str, outcome: str) -> None:
        series = self._known.get((entry, provider, outcome))
        if series is None:
            series = self._known[entry, provider, outcome] = self._requests.labels(entry, provider, outcome)
        series.inc()

    def losses(self, entry: str, provider: str, disposition: str) -> None:
        self._losses.labels(entry, provider, disposition).inc()
