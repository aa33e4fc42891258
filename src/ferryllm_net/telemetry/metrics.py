"""Counters for Prometheus: requests and what translations lost.

Behind one small class, so that workers and further metrics change this file alone. Labels are bounded: entries,
providers of the configuration, outcomes and dispositions; nothing a client writes becomes a label.
"""

from __future__ import annotations

from collections import Counter

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as Series
from prometheus_client.exposition import generate_latest

from ferryllm_proto.actions import Record

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One gateway's counters."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Series(
            "ferryllm_requests_total",
            "Requests by the dialect of the client, the provider that answered and the outcome.",
            ("entry", "provider", "outcome"),
            registry=self._registry,
        )
        self._losses = Series(
            "ferryllm_losses_total",
            "Fields of requests and answers that a translation degraded, dropped or refused.",
            ("entry", "provider", "disposition"),
            registry=self._registry,
        )

        self._known: dict[tuple[str, str, str], Series] = {}

    def observe(self, record: Record) -> None:
        """Count a request that is over."""
        provider = record.provider or ""
        key = (record.entry, provider, record.outcome.value)
        series = self._known.get(key)
        if series is None:
            series = self._known[key] = self._requests.labels(*key)
        series.inc()
        if not record.losses:
            return
        for disposition, count in Counter(loss.disposition.value for loss in record.losses).items():
            self._losses.labels(record.entry, provider, disposition).inc(count)

    def exposition(self) -> bytes:
        """The text a Prometheus server reads, of `CONTENT_TYPE`."""
        return generate_latest(self._registry)
