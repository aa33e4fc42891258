"""The counters: what they count, and that a client cannot make labels."""

from __future__ import annotations

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from ferryllm_net.telemetry.metrics import Metrics
from ferryllm_proto import Disposition, Loss
from ferryllm_proto.actions import Outcome, Record

RECORD = Record(
    id="req_1",
    entry="anthropic",
    operation="generate",
    outcome=Outcome.OK,
    status=200,
    latency=0.5,
    first_byte=0.1,
    model='any"thing\n',
    backend_model="m",
    upstream_model=None,
    provider="one",
    stream=True,
    usage=None,
    finish=None,
    losses=(
        Loss("top_k", Disposition.DROPPED, "no such field"),
        Loss("seed", Disposition.DROPPED, "no such field"),
        Loss("messages[0].content[0]", Disposition.DEGRADED, "as text"),
    ),
    error=None,
    attempts=1,
)


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Value by name and labels, read by the parser of the library's own."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        assert family.documentation
        for sample in family.samples:
            if sample.name.endswith("_total"):
                labels = tuple(sample.labels[name] for name in sorted(sample.labels))
                found[(sample.name,) + labels] = sample.value  # noqa: RUF005 - a star there is Python 3.11's
    return found


def test_g4_losses_are_counted_by_disposition() -> None:
    metrics = Metrics()
    metrics.observe(RECORD)
    metrics.observe(RECORD)
    found = samples(metrics)
    assert found["ferryllm_losses_total", "dropped", "anthropic", "one"] == 4
    assert found["ferryllm_losses_total", "degraded", "anthropic", "one"] == 2
    assert found["ferryllm_requests_total", "anthropic", "ok", "one"] == 2


def test_requests_without_a_provider_are_counted_too() -> None:
    metrics = Metrics()
    metrics.observe(msgspec.structs.replace(RECORD, provider=None, outcome=Outcome.ERROR, losses=()))
    assert samples(metrics) == {("ferryllm_requests_total", "anthropic", "error", ""): 1}


def test_the_client_makes_no_labels() -> None:
    metrics = Metrics()
    for n in range(100):
        metrics.observe(msgspec.structs.replace(RECORD, model=f"model-{n}"))
    assert len(samples(metrics)) == 3
    assert b"model-" not in metrics.exposition()


def test_gauges_are_read_at_the_scrape_and_at_no_other_time() -> None:
    metrics, reads = Metrics(), []

    def read() -> float:
        reads.append(1)
        return 40 + len(reads)

    metrics.watch("ferryllm_things", "Things.", read)
    metrics.watch("ferryllm_parts", "Parts by state.", lambda: {"active": 2, "idle": 3}, label="state")
    metrics.observe(RECORD)
    assert reads == []
    assert b"\nferryllm_things 41.0\n" in metrics.exposition()
    text = metrics.exposition()
    assert b"\nferryllm_things 42.0\n" in text
    assert b"\n# TYPE ferryllm_things gauge\n" in text
    assert b'\nferryllm_parts{state="active"} 2.0\nferryllm_parts{state="idle"} 3.0\n' in text
