"""Moments as people write them."""

from __future__ import annotations

import datetime as dt

import click
import pytest

from ferryllm_cli.periods import Moment, shown

NOW = dt.datetime(2026, 12, 5, 13, 45, 30, tzinfo=dt.timezone.utc).timestamp()


def moment(text: str, *, end: bool = False) -> str:
    found = Moment(end=end, now=NOW).convert(text, None, None)
    return dt.datetime.fromtimestamp(found, dt.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("text", "first", "behind"),
    [
        ("2026-11-01", "2026-11-01 00:00:00", "2026-11-02 00:00:00"),
        ("2026-11", "2026-11-01 00:00:00", "2026-12-01 00:00:00"),
        ("2026-12", "2026-12-01 00:00:00", "2027-01-01 00:00:00"),
        ("today", "2026-12-05 00:00:00", "2026-12-06 00:00:00"),
        ("yesterday", "2026-12-04 00:00:00", "2026-12-05 00:00:00"),
        ("month", "2026-12-01 00:00:00", "2027-01-01 00:00:00"),
        ("7d", "2026-11-28 13:45:30", "2026-11-28 13:45:30"),
        ("90m", "2026-12-05 12:15:30", "2026-12-05 12:15:30"),
        ("now", "2026-12-05 13:45:30", "2026-12-05 13:45:30"),
        ("2026-11-01T09:30", "2026-11-01 09:30:00", "2026-11-01 09:30:00"),
        ("2026-11-01T09:30:00+02:00", "2026-11-01 07:30:00", "2026-11-01 07:30:00"),
        ("2026-11-01T09:30:00Z", "2026-11-01 09:30:00", "2026-11-01 09:30:00"),
    ],
)
def test_days_and_months_count_whole_and_moments_as_they_are(text: str, first: str, behind: str) -> None:
    assert (moment(text), moment(text, end=True)) == (first, behind)


@pytest.mark.parametrize("text", ["", "soon", "7", "7y", "2026-13", "2026-02-30", "99999w", "1969-12-30", "9999-12"])
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected one of the forms"):
        moment(text, end=True)


def test_a_moment_is_shown_as_short_as_it_can_be() -> None:
    assert shown(Moment(now=NOW).convert("today", None, None)) == "2026-12-05"
    assert shown(NOW) == "2026-12-05 13:45 UTC"
