"""Points in time as Ollama writes them, RFC 3339, and durations it measures and we do not."""

from __future__ import annotations

import datetime
import re

_MAX = 253_402_300_799
"""Unix seconds of the last moment of the year 9999."""

_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d{1,12})?([Zz]|[+-]\d\d:\d\d)", flags=re.ASCII
)

DURATIONS = b'"total_duration":3,"load_duration":1,"prompt_eval_duration":1,"eval_duration":1'
"""Nanoseconds: integers in every answer of Ollama, and its documentation divides by them. Nobody measures them here, so
they say nothing but that they are not zero."""


def stamp(seconds: int) -> str:
    """Unix ``seconds`` as a time of day in UTC; what is no time of this calendar becomes its first or last."""
    moment = datetime.datetime.fromtimestamp(min(max(seconds, 0), _MAX), tz=datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str | None) -> int | None:
    """Unix seconds of a time of day; None where ``text`` is none."""
    match = _STAMP.fullmatch(text or "")
    if match is None:
        return None
    zone = match[7]
    shift = 0 if zone in "Zz" else int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    try:
        moment = datetime.datetime(*(int(match[n]) for n in range(1, 7)), tzinfo=datetime.timezone.utc)  # type: ignore[arg-type,misc]  # six integers: year to second
    except ValueError:
        return None
    found = int(moment.timestamp()) + (shift if zone[0] == "-" else -shift)
    return found if found >= 0 else None  # Go's zero time, and recordings without one
