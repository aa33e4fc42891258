"""Moments as people write them on a command line: days, months, and how long ago. All of UTC, as quotas count."""

from __future__ import annotations

import datetime as dt
import re

import click

_AGO = re.compile(r"([0-9]{1,5})([mhdw])")
_UNITS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
FORMS = "2026-11-01, 2026-11, 2026-11-01T09:30, 7d, 12h, today, yesterday, month"


class Moment(click.ParamType[float]):
    """A moment, in Unix seconds. Of a day or a month it is the first moment, with ``end`` the first one behind it."""

    name = "when"

    def __init__(self, *, end: bool = False, now: float | None = None) -> None:
        self._end = end
        self._now = now

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """See click."""
        if isinstance(value, float):
            return value
        now = (
            dt.datetime.now(dt.timezone.utc)
            if self._now is None
            else dt.datetime.fromtimestamp(self._now, dt.timezone.utc)
        )
        try:
            found = _moment(str(value).strip(), now, end=self._end).timestamp()
            if found < 0:
                raise ValueError("before 1970")
            return found
        except (ValueError, OverflowError):
            self.fail(f"expected one of the forms {FORMS}, found {str(value)[:40]!r}", param, ctx)


def _moment(text: str, now: dt.datetime, *, end: bool) -> dt.datetime:
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    day = dt.timedelta(days=1)
    if text == "now":
        return now
    if text == "today":
        return today + day if end else today
    if text == "yesterday":
        return today if end else today - day
    if text == "month":
        first = today.replace(day=1)
        return _next_month(first) if end else first
    ago = _AGO.fullmatch(text)
    if ago is not None:
        return now - dt.timedelta(seconds=int(ago[1]) * _UNITS[ago[2]])
    if _MONTH.fullmatch(text):
        first = dt.datetime.fromisoformat(f"{text}-01").replace(tzinfo=dt.timezone.utc)
        return _next_month(first) if end else first
    found = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    found = found.replace(tzinfo=dt.timezone.utc) if found.tzinfo is None else found
    return found + day if end and _DAY.fullmatch(text) else found


def _next_month(first: dt.datetime) -> dt.datetime:
    return (first + dt.timedelta(days=32)).replace(day=1)


def shown(moment: float) -> str:
    """``moment`` in words, as short as it can be said."""
    found = dt.datetime.fromtimestamp(moment, dt.timezone.utc)
    midnight = found.hour == found.minute == found.second == 0
    return found.strftime("%Y-%m-%d" if midnight else "%Y-%m-%d %H:%M UTC")
