"""What a soak calls flat, and what it does not."""

from __future__ import annotations

import msgspec
import pytest

from soak.criteria import FLAT_KIB, SHORT_SECS, leftovers, memory
from soak.process import Sample

BEFORE = Sample(
    secs=0.0,
    requests=0,
    rss_kib=50_000,
    files=16,
    threads=1,
    connections=1,
    exchanges=0,
    active=0,
    idle=7,
    tasks=18,
)


def run(*, per_request_bytes: float, secs: int = 600, requests_a_sec: int = 100) -> list[Sample]:
    """Samples of a run whose caches fill in the first minute and that leaks."""
    return [
        msgspec.structs.replace(
            BEFORE,
            secs=float(sec),
            requests=sec * requests_a_sec,
            rss_kib=50_000
            + min(sec, 60) * 1000
            + round(sec * requests_a_sec * per_request_bytes / 1024)
            + sec * 37 % 3000,
        )
        for sec in range(secs)
    ]


def test_noise_and_caches_that_fill_first_are_flat() -> None:
    found = memory(run(per_request_bytes=0), BEFORE)
    assert found.flat
    assert abs(found.per_thousand) < 50
    assert found.limit == FLAT_KIB


def test_a_leak_of_some_hundred_bytes_a_request_is_found_within_ten_minutes() -> None:
    found = memory(run(per_request_bytes=300), BEFORE)
    assert not found.flat
    assert found.per_thousand == pytest.approx(300_000 / 1024, rel=0.3)


def test_a_short_run_is_allowed_more_and_still_finds_a_large_leak() -> None:
    assert memory(run(per_request_bytes=2000, secs=int(SHORT_SECS) // 2), BEFORE).flat
    assert not memory(run(per_request_bytes=30_000, secs=int(SHORT_SECS) // 2), BEFORE).flat


def test_the_peak_and_the_ends_are_told() -> None:
    samples = run(per_request_bytes=0)
    end = msgspec.structs.replace(BEFORE, rss_kib=1)
    found = memory(samples, end)
    assert (found.start, found.end) == (50_000, 1)
    assert found.peak == max(sample.rss_kib for sample in samples)


def test_what_was_there_before_is_no_leftover() -> None:
    after = msgspec.structs.replace(BEFORE, idle=0)
    assert leftovers(BEFORE, after) == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("connections", 2, "2 open connections, expected at most 1"),
        ("exchanges", 1, "1 running exchanges, expected at most 0"),
        ("active", 1, "1 upstream connections in use, expected at most 0"),
        ("idle", 1, "1 idle upstream connections, expected at most 0"),
        ("files", 19, "19 open files, expected at most 18"),
        ("tasks", 21, "21 tasks, expected at most 20"),
        ("threads", 2, "2 threads, expected at most 1"),
    ],
)
def test_each_thing_that_stays_is_named(name: str, value: int, words: str) -> None:
    after = msgspec.structs.replace(BEFORE, **{"idle": 0, name: value})
    assert leftovers(BEFORE, after) == [words]
