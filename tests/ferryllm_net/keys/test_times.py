"""Times as people write them."""

from __future__ import annotations

import pytest

from ferryllm_net.keys.times import MAX_SPAN, parse_date, parse_end, parse_span, written

NEW_YEAR = 1_798_761_600.0


@pytest.mark.parametrize(
    ("text", "secs"), [("90s", 90), ("5m", 300), ("24h", 86_400), (" 30D ", 2_592_000), ("2 w", 1_209_600), ("0s", 0)]
)
def test_spans(text: str, secs: float) -> None:
    assert parse_span(text) == secs


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1.5h", "1y", f"{MAX_SPAN + 1}s", "٣h", "9999999999w"])
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="24h"):
        parse_span(text)


@pytest.mark.parametrize(
    "text",
    ["2027-01-01", "2027-01-01T00:00:00Z", "2027-01-01T01:00:00+01:00", "2027-01-01 00:00:00", "2027-01-01T00:00"],
)
def test_dates_are_those_of_utc_unless_they_say_otherwise(text: str) -> None:
    assert parse_date(text) == NEW_YEAR


@pytest.mark.parametrize("text", ["2027-13-01", "tomorrow", "", "2027", "0001-01-01T00:00:00+23:00x"])
def test_what_is_no_date_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="2027-01-31"):
        parse_date(text)


def test_an_end_is_either() -> None:
    assert parse_end("1h", 100.0) == 3700
    assert parse_end("2027-01-01", 100.0) == NEW_YEAR
    with pytest.raises(ValueError, match="30d"):
        parse_end("soon", 100.0)


def test_times_are_written_in_utc_and_read_back() -> None:
    assert written(NEW_YEAR + 0.9) == "2027-01-01T00:00:00Z"
    assert parse_date(written(NEW_YEAR)) == NEW_YEAR
