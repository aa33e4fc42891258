"""Metrics as the rest of the gateway sees them: counting, looking, and one page for all processes."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ferryllm_net.telemetry import families as f
from ferryllm_net.telemetry.metrics import Metrics
from support.records import RECORD

pytestmark = pytest.mark.anyio

SHARED = "PROMETHEUS_MULTIPROC_DIR"


async def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Value by name and labels, read by the parser of the library's own."""
    text, _ = await metrics.scrape()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


async def test_requests_are_counted() -> None:
    metrics = Metrics({})
    metrics.observe(RECORD)
    metrics.observe(RECORD)
    assert (await samples(metrics))["ferryllm_requests_total", "anthropic", "ok", "one"] == 2


async def test_the_client_makes_no_labels() -> None:
    metrics = Metrics({})
    metrics.observe(RECORD)
    assert b"any" not in (await metrics.scrape())[0].replace(b"anywhere", b"").replace(b"many", b"")


async def test_events_are_counted_by_their_labels() -> None:
    metrics = Metrics({})
    metrics.count("hook_deliveries", hook="billing", outcome="ok")
    metrics.count("hook_deliveries", 2, hook="billing", outcome="ok")
    metrics.count("log_lost", 7, log="audit")
    found = await samples(metrics)
    assert found["ferryllm_hook_deliveries_total", "billing", "ok"] == 3
    assert found["ferryllm_log_lost_total", "audit"] == 7


@pytest.mark.parametrize(("event", "labels"), [("no_such", {}), ("log_lost", {}), ("log_lost", {"lag": "x"})])
def test_an_event_that_is_none_is_a_fault_of_who_counts(event: str, labels: dict[str, str]) -> None:
    with pytest.raises(KeyError):
        Metrics({}).count(event, 1, **labels)


async def test_gauges_are_read_at_the_scrape_and_at_no_other_time() -> None:
    metrics, reads = Metrics({}), []

    def read() -> float:
        reads.append(1)
        return 40 + len(reads)

    metrics.watch(f.TASKS, read)
    metrics.watch(f.UPSTREAM_CONNECTIONS, lambda: {"active": 2, "idle": 3})
    broken: dict[tuple[str, ...], float] = {("one", "m", "open"): 1}
    metrics.watch(f.BREAKERS, lambda: broken)
    metrics.observe(RECORD)
    assert reads == []
    assert (await samples(metrics))["ferryllm_tasks",] == 41
    found = await samples(metrics)
    assert found["ferryllm_tasks",] == 42
    assert (found["ferryllm_upstream_connections", "active"], found["ferryllm_upstream_connections", "idle"]) == (2, 3)
    assert found["ferryllm_breaker_open", "m", "one", "open"] == 1
    assert found["ferryllm_workers",] == 1


def test_counting_does_not_load_the_library() -> None:
    code = (
        "import sys; from ferryllm_net.telemetry.metrics import Metrics; Metrics({}).count('log_lost', log='audit');"
        "sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="there are no workers")
async def test_whoever_is_asked_answers_for_all(tmp_path: Path) -> None:
    environ = {SHARED: str(tmp_path)}
    one, two, dead = (Metrics(environ) for _ in range(3))
    assert one.shared
    for number, metrics in enumerate((one, two, dead), 1):
        metrics.watch(f.EXCHANGES, functools.partial(float, 10 * number))
        metrics.observe(RECORD)
    async with anyio.create_task_group() as tasks:
        await tasks.start(one.tell_others)
        await tasks.start(two.tell_others)
        for metrics in (one, two):
            found = await samples(metrics)
            # What the dead one counted stays; what was true of it is not true any more.
            assert found["ferryllm_requests_total", "anthropic", "ok", "one"] == 3
            assert found["ferryllm_exchanges_running",] == 30
            assert found["ferryllm_workers",] == 2
        tasks.cancel_scope.cancel()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no workers")
async def test_the_place_of_one_that_died_is_taken_with_its_counts_and_its_socket(tmp_path: Path) -> None:
    environ = {SHARED: str(tmp_path)}
    one, two = Metrics(environ), Metrics(environ)
    two.observe(RECORD)
    async with anyio.create_task_group() as tasks:
        await tasks.start(two.tell_others)
        tasks.cancel_scope.cancel()
    two.close()
    again = Metrics(environ)
    again.observe(RECORD)
    again.watch(f.EXCHANGES, lambda: 5)
    async with anyio.create_task_group() as tasks:
        await tasks.start(again.tell_others)
        found = await samples(one)
        tasks.cancel_scope.cancel()
    assert found["ferryllm_requests_total", "anthropic", "ok", "one"] == 2
    assert found["ferryllm_exchanges_running",] == 5
