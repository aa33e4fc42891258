"""run_bench with real processes, small: each target in turn, on both event loops; and what it says when it cannot."""

from __future__ import annotations

import sys

import anyio
import msgspec
import pytest

from ferryllm_net.bench.processes import StartError
from ferryllm_net.bench.provider import Behaviour
from ferryllm_net.bench.run import DIRECT, GATEWAY, Options, Remote, run_bench
from ferryllm_net.bench.schedule import RealClock
from support.processes import free_port

from .serving import provider

pytestmark = pytest.mark.anyio

SERVE = (sys.executable, "-m", "ferryllm_cli", "serve")
SMALL = Options(
    entry="anthropic",
    backend="openai",
    serve=SERVE,
    requests=8,
    concurrency=2,
    warmup=2,
    rounds=2,
    behaviour=Behaviour(chunks=3),
)


def nothing(what: str, share: float) -> None: ...


async def test_a_preset_measures_the_provider_and_the_gateway_in_turn(anyio_backend_name: str) -> None:
    told: list[tuple[str, float]] = []
    engine = "asyncio" if anyio_backend_name == "asyncio" else "trio"
    report = await run_bench(
        msgspec.structs.replace(SMALL, engine=engine), lambda what, share: told.append((what, share))
    )
    direct, gateway = report.columns
    assert [direct.name, gateway.name] == [DIRECT, GATEWAY]
    for column in report.columns:
        assert (column.requests, column.ok, column.errors, column.chunks) == (8, 8, {}, 24)
        assert column.latency_ms is not None
        assert column.latency_ms.count == 8
    assert direct.chunk_way_ms is not None
    assert gateway.chunk_way_ms is not None
    assert direct.chunk_way_ms.min < gateway.chunk_way_ms.min
    if sys.platform == "linux":
        assert gateway.cpu_us_per_chunk is not None
        assert gateway.cpu_us_per_chunk > 0
        assert gateway.rss_mib is not None
        assert 10 < gateway.rss_mib < 1000
    turns = [what for what, _ in told if what in (DIRECT, GATEWAY)]
    assert turns == [DIRECT, GATEWAY, DIRECT, GATEWAY]
    assert told[-1] == ("", 1.0)


async def test_something_that_runs_is_measured_without_starting_anything() -> None:
    with provider() as url:
        remotes = (Remote(url, "first"), Remote(url, "second"))
        options = msgspec.structs.replace(SMALL, backend=None, remotes=remotes, requests=None, seconds=0.1, rate=100)
        report = await run_bench(options, nothing)
    assert [column.name for column in report.columns] == ["first", "second"]
    for column in report.columns:
        assert (column.requests, column.errors, column.chunk_way_ms) == (10, {}, None)
        assert column.chunks > 0


async def test_a_target_that_is_not_there_is_all_errors() -> None:
    remotes = (Remote(f"http://127.0.0.1:{free_port()}", "nobody"),)
    report = await run_bench(msgspec.structs.replace(SMALL, backend=None, remotes=remotes), nothing)
    (column,) = report.columns
    assert (column.requests, column.ok, column.errors) == (8, 0, {"connection refused": 8})
    assert column.error_rate == 1.0
    assert column.cpu_us_per_request is None
    assert any("not measured" in warning for warning in report.warnings)


async def test_a_gateway_that_does_not_start_says_why() -> None:
    serve = (sys.executable, "-c", "import sys; sys.exit('no disk')")
    with pytest.raises(StartError, match="the gateway did not start: no disk"):
        await run_bench(msgspec.structs.replace(SMALL, serve=serve), nothing)


async def test_deltas_with_times_of_another_machine_are_refused() -> None:
    remotes = (Remote("http://192.0.2.1", "far", stamped=True),)
    with pytest.raises(ValueError, match="on the machine that sends them"):
        await run_bench(msgspec.structs.replace(SMALL, backend=None, remotes=remotes), nothing)


async def test_neither_key_nor_prompt_is_in_the_report() -> None:
    with provider() as url:
        remotes = (Remote(url, "one"),)
        options = msgspec.structs.replace(
            SMALL, backend=None, remotes=remotes, key="sk-planted-1", prompt="planted-words", requests=1
        )
        report = await run_bench(options, nothing)
    assert b"planted" not in msgspec.json.encode(report)
    assert report.settings["entry"] == "anthropic"


async def test_a_load_generator_that_was_the_limit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferryllm_net.bench.run.SATURATED", 0.0)
    with provider() as url:
        options = msgspec.structs.replace(SMALL, backend=None, remotes=(Remote(url, "one"),))
        report = await run_bench(options, nothing)
    assert any("the load generator used" in warning for warning in report.warnings)


async def test_the_real_clock_sleeps_until_it_is_time() -> None:
    clock = RealClock()
    when = clock.now() + 2_000_000
    with anyio.fail_after(5):
        await clock.sleep_until(when)
    assert clock.now() >= when
