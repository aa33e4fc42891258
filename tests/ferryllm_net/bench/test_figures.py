"""The table and the JSON: what stands there, and that what was not measured says so."""

from __future__ import annotations

import json

from ferryllm_net.bench.figures import Report, column, table, to_json
from ferryllm_net.bench.meter import Meter

MILLI = 1_000_000


def meter(way: int, *, errors: int = 0) -> Meter:
    made = Meter()
    made.sent, made.ok, made.chunks, made.bytes = 10, 10 - errors, 40, 5000
    made.wall = 2_000 * MILLI
    for _ in range(10 - errors):
        made.latency.record(8 * MILLI)
        made.first_byte.record(4 * MILLI)
        made.way.record(way)
    for _ in range(errors):
        made.fail("status 503")
    return made


def report() -> Report:
    columns = [
        column("direct", meter(MILLI), cpu=0.001, rss=30 << 20),
        column("gateway", meter(3 * MILLI, errors=2), cpu=0.004, rss=40 << 20),
        column("10.0.0.1:80", meter(2 * MILLI), cpu=None, rss=None),
    ]
    return Report(columns=columns, warnings=["w"], settings={"entry": "openai"})


def rows() -> dict[str, list[str]]:
    lines = table(report()).splitlines()
    return {line[:24].strip(): line[24:].split() for line in lines[1:]}


def test_the_figures_of_each_target_stand_side_by_side() -> None:
    found = rows()
    assert table(report()).splitlines()[0].split() == ["direct", "gateway", "10.0.0.1:80"]
    assert found["requests"] == ["10", "10", "10"]
    assert found["errors"] == found["status 503"] == ["0", "2", "0"]
    assert found["requests/s"] == ["5.0", "4.0", "5.0"]
    assert found["latency ms p99.9"] == ["8.000"] * 3
    assert found["first byte ms p50"] == ["4.000"] * 3
    assert found["chunk on its way ms p50"] == ["1.000", "3.000", "2.000"]


def test_what_a_gateway_adds_to_a_chunk_is_against_the_direct_column() -> None:
    assert rows()["added per chunk ms p50"] == ["-", "2.000", "1.000"]


def test_cpu_and_memory_are_those_of_good_answers_or_not_measured() -> None:
    found = rows()
    assert found["CPU us/request"] == ["100.0", "500.0", "-"]
    assert found["CPU us/chunk"] == ["25.0", "100.0", "-"]
    assert found["RSS MiB"] == ["30.0", "40.0", "-"]


def test_lines_about_nothing_are_left_out() -> None:
    assert "gap between reads ms p50" not in rows()


def test_the_json_has_everything() -> None:
    found = json.loads(to_json(report()))
    first = found["columns"][0]
    assert found["settings"] == {"entry": "openai"}
    assert found["warnings"] == ["w"]
    assert first["latency_ms"]["p95"] == 8.0
    assert set(first["latency_ms"]) == {"count", "min", "mean", "p50", "p90", "p95", "p99", "p999", "max"}
    assert first["cpu_us_per_request"] == 100.0
    assert found["columns"][2]["rss_mib"] is None


def test_nothing_answered_is_no_division_by_zero() -> None:
    empty = column("x", Meter(), cpu=0.5, rss=1)
    assert (empty.requests_per_second, empty.latency_ms, empty.cpu_us_per_chunk, empty.error_rate) == (
        0.0,
        None,
        None,
        0,
    )
    assert table(Report(columns=[empty], warnings=[], settings={}))
