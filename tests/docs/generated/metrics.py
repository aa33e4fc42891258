"""The reference of metrics, from the tables of the code."""

from __future__ import annotations

from ferryllm_net.telemetry import families as f
from ferryllm_net.telemetry.families import Family, Kind

_HEAD = """\
# Metrics

`GET /metrics` answers in the text format of Prometheus, or in OpenMetrics to whoever asks for that. How to use it is in
[metrics](../howto/metrics.md). This page is made from the code by `python docs/generate.py`.

Labels have values of a bounded set: `entry` is the protocol of the client, `provider` and `route` are names of the
configuration (`provider` is empty where none was asked), `key` is the id of a key; all others are words of the gateway.
No label holds what a client wrote. With several [workers](../howto/workers.md) whoever answers tells the sum of all:
counters and histograms with those of workers that have died, gauges of those that live.
"""

_ELSEWHERE = """\
## Names that are not there

Dashboards of the Rust ferryllm 0.3 find most of their names above. For the others:

| name | in its place |
| --- | --- |
| `ferryllm_request_latency_micros_average` | `rate(ferryllm_request_latency_micros_total[5m])` by the rate of `ferryllm_requests_total` |
| `ferryllm_labeled_requests`, `ferryllm_labeled_errors` | `ferryllm_requests_total` and `ferryllm_route_requests_total` by `outcome`; what clients call their models has no end and is no label, `ferryllm usage --by model` tells of it |
| `ferryllm_labeled_latency_micros` | `ferryllm_request_latency_seconds` |
| `ferryllm_labeled_tokens` | `ferryllm_tokens_total` |
"""  # noqa: E501 - rows of a table are one line each

_TITLES = (
    ("Requests", f.OBSERVED),
    ("The gateway itself", tuple(f.EVENTS.values())),
    ("At the moment", f.GAUGES),
    ("Computed from the others", f.DERIVED),
)


def page() -> str:
    """The page as Markdown."""
    parts = [_HEAD]
    for title, families in _TITLES:
        rows = "".join(map(_row, families))
        parts.append(f"## {title}\n\n| name | type | labels | meaning |\n| --- | --- | --- | --- |\n{rows}")
    buckets = {family.buckets: family.name for family in f.ALL if family.kind is Kind.HISTOGRAM}
    assert len(buckets) == len({f.SECONDS, f.WAITS, f.RATES})
    parts.append(
        "## Buckets\n\n"
        f"- latencies, in seconds: {_listed(f.SECONDS)}\n"
        f"- `{f.QUEUE_WAIT.name}`: {_listed(f.WAITS)}\n"
        f"- `{f.TOKEN_RATE.name}`: {_listed(f.RATES)}\n"
    )
    parts.append(_ELSEWHERE)
    return "\n".join(parts)


def _row(family: Family) -> str:
    labels = ", ".join(f"`{label}`" for label in family.labels)
    return f"| `{family.shown}` | {family.kind.value} | {labels} | {family.words} |\n"


def _listed(bounds: tuple[float, ...]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds)
