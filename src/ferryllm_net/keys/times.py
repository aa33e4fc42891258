"""Ends and spans as people write them: ``30d``, ``2027-01-31``, ``2027-01-31T12:00:00Z``; and as they read them."""

from __future__ import annotations

import datetime
import re

_SPAN = re.compile(r"([0-9]{1,6}) ?([smhdw])", re.IGNORECASE)
_SECS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
MAX_SPAN = 100 * 365 * 86_400
"""Seconds; whoever writes more than a hundred years means never."""

SPAN_WORDS = "expected a time as in 90m, 24h, 30d or 4w"
END_WORDS = "expected a time from now on as in 30d, or a date as in 2027-01-31 or 2027-01-31T12:00:00Z"


def parse_span(text: str) -> float:
    """Seconds. Raises ValueError with words."""
    found = _SPAN.fullmatch(text.strip())
    secs = int(found[1]) * _SECS[found[2].lower()] if found else -1
    if found is None or secs > MAX_SPAN:
        raise ValueError(SPAN_WORDS)
    return float(secs)


def parse_date(text: str) -> float:
    """Unix seconds of a date (its first moment in UTC) or of a date with a time. Raises ValueError with words."""
    text = text.strip()
    try:
        if _DAY.fullmatch(text):
            day = datetime.date.fromisoformat(text)
            return datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.timezone.utc).timestamp()
        # Python 3.10 does not know the Z.
        when = datetime.datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text))
        if when.tzinfo is None:
            when = when.replace(tzinfo=datetime.timezone.utc)
        return when.timestamp()
    except (ValueError, OverflowError):
        raise ValueError("expected a date as in 2027-01-31 or 2027-01-31T12:00:00Z") from None


def parse_end(text: str, now: float) -> float:
    """Unix seconds of a span from ``now`` on or of a date. Raises ValueError with words."""
    try:
        return now + parse_span(text)
    except ValueError:
        pass
    try:
        return parse_date(text)
    except ValueError:
        raise ValueError(END_WORDS) from None


def written(unix: float) -> str:
    """RFC 3339 in whole seconds, in UTC."""
    return datetime.datetime.fromtimestamp(int(unix), datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
