"""Times of day, there and back."""

from __future__ import annotations

import json

import pytest

from ferryllm_proto.dialects.ollama import times


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-21T06:39:02Z", 1795243142),
        ("2026-11-21T06:39:02.123456789Z", 1795243142),
        ("2026-11-21T08:39:02.1+02:00", 1795243142),
        ("2026-11-20T23:09:02-07:30", 1795243142),
        ("1970-01-01T00:00:00Z", 0),
        ("0001-01-01T00:00:00Z", None),
        ("2026-13-21T06:39:02Z", None),
        ("2026-02-30T06:39:02Z", None),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_times_are_read(text: str | None, seconds: int | None) -> None:
    assert times.seconds(text) == seconds


def test_times_are_written() -> None:
    assert times.stamp(1795243142) == "2026-11-21T06:39:02Z"
    assert times.seconds(times.stamp(1795243142)) == 1795243142
    assert times.stamp(-5) == "1970-01-01T00:00:00Z"
    assert times.stamp(10**20) == "9999-12-31T23:59:59Z"


def test_durations_can_be_divided_by_and_add_up() -> None:
    found = json.loads(b"{%b}" % times.DURATIONS)
    assert all(value > 0 for value in found.values())
    assert found.pop("total_duration") == sum(found.values())
